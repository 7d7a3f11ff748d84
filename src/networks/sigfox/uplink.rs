//! Sigfox over the callbacks of its backend.
//!
//! Users define the body of a callback themselves, as a template of variables. This adapter reads the
//! usual names. Every value may be text. A frame received by several base stations is sent once for
//! each if the callback is configured to send duplicates. A device that requests a downlink (`ack`)
//! gets it in the response.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::networks::{
    event::{DownlinkNews, DownlinkState, Event, Names, News, Radio, Reception, Report, Uplink},
    lorawan::heard,
    malformed::Malformed,
    read::{
        MAX_RECEPTIONS, PayloadEncoding, ReportedTime, at, flag, frame_counter, level, number,
        object, payload, place, text, unix_time, whole_number,
    },
    uplink::{Incoming, UplinkNetwork},
};

/// The adapter, which has no settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uplinks {}

impl UplinkNetwork for Uplinks {
    fn check_device_id(id: &str) -> Result<(), &'static str> {
        match is_device_id(id) {
            true => Ok(()),
            false => Err(
                "must be a Sigfox device id: 1-8 hexadecimal digits in capitals, without leading zeros",
            ),
        }
    }

    fn answer(network_device_id: &str, payload: Option<&[u8]>) -> Value {
        match payload {
            Some(payload) => json!({network_device_id: {"downlinkData": hex::encode(payload)}}),
            None => json!({network_device_id: {"noData": true}}),
        }
    }

    fn parse(&self, incoming: Incoming<'_>) -> Result<Event, Malformed> {
        let body = object(incoming.body, "body")?;
        // Relay services wrap Sigfox's message in a `body` member.
        let message = match at(body, "body") {
            Some(inner) if inner.is_object() => inner,
            _ => body,
        };
        if at(message, "data").is_some() {
            return uplink(message, device(message)?).map(Event::uplink);
        }
        Ok(Event::News(News {
            names: names(message),
            time: time(message).time,
            ..News::new(device(message).ok(), report(message))
        }))
    }
}

/// True for a valid device id: 1-8 hexadecimal digits in upper case, without leading zeros.
fn is_device_id(id: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte);
    (1..=8).contains(&id.len()) && id.bytes().all(is_digit) && !id.starts_with('0')
}

fn device(message: &Value) -> Result<String, Malformed> {
    let rule = "must be a Sigfox device id: 1-8 hexadecimal digits";
    let Some(value) = at(message, "device") else {
        return Err(Malformed::new("device", "is required: the device's id"));
    };
    // An id without letters may be sent as a number.
    let id = value.as_str().map_or_else(
        || value.as_u64().map(|id| id.to_string()),
        |id| Some(id.to_owned()),
    );
    id.map(|id| id.trim_start_matches('0').to_ascii_uppercase())
        .filter(|id| is_device_id(id))
        .ok_or_else(|| Malformed::new("device", rule))
}

fn names(message: &Value) -> Names {
    let name = |name| at(message, name).and_then(text);
    Names {
        device: name("deviceName"),
        application: name("deviceTypeId").or_else(|| name("deviceType")),
        tenant: None,
    }
}

fn time(message: &Value) -> ReportedTime {
    let places = ["time", "baseStationTime", "timestamp"];
    ReportedTime::first(places.map(|name| at(message, name)), unix_time)
}

fn uplink(message: &Value, network_device_id: String) -> Result<Uplink, Malformed> {
    let counter = at(message, "seqNumber").map(|value| frame_counter(value, "seqNumber"));
    let data = at(message, "data").map_or(Ok(Bytes::new()), |value| {
        payload(value, PayloadEncoding::Hex, "data")
    });
    let is_told = |name| at(message, name).is_some_and(flag);
    let uplink = Uplink {
        network_device_id,
        names: names(message),
        // A device has a single session for its entire lifetime.
        session: Some(String::new()),
        f_cnt: counter.transpose()?,
        payload: Some(data?),
        wants_downlink: is_told("ack") || is_told("longPolling"),
        beside: computed_location(message).map(Box::new),
        radio: radio(message),
        ..Uplink::default()
    };
    Ok(uplink.heard_at(time(message)))
}

fn radio(message: &Value) -> Radio {
    // The DATA ADVANCED callback contains all base stations in one message.
    if let Some(list) = at(message, "duplicates").and_then(Value::as_array) {
        let reception = |item| Reception {
            gateway: at(item, "bsId").and_then(text).unwrap_or_default(),
            rssi: at(item, "rssi").and_then(level),
            snr: at(item, "snr").and_then(level),
            time: None,
        };
        return heard(list.iter().take(MAX_RECEPTIONS).map(reception).collect());
    }
    let station = at(message, "station").and_then(text);
    let (rssi, snr) = (
        at(message, "rssi").and_then(level),
        at(message, "snr").and_then(level),
    );
    Radio {
        rssi,
        snr,
        receptions: station.map_or_else(Vec::new, |gateway| {
            vec![Reception {
                gateway,
                rssi,
                snr,
                time: None,
            }]
        }),
        ..Radio::default()
    }
}

