//! The target `websocket`: real WebSockets over TLS, several at once, and what waits for them.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, Message, client::IntoClientRequest},
};

use crate::{
    eventually,
    support::{
        database::{Database, on_both_databases},
        messages, raw,
        server::{Connection, Hub},
    },
};

on_both_databases!(
    what_waits_and_what_comes_is_told_to_all_who_follow,
    who_follows_needs_a_token_or_the_key,
    what_nobody_follows_is_given_up_beyond_the_bound,
    a_follower_that_sends_much_is_cut_off,
    what_no_follower_has_acknowledged_is_sent_again,
    a_change_closes_the_streams,
);

async fn hub(database: Database, flags: &[&str]) -> (Hub, Connection, Value) {
    let hub = Hub::start_with(database, flags).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, "AA00000000000001", json!({}))
        .await;
    let body = json!({"name": "live", "selector": "", "target": {"type": "websocket"}});
    let made = hub.post("integrations", &body).await.created();
    (hub, connection, made)
}

type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// Follows; the error is the status of the refusal.
async fn follow(hub: &Hub, query: &str, token: Option<&str>) -> Result<Socket, u16> {
    let stream = raw::open(hub, &[]).await.unwrap();
    let url = format!("wss://localhost{query}");
    let mut request = url.into_client_request().unwrap();
    if let Some(token) = token {
        let value = format!("Bearer {token}").parse().unwrap();
        request.headers_mut().insert("Authorization", value);
    }
    match client_async(request, stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

/// The next message of the stream.
async fn next(socket: &mut Socket) -> Value {
    let text = async {
        loop {
            match socket.next().await.unwrap().unwrap() {
                Message::Text(text) => return messages::checked(&text),
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    timeout(Duration::from_secs(20), text).await.unwrap()
}

/// The next message, while the answers to its pings go out.
async fn count(hub: &Hub, id: &Value, state: &str) -> usize {
    hub.list(&format!("integrations/{id}/deliveries?state={state}"))
        .await
        .len()
}

async fn what_waits_and_what_comes_is_told_to_all_who_follow(database: Database) {
    let (hub, connection, made) = hub(database, &[]).await;
    let path = made["target"]["url"].as_str().unwrap();
    assert_eq!(path, format!("/api/v3/integrations/{}/stream", made["id"]));
    let named = ["--public-url", "https://hub.example.com"];
    let (_named, _, there) = self::hub(Database::Sqlite, &named).await;
    let url = &there["target"]["url"];
    assert_eq!(
        url,
        &format!(
            "wss://hub.example.com/api/v3/integrations/{}/stream",
            there["id"]
        )
    );
    hub.uplink(&connection, "AA00000000000001").await;
    hub.uplink(&connection, "AA00000000000001").await;
    let stream = path.trim_start_matches("/api/v3/");
    assert_eq!(hub.get(stream).await.ok()["waiting"], 2);
    let mut first = follow(&hub, path, Some(&hub.token)).await.unwrap();
    for _ in 0..2 {
        assert_eq!(next(&mut first).await["uplink_metadata"]["id"], "d");
    }
    // The socket answers pings while it is read.
    let reader = tokio::spawn(async move {
        let message = next(&mut first).await;
        (first, message)
    });
    eventually("what waited is settled", async || {
        (count(&hub, &made["id"], "delivered").await == 2).then_some(())
    })
    .await;
    let mut second = follow(&hub, path, Some(&hub.token)).await.unwrap();
    hub.uplink(&connection, "AA00000000000001").await;
    let (_first, message) = reader.await.unwrap();
    assert_eq!(message["uplink_metadata"]["id"], "d");
    assert_eq!(next(&mut second).await, message);
}

async fn who_follows_needs_a_token_or_the_key(database: Database) {
    let (hub, connection, made) = hub(database, &[]).await;
    let path = made["target"]["url"].as_str().unwrap();
    let refusal = |answer: Result<Socket, u16>| answer.err().unwrap();
    assert_eq!(refusal(follow(&hub, path, None).await), 401);
    assert_eq!(refusal(follow(&hub, path, Some("wrong")).await), 401);
    let wrong = format!("{path}?stream_key=wrong");
    assert_eq!(refusal(follow(&hub, &wrong, None).await), 401);
    let key = format!("integrations/{}/key", made["id"]);
    let renewed = hub.post(&key, &json!({})).await.created();
    assert_eq!(renewed["target"]["has_key"], true);
    let key = renewed["key"].as_str().unwrap();
    let with_key: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("stream_key", key)
        .finish();
    let with_key = format!("{path}?{with_key}");
    let mut socket = follow(&hub, &with_key, None).await.unwrap();
    hub.uplink(&connection, "AA00000000000001").await;
    assert_eq!(next(&mut socket).await["uplink_metadata"]["id"], "d");
    // The key opens nothing else.
    hub.get(&format!("integrations?stream_key={key}"))
        .await
        .refused(400);
    let other = hub.integration("erp", "", "https://example.com/").await;
    let other = format!("/api/v3/integrations/{other}/stream");
    assert_eq!(refusal(follow(&hub, &other, Some(&hub.token)).await), 400);
}

async fn what_nobody_follows_is_given_up_beyond_the_bound(database: Database) {
    let (hub, connection, made) = hub(database, &["--stream-backlog-max", "1"]).await;
    hub.uplink(&connection, "AA00000000000001").await;
    hub.uplink(&connection, "AA00000000000001").await;
    hub.uplink(&connection, "AA00000000000001").await;
    let path = made["target"]["url"].as_str().unwrap();
    let stream = path.trim_start_matches("/api/v3/");
    let integration = format!("integrations/{}", made["id"]);
    // The lane looks when it begins: a change of the integration makes it begin again.
    let changed = json!({"name": "live", "selector": "", "description": "changed",
        "target": {"type": "websocket"}});
    hub.put(&integration, &changed).await.ok();
    eventually("the older ones are given up", async || {
        (count(&hub, &made["id"], "dead").await == 2).then_some(())
    })
    .await;
    assert_eq!(hub.get(stream).await.ok()["waiting"], 1);
    let deliveries = hub.list(&format!("{integration}/deliveries")).await;
    let newest = deliveries.iter().find(|one| one["state"] == "pending");
    let created = |one: &Value| one["created_at"].as_str().unwrap().to_owned();
    let last = deliveries.iter().map(created).max();
    assert_eq!(
        newest.map(created),
        last,
        "the newest is kept: {deliveries:?}"
    );
    let mut socket = follow(&hub, path, Some(&hub.token)).await.unwrap();
    next(&mut socket).await;
}

/// A follower has nothing to say: its messages are ignored as long as they are small.
async fn a_follower_that_sends_much_is_cut_off(database: Database) {
    let (hub, connection, made) = hub(database, &[]).await;
    let path = made["target"]["url"].as_str().unwrap();
    let mut socket = follow(&hub, path, Some(&hub.token)).await.unwrap();
    socket.send(Message::text("a".repeat(4096))).await.unwrap();
    hub.uplink(&connection, "AA00000000000001").await;
    next(&mut socket).await;

    let mut greedy = follow(&hub, path, Some(&hub.token)).await.unwrap();
    // The connection may be closed before everything is sent.
    let _ = greedy.send(Message::text("a".repeat(1_000_000))).await;
    let cut = async { while let Some(Ok(_)) = greedy.next().await {} };
    timeout(Duration::from_secs(20), cut).await.unwrap();
    hub.uplink(&connection, "AA00000000000001").await;
    next(&mut socket).await;
}

/// A message counts as delivered by the answer to the ping behind it, and not by being sent.
async fn what_no_follower_has_acknowledged_is_sent_again(database: Database) {
    let (hub, connection, made) = hub(database, &[]).await;
    let path = made["target"]["url"].as_str().unwrap();
    let mut first = follow(&hub, path, Some(&hub.token)).await.unwrap();
    hub.uplink(&connection, "AA00000000000001").await;
    // Reading no further, it does not answer the ping.
    let message = next(&mut first).await;
    drop(first);
    let mut second = follow(&hub, path, Some(&hub.token)).await.unwrap();
    assert_eq!(next(&mut second).await, message);
    assert_eq!(count(&hub, &made["id"], "delivered").await, 0);
    // Reading on answers it.
    let reader = tokio::spawn(async move { while let Some(Ok(_)) = second.next().await {} });
    eventually("the message is settled", async || {
        (count(&hub, &made["id"], "delivered").await == 1).then_some(())
    })
    .await;
    reader.abort();
    let stream = path.trim_start_matches("/api/v3/");
    assert_eq!(hub.get(stream).await.ok()["waiting"], 0);
}

async fn a_change_closes_the_streams(database: Database) {
    let (hub, connection, made) = hub(database, &[]).await;
    let path = made["target"]["url"].as_str().unwrap();
    let socket = follow(&hub, path, Some(&hub.token)).await.unwrap();
    let changed = json!({"name": "live", "selector": "", "description": "changed",
        "target": {"type": "websocket"}});
    let integration = format!("integrations/{}", made["id"]);
    hub.put(&integration, &changed).await.ok();
    closed(socket).await;
    // Whoever comes back follows by the new rules.
    let mut socket = follow(&hub, path, Some(&hub.token)).await.unwrap();
    hub.uplink(&connection, "AA00000000000001").await;
    next(&mut socket).await;
    // So it is with a pause, after which what has come meanwhile is there.
    let pause = format!("{integration}/pause");
    hub.post(&pause, &json!({})).await.ok();
    hub.uplink(&connection, "AA00000000000001").await;
    let received_at = &hub.list("devices/d/uplinks").await[0]["received_at"];
    closed(socket).await;
    let resume = format!("{integration}/resume");
    hub.post(&resume, &json!({})).await.ok();
    let mut socket = follow(&hub, path, Some(&hub.token)).await.unwrap();
    eventually("what has come meanwhile is told", async || {
        let told = next(&mut socket).await;
        let told = &told["uplink_metadata"]["last_data_received"]["received_at"];
        (time(told) == time(received_at)).then_some(())
    })
    .await;
}

/// A time, whose fraction messages write without zeros at its end.
fn time(text: &Value) -> chrono::DateTime<chrono::Utc> {
    text.as_str().unwrap().parse().unwrap()
}

/// Waits until the hub has closed the stream.
async fn closed(mut socket: Socket) {
    let end = async { while let Some(Ok(_)) = socket.next().await {} };
    timeout(Duration::from_secs(20), end).await.unwrap();
}
