//! What a driver would make of what a device has sent.

use poem::{IntoResponse, Response, Result, http::StatusCode, http::Uri};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    registry::{MetaResponses, Registry},
    types::Type,
};
use serde::Serialize;
use uuid::Uuid;

use super::{
    Tag,
    answer::{json, next_link, success, with_link},
    auth::Caller,
    device_history::DriverFailure,
    page::{Cursor, Window},
    span,
    types::{Count, JsonObject, Limit, Timestamp},
};
use crate::{
    error::Error,
    reference::DriverReference,
    store::{devices, uplinks},
    text::DeviceId,
    uplink::{UplinkPath, redecode::Redecoded},
};

/// What a driver would make of a stretch of a device's uplinks
#[derive(Object, Serialize)]
struct Redecoding {
    /// The uplinks, the oldest first
    collection: Vec<RedecodedView>,
    /// Send it as `cursor` with the same other parameters for the next stretch; null at the end
    next_cursor: Option<String>,
    /// Uplinks of this stretch whose data would be the same
    unchanged: Count,
    /// Those whose data would be others
    changed: Count,
    /// Those that the driver would fail on
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
    /// Its data as they are stored
    before: Option<JsonObject>,
    /// What the driver would make of it; null where it fails, and where the payload is not known
    after: Option<JsonObject>,
    /// Why the driver makes nothing of it
    error: Option<DriverFailure>,
    /// Paths of the fields that differ, their parts joined by dots, at most 100; `updates` where only the times or earlier values of several updates do
    changed: Vec<String>,
}

/// 200 with a stretch and a link to the next one.
struct Stretched {
    body: Redecoding,
    next: Option<String>,
}

/// `devices/{id}/redecode`.
pub struct DeviceRedecodeApi {
    pub uplinks: UplinkPath,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Devices")]
impl DeviceRedecodeApi {
    /// Compare a driver with a device's uplinks
    ///
    /// Decodes the stored payloads of a span of time again, the oldest first, and tells what would
    /// differ: what another version would make of them, before the device follows it. Nothing is
    /// changed. The state that a driver keeps starts empty with each stretch and goes from one uplink to
    /// the next. A stretch may end before its limit where decoding takes long.
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
        let own = device.provisioned.driver;
        let driver = driver.0.map(DriverReference::into_string).or(own);
        let driver = driver.ok_or_else(|| {
            Error::field("driver", "must be given: the device has none of its own")
        })?;
        let page = uplinks::list(scope, device.key, span, false, &window.stretch).await?;
        let count = page.items.len();
        let redecoded = self.uplinks.redecode(scope, &driver, page.items).await?;
        let place = match redecoded.last() {
            Some(last) if redecoded.len() < count => Some(last.before.place()),
            _ => page.next,
        };
        let next = place.map(|place| window.next(place)).transpose()?;
        let (next_cursor, next) = next.unzip();
        let body = Redecoding::new(redecoded, next_cursor)?;
        Ok(Stretched { body, next })
    }
}

impl Redecoding {
    fn new(redecoded: Vec<Redecoded>, next_cursor: Option<String>) -> Result<Self, Error> {
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
