use serde_json::json;

use super::*;
use crate::networks::sample::{as_news, as_uplink, sample};
use crate::secret::Credentials;

fn parse(body: &Value) -> Result<Event, Malformed> {
    Uplinks {}.parse(Incoming::of(body))
}

#[test]
fn reads_uplinks_with_numbers_as_text_and_as_numbers() {
    let uplink = as_uplink(parse(&sample("actility_thingpark.json")));
    assert_eq!(uplink.network_device_id, "0018B20000000B20");
    assert_eq!((uplink.f_port, uplink.f_cnt), (Some(1), Some(1174)));
    let bytes = uplink.payload.expect("in the clear");
    assert_eq!(hex::encode(bytes), "9e1c4852512000220020e3831071");
    assert_eq!(uplink.session.as_deref(), Some("04D2848E"));
    assert_eq!(uplink.names.device.as_deref(), Some("My Demo Device"));
    assert_eq!(uplink.names.tenant.as_deref(), Some("1100000077"));
    assert_eq!(uplink.time, instant(&json!("2018-10-03T13:38:46.882Z")));
    let radio = uplink.radio;
    assert_eq!(radio.frequency, Some(868_100_000));
    assert_eq!((radio.rssi, radio.snr), (Some(-80.0), Some(7.0)));
    assert_eq!(
        (radio.spread_factor, radio.confirmed),
        (Some(7), Some(true))
    );

    let uplink = as_uplink(parse(&sample("actility_thingpark_decoded.json")));
    assert_eq!((uplink.f_port, uplink.f_cnt), (Some(17), Some(265)));
    assert_eq!(uplink.radio.receptions.len(), 2);
    for name in [
        "actility_thingpark_tb.json",
        "actility_thingpark_enterprise_tb.json",
    ] {
        let uplink = as_uplink(parse(&sample(name)));
        assert_eq!((uplink.f_port, uplink.f_cnt), (Some(1), Some(26)), "{name}");
    }
}

#[test]
fn a_join_has_no_payload() {
    let news = as_news(parse(&sample("actility_thingpark_join.json")));
    assert_eq!(news.network_device_id.as_deref(), Some("0018B20000000B20"));
    assert_eq!(news.report, Report::Join { dev_addr: None });
    // A frame with a counter and without a payload is an uplink.
    let body = json!({"DevEUI_uplink": {"DevEUI": "0018b20000000b20", "FCntUp": "7"}});
    let uplink = as_uplink(parse(&body));
    assert_eq!(
        (uplink.f_cnt, uplink.payload),
        (Some(7), Some(Bytes::new()))
    );
    assert_eq!(uplink.f_port, None);
}

#[test]
fn reads_what_else_it_sends() {
    let report = |body: Value| as_news(parse(&body)).report;
    let sent = sample("actility_downlink_sent.json");
    let Report::Downlink(news) = report(sent.clone()) else {
        panic!("no downlink");
    };
    assert_eq!(
        (news.state, news.f_cnt_down),
        (DownlinkState::Sent, Some(1))
    );
    let mut failed = sent;
    failed["DevEUI_downlink_Sent"]["DeliveryStatus"] = json!("0");
    failed["DevEUI_downlink_Sent"]["DeliveryFailedCause2"] = json!("B0");
    failed["DevEUI_downlink_Sent"]["CorrelationID"] = json!("00000000000000a1");
    let Report::Downlink(news) = report(failed) else {
        panic!("no downlink");
    };
    let why = "ThingPark could not send the downlink (RX1: cause C0, RX2: cause B0)";
    assert_eq!(news.state, DownlinkState::Failed(why.to_owned()));
    assert_eq!(news.network_reference.as_deref(), Some("00000000000000a1"));
    assert_eq!(
        report(sample("actility_location.json")),
        Report::Location {
            latitude: 51.907_218,
            longitude: 4.489_303,
            altitude_m: Some(0.0),
            accuracy_m: Some(0.0)
        }
    );
    let notice = |kind: &str| {
        report(
            json!({"DevEUI_notification": {"DevEUI": "0018B20000000B20", "Type": kind,
            "Var1": "254", "Var2": "-7"}}),
        )
    };
    assert_eq!(
        notice("devstatusans"),
        Report::Status {
            battery_percent: Some(100.0),
            battery_v: None,
            external_power: Some(false),
            margin_db: Some(-7.0)
        }
    );
    assert_eq!(notice("join"), Report::Join { dev_addr: None });
    for (kind, body) in [
        (
            "DevEUI_multicast_summary",
            json!({"DevEUI_multicast_summary": {"DevEUI": "0018B20000000B20"}}),
        ),
        ("DevEUI_new", json!({"DevEUI_new": {}})),
        ("DevEUI_new", json!({"DevEUI_new": {"DevEUI": "?"}})),
        ("Something_new", json!({"v": 1, "Something_new": {}})),
        ("unnamed", json!({})),
    ] {
        let kind = kind.to_owned();
        assert_eq!(report(body), Report::Other { kind });
    }
}

