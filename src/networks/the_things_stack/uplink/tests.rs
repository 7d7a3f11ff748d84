use serde_json::json;

use super::*;
use crate::networks::sample::{as_news, as_uplink, sample};

fn parse(body: &Value) -> Result<Event, Malformed> {
    Uplinks {}.parse(Incoming::of(body))
}

fn time(text: &str) -> Option<chrono::DateTime<chrono::Utc>> {
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
        reception: Some("2020-02-12T15:15:45.789585559Z".to_owned()),
        wants_downlink: false,
        acknowledges: false,
        beside: None,
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
            ..Radio::default()
        },
    };
    assert_eq!(as_uplink(parse(&sample("ttn_v3.json"))), wanted);
    let stored = serde_json::to_value(&wanted.radio).expect("radio is JSON");
    assert_eq!(
        serde_json::from_value::<Radio>(stored).ok(),
        Some(wanted.radio)
    );
}

#[test]
fn reads_uplinks_from_the_field() {
    let uplink = as_uplink(parse(&sample("ttn_v3_milesight_am102.json")));
    assert_eq!((uplink.f_port, uplink.f_cnt), (Some(85), Some(10335)));
    let bytes = uplink.payload.expect("decrypted");
    assert_eq!(hex::encode(bytes), "0175640367180104686d");
    assert_eq!(uplink.radio.snr, Some(13.2));
    assert_eq!(uplink.radio.coding_rate.as_deref(), Some("4/5"));

    let radio = as_uplink(parse(&sample("tti_v3_packetbroker.json"))).radio;
    let gateways: Vec<_> = radio
        .receptions
        .iter()
        .map(|r| r.gateway.as_str())
        .collect();
    assert_eq!(gateways, ["eui-6A7E111A10000000", "eui-6a7e111a10000000"]);
}

#[test]
fn reads_what_else_it_sends() {
    let news = as_news(parse(&sample("ttn_v3_join.json")));
    assert_eq!(news.network_device_id.as_deref(), Some("0004A30B001C0530"));
    assert_eq!(news.time, time("2020-02-17T07:49:09.736532Z"));
    let dev_addr = Some("01497ECC".to_owned());
    assert_eq!(news.report, Report::Join { dev_addr });

    let downlink = |body: &Value| match as_news(parse(body)).report {
        Report::Downlink(news) => news,
        other => panic!("no downlink: {other:?}"),
    };
    let body = sample("ttn_v3_downlink_ack.json");
    let wanted = DownlinkNews {
        correlation: None,
        network_reference: Some("as:downlink:01E19B99501X84X6CV471TVSZ1".to_owned()),
        f_cnt_down: Some(1),
        state: DownlinkState::Acknowledged,
    };
    assert_eq!(downlink(&body), wanted);
    for (kind, state) in [
        ("downlink_queued", DownlinkState::Queued),
        ("downlink_sent", DownlinkState::Sent),
        ("downlink_nack", DownlinkState::NotAcknowledgedYet),
    ] {
        let ids = json!(["as:downlink:01E1", "thingshub:downlink:0198"]);
        let body = json!({"end_device_ids": {"dev_eui": "0004A30B001C0530"},
                          kind: {"f_port": 15, "correlation_ids": ids}});
        let news = downlink(&body);
        assert_eq!((news.state, news.f_cnt_down), (state, None), "{kind}");
        assert_eq!(news.correlation.as_deref(), Some("0198"), "{kind}");
    }
    let body = sample("ttn_v3_downlink_failed.json");
    assert_eq!(as_news(parse(&body)).names.device.as_deref(), Some("dev1"));
    let why = "application downlink payload is too long".to_owned();
    assert_eq!(downlink(&body).state, DownlinkState::Failed(why));

    let report = |body| as_news(parse(&body)).report;
    let located = json!({"location_solved": {"location":
        {"latitude": 50.1, "longitude": -8.7, "altitude": 10, "accuracy": 30}}});
    let (altitude_m, accuracy_m) = (Some(10.0), Some(30.0));
    assert_eq!(
        report(located),
        Report::Location {
            latitude: 50.1,
            longitude: -8.7,
            altitude_m,
            accuracy_m
        }
    );
    for (kind, body) in [
        (
            "service_data",
            json!({"correlation_ids": [], "service_data": {"data": {}}}),
        ),
        (
            "something_new",
            json!({"end_device_ids": {"dev_eui": "?"}, "something_new": {}}),
        ),
        ("new_kind", json!({"new_kind": "text"})),
        ("location_solved", json!({"location_solved": {}})),
        ("unnamed", json!({})),
    ] {
        assert_eq!(as_news(parse(&body)).network_device_id, None);
        let kind = kind.to_owned();
        assert_eq!(report(body), Report::Other { kind });
    }
}

