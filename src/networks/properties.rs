//! Property tests that every adapter must pass for any input.

use proptest::{collection, prelude::*};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    KINDS, NetworkSettings,
    event::{Event, Report},
    read::MAX_PAYLOAD_BYTES,
    uplink::Incoming,
};

/// Returns all sample messages.
fn samples() -> Vec<Value> {
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/uplinks"));
    let files = folder
        .expect("the samples")
        .map(|file| file.expect("a file").path());
    let files = files.filter(|path| path.extension().is_some_and(|kind| kind == "json"));
    let texts = files.map(|path| std::fs::read_to_string(path).expect("a sample"));
    let samples: Vec<Value> = texts
        .map(|text| serde_json::from_str(&text).expect("JSON"))
        .collect();
    assert!(samples.len() > 25, "{}", samples.len());
    samples
}

fn networks() -> Vec<NetworkSettings> {
    // All types without required settings, and a mapping.
    let plain = KINDS.iter().map(|kind| json!({"type": kind}));
    let plain = plain.filter(|settings| NetworkSettings::deserialize(settings).is_ok());
    let plain: Vec<Value> = plain.collect();
    assert!(plain.len() >= 8, "{plain:?}");
    let mapping = json!({"type": "http", "mapping": {
        "device_id_pointer": "/device", "payload_pointer": "/data", "payload_encoding": "hex",
        "time_pointer": "/time"}});
    plain
        .into_iter()
        .chain([mapping])
        .map(|settings| serde_json::from_value(settings).expect("settings"))
        .collect()
}

/// Generates values of all types, including ones that are likely to break adapters.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "[0-9]{1,25}".prop_map(Value::from),
        prop::sample::select(vec![
            "",
            "\0",
            "-1",
            "1e999",
            "NaN",
            "SF7BW125",
            "SFBW",
            "{device}",
            "\u{202e}",
            "00",
            "0018B20000000B20",
            "2020-02-30T25:00:00Z",
            "9999-12-31T23:59:60Z",
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            collection::vec(("[a-zA-Z_]{1,12}", inner), 0..4)
                .prop_map(|members| Value::Object(Map::from_iter(members))),
        ]
    })
}

/// Generates samples in which one value is replaced by another.
fn spoilt_sample() -> impl Strategy<Value = Value> {
    (
        prop::sample::select(samples()),
        any::<prop::sample::Index>(),
        value(),
    )
        .prop_map(|(mut sample, place, value)| {
            let mut pointers = Vec::new();
            walk(&sample, String::new(), &mut pointers);
            let pointer = place.get(&pointers);
            *sample.pointer_mut(pointer).expect("a place in it") = value;
            sample
        })
}

fn walk(value: &Value, pointer: String, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                walk(value, format!("{pointer}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                walk(value, format!("{pointer}/{index}"), found);
            }
        }
        _ => {}
    }
    found.push(pointer);
}

/// Parses a body with every adapter and checks that the results can be stored.
fn read_by_all(body: &Value, kind: &str) {
    let query = [
        ("event".to_owned(), kind.to_owned()),
        ("Token".to_owned(), "00".to_owned()),
    ];
    for network in networks() {
        let incoming = Incoming {
            query: &query,
            ..Incoming::of(body)
        };
        match network.parse(incoming) {
            Ok(event) => check(&event),
            Err(malformed) => {
                let text = malformed.to_string();
                assert!(text.contains(": ") && text.len() < 600, "{text}");
            }
        }
    }
}

/// True if a text in the value contains NUL, which PostgreSQL cannot store.
fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(members) => members
            .iter()
            .any(|(name, value)| name.contains('\0') || holds_nul(value)),
        _ => false,
    }
}

fn check(event: &Event) {
    let is_fine = |text: &str| text.chars().count() <= 200 && !text.contains(char::is_control);
    if let Some(id) = event.network_device_id() {
        assert!(!id.is_empty() && is_fine(id), "{id}");
    }
    match event {
        Event::Uplink(uplink) => {
            let payload = uplink.payload.as_ref().map_or(0, |payload| payload.len());
            assert!(payload <= MAX_PAYLOAD_BYTES);
            let radio = serde_json::to_value(&uplink.radio).expect("JSON");
            let length = radio.to_string().len();
            assert!(!holds_nul(&radio) && length < 64 * 1500, "{radio}");
        }
        Event::News(news) => {
            let texts: Vec<&str> = match &news.report {
                Report::Error { message, .. } | Report::Log { message, .. } => vec![message],
                Report::Other { kind } => vec![kind],
                _ => vec![],
            };
            assert!(texts.into_iter().all(is_fine), "{news:?}");
            let names = &news.names;
            let names = [&names.device, &names.application, &names.tenant];
            assert!(names.into_iter().flatten().all(|name| is_fine(name)));
        }
    }
}

proptest! {
    #[test]
    fn no_body_makes_an_adapter_panic(body in value(), kind in "up|join|ack|log|status|\\PC{0,9}") {
        read_by_all(&body, &kind);
    }

    #[test]
    fn no_spoilt_sample_makes_an_adapter_panic(
        body in spoilt_sample(),
        kind in "up|join|ack|txack|log|status|location|integration",
    ) {
        read_by_all(&body, &kind);
    }
}

#[test]
fn what_is_no_json_is_told_apart_from_what_is() {
    for name in ["ttn_v3.as_published.txt", "kpn_thingpark.as_published.txt"] {
        let path = format!("{}/tests/uplinks/{name}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).expect("a sample");
        assert!(serde_json::from_str::<Value>(&text).is_err(), "{name}");
    }
}
