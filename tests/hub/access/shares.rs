//! Places of which each user and each tenant has a share, so that nobody takes all of them.

use std::{net::Ipv4Addr, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, future::join_all, stream};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::json;
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{
    eventually,
    support::{
        database::{Database, on_both_databases},
        metrics::metric,
        server::{Hub, PASSWORD},
    },
};

on_both_databases!(
    live_streams_are_shared_out,
    slow_files_keep_no_other_tenant_from_importing,
    a_repeated_import_is_done_once,
    drivers_are_exported_some_at_a_time,
);

async fn listen(hub: &Hub, token: &str) -> Response {
    let request = hub.request(Method::GET, "events").bearer_auth(token);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    response
}

async fn is_refused(hub: &Hub, token: &str, setting: &str) {
    let request = hub.request(Method::GET, "events").bearer_auth(token);
    let answer = hub.answer(request).await;
    assert!(answer.headers.contains_key("retry-after"));
    let error = answer.refused(503);
    assert!(error.contains(&format!("(setting {setting})")), "{error}");
}

async fn live_streams_are_shared_out(database: Database) {
    let flags = [
        ["--live-streams-max", "5"],
        ["--live-streams-tenant-max", "4"],
        ["--live-streams-user-max", "2"],
    ];
    let hub = Hub::start_with(database, flags.as_flattened()).await;
    hub.user("eve", "viewer").await;
    hub.tenant("other").await;
    let eve = hub.log_in("eve", PASSWORD).await;
    let mut open = vec![listen(&hub, &eve).await];
    // However often somebody logs in.
    let again = hub.log_in("eve", PASSWORD).await;
    open.push(listen(&hub, &again).await);
    is_refused(&hub, &eve, "live_streams_user_max").await;

    let key = hub.api_key("k", &["devices:read"]).await;
    open.push(listen(&hub, &key).await);
    open.push(listen(&hub, &hub.token).await);
    is_refused(&hub, &key, "live_streams_tenant_max").await;

    let other = hub.log_in("other", PASSWORD).await;
    open.push(listen(&hub, &other).await);
    is_refused(&hub, &other, "live_streams_max").await;
    let streams = "thingshub_live_streams{kind=\"events\"}";
    assert_eq!(metric(&hub, &hub.token, streams).await, 5.0);
    drop(open);
    eventually("the places are free again", async || {
        let request = hub.request(Method::GET, "events?for_s=0");
        let answer = hub.answer(request.bearer_auth(&eve)).await;
        (answer.status == 200).then_some(())
    })
    .await;
}

fn import(hub: &Hub, token: &str, key: Option<&str>) -> RequestBuilder {
    let request = hub
        .request(Method::POST, "devices/import?on_existing=update")
        .bearer_auth(token)
        .header("Content-Type", "text/csv");
    match key {
        Some(key) => request.header("Idempotency-Key", key),
        None => request,
    }
}

/// A file that has begun to come, and goes on when the test says so.
struct Slow {
    rest: mpsc::Sender<Bytes>,
    sending: JoinHandle<reqwest::Result<Response>>,
}

impl Slow {
    /// Begins to send, and waits until the hub has let it in. The file that asks for the place can take it itself,
    /// so it comes later each time that it was first.
    async fn begin(hub: &Hub, token: &str, key: Option<&str>) -> Self {
        for attempt in 0.. {
            let slow = Self::send(hub, token, key);
            sleep(Duration::from_millis(20) * attempt).await;
            let is_in = eventually("the file's place is taken", async || {
                let answer = hub.answer(import(hub, token, None).body("id\nx")).await;
                if answer.status == 503 {
                    let error = answer.refused(503);
                    assert!(error.contains("of this user or API key"), "{error}");
                    return Some(true);
                }
                answer.created();
                // The other one came first, and the slow one found the place taken.
                slow.sending.is_finished().then_some(false)
            });
            if is_in.await {
                return slow;
            }
        }
        unreachable!("attempts have no end")
    }

    fn send(hub: &Hub, token: &str, key: Option<&str>) -> Self {
        let (rest, mut more) = mpsc::channel::<Bytes>(1);
        let first = stream::iter([Bytes::from_static(b"id\n")]);
        let chunks = first.chain(stream::poll_fn(move |context| more.poll_recv(context)));
        let body = reqwest::Body::wrap_stream(chunks.map(Ok::<_, std::io::Error>));
        let sending = tokio::spawn(import(hub, token, key).body(body).send());
        Self { rest, sending }
    }

    async fn end(self) {
        self.rest.send(Bytes::from_static(b"slow\n")).await.unwrap();
        drop(self.rest);
        let response = self.sending.await.unwrap().unwrap();
        assert_eq!(response.status(), 201);
    }
}

