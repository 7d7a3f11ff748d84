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

fn mapping() -> Mapping {
    Mapping {
        device_id_pointer: "/id".to_owned(),
        payload_pointer: "/data".to_owned(),
        payload_encoding: PayloadEncoding::Hex,
        port_pointer: Some("/port".to_owned()),
        time_pointer: Some("/at".to_owned()),
        frame_counter_pointer: Some("/count".to_owned()),
        radio: None,
    }
}

fn read(mapping: &Mapping, body: &Value) -> Result<Uplink, String> {
    match mapping.parse(Incoming::of(body)) {
        Ok(Event::Uplink(uplink)) => Ok(*uplink),
        Ok(other) => panic!("not an uplink: {other:?}"),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn reads_messages_of_other_servers() {
    let payload = Some(Bytes::from_static(
        b"\x01\x75\x64\x03\x67\x18\x01\x04\x68\x6d",
    ));
    let loriot: Mapping = serde_json::from_value(json!({
        "device_id_pointer": "/EUI", "payload_pointer": "/data", "payload_encoding": "hex",
        "port_pointer": "/port", "time_pointer": "/ts", "frame_counter_pointer": "/fcnt",
    }))
    .expect("a mapping");
    let chirpstack: Mapping = serde_json::from_value(json!({
        "device_id_pointer": "/deviceInfo/devEui", "payload_pointer": "/data",
        "payload_encoding": "base64", "port_pointer": "/fPort", "time_pointer": "/rxInfo/0/time",
        "frame_counter_pointer": "/fCnt",
    }))
    .expect("a mapping");
    for (mapping, sample, f_cnt, time) in [
        (
            loriot,
            sample!("loriot.json"),
            2,
            "2023-05-19T06:46:41.936Z",
        ),
        (
            chirpstack,
            sample!("chirpstack_v4_milesight_am102.json"),
            4,
            "2023-05-22T07:47:05.404859Z",
        ),
    ] {
        assert_eq!(mapping.check(), Ok(()));
        let body = serde_json::from_str(sample).expect("samples are JSON");
        let wanted = Uplink {
            network_device_id: "1000000000000001".to_owned(),
            f_port: Some(85),
            f_cnt: Some(f_cnt),
            payload: payload.clone(),
            time: instant(&json!(time)),
            ..Uplink::default()
        };
        assert_eq!(read(&mapping, &body), Ok(wanted));
    }
}

#[test]
fn reads_what_is_there() {
    let uplink = read(&mapping(), &json!({"id": 1234, "data": "", "port": null}));
    let uplink = uplink.expect("the required parts are there");
    assert_eq!(uplink.network_device_id, "1234");
    assert_eq!(uplink.payload, Some(Bytes::new()));
    assert_eq!(
        (uplink.f_port, uplink.f_cnt, uplink.time),
        (None, None, None)
    );

    let escaped = Mapping {
        device_id_pointer: "/a~1b~0/1".to_owned(),
        ..mapping()
    };
    let uplink = read(
        &escaped,
        &json!({"a/b~": ["x", "Tür 7"], "data": "00", "port": "7"}),
    );
    let uplink = uplink.expect("the escapes are RFC 6901's");
    assert_eq!(
        (uplink.network_device_id.as_str(), uplink.f_port),
        ("Tür 7", Some(7))
    );
}

#[test]
fn reads_times_in_all_forms() {
    for (value, wanted) in [
        (
            json!("2024-05-06T09:08:07.123456789+02:00"),
            "2024-05-06T07:08:07.123456Z",
        ),
        (json!(1_512_814_827), "2017-12-09T10:20:27Z"),
        (json!("1512814827000"), "2017-12-09T10:20:27Z"),
        (json!(1_512_814_827_123_u64), "2017-12-09T10:20:27.123Z"),
        (json!(1_512_814_827.25), "2017-12-09T10:20:27.25Z"),
        (json!(0), "1970-01-01T00:00:00Z"),
    ] {
        let reported = read(&mapping(), &json!({"id": "x", "data": "", "at": value}));
        assert_eq!(
            reported.expect("a time").time,
            instant(&json!(wanted)),
            "{value}"
        );
    }
    for value in [
        json!(-1),
        json!(1e15),
        json!("2017-11-29"),
        json!("now"),
        json!("NaN"),
        json!(true),
    ] {
        let reported = read(&mapping(), &json!({"id": "x", "data": "", "at": value}));
        let reported = reported.expect("no measurement is lost to its time");
        assert_eq!(reported.time, None, "{value}");
        assert!(reported.radio.reported_time.is_some(), "{value}");
    }
}

#[test]
fn faults_name_the_pointer_and_the_rule() {
    let id = "/id: must be text of 1-100 printable characters without outer spaces, or a whole \
              number";
    let port = "/port: must be a whole number from 0 to 255";
    let body = |name: &str, value: Value| {
        let mut body = json!({"id": "x", "data": ""});
        body[name] = value;
        body
    };
    #[rustfmt::skip]
    let table = [
        (body("id", Value::Null), "/id: is required: the device's id"),
        (body("id", json!("")), id),
        (body("id", json!(" x")), id),
        (body("id", json!("a\u{0}")), id),
        (body("id", json!("x".repeat(101))), id),
        (body("id", json!(1.5)), id),
        (body("id", json!(true)), id),
        (body("data", json!(1)), "/data: must be a string"),
        (body("data", json!([256])), "/data: must be a string"),
        (body("data", json!("[1, 2.5]")), "/data: must be hexadecimal: two digits 0-9, a-f for each byte"),
        (body("data", json!("0")), "/data: must be hexadecimal: two digits 0-9, a-f for each byte"),
        (body("port", json!(256)), port),
        (body("port", json!("1x")), port),
        (body("count", json!(-1)), "/count: must be a whole number from 0 to 4294967295"),
    ];
    for (body, wanted) in table {
        assert_eq!(read(&mapping(), &body), Err(wanted.to_owned()), "{body}");
    }
    let whole = Mapping {
        device_id_pointer: String::new(),
        ..mapping()
    };
    let error = read(&whole, &json!({"data": "00"})).unwrap_err();
    assert!(
        error.starts_with("(the whole body): must be text"),
        "{error}"
    );
}

#[test]
fn what_has_no_payload_is_no_uplink() {
    for (body, device) in [
        (json!({"id": "x", "acknowledged": true}), Some("x")),
        (json!({"id": "x", "data": null}), Some("x")),
        (json!({"confirmationToken": "t"}), None),
        (json!("text"), None),
    ] {
        match mapping().parse(Incoming::of(&body)) {
            Ok(Event::News(news)) => {
                assert_eq!(news.network_device_id.as_deref(), device, "{body}");
            }
            other => panic!("no news: {other:?}"),
        }
    }
}

#[test]
fn payloads_have_more_forms_than_text() {
    let bytes = |body: Value| read(&mapping(), &body).map(|uplink| uplink.payload);
    let wanted = || Ok(Some(Bytes::from_static(&[1, 2])));
    assert_eq!(bytes(json!({"id": "x", "data": [1, 2.0]})), wanted());
    assert_eq!(bytes(json!({"id": "x", "data": "[1, 2]"})), wanted());
    let whole = Mapping {
        payload_pointer: String::new(),
        ..mapping()
    };
    let body = json!({"id": "x", "temperature": 21.5});
    let uplink = read(&whole, &body).expect("values, and no payload");
    assert_eq!(uplink.payload, Some(Bytes::from(body.to_string())));
    let json = Mapping {
        payload_encoding: PayloadEncoding::Json,
        ..mapping()
    };
    let uplink = read(&json, &json!({"id": "x", "data": {"t": 1}})).expect("JSON");
    assert_eq!(uplink.payload.as_deref(), Some(&br#"{"t":1}"#[..]));
    let long = json!({"id": "x", "data": vec![0; MAX_PAYLOAD_BYTES + 1]});
    let error = bytes(long).unwrap_err();
    assert_eq!(error, "/data: must hold at most 4096 bytes");
}

#[test]
fn pointers_lead_through_json_in_text() {
    let mapping = Mapping {
        device_id_pointer: "/Message/inner/id".to_owned(),
        payload_pointer: "/Message/data".to_owned(),
        ..mapping()
    };
    let inner = json!({"id": "x"}).to_string();
    let message = json!({"data": "01", "inner": inner}).to_string();
    let uplink = read(&mapping, &json!({"Message": message})).expect("it is there");
    assert_eq!(uplink.network_device_id, "x");
    assert_eq!(uplink.payload.as_deref(), Some(&[1][..]));
}

#[test]
fn each_item_of_a_list_is_a_message() {
    let listed = Mapping {
        device_id_pointer: "/0/id".to_owned(),
        payload_pointer: "/0/data".to_owned(),
        port_pointer: None,
        time_pointer: None,
        frame_counter_pointer: None,
        radio: None,
        payload_encoding: PayloadEncoding::Hex,
    };
    let list = json!([{"id": 1}, {"id": 2}]);
    let bodies = listed.split(list.clone()).expect("a list");
    assert_eq!(bodies, [json!([{"id": 1}]), json!([{"id": 2}])]);
    let together = Mapping {
        port_pointer: Some("/1/v".to_owned()),
        ..listed.clone()
    };
    assert_eq!(together.split(list.clone()), Ok(vec![list]));
    let most = listed.split(json!(vec![0; MAX_MESSAGES])).expect("a list");
    assert_eq!(most.len(), MAX_MESSAGES);
    let error = listed.split(json!(vec![0; MAX_MESSAGES + 1])).unwrap_err();
    assert_eq!(error.to_string(), "body: must hold at most 1000 messages");
}

#[test]
fn checks_pointers() {
    let tilde = "must hold \"~\" only as \"~0\" (for \"~\") or \"~1\" (for \"/\")";
    for (pointer, wanted) in [
        ("", None),
        ("/", None),
        ("/a/0/~0~1", None),
        ("a", Some("must be empty or start with \"/\"")),
        ("/~", Some(tilde)),
        ("/a~2", Some(tilde)),
        ("/~~0", Some(tilde)),
        ("/a\n", Some("must hold no control characters")),
        // The document's pattern allows those beyond ASCII, and they do no harm.
        ("/a\u{85}", None),
        (&"/".repeat(201), Some("must have at most 200 characters")),
    ] {
        let mapping = Mapping {
            time_pointer: Some(pointer.to_owned()),
            ..mapping()
        };
        let wanted = wanted.map_or(Ok(()), |rule| {
            Err(Malformed::new("mapping.time_pointer", rule))
        });
        assert_eq!(mapping.check(), wanted, "{pointer}");
    }
}
