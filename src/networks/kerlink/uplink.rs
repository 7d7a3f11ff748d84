//! Kerlink's Wanesy Management Center over its HTTP push.
//!
//! Messages do not contain their kind. An uplink has an uplink counter, or a payload without any sign
//! of a downlink. Payloads are hexadecimal digits unless `encodingType` is base64. Older versions
//! (`/rxmessage`) send the payload in `userdata` as base64, and the DevEUI at the top level.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::networks::{
    event::{DownlinkNews, DownlinkState, Event, Names, News, Radio, Report, Uplink},
    lorawan::{self, dev_eui, required_dev_eui},
    malformed::Malformed,
    read::{
        PayloadEncoding, ReportedTime, at, flag, frame_counter, milliseconds, name, object,
        payload, port, text,
    },
    uplink::{Incoming, UplinkNetwork},
};

/// The adapter, which has no settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uplinks {}

impl UplinkNetwork for Uplinks {
    /// Wanesy is configured with one URL and posts to several paths below it, one for each kind of message.
    /// The body is sufficient to distinguish them, so all paths are handled alike.
    fn appended_paths() -> &'static [&'static str] {
        &["dataUp", "dataDown", "dataDownEvent", "rxmessage"]
    }

    fn parse(&self, incoming: Incoming<'_>) -> Result<Event, Malformed> {
        let body = object(incoming.body, "body")?;
        if is_uplink(body) {
            return uplink(body).map(Event::uplink);
        }
        Ok(Event::News(News {
            names: names(body),
            ..News::new(dev_eui(body, Places::of(body).device), report(body))
        }))
    }
}

fn is_uplink(body: &Value) -> bool {
    let has = |path| at(body, path).is_some();
    let is_downlink = has("fCntDown") || has("dataDownId");
    let has_counter = has("fCntUp") || has("fcntUp");
    has_counter || !is_downlink && (has("payload") || has("userdata.payload"))
}

/// Paths of the parts of a message.
struct Places {
    device: &'static str,
    payload: &'static str,
    port: &'static str,
    /// Encoding of the payload if the message does not contain it.
    encoding: PayloadEncoding,
}

impl Places {
    fn of(body: &Value) -> Self {
        let device = match at(body, "endDevice") {
            None => "devEui",
            Some(_) => "endDevice.devEui",
        };
        match at(body, "userdata") {
            None => Self {
                device,
                payload: "payload",
                port: "fPort",
                encoding: PayloadEncoding::Hex,
            },
            Some(_) => Self {
                device,
                payload: "userdata.payload",
                port: "userdata.fport",
                encoding: PayloadEncoding::Base64,
            },
        }
    }
}

fn report(body: &Value) -> Report {
    let word = |names: &[&str]| names.iter().find_map(|name| text(at(body, name)?));
    if let Some(id) = at(body, "dataDownId").and_then(name) {
        let event = word(&["event"]).unwrap_or_else(|| "dataDownEvent".to_owned());
        return match downlink(&event, &word(&["status"]).unwrap_or_default()) {
            Some(state) => Report::Downlink(DownlinkNews {
                network_reference: Some(id),
                ..DownlinkNews::of_some(state)
            }),
            None => Report::Other { kind: event },
        };
    }
    let kind = word(&["type", "eventType"]).unwrap_or_else(|| "event".to_owned());
    match kind.to_ascii_lowercase().contains("join") {
        true => Report::Join {
            dev_addr: at(body, "endDevice.devAddr").and_then(text),
        },
        false => Report::Other { kind },
    }
}

