//! Labels of a device.

use poem::Result;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};
use serde::{Deserialize, Serialize};

use crate::{
    api::{
        http::{
            answer::Found,
            body::OptionalBody,
            caller::Caller,
            types::{LABELS_MAX, Labels, List},
        },
        tag::Tag,
    },
    error::{Error, Reason},
    store::devices,
    text::{DeviceId, DeviceLabel, Label},
};

/// Labels of a device.
#[derive(Object, Serialize)]
struct DeviceLabels {
    /// Labels of the device, which selectors match.
    labels: Vec<String>,
}

/// Labels to add to a device
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct AddedLabels {
    /// Labels; required unless the query has them
    labels: Option<List<DeviceLabel, 1, LABELS_MAX>>,
}

/// Endpoints of `devices/{id}/labels`.
pub struct DeviceLabelsApi;

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Devices")]
impl DeviceLabelsApi {
    /// List a device's labels
    ///
    /// Returns all labels of the device, which are part of the device as well. Fails with 404 if the device does not
    /// exist.
    #[oai(
        path = "/devices/:id/labels",
        method = "get",
        operation_id = "list_device_labels"
    )]
    async fn list(
        &self,
        caller: Caller,
        /// Identifier of the device.
        id: Path<DeviceId>,
    ) -> Result<Found<DeviceLabels>> {
        let device = devices::get(caller.scope(), &id.0).await?;
        Ok(Found(DeviceLabels {
            labels: device.provisioned.labels,
        }))
    }

    /// Add labels to a device
    ///
    /// Adds labels to the device and returns all of its labels. Give the labels either in the body or in the query
    /// parameter `labels`. Labels that the device already has are not added again.
    /// Data tables and integrations apply the change from the next uplink on.
    ///
    /// Fails with 400 if the labels are in both places or in none, or if the device would have more than 64 labels, and with 404 if it does not exist.
    #[oai(
        path = "/devices/:id/labels",
        method = "post",
        operation_id = "create_device_labels"
    )]
    async fn create(
        &self,
        caller: Caller,
        /// Identifier of the device.
        id: Path<DeviceId>,
        /// Labels to add, at most 16, separated by commas; instead of a body.
        labels: Query<Option<Labels>>,
        body: OptionalBody<AddedLabels>,
    ) -> Result<Found<DeviceLabels>> {
        let in_body = body.0.and_then(|body| body.labels);
        let added = match (labels.0, in_body) {
            (Some(Labels(labels)), None) => labels,
            (None, Some(labels)) => labels.0.into_iter().map(DeviceLabel::into_string).collect(),
            (Some(_), Some(_)) => {
                let rule = "must be in the body or in the query, not in both";
                return Err(Error::field("labels", rule).into());
            }
            (None, None) => {
                let rule = "is required, in the body or in the query";
                return Err(Error::of_field(Reason::Required, "labels", rule).into());
            }
        };
        let labels = devices::change_labels(caller.scope(), &id.0, |own| {
            for label in added {
                if !own.contains(&label) {
                    own.push(label);
                }
            }
            if own.len() > LABELS_MAX {
                let rule = format!("a device has at most {LABELS_MAX} labels");
                return Err(Error::of_field(Reason::LimitReached, "labels", rule));
            }
            Ok(())
        })
        .await?;
        Ok(Found(DeviceLabels { labels }))
    }

    /// Delete a device's label
    ///
    /// Removes a label from the device and returns the removed label. Data tables and integrations apply the change
    /// from the next uplink on. Fails with 404 if the device does not exist or does not have the label.
    #[oai(
        path = "/devices/:id/labels/:label",
        method = "delete",
        operation_id = "delete_device_label"
    )]
    async fn delete(
        &self,
        caller: Caller,
        /// Identifier of the device.
        id: Path<DeviceId>,
        /// Label to remove.
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
