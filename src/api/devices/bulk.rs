//! Operations on many devices: exports, and changes of all devices that a selector matches.

use poem::Result;
use poem_openapi::{Enum, Object, OpenApi, Union, param::Query};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    api::{
        devices::{files::DeviceStream, rows::Format},
        http::{
            answer::{Found, Pieces, in_pieces},
            body::Body,
            caller::Caller,
            mirror::mirror,
            types::{Count, LABELS_MAX, List, yes},
            union,
        },
        tag::Tag,
    },
    error::Error,
    hub::selectors::parse_selector,
    store::{
        Scope,
        core::listing::{Place, Sort, Stretch},
        devices::{
            bulk::{self, Action, Sum},
            list::{self, Filter, SortBy},
        },
    },
    text::{DeviceLabel, Label, SelectorText},
};

/// Number of devices that an export reads at a time.
const EXPORTED_AT_ONCE: u64 = 500;

/// What rows are written in
#[derive(Debug, Enum, Clone, Copy, Serialize)]
#[oai(rename_all = "snake_case", rename = "DeviceFormat")]
#[serde(rename_all = "snake_case")]
pub enum FormatName {
    Csv,
    Ndjson,
}

mirror!(FormatName = Format: Csv, Ndjson);

/// One change of all devices that a selector picks
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceBulkChange {
    /// Which devices, by their labels; not empty
    selector: SelectorText,
    /// What to do with each
    action: BulkAction,
    /// Only tell what it would come to
    #[oai(default = "yes")]
    #[serde(default = "yes")]
    dry_run: bool,
}

/// What to do with each device
#[derive(Union)]
#[oai(
    rename = "DeviceBulkAction",
    discriminator_name = "type",
    one_of = true
)]
enum BulkAction {
    #[oai(mapping = "add_labels")]
    AddLabels(AddLabels),
    #[oai(mapping = "remove_labels")]
    RemoveLabels(RemoveLabels),
    #[oai(mapping = "delete")]
    Delete(DeleteDevices),
}

/// Give it labels; those that it has already stay once
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct AddLabels {
    /// The labels
    labels: List<DeviceLabel, 1, LABELS_MAX>,
}

/// Take labels away from it
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct RemoveLabels {
    /// The labels
    labels: List<Label, 1, LABELS_MAX>,
}

/// Delete it with its uplinks and events
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeleteDevices {}

/// What a change came to, or would come to
#[derive(Object, Serialize)]
struct DeviceBulkResult {
    /// Devices that the selector picks
    matched: Count,
    /// Those of them that were changed, or would be
    changed: Count,
    /// Whether nothing was done
    dry_run: bool,
    /// The ids of the first 20 that the selector picks
    sample: Vec<String>,
}

/// Endpoints of `devices/export` and `devices/bulk`.
pub struct DeviceBulkApi;

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Devices")]
impl DeviceBulkApi {
    /// Export devices
    ///
    /// All that the selector picks, the oldest first, in the form that an import takes; without what
    /// they have sent. An id in a network that holds a semicolon, of a device with several addresses,
    /// is for NDJSON alone.
    #[oai(
        path = "/devices/export",
        method = "get",
        operation_id = "export_devices"
    )]
    async fn export(
        &self,
        caller: Caller,
        /// What to write the devices in; `csv` by default
        format: Query<Option<FormatName>>,
        /// Only those that this picks by their labels
        selector: Query<Option<SelectorText>>,
    ) -> Result<DeviceStream> {
        let format = format.0.map_or(Format::Csv, Format::from);
        let filter = Filter {
            selector: selector.0.map(|text| parse_selector(&text)).transpose()?,
            ..Filter::default()
        };
        let export = Export {
            scope: caller.scope().clone(),
            filter,
            format,
            after: None,
            has_begun: false,
            has_ended: false,
        };
        Ok(DeviceStream {
            format,
            body: in_pieces(export).await?,
        })
    }

    /// Change many devices
    ///
    /// Does the same to all devices that the selector picks, some hundred at a time; the audit log has
    /// each of them. Without `"dry_run": false` it only tells what it would come to. Telling it again
    /// goes on where an interrupted one ended.
    #[oai(
        path = "/devices/bulk",
        method = "post",
        operation_id = "create_device_bulk_change"
    )]
    async fn change(
        &self,
        caller: Caller,
        body: Body<DeviceBulkChange>,
    ) -> Result<Found<DeviceBulkResult>> {
        let DeviceBulkChange {
            selector,
            action,
            dry_run,
        } = body.0;
        if selector.trim().is_empty() {
            let rule = "must not be empty, which would be every device";
            return Err(Error::field("selector", rule).into());
        }
        let selector = parse_selector(&selector)?;
        let action = match action {
            BulkAction::AddLabels(AddLabels { labels }) => Action::AddLabels {
                labels: labels.0.into_iter().map(DeviceLabel::into_string).collect(),
                most: LABELS_MAX,
            },
            BulkAction::RemoveLabels(RemoveLabels { labels }) => {
                Action::RemoveLabels(labels.0.into_iter().map(Label::into_string).collect())
            }
            BulkAction::Delete(DeleteDevices {}) => Action::Delete,
        };
        let scope = caller.scope();
        let Sum {
            matched,
            changed,
            sample,
        } = if dry_run {
            bulk::preview(scope, &selector, &action).await?
        } else {
            bulk::run(scope, &selector, &action).await?
        };
        Ok(Found(DeviceBulkResult {
            matched: Count::saturating(matched),
            changed: Count::saturating(changed),
            dry_run,
            sample,
        }))
    }
}

/// State of a running export.
struct Export {
    scope: Scope,
    filter: Filter,
    format: Format,
    after: Option<Place>,
    has_begun: bool,
    has_ended: bool,
}

impl Pieces for Export {
    async fn next(&mut self) -> Result<Option<String>, Error> {
        if self.has_ended {
            return Ok(None);
        }
        let head = match std::mem::replace(&mut self.has_begun, true) {
            true => String::new(),
            false => self.format.head(),
        };
        let sort = Sort {
            by: SortBy::Created,
            descending: false,
        };
        let stretch = Stretch {
            after: self.after.take(),
            limit: EXPORTED_AT_ONCE,
            total: false,
        };
        let page = list::list(&self.scope, &self.filter, sort, &stretch).await?;
        self.has_ended = page.next.is_none();
        self.after = page.next;
        let devices: Vec<_> = page
            .items
            .into_iter()
            .map(|device| device.provisioned)
            .collect();
        Ok(Some(head + &self.format.write(&devices)?))
    }
}

impl<'de> Deserialize<'de> for BulkAction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tags = ["add_labels", "remove_labels", "delete"];
        union::read(deserializer, &tags, |tag, members| match tag {
            "add_labels" => Some(members.read().map(Self::AddLabels)),
            "remove_labels" => Some(members.read().map(Self::RemoveLabels)),
            "delete" => Some(members.read().map(Self::Delete)),
            _ => None,
        })
    }
}
