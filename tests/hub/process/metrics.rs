//! The metrics: they count what happens, and only operators and the listener of their own get them.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
};

use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    eventually,
    support::{
        database::{Database, on_both_databases},
        network_server::NetworkServer,
        server::{Answer, Hub, PASSWORD, WithJson, things_stack},
        sink::{Cue, Sink},
    },
};

on_both_databases!(
    messages_are_counted_by_their_outcome,
    attempts_to_deliver_are_counted_by_their_outcome,
    downlinks_are_counted_by_their_outcome,
    imports_and_their_rows_are_counted,
    logins_and_requests_are_counted,
    the_space_on_the_disk_is_that_of_the_file_system,
    limits_are_those_of_the_settings,
    only_operators_get_metrics,
    the_listener_serves_metrics_alone,
);

const EUI: &str = "AA00000000000001";
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

async fn the_space_on_the_disk_is_that_of_the_file_system(database: Database) {
    let hub = Hub::start(database).await;
    let disk = nix::sys::statvfs::statvfs(&hub.file("")).unwrap();
    let metrics = Metrics::of(&hub).await;
    let size = (disk.blocks() * disk.fragment_size()) as f64;
    assert_eq!(metrics.get("thingshub_data_dir_size_bytes"), size);
    let free = metrics.get("thingshub_data_dir_free_bytes");
    // Other tests write to it.
    let expected = (disk.blocks_available() * disk.fragment_size()) as f64;
    assert!((free - expected).abs() < size / 4.0, "{free} {expected}");
}

async fn limits_are_those_of_the_settings(database: Database) {
    let limits = [
        ("connections_max", 201),
        ("uplink_queue_max", 202),
        ("driver_queue_max", 2003),
        ("driver_workers", 1),
        ("live_streams_max", 205),
    ];
    let flags = limits.map(|(setting, value)| {
        let flag = format!("--{}", setting.replace('_', "-"));
        [flag, value.to_string()]
    });
    let flags: Vec<&str> = flags.as_flattened().iter().map(String::as_str).collect();
    let hub = Hub::start_with(database, &flags).await;
    let metrics = Metrics::of(&hub).await;
    for (setting, value) in limits {
        let series = format!("thingshub_limit{{setting=\"{setting}\"}}");
        assert_eq!(metrics.get(&series), f64::from(value), "{setting}");
    }
}

/// The text of all metrics, by series.
struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    async fn of(hub: &Hub) -> Self {
        Self::read(hub.get("/metrics").await)
    }

    fn read(answer: Answer) -> Self {
        assert_eq!(answer.status, 200, "{}", answer.text);
        let media_type = answer.headers["content-type"].to_str().unwrap();
        assert_eq!(media_type, "text/plain; version=0.0.4; charset=utf-8");
        let lines = answer.text.lines().filter(|line| !line.starts_with('#'));
        let series = lines.map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        });
        Self(series.collect())
    }

    /// The value of a series. Labels are in alphabetical order.
    fn get(&self, series: &str) -> f64 {
        let found = self.0.get(series);
        *found.unwrap_or_else(|| panic!("no {series} among {:#?}", self.0.keys()))
    }

    /// The value of a series that need not be there.
    fn find(&self, series: &str) -> f64 {
        self.0.get(series).copied().unwrap_or_default()
    }
}

fn message(outcome: &str) -> String {
    format!("thingshub_messages_total{{network=\"the_things_stack\",outcome=\"{outcome}\"}}")
}

fn decode(outcome: &str) -> String {
    format!("thingshub_uplink_decodes_total{{network=\"the_things_stack\",outcome=\"{outcome}\"}}")
}

fn attempt(outcome: &str) -> String {
    format!("thingshub_delivery_attempts_total{{outcome=\"{outcome}\",target=\"http\"}}")
}