async fn slow_files_keep_no_other_tenant_from_importing(database: Database) {
    let hub = Hub::start_with(database, &["--request-timeout-s", "600"]).await;
    hub.user("eve", "editor").await;
    hub.user("bob", "editor").await;
    hub.tenant("other").await;
    let eve = hub.log_in("eve", PASSWORD).await;
    let bob = hub.log_in("bob", PASSWORD).await;
    let other = hub.log_in("other", PASSWORD).await;
    let one = Slow::begin(&hub, &eve, None).await;
    // With an `Idempotency-Key`, a file is read before its operation runs, but not before it has its place.
    let two = Slow::begin(&hub, &hub.token, Some("k")).await;
    let table = json!({"name": "t", "selector": ""});
    let table = hub.post("data-tables", &table).await.created();
    let path = format!("data-tables/{}/import", table["id"]);
    let rows = hub.request(Method::POST, &path).bearer_auth(&bob);
    let rows = rows
        .header("Content-Type", "text/csv")
        .body("time,device_id,n\n");
    let error = hub.answer(rows).await.refused(503);
    assert!(error.contains("of this tenant"), "{error}");
    let refused = hub.answer(import(&hub, &bob, None).body("id\nb")).await;
    let error = refused.refused(503);
    assert!(error.contains("of this tenant"), "{error}");
    let keyed = import(&hub, &bob, Some("b")).body("id\nb");
    hub.answer(keyed).await.refused(503);
    hub.answer(import(&hub, &other, None).body("id\nb"))
        .await
        .created();
    one.end().await;
    two.end().await;
    for token in [&eve, &bob, &hub.token] {
        hub.answer(import(&hub, token, None).body("id\nb"))
            .await
            .created();
    }
}

async fn a_repeated_import_is_done_once(database: Database) {
    let hub = Hub::start(database).await;
    let form = |id: &str| {
        // More than the hub reads of a form at a time.
        let rows = format!("id,description\n{id},x\n") + &format!("{id}-2,y\n").repeat(20_000);
        format!(
            "--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"d.csv\"\r\n\
             Content-Type: text/csv\r\n\r\n{rows}\r\n--X--\r\n"
        )
    };
    let send = async |key: &str, id: &str| {
        let request = hub
            .request(Method::POST, "devices/import?on_existing=skip")
            .bearer_auth(&hub.token)
            .header("Content-Type", "multipart/form-data; boundary=X")
            .header("Idempotency-Key", key)
            .body(form(id));
        hub.answer(request).await
    };
    let first = send("k", "a").await.created();
    assert_eq!(first["rows_total"], 20_001, "{first}");
    let again = send("k", "a").await.created();
    assert_eq!(again["id"], first["id"]);
    let error = send("k", "b").await.refused(400);
    assert!(error.contains("Idempotency-Key"), "{error}");
    assert_eq!(hub.list("devices/import").await.len(), 1);
}

/// A client that goes away leaves work to the hub, which stays bounded all the same.
async fn drivers_are_exported_some_at_a_time(database: Database) {
    const VERSIONS: usize = 8;
    const CLIENTS: usize = 100;
    let hub = Hub::start(database).await;
    let filling = format!("//{}\n", "x".repeat(500_000));
    for number in 0..VERSIONS {
        let script = format!("{filling}function decode(m) {{ return {{n: {number}}} }}");
        let body = json!({"author": "a", "name": "large", "tags": [number.to_string()],
            "script": script});
        hub.post("drivers", &body).await.created();
    }
    let export = || {
        let request = hub.request(Method::GET, "drivers/a/large/export");
        request.bearer_auth(&hub.token)
    };
    let before = hub.peak_kib();
    let exports = join_all((0..CLIENTS).map(|_| hub.answer(export()))).await;
    let mut done = 0;
    for answer in exports {
        match answer.status {
            503 => assert!(answer.refused(503).contains("being exported")),
            _ => {
                assert_eq!(answer.status, 200);
                done += 1;
            }
        }
    }
    assert!(done > 0);
    // All go away, each at another moment, again and again. A connection on which many do so is ended, so it is
    // not the one on which the others ask.
    let client = hub.client_at(Ipv4Addr::LOCALHOST.into());
    let url = format!("https://{}/api/v3/drivers/a/large/export", hub.address);
    for _ in 0..10 {
        let cut = |number: usize| {
            let moment = Duration::from_micros(number as u64 * 500);
            timeout(moment, client.get(&url).bearer_auth(&hub.token).send())
        };
        join_all((0..CLIENTS).map(cut)).await;
    }
    eventually("the places are free again", async || {
        (hub.answer(export()).await.status == 200).then_some(())
    })
    .await;
    let more = hub.peak_kib().saturating_sub(before);
    assert!(more < 150 << 10, "{more} KiB more than {before} KiB");
}