/// Returns the state of a downlink from an event; `None` if its words are unknown.
fn downlink(event: &str, status: &str) -> Option<DownlinkState> {
    let report = format!("{event} {status}").to_ascii_lowercase();
    let words: Vec<&str> = report.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let says = |known: &[&str]| words.iter().any(|word| known.contains(word));
    let is_about_confirmation = says(&["ack", "nack", "acknowledge", "acknowledged"]);
    let failures = [
        "ko", "nok", "not", "nack", "fail", "failed", "failure", "error", "rejected", "dropped",
        "expired", "timeout",
    ];
    if says(&failures) {
        return Some(match is_about_confirmation {
            true => DownlinkState::NotAcknowledged,
            false => DownlinkState::Failed(format!("Kerlink: {event} {status}").trim().to_owned()),
        });
    }
    if says(&["pending", "queued", "waiting"]) {
        return Some(DownlinkState::Queued);
    }
    if is_about_confirmation {
        return Some(DownlinkState::Acknowledged);
    }
    says(&["ok", "success", "sent", "transmitted"]).then_some(DownlinkState::Sent)
}

fn names(body: &Value) -> Names {
    Names {
        device: at(body, "endDevice.name").and_then(text),
        application: at(body, "endDevice.cluster.id").and_then(name),
        tenant: None,
    }
}

