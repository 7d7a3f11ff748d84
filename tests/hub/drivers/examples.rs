//! The examples and the schema of a version are held against its script when it is pushed.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{
    database::{Database, on_both_databases},
    server::Hub,
};

on_both_databases!(
    a_version_that_does_what_its_examples_say_is_taken,
    a_version_that_does_not_is_refused_with_the_difference,
    examples_of_every_dialect_are_run,
    examples_and_schema_are_part_of_the_digest,
    a_schema_is_checked_and_told,
    data_are_held_to_the_schema,
);

const SCRIPT: &str = "
function decodeUplink(input) {
  if (input.bytes.length < 2) return { errors: ['too short'] };
  return { data: {
    temperature: (input.bytes[0] << 8 | input.bytes[1]) / 10,
    port: input.fPort,
    year: input.recvTime ? new Date(input.recvTime).getUTCFullYear() : null,
  }, warnings: [] };
}
function encodeDownlink(input) { return { bytes: [input.data.interval], fPort: 3 }; }
";

fn driver(script: &str, examples: Value) -> Value {
    json!({"author": "a", "name": "b", "tags": ["1"], "script": script, "examples": examples})
}

fn good_examples() -> Value {
    json!([
        {"type": "uplink", "description": "Room",
            "input": {"bytes": [0, 215], "fPort": 85, "recvTime": "2024-05-01T00:00:00Z"},
            "output": {"data": {"temperature": 21.5, "port": 85, "year": 2024}, "errors": []}},
        {"description": "Broken", "input": {"bytes": [1], "fPort": 1},
            "output": {"errors": ["too short"], "warnings": []}},
        {"type": "downlink-encode", "input": {"data": {"interval": 10.0}},
            "output": {"bytes": [10], "fPort": 3}},
    ])
}

async fn a_version_that_does_what_its_examples_say_is_taken(database: Database) {
    let hub = Hub::start(database).await;
    hub.post("drivers", &driver(SCRIPT, good_examples()))
        .await
        .created();
    let found = hub.get("drivers/a/b/tags/1").await.ok();
    let examples = found["examples"].as_array().unwrap();
    assert_eq!(examples.len(), 3);
    assert_eq!(examples[0]["description"], "Room");
    assert_eq!(examples[0]["output"], good_examples()[0]["output"]);
    assert_eq!(examples[2]["type"], "downlink-encode");
}

