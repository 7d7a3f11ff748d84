//! Trying drivers out: what is shown is what would happen, and nothing is kept.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    drivers::registry::digest_of,
    sample_json,
    support::{
        database::{Database, on_both_databases},
        server::Hub,
    },
};

on_both_databases!(
    what_a_trial_shows_is_what_an_uplink_brings,
    a_stateful_driver_is_told_a_state_and_gives_one,
    any_function_can_be_called_by_its_name,
    what_is_encoded_comes_back,
    a_driver_that_fails_is_an_answer,
    a_trial_that_cannot_be_made_is_refused,
    a_trial_keeps_nothing_and_stays_in_its_tenant,
);

const EUI: &str = "AA00000000000001";
const PORT: u8 = 85;

impl Hub {
    async fn try_driver(&self, trial: Value) -> Value {
        self.post("drivers/try", &trial).await.ok()
    }

    async fn refuses_trial(&self, trial: Value) -> String {
        self.post("drivers/try", &trial).await.refused(400)
    }
}

/// One driver for each possible outcome of an uplink.
const DRIVERS: [(&str, &str); 7] = [
    (
        "plain",
        "function decodeUplink(input) {
            console.log('port', input.fPort);
            return {data: {first: input.bytes[0], nul: 'a\\0b', at: input.recvTime.toISOString()},
                    warnings: ['low battery'], more: [1]};
        }",
    ),
    (
        "positional",
        "function Decoder(bytes, port) { return {sum: bytes.reduce((a, b) => a + b, 0), port: port}; }",
    ),
    (
        "updates",
        "function decode(bytes) {
            return {new_state: {seen: bytes.length}, updates: [
                {timestamp: '2026-01-31T12:00:00Z', values: {t: 2}},
                {timestamp: '2026-01-31T10:00:00Z', values: {t: 1, h: 40}}]};
        }",
    ),
    (
        "throws",
        "function decode() {\n  throw new Error('bad payload');\n}",
    ),
    (
        "reports",
        "function decodeUplink() { return {errors: ['unknown port']}; }",
    ),
    ("loops", "function decode() { for (;;) {} }"),
    ("array", "function decode() { return [1]; }"),
];

async fn what_a_trial_shows_is_what_an_uplink_brings(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    let schema = json!({"version": 2, "properties": {"first": {"type": "bool"}}});
    let mut all: Vec<(String, Value)> = Vec::new();
    for (name, script) in DRIVERS {
        let body = json!({"author": "a", "name": name, "tags": ["latest"], "script": script});
        hub.post("drivers", &body).await.created();
        all.push((format!("a/{name}"), json!({"script": script})));
    }
    let script = "function decode(bytes) { return {first: bytes[0]}; }";
    let body = json!({"author": "a", "name": "held", "tags": ["latest"], "script": script, "schema": schema});
    hub.post("drivers", &body).await.created();
    all.push((
        "a/held".to_owned(),
        json!({"script": script, "schema": schema}),
    ));
    all.push(("thingshub/cayenne-lpp".to_owned(), Value::Null));

    let device = hub.device("d", &connection, EUI, json!({})).await;
    for payload in ["0175ff", "03670110"] {
        for (driver, unsaved) in &all {
            let body = json!({"driver": driver, "connectivity": device["connectivity"]});
            hub.put("devices/d", &body).await.ok();
            let mut message = sample_json("ttn_v3_milesight_am102.json");
            message["end_device_ids"]["dev_eui"] = EUI.into();
            let bytes = hex::decode(payload).unwrap();
            message["uplink_message"]["frm_payload"] = STANDARD.encode(bytes).into();
            message["uplink_message"]["f_cnt"] = crate::support::server::next_frame().into();
            hub.ingest(&connection, message.to_string()).await.ok();
            let uplink = hub.list("devices/d/uplinks").await.remove(0);

            let mut trial = json!({"payload_hex": payload, "f_port": PORT, "time": uplink["time"]});
            assert_eq!(uplink["f_port"], PORT);
            let mut trials = vec![(driver.clone(), json!({"driver": driver}))];
            if !unsaved.is_null() {
                trials.push((format!("{driver}, unsaved"), unsaved.clone()));
            }
            for (what, code) in trials {
                trial
                    .as_object_mut()
                    .unwrap()
                    .retain(|name, _| !["driver", "script", "schema"].contains(&name.as_str()));
                for (name, value) in code.as_object().unwrap() {
                    trial[name] = value.clone();
                }
                let tried = hub.try_driver(trial.clone()).await;
                for member in ["data", "updates", "error"] {
                    assert_eq!(tried[member], uplink[member], "{what}: {member}");
                }
            }
        }
    }

    let tried = hub
        .try_driver(
            json!({"driver": "a/plain", "payload_base64": "AXX/", "f_port": 3,
            "time": "2026-01-31T12:00:00Z"}),
        )
        .await;
    let data = json!({"first": 1, "nul": "a\0b", "at": "2026-01-31T12:00:00.000Z"});
    let returned = json!({"data": data, "warnings": ["low battery"], "more": [1]});
    assert_eq!(tried["result"], returned);
    assert_eq!(tried["data"]["nul"], "a\u{fffd}b");
    assert_eq!(tried["warnings"], json!(["low battery"]));
    assert_eq!(tried["logs"], json!(["port 3"]));
    assert_eq!(tried["error"], Value::Null);
    assert_eq!(tried["new_state"], Value::Null);
    assert_eq!(tried["digest"], digest_of(DRIVERS[0].1));
    assert!(tried["cpu_time_us"].as_u64().unwrap() > 0, "{tried}");
    let peak = tried["memory_peak_bytes"].as_u64().unwrap();
    assert!((50_000..10_000_000).contains(&peak), "{tried}");

    let named = json!({"driver": "a/plain", "function": "decodeUplink", "payload_hex": "01",
        "time": "2026-01-31T12:00:00Z"});
    let named = hub.try_driver(named).await;
    assert_eq!(named["result"]["data"]["at"], "2026-01-31T12:00:00.000Z");

    // Data that break the schema are shown all the same.
    let held = json!({"driver": "a/held", "payload_hex": "07"});
    let held = hub.try_driver(held).await;
    assert_eq!(held["error"]["kind"], "schema");
    assert_eq!(held["result"], json!({"first": 7}));
    assert_eq!(held["data"], Value::Null);
}

