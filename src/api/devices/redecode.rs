//! Repeated decoding of stored uplinks, as a preview or with the results stored.

use std::mem;

use poem::{IntoResponse, Response, Result, http::StatusCode, http::Uri};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    registry::{MetaResponses, Registry},
    types::Type,
};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    api::{
        devices::history::DriverFailure,
        http::{
            answer::{json_in, next_link, success, with_link},
            caller::Caller,
            page::{Cursor, Window},
            span::{self, PointInTime},
            types::{Count, JsonObject, Limit, Timestamp},
        },
        tag::Tag,
    },
    error::{Error, Reason},
    reference::DriverReference,
    store::{
        core::room::Room,
        devices::{self, uplinks},
    },
    text::DeviceId,
    uplink::{
        UplinkPath,
        redecode::{Redecoded, Rewriting},
    },
};

/// Results of decoding a page of a device's uplinks again.
#[derive(Object, Serialize)]
struct Redecoding {
    /// True if nothing was written.
    dry_run: bool,
    /// Uplinks of the page, oldest first.
    collection: Vec<RedecodedView>,
    /// Cursor of the next page. Repeat the request with this value as `cursor` and all other parameters unchanged. Null
    /// on the last page.
    next_cursor: Option<String>,
    /// Number of uplinks of this page whose data are the same as before.
    unchanged: Count,
    /// Number of uplinks of this page whose data differ.
    changed: Count,
    /// Number of uplinks of this page on which the driver failed.
    failed: Count,
}

/// Data of an uplink before and after decoding it again.
#[derive(Object, Serialize)]
#[oai(rename = "RedecodedUplink")]
struct RedecodedView {
    /// Identifier of the uplink.
    id: Uuid,
    /// Time at which the network received the uplink.
    time: Timestamp,
    /// Fields as they were stored. Null if there were none.
    before: Option<JsonObject>,
    /// Fields that the driver decoded now. Null if the driver failed, or if the uplink has no application payload.
    after: Option<JsonObject>,
    /// Reason why the driver could not decode the uplink. Null if it did not fail.
    error: Option<DriverFailure>,
    /// Paths of the fields that differ, with their parts joined by dots, at most 100. `updates` if only the times or
    /// the earlier values of several updates differ.
    changed: Vec<String>,
}

/// Response 200 with a range of uplinks and a link to the next one.
struct Stretched {
    body: Redecoding,
    next: Option<String>,
    room: Room,
}

