//! Labels of a device.

use poem::Result;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};
use serde::Serialize;

use crate::{
    api::{
        http::{
            answer::Found,
            caller::Caller,
            types::{LABELS_MAX, Labels},
        },
        tag::Tag,
    },
    error::Error,
    store::devices,
    text::{DeviceId, Label},
};

/// The labels of a device
#[derive(Object, Serialize)]
struct DeviceLabels {
    /// What selectors pick it by
    labels: Vec<String>,
}

/// Endpoints of `devices/{id}/labels`.
pub struct DeviceLabelsApi;

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Devices")]
impl DeviceLabelsApi {
    /// List a device's labels
    ///
    /// All of them; they are in the device, too.
    #[oai(
        path = "/devices/:id/labels",
        method = "get",
        operation_id = "list_device_labels"
    )]
    async fn list(
        &self,
        caller: Caller,
        /// The device's id
        id: Path<DeviceId>,
    ) -> Result<Found<DeviceLabels>> {
        let device = devices::get(caller.scope(), &id.0).await?;
        Ok(Found(DeviceLabels {
            labels: device.provisioned.labels,
        }))
    }

    /// Add labels to a device
    ///
    /// Those that it has already stay once. Data tables and integrations follow at the next uplink.
    /// Answers all labels of the device.
    #[oai(
        path = "/devices/:id/labels",
        method = "post",
        operation_id = "create_device_labels"
    )]
    async fn create(
        &self,
        caller: Caller,
        /// The device's id
        id: Path<DeviceId>,
        /// The labels, separated by commas
        labels: Query<Labels>,
    ) -> Result<Found<DeviceLabels>> {
        let labels = devices::change_labels(caller.scope(), &id.0, |own| {
            for label in labels.0.0 {
                if !own.contains(&label) {
                    own.push(label);
                }
            }
            if own.len() > LABELS_MAX {
                let rule = format!("a device has at most {LABELS_MAX} labels");
                return Err(Error::field("labels", rule));
            }
            Ok(())
        })
        .await?;
        Ok(Found(DeviceLabels { labels }))
    }

    /// Delete a label of a device
    ///
    /// Data tables and integrations follow at the next uplink. Answers the label that was deleted.
    #[oai(
        path = "/devices/:id/labels/:label",
        method = "delete",
        operation_id = "delete_device_label"
    )]
    async fn delete(
        &self,
        caller: Caller,
        /// The device's id
        id: Path<DeviceId>,
        /// The label
        label: Path<Label>,
    ) -> Result<Found<DeviceLabels>> {
        let label = label.0.into_string();
        devices::change_labels(caller.scope(), &id.0, |own| {
            let before = own.len();
            own.retain(|own| *own != label);
            if own.len() == before {
                return Err(Error::missing("label", &label));
            }
            Ok(())
        })
        .await?;
        Ok(Found(DeviceLabels {
            labels: vec![label],
        }))
    }
}