async fn a_stateful_driver_is_told_a_state_and_gives_one(database: Database) {
    let hub = Hub::start(database).await;
    let script = "function decode(bytes, port, state) {
        var count = (state.count || 0) + bytes.length;
        return {new_state: {count: count}, updates: [{values: {count: count}}]};
    }";
    let trial = |state: Value| {
        json!({"script": script, "payload_hex": "0102", "state": state,
        "time": "2026-01-31T12:00:00Z"})
    };
    let tried = hub.try_driver(trial(json!({"count": 40}))).await;
    assert_eq!(tried["new_state"], json!({"count": 42}));
    assert_eq!(tried["data"], json!({"count": 42}));
    let time = tried["updates"][0]["timestamp"].as_str().unwrap();
    assert!(time.starts_with("2026-01-31T12:00:00"), "{time}");
    assert_eq!(tried["updates"][0]["values"], json!({"count": 42}));
    assert_eq!(tried["result"]["new_state"], json!({"count": 42}));
    assert_eq!(tried["digest"], Value::Null);
    let none = hub
        .try_driver(json!({"script": script, "payload_hex": "00"}))
        .await;
    assert_eq!(none["new_state"], json!({"count": 1}));

    let large = json!({"text": "x".repeat(20_000)});
    let refused = hub.refuses_trial(trial(large)).await;
    assert!(refused.starts_with("state: must have at most"), "{refused}");
}

