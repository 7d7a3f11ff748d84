//! Traces: what is exported belongs together and holds no secret, and a collector that fails changes nothing.

use std::collections::BTreeSet;

use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::json;

use crate::{
    eventually,
    support::{
        collector::{Collector, Span},
        database::{Database, on_both_databases},
        server::{Connection, Hub, things_stack},
        sink::Sink,
    },
};

on_both_databases!(
    a_request_continues_the_trace_of_its_client,
    an_uplink_and_what_it_leads_to_are_one_trace,
    a_share_of_zero_exports_nothing,
    without_a_collector_everything_goes_on,
);

const EUI: &str = "AA00000000000001";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

async fn traced(database: Database, collector: &Collector, more: &[&str]) -> Hub {
    let mut flags = vec![
        "--otlp-endpoint",
        &collector.url,
        "--outgoing-allow",
        "127.0.0.0/8",
    ];
    flags.extend(more);
    Hub::start_with(database, &flags).await
}

/// Sends a request with this `traceparent`, and waits for its span, which `id` names.
async fn with_parent(hub: &Hub, collector: &Collector, id: &str, parent: &str) -> Span {
    let request = hub
        .request(Method::GET, "devices?limit=7")
        .bearer_auth(&hub.token)
        .header("X-Request-Id", id)
        .header("traceparent", parent);
    hub.answer(request).await.ok();
    let is_it = |span: &Span| span.attribute("thingshub.request.id") == id;
    collector.gets("the request is exported", is_it).await
}

async fn a_request_continues_the_trace_of_its_client(database: Database) {
    let collector = Collector::start().await;
    let headers = ["--otlp-headers", "x-scope=a%20b, authorization=Basic eDp5"];
    let hub = traced(database, &collector, &headers).await;

    let span = with_parent(&hub, &collector, "right", &format!("00-{TRACE}-{SPAN}-01")).await;
    assert_eq!((&*span.trace, &*span.parent), (TRACE, SPAN));
    assert_eq!(span.name, "list_devices");
    for (name, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/api/v3/devices"),
        ("http.response.status_code", "200"),
        ("client.address", "127.0.0.1"),
    ] {
        assert_eq!(span.attribute(name), value, "{name}");
    }

    let span = with_parent(&hub, &collector, "wrong", &format!("00-{TRACE}-{SPAN}")).await;
    assert!(span.parent.is_empty() && span.trace != TRACE, "{span:?}");

    // The client did not keep its trace, and so the hub does not.
    let request = hub
        .request(Method::GET, "devices")
        .bearer_auth(&hub.token)
        .header("X-Request-Id", "unkept")
        .header("traceparent", format!("00-{TRACE}-{SPAN}-00"));
    hub.answer(request).await.ok();
    hub.get("devices/nothing-here").await.refused(404);
    let is_it = |span: &Span| span.name == "get_device";
    let span = collector.gets("a later one is exported", is_it).await;
    assert_eq!(span.attribute("http.route"), "/api/v3/devices/{id}");
    assert_eq!(span.attribute("http.response.status_code"), "404");
    assert!(!collector.has("unkept"));

    let resource = collector.resource();
    assert_eq!(resource["service.name"], "thingshub");
    assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(collector.headers()["x-scope"], "a b");
    assert_eq!(collector.headers()["authorization"], "Basic eDp5");
    for text in [&hub.token, "limit=7", "nothing-here", "eDp5"] {
        assert!(!collector.has(text), "{text}");
    }
    // The spans are no part of the log.
    assert!(!hub.log().contains("otel."), "{}", hub.log());
}

