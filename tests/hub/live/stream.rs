//! The live stream: what is recorded reaches who listens, once the filters let it, and nothing is
//! missed over a break.

use std::time::Duration;

use nix::sys::signal::Signal;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::{
    eventually,
    support::{
        database::{Database, Held, on_both_databases, on_postgres},
        rows::{fill, id, ids as ids_of, time},
        server::{Connection, Hub},
    },
};

on_both_databases!(
    what_is_recorded_is_told,
    filters_leave_out_the_rest,
    who_comes_back_misses_nothing,
    a_stream_ends_with_its_token_and_with_the_hub,
    a_stream_ends_after_the_time_that_it_may_last,
    bad_wishes_are_refused,
);

pub const ONE: &str = "AA00000000000001";
pub const TWO: &str = "AA00000000000002";

/// An open stream, read event by event.
pub struct Listener {
    response: Response,
    buffer: String,
}

/// An event as it was received.
#[derive(Debug)]
pub struct Told {
    pub id: String,
    kind: String,
    data: Value,
}

impl Listener {
    async fn open(hub: &Hub, query: &str, token: &str) -> Self {
        let request = hub.request(Method::GET, &format!("events?{query}"));
        Self::of(request.bearer_auth(token)).await
    }

    /// Opens a stream without a token; the query has a stream key.
    pub async fn open_by_key(hub: &Hub, query: &str) -> Self {
        Self::of(hub.request(Method::GET, &format!("events?{query}"))).await
    }

    async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert!(response.headers().contains_key("x-request-id"));
        Self {
            response,
            buffer: String::new(),
        }
    }

    /// The next event; `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Told> {
        loop {
            if let Some((event, rest)) = self.buffer.split_once("\n\n") {
                let field = |name: &str| {
                    event
                        .lines()
                        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                        .map(ToOwned::to_owned)
                };
                let told = field("data").map(|data| Told {
                    id: field("id").unwrap(),
                    kind: field("event").unwrap(),
                    data: serde_json::from_str(&data).unwrap(),
                });
                self.buffer = rest.to_owned();
                match told {
                    Some(told) => return Some(told),
                    None => continue,
                }
            }
            let chunk = timeout(Duration::from_secs(30), self.response.chunk());
            let chunk = chunk.await.expect("the stream is silent").ok()??;
            self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    pub async fn all(mut self) -> Vec<Told> {
        let mut told = Vec::new();
        while let Some(next) = self.next().await {
            told.push(next);
        }
        told
    }
}

pub async fn two_devices(hub: &Hub) -> Connection {
    let connection = hub.connect("tts").await;
    hub.push("a/b", "1", "function decode() { return {v: 1} }")
        .await;
    let berlin = json!({"driver": "a/b:1", "labels": ["site=berlin"]});
    hub.device("one", &connection, ONE, berlin).await;
    hub.device("two", &connection, TWO, json!({})).await;
    connection
}

async fn what_is_recorded_is_told(database: Database) {
    let hub = Hub::start(database).await;
    let connection = two_devices(&hub).await;
    hub.uplink(&connection, ONE).await;

    let mut listener = Listener::open(&hub, "", &hub.token).await;
    let sent = hub.uplink(&connection, ONE).await;
    let told = listener.next().await.unwrap();
    assert_eq!((told.kind.as_str(), &told.id), ("uplink", &sent));
    assert_eq!(told.data["device_id"], "one");
    assert_eq!(told.data["event"], Value::Null);
    let kept = hub.list("devices/one/uplinks").await;
    assert_eq!(
        told.data["uplink"], kept[0],
        "the stream tells what a list does"
    );

    hub.uplink(&connection, TWO).await;
    assert_eq!(listener.next().await.unwrap().data["device_id"], "two");
    let unknown = crate::support::server::things_stack("AA000000000000FF");
    hub.ingest(&connection, unknown).await.ok();
    let told = listener.next().await.unwrap();
    assert_eq!(told.kind, "unknown_device");
    assert_eq!(told.data["device_id"], Value::Null);
    let path = format!("network-connections/{}/events", connection.id);
    assert_eq!(told.data["event"], hub.list(&path).await[0]);
}