async fn messages_are_counted_by_their_outcome(database: Database) {
    let mut hub = Hub::start(database).await;
    let mut connection = hub.connect("tts").await;
    let script = "function decode(p, port) { if (port === 85) { return { n: p[0] } } throw 'no' }";
    hub.push("a/b", "1", script).await;
    hub.device("d", &connection, EUI, json!({"driver": "a/b:1"}))
        .await;
    let before = Metrics::of(&hub).await;
    for outcome in ["recorded", "duplicate", "refused", "unknown_device"] {
        assert_eq!(before.get(&message(outcome)), 0.0, "{outcome}");
    }

    let body = things_stack(EUI);
    for status in ["recorded", "duplicate"] {
        let receipt = hub.ingest(&connection, body.clone()).await.ok();
        assert_eq!(receipt["status"], status);
    }
    let mut undecodable: Value = serde_json::from_str(&things_stack(EUI)).unwrap();
    undecodable["uplink_message"]["f_port"] = json!(1);
    hub.ingest(&connection, undecodable.to_string()).await.ok();
    hub.ingest(&connection, things_stack("AA00000000000002"))
        .await
        .ok();
    hub.ingest(&connection, "no JSON").await.refused(400);
    hub.may_complain = true;
    hub.refuse("INSERT ON uplinks", "true").await;
    let failed = hub.ingest(&connection, things_stack(EUI)).await;
    assert!(failed.status >= 500, "{}", failed.text);
    hub.refuse_no_longer("uplinks").await;
    hub.switch(&connection, "tts", false).await;
    let disabled = hub.ingest(&connection, things_stack(EUI)).await.ok();
    assert_eq!(disabled["status"], "disabled");
    connection.key = "not-the-key".to_owned();
    hub.ingest(&connection, body).await.refused(401);

    let after = Metrics::of(&hub).await;
    assert_eq!(after.get(&message("recorded")), 2.0);
    assert_eq!(after.get(&message("duplicate")), 1.0);
    assert_eq!(after.get(&message("unknown_device")), 1.0);
    assert_eq!(after.get(&message("refused")), 1.0);
    assert_eq!(after.get(&message("failed")), 1.0);
    assert_eq!(after.get(&message("disabled")), 1.0);
    let unauthorized = r#"thingshub_messages_total{network="unknown",outcome="unauthorized"}"#;
    assert_eq!(after.get(unauthorized), 1.0);
    assert!(after.get(&decode("decoded")) >= 1.0);
    assert_eq!(after.get(&decode("failed")), 1.0);
    let calls = |outcome: &str| format!("thingshub_driver_calls_total{{outcome=\"{outcome}\"}}");
    assert_eq!(after.get(&calls("exception")), 1.0);
    assert!(after.get(&calls("ok")) >= 1.0);
    assert!(after.get("thingshub_driver_cpu_seconds_total") > 0.0);
    assert!(after.get("thingshub_driver_wait_seconds_count") >= 2.0);
    assert!(after.get("thingshub_message_seconds_count") >= 5.0);
    assert!(after.get("thingshub_batch_items_count{writer=\"uplinks\"}") >= 4.0);
    assert!(after.get("thingshub_batch_seconds_sum{writer=\"uplinks\"}") > 0.0);
    assert_eq!(after.get("thingshub_uplink_queue_length"), 0.0);
    assert_eq!(after.get("thingshub_driver_queue_length"), 0.0);
}

async fn attempts_to_deliver_are_counted_by_their_outcome(database: Database) {
    let flags = [
        "--outgoing-allow",
        "127.0.0.0/8",
        "--delivery-schedule-s",
        "0",
    ];
    let hub = Hub::start_with(database, &flags).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    let willing = Sink::start(&[Cue::Status(500)], Cue::Status(204)).await;
    let unwilling = Sink::start(&[], Cue::Status(500)).await;
    hub.integration("willing", "", &willing.url).await;
    hub.integration("unwilling", "", &unwilling.url).await;
    hub.uplink(&connection, EUI).await;

    // Two attempts each: one is delivered at the second, one is dead after it.
    let counted = eventually("both are settled", async || {
        let metrics = Metrics::of(&hub).await;
        let is_over =
            metrics.get(&attempt("delivered")) == 1.0 && metrics.get(&attempt("dead")) == 1.0;
        is_over.then_some(metrics)
    })
    .await;
    assert_eq!(counted.get(&attempt("retry")), 2.0);
    let dead = |reason: &str| format!("thingshub_dead_letters_total{{reason=\"{reason}\"}}");
    assert_eq!(counted.get(&dead("failed")), 1.0);
    assert_eq!(counted.get(&dead("given_up")), 0.0);
    let seconds = "thingshub_delivery_attempt_seconds_count{target=\"http\"}";
    assert_eq!(counted.get(seconds), 4.0);
    assert!(counted.get("thingshub_batch_items_sum{writer=\"attempts\"}") >= 4.0);
    assert_eq!(
        counted.get("thingshub_leases_held{kind=\"integration\"}"),
        2.0
    );
}

