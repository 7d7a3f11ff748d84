//! LORIOT over its HTTP push output.
//!
//! `cmd` is the kind of the message: `rx` is an uplink, `gw` the same uplink with its gateways, sent
//! additionally or instead. `encdata` replaces `data` if LORIOT has no application key.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::networks::{
    event::{DownlinkNews, DownlinkState, Event, News, Radio, Report, Uplink},
    lorawan::{self, Battery, dev_eui, required_dev_eui},
    malformed::Malformed,
    read::{
        PayloadEncoding, ReportedTime, at, flag, frame_counter, instant, level, milliseconds,
        object, payload, port, text, whole_number,
    },
    uplink::{Incoming, UplinkNetwork},
};

/// The adapter, which has no settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uplinks {}

impl UplinkNetwork for Uplinks {
    fn parse(&self, incoming: Incoming<'_>) -> Result<Event, Malformed> {
        let body = object(incoming.body, "body")?;
        let kind = match at(body, "cmd").and_then(text) {
            Some(kind) if kind == "rx" || kind == "gw" => {
                return uplink(body).map(Event::uplink);
            }
            Some(kind) => kind,
            // An uplink without its kind must not be stored as another message.
            None if at(body, "data").or_else(|| at(body, "encdata")).is_some() => {
                return Err(Malformed::new("cmd", "is required, such as rx or gw"));
            }
            None => crate::networks::event::UNNAMED.to_owned(),
        };
        Ok(Event::News(News {
            time: at(body, "ts").and_then(milliseconds),
            ..News::new(dev_eui(body, "EUI"), report(kind, body))
        }))
    }
}

fn report(kind: String, body: &Value) -> Report {
    let failure = at(body, "error").and_then(text);
    let state = match (kind.as_str(), failure) {
        ("txd" | "tx", Some(why)) => DownlinkState::Failed(why),
        ("txd", None) => DownlinkState::Sent,
        ("tx", None) => DownlinkState::Queued,
        _ => return Report::Other { kind },
    };
    Report::Downlink(DownlinkNews {
        correlation: None,
        network_reference: at(body, "seqdn")
            .and_then(whole_number)
            .map(|number| number.to_string()),
        f_cnt_down: None,
        state,
    })
}

fn uplink(body: &Value) -> Result<Uplink, Malformed> {
    let sent = at(body, "data").map(|data| payload(data, PayloadEncoding::Hex, "data"));
    let nothing = at(body, "encdata").is_none().then(Bytes::new);
    let uplink = Uplink {
        network_device_id: required_dev_eui(body, "EUI")?,
        // The sequence number of a frame is the same in all copies and is never reused.
        reception: at(body, "seqno")
            .and_then(whole_number)
            .map(|n| n.to_string()),
        f_port: at(body, "port")
            .map(|value| port(value, "port"))
            .transpose()?,
        f_cnt: at(body, "fcnt")
            .map(|value| frame_counter(value, "fcnt"))
            .transpose()?,
        payload: sent.transpose()?.or(nothing),
        acknowledges: at(body, "ack").is_some_and(flag),
        radio: radio(body),
        ..Uplink::default()
    };
    Ok(uplink.heard_at(ReportedTime::first([at(body, "ts")], milliseconds)))
}

