//! Repeated decoding of stored uplinks, as a preview or with the results stored.

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
            answer::{json, next_link, success, with_link},
            caller::Caller,
            page::{Cursor, Window},
            span,
            types::{Count, JsonObject, Limit, Timestamp},
        },
        tag::Tag,
    },
    error::Error,
    reference::DriverReference,
    store::devices::{self, uplinks},
    text::DeviceId,
    uplink::{
        UplinkPath,
        redecode::{Redecoded, Rewriting},
    },
};

/// What a driver makes of a stretch of a device's uplinks
#[derive(Object, Serialize)]
struct Redecoding {
    /// Whether nothing was written
    dry_run: bool,
    /// The uplinks, the oldest first
    collection: Vec<RedecodedView>,
    /// Send it as `cursor` with the same other parameters for the next stretch; null at the end
    next_cursor: Option<String>,
    /// Uplinks of this stretch whose data are the same
    unchanged: Count,
    /// Those whose data are others
    changed: Count,
    /// Those that the driver fails on
    failed: Count,
}

/// An uplink, before and after
#[derive(Object, Serialize)]
#[oai(rename = "RedecodedUplink")]
struct RedecodedView {
    /// The uplink's id
    id: Uuid,
    /// When the network received it
    time: Timestamp,
    /// Its data as they were stored
    before: Option<JsonObject>,
    /// What the driver makes of it; null where it fails, and where the payload is not known
    after: Option<JsonObject>,
    /// Why the driver makes nothing of it
    error: Option<DriverFailure>,
    /// Paths of the fields that differ, their parts joined by dots, at most 100; `updates` where only the times or earlier values of several updates do
    changed: Vec<String>,
}

/// Response 200 with a range of uplinks and a link to the next one.
struct Stretched {
    body: Redecoding,
    next: Option<String>,
}

/// Endpoint of `devices/{id}/redecode`.
pub struct DeviceRedecodeApi {
    pub uplinks: UplinkPath,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Devices")]
impl DeviceRedecodeApi {
    /// Decode a device's uplinks again
    ///
    /// Decodes the stored payloads of a span of time, the oldest first, and tells what differs: what
    /// another version would make of them, before the device follows it. With `dry_run=false`, what the
    /// driver makes of each uplink is written into the place of its data, updates and error, with its
    /// rows in the data tables that keep the device's data; integrations are told nothing. A stretch is
    /// written as a whole or not at all; call again with `next_cursor` until it is null. The last one, if
    /// it ends with the device's newest uplink, also makes the device report what these uplinks do. A
    /// stretch may end before its limit where decoding takes long. The state that a driver keeps starts
    /// empty; it goes on from stretch to stretch where they are written.
    #[oai(
        path = "/devices/:id/redecode",
        method = "post",
        operation_id = "redecode_device_uplinks"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter")]
    async fn redecode(
        &self,
        caller: Caller,
        /// The device's id
        id: Path<DeviceId>,
        /// The driver to decode with; the device's own by default
        driver: Query<Option<DriverReference>>,
        /// Whether nothing is written; true by default
        dry_run: Query<Option<bool>>,
        /// Only uplinks that the network received at or after this time
        from: Query<Option<Timestamp>>,
        /// Only those before this time
        to: Query<Option<Timestamp>>,
        /// Most uplinks of the stretch; 50 by default
        limit: Query<Option<Limit>>,
        /// The `next_cursor` of the stretch before
        cursor: Query<Option<Cursor>>,
        uri: &Uri,
    ) -> Result<Stretched> {
        let scope = caller.scope();
        let device = devices::get(scope, &id.0).await?;
        let window = Window::new(uri, limit.0, cursor.0, None)?;
        let span = span::read(from.0, to.0)?;
        let own = device.provisioned.driver.clone();
        let driver = driver.0.map(DriverReference::into_string).or(own);
        let reference = driver
            .ok_or_else(|| Error::field("driver", "must be given: the device has no driver"))?;
        let page = uplinks::list(scope, device.key, span, false, &window.stretch).await?;
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
        Ok(Stretched { body, next })
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
        with_link(json(StatusCode::OK, &self.body), self.next.as_deref())
    }
}

impl ApiResponse for Stretched {
    fn meta() -> MetaResponses {
        success(
            200,
            "Done; the body holds what was found",
            "application/json",
            Redecoding::schema_ref(),
            vec![next_link()],
        )
    }

    fn register(registry: &mut Registry) {
        Redecoding::register(registry);
    }
}