async fn a_version_that_does_not_is_refused_with_the_difference(database: Database) {
    let hub = Hub::start(database).await;
    let wrong = |output: Value| {
        json!([good_examples()[1], {"description": "Room", "input": {"bytes": [0, 215], "fPort": 85},
            "output": output}])
    };
    let data = |temperature: Value| json!({"data": {"temperature": temperature, "port": 85, "year": null}});
    for (output, expected) in [
        (
            data(json!(21.6)),
            "output.data.temperature: the example says 21.6, the driver gives 21.5",
        ),
        (
            data(json!("21.5")),
            "output.data.temperature: the example says \"21.5\", the driver gives 21.5",
        ),
        (
            json!({"data": {"temperature": 21.5, "port": 85}}),
            "output.data.year: the example says nothing, the driver gives null",
        ),
        (
            json!({"data": {"temperature": 21.5, "port": 85, "year": null}, "warnings": ["dry"]}),
            "output.warnings: the example says [\"dry\"], the driver gives nothing",
        ),
        (
            json!({"errors": ["x"]}),
            "output.errors: the example says [\"x\"], the driver gives nothing",
        ),
        (
            json!(null),
            "output: the example says null, the driver gives {\"data\":",
        ),
    ] {
        let body = driver(SCRIPT, wrong(output));
        let error = hub.post("drivers", &body).await.refused(400);
        assert!(error.starts_with("examples[1] (\"Room\"): "), "{error}");
        assert!(error.contains(expected), "{error}");
    }
    let throws = "function decodeUplink(input) {\n  throw new Error('no')\n}";
    let loops = "function decodeUplink(input) { while (true) {} }";
    let example = |more: Value| {
        let mut example = json!({"input": {"bytes": [1]}, "output": {}});
        for (name, value) in more.as_object().unwrap() {
            example[name] = value.clone();
        }
        json!([example])
    };
    for (script, examples, expected) in [
        (throws, example(json!({})), "examples[0]: no (line 2)"),
        (loops, example(json!({})), "examples[0]: "),
        (
            SCRIPT,
            example(json!({"type": "downlink-decode"})),
            "examples[0]: the script defines none of decodeDownlink",
        ),
        (
            SCRIPT,
            example(json!({"function": "nothing"})),
            "examples[0]: ",
        ),
        (
            SCRIPT,
            example(json!({"function": "no name"})),
            "examples[0].function: must be a name",
        ),
        (
            SCRIPT,
            example(json!({"type": "sideways"})),
            "examples[0].type: must be one of",
        ),
        (
            SCRIPT,
            example(json!({"input": []})),
            "examples[0].input: must be an object",
        ),
        (
            SCRIPT,
            json!([{"input": {}}]),
            "examples[0].output: is required",
        ),
        (
            SCRIPT,
            json!([{"output": {}}]),
            "examples[0].input: is required",
        ),
        (SCRIPT, json!({}), "examples: must be an array"),
        (
            SCRIPT,
            (0..101)
                .map(|n| json!({"input": {"bytes": [n]}, "output": n}))
                .collect(),
            "examples: must have 0 to 100 items",
        ),
        (
            "function decode(payload) { return { n: payload.length } }",
            (0..90)
                .map(|n| json!({"input": {"bytes": vec![n; 1500]}, "output": {"n": 1500}}))
                .collect(),
            "examples: must have at most 262144 bytes",
        ),
    ] {
        let error = hub.post("drivers", &driver(script, examples)).await;
        let error = error.refused(400);
        assert!(error.starts_with(expected), "{expected}: {error}");
    }
    hub.get("drivers/a/b").await.refused(404);
}

async fn examples_of_every_dialect_are_run(database: Database) {
    let hub = Hub::start(database).await;
    for (number, script) in [
        "function decode(payload, port) { return { n: payload[0], port } }",
        "function Decoder(bytes, port) { return { n: bytes[0], port } }",
        "function Decode(fPort, bytes) { return { n: bytes[0], port: fPort } }",
    ]
    .iter()
    .enumerate()
    {
        let bare = json!({"n": 7, "port": 2});
        for output in [bare.clone(), json!({"data": bare, "errors": []})] {
            let example = json!([{"input": {"bytes": [7], "fPort": 2}, "output": output}]);
            let mut body = driver(script, example.clone());
            body["name"] = json!(format!("d{number}"));
            hub.post("drivers", &body).await.created();
            body["examples"][0]["input"]["bytes"][0] = json!(8);
            let error = hub.post("drivers", &body).await.refused(400);
            assert!(
                error.contains(".n: the example says 7, the driver gives 8"),
                "{error}"
            );
        }
    }
    let own = "function decode() { return {} } function helper(x) { return [x.a, 2] }";
    let example = json!([{"function": "helper", "input": {"a": 1}, "output": [1, 2]}]);
    hub.post("drivers", &driver(own, example)).await.created();
}

