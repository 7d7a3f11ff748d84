//! Many devices at once: imports, exports, and one change of all that a selector picks.

use futures_util::stream;
use poem::{Body as PoemBody, Result, http::Uri};
use poem_openapi::{
    Enum, Object, OpenApi, Union,
    param::{Path, Query},
};
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Tag,
    answer::{Begun, Found},
    auth::Caller,
    body::Body,
    device_files::{DeviceFile, DeviceStream},
    device_rows::Format,
    page::{Cursor, Listed, Window},
    strict,
    types::{Count, Id, LABELS_MAX, Limit, List, Timestamp, yes},
};
use crate::{
    error::Error,
    hub::{Hub, data_tables::parse_selector, device_import::NewImport},
    id::ImportId,
    store::{
        Scope, device_batch,
        device_bulk::{self, Action, Sum},
        device_imports::{self, Import, RowResult},
        device_list::{self, Filter, Place, Sort, SortBy},
    },
    text::{Label, SelectorText},
};

/// The operation whose body has a bound of its own.
pub const IMPORT: &str = "create_device_import";
/// Devices that an export reads at a time.
const EXPORTED_AT_ONCE: u64 = 500;

/// What to do with a device that is there already
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "snake_case", rename = "OnExisting")]
enum OnExistingBody {
    /// The row fails.
    Fail,
    /// The row takes the device's place.
    Update,
    /// The device stays as it is.
    Skip,
}

/// How far an import is
#[derive(Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case", rename = "DeviceImportState")]
#[serde(rename_all = "snake_case")]
enum StateView {
    Queued,
    Running,
    Done,
    Failed,
}

/// What rows are written in
#[derive(Debug, Enum, Clone, Copy, Serialize)]
#[oai(rename_all = "snake_case", rename = "DeviceFormat")]
#[serde(rename_all = "snake_case")]
enum FormatName {
    Csv,
    Ndjson,
}

/// What became of a row
#[derive(Debug, Enum, Clone, Copy, Serialize, Deserialize)]
#[oai(rename_all = "snake_case", rename = "DeviceImportOutcome")]
#[serde(rename_all = "snake_case")]
enum OutcomeView {
    Created,
    Updated,
    Skipped,
    Failed,
}

/// An import of devices
#[derive(Object, Serialize)]
#[oai(rename = "DeviceImport")]
struct ImportView {
    /// Its id
    id: Id,
    /// How far it is: `failed` means that a fault inside the hub has ended it, `done` that every row has been tried
    state: StateView,
    /// What its rows were written in
    format: FormatName,
    /// All its rows
    rows_total: Count,
    /// Rows that have made a device
    created: Count,
    /// Rows that have replaced a device
    updated: Count,
    /// Rows whose device was there already and stays as it is
    skipped: Count,
    /// Rows that could not be done
    failed: Count,
    /// When it was begun
    created_at: Timestamp,
    /// When it last went on
    updated_at: Timestamp,
    /// When it came to its end; null before
    finished_at: Option<Timestamp>,
}

/// What became of one row of an import
#[derive(Object, Serialize)]
#[oai(rename = "DeviceImportRow")]
struct ImportRowView {
    /// Its number, counted from 1 without the header line and empty lines
    row: Id,
    /// Its device; null where the row does not tell
    device_id: Option<String>,
    /// What became of it
    outcome: OutcomeView,
    /// Why it failed, with the field and the rule; null where it did not
    error: Option<String>,
}

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
    labels: List<Label, 1, LABELS_MAX>,
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

