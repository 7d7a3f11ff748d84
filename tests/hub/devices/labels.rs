//! Labels of devices: how they are added, and that each that is accepted is found by a selector.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    database::{Database, execute, on_both_databases},
    server::{Hub, WithJson},
};

on_both_databases!(
    labels_are_added_by_a_body_or_by_the_query,
    what_no_selector_reads_as_it_is_written_is_refused,
    an_accepted_label_is_found_as_it_reads,
    older_labels_are_shown_found_and_removed,
);

const PATH: &str = "devices/d/labels";

async fn labels_are_added_by_a_body_or_by_the_query(database: Database) {
    let hub = Hub::start(database).await;
    hub.device_without_address("d").await;
    let labels = async |path: &str, body: &Value| hub.post(path, body).await.ok()["labels"].clone();
    let added = labels(PATH, &json!({"labels": ["foo", "floor=1st floor"]})).await;
    assert_eq!(added, json!(["foo", "floor=1st floor"]));
    let added = labels(&format!("{PATH}?labels=bar,foo"), &json!({})).await;
    assert_eq!(added, json!(["foo", "floor=1st floor", "bar"]));
    // Without a body at all, and without a word on its type.
    let request = hub.request(Method::POST, &format!("{PATH}?labels=baz"));
    let added = hub.answer(request.bearer_auth(&hub.token)).await.ok();
    assert_eq!(added["labels"].as_array().unwrap().len(), 4);

    for (query, body, error) in [
        (
            "?labels=a",
            json!({"labels": ["b"]}),
            "labels: must be in the body or in the query, not in both",
        ),
        (
            "",
            json!({}),
            "labels: is required, in the body or in the query",
        ),
        ("", json!({"labels": null}), "labels"),
        ("", json!({"labels": []}), "labels: must have 1 to 64 items"),
        (
            "",
            json!({"labels": ["a", "a,b"]}),
            "labels[1]: must be letters",
        ),
        ("", json!({"labels": "a"}), "labels: must be an array"),
        ("", json!({"label": "a"}), "label: is unknown here"),
        ("", json!(["a"]), "body: must be an object"),
        (
            "?labels=",
            json!({}),
            "labels: each must have 1 to 120 characters",
        ),
    ] {
        let refused = hub
            .post(&format!("{PATH}{query}"), &body)
            .await
            .refused(400);
        assert!(refused.starts_with(error), "{query} {body}: {refused}");
    }
    let nothing = hub.request(Method::POST, PATH).bearer_auth(&hub.token);
    let refused = hub.answer(nothing).await.refused(400);
    assert!(refused.starts_with("labels: is required"), "{refused}");
    let text = hub.request(Method::POST, PATH).bearer_auth(&hub.token);
    let text = text
        .header("Content-Type", "text/plain")
        .body(r#"{"labels": ["a"]}"#);
    let refused = hub.answer(text).await.refused(400);
    assert!(refused.starts_with("header Content-Type"), "{refused}");
    // The same key with another body is another request.
    let once = |labels: Value| {
        let request = hub.request(Method::POST, PATH).bearer_auth(&hub.token);
        let request = request.header("Idempotency-Key", "once");
        request.with_json(&json!({"labels": labels}))
    };
    hub.answer(once(json!(["x"]))).await.ok();
    hub.answer(once(json!(["x"]))).await.ok();
    hub.answer(once(json!(["y"]))).await.refused(400);
    // So it is with another query.
    let once = |labels: &str| {
        let path = format!("{PATH}?labels={labels}");
        let request = hub.request(Method::POST, &path).bearer_auth(&hub.token);
        hub.answer(request.header("Idempotency-Key", "by query"))
    };
    let told = once("z").await.ok();
    assert_eq!(once("z").await.ok(), told);
    let refused = once("w").await.refused(400);
    assert!(refused.starts_with("header Idempotency-Key: "), "{refused}");
    let many: Vec<String> = (0..60).map(|number| format!("l{number}")).collect();
    let refused = hub.post(PATH, &json!({"labels": many})).await.refused(400);
    assert!(refused.contains("at most 64 labels"), "{refused}");
    hub.post("devices/nobody/labels", &json!({"labels": ["a"]}))
        .await
        .refused(404);
}

async fn what_no_selector_reads_as_it_is_written_is_refused(database: Database) {
    let hub = Hub::start(database).await;
    hub.device_without_address("d").await;
    let connection = json!({"name": "c", "settings": {"type": "the_things_stack"},
        "auto_provisioning": {"labels": ["a", "site: berlin"]}});
    for label in [
        "site: berlin",
        "site= berlin",
        "site =berlin",
        "site :berlin",
        "=berlin",
    ] {
        let bulk = json!({"selector": "a", "dry_run": true,
            "action": {"type": "add_labels", "labels": [label]}});
        let encoded: String = url::form_urlencoded::byte_serialize(label.as_bytes()).collect();
        for (method, path, body, field) in [
            (
                Method::POST,
                "devices".to_owned(),
                json!({"id": "e", "labels": [label]}),
                "labels[0]: must be letters",
            ),
            (
                Method::PUT,
                "devices/d".to_owned(),
                json!({"labels": ["a", label]}),
                "labels[1]: must be letters",
            ),
            (
                Method::POST,
                PATH.to_owned(),
                json!({"labels": [label]}),
                "labels[0]: must be letters",
            ),
            (
                Method::POST,
                format!("{PATH}?labels=a,{encoded}"),
                json!({}),
                "labels: each must be letters",
            ),
            (
                Method::POST,
                "devices/bulk".to_owned(),
                bulk,
                "action.labels[0]: must be letters",
            ),
        ] {
            let refused = hub.call(method, &path, Some(&body)).await.refused(400);
            assert!(refused.starts_with(field), "{label} {path}: {refused}");
            assert!(refused.contains("write site=hamburg"), "{refused}");
        }
    }
    let refused = hub
        .post("network-connections", &connection)
        .await
        .refused(400);
    assert!(
        refused.starts_with("auto_provisioning.labels[1]: must be letters"),
        "{refused}"
    );
}

async fn an_accepted_label_is_found_as_it_reads(database: Database) {
    let hub = Hub::start(database).await;
    let labels = [
        "site=berlin",
        "site:berlin",
        "meeting room",
        "floor=1st floor",
        "empty=",
        "a=b=c",
        "urn:dev:1",
        ":b",
        "c:",
        "Türsensor",
        "二階=北",
        "or",
        "x/y.z-w_v",
    ];
    for (number, label) in labels.into_iter().enumerate() {
        let body = json!({"id": format!("d{number}"), "labels": [label]});
        hub.post("devices", &body).await.created();
    }
    let found = async |selector: String| {
        let selector: String = url::form_urlencoded::byte_serialize(selector.as_bytes()).collect();
        let devices = hub.list(&format!("devices?selector={selector}")).await;
        let ids = devices
            .iter()
            .map(|device| device["id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<String>>()
    };
    for (number, label) in labels.into_iter().enumerate() {
        let device = [format!("d{number}")];
        assert_eq!(found(format!("\"{label}\"")).await, device, "{label}");
        if let Some((key, value)) = label.split_once('=') {
            assert_eq!(
                found(format!("\"{key}\"=\"{value}\"")).await,
                device,
                "{label}"
            );
            assert_eq!(found(format!("\"{key}\"")).await, device, "{label}");
        }
    }
}

/// Labels from before the rule.
async fn older_labels_are_shown_found_and_removed(database: Database) {
    let hub = Hub::start(database).await;
    for id in ["d", "e"] {
        hub.post("devices", &json!({"id": id, "labels": ["site:berlin"]}))
            .await
            .created();
    }
    let rule = json!({"name": "c", "settings": {"type": "the_things_stack"},
        "auto_provisioning": {"labels": ["site:berlin"]}});
    let connection = hub.connect_as(&rule).await;
    let (labels, rules) = match &hub.database {
        Database::Sqlite => ("labels", "auto_provisioning"),
        Database::Postgres(_) => ("CAST(labels AS TEXT)", "CAST(auto_provisioning AS TEXT)"),
    };
    let cast = |text: &str| match &hub.database {
        Database::Sqlite => text.to_owned(),
        Database::Postgres(_) => format!("CAST({text} AS JSONB)"),
    };
    let older = |column: &str| cast(&format!("REPLACE({column}, 'site:berlin', 'site: berlin')"));
    for statement in [
        format!("UPDATE devices SET labels = {}", older(labels)),
        "UPDATE device_labels SET label = 'site: berlin'".to_owned(),
        format!(
            "UPDATE network_connections SET auto_provisioning = {}",
            older(rules)
        ),
    ] {
        execute(&hub.database_url(), &statement).await;
    }
    assert_eq!(
        hub.get("devices/d").await.ok()["labels"],
        json!(["site: berlin"])
    );
    let path = format!("network-connections/{}", connection.id);
    let shown = hub.get(&path).await.ok();
    assert_eq!(
        shown["auto_provisioning"]["labels"],
        json!(["site: berlin"])
    );
    let selector = "devices?selector=%22site%3A%20berlin%22";
    assert_eq!(hub.list(selector).await.len(), 2);
    let bulk = json!({"selector": "\"site: berlin\"", "dry_run": true,
        "action": {"type": "remove_labels", "labels": ["site: berlin"]}});
    assert_eq!(hub.post("devices/bulk", &bulk).await.ok()["changed"], 2);
    hub.delete("devices/d/labels/site:%20berlin").await.ok();
    assert_eq!(hub.get("devices/d").await.ok()["labels"], json!([]));
    let bulk = json!({"selector": "\"site: berlin\"", "dry_run": false, "action": bulk["action"]});
    assert_eq!(hub.post("devices/bulk", &bulk).await.ok()["changed"], 1);
    assert_eq!(hub.get("devices/e").await.ok()["labels"], json!([]));
}
