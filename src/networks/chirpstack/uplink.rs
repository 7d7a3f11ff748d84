//! ChirpStack v4 over its HTTP integration.
//!
//! Messages are protocol buffers as JSON, which **omits every zero**: an absent `fPort` is port 0, an
//! absent `acknowledged` is false. The body does not contain the kind of the message. It is in the
//! query parameter `event`, or in the last level of the topic.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::networks::{
    chirpstack::v3,
    event::{DownlinkNews, DownlinkState, Event, Names, News, Radio, Relay, Report, Uplink},
    lorawan::{self, dev_eui, required_dev_eui},
    malformed::Malformed,
    read::{
        PayloadEncoding, ReportedTime, at, flag, frame_counter, instant, level, location, number,
        object, payload, port, text, whole_number,
    },
    uplink::{Incoming, UplinkNetwork},
};

/// Path of the DevEUI.
const DEV_EUI: &str = "deviceInfo.devEui";

/// The adapter, which has no settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uplinks {}

impl UplinkNetwork for Uplinks {
    fn parse(&self, incoming: Incoming<'_>) -> Result<Event, Malformed> {
        let body = object(incoming.body, "body")?;
        let as_newer = v3::as_newer(body);
        let body = as_newer.as_ref().unwrap_or(body);
        let kind = kind(incoming).unwrap_or_else(|| crate::networks::event::UNNAMED.to_owned());
        if kind == "up" {
            let network_device_id = required_dev_eui(body, DEV_EUI)?;
            return uplink(body, network_device_id).map(Event::uplink);
        }
        Ok(Event::News(News {
            names: names(body),
            time: at(body, "time").and_then(instant),
            ..News::new(dev_eui(body, DEV_EUI), report(&kind, body))
        }))
    }
}

/// Returns the kind of a message. Uplinks are also recognised by their receptions, which no other kind
/// has.
fn kind(incoming: Incoming<'_>) -> Option<String> {
    let of_topic = || incoming.topic?.rsplit('/').next();
    let report = incoming.parameter("event").or_else(of_topic);
    let report = report.map(|kind| text(&Value::from(kind)).unwrap_or_default());
    let is_uplink = || at(incoming.body, "rxInfo").is_some();
    report
        .filter(|kind| !kind.is_empty())
        .or_else(|| is_uplink().then(|| "up".to_owned()))
}

fn report(kind: &str, body: &Value) -> Report {
    let other = |kind: &str| Report::Other {
        kind: kind.to_owned(),
    };
    match kind {
        "join" => Report::Join {
            dev_addr: at(body, "devAddr").and_then(text),
        },
        "ack" => Report::Downlink(match at(body, "acknowledged").is_some_and(flag) {
            true => downlink(body, DownlinkState::Acknowledged),
            false => downlink(body, DownlinkState::NotAcknowledged),
        }),
        "txack" => Report::Downlink(downlink(body, DownlinkState::Sent)),
        "status" => status(body),
        "log" => log(body),
        "location" => location(body, "location").unwrap_or_else(|| other(kind)),
        "integration" => match at(body, "eventType").and_then(text) {
            Some(kind) => Report::Other { kind },
            None => other(kind),
        },
        _ => other(kind),
    }
}

fn names(body: &Value) -> Names {
    let name = |path| at(body, path).and_then(text);
    Names {
        device: name("deviceInfo.deviceName"),
        application: name("deviceInfo.applicationId"),
        tenant: name("deviceInfo.tenantId"),
    }
}

fn uplink(body: &Value, network_device_id: String) -> Result<Uplink, Malformed> {
    let dev_addr = at(body, "devAddr").and_then(text);
    // The join server context is sent only if the application server decrypts the payload itself.
    let is_encrypted = at(body, "joinServerContext").is_some();
    let data = at(body, "data").filter(|_| !is_encrypted);
    let nothing = (!is_encrypted).then(Bytes::new);
    let uplink = Uplink {
        network_device_id,
        names: names(body),
        session: dev_addr.clone(),
        reception: at(body, "deduplicationId").and_then(text),
        f_port: Some(at(body, "fPort").map_or(Ok(0), |v| port(v, "fPort"))?),
        f_cnt: Some(at(body, "fCnt").map_or(Ok(0), |v| frame_counter(v, "fCnt"))?),
        payload: match data {
            Some(data) => Some(payload(data, PayloadEncoding::Base64, "data")?),
            None => nothing,
        },
        radio: Radio {
            dev_addr,
            confirmed: Some(at(body, "confirmed").is_some_and(flag)),
            relay: at(body, "relayRxInfo").map(relay),
            ..radio(body)
        },
        ..Uplink::default()
    };
    Ok(uplink.heard_at(ReportedTime::first([at(body, "time")], instant)))
}