/// `devices/import`, `devices/export` and `devices/bulk`.
pub struct DeviceBulkApi {
    pub hub: Hub,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Devices")]
impl DeviceBulkApi {
    /// Import devices
    ///
    /// Takes up to 64 MiB and a million rows, keeps them, and does them in the background: the answer
    /// is the import, to be asked for until it is `done`. CSV starts with a header line; its columns,
    /// each of which may be missing, are `id`, `name`, `description`, `driver`, `labels` (separated by
    /// semicolons), `network_connection_id` and `network_device_id` (of several addresses, separated
    /// by semicolons) and `metadata` (JSON). A line of NDJSON is a body of `POST /devices`. A row
    /// that cannot be done fails by itself. Finished imports are kept for 30 days.
    #[oai(
        path = "/devices/import",
        method = "post",
        operation_id = "create_device_import"
    )]
    async fn create_import(
        &self,
        caller: Caller,
        /// What to do with devices that are there already; `fail` by default: their rows fail
        on_existing: Query<Option<OnExistingBody>>,
        file: DeviceFile,
    ) -> Result<Begun<ImportView>> {
        let row_max = self.hub.config.body_max_bytes;
        let format = file.format;
        let rows = tokio::task::spawn_blocking(move || file.read(row_max))
            .await
            .map_err(Error::internal)??;
        let new = NewImport {
            format: format.name(),
            on_existing: match on_existing.0 {
                None | Some(OnExistingBody::Fail) => device_batch::OnExisting::Fail,
                Some(OnExistingBody::Update) => device_batch::OnExisting::Update,
                Some(OnExistingBody::Skip) => device_batch::OnExisting::Skip,
            },
            rows_total: rows.total,
            batches: rows.batches,
        };
        let import = self.hub.imports.begin(caller.scope(), new).await?;
        Ok(Begun {
            location: format!("/api/v3/devices/import/{}", import.id),
            body: import.into(),
        })
    }

    /// List imports of devices
    ///
    /// The newest first.
    #[oai(
        path = "/devices/import",
        method = "get",
        operation_id = "list_device_imports"
    )]
    async fn list_imports(
        &self,
        caller: Caller,
        /// Most items on the page; 50 by default
        limit: Query<Option<Limit>>,
        /// The `next_cursor` of the page before
        cursor: Query<Option<Cursor>>,
        uri: &Uri,
    ) -> Result<Listed<ImportView>> {
        let window = Window::<i64>::new("device-imports", limit.0, cursor.0)?;
        let page = device_imports::list(caller.scope(), window.after, window.limit).await?;
        Ok(window.answer(page, uri, ImportView::from)?)
    }

    /// Get an import of devices
    ///
    /// How far it is.
    #[oai(
        path = "/devices/import/:id",
        method = "get",
        operation_id = "get_device_import"
    )]
    async fn get_import(
        &self,
        caller: Caller,
        /// The import's id
        id: Path<Id>,
    ) -> Result<Found<ImportView>> {
        let import = device_imports::get(caller.scope(), ImportId(**id)).await?;
        Ok(Found(import.into()))
    }

    /// List the rows of an import
    ///
    /// Those that are done, in their order, with what became of each.
    #[oai(
        path = "/devices/import/:id/rows",
        method = "get",
        operation_id = "list_device_import_rows"
    )]
    async fn list_import_rows(
        &self,
        caller: Caller,
        /// The import's id
        id: Path<Id>,
        /// Only those of which this became
        outcome: Query<Option<OutcomeView>>,
        /// Most items on the page; 50 by default
        limit: Query<Option<Limit>>,
        /// The `next_cursor` of the page before
        cursor: Query<Option<Cursor>>,
        uri: &Uri,
    ) -> Result<Listed<ImportRowView>> {
        let scope = caller.scope();
        let import = device_imports::get(scope, ImportId(**id)).await?;
        let list = format!("device-imports/{}/rows", import.id);
        let window = Window::<i64>::new(list, limit.0, cursor.0)?;
        let outcome = outcome.0.map(OutcomeView::word);
        let after = window.after.unwrap_or(0);
        let page = device_imports::rows(scope, import.id, outcome, after, window.limit).await?;
        Ok(window.answer(page, uri, ImportRowView::from)?)
    }

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
        let format = match format.0 {
            None | Some(FormatName::Csv) => Format::Csv,
            Some(FormatName::Ndjson) => Format::Ndjson,
        };
        let filter = Filter {
            selector: selector.0.map(|text| parse_selector(&text)).transpose()?,
            ..Filter::default()
        };
        let mut export = Export {
            scope: caller.scope().clone(),
            filter,
            format,
            after: None,
            has_ended: false,
        };
        // The first page comes before the answer begins, so that a fault still has a status.
        let first = export.next().await?.unwrap_or_default();
        let first = format.head() + &first;
        let rest = stream::try_unfold(export, async |mut export| {
            let next = export.next().await.map_err(std::io::Error::other)?;
            Ok::<_, std::io::Error>(next.map(|text| (text.into_bytes(), export)))
        });
        let chunks = stream::StreamExt::chain(stream::iter([Ok(first.into_bytes())]), rest);
        Ok(DeviceStream {
            format,
            body: PoemBody::from_bytes_stream(chunks),
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
        let labels = |labels: List<Label, 1, LABELS_MAX>| {
            labels.0.into_iter().map(Label::into_string).collect()
        };
        let action = match action {
            BulkAction::AddLabels(add) => Action::AddLabels {
                labels: labels(add.labels),
                most: LABELS_MAX,
            },
            BulkAction::RemoveLabels(remove) => Action::RemoveLabels(labels(remove.labels)),
            BulkAction::Delete(DeleteDevices {}) => Action::Delete,
        };
        let scope = caller.scope();
        let Sum {
            matched,
            changed,
            sample,
        } = if dry_run {
            device_bulk::preview(scope, &selector, &action).await?
        } else {
            device_bulk::run(scope, &selector, &action).await?
        };
        Ok(Found(DeviceBulkResult {
            matched: Count::saturating(matched),
            changed: Count::saturating(changed),
            dry_run,
            sample,
        }))
    }
}

