//! Converts messages other than uplinks to events of the device or the connection.

use serde_json::{Map, Value, json};

use uuid::Uuid;

use super::{excerpt, route::ConnectionRoute, routes::Routes};
use crate::{
    error::Result,
    id::{ConnectionId, DeviceKey},
    networks::{CORRELATION_PREFIX, DownlinkNews, DownlinkState, News, Report, Uplink},
    store::{
        downlinks::{
            self,
            queue::{self, DownlinkResult},
        },
        live::events::NewEvent,
        members,
    },
};

/// Converts a message to an event.
pub fn as_event(news: &News) -> NewEvent {
    let (kind, message, about) = match &news.report {
        Report::Join { dev_addr } => (
            "join",
            "the device joined the network".to_owned(),
            json!({"dev_addr": dev_addr}),
        ),
        Report::Downlink(downlink) => {
            let (kind, message) = of_downlink(&downlink.state);
            let about = json!({
                "correlation": downlink.correlation,
                "network_reference": downlink.network_reference,
                "f_cnt_down": downlink.f_cnt_down,
            });
            (kind, message, about)
        }
        Report::Status {
            battery_percent,
            battery_v,
            external_power,
            margin_db,
        } => (
            "status",
            "the device told its battery and margin".to_owned(),
            json!({
                "battery_percent": battery_percent,
                "battery_v": battery_v,
                "external_power": external_power,
                "margin_db": margin_db,
            }),
        ),
        Report::Location {
            latitude,
            longitude,
            altitude_m,
            accuracy_m,
        } => (
            "location",
            "the network located the device".to_owned(),
            json!({
                "latitude": latitude,
                "longitude": longitude,
                "altitude_m": altitude_m,
                "accuracy_m": accuracy_m,
            }),
        ),
        Report::Error { code, message } => {
            ("network_error", message.clone(), json!({"code": code}))
        }
        Report::Log {
            level,
            code,
            message,
        } => (
            "network_log",
            message.clone(),
            json!({"level": level, "code": code}),
        ),
        Report::Other { kind } => (
            "message",
            format!("the network server sent {kind}"),
            json!({"kind": kind}),
        ),
    };
    let mut details = members(json!({
        "network_device_id": news.network_device_id,
        "time": news.time,
    }));
    details.extend(members(about));
    NewEvent {
        kind,
        message,
        details: without_nulls(details),
    }
}

/// Adds the body of the message if the event alone does not contain everything.
pub fn with_body(mut event: NewEvent, news: &News, body: &Value) -> NewEvent {
    if matches!(
        news.report,
        Report::Other { .. } | Report::Log { .. } | Report::Error { .. }
    ) {
        event.details.extend(excerpt::of(body));
    }
    event
}

/// Returns the event for a downlink that this uplink acknowledges.
pub fn confirmation(uplink: &Uplink) -> Option<NewEvent> {
    let confirmed = || Report::Downlink(DownlinkNews::of_some(DownlinkState::Acknowledged));
    uplink
        .acknowledges
        .then(confirmed)
        .map(|report| event_of(uplink, report))
}

/// Returns the events for other information in an uplink than its data, such as a device status.
pub fn beside(uplink: &Uplink) -> Vec<NewEvent> {
    let report = uplink.beside.as_deref().cloned();
    report
        .map(|report| event_of(uplink, report))
        .into_iter()
        .collect()
}

fn event_of(uplink: &Uplink, report: Report) -> NewEvent {
    as_event(&News {
        time: uplink.time,
        ..News::new(Some(uplink.network_device_id.clone()), report)
    })
}

/// Returns the device that a message is about, if it is known. The Things Stack sometimes reports
/// downlinks without a DevEUI, and Kerlink always does. In that case the device is found through the
/// downlink.
pub async fn device(
    routes: &Routes,
    connection: &ConnectionRoute,
    news: &News,
) -> Result<Option<DeviceKey>> {
    match (&news.network_device_id, downlink_id(news)) {
        (Some(id), _) => {
            let device = routes.device(connection, id).await?;
            Ok(device.map(|device| device.key))
        }
        (None, Some(id)) => downlinks::device(&connection.scope, connection.id, id).await,
        (None, None) => match &news.report {
            Report::Downlink(DownlinkNews {
                network_reference: Some(reference),
                ..
            }) => downlinks::device_of_reference(&connection.scope, connection.id, reference).await,
            _ => Ok(None),
        },
    }
}

/// Returns the new state of a downlink of a known device, if the message reports one.
pub fn downlink_update(
    connection: ConnectionId,
    device: Option<DeviceKey>,
    news: &News,
) -> Option<queue::News> {
    let Report::Downlink(downlink) = &news.report else {
        return None;
    };
    Some(queue::News {
        device: device?,
        connection,
        id: downlink_id(news),
        network_reference: downlink.network_reference.clone(),
        f_cnt_down: downlink.f_cnt_down.map(i64::from),
        result: match &downlink.state {
            DownlinkState::Queued => DownlinkResult::Waiting,
            DownlinkState::Sent => DownlinkResult::Transmitted,
            DownlinkState::Acknowledged => DownlinkResult::Acknowledged,
            DownlinkState::NotAcknowledged => DownlinkResult::NotAcknowledged,
            DownlinkState::NotAcknowledgedYet => DownlinkResult::NotAcknowledgedYet,
            DownlinkState::Failed(why) => DownlinkResult::Failed(why.clone()),
        },
    })
}

/// Returns the hub's id of the reported downlink, if the network server echoes it.
fn downlink_id(news: &News) -> Option<Uuid> {
    let Report::Downlink(downlink) = &news.report else {
        return None;
    };
    let id = downlink.correlation.as_deref()?;
    Uuid::parse_str(id.strip_prefix(CORRELATION_PREFIX).unwrap_or(id)).ok()
}

/// Returns the kind and the message of the event for a downlink state.
fn of_downlink(state: &DownlinkState) -> (&'static str, String) {
    let (kind, message) = match state {
        DownlinkState::Queued => ("downlink_queued", "the network server queued a downlink"),
        DownlinkState::Sent => ("downlink_sent", "a gateway sent a downlink"),
        DownlinkState::Acknowledged => ("downlink_acknowledged", "the device confirmed a downlink"),
        DownlinkState::NotAcknowledged => (
            "downlink_not_acknowledged",
            "the device did not confirm a downlink",
        ),
        DownlinkState::NotAcknowledgedYet => (
            "downlink_not_acknowledged",
            "the device has not confirmed a downlink yet",
        ),
        DownlinkState::Failed(why) => ("downlink_failed", why.as_str()),
    };
    (kind, message.to_owned())
}

/// Removes members that are null, except `network_device_id`, which is null where the message does not name the
/// device: in events without one, and in reports about a downlink by which the device is found.
fn without_nulls(details: Map<String, Value>) -> Map<String, Value> {
    details
        .into_iter()
        .filter(|(name, value)| name == "network_device_id" || !value.is_null())
        .collect()
}