async fn any_function_can_be_called_by_its_name(database: Database) {
    let hub = Hub::start(database).await;
    let script = "function decodeUplink(input) { return {data: {a: 1}}; }
        function decodeDownlink(input) {
            return {data: {got: input.bytes, port: input.fPort}, warnings: ['old'], errors: []};
        }
        function Decoder(bytes, port) { return [bytes.length, port]; }
        function normalizeUplink(input) { return {errors: ['no ' + Object.keys(input.data)]}; }
        function own(input) { return input; }";
    let call = async |function: &str| {
        hub.try_driver(
            json!({"script": script, "function": function, "payload_hex": "0AFF",
            "f_port": 9}),
        )
        .await
    };
    let tried = call("decodeDownlink").await;
    assert_eq!(
        tried["result"]["data"],
        json!({"got": [10, 255], "port": 9})
    );
    assert_eq!(tried["warnings"], json!(["old"]));
    assert_eq!(tried["error"], Value::Null);
    // The hub would not take this function, so there is nothing that it would record.
    assert_eq!(tried["data"], Value::Null);
    assert_eq!(call("Decoder").await["result"], json!([2, 9]));
    let own = json!({"bytes": [10, 255], "fPort": 9});
    assert_eq!(call("own").await["result"], own);
    let with_state = json!({"script": script, "function": "own", "payload_hex": "01", "f_port": 9,
        "state": {"n": 1}});
    let own = json!({"bytes": [1], "fPort": 9, "state": {"n": 1}});
    assert_eq!(hub.try_driver(with_state).await["result"], own);
    let missing = call("nothing").await;
    assert_eq!(missing["error"]["kind"], "no_function");
    let message = missing["error"]["message"].as_str().unwrap();
    assert!(message.contains("nothing"), "{message}");

    let normalized = json!({"script": script, "function": "normalizeUplink", "data": {"x": 1}});
    let normalized = hub.try_driver(normalized).await;
    assert_eq!(normalized["error"]["message"], "no x");
    assert_eq!(normalized["result"], json!({"errors": ["no x"]}));
}

