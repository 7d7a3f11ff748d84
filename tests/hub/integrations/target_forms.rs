//! The forms in which messages go out: native, CloudEvents and templates.

use serde_json::{Value, json};

use crate::{
    eventually,
    support::{
        database::{Database, on_both_databases},
        messages,
        server::{EUI, Hub},
        sink::Sink,
    },
};

on_both_databases!(
    messages_go_out_as_cloud_events,
    messages_go_out_as_a_template_makes_them,
    what_a_template_fails_for_is_dead_and_says_why,
    a_template_that_does_not_read_is_refused,
    a_template_that_costs_too_much_costs_nobody_else,
    a_test_is_in_the_form_of_the_integration,
    a_url_with_a_password_is_refused,
);

const TO_HERE: [&str; 2] = ["--outgoing-allow", "127.0.0.0/8"];

fn integration(url: &str, payload: Value) -> Value {
    json!({"name": "erp", "selector": "", "payload": payload, "target": {"type": "http", "url": url}})
}

async fn messages_go_out_as_cloud_events(database: Database) {
    let (hub, connection) = Hub::with_device(database, &TO_HERE).await;
    let (sink, native) = (Sink::willing().await, Sink::willing().await);
    let body = integration(&sink.url, json!({"type": "cloudevents"}));
    hub.post("integrations", &body).await.created();
    hub.integration("native", "", &native.url).await;
    let uplink = hub.uplink(&connection, EUI).await;
    let received = sink.gets(1).await.swap_remove(0);
    let media_type = "application/cloudevents+json; charset=utf-8";
    assert_eq!(received.header("content-type"), media_type);
    let event = &received.body;
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["type"], "thingshub.data");
    assert_eq!(event["id"], uplink);
    assert_eq!(event["source"], "/api/v3/devices/d");
    assert_eq!(event["subject"], "d");
    assert_eq!(event["data"], native.gets(1).await[0].body);
}

async fn messages_go_out_as_a_template_makes_them(database: Database) {
    let (hub, connection) = Hub::with_device(database, &TO_HERE).await;
    let sink = Sink::willing().await.of_templates();
    let template = "{\"device\": {{ uplink_metadata.id }}, \"raw\": {{ raw_payload }},\n\
        \"t\": {{ data.temperature | default(none) }}, \"delivery\": {{ delivery.id }},\n\
        \"event\": {{ delivery.event_id }}, \"kind\": {{ delivery.event_type }},\n\
        \"queued\": {{ delivery.queued_at }}}";
    let payload = json!({"type": "template", "template": template,
        "content_type": "application/json"});
    let body = integration(&sink.url, payload.clone());
    let made = hub.post("integrations", &body).await.created();
    assert_eq!(made["payload"], payload);
    let uplink = hub.uplink(&connection, EUI).await;
    let received = sink.gets(1).await.swap_remove(0);
    assert_eq!(received.header("content-type"), "application/json");
    let body = &received.body;
    assert_eq!(body["device"], "d");
    assert!(body["raw"].is_string(), "{body}");
    assert_eq!(body["t"], Value::Null);
    assert_eq!(body["delivery"], received.header("webhook-id"));
    assert_eq!(
        (&body["event"], &body["kind"]),
        (&json!(uplink), &json!("data"))
    );
    let deliveries = format!("integrations/{}/deliveries", made["id"]);
    let delivery = hub.list(&deliveries).await.remove(0);
    let time =
        |text: &Value| -> chrono::DateTime<chrono::Utc> { text.as_str().unwrap().parse().unwrap() };
    assert_eq!(time(&body["queued"]), time(&delivery["created_at"]));
}

async fn what_a_template_fails_for_is_dead_and_says_why(database: Database) {
    let (hub, connection) = Hub::with_device(database, &TO_HERE).await;
    let sink = Sink::willing().await;
    let payload = json!({"type": "template", "template": "a\n{{ nowhere.to_be.found }}",
        "content_type": "text/plain"});
    let body = integration(&sink.url, payload);
    let id = hub.post("integrations", &body).await.created()["id"].clone();
    hub.uplink(&connection, EUI).await;
    let path = format!("integrations/{id}/deliveries?state=dead");
    let dead = eventually("it is dead", async || {
        hub.list(&path).await.into_iter().next()
    })
    .await;
    let error = dead["last_error"].as_str().unwrap();
    assert!(error.starts_with("the template fails: line 2:"), "{error}");
    assert_eq!(dead["attempts"].as_array().unwrap().len(), 1);
    assert!(sink.received().is_empty());
}

