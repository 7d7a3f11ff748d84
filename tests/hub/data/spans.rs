//! `from` and `to` as a time, as a date and by their distance from now, wherever a period is asked for.

use serde_json::{Value, json};

use crate::support::{
    database::{Database, on_both_databases},
    rows::{ago, fill, time},
    server::Hub,
};

on_both_databases!(
    a_span_is_read_the_same_way_everywhere,
    an_end_that_cannot_be_read_is_named,
);

const EUI: &str = "AA00000000000001";

async fn count(hub: &Hub, path: &str) -> usize {
    hub.list(path).await.len()
}

async fn a_span_is_read_the_same_way_everywhere(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    let body = json!({"name": "t", "selector": ""});
    let table = hub.post("data-tables", &body).await.created()["id"].clone();
    let integration = hub.integration("i", "x", "https://nowhere.invalid/").await;
    let connection = connection.id;
    // One of each, 1, 3 and 5 days old.
    for days in [1, 3, 5] {
        let at = time(days);
        for (name, columns, values) in [
            (
                "data_table_rows",
                "tenant_id, id, data_table_id, device_id, ts, data",
                format!("1, ID, {table}, 'd', {at}, '{{}}'"),
            ),
            (
                "uplinks",
                "tenant_id, id, device_key, connection_id, received_at, ts, radio",
                format!("1, ID, 1, {connection}, {at}, {at}, '{{}}'"),
            ),
        ] {
            fill(&hub, 1, name, columns, &values).await;
        }
        let id = crate::support::rows::id(&hub, days, 1);
        let columns = "tenant_id, id, kind, device_key, connection_id, at, message, details";
        let values = format!("1, {id}, 'join', 1, {connection}, {at}, '', '{{}}'");
        fill(&hub, 1, "events", columns, &values).await;
        let columns = "tenant_id, id, integration_id, device_id, subject_id, state, attempt, body, created_at, \
                       updated_at";
        let values =
            format!("1, {id}, {integration}, 'd', {id}, 'delivered', 1, '{{}}', {at}, {at}");
        fill(&hub, 1, "deliveries", columns, &values).await;
    }
    let (four, two) = (ago(4), ago(2));
    let date = ago(2).format("%Y-%m-%d").to_string();
    let before_midnight = ago(3).format("%Y-%m-%d").to_string() <= date;
    assert!(before_midnight);
    for path in [
        format!("data-tables/{table}/rows"),
        "devices/d/uplinks".to_owned(),
        "devices/d/events".to_owned(),
        format!("network-connections/{connection}/events"),
        format!("integrations/{integration}/deliveries"),
    ] {
        let encoded = |time: chrono::DateTime<chrono::Utc>| {
            time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
        };
        for (query, expected) in [
            (String::new(), 3),
            ("from=-4d".to_owned(), 2),
            ("from=-96h&to=-2d".to_owned(), 1),
            ("to=-2880m".to_owned(), 2),
            ("from=-1w&to=-0s".to_owned(), 3),
            (format!("to={date}"), 2),
            (format!("from={date}"), 1),
            (format!("from={}&to={}", encoded(four), encoded(two)), 1),
            (format!("from=-4d&to={date}"), 1),
        ] {
            assert_eq!(
                count(&hub, &format!("{path}?{query}")).await,
                expected,
                "{path}?{query}"
            );
        }
    }
    let all = count(&hub, "audit-log").await;
    assert_eq!(count(&hub, "audit-log?from=-1h").await, all);
    assert_eq!(count(&hub, "audit-log?to=-1h").await, 0);
    // The audit log has the times that a deletion stood for.
    let deleted = hub
        .delete(&format!("data-tables/{table}/rows?to=-4d"))
        .await;
    assert_eq!(deleted.ok()["deleted"], 1);
    let entry = hub.list("audit-log").await.remove(0);
    let to = entry["after"]["deleted_rows"]["to"].clone();
    assert!(to.as_str().unwrap().starts_with("20"), "{to}");
    let body = json!({});
    hub.push("a/b", "1", "function decodeUplink() { return {data: {}}; }")
        .await;
    let redecoded = hub
        .post("devices/d/redecode?driver=a/b:1&from=-2d", &body)
        .await;
    let items = redecoded.ok()["collection"].as_array().map(Vec::len);
    assert_eq!(items, Some(1));
}

async fn an_end_that_cannot_be_read_is_named(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    let body = json!({"name": "t", "selector": ""});
    let table: Value = hub.post("data-tables", &body).await.created()["id"].clone();
    for path in [
        format!("data-tables/{table}/rows"),
        format!("data-tables/{table}/rows.csv"),
        "devices/d/uplinks".to_owned(),
        "devices/d/events".to_owned(),
        "audit-log".to_owned(),
    ] {
        for text in [
            "7d",
            "-7",
            "-7y",
            "-123456d",
            "2026-02-30",
            "2026-02-01T12:00:00",
            "now",
        ] {
            for name in ["from", "to"] {
                let query = format!("{path}?{name}={text}");
                let error = hub.get(&query).await.refused(400);
                let start = format!("{name}: must be a time such as 2019-");
                assert!(error.starts_with(&start), "{query}: {error}");
            }
        }
        let error = hub
            .get(&format!("{path}?from=-1h&to=-2h"))
            .await
            .refused(400);
        assert_eq!(error, "to: must not be before from", "{path}");
    }
}