fn radio(body: &Value) -> Radio {
    let mut receptions = lorawan::receptions(at(body, "gws"), "gweui", "rssi", "snr");
    let gateways = at(body, "gws").and_then(Value::as_array);
    for (reception, gateway) in receptions.iter_mut().zip(gateways.into_iter().flatten()) {
        let read = || milliseconds(at(gateway, "ts")?);
        reception.time = at(gateway, "time").and_then(instant).or_else(read);
    }
    let radio = lorawan::heard(receptions);
    let mut radio = radio
        .with_hertz(at(body, "freq"))
        .with_data_rate(at(body, "dr"));
    radio.rssi = radio.rssi.or_else(|| at(body, "rssi").and_then(level));
    radio.snr = radio.snr.or_else(|| at(body, "snr").and_then(level));
    radio.confirmed = at(body, "confirmed").map(flag);
    radio.dev_addr = at(body, "devaddr").and_then(text);
    // LORIOT repeats the last reported battery state in each uplink.
    let battery = Battery::of(at(body, "bat"));
    (radio.battery_percent, radio.external_power) = (battery.percent, battery.external_power);
    radio
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
        let uplink = as_uplink(parse(&sample("loriot.json")));
        assert_eq!(uplink.network_device_id, "1000000000000001");
        assert_eq!((uplink.f_port, uplink.f_cnt), (Some(85), Some(2)));
        assert_eq!(uplink.reception.as_deref(), Some("3040"));
        assert_eq!(uplink.time, instant(&json!("2023-05-19T06:46:41.936Z")));
        let bytes = uplink.payload.expect("decrypted");
        assert_eq!(hex::encode(bytes), "0175640367180104686d");
        let radio = uplink.radio;
        assert_eq!(radio.frequency, Some(867_500_000));
        assert_eq!(radio.data_rate.as_deref(), Some("SF9BW125"));
        assert_eq!(radio.coding_rate.as_deref(), Some("4/5"));
        assert_eq!((radio.rssi, radio.snr), (Some(-21.0), Some(10.0)));

        // LORIOT reports the device's ACK bit, but not whether the uplink is confirmed.
        assert_eq!((uplink.acknowledges, radio.confirmed), (false, None));
        assert_eq!(radio.battery_percent, Some(36.8));
        let mut body = sample("loriot.json");
        body["ack"] = json!(true);
        assert!(as_uplink(parse(&body)).acknowledges);

        let uplink = as_uplink(parse(&sample("loriot_basic.json")));
        assert_eq!((uplink.f_port, uplink.f_cnt), (Some(1), Some(1)));
        assert_eq!(uplink.reception, None);
    }

    #[test]
    fn a_copy_with_gateways_is_the_same_frame() {
        let copy = as_uplink(parse(&sample("loriot_gw.json")));
        let uplink = as_uplink(parse(&sample("loriot.json")));
        assert_eq!(copy.radio.receptions.len(), 2);
        assert_eq!((copy.radio.rssi, copy.radio.snr), (Some(-21.0), Some(10.0)));
        let frame = |uplink: Uplink| (uplink.reception, uplink.f_cnt, uplink.payload);
        assert_eq!(frame(copy), frame(uplink));
    }

    #[test]
    fn what_is_encrypted_is_no_payload() {
        let mut body = sample("loriot.json");
        let data = body.as_object_mut().unwrap().remove("data").unwrap();
        assert_eq!(as_uplink(parse(&body)).payload, Some(Bytes::new()));
        body["encdata"] = data;
        assert_eq!(as_uplink(parse(&body)).payload, None);
    }

    #[test]
    fn reads_what_else_it_sends() {
        let report = |body: Value| as_news(parse(&body)).report;
        let downlink = |state| {
            Report::Downlink(DownlinkNews {
                correlation: None,
                network_reference: Some("8".to_owned()),
                f_cnt_down: None,
                state,
            })
        };
        let of = |cmd: &str| json!({"cmd": cmd, "EUI": "1000000000000001", "seqdn": 8});
        assert_eq!(report(of("txd")), downlink(DownlinkState::Sent));
        assert_eq!(report(of("tx")), downlink(DownlinkState::Queued));
        let mut refused = of("tx");
        refused["error"] = json!("Device not found");
        let why = DownlinkState::Failed("Device not found".to_owned());
        assert_eq!(report(refused), downlink(why));
        let kind = "gateway_alarm".to_owned();
        assert_eq!(report(of("gateway_alarm")), Report::Other { kind });
        let kind = "unnamed".to_owned();
        assert_eq!(report(json!({"EUI": 1})), Report::Other { kind });
    }

    #[test]
    fn faults_name_the_place_and_the_rule() {
        let with = |name: &str, value: Value| {
            let mut body = sample("loriot.json");
            body[name] = value;
            parse(&body).unwrap_err().to_string()
        };
        assert_eq!(
            with("cmd", Value::Null),
            "cmd: is required, such as rx or gw"
        );
        assert_eq!(with("EUI", json!(1)), "EUI: must be 16 hexadecimal digits");
        assert_eq!(
            with("port", json!(256)),
            "port: must be a whole number from 0 to 255"
        );
    }

    #[test]
    fn a_time_that_cannot_be_read_is_kept_as_it_is() {
        let mut body = sample("loriot.json");
        body["ts"] = json!("yesterday");
        let uplink = as_uplink(parse(&body));
        assert_eq!(uplink.time, None);
        assert_eq!(uplink.radio.reported_time.as_deref(), Some("yesterday"));
    }
}