async fn what_is_encoded_comes_back(database: Database) {
    let hub = Hub::start(database).await;
    let ts013 = "function decode() { return {}; }
        function encodeDownlink(input) {
            if (input.data.red === undefined) return {errors: ['no colour']};
            return {bytes: [input.data.red], fPort: input.fPort || 4, warnings: ['dim']};
        }";
    hub.push("a/lamp", "1", ts013).await;
    let lamp = async |data: Value| {
        hub.try_driver(json!({"driver": "a/lamp:1", "data": data, "f_port": 7}))
            .await
    };
    let tried = lamp(json!({"red": 255})).await;
    let returned = json!({"bytes": [255], "fPort": 7, "warnings": ["dim"]});
    assert_eq!(tried["result"], returned);
    assert_eq!(tried["warnings"], json!(["dim"]));
    assert_eq!(
        (&tried["error"], &tried["data"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(tried["digest"], digest_of(ts013));
    let refused = lamp(json!({})).await;
    assert_eq!(refused["error"]["kind"], "exception");
    assert_eq!(refused["error"]["message"], "no colour");

    let positional = "function Encoder(data, port) { return [port, data.red]; }";
    let tried = json!({"script": positional, "data": {"red": 3}, "f_port": 2});
    assert_eq!(hub.try_driver(tried).await["result"], json!([2, 3]));
    for code in [
        json!({"script": "function decode() { return {}; }", "data": {}}),
        json!({"driver": "thingshub/cayenne-lpp", "payload_hex": "", "function": "decode"}),
    ] {
        let tried = hub.try_driver(code.clone()).await;
        assert_eq!(tried["error"]["kind"], "no_function", "{code}");
    }
}

async fn a_driver_that_fails_is_an_answer(database: Database) {
    let hub = Hub::start(database).await;
    for (script, kind, line) in [
        ("function decode() {\n  var = 1;\n}", "syntax", json!(2)),
        (
            "function decode() {\n  console.log('so far');\n  throw new Error('so good');\n}",
            "exception",
            json!(3),
        ),
        ("var x = 1;", "no_function", Value::Null),
        (
            "function decode() { return 1n; }",
            "bad_result",
            Value::Null,
        ),
        (
            "function decode() { return {a: new Array(1e9).join('x')}; }",
            "cpu_time",
            Value::Null,
        ),
    ] {
        let tried = hub
            .try_driver(json!({"script": script, "payload_hex": "00"}))
            .await;
        let kinds = [json!(kind), json!("memory")];
        let is_native_loop = kind == "cpu_time";
        let found = &tried["error"]["kind"];
        assert!(
            *found == kinds[0] || is_native_loop && *found == kinds[1],
            "{script}: {tried}"
        );
        if !line.is_null() {
            assert_eq!(tried["error"]["line"], line, "{script}");
        }
        for member in ["result", "data", "updates", "new_state"] {
            assert_eq!(tried[member], Value::Null, "{script}: {member}");
        }
        if kind == "exception" {
            assert_eq!(tried["logs"], json!(["so far"]));
        }
    }
}

async fn a_trial_that_cannot_be_made_is_refused(database: Database) {
    let hub = Hub::start(database).await;
    let script = "function decode() { return {}; }";
    hub.push("a/b", "1", script).await;
    let unknown = digest_of("nothing");
    for (trial, told) in [
        (json!({"payload_hex": "00"}), "driver: must be given"),
        (
            json!({"driver": "a/b:1", "script": script, "payload_hex": "00"}),
            "driver: must be given",
        ),
        (
            json!({"driver": "a/b:1", "schema": {"version": 2}, "payload_hex": "00"}),
            "schema: must only be given with script",
        ),
        (
            json!({"driver": "a/b:2", "payload_hex": ""}),
            "driver: there is no driver a/b:2",
        ),
        (
            json!({"driver": "a/b", "payload_hex": ""}),
            "driver: there is no driver a/b",
        ),
        (
            json!({"driver": format!("a/b@{unknown}"), "payload_hex": ""}),
            "driver: there is no driver",
        ),
        (
            json!({"driver": "thingshub/other", "payload_hex": ""}),
            "driver: there is no driver",
        ),
        (
            json!({"driver": "a b", "payload_hex": ""}),
            "driver: must read",
        ),
        (json!({"script": script}), "payload_hex: must be given"),
        (
            json!({"script": script, "payload_hex": "00", "payload_base64": "AA=="}),
            "payload_hex: must be given",
        ),
        (
            json!({"script": script, "payload_base64": "AA==", "data": {}}),
            "payload_hex: must be given",
        ),
        (
            json!({"script": script, "payload_hex": "0"}),
            "payload_hex: must be pairs of hexadecimal digits",
        ),
        (
            json!({"script": script, "payload_hex": "00".repeat(4097)}),
            "payload_hex: must have 0 to 8192 characters",
        ),
        (
            json!({"script": script, "payload_base64": "AA"}),
            "payload_base64: must be base64",
        ),
        (
            json!({"script": script, "payload_base64": STANDARD.encode(vec![0; 4099])}),
            "payload_base64: must have 0 to 5464 characters",
        ),
        (
            json!({"script": script, "payload_hex": "00", "f_port": 256}),
            "f_port: must be an integer",
        ),
        (
            json!({"script": "x".repeat((1 << 20) + 1), "payload_hex": "00"}),
            "script: must have 1 to 1048576 characters",
        ),
        (
            json!({"script": script, "payload_hex": "00", "schema": {"version": 9}}),
            "schema",
        ),
        (
            json!({"script": script, "payload_hex": "00", "function": "a.b"}),
            "function: must be a name",
        ),
        (
            json!({"script": script, "payload_hex": "00", "state": []}),
            "state: ",
        ),
        (json!({"script": script, "payload": "00"}), "payload: "),
    ] {
        let refused = hub.refuses_trial(trial).await;
        assert!(refused.starts_with(told), "{told}: {refused}");
    }
    // The longest that is admitted.
    let script = format!(
        "function decode(b) {{ return {{n: b.length}}; }}{}",
        " ".repeat(1 << 20)
    );
    let script = &script[..1 << 20];
    let most = json!({"script": script, "payload_base64": STANDARD.encode(vec![0; 4096])});
    assert_eq!(hub.try_driver(most).await["data"], json!({"n": 4096}));
}

async fn a_trial_keeps_nothing_and_stays_in_its_tenant(database: Database) {
    let hub = Hub::start(database).await;
    hub.push("a/b", "1", "function decode() { return {}; }")
        .await;
    let entries = hub.list("audit-log").await.len();
    hub.try_driver(json!({"driver": "a/b:1", "payload_hex": "00"}))
        .await;
    let script = "function decode() { return {a: 1}; }";
    hub.try_driver(json!({"script": script, "payload_hex": "00"}))
        .await;
    assert_eq!(hub.list("audit-log").await.len(), entries);
    assert_eq!(hub.list("drivers").await.len(), 2);
    assert_eq!(hub.list("drivers/a/b/versions").await.len(), 1);

    hub.tenant("other").await;
    let stranger = hub.log_in("other", crate::support::server::PASSWORD).await;
    let request = hub
        .request(reqwest::Method::POST, "drivers/try")
        .bearer_auth(stranger);
    let request = crate::support::server::WithJson::with_json(
        request,
        &json!({"driver": "a/b:1", "payload_hex": "00"}),
    );
    let refused = hub.answer(request).await.refused(400);
    assert_eq!(refused, "driver: there is no driver a/b:1");
}
