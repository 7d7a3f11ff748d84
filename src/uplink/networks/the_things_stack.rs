//! The Things Stack, version 3 (The Things Network, The Things Industries and private stacks), by
//! webhook.
//!
//! Its messages are protocol buffers written as JSON, which **leave out every zero**: an absent
//! `f_port` is port 0, an absent `f_cnt` is counter 0, an absent `frm_payload` is empty, an absent
//! `snr` beside an `rssi` is 0 dB. (An absent `rssi` is unknown: no gateway measures 0 dBm.)
//!
//! A device is known by its DevEUI. The stack's own `device_id` is not unique across applications.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Event, Incoming, Malformed, Names, Network, News, PayloadEncoding, Radio, Reception, Told,
    Uplink,
    read::{MAX_RECEPTIONS, frame_counter, instant, level, payload, port, text, whole_number},
};

/// All kinds of message but the uplink; each is the name of the key that carries it.
const OTHER_KINDS: [&str; 10] = [
    "join_accept",
    "downlink_ack",
    "downlink_nack",
    "downlink_sent",
    "downlink_failed",
    "downlink_queued",
    "downlink_queue_invalidated",
    "location_solved",
    "service_data",
    // A second form of an `uplink_message` that is sent on its own.
    "uplink_normalized",
];

/// The adapter, which is its own settings: reading needs none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TheThingsStack {}

impl Network for TheThingsStack {
    fn parse(&self, incoming: Incoming<'_>) -> Result<Event, Malformed> {
        let body = incoming.body;
        if !body.is_object() {
            return Err(Malformed::new("body", "must be a JSON object"));
        }
        if let Some(message) = at(body, "uplink_message") {
            if !message.is_object() {
                return Err(Malformed::new("uplink_message", "must be an object"));
            }
            return uplink(body, message).map(Event::Uplink);
        }
        let Some(kind) = OTHER_KINDS
            .into_iter()
            .find(|kind| at(body, kind).is_some())
        else {
            let rule = format!("is required, or one of {}", OTHER_KINDS.join(", "));
            return Err(Malformed::new("uplink_message", rule));
        };
        Ok(Event::News(News {
            network_device_id: dev_eui(body)?,
            names: names(body),
            time: None,
            told: Told::Other {
                kind: kind.to_owned(),
            },
        }))
    }
}

/// The value at a path of member names; JSON's null is "left out".
fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    let found = path
        .split('.')
        .try_fold(value, |value, name| value.get(name));
    found.filter(|value| !value.is_null())
}