async fn examples_and_schema_are_part_of_the_digest(database: Database) {
    let hub = Hub::start(database).await;
    let digest = async |body: &Value| {
        hub.post("drivers", body).await.created();
        let found = hub.get("drivers/a/b/tags/1").await.ok();
        let hash = |text: &str| format!("sha256:{}", hex::encode(Sha256::digest(text)));
        assert_eq!(hash(found["manifest"].as_str().unwrap()), found["digest"]);
        // The parts are enough to verify the version.
        let manifest: Value = serde_json::from_str(found["manifest"].as_str().unwrap()).unwrap();
        assert_eq!(manifest["script"], hash(found["script"].as_str().unwrap()));
        for part in ["schema", "examples"] {
            let is_there = found[part].as_object().is_some()
                || found[part]
                    .as_array()
                    .is_some_and(|items| !items.is_empty());
            let canonical = serde_json_canonicalizer::to_string(&found[part]).unwrap();
            let expected = is_there.then(|| hash(&canonical));
            assert_eq!(
                manifest.get(part).and_then(Value::as_str),
                expected.as_deref()
            );
        }
        found["digest"].as_str().unwrap().to_owned()
    };
    let bare = driver(SCRIPT, json!([]));
    let with_examples = driver(SCRIPT, good_examples());
    let mut with_both = with_examples.clone();
    with_both["schema"] =
        json!({"version": "1", "properties": {"temperature": {"type": "float64"}}});
    let mut reordered = with_both.clone();
    reordered["schema"] = json!("properties: {temperature: {type: float64}}\nversion: '1'\n");
    let digests = [
        digest(&bare).await,
        digest(&with_examples).await,
        digest(&with_both).await,
    ];
    assert_ne!(digests[0], digests[1]);
    assert_ne!(digests[1], digests[2]);
    assert_eq!(
        digest(&reordered).await,
        digests[2],
        "the form does not matter"
    );
    assert_eq!(hub.list("drivers/a/b/versions").await.len(), 3);
}

async fn a_schema_is_checked_and_told(database: Database) {
    let hub = Hub::start(database).await;
    let mut body = driver(SCRIPT, good_examples());
    body["schema"] = json!({"version": "2", "properties": {
        "temperature": {"type": "float64", "unit": "°C", "description": "Of the air"},
        "port": {"type": "int64"},
        "year": {"type": "int64", "configurable": true},
    }});
    hub.post("drivers", &body).await.created();
    let found = hub.get("drivers/a/b/tags/1").await.ok();
    assert_eq!(found["schema"], body["schema"]);
    assert_eq!(
        found["columns"][0],
        json!({"path": "temperature", "type": "number", "unit": "°C",
            "description": "Of the air", "configurable": false})
    );
    assert_eq!(found["columns"][2]["configurable"], true);
    // A data table takes the columns that are suggested.
    let columns: Vec<Value> = found["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| json!({"path": column["path"], "type": column["type"], "unit": column["unit"]}))
        .collect();
    let table = json!({"name": "t", "selector": "", "columns": columns});
    hub.post("data-tables", &table).await.created();

    for (schema, expected) in [
        (
            json!(5),
            "schema: must be an object, or JSON or YAML in a string",
        ),
        (
            json!(""),
            "schema: must be an object, or JSON or YAML in a string",
        ),
        (
            json!([]),
            "schema: must be an object, or JSON or YAML in a string",
        ),
        (json!("a: [1"), "schema"),
        (
            json!({"version": "7", "properties": {}}),
            "schema.version: ",
        ),
        (
            json!({"version": "2", "properties": {"a": {"type": "nonsense"}}}),
            "schema.properties.a",
        ),
        (
            json!("version: '2'\nproperties: {a: {b: {type: x}}}"),
            "schema.properties.a",
        ),
    ] {
        body["schema"] = schema;
        let error = hub.post("drivers", &body).await.refused(400);
        assert!(error.starts_with(expected), "{expected}: {error}");
    }
    // An example that breaks the schema cannot be one.
    body["schema"] = json!({"version": "2", "properties": {"temperature": {"type": "string"}}});
    let error = hub.post("drivers", &body).await.refused(400);
    assert!(
        error.starts_with("examples[0] (\"Room\"): the data break the schema: "),
        "{error}"
    );
}

async fn data_are_held_to_the_schema(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    let eui = "AA00000000000001";
    let mut body = driver("function decode() { return { t: 'warm' } }", json!([]));
    body["schema"] = json!({"version": "2", "properties": {"t": {"type": "float64"}}});
    hub.post("drivers", &body).await.created();
    hub.device("d", &connection, eui, json!({"driver": "a/b:1"}))
        .await;
    hub.uplink(&connection, eui).await;
    let uplink = hub.list("devices/d/uplinks").await.remove(0);
    assert_eq!(uplink["data"], Value::Null);
    assert_eq!(uplink["error"]["kind"], "schema");
    let message = uplink["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("t: "), "{message}");
}