async fn filters_leave_out_the_rest(database: Database) {
    let hub = Hub::start(database).await;
    let connection = two_devices(&hub).await;
    hub.push("a/b", "1", "function decode() { throw new Error('no') }")
        .await;
    let mut by_label = Listener::open(&hub, "selector=site%3Dberlin", &hub.token).await;
    let mut by_device = Listener::open(&hub, "device_id=one", &hub.token).await;
    let mut by_kind = Listener::open(&hub, "kinds=driver_failed", &hub.token).await;
    let mut moved = Listener::open(&hub, "selector=moved&kinds=uplink", &hub.token).await;

    let second = hub.uplink(&connection, TWO).await;
    let first = hub.uplink(&connection, ONE).await;
    let (a, b) = (
        by_label.next().await.unwrap(),
        by_label.next().await.unwrap(),
    );
    let mut kinds = [a.kind.as_str(), b.kind.as_str()];
    kinds.sort_unstable();
    assert_eq!(kinds, ["driver_failed", "uplink"]);
    assert!(a.id == first || b.id == first);
    assert_eq!(by_device.next().await.unwrap().id, first);
    let failed = by_kind.next().await.unwrap();
    assert_eq!(
        (failed.kind.as_str(), &failed.data["device_id"]),
        ("driver_failed", &json!("one"))
    );

    // A label counts from the next message on.
    let label = hub
        .post("devices/two/labels?labels=moved", &json!({}))
        .await;
    label.ok();
    let third = hub.uplink(&connection, TWO).await;
    let told = moved.next().await.unwrap().id;
    assert!([second, third].contains(&told), "{told}");

    // An empty selector means all devices, and no selector those and what is of no device.
    let unknown = crate::support::server::things_stack("AA000000000000FF");
    hub.ingest(&connection, unknown).await.ok();
    let since = "for_s=0&after=00000000-0000-7000-8000-000000000000";
    for (query, is_told) in [
        (since.to_owned(), true),
        (format!("selector=&{since}"), false),
    ] {
        let told = Listener::open(&hub, &query, &hub.token).await.all().await;
        let is = |kind: &str| told.iter().any(|told| told.kind == kind);
        assert_eq!(
            (is("uplink"), is("unknown_device")),
            (true, is_told),
            "{query}"
        );
    }
}

async fn a_stream_ends_after_the_time_that_it_may_last(database: Database) {
    let hub = Hub::start_with(database, &["--live-stream-s", "2"]).await;
    for wish in ["for_s=3600", ""] {
        let begun = Instant::now();
        let told = Listener::open(&hub, wish, &hub.token).await.all().await;
        assert!(told.is_empty());
        assert!(begun.elapsed() >= Duration::from_secs(2), "{wish}");
    }
}

async fn who_comes_back_misses_nothing(database: Database) {
    let hub = Hub::start(database).await;
    let connection = two_devices(&hub).await;
    let first = hub.uplink(&connection, ONE).await;
    let mut missed = Vec::new();
    for _ in 0..20 {
        missed.push(hub.uplink(&connection, TWO).await);
    }
    let told = Listener::open(&hub, &format!("after={first}&for_s=0"), &hub.token).await;
    let ids: Vec<_> = told.all().await.into_iter().map(|told| told.id).collect();
    assert_eq!(ids, missed, "in their order, without the one seen");

    let last = missed.last().unwrap();
    let request = hub.request(Method::GET, "events?for_s=0&device_id=one");
    let request = request
        .bearer_auth(&hub.token)
        .header("Last-Event-ID", last);
    let text = request.send().await.unwrap().text().await.unwrap();
    assert!(!text.contains(last), "{text}");
    assert!(
        text.contains(&first),
        "what could have been late comes again: {text}"
    );

    // What the browser sends of itself counts before what the page has written into the URL.
    let (id, at) = (id(&hub, 1, 1), time(1));
    hub.sql(&format!(
        "INSERT INTO events (tenant_id, id, kind, device_key, connection_id, at, message, details) \
         VALUES (1, {id}, 'join', 1, {}, {at}, '', '{{}}')",
        connection.id
    ))
    .await;
    let long_ago = "events?for_s=0&after=00000000-0000-7000-8000-000000000000";
    let request = hub.request(Method::GET, long_ago).bearer_auth(&hub.token);
    let without = request.try_clone().unwrap().send().await.unwrap();
    assert!(without.text().await.unwrap().contains("event: join"));
    let with = request.header("Last-Event-ID", last).send().await.unwrap();
    let text = with.text().await.unwrap();
    // However many were missed.
    let columns = "tenant_id, id, kind, device_key, connection_id, at, message, details";
    let (ids, connection) = (ids_of(&hub, 2), connection.id);
    let values = format!("1, {ids}, 'join', 1, {connection}, {at}, '', '{{}}'");
    fill(&hub, 1200, "events", columns, &values).await;
    let joins = format!("{long_ago}&kinds=join");
    let all = hub.request(Method::GET, &joins).bearer_auth(&hub.token);
    let all = all.send().await.unwrap().text().await.unwrap();
    assert_eq!(all.matches("event: join").count(), 1201);
    assert!(
        text.contains(&first) && !text.contains("event: join"),
        "{text}"
    );

    let nothing = Listener::open(&hub, "for_s=0", &hub.token).await;
    assert!(nothing.all().await.is_empty());
}

