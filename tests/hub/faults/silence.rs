//! A PostgreSQL that goes silent: its connections stay open, and nothing comes over them any more. Nothing
//! of the hub waits for it without an end, and nobody has to do anything when it is back.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use reqwest::{Method, Url};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

use crate::{
    eventually, eventually_within,
    support::{
        database::{Database, Held, on_postgres},
        server::{Answer, Connection, Hub, things_stack},
    },
};

const EUI: &str = "AA00000000000001";
/// The most time in which the hub may find out, with the settings of these tests.
const FOUND_OUT: Duration = Duration::from_secs(15);

/// Stands between a hub and its server.
struct Proxy {
    url: String,
    /// Connections with a smaller number are silent.
    silent: watch::Sender<u64>,
    /// The number of connections so far.
    opened: watch::Receiver<u64>,
}

impl Proxy {
    async fn start(server: &str) -> Self {
        let mut url = Url::parse(server).unwrap();
        let host = url.host_str().unwrap().to_owned();
        let server = (host, url.port().unwrap_or(5432));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(listener.local_addr().unwrap().port()))
            .unwrap();
        let silent = watch::Sender::new(0);
        let (count, opened) = watch::channel(0);
        let heard = silent.subscribe();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let number = *count.borrow();
                count.send_replace(number + 1);
                let (server, heard) = (server.clone(), heard.clone());
                tokio::spawn(async move {
                    let mut mind = heard.clone();
                    if mind.wait_for(|silent| number >= *silent).await.is_err() {
                        return;
                    }
                    let Ok(server) = TcpStream::connect(server).await else {
                        return;
                    };
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    tokio::join!(
                        forward(from_client, to_server, number, heard.clone()),
                        forward(from_server, to_client, number, heard),
                    );
                });
            }
        });
        Self {
            url: url.to_string(),
            silent,
            opened,
        }
    }

    /// Makes all connections silent, including new ones.
    fn silence_all(&self) {
        self.silent.send_replace(u64::MAX);
    }

    /// The connections that there are go silent.
    fn silence_open(&self) {
        self.silent.send_replace(*self.opened.borrow());
    }

    /// Nothing was lost, it only took long.
    fn go_on(&self) {
        self.silent.send_replace(0);
    }
}

async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    number: u64,
    mut silent: watch::Receiver<u64>,
) {
    let mut bytes = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        if silent.wait_for(|silent| number >= *silent).await.is_err()
            || to.write_all(&bytes[..read]).await.is_err()
        {
            return;
        }
    }
}

/// A hub behind a proxy with a device that has said something.
async fn behind_proxy(database: Database) -> (Proxy, Hub, Connection) {
    let Database::Postgres(url) = database else {
        unreachable!("these tests are of PostgreSQL");
    };
    let proxy = Proxy::start(&url).await;
    let database = Database::Postgres(proxy.url.clone());
    let hub = Hub::start_with(database, &["--database-timeout-s", "2"]).await;
    let connection = with_device(&hub).await;
    (proxy, hub, connection)
}

async fn with_device(hub: &Hub) -> Connection {
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    hub.uplink(&connection, EUI).await;
    connection
}

async fn ready(hub: &Hub) -> Answer {
    let request = hub.request(Method::GET, "/readyz");
    hub.answer(request).await
}

async fn is_ready_again(hub: &Hub) {
    eventually("the hub is ready again", async || {
        (ready(hub).await.status == 200).then_some(())
    })
    .await;
}

fn complaints(hub: &Hub) -> usize {
    let log = hub.log();
    let is_one = |line: &&str| {
        line.contains("writability") && line.contains("the database cannot be reached")
    };
    log.lines().filter(is_one).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_silent_is_noticed_and_missed_no_longer_than_it_is_away() {
    on_postgres(async |database: Database| {
        let (proxy, hub, connection) = behind_proxy(database).await;
        proxy.silence_all();
        for _ in 0..3 {
            let asked_at = Instant::now();
            let answer = hub.ingest(&connection, things_stack(EUI)).await;
            assert!(answer.headers.contains_key("retry-after"));
            answer.refused(503);
            let took = asked_at.elapsed();
            assert!(took < FOUND_OUT, "{took:?}");
        }
        let why = ready(&hub).await.refused(503);
        assert!(why.contains("database cannot be reached"), "{why}");
        assert_eq!(complaints(&hub), 1, "{}", hub.log());
        hub.get("devices/d").await.refused(503);

        proxy.go_on();
        is_ready_again(&hub).await;
        let after = hub.uplink(&connection, EUI).await;
        let uplinks = hub.list("devices/d/uplinks").await;
        assert_eq!(uplinks[0]["id"], json!(after));
        let log = hub.log();
        assert!(log.contains("takes writes again"), "{log}");
        assert_eq!(complaints(&hub), 1, "{log}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_have_gone_silent_are_replaced() {
    on_postgres(async |database: Database| {
        let (proxy, hub, connection) = behind_proxy(database).await;
        for _ in 0..2 {
            proxy.silence_open();
            // Several connections may be given up one after the other.
            let limit = Duration::from_secs(60);
            eventually_within(limit, "what comes is recorded again", async || {
                let answer = hub.ingest(&connection, things_stack(EUI)).await;
                (answer.status == 200).then_some(())
            })
            .await;
            is_ready_again(&hub).await;
            hub.get("devices/d").await.ok();
        }
    })
    .await;
}

/// Other connections may do while the one hangs that all messages wait for.
#[tokio::test(flavor = "multi_thread")]
async fn a_hub_whose_messages_wait_is_not_ready() {
    on_postgres(async |database: Database| {
        let flags = ["--database-timeout-s", "60", "--request-timeout-s", "60"];
        let hub = Hub::start_with(database, &flags).await;
        let connection = with_device(&hub).await;
        let lock = "BEGIN; LOCK TABLE uplinks IN EXCLUSIVE MODE";
        let held = Held::start(&hub.database_url(), lock).await;
        let (answer, ()) = tokio::join!(hub.ingest(&connection, things_stack(EUI)), async {
            eventually("it is not ready", async || {
                let answer = ready(&hub).await;
                (answer.status == 503).then(|| {
                    let why = answer.refused(503);
                    assert!(why.contains("messages wait for the database"), "{why}");
                })
            })
            .await;
            held.end().await;
        });
        answer.ok();
        is_ready_again(&hub).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_somebody_holds_for_long_is_no_outage() {
    on_postgres(async |database: Database| {
        let hub = Hub::start_with(database, &["--database-timeout-s", "2"]).await;
        let connection = with_device(&hub).await;
        let lock = "BEGIN; LOCK TABLE uplinks IN EXCLUSIVE MODE";
        let held = Held::start(&hub.database_url(), lock).await;
        let answer = hub.ingest(&connection, things_stack(EUI)).await;
        assert!(answer.headers.contains_key("retry-after"));
        let why = answer.refused(503);
        assert!(why.contains("busy"), "{why}");
        held.end().await;
        hub.uplink(&connection, EUI).await;
        assert_eq!(complaints(&hub), 0, "{}", hub.log());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_starts_while_one_that_is_gone_holds_the_schema() {
    on_postgres(async |database: Database| {
        let mut hub = Hub::start(database).await;
        let lock = "SELECT pg_advisory_lock(8388070228880457729)";
        let held = Held::start(&hub.database_url(), lock).await;
        hub.end(Signal::SIGTERM).await;
        hub.start_again().await;
        is_ready_again(&hub).await;
        held.end().await;
    })
    .await;
}