/// Returns a minimal body with one member of the uplink message set.
fn with(name: &str, value: Value) -> Value {
    let mut body = json!({"end_device_ids": {"dev_eui": "00aa00aa00aa00aa"}, "uplink_message": {}});
    body["uplink_message"][name] = value;
    body
}

#[test]
fn left_out_members_are_zero() {
    let parse = |body| as_uplink(parse(&body));
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

    for (report, percent) in [
        (json!({"f_cnt": 1, "value": 63.5}), Some(63.5)),
        (json!({"f_cnt": 1}), Some(0.0)),
        (json!({"value": "full"}), None),
        (Value::Null, None),
    ] {
        let radio = parse(with("last_battery_percentage", report)).radio;
        assert_eq!(radio.battery_percent, percent);
    }

    let settings = json!({"data_rate": {"fsk": {"bit_rate": 50000}}, "frequency": 868_800_000});
    let radio = parse(with("settings", settings)).radio;
    assert_eq!(radio.modulation.as_deref(), Some("FSK"));
    assert_eq!(radio.data_rate.as_deref(), Some("50000"));

    let many = parse(with("rx_metadata", json!(vec![json!({"rssi": -1}); 100])));
    assert_eq!(many.radio.receptions.len(), MAX_RECEPTIONS);
}

#[test]
fn a_time_that_nobody_set_is_none() {
    let mut body = with("received_at", json!("0001-01-01T00:00:00Z"));
    body["received_at"] = json!("2024-01-02T03:04:05Z");
    let uplink = as_uplink(parse(&body));
    assert_eq!(uplink.time, time("2024-01-02T03:04:05Z"));
    assert_eq!(uplink.radio.reported_time, None);
    let uplink = as_uplink(parse(&with("received_at", json!("today"))));
    assert_eq!(uplink.time, None);
    assert_eq!(uplink.radio.reported_time.as_deref(), Some("today"));
    // The correlation id identifies the reception then.
    let mut body = with("received_at", json!("0001-01-01T00:00:00Z"));
    body["correlation_ids"] = json!(["gs:conn:1", "gs:uplink:2"]);
    let uplink = as_uplink(parse(&body));
    assert_eq!(uplink.reception.as_deref(), Some("gs:uplink:2"));
}

#[test]
fn faults_name_the_place_and_the_rule() {
    let device = |eui| json!({"end_device_ids": {"dev_eui": eui}, "uplink_message": {}});
    let eui = "end_device_ids.dev_eui: must be 16 hexadecimal digits";
    let port = "uplink_message.f_port: must be a whole number from 0 to 255";
    #[rustfmt::skip]
    let table = [
        (json!([]), "body: must be a JSON object"),
        (json!({"uplink_message": null}), "uplink_message: must be a JSON object"),
        (json!({"uplink_message": 1}), "uplink_message: must be a JSON object"),
        (
            json!({"uplink_message": {}}),
            "end_device_ids.dev_eui: is required: devices are identified by their DevEUI",
        ),
        (device(json!("00aa")), eui),
        (device(json!("00AA00AA00AA00AG")), eui),
        (device(json!(1)), eui),
        (with("f_port", json!(256)), port),
        (with("f_port", json!(-1)), port),
        (with("f_port", json!(1.5)), port),
        (with("f_cnt", json!(1_u64 << 32)), "uplink_message.f_cnt: must be a whole number from 0 to 4294967295"),
        (with("frm_payload", json!("!")), "uplink_message.frm_payload: must be base64"),
        (with("frm_payload", json!([1])), "uplink_message.frm_payload: must be a string"),
    ];
    for (body, wanted) in table {
        assert_eq!(parse(&body).unwrap_err().to_string(), wanted);
    }
}

#[test]
fn only_a_measured_ratio_of_lora_may_be_left_out() {
    for (reception, is_lora, snr) in [
        (json!({"rssi": -50}), true, Some(0.0)),
        (json!({"rssi": -50}), false, None),
        (json!({}), true, None),
        (json!({"rssi": -50, "snr": 7}), true, Some(7.0)),
    ] {
        let found = receptions(&json!({"rx_metadata": [reception]}), is_lora);
        assert_eq!(found[0].snr, snr, "{reception} {is_lora}");
    }
}