/// Returns the content of a service callback.
fn report(message: &Value) -> Report {
    let value = |name| at(message, name);
    if let Some(report) = of_downlink(message) {
        return report;
    }
    if value("computedLocation").is_some() {
        return computed_location(message).unwrap_or_else(|| Report::Other {
            kind: "computedLocation".to_owned(),
        });
    }
    if value("batt").is_some() || value("temp").is_some() {
        return Report::Status {
            battery_percent: None,
            battery_v: value("batt").and_then(number),
            external_power: None,
            margin_db: None,
        };
    }
    match value("info").and_then(text) {
        Some(message) => Report::Error {
            code: value("severity").and_then(text),
            message,
        },
        None => Report::Other {
            kind: "callback".to_owned(),
        },
    }
}

/// Returns the location computed by Sigfox, unless its status says that it is unknown.
fn computed_location(message: &Value) -> Option<Report> {
    const LOCATED: f64 = 1.0;
    let located = at(message, "computedLocation")?;
    let status = at(located, "status").and_then(number);
    let is_known = status.is_none_or(|status| status == LOCATED);
    place(located, "lat", "lng", "alt", "radius").filter(|_| is_known)
}

/// Returns the state of the downlink in the response to a device's request. `downlinkAck` means that a
/// base station has sent it; devices do not acknowledge downlinks.
fn of_downlink(message: &Value) -> Option<Report> {
    const EMITTED: u64 = 0;
    const NO_ANSWER: u64 = 1;
    const PENDING: u64 = 5;
    const NO_CALLBACK: u64 = 8;
    let code = at(message, "infoCode").and_then(whole_number);
    let is_emitted = at(message, "downlinkAck").map(flag);
    let words = at(message, "infoMessage").and_then(text);
    let state = match (code, is_emitted) {
        (None, None) => return None,
        // These codes mean that there was no downlink.
        (Some(code @ (NO_ANSWER | NO_CALLBACK)), _) => {
            let nothing = || "a device asked for a downlink and got none".to_owned();
            return Some(Report::Log {
                level: None,
                code: Some(code.to_string()),
                message: words.unwrap_or_else(nothing),
            });
        }
        (Some(EMITTED), _) | (None, Some(true)) => DownlinkState::Sent,
        (Some(PENDING), _) => DownlinkState::Queued,
        (Some(_), _) | (None, Some(false)) => {
            let why = || "Sigfox could not send the downlink".to_owned();
            DownlinkState::Failed(words.unwrap_or_else(why))
        }
    };
    Some(Report::Downlink(DownlinkNews::of_some(state)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::networks::{
        read::instant,
        sample::{as_news, as_uplink, sample},
    };

    fn parse(body: &Value) -> Result<Event, Malformed> {
        Uplinks {}.parse(Incoming::of(body))
    }

    #[test]
    fn reads_uplinks_with_text_for_numbers() {
        let uplink = as_uplink(parse(&sample("sigfox.json")));
        assert_eq!(uplink.network_device_id, "1A2345");
        assert_eq!((uplink.f_port, uplink.f_cnt), (None, Some(1508)));
        assert_eq!(uplink.time, instant(&json!("2017-12-09T10:20:27Z")));
        let bytes = uplink.payload.expect("never encrypted");
        assert_eq!(hex::encode(bytes), "b0513801a421f0019405a500");
        assert_eq!(
            (uplink.radio.rssi, uplink.radio.snr),
            (Some(-123.0), Some(18.86))
        );
        assert!(!uplink.wants_downlink);
        assert_eq!(uplink.beside, None);

        let uplink = as_uplink(parse(&json!({
            "device": "001a2345", "data": "01", "time": "1512814827", "seqNumber": "7",
            "snr": "18.86", "rssi": "-123.00", "station": "1D44", "ack": "true", "duplicate": "false",
        })));
        assert_eq!(uplink.network_device_id, "1A2345");
        assert_eq!((uplink.f_cnt, uplink.wants_downlink), (Some(7), true));
        assert_eq!(uplink.time, instant(&json!("2017-12-09T10:20:27Z")));
        assert_eq!(uplink.radio.receptions[0].gateway, "1D44");
    }

    #[test]
    fn an_uplink_may_tell_where_the_device_is() {
        let beside = |located: Value| {
            let body = json!({"device": "1A2345", "data": "01", "computedLocation": located});
            as_uplink(parse(&body)).beside.map(|report| *report)
        };
        let located = beside(json!({"lat": 43.45, "lng": 1.54, "radius": 500, "status": 1}));
        assert_eq!(
            located,
            Some(Report::Location {
                latitude: 43.45,
                longitude: 1.54,
                altitude_m: None,
                accuracy_m: Some(500.0)
            })
        );
        for unknown in [json!({"lat": 0, "lng": 0, "status": 0}), json!("nowhere")] {
            assert_eq!(beside(unknown), None);
        }
    }

    #[test]
    fn reads_the_service_callbacks() {
        let report = |mut body: Value| {
            body["device"] = json!("1A2345");
            as_news(parse(&body)).report
        };
        let downlink = |body| match report(body) {
            Report::Downlink(news) => news.state,
            other => panic!("no downlink: {other:?}"),
        };
        for sent in [
            json!({"infoCode": "0", "infoMessage": "Acked", "downlinkAck": "true"}),
            json!({"infoCode": 0, "downlinkAck": false}),
            json!({"downlinkAck": true}),
        ] {
            assert_eq!(downlink(sent), DownlinkState::Sent);
        }
        assert_eq!(downlink(json!({"infoCode": 5})), DownlinkState::Queued);
        let failed = json!({"downlinkAck": "false"});
        assert!(matches!(downlink(failed), DownlinkState::Failed(_)));
        let nothing = json!({"infoCode": 1, "infoMessage": "No answer", "downlinkAck": false});
        assert_eq!(
            report(nothing),
            Report::Log {
                level: None,
                code: Some("1".to_owned()),
                message: "No answer".to_owned()
            }
        );
        let failed = json!({"infoCode": 2, "infoMessage": "No base station"});
        let why = DownlinkState::Failed("No base station".to_owned());
        assert_eq!(downlink(failed), why);
        assert_eq!(
            report(json!({"batt": "3.55", "temp": "21", "time": "1512814827"})),
            Report::Status {
                battery_percent: None,
                battery_v: Some(3.55),
                external_power: None,
                margin_db: None
            }
        );
        let located = json!({"computedLocation": {"lat": 43.45, "lng": 1.54, "radius": 500}});
        assert_eq!(
            report(located),
            Report::Location {
                latitude: 43.45,
                longitude: 1.54,
                altitude_m: None,
                accuracy_m: Some(500.0)
            }
        );
        assert_eq!(
            report(json!({"info": "Messages lost", "severity": "ERROR"})),
            Report::Error {
                code: Some("ERROR".to_owned()),
                message: "Messages lost".to_owned()
            }
        );
        let kind = || "callback".to_owned();
        assert_eq!(
            report(json!({"lqi": "Good"})),
            Report::Other { kind: kind() }
        );
        for nobody in [json!({}), json!({"device": "{device}", "time": "{time}"})] {
            let news = as_news(parse(&nobody));
            assert_eq!(news.report, Report::Other { kind: kind() });
            assert_eq!((news.network_device_id, news.time), (None, None));
        }
    }

    #[test]
    fn faults_name_the_place_and_the_rule() {
        let error = |body: &Value| parse(body).unwrap_err().to_string();
        // A template whose variables were not filled in.
        let rule = "device: must be a Sigfox device id: 1-8 hexadecimal digits";
        assert_eq!(error(&sample("sigfox_callback_template.json")), rule);
        assert_eq!(error(&json!({"device": "0", "data": ""})), rule);
        assert_eq!(
            error(&json!({"data": "00"})),
            "device: is required: the device's id"
        );
        let odd = json!({"device": "1", "data": "0"});
        assert!(error(&odd).starts_with("data: must be hexadecimal"));
        // An invalid time must not discard the measurement.
        let odd = as_uplink(parse(&json!({"device": 12, "data": "", "time": "{time}"})));
        assert_eq!(odd.radio.reported_time.as_deref(), Some("{time}"));
    }

    #[test]
    fn the_names_in_the_network_are_kept() {
        let found = names(&json!({"deviceName": "d", "deviceTypeId": "t", "deviceType": "u"}));
        assert_eq!(found.device.as_deref(), Some("d"));
        assert_eq!(found.application.as_deref(), Some("t"));
        let found = names(&json!({"deviceType": "u"}));
        assert_eq!(found.application.as_deref(), Some("u"));
    }

    #[test]
    fn a_body_that_is_no_object_is_another_member() {
        let body = json!({"device": "1A2345", "data": "01", "body": "own"});
        assert_eq!(as_uplink(parse(&body)).network_device_id, "1A2345");
    }

    #[test]
    fn a_status_has_a_voltage_or_a_temperature() {
        for body in [json!({"batt": "3.5"}), json!({"temp": "21"})] {
            let status = report(&body);
            assert!(
                matches!(status, Report::Status { .. }),
                "{body}: {status:?}"
            );
        }
    }

    #[test]
    fn ids_of_devices_are_checked() {
        for (id, is_allowed) in [
            ("1A2345", true),
            ("F", true),
            ("12345678", true),
            ("0A", false),
            ("123456789", false),
            ("1a", false),
            ("", false),
        ] {
            assert_eq!(Uplinks::check_device_id(id).is_ok(), is_allowed, "{id}");
        }
    }
}