/// Returns the relay that forwarded a frame and its reception of the device. Zeros are omitted in the
/// message.
fn relay(report: &Value) -> Relay {
    let rssi = at(report, "rssi").and_then(level);
    Relay {
        dev_eui: dev_eui(report, "devEui"),
        frequency: Radio::default()
            .with_hertz(at(report, "frequency"))
            .frequency,
        rssi,
        snr: match at(report, "snr") {
            Some(snr) => level(snr),
            None => rssi.map(|_| 0.0),
        },
    }
}

fn radio(body: &Value) -> Radio {
    let modulation = |path| at(at(body, "txInfo.modulation")?, path);
    let mut receptions = lorawan::receptions(at(body, "rxInfo"), "gatewayId", "rssi", "snr");
    let is_lora = modulation("lora").is_some();
    for (reception, item) in receptions.iter_mut().zip(items(body)) {
        // Zeros are omitted: no gateway measures 0 dBm, but 0 dB is common.
        if is_lora && reception.rssi.is_some() && at(item, "snr").is_none() {
            reception.snr = Some(0.0);
        }
        let time = ["gwTime", "nsTime", "time"];
        reception.time = time.into_iter().find_map(|name| instant(at(item, name)?));
    }
    let radio = lorawan::heard(receptions).with_hertz(at(body, "txInfo.frequency"));
    let mut radio = radio.with_lora(
        modulation("lora.spreadingFactor"),
        modulation("lora.bandwidth").or_else(|| modulation("lrFhss.operatingChannelWidth")),
    );
    let names = [("lora", "LORA"), ("fsk", "FSK"), ("lrFhss", "LR_FHSS")];
    let name = names
        .into_iter()
        .find(|(name, _)| modulation(name).is_some());
    radio.modulation = name.map(|(_, name)| name.to_owned());
    if radio.data_rate.is_none() {
        let bits = modulation("fsk.datarate").and_then(whole_number);
        radio.data_rate = bits.map(|bits| bits.to_string());
    }
    // v4 sends `CR_4_5`; older versions send `4/5`.
    let coding_rate = modulation("lora.codeRate").or_else(|| modulation("lrFhss.codeRate"));
    let coding_rate = coding_rate.and_then(text);
    radio.coding_rate = coding_rate.map(|rate| match rate.strip_prefix("CR_") {
        Some(rate) => rate.replace('_', "/"),
        None => rate,
    });
    radio
}

