//! Agreement with Node: expressions and whole drivers (`tests/drivers/`), whose results Node gave
//! (`tests/drivers/with-node.js`), to the last character of their JSON.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};
use thingshub::driver::{Host, Invoke};

use crate::drivers::host::{host, one_worker, script};

#[derive(Deserialize)]
struct Expected {
    expressions: BTreeMap<String, String>,
    calls: Vec<Call>,
}

#[derive(Deserialize)]
struct Call {
    script: String,
    function: String,
    input: Value,
    /// JSON text; none where the driver throws.
    result: Option<String>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/drivers")
}

fn read(name: &str) -> String {
    fs::read_to_string(folder().join(name)).expect("a file of tests/drivers")
}

async fn call(host: &Host, source: &str, function: &str, input: Value) -> Result<String, String> {
    let invoke = Invoke {
        tenant: 1,
        script: script(source),
        function: function.to_owned(),
        input,
        received_at: None,
    };
    match host.invoke(invoke).await {
        Ok(returned) => Ok(returned.json.get().to_owned()),
        Err(error) => Err(error.at_line()),
    }
}

#[tokio::test]
async fn expressions_give_what_node_gives_except_for_the_known_few() {
    let host = host(one_worker()).await;
    let expected: Expected = serde_json::from_str(&read("expected.json")).unwrap();
    let source = read("expressions.js");
    let mut different = Vec::new();
    for (expression, wanted) in &expected.expressions {
        let given = call(&host, &source, "evaluate", json!([expression])).await;
        if given.as_ref() != Ok(wanted) {
            different.push(format!("{expression}\n  Node {wanted}\n  here {given:?}"));
        }
    }
    let known: Vec<String> = read("differences.txt").lines().map(str::to_owned).collect();
    let found: Vec<&str> = different
        .iter()
        .filter_map(|text| text.lines().next())
        .collect();
    assert_eq!(found, known, "{}", different.join("\n"));
    assert!(expected.expressions.len() > 300);
}

#[tokio::test]
async fn drivers_of_every_style_give_what_node_gives() {
    let host = host(one_worker()).await;
    let expected: Expected = serde_json::from_str(&read("expected.json")).unwrap();
    assert!(expected.calls.len() > 1000);
    let mut different = Vec::new();
    for Call {
        script,
        function,
        input,
        result,
    } in expected.calls
    {
        let input = match input {
            Value::String(text) => json!({"bytes": hex::decode(&text).unwrap(), "fPort": 2}),
            other => other,
        };
        let given = call(&host, &read(&script), &function, input.clone()).await;
        if given.as_ref().ok() != result.as_ref() {
            different.push(format!(
                "{script} {function} {input}\n  Node {result:?}\n  here {given:?}"
            ));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