async fn a_stream_ends_with_its_token_and_with_the_hub(database: Database) {
    let mut hub = Hub::start(database).await;
    let connection = two_devices(&hub).await;
    let key = json!({"name": "k", "scopes": ["devices:read"]});
    let key = hub.post("api-keys", &key).await.created();
    let mut listener = Listener::open(&hub, "", key["key"].as_str().unwrap()).await;
    hub.uplink(&connection, ONE).await;
    assert!(listener.next().await.is_some());
    hub.delete(&format!("api-keys/{}", key["id"])).await.ok();
    hub.uplink(&connection, ONE).await;
    assert!(listener.next().await.is_none());

    let listener = Listener::open(&hub, "", &hub.token).await;
    assert!(hub.end(Signal::SIGTERM).await.success());
    assert!(listener.all().await.is_empty());
}

async fn bad_wishes_are_refused(database: Database) {
    let hub = Hub::start_with(database, &["--live-streams-max", "1"]).await;
    for (query, named) in [
        ("kinds=uplink,nonsense", "kinds"),
        ("selector=a%20and", "selector"),
        ("after=yesterday", "after"),
        ("for_s=-1", "for_s"),
        ("for_s=86401", "for_s"),
        ("colour=red", "colour"),
    ] {
        let error = hub.get(&format!("events?{query}")).await.refused(400);
        assert!(error.contains(named), "{query}: {error}");
    }
    let listener = Listener::open(&hub, "", &hub.token).await;
    let error = hub.get("events?for_s=0").await.refused(503);
    assert!(error.contains("live streams"), "{error}");
    drop(listener);
    eventually("the place is free again", async || {
        (hub.get("events?for_s=0").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_hub_records_is_told() {
    on_postgres(async |database: Database| {
        let one = Hub::start(database.clone()).await;
        let two = Hub::start(database).await;
        let connection = two_devices(&one).await;
        let mut listener = Listener::open(&two, "", &two.token).await;
        let sent = one.uplink(&connection, ONE).await;
        assert_eq!(listener.next().await.unwrap().id, sent);
    })
    .await;
}

/// A row that waits behind a lock is committed long after its id was made.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_late_is_told() {
    on_postgres(async |database: Database| {
        let one = Hub::start(database.clone()).await;
        let two = Hub::start(database).await;
        let slow = two_devices(&one).await;
        let fast = one.connect("fast").await;
        one.device("three", &fast, "AA00000000000003", json!({}))
            .await;
        let mut listener = Listener::open(&two, "kinds=uplink", &two.token).await;
        let lock = format!(
            "BEGIN; SELECT 1 FROM connection_health WHERE connection_id = {} FOR UPDATE",
            slow.id
        );
        let held = Held::start(&one.database_url(), &lock).await;
        let release = async {
            // Longer than ids are looked for that are a little late.
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(8) {
                let sent = two.uplink(&fast, "AA00000000000003").await;
                assert_eq!(listener.next().await.unwrap().id, sent);
            }
            held.end().await;
            listener.next().await.unwrap().id
        };
        let (late, told) = tokio::join!(one.uplink(&slow, ONE), release);
        assert_eq!(told, late);
    })
    .await;
}