fn items(body: &Value) -> impl Iterator<Item = &Value> {
    at(body, "rxInfo")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn downlink(body: &Value, state: DownlinkState) -> DownlinkNews {
    let f_cnt_down = at(body, "fCntDown").and_then(whole_number).unwrap_or(0);
    DownlinkNews {
        correlation: None,
        network_reference: at(body, "queueItemId").and_then(text),
        f_cnt_down: u32::try_from(f_cnt_down).ok(),
        state,
    }
}

fn status(body: &Value) -> Report {
    let external_power = at(body, "externalPowerSource").is_some_and(flag);
    let is_unknown = external_power || at(body, "batteryLevelUnavailable").is_some_and(flag);
    let charge = at(body, "batteryLevel").and_then(number).unwrap_or(0.0);
    Report::Status {
        battery_percent: (!is_unknown).then_some(charge.clamp(0.0, 100.0)),
        battery_v: None,
        external_power: Some(external_power),
        margin_db: at(body, "margin").map_or(Some(0.0), level),
    }
}

fn log(body: &Value) -> Report {
    // `INFO` is the zero of the levels, which is omitted.
    let level = at(body, "level")
        .and_then(text)
        .unwrap_or_else(|| "INFO".to_owned());
    let code = at(body, "code").and_then(text);
    let described = at(body, "description").and_then(text);
    let message = described
        .or_else(|| code.clone())
        .unwrap_or_else(|| "the network server wrote a log entry".to_owned());
    if level != "ERROR" {
        let level = Some(level);
        return Report::Log {
            level,
            code,
            message,
        };
    }
    // The error refers to a queue item that ChirpStack discarded: too long, expired, or refused by the
    // gateway.
    match at(body, "context.queue_item_id").and_then(text) {
        Some(reference) => Report::Downlink(DownlinkNews {
            correlation: None,
            network_reference: Some(reference),
            f_cnt_down: None,
            state: DownlinkState::Failed(message),
        }),
        None => Report::Error { code, message },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::networks::sample::{as_news, as_uplink, sample};

    fn parse(kind: &str, body: &Value) -> Result<Event, Malformed> {
        let query = [("event".to_owned(), kind.to_owned())];
        Uplinks {}.parse(Incoming {
            query: &query,
            ..Incoming::of(body)
        })
    }

    #[test]
    fn reads_uplinks() {
        let uplink = as_uplink(parse("up", &sample("chirpstack_v4.json")));
        assert_eq!(uplink.network_device_id, "0101010101010101");
        assert_eq!((uplink.f_port, uplink.f_cnt), (Some(1), Some(0)));
        assert_eq!(uplink.payload.as_deref(), Some(&[0xaa][..]));
        assert_eq!(uplink.session.as_deref(), Some("00189440"));
        let application = uplink.names.application.as_deref();
        assert_eq!(application, Some("17c82e96-be03-4f38-aef3-f83d48582d97"));
        let radio = &uplink.radio;
        assert_eq!(radio.data_rate.as_deref(), Some("SF11BW125"));
        assert_eq!(radio.coding_rate.as_deref(), Some("4/5"));
        assert_eq!((radio.rssi, radio.snr), (Some(-36.0), Some(10.5)));
        assert_eq!(radio.receptions[0].gateway, "0016c001f153a14c");

        let uplink = as_uplink(parse("up", &sample("chirpstack_v4_milesight_am102.json")));
        assert_eq!((uplink.f_port, uplink.f_cnt), (Some(85), Some(4)));
        let bytes = uplink.payload.expect("decrypted");
        assert_eq!(hex::encode(bytes), "0175640367180104686d");
        assert!(uplink.radio.receptions[0].time.is_some());
    }

    #[test]
    fn the_kind_comes_in_the_query_or_the_topic() {
        let body = sample("chirpstack_v4_join.json");
        let topic = Some("application/1/device/0101010101010101/event/join");
        let incoming = Incoming {
            topic,
            ..Incoming::of(&body)
        };
        let joined = Report::Join {
            dev_addr: Some("00189440".to_owned()),
        };
        assert_eq!(as_news(Uplinks {}.parse(incoming)).report, joined);
        assert_eq!(as_news(parse("join", &body)).report, joined);
        let news = as_news(Uplinks {}.parse(Incoming::of(&body)));
        assert_eq!(news.network_device_id.as_deref(), Some("0101010101010101"));
        let kind = "unnamed".to_owned();
        assert_eq!(news.report, Report::Other { kind });
        let nobody = as_news(parse("new", &json!({})));
        assert_eq!(nobody.network_device_id, None);
        // Without a kind, an uplink is recognised by its content.
        let body = sample("chirpstack_v4.json");
        as_uplink(Uplinks {}.parse(Incoming::of(&body)));
    }

    #[test]
    fn reads_what_else_it_sends() {
        let report = |kind: &str, name: &str| as_news(parse(kind, &sample(name))).report;
        let downlink = |reference: &str, f_cnt_down, state| {
            Report::Downlink(DownlinkNews {
                correlation: None,
                network_reference: Some(reference.to_owned()),
                f_cnt_down,
                state,
            })
        };
        assert_eq!(
            report("ack", "chirpstack_v4_ack.json"),
            downlink(
                "1bbcab1d-6ec6-4136-b3f5-d63be1dc08de",
                Some(3),
                DownlinkState::Acknowledged
            )
        );
        assert_eq!(
            report("txack", "chirpstack_v4_txack.json"),
            downlink(
                "42cb6459-a640-46ec-9623-bdff39dc4736",
                Some(2),
                DownlinkState::Sent
            )
        );
        let mut nack = sample("chirpstack_v4_ack.json");
        nack.as_object_mut().unwrap().remove("acknowledged");
        let reference = "1bbcab1d-6ec6-4136-b3f5-d63be1dc08de";
        let state = DownlinkState::NotAcknowledged;
        let news = as_news(parse("ack", &nack));
        assert_eq!(news.report, downlink(reference, Some(3), state));
        assert_eq!(
            report("status", "chirpstack_v4_status.json"),
            Report::Status {
                battery_percent: Some(88.3),
                battery_v: None,
                external_power: Some(false),
                margin_db: Some(10.0)
            }
        );
        assert_eq!(
            report("location", "chirpstack_v4_location.json"),
            Report::Location {
                latitude: 37.344_214,
                longitude: -8.839_375,
                altitude_m: Some(2.0),
                accuracy_m: None
            }
        );
        assert_eq!(
            report("log", "chirpstack_v4_log.json"),
            Report::Error {
                code: Some("UPLINK_MIC".to_owned()),
                message: "MIC of join-request is invalid, make sure keys are correct".to_owned()
            }
        );
        let kind = "modem_UplinkResponse".to_owned();
        assert_eq!(
            report("integration", "chirpstack_v4_integration.json"),
            Report::Other { kind }
        );
        let kind = "brand_new".to_owned();
        assert_eq!(
            report("brand_new", "chirpstack_v4_join.json"),
            Report::Other { kind }
        );
    }

    #[test]
    fn a_discarded_item_of_the_queue_is_a_failed_downlink() {
        let mut body = sample("chirpstack_v4_log.json");
        body["context"] = json!({"queue_item_id": "b6a", "max_size": "51"});
        body["description"] = json!("Item is too long");
        let Report::Downlink(news) = as_news(parse("log", &body)).report else {
            panic!("no downlink");
        };
        assert_eq!(news.network_reference.as_deref(), Some("b6a"));
        assert_eq!(
            news.state,
            DownlinkState::Failed("Item is too long".to_owned())
        );
    }

    #[test]
    fn what_is_encrypted_is_no_payload() {
        let mut body = sample("chirpstack_v4.json");
        body["joinServerContext"] = json!({"sessionKeyId": "01"});
        assert_eq!(as_uplink(parse("up", &body)).payload, None);
        let mut body = sample("chirpstack_v4.json");
        body.as_object_mut().unwrap().remove("data");
        assert_eq!(as_uplink(parse("up", &body)).payload, Some(Bytes::new()));
    }

    #[test]
    fn faults_name_the_place_and_the_rule() {
        let with = |name: &str, value: Value| {
            let mut body = sample("chirpstack_v4.json");
            body[name] = value;
            parse("up", &body).unwrap_err().to_string()
        };
        assert_eq!(
            with("fPort", json!(256)),
            "fPort: must be a whole number from 0 to 255"
        );
        assert_eq!(with("data", json!("!")), "data: must be base64");
        assert_eq!(
            with("deviceInfo", json!({"devEui": "01"})),
            "deviceInfo.devEui: must be 16 hexadecimal digits"
        );
        assert_eq!(
            with("deviceInfo", Value::Null),
            "deviceInfo.devEui: is required: devices are identified by their DevEUI"
        );
        let error = parse("up", &json!([])).unwrap_err().to_string();
        assert_eq!(error, "body: must be a JSON object");
    }

    #[test]
    fn the_battery_is_known_or_not() {
        for (body, percent, external) in [
            (json!({"batteryLevel": 50}), Some(50.0), false),
            (
                json!({"batteryLevel": 50, "externalPowerSource": true}),
                None,
                true,
            ),
            (json!({"batteryLevelUnavailable": true}), None, false),
            (json!({}), Some(0.0), false),
        ] {
            let expected = Report::Status {
                battery_percent: percent,
                battery_v: None,
                external_power: Some(external),
                margin_db: Some(0.0),
            };
            assert_eq!(status(&body), expected, "{body}");
        }
    }

    #[test]
    fn only_lora_has_a_ratio_of_zero_that_is_left_out() {
        for (modulation, snr) in [("lora", Some(0.0)), ("fsk", None)] {
            let mut body = json!({"rxInfo": [{"gatewayId": "01", "rssi": -48}], "txInfo": {}});
            body["txInfo"]["modulation"][modulation] = json!({});
            assert_eq!(radio(&body).receptions[0].snr, snr, "{modulation}");
        }
    }
}