/// Examples published by KPN with their key: public test data.
#[test]
fn the_token_is_checked_where_the_key_is_known() {
    const KEY: &str = "c6f5e3b263092120b8766b9aed9c41b4";
    let device = "0059AC0000000001";
    let table = [
        (
            "0059AC0000000001",
            "1",
            "5b7ec8b0b2c250fc792c76348de3b16ff04e27050baf8a37c891dcc85e88b0d4",
            json!({"DevEUI_uplink": {"DevEUI": device, "FPort": "1", "FCntUp": "1",
                   "payload_hex": "000102030405", "CustomerID": "100000001"}}),
        ),
        (
            "0059AC0000000001",
            "1",
            "345dc204c72a9769441c4700cd0a0fb76c5b356e3931540e891fc7e68f236c98",
            json!({"DevEUI_downlink_Sent": {"DevEUI": device, "FPort": 1, "FCntDn": 1,
                   "CustomerID": 100_000_001}}),
        ),
        (
            "0059ac0000000001",
            "0",
            "d23b3507663d817c77d124cfbe4f1d5a67ba957e91471b39512b8f103fe46a17",
            json!({"DevEUI_location": {"DevEUI": device, "CustomerID": "100000001"}}),
        ),
    ];
    let known = Credentials::default().with(AS_KEY, KEY.to_ascii_uppercase());
    for (eui, port, token, body) in table {
        let query = [
            ("LrnDevEui", eui),
            ("LrnFPort", port),
            ("LrnInfos", "TWA_100000001.999.AS-1-12345678"),
            ("AS_ID", "TWA_100000001.999"),
            ("Time", "2018-01-12T10:00:00.000 01:00"),
            ("Token", token),
        ];
        let query = query.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let with = |query: &[(String, String)], body: &Value| {
            Uplinks {}.parse(Incoming {
                body,
                query,
                topic: None,
                credentials: Some(&known),
            })
        };
        assert!(with(&query, &body).is_ok(), "{body}");
        let rule = "query parameter \"Token\": is required, because the connection has an AS key";
        assert_eq!(with(&query[..5], &body).unwrap_err().to_string(), rule);
        let mut forged = query.clone();
        forged[1].1 = "7".to_owned();
        let error = with(&forged, &body).unwrap_err();
        assert_eq!(error.field, "query parameter \"Token\"");
    }
}

#[test]
fn faults_name_the_place_and_the_rule() {
    let error = |body: Value| parse(&body).unwrap_err().to_string();
    let of = |document| error(json!({"DevEUI_uplink": document}));
    assert_eq!(of(json!(7)), "DevEUI_uplink: must be a JSON object");
    let eui = json!({"DevEUI": "XXXXXXXXXXXXXXXX", "FCntUp": 1});
    assert_eq!(
        of(eui),
        "DevEUI_uplink.DevEUI: must be 16 hexadecimal digits"
    );
    let odd = json!({"DevEUI": "0018B20000000B20", "payload_hex": "0"});
    assert!(of(odd).starts_with("DevEUI_uplink.payload_hex: must be hexadecimal"));
}

#[test]
fn a_join_is_known_by_its_request_or_by_what_it_lacks() {
    for join in [
        json!({"DevEUI": "0018b20000000b20", "rawJoinRequest": "00", "FCntUp": "0"}),
        json!({"DevEUI": "0018b20000000b20"}),
    ] {
        let news = as_news(parse(&json!({"DevEUI_uplink": join})));
        assert_eq!(news.report, Report::Join { dev_addr: None }, "{join}");
    }
}

#[test]
fn a_computed_place_is_on_the_map() {
    for (coordinates, is_on_map) in [
        (json!([180.0, -90.0, 3]), true),
        (json!([180.1, 10.0]), false),
        (json!([10.0, 90.1]), false),
        (json!([10.0]), false),
    ] {
        let place = engine_place(&json!({"coordinates": coordinates}));
        assert_eq!(place.is_some(), is_on_map, "{coordinates}");
    }
}