fn dev_eui(body: &Value) -> Result<Option<String>, Malformed> {
    const FIELD: &str = "end_device_ids.dev_eui";
    let Some(value) = at(body, FIELD) else {
        return Ok(None);
    };
    value
        .as_str()
        .filter(|eui| eui.len() == 16 && eui.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .map(|eui| Some(eui.to_ascii_uppercase()))
        .ok_or_else(|| Malformed::new(FIELD, "must be 16 hexadecimal digits"))
}

fn names(body: &Value) -> Names {
    let name = |path| at(body, path).and_then(text);
    Names {
        device: name("end_device_ids.device_id"),
        application: name("end_device_ids.application_ids.application_id"),
        tenant: None,
    }
}

fn uplink(body: &Value, message: &Value) -> Result<Uplink, Malformed> {
    let network_device_id = dev_eui(body)?.ok_or_else(|| {
        Malformed::new(
            "end_device_ids.dev_eui",
            "is required: devices are known by their DevEUI",
        )
    })?;
    Ok(Uplink {
        network_device_id,
        names: names(body),
        session: at(message, "session_key_id")
            .or_else(|| at(body, "end_device_ids.dev_addr"))
            .and_then(text),
        wants_downlink: false,
        f_port: Some(at(message, "f_port").map_or(Ok(0), |v| port(v, "uplink_message.f_port"))?),
        f_cnt: Some(
            at(message, "f_cnt").map_or(Ok(0), |v| frame_counter(v, "uplink_message.f_cnt"))?,
        ),
        payload: application_payload(message)?,
        time: received_at(body, message)?,
        radio: radio(body, message),
    })
}

fn application_payload(message: &Value) -> Result<Option<Bytes>, Malformed> {
    // The stack sends the session key exactly when the application decrypts for itself
    // (`skip_payload_crypto`): what it sends as the payload is then cipher text.
    if at(message, "app_s_key").is_some() {
        return Ok(None);
    }
    at(message, "frm_payload").map_or(Ok(Some(Bytes::new())), |value| {
        payload(value, PayloadEncoding::Base64, "uplink_message.frm_payload").map(Some)
    })
}

/// The network server's time of reception, before the application server's. Not the gateway's
/// (`settings.time`): gateway clocks go wrong.
fn received_at(body: &Value, message: &Value) -> Result<Option<DateTime<Utc>>, Malformed> {
    let found = at(message, "received_at")
        .map(|value| ("uplink_message.received_at", value))
        .or_else(|| at(body, "received_at").map(|value| ("received_at", value)));
    let Some((field, value)) = found else {
        return Ok(None);
    };
    let rule = "must be an RFC 3339 time from 1970 to 9999";
    instant(value)
        .map(Some)
        .ok_or_else(|| Malformed::new(field, rule))
}

fn radio(body: &Value, message: &Value) -> Radio {
    let rate = |path| at(at(message, "settings.data_rate")?, path);
    let modulation = [("lora", "LORA"), ("fsk", "FSK"), ("lrfhss", "LR_FHSS")]
        .into_iter()
        .find_map(|(member, name)| rate(member).map(|_| name));
    let spread_factor = rate("lora.spreading_factor")
        .and_then(whole_number)
        .and_then(|factor| u8::try_from(factor).ok())
        .filter(|factor| (5..=12).contains(factor));
    let bandwidth = rate("lora.bandwidth")
        .or_else(|| rate("lrfhss.operating_channel_width"))
        .and_then(whole_number)
        .filter(|hertz| (1_000..=10_000_000).contains(hertz))
        .and_then(|hertz| u32::try_from((hertz + 500) / 1000).ok());
    let data_rate = match (spread_factor, bandwidth) {
        (Some(factor), Some(bandwidth)) => Some(format!("SF{factor}BW{bandwidth}")),
        _ => rate("fsk.bit_rate")
            .and_then(whole_number)
            .map(|bits| bits.to_string()),
    };
    // Newer stacks send it inside the data rate, older ones beside it.
    let coding_rate = rate("lora.coding_rate")
        .or_else(|| rate("lrfhss.coding_rate"))
        .or_else(|| at(message, "settings.coding_rate"));
    let confirmed = at(message, "confirmed").and_then(Value::as_bool);
    let receptions = receptions(message, modulation == Some("LORA"));
    let best = best(&receptions);
    Radio {
        frequency: at(message, "settings.frequency")
            .and_then(whole_number)
            .filter(|hertz| (1..=100_000_000_000).contains(hertz)),
        bandwidth,
        spread_factor,
        modulation: modulation.map(str::to_owned),
        data_rate,
        coding_rate: coding_rate.and_then(text),
        rssi: best.and_then(|best| best.rssi),
        snr: best.and_then(|best| best.snr),
        confirmed: Some(confirmed.unwrap_or(false)),
        dev_addr: at(body, "end_device_ids.dev_addr").and_then(text),
        receptions,
    }
}

fn receptions(message: &Value, is_lora: bool) -> Vec<Reception> {
    let all = at(message, "rx_metadata")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let kept = all.iter().take(MAX_RECEPTIONS);
    kept.map(|item| {
        let rssi = at(item, "rssi").and_then(level);
        Reception {
            gateway: gateway(item).unwrap_or_default(),
            rssi,
            snr: match at(item, "snr") {
                Some(snr) => level(snr),
                None if is_lora && rssi.is_some() => Some(0.0),
                None => None,
            },
            time: at(item, "time").and_then(instant),
        }
    })
    .collect()
}

/// The gateway's id; for one of another network, which Packet Broker passed on, its id there and
/// not that of the broker, which is the same for all.
fn gateway(item: &Value) -> Option<String> {
    [
        "packet_broker.forwarder_gateway_id",
        "packet_broker.forwarder_gateway_eui",
        "gateway_ids.gateway_id",
        "gateway_ids.eui",
    ]
    .into_iter()
    .find_map(|path| at(item, path).and_then(text))
}

/// The strongest reception, the better signal to noise ratio deciding between equals.
fn best(receptions: &[Reception]) -> Option<&Reception> {
    let rank = |reception: &Reception| {
        (
            reception.rssi.unwrap_or(f64::MIN),
            reception.snr.unwrap_or(f64::MIN),
        )
    };
    receptions.iter().max_by(|a, b| {
        let ((a_rssi, a_snr), (b_rssi, b_snr)) = (rank(a), rank(b));
        a_rssi.total_cmp(&b_rssi).then(a_snr.total_cmp(&b_snr))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    macro_rules! sample {
        ($name:literal) => {
            include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/uplinks/",
                $name
            ))
        };
    }

    fn event(sample: &str) -> Event {
        let body = serde_json::from_str(sample).expect("samples are JSON");
        TheThingsStack {}
            .parse(Incoming::of(&body))
            .expect("samples are well-formed")
    }

    fn uplink_of(sample: &str) -> Uplink {
        match event(sample) {
            Event::Uplink(uplink) => uplink,
            other => panic!("not an uplink: {other:?}"),
        }
    }

    fn time(text: &str) -> Option<DateTime<Utc>> {
        instant(&json!(text))
    }

    #[test]
    fn reads_the_documented_uplink() {
        let wanted = Uplink {
            network_device_id: "0004A30B001C0530".to_owned(),
            names: Names {
                device: Some("dev1".to_owned()),
                application: Some("app1".to_owned()),
                tenant: None,
            },
            session: Some("AXA50tHUGUucuzS/bCGMNw==".to_owned()),
            wants_downlink: false,
            f_port: Some(0),
            f_cnt: Some(1),
            payload: Some(Bytes::from_static(&[0x82, 0x41, 0xde])),
            time: time("2020-02-12T15:15:45.789585Z"),
            radio: Radio {
                frequency: Some(868_300_000),
                bandwidth: Some(125),
                spread_factor: Some(7),
                modulation: Some("LORA".to_owned()),
                data_rate: Some("SF7BW125".to_owned()),
                coding_rate: Some("4/6".to_owned()),
                rssi: Some(-35.0),
                snr: Some(5.0),
                confirmed: Some(false),
                dev_addr: Some("00BCB929".to_owned()),
                receptions: vec![Reception {
                    gateway: "gtw1".to_owned(),
                    rssi: Some(-35.0),
                    snr: Some(5.0),
                    time: time("2020-02-12T15:15:45.787Z"),
                }],
            },
        };
        assert_eq!(uplink_of(sample!("ttn_v3.json")), wanted);
        let stored = serde_json::to_value(&wanted.radio).expect("radio is JSON");
        assert_eq!(
            serde_json::from_value::<Radio>(stored).ok(),
            Some(wanted.radio)
        );
    }

    #[test]
    fn reads_uplinks_from_the_field() {
        let uplink = uplink_of(sample!("ttn_v3_milesight_am102.json"));
        assert_eq!((uplink.f_port, uplink.f_cnt), (Some(85), Some(10335)));
        let bytes = uplink.payload.expect("decrypted");
        assert_eq!(hex::encode(bytes), "0175640367180104686d");
        assert_eq!(uplink.radio.snr, Some(13.2));
        assert_eq!(uplink.radio.coding_rate.as_deref(), Some("4/5"));

        let radio = uplink_of(sample!("tti_v3_packetbroker.json")).radio;
        let gateways: Vec<_> = radio
            .receptions
            .iter()
            .map(|r| r.gateway.as_str())
            .collect();
        assert_eq!(gateways, ["eui-6A7E111A10000000", "eui-6a7e111a10000000"]);
    }

    #[test]
    fn other_kinds_name_themselves_and_the_device() {
        for (sample, kind, id) in [
            (
                sample!("ttn_v3_join.json"),
                "join_accept",
                Some("0004A30B001C0530"),
            ),
            (
                sample!("ttn_v3_downlink_ack.json"),
                "downlink_ack",
                Some("0004A30B001C0530"),
            ),
            (
                sample!("ttn_v3_downlink_failed.json"),
                "downlink_failed",
                None,
            ),
        ] {
            let Event::News(news) = event(sample) else {
                panic!("no uplink: {sample}");
            };
            assert_eq!(news.network_device_id.as_deref(), id);
            let kind = kind.to_owned();
            assert_eq!(news.told, Told::Other { kind });
        }
        let published = sample!("ttn_v3.as_published.txt");
        assert!(
            serde_json::from_str::<Value>(published).is_err(),
            "as published it is no JSON"
        );
    }

    /// The smallest body, with one message member set.
    fn with(name: &str, value: Value) -> Value {
        let mut body =
            json!({"end_device_ids": {"dev_eui": "00aa00aa00aa00aa"}, "uplink_message": {}});
        body["uplink_message"][name] = value;
        body
    }

    #[test]
    fn left_out_members_are_zero() {
        let parse = |body| match (TheThingsStack {}).parse(Incoming::of(&body)) {
            Ok(Event::Uplink(uplink)) => uplink,
            other => panic!("not an uplink: {other:?}"),
        };
        let uplink = parse(with("f_cnt", Value::Null));
        assert_eq!(uplink.network_device_id, "00AA00AA00AA00AA");
        assert_eq!(
            (uplink.f_port, uplink.f_cnt, uplink.time),
            (Some(0), Some(0), None)
        );
        assert_eq!(uplink.payload, Some(Bytes::new()));

        let uplink = parse(with("app_s_key", json!({"key": "..."})));
        assert_eq!(uplink.payload, None, "still encrypted");

        let mut body = with(
            "rx_metadata",
            json!([{}, {"rssi": -90, "snr": "x"}, {"rssi": "-80"}, 7]),
        );
        body["uplink_message"]["settings"] =
            json!({"data_rate": {"lora": {"bandwidth": 812_500, "spreading_factor": 99}}});
        let radio = parse(body).radio;
        assert_eq!((radio.rssi, radio.snr), (Some(-80.0), Some(0.0)));
        assert_eq!((radio.bandwidth, radio.spread_factor), (Some(813), None));
        assert_eq!(radio.receptions.len(), 4);

        let settings = json!({"data_rate": {"fsk": {"bit_rate": 50000}}, "frequency": 868_800_000});
        let radio = parse(with("settings", settings)).radio;
        assert_eq!(radio.modulation.as_deref(), Some("FSK"));
        assert_eq!(radio.data_rate.as_deref(), Some("50000"));

        let many = parse(with("rx_metadata", json!(vec![json!({"rssi": -1}); 100])));
        assert_eq!(many.radio.receptions.len(), MAX_RECEPTIONS);
    }

    #[test]
    fn faults_name_the_place_and_the_rule() {
        let device = |eui| json!({"end_device_ids": {"dev_eui": eui}, "uplink_message": {}});
        let eui = "end_device_ids.dev_eui: must be 16 hexadecimal digits";
        let port = "uplink_message.f_port: must be a whole number from 0 to 255";
        let kinds = "uplink_message: is required, or one of join_accept, downlink_ack, \
                     downlink_nack, downlink_sent, downlink_failed, downlink_queued, \
                     downlink_queue_invalidated, location_solved, service_data, uplink_normalized";
        #[rustfmt::skip]
        let table = [
            (json!([]), "body: must be a JSON object"),
            (json!({"uplink_message": null}), kinds),
            (json!({"uplink_message": 1}), "uplink_message: must be an object"),
            (json!({"uplink_message": {}}), "end_device_ids.dev_eui: is required: devices are known by their DevEUI"),
            (device(json!("00aa")), eui),
            (device(json!("00AA00AA00AA00AG")), eui),
            (device(json!(1)), eui),
            (with("f_port", json!(256)), port),
            (with("f_port", json!(-1)), port),
            (with("f_port", json!(1.5)), port),
            (with("f_cnt", json!(1_u64 << 32)), "uplink_message.f_cnt: must be a whole number from 0 to 4294967295"),
            (with("frm_payload", json!("!")), "uplink_message.frm_payload: must be base64"),
            (with("frm_payload", json!([1])), "uplink_message.frm_payload: must be a string"),
            (with("received_at", json!("today")), "uplink_message.received_at: must be an RFC 3339 time from 1970 to 9999"),
        ];
        for (body, wanted) in table {
            let error = TheThingsStack {}
                .parse(Incoming::of(&body))
                .map_err(|error| error.to_string());
            assert_eq!(error, Err(wanted.to_owned()));
        }
    }
}
