//! Fills, which add the rows of stored uplinks to a data table.

use poem::Result;
use poem_openapi::{Enum, Object, OpenApi, param::Path};
use serde::{Deserialize, Serialize};

use crate::{
    api::{
        data::columns::Column,
        http::{
            answer::{Begun, Found},
            body::Body,
            caller::Caller,
            mirror::mirror,
            page::Listed,
            paging::Paging,
            span,
            types::{Count, Id, Timestamp},
        },
        tag::Tag,
    },
    hub::Hub,
    id::{DataTableId, FillId},
    store::{
        core::jobs::State,
        data::{
            self,
            fills::{self, Fill},
        },
    },
    text::DeviceId,
};

/// Fill to create.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "NewFill")]
struct NewFillBody {
    /// Start of the period: only uplinks that the hub received at or after this time. If omitted or null, from the
    /// oldest stored uplink.
    from: Option<Timestamp>,
    /// End of the period: only uplinks that the hub received before this time. Must not be before `from`. If omitted or
    /// null, or in the future, up to the time of the request.
    to: Option<Timestamp>,
    /// Only uplinks of this device. If omitted or null, of all devices that the selector of the data table matches.
    device_id: Option<DeviceId>,
    /// If true, rows that are there are replaced by what the uplinks yield with the present columns of the data table, and
    /// those that the uplinks no longer yield are deleted. If omitted, they stay as they are.
    #[oai(default)]
    #[serde(default)]
    replace: bool,
}

/// State of a fill.
#[derive(Enum, Clone, Copy, Serialize)]
#[oai(rename_all = "snake_case", rename = "FillState")]
#[serde(rename_all = "snake_case")]
enum StateView {
    /// The hub is adding rows.
    Running,
    /// The rows of all uplinks of the period are in the data table.
    Done,
    /// An internal error has ended the fill.
    Failed,
}

/// A fill, which adds the rows of stored uplinks to a data table.
#[derive(Object, Serialize)]
#[oai(rename = "Fill")]
struct FillView {
    /// Unique identifier of the fill.
    id: Id,
    /// State of the fill.
    state: StateView,
    /// Start of the period in which the hub received the uplinks, inclusive; null from the oldest stored uplink.
    from: Option<Timestamp>,
    /// End of the period, exclusive.
    to: Timestamp,
    /// Only device whose uplinks are added; null for all devices that the selector of the data table matches.
    device_id: Option<String>,
    /// Number of uplinks that the hub has looked at so far.
    uplinks: Count,
    /// True if rows that are there are replaced.
    replace: bool,
    /// Number of rows that the hub has added so far.
    rows: Count,
    /// Number of rows that the hub has deleted so far, because they were replaced.
    deleted: Count,
    /// Time at which the fill was created.
    created_at: Timestamp,
    /// Time of the last progress.
    updated_at: Timestamp,
    /// Time at which the fill ended; null while it is running.
    finished_at: Option<Timestamp>,
}

/// Endpoints of `data-tables/{id}/fills`.
pub struct DataTableFillsApi {
    pub hub: Hub,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::DataTables")]
impl DataTableFillsApi {
    /// Fill a data table
    ///
    /// Starts a fill, which adds the rows of stored uplinks to the data table, as if it had existed when they arrived.
    /// It includes the devices that the selector of the data table matches now, and uses the data as they are stored
    /// with the uplinks, without decoding them again. Rows that are there already are neither changed nor added twice,
    /// so a fill can be repeated. Rows that would be older than the `retention_days` of the data table are left out.
    ///
    /// With `replace`, a fill applies a changed list of columns to the rows that are there: it computes the rows of the
    /// uplinks again, replaces those that differ and deletes those that the uplinks no longer yield. Rows whose uplink is
    /// no longer stored, or whose device the selector does not match, stay as they are. So do imported rows, except those
    /// with the same device and time as a new row.
    ///
    /// The fill runs in the background and survives restarts of the hub. A data table can have 5 running fills.
    ///
    /// Fails with 400 if `to` is before `from` or 5 fills are running, and with 404 if the data table or the device does
    /// not exist.
    #[oai(
        path = "/data-tables/:id/fill",
        method = "post",
        operation_id = "create_fill"
    )]
    async fn create(
        &self,
        caller: Caller,
        /// Unique identifier of the data table.
        id: Path<Id>,
        body: Body<NewFillBody>,
    ) -> Result<Begun<FillView>> {
        let NewFillBody {
            from,
            to,
            device_id,
            replace,
        } = body.0;
        let span = span::read(from, to)?;
        let table = DataTableId(**id);
        let device_id = device_id.map(DeviceId::into_string);
        let scope = caller.scope();
        let hub = &self.hub;
        let fill = hub
            .begin_fill(scope, table, span, device_id, replace)
            .await?;
        Ok(Begun {
            location: format!("/api/v3/data-tables/{table}/fills/{}", fill.id),
            body: fill.into(),
        })
    }

    /// List a data table's fills
    ///
    /// Returns the fills of the data table, newest first. Fills that have ended are removed after `job_keep_days` (30
    /// days). Fails with 404 if the data table does not exist.
    #[oai(
        path = "/data-tables/:id/fills",
        method = "get",
        operation_id = "list_fills"
    )]
    async fn list(
        &self,
        caller: Caller,
        /// Unique identifier of the data table.
        id: Path<Id>,
        paging: Paging,
    ) -> Result<Listed<FillView>> {
        let scope = caller.scope();
        let table = data::get::<Column>(scope, DataTableId(**id)).await?.id;
        let window = paging.window()?;
        let page = fills::list(scope, table, &window.stretch).await?;
        Ok(window.answer(page, FillView::from)?)
    }

    /// Get a fill
    ///
    /// Returns the fill with its state and the number of rows added so far. Fails with 404 if the data table has no such
    /// fill.
    #[oai(
        path = "/data-tables/:id/fills/:fill_id",
        method = "get",
        operation_id = "get_fill"
    )]
    async fn get(
        &self,
        caller: Caller,
        /// Unique identifier of the data table.
        id: Path<Id>,
        /// Unique identifier of the fill.
        fill_id: Path<Id>,
    ) -> Result<Found<FillView>> {
        let (table, fill) = (DataTableId(**id), FillId(**fill_id));
        let found = fills::get(caller.scope(), table, fill).await?;
        Ok(Found(found.into()))
    }
}

mirror!(StateView = State: Running, Done, Failed);

impl From<Fill> for FillView {
    fn from(fill: Fill) -> Self {
        Self {
            id: Id::saturating(fill.id.0),
            state: fill.state.into(),
            from: fill.new.from.map(Timestamp),
            to: Timestamp(fill.new.to),
            device_id: fill.new.device_id,
            uplinks: Count::saturating(fill.uplinks),
            replace: fill.new.is_replacing,
            rows: Count::saturating(fill.rows),
            deleted: Count::saturating(fill.deleted),
            created_at: Timestamp(fill.created_at),
            updated_at: Timestamp(fill.updated_at),
            finished_at: fill.finished_at.map(Timestamp),
        }
    }
}