async fn an_uplink_and_what_it_leads_to_are_one_trace(database: Database) {
    let collector = Collector::start().await;
    let hub = traced(database, &collector, &[]).await;
    let sink = Sink::willing().await;
    let connection = hub.connect("tts").await;
    let script = "function decode(p, port) { return { n: p[0] } }";
    hub.push("a/b", "1", script).await;
    hub.device("d", &connection, EUI, json!({"driver": "a/b:1"}))
        .await;
    let integration = hub.integration("sink", "", &sink.url).await;

    hub.uplink(&connection, EUI).await;
    // With the key in the query, as some network servers send it.
    let Connection { id, key } = &connection;
    let path = format!("network-connections/{id}/uplinks?ingest_key={key}");
    let request = hub
        .request(Method::POST, &path)
        .header("Content-Type", "application/json")
        .body(things_stack(EUI));
    hub.answer(request).await.ok();
    for received in sink.gets(2).await {
        let header = received.header("traceparent").to_owned();
        let members: Vec<&str> = header.split('-').collect();
        let [version, trace, sent, flags] = members[..] else {
            panic!("{header}");
        };
        assert_eq!((version, flags), ("00", "01"));
        // A request is over after what it leads to has begun, so its span may come last.
        let of_trace = eventually("the trace is complete", async || {
            let mut spans = collector.spans();
            spans.retain(|span| span.trace == trace);
            (spans.len() == 5).then_some(spans)
        })
        .await;
        let find = |name: &str| {
            let found = of_trace.iter().find(|span| span.name == name);
            found.unwrap_or_else(|| panic!("{name}: {of_trace:#?}"))
        };
        let (request, ingest) = (find("create_uplink"), find("ingest"));
        let (decode, commit, deliver) = (find("decode"), find("commit"), find("deliver"));
        assert_eq!(request.parent, "");
        assert_eq!(ingest.parent, request.id);
        assert_eq!(
            ingest.attribute("thingshub.network.type"),
            "the_things_stack"
        );
        assert_eq!(ingest.attribute("thingshub.outcome"), "recorded");
        assert_eq!(decode.parent, ingest.id);
        assert_eq!(decode.attribute("thingshub.driver"), "a/b");
        assert_eq!(decode.attribute("thingshub.outcome"), "ok");
        assert_eq!(commit.parent, ingest.id);
        assert_eq!(commit.attribute("thingshub.batch.size"), "1");
        assert_eq!(deliver.parent, commit.id);
        assert_eq!(deliver.id, sent);
        assert_eq!(deliver.attribute("thingshub.outcome"), "delivered");
        assert_eq!(deliver.attribute("thingshub.target.type"), "http");
        assert_eq!(deliver.attribute("http.response.status_code"), "200");
        let owner = deliver.attribute("thingshub.integration.id");
        assert_eq!(owner, integration.to_string());
        let id = deliver.attribute("thingshub.delivery.id");
        assert_eq!(id, received.header("webhook-id"));
    }
    let traces: BTreeSet<String> = sink
        .received()
        .iter()
        .map(|received| received.header("traceparent")[3..35].to_owned())
        .collect();
    assert_eq!(traces.len(), 2);

    // A test of the integration has a trace, too.
    hub.post(&format!("integrations/{integration}/test"), &json!({}))
        .await;
    let test = &sink.gets(3).await[2];
    let header = test.header("traceparent").to_owned();
    let is_it = |span: &Span| header.contains(&span.trace) && header.contains(&span.id);
    let span = collector.gets("the test is exported", is_it).await;
    assert_eq!(span.name, "deliver");
    for text in [&hub.token, key, "ingest_key", &*sink.url] {
        assert!(!collector.has(text), "{text}");
    }
}

async fn a_share_of_zero_exports_nothing(database: Database) {
    let collector = Collector::start().await;
    let mut hub = traced(database, &collector, &["--otlp-sample-ratio", "0"]).await;
    let sink = Sink::willing().await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    hub.integration("sink", "", &sink.url).await;
    hub.uplink(&connection, EUI).await;
    let header = sink.gets(1).await[0].header("traceparent").to_owned();
    assert!(header.ends_with("-00"), "{header}");
    // The last spans are sent before the hub ends.
    assert!(hub.end(Signal::SIGTERM).await.success());
    assert_eq!(collector.requests(), 0);
}

async fn without_a_collector_everything_goes_on(database: Database) {
    let hanging = Collector::hanging().await;
    let mut hub = traced(database, &hanging, &[]).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    eventually("the collector is asked", async || {
        (hanging.requests() > 0).then_some(())
    })
    .await;
    hub.uplink(&connection, EUI).await;
    assert!(hub.end(Signal::SIGTERM).await.success());

    // Nobody listens there any more.
    drop(hanging);
    hub.start_again().await;
    let warned = "traces are not exported";
    eventually("the hub warns", async || {
        hub.uplink(&connection, EUI).await;
        hub.log().contains(warned).then_some(())
    })
    .await;
    for _ in 0..50 {
        hub.uplink(&connection, EUI).await;
    }
    assert!(hub.end(Signal::SIGTERM).await.success());
    assert_eq!(hub.log().matches(warned).count(), 1, "{}", hub.log());

    // Without the setting, nothing is sent that only traces need.
    let sink = Sink::willing().await;
    hub.start_again_with(&["--outgoing-allow", "127.0.0.0/8"])
        .await;
    hub.integration("sink", "", &sink.url).await;
    hub.uplink(&connection, EUI).await;
    assert_eq!(sink.gets(1).await[0].header("traceparent"), "");
    assert!(hub.end(Signal::SIGTERM).await.success());
}