async fn downlinks_are_counted_by_their_outcome(database: Database) {
    let flags = [
        "--outgoing-allow",
        "127.0.0.0/8",
        "--downlink-schedule-s",
        "0",
    ];
    let hub = Hub::start_with(database, &flags).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    // The first downlink is accepted after a failed attempt, the second one is refused for good.
    let cues = [503, 200, 404].map(|status| (Some(status), json!({})));
    let server = NetworkServer::start(cues.to_vec()).await;
    let settings = json!({"type": "http", "method": "POST", "url": format!("{}/down", server.url),
        "body": "{{payload_hex}}"});
    hub.sends_downlinks(&connection, &settings).await;
    let downlink = |outcome: &str| format!("thingshub_downlinks_total{{outcome=\"{outcome}\"}}");
    let queue = async |more: Value| {
        let mut body = json!({"payload_hex": "01", "f_port": 1});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        hub.post("devices/d/downlinks", &body).await.created()
    };
    let counted = async |outcome: &str| {
        eventually("the downlink is counted", async || {
            (Metrics::of(&hub).await.get(&downlink(outcome)) == 1.0).then_some(())
        })
        .await;
    };
    queue(json!({})).await;
    counted("sent").await;
    counted("retry").await;
    queue(json!({})).await;
    counted("failed").await;
    hub.switch(&connection, "tts", false).await;
    queue(json!({"expires_in_s": 1})).await;
    counted("expired").await;
    let metrics = Metrics::of(&hub).await;
    let all = ["sent", "retry", "failed", "expired", "answered"];
    let all = all.map(|outcome| metrics.get(&downlink(outcome)));
    assert_eq!(all, [1.0, 1.0, 1.0, 1.0, 0.0]);
}

async fn imports_and_their_rows_are_counted(database: Database) {
    let hub = Hub::start(database).await;
    hub.device_without_address("old").await;
    let request = hub
        .request(Method::POST, "devices/import")
        .bearer_auth(&hub.token)
        .header("Content-Type", "application/octet-stream")
        .body("id\none\ntwo\nold\nnot an id\n");
    hub.answer(request).await.created();
    let metrics = eventually("the import is done", async || {
        let metrics = Metrics::of(&hub).await;
        let done = metrics.get("thingshub_imports_total{outcome=\"done\"}");
        (done == 1.0).then_some(metrics)
    })
    .await;
    let rows = |outcome: &str| {
        metrics.get(&format!(
            "thingshub_import_rows_total{{outcome=\"{outcome}\"}}"
        ))
    };
    // Without more said, a row of a device that exists fails.
    let counted = ["created", "updated", "skipped", "failed"].map(rows);
    assert_eq!(counted, [2.0, 0.0, 0.0, 2.0]);
    assert_eq!(
        metrics.get("thingshub_imports_total{outcome=\"failed\"}"),
        0.0
    );
}

async fn logins_and_requests_are_counted(database: Database) {
    let mut hub = Hub::start_with(database, &["--login-failures-max", "2"]).await;
    hub.user("eve", "viewer").await;
    let logins = |outcome: &str| format!("thingshub_logins_total{{outcome=\"{outcome}\"}}");
    assert_eq!(Metrics::of(&hub).await.get(&logins("wrong")), 0.0);
    for status in [400, 400, 503] {
        let body = json!({"username": "eve", "password": "not the right one"});
        let request = hub.request(Method::POST, "auth/token").with_json(&body);
        hub.answer(request).await.refused(status);
    }
    hub.log_in("admin", PASSWORD).await;
    hub.get("devices/nothing").await.refused(404);
    hub.get("/nowhere").await.refused(404);

    let metrics = Metrics::of(&hub).await;
    assert_eq!(metrics.get(&logins("wrong")), 2.0);
    assert_eq!(metrics.get(&logins("throttled")), 1.0);
    assert_eq!(metrics.get(&logins("success")), 2.0);
    assert_eq!(metrics.get(&logins("failed")), 0.0);
    let requests = |operation: &str, status: &str| {
        metrics.find(&format!(
            "thingshub_http_requests_total{{operation=\"{operation}\",status=\"{status}\"}}"
        ))
    };
    assert_eq!(requests("create_token", "400"), 2.0);
    assert_eq!(requests("create_token", "503"), 1.0);
    assert_eq!(requests("create_user", "201"), 1.0);
    assert_eq!(requests("get_device", "404"), 1.0);
    assert_eq!(requests("none", "404"), 1.0);
    assert_eq!(requests("get_metrics", "200"), 1.0);
    let seconds = "thingshub_http_request_seconds_count{operation=\"create_token\"}";
    assert_eq!(metrics.get(seconds), 5.0);
    // This request and its connection.
    assert!(metrics.get("thingshub_http_requests_running") >= 1.0);
    assert!(metrics.get("thingshub_http_connections") >= 1.0);
    assert!(metrics.get("process_resident_memory_bytes") > 1e6);
    assert!(metrics.get("process_open_fds") > 3.0);
    assert_eq!(metrics.get("thingshub_deliveries_waiting"), 0.0);
    assert_eq!(metrics.get("thingshub_deliveries_oldest_due_seconds"), 0.0);
    for problem in ["database", "driver_workers", "certificate"] {
        let series = format!("thingshub_problem{{problem=\"{problem}\"}}");
        assert_eq!(metrics.get(&series), 0.0);
    }

    // A log-in that the hub cannot decide.
    hub.may_complain = true;
    hub.sql("ALTER TABLE users RENAME TO users_elsewhere").await;
    let body = json!({"username": "admin", "password": PASSWORD});
    let request = hub.request(Method::POST, "auth/token").with_json(&body);
    hub.answer(request).await.refused(500);
    hub.sql("ALTER TABLE users_elsewhere RENAME TO users").await;
    let metrics = Metrics::of(&hub).await;
    assert_eq!(metrics.get(&logins("failed")), 1.0);
    assert_eq!(metrics.get(&logins("throttled")), 1.0);
}

