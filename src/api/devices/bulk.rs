//! Operations on many devices: exports, and changes of all devices that a selector matches.

use poem::Result;
use poem_openapi::{Enum, Object, OpenApi, Union, param::Query};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    api::{
        devices::files::DeviceStream,
        http::{
            answer::{Found, in_pieces},
            body::Body,
            caller::Caller,
            exporting::Exporting,
            mirror::mirror,
            sheet_file::Format,
            types::{Count, LABELS_MAX, List, yes},
            union,
        },
        tag::Tag,
    },
    error::Error,
    export::pieces::Pieces,
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

/// Format of a file of devices. `csv`: cells with a delimiter and a header line (RFC 4180). `ndjson`: one JSON object
/// per line.
#[derive(Debug, Enum, Clone, Copy, Serialize)]
#[oai(rename_all = "snake_case", rename = "DeviceFormat")]
#[serde(rename_all = "snake_case")]
pub enum FormatName {
    Csv,
    Ndjson,
}

mirror!(FormatName = Format: Csv, Ndjson);

/// Change of all devices that match a selector.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceBulkChange {
    /// Label selector that the devices must match, as in `GET /api/v3/devices`. Must not be blank.
    selector: SelectorText,
    /// Action to apply to each device.
    action: BulkAction,
    /// If true, the operation returns the expected result and changes nothing.
    #[oai(default = "yes")]
    #[serde(default = "yes")]
    dry_run: bool,
}

/// Action to apply to each device.
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

/// Adds labels to the device. Labels that it already has are not added again.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct AddLabels {
    /// Labels to add.
    labels: List<DeviceLabel, 1, LABELS_MAX>,
}

/// Removes labels from the device.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct RemoveLabels {
    /// Labels to remove.
    labels: List<Label, 1, LABELS_MAX>,
}

/// Deletes the device with its uplinks, events and downlinks. Its rows in data tables remain.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeleteDevices {}

/// Result, or expected result, of a change of many devices.
#[derive(Object, Serialize)]
struct DeviceBulkResult {
    /// Number of devices that match the selector.
    matched: Count,
    /// Number of matching devices that were changed or, with `dry_run`, would be changed.
    changed: Count,
    /// True if nothing was changed.
    dry_run: bool,
    /// Identifiers of the first 20 devices that match the selector.
    sample: Vec<String>,
}

/// Endpoints of `devices/export` and `devices/bulk`.
pub struct DeviceBulkApi {
    pub exporting: Exporting,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Devices")]
impl DeviceBulkApi {
    /// Export devices
    ///
    /// Returns all matching devices, oldest first, as a file that `POST /api/v3/devices/import` accepts. State, uplinks
    /// and events are not exported.
    ///
    /// In CSV, a device with several addresses, of which one has a semicolon in its `network_device_id`, cannot be
    /// imported again: use NDJSON for such devices. Fails with 400 if the selector is invalid.
    #[oai(
        path = "/devices/export",
        method = "get",
        operation_id = "export_devices"
    )]
    async fn export(
        &self,
        caller: Caller,
        /// Format of the file. Default: `csv`.
        format: Query<Option<FormatName>>,
        /// Label selector that the devices must match, as in `GET /api/v3/devices`. Empty or absent: all devices.
        selector: Query<Option<SelectorText>>,
    ) -> Result<DeviceStream> {
        let format = format.0.map_or(Format::Csv, Format::from);
        let filter = Filter {
            selector: selector.0.map(|text| parse_selector(&text)).transpose()?,
            ..Filter::default()
        };
        let place = self.exporting.enter(caller.scope().tenant(), 1)?;
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
            body: in_pieces(place, export).await?,
        })
    }

    /// Change devices in bulk
    ///
    /// Applies the action to all devices that match the selector, up to 250 per transaction. Each changed device has
    /// its own entry in the audit log. By default, nothing is changed and the response contains the expected result;
    /// send `"dry_run": false` to make the change. An interrupted request can be repeated: it changes the remaining
    /// devices.
    ///
    /// Fails with 400 if the selector is blank or invalid, and, before anything is changed, if a device would have more
    /// than 64 labels.
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
            let rule = "must not be empty, because an empty selector matches every device";
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
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
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
        let stretch = Stretch::step(self.after.take(), EXPORTED_AT_ONCE);
        let page = list::list(&self.scope, &self.filter, sort, &stretch).await?;
        self.has_ended = page.next.is_none();
        self.after = page.next;
        let devices: Vec<_> = page
            .items
            .into_iter()
            .map(|device| device.provisioned)
            .collect();
        Ok(Some((head + &self.format.write(&devices)?).into_bytes()))
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