fn uplink(body: &Value) -> Result<Uplink, Malformed> {
    let dev_addr = at(body, "endDevice.devAddr").and_then(text);
    let places = Places::of(body);
    let encoding = match at(body, "encodingType").and_then(Value::as_str) {
        Some(encoding) if encoding.eq_ignore_ascii_case("base64") => PayloadEncoding::Base64,
        Some(_) => PayloadEncoding::Hex,
        None => places.encoding,
    };
    let read = |value| payload(value, encoding, places.payload);
    let sent = at(body, places.payload).map_or(Ok(Bytes::new()), read)?;
    let is_encrypted = at(body, "encrypted").is_some_and(flag);
    let optional_port = at(body, places.port).map(|value| port(value, places.port));
    let mut counters = ["fCntUp", "fcntUp"].into_iter();
    let counter = counters.find_map(|name| Some(frame_counter(at(body, name)?, name)));
    let receptions = lorawan::receptions(at(body, "gwInfo"), "gwEui", "rssi", "snr");
    let mut ids = ["id", "msgId"].into_iter();
    let uplink = Uplink {
        network_device_id: required_dev_eui(body, places.device)?,
        names: names(body),
        session: dev_addr.clone(),
        reception: ids.find_map(|id| name(at(body, id)?)),
        f_port: optional_port.transpose()?,
        f_cnt: counter.transpose()?,
        payload: (!is_encrypted).then_some(sent),
        radio: Radio {
            dev_addr,
            modulation: at(body, "modulation").and_then(text),
            coding_rate: at(body, "codingRate").and_then(text),
            confirmed: at(body, "confirmed").map(flag),
            ..lorawan::heard(receptions)
                .with_megahertz(at(body, "ulFrequency"))
                .with_data_rate(at(body, "dataRate"))
        },
        ..Uplink::default()
    };
    Ok(uplink.heard_at(ReportedTime::first([at(body, "recvTime")], milliseconds)))
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
    fn reads_uplinks() {
        let uplink = as_uplink(parse(&sample("kerlink_wanesy.json")));
        assert_eq!(uplink.network_device_id, "343737394A336F09");
        assert_eq!((uplink.f_port, uplink.f_cnt), (Some(2), Some(6940)));
        assert_eq!(uplink.time, instant(&json!("2019-07-08T13:18:36.089Z")));
        let bytes = uplink.payload.expect("decrypted");
        assert_eq!(hex::encode(bytes), "0027800bddfd773b447bf9fede870046");
        assert_eq!(uplink.session.as_deref(), Some("24004F6B"));
        assert_eq!(uplink.names.application.as_deref(), Some("1"));
        let radio = uplink.radio;
        assert_eq!(radio.frequency, Some(868_300_000));
        assert_eq!(radio.data_rate.as_deref(), Some("SF12BW125"));
        assert_eq!((radio.rssi, radio.snr), (Some(-107.0), Some(-7.0)));
        assert_eq!(radio.receptions[0].gateway, "7276FF0039030436");
    }

    #[test]
    fn payloads_come_in_either_encoding_or_encrypted() {
        let mut body = sample("kerlink_wanesy.json");
        body["payload"] = json!("ACeA");
        body["encodingType"] = json!("BASE64");
        let bytes = as_uplink(parse(&body)).payload;
        assert_eq!(bytes.as_deref(), Some(&[0, 0x27, 0x80][..]));
        body["encrypted"] = json!(true);
        assert_eq!(as_uplink(parse(&body)).payload, None);
    }

    #[test]
    fn older_versions_have_the_payload_elsewhere() {
        let mut body = json!({"devEui": "343737394a336f09", "msgId": 17,
            "fcntUp": 7, "userdata": {"payload": "ACc=", "fport": 2}});
        let uplink = as_uplink(parse(&body));
        assert_eq!(uplink.network_device_id, "343737394A336F09");
        assert_eq!((uplink.f_port, uplink.f_cnt), (Some(2), Some(7)));
        assert_eq!(uplink.payload.as_deref(), Some(&[0, 0x27][..]));
        assert_eq!(uplink.reception.as_deref(), Some("17"));
        // Hexadecimal digits are valid base64, too, so only `encodingType` can distinguish them.
        body["userdata"]["payload"] = json!("AAEC");
        assert_eq!(
            as_uplink(parse(&body)).payload.as_deref(),
            Some(&[0, 1, 2][..])
        );
        body["encodingType"] = json!("HEXA");
        let bytes = as_uplink(parse(
            &json!({"devEui": "343737394a336f09", "encodingType": "HEXA",
            "userdata": {"payload": "0027"}}),
        ));
        assert_eq!(bytes.payload.as_deref(), Some(&[0, 0x27][..]));
        body["userdata"]["payload"] = json!("0");
        let error = parse(&body).unwrap_err().to_string();
        assert!(
            error.starts_with("userdata.payload: must be hex"),
            "{error}"
        );
        let error = parse(&json!({"payload": "00"})).unwrap_err().to_string();
        assert_eq!(
            error,
            "devEui: is required: devices are identified by their DevEUI"
        );
    }

    #[test]
    fn news_of_a_downlink_need_no_device() {
        let report = |event: &str, status: &str| {
            let news = as_news(parse(&json!({"dataDownId": "5d23", "event": event,
                "status": status, "clusterId": 1, "nbAttempts": 1, "multicast": false})));
            assert_eq!(news.network_device_id, None);
            news.report
        };
        let downlink = |state| {
            Report::Downlink(DownlinkNews {
                network_reference: Some("5d23".to_owned()),
                ..DownlinkNews::of_some(state)
            })
        };
        assert_eq!(report("TRANSMISSION", "OK"), downlink(DownlinkState::Sent));
        let why = DownlinkState::Failed("Kerlink: TRANSMISSION KO".to_owned());
        assert_eq!(report("TRANSMISSION", "KO"), downlink(why));
        assert_eq!(report("ACK", "OK"), downlink(DownlinkState::Acknowledged));
        let state = DownlinkState::NotAcknowledged;
        assert_eq!(report("ACK", "TIMEOUT"), downlink(state));
        let kind = "PACKET".to_owned();
        assert_eq!(report("PACKET", "TOKEN"), Report::Other { kind });
    }

    #[test]
    fn anything_else_is_news() {
        let device = json!({"devEui": "343737394A336F09"});
        let news = as_news(parse(&json!({"endDevice": device, "status": "OK"})));
        assert_eq!(news.network_device_id.as_deref(), Some("343737394A336F09"));
        let kind = "event".to_owned();
        assert_eq!(news.report, Report::Other { kind });
        let news = as_news(parse(&json!({"endDevice": device, "type": "JOIN_ACCEPT"})));
        assert_eq!(news.report, Report::Join { dev_addr: None });
        // The payload of a downlink is not an uplink.
        let down = json!({"endDevice": device, "payload": "00", "fPort": 1, "fCntDown": 7});
        assert!(matches!(as_news(parse(&down)).report, Report::Other { .. }));
        for nobody in [
            json!({}),
            json!({"endDevice": {"devEui": "?"}, "type": "new"}),
        ] {
            assert_eq!(as_news(parse(&nobody)).network_device_id, None);
        }
    }
}