/// Endpoint of `devices/{id}/redecode`.
pub struct DeviceRedecodeApi {
    pub uplinks: UplinkPath,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Devices")]
impl DeviceRedecodeApi {
    /// Redecode a device's uplinks
    ///
    /// Decodes stored uplinks again, oldest first, and returns what differs from the stored data. By default nothing is
    /// written, for instance to preview another version of the driver before the device uses it.
    ///
    /// With `dry_run=false`, the results replace the data, updates and error of each uplink, and the uplink's rows in
    /// the data tables that store the device's data. Each page records a `redecoded` event of the device; the uplinks
    /// are not sent to integrations again. Each page is written completely or not at all; repeat the request with
    /// `next_cursor` until it is null. If the last page ends with the device's newest uplink, the device's reported
    /// state is updated as well.
    ///
    /// A page has fewer uplinks than `limit` if they have more than 4 MiB or 100,000 values, or if decoding takes more than
    /// 5 seconds. The state of a stateful driver starts empty; it is carried over from page to page only with
    /// `dry_run=false`.
    ///
    /// Fails with 400 if no driver is given and the device has none, if the driver does not exist, if `to` is before
    /// `from`, or, with `dry_run=false`, if `cursor` does not follow the last page that was written with this version
    /// of the driver. Fails with 404 if the device does not exist.
    #[oai(
        path = "/devices/:id/redecode",
        method = "post",
        operation_id = "redecode_device_uplinks"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter")]
    async fn redecode(
        &self,
        caller: Caller,
        /// Identifier of the device.
        id: Path<DeviceId>,
        /// Reference to the driver that decodes: `author/name:tag`, `author/name` for the tag `latest`, or
        /// `author/name@sha256:...`. Absent: the driver of the device.
        driver: Query<Option<DriverReference>>,
        /// If true, the operation writes nothing.
        dry_run: Query<Option<bool>>,
        /// Start of the period in which the network received the uplinks, inclusive. Absent: no limit.
        from: Query<Option<PointInTime>>,
        /// End of the period in which the network received the uplinks, exclusive. Absent: no limit.
        to: Query<Option<PointInTime>>,
        /// Maximum number of uplinks per page.
        limit: Query<Option<Limit>>,
        /// Value of `next_cursor` from the previous page. All parameters except `limit` must be the same as for that
        /// page. Absent: the first page.
        cursor: Query<Option<Cursor>>,
        uri: &Uri,
    ) -> Result<Stretched> {
        let scope = caller.scope();
        let device = devices::get(scope, &id.0).await?;
        let window = Window::new(uri, limit.0, cursor.0, None)?;
        let span = span::asked(from.0, to.0, scope)?;
        let own = device.provisioned.driver.clone();
        let driver = driver.0.map(DriverReference::into_string).or(own);
        let reference = driver.ok_or_else(|| {
            let rule = "must be given: the device has no driver";
            Error::of_field(Reason::Required, "driver", rule)
        })?;
        let mut page = uplinks::list(scope, device.key, span, false, &window.stretch).await?;
        let room = mem::replace(&mut page.room, Room::none());
        let (count, is_last) = (page.items.len(), page.next.is_none());
        let dry_run = dry_run.0.unwrap_or(true);
        let (redecoded, goes_on) = match dry_run {
            true => {
                let compared = self.uplinks.redecode(scope, &reference, page.items).await?;
                let goes_on = compared.len() < count || !is_last;
                (compared, goes_on)
            }
            false => {
                let rewriting = Rewriting {
                    device,
                    reference,
                    page,
                    after: window.stretch.after.clone(),
                    span,
                };
                self.uplinks.rewrite(scope, rewriting).await?
            }
        };
        let place = redecoded.last().filter(|_| goes_on);
        let next = place
            .map(|last| window.next(last.before.place()))
            .transpose()?;
        let (next_cursor, next) = next.map(|next| (next.cursor, next.path)).unzip();
        let body = Redecoding::new(dry_run, redecoded, next_cursor)?;
        Ok(Stretched { body, next, room })
    }
}

impl Redecoding {
    fn new(
        dry_run: bool,
        redecoded: Vec<Redecoded>,
        next_cursor: Option<String>,
    ) -> Result<Self, Error> {
        let (mut unchanged, mut changed, mut failed) = (0, 0, 0);
        let mut collection = Vec::with_capacity(redecoded.len());
        for one in redecoded {
            *match (&one.error, &one.changed[..]) {
                (Some(_), _) => &mut failed,
                (None, []) => &mut unchanged,
                (None, _) => &mut changed,
            } += 1_u64;
            let error = one.error.map(serde_json::from_value);
            collection.push(RedecodedView {
                id: one.before.id,
                time: Timestamp(one.before.time),
                before: one.before.data.map(JsonObject),
                after: one.after.map(JsonObject),
                error: error.transpose().map_err(Error::internal)?,
                changed: one.changed,
            });
        }
        Ok(Self {
            dry_run,
            collection,
            next_cursor,
            unchanged: Count::saturating(unchanged),
            changed: Count::saturating(changed),
            failed: Count::saturating(failed),
        })
    }
}

impl IntoResponse for Stretched {
    fn into_response(self) -> Response {
        let response = json_in(self.room, StatusCode::OK, &self.body);
        with_link(response, self.next.as_deref())
    }
}

impl ApiResponse for Stretched {
    fn meta() -> MetaResponses {
        success(
            200,
            "The request succeeded. The body contains the results.",
            "application/json",
            Redecoding::schema_ref(),
            vec![next_link()],
        )
    }

    fn register(registry: &mut Registry) {
        Redecoding::register(registry);
    }
}