async fn a_template_that_does_not_read_is_refused(database: Database) {
    let (hub, _) = Hub::with_device(database, &TO_HERE).await;
    for (template, rule) in [
        (
            "{\n{{ data.t }\n}",
            "payload.template: line 2: syntax error",
        ),
        (
            "\n{{ t | nonsense }}",
            "payload.template: line 2: unknown filter",
        ),
        (
            "{% include '/etc/passwd' %}",
            "payload.template: line 1: syntax error",
        ),
    ] {
        let payload = json!({"type": "template", "template": template,
            "content_type": "text/plain"});
        let body = integration("https://example.com/", payload);
        let error = hub.post("integrations", &body).await.refused(400);
        assert!(error.starts_with(rule), "{error}");
    }
}

async fn a_template_that_costs_too_much_costs_nobody_else(database: Database) {
    let (hub, connection) = Hub::with_device(database, &TO_HERE).await;
    let sink = Sink::willing().await;
    hub.integration("native", "", &sink.url).await;
    let step = "{% for i in range(6000) %}{% set n = s[1:2] %}{% endfor %}";
    let costly = |when: &str| {
        let template = format!("{when}{{% set s = 'x' * 60000 %}}{step}{{% endif %}}");
        let payload =
            json!({"type": "template", "template": template, "content_type": "text/plain"});
        integration(&sink.url, payload)
    };
    let refused = hub.post("integrations", &costly("{% if true %}")).await;
    let error = refused.refused(400);
    assert!(error.contains("fuel"), "{error}");

    // A fault that only messages bring to light makes them dead letters at once, and the hub goes on meanwhile.
    let mut ids = Vec::new();
    for number in 0..4 {
        let mut body = costly("{% if delivery.id %}");
        body["name"] = format!("costly {number}").into();
        ids.push(hub.post("integrations", &body).await.created()["id"].clone());
    }
    for count in 1..=5 {
        hub.uplink(&connection, EUI).await;
        sink.gets(count).await;
    }
    for id in ids {
        let path = format!("integrations/{id}/deliveries?state=dead");
        let dead = eventually("all are dead", async || {
            let found = hub.list(&path).await;
            (found.len() == 5).then_some(found)
        })
        .await;
        let error = dead[0]["last_error"].as_str().unwrap();
        assert!(error.contains("fuel"), "{error}");
        assert_eq!(dead[0]["attempts"].as_array().unwrap().len(), 1);
    }
}

async fn a_test_is_in_the_form_of_the_integration(database: Database) {
    let (hub, _) = Hub::with_device(database, &TO_HERE).await;
    let (templated, described) = (Sink::willing().await.of_templates(), Sink::willing().await);
    // The template of the documentation, and a value that the sample does not have.
    let template = "{\"device\": {{ uplink_metadata.id }},\n\
        \"celsius\": {{ data.temperature | default(none) }}, \"co2\": {{ data.co2 }},\n\
        \"labels\": [{% for label in uplink_metadata.labels or [] %}{{ label }}\
        {% if not loop.last %},{% endif %}{% endfor %}]}";
    let payload = json!({"type": "template", "template": template,
        "content_type": "application/json"});
    let forms = [
        payload,
        json!({"type": "cloudevents"}),
        json!({"type": "native"}),
    ];
    for (number, form) in forms.into_iter().enumerate() {
        let sink = match form["type"].as_str() {
            Some("template") => &templated,
            _ => &described,
        };
        let mut body = integration(&sink.url, form);
        body["name"] = format!("form {number}").into();
        let made = hub.post("integrations", &body).await.created();
        let path = format!("integrations/{}/test", made["id"]);
        let tested = hub.post(&path, &json!({})).await.ok();
        assert_eq!(tested["is_delivered"], true, "{tested}");
    }
    let received = templated.gets(1).await;
    assert_eq!(received[0].body["celsius"], 21.5);
    assert_eq!(received[0].body["co2"], Value::Null);
    let received = described.gets(2).await;
    assert_eq!(received[0].body["type"], "thingshub.test");
    assert_eq!(received[0].body["data"]["event"], "test");
    // The document shows the very message.
    let mut examples = messages::examples().iter();
    let example = examples.find(|(kind, _, _)| kind == "test").unwrap();
    assert_eq!(received[1].body, example.2);
}

async fn a_url_with_a_password_is_refused(database: Database) {
    let (hub, _) = Hub::with_device(database, &TO_HERE).await;
    let native = json!({"type": "native"});
    for url in ["https://me:word@example.com/", "https://me@example.com/"] {
        let body = integration(url, native.clone());
        let error = hub.post("integrations", &body).await.refused(400);
        assert!(error.starts_with("target.url: "), "{error}");
        assert!(error.contains("auth"), "{error}");
    }
}
