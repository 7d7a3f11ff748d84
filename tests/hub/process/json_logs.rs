//! The log in JSON, for programs that collect logs.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    database::Database,
    server::{Hub, WithJson},
};

#[tokio::test(flavor = "multi_thread")]
async fn each_line_is_json_with_the_id_of_its_request() {
    let flags = ["--log-format", "json", "--log-filter", "thingshub=debug"];
    let mut hub = Hub::start_with(Database::Sqlite, &flags).await;
    for id in ["order-4711", "order-4712"] {
        // Wrong keys are logged once a minute for each connection.
        let connection = hub.connect(id).await;
        let path = format!("network-connections/{}/uplinks", connection.id);
        let request = hub.request(Method::POST, &path).bearer_auth("wrong");
        let request = request.header("X-Request-Id", id);
        let answer = hub.answer(request.with_json(&json!({}))).await;
        assert_eq!(answer.headers["x-request-id"], id);
        answer.refused(401);
    }
    assert!(hub.end(nix::sys::signal::Signal::SIGTERM).await.success());
    let log = hub.log();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect();
    assert!(lines.len() > 5, "{log}");
    for line in &lines {
        for member in ["timestamp", "level", "target"] {
            assert!(line[member].is_string(), "{line}");
        }
        let time = line["timestamp"].as_str().unwrap();
        time.parse::<chrono::DateTime<chrono::Utc>>().unwrap();
        let message = line["fields"]["message"].as_str();
        assert!(message.is_some_and(|message| !message.is_empty()), "{line}");
    }
    for id in ["order-4711", "order-4712"] {
        let of_request = lines.iter().filter(|line| {
            let spans = line["spans"].as_array().into_iter().flatten();
            spans
                .chain([&line["span"]])
                .any(|span| span["request.id"] == id)
        });
        let told: Vec<&Value> = of_request.collect();
        let key = told
            .iter()
            .any(|line| line.to_string().contains("ingest key"));
        assert!(key, "{id}: {told:?}");
    }
}