/// A place in an export.
struct Export {
    scope: Scope,
    filter: Filter,
    format: Format,
    after: Option<Place>,
    has_ended: bool,
}

impl Export {
    /// The next devices; `None` at the end.
    async fn next(&mut self) -> Result<Option<String>, Error> {
        if self.has_ended {
            return Ok(None);
        }
        let sort = Sort {
            by: SortBy::Created,
            descending: false,
        };
        let after = self.after.take();
        let page =
            device_list::list(&self.scope, &self.filter, sort, after, EXPORTED_AT_ONCE).await?;
        self.has_ended = page.next.is_none();
        self.after = page.next;
        let devices: Vec<_> = page
            .items
            .into_iter()
            .map(|device| device.provisioned)
            .collect();
        Ok(Some(self.format.write(&devices)?))
    }
}

impl<'de> Deserialize<'de> for BulkAction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tags = ["add_labels", "remove_labels", "delete"];
        strict::union(deserializer, &tags, |tag, members| match tag {
            "add_labels" => Some(members.read().map(Self::AddLabels)),
            "remove_labels" => Some(members.read().map(Self::RemoveLabels)),
            "delete" => Some(members.read().map(Self::Delete)),
            _ => None,
        })
    }
}

impl OutcomeView {
    /// The store's word for it.
    fn word(self) -> &'static str {
        match self {
            OutcomeView::Created => "created",
            OutcomeView::Updated => "updated",
            OutcomeView::Skipped => "skipped",
            OutcomeView::Failed => "failed",
        }
    }

    fn of(word: &str) -> Self {
        match word {
            "created" => OutcomeView::Created,
            "updated" => OutcomeView::Updated,
            "skipped" => OutcomeView::Skipped,
            _ => OutcomeView::Failed,
        }
    }
}

impl From<Import> for ImportView {
    fn from(import: Import) -> Self {
        use device_imports::State;
        Self {
            id: Id::saturating(import.id.0),
            state: match import.state {
                State::Queued => StateView::Queued,
                State::Running => StateView::Running,
                State::Done => StateView::Done,
                State::Failed => StateView::Failed,
            },
            format: match import.format.as_str() {
                "ndjson" => FormatName::Ndjson,
                _ => FormatName::Csv,
            },
            rows_total: Count::saturating(import.rows_total),
            created: Count::saturating(import.created),
            updated: Count::saturating(import.updated),
            skipped: Count::saturating(import.skipped),
            failed: Count::saturating(import.failed),
            created_at: Timestamp(import.created_at),
            updated_at: Timestamp(import.updated_at),
            finished_at: import.finished_at.map(Timestamp),
        }
    }
}

impl From<RowResult> for ImportRowView {
    fn from(row: RowResult) -> Self {
        Self {
            row: Id::saturating(row.number),
            device_id: row.device_id,
            outcome: OutcomeView::of(&row.outcome),
            error: row.error,
        }
    }
}