async fn only_operators_get_metrics(database: Database) {
    let hub = Hub::start(database).await;
    let nobody = hub.request(Method::GET, "/metrics");
    hub.answer(nobody).await.refused(401);
    for role in ["viewer", "editor", "admin"] {
        hub.user(&format!("some-{role}"), role).await;
        let token = hub.log_in(&format!("some-{role}"), PASSWORD).await;
        let request = hub.request(Method::GET, "/metrics").bearer_auth(token);
        let error = hub.answer(request).await.refused(403);
        assert!(error.contains("only an operator"), "{role}: {error}");
    }
    let key = hub.api_key("key", &["read", "write"]).await;
    let request = hub.request(Method::GET, "/metrics").bearer_auth(key);
    hub.answer(request).await.refused(403);
    let text = hub.get("/metrics").await.text;
    assert!(!text.contains("some-"), "{text}");
}

/// The port of the listener for metrics, and the scheme that the hub names.
fn port_of_metrics(hub: &Hub) -> (String, String) {
    let log = hub.log();
    let (_, rest) = log.rsplit_once("metrics are served on ").unwrap();
    let (scheme, rest) = rest.split_once("://").unwrap();
    let (address, _) = rest.split_once("/metrics").unwrap();
    let (_, port) = address.rsplit_once(':').unwrap();
    (scheme.to_owned(), port.to_owned())
}

async fn the_listener_serves_metrics_alone(database: Database) {
    let mut hub = Hub::start_with(database, &["--metrics-listen", "127.0.0.1:0"]).await;
    let client = hub.client_at(HERE);
    let call = async |hub: &Hub, scheme: &str, method: Method, path: &str| {
        let (_, port) = port_of_metrics(hub);
        let url = format!("{scheme}://127.0.0.1:{port}{path}");
        hub.answer(client.request(method, url)).await
    };
    assert_eq!(port_of_metrics(&hub).0, "http");
    for scheme in ["http", "https"] {
        let metrics = Metrics::read(call(&hub, scheme, Method::GET, "/metrics").await);
        assert!(metrics.get("thingshub_logins_total{outcome=\"success\"}") >= 1.0);
        for path in ["/", "/metrics/x", "/docs", "/livez", "/api/v3/users/me"] {
            let answer = call(&hub, scheme, Method::GET, path).await;
            answer.refused(404);
        }
        let answer = call(&hub, scheme, Method::POST, "/metrics").await;
        answer.refused(404);
    }

    // On an address that others can reach, everything is encrypted unless the operator says otherwise.
    for (flags, status) in [
        (&["--metrics-listen", "0.0.0.0:0"][..], 400),
        (
            &[
                "--metrics-listen",
                "0.0.0.0:0",
                "--metrics-plain-http",
                "true",
            ],
            200,
        ),
    ] {
        assert!(hub.end(Signal::SIGTERM).await.success());
        hub.start_again_with(flags).await;
        let plain = call(&hub, "http", Method::GET, "/metrics").await;
        assert_eq!(plain.status, status, "{}", plain.text);
        if status == 400 {
            assert!(plain.refused(400).contains("use https://"));
            assert_eq!(port_of_metrics(&hub).0, "https");
        }
        Metrics::read(call(&hub, "https", Method::GET, "/metrics").await);
    }

    // An error about the address names the setting.
    assert!(hub.end(Signal::SIGTERM).await.success());
    let taken = std::net::TcpListener::bind((HERE, 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    hub.set_flags(&["--metrics-listen", &address]);
    let said = hub.does_not_start().await;
    assert!(said.contains("setting metrics_listen"), "{said}");
}
