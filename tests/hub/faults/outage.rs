//! The database goes away and comes back: 503 meanwhile, and nobody has to do anything.

use futures_util::future::join_all;
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::json;

use crate::{
    eventually,
    support::{
        cluster::Cluster,
        database::{Database, execute, on_both_databases, on_postgres, on_postgres_at},
        server::Hub,
    },
};

/// Requests at once, more than the hub has connections.
const AT_ONCE: usize = 24;

on_both_databases!(sessions_that_end_while_idle_cost_no_request);

async fn sessions_that_end_while_idle_cost_no_request(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    for number in 0..AT_ONCE {
        let eui = format!("AA000000000000{number:02}");
        hub.device(&format!("d{number}"), &connection, &eui, json!({}))
            .await;
    }
    for _ in 0..5 {
        // All connections of the pool are there, and none is idle for long.
        let requests = (0..AT_ONCE).map(|number| {
            let (hub, path) = (&hub, format!("devices/d{number}"));
            async move { hub.get(&path).await.ok() }
        });
        join_all(requests).await;
        end_sessions(&hub).await;
        let requests = (0..AT_ONCE).map(|number| {
            let (hub, connection) = (&hub, &connection);
            async move {
                hub.get(&format!("devices/d{number}")).await.ok();
                hub.uplink(connection, &format!("AA000000000000{number:02}"))
                    .await;
            }
        });
        join_all(requests).await;
    }
}

/// Sessions that are ended under a start: more than one try of it opens.
const ENDED_UNDER_A_START: usize = 12;

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_end_under_a_start_do_not_end_it() {
    on_postgres(async |database: Database| {
        let mut hub = Hub::start(database).await;
        hub.end(Signal::SIGTERM).await;
        let (url, name) = server_of(&hub.database).unwrap();
        let ends = format!(
            "DO $$ DECLARE ended int := 0; BEGIN
                WHILE ended < {ENDED_UNDER_A_START} AND clock_timestamp() < now() + '1 min' LOOP
                    PERFORM pg_stat_clear_snapshot(), pg_sleep(0.005);
                    ended := ended + (SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                        WHERE datname = '{name}');
                END LOOP;
            END $$"
        );
        let ending = tokio::spawn(async move { execute(&url, &ends).await });
        hub.start_again().await;
        ending.await.unwrap();
        is_ready(&hub).await;
    })
    .await;
}

/// Ends the hub's sessions with PostgreSQL, wherever their transactions are. It asks for that in
/// another database: with this one, whose disk may be full, no session may be had.
pub async fn end_sessions(hub: &Hub) {
    if let Some((server, database)) = server_of(&hub.database) {
        let ends = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
        );
        execute(&server, &ends).await;
    }
}

/// Another database of the same server, and the name of this one.
fn server_of(database: &Database) -> Option<(String, String)> {
    let Database::Postgres(url) = database else {
        return None;
    };
    let mut server = reqwest::Url::parse(url).unwrap();
    let name = server.path().trim_start_matches('/').to_owned();
    server.set_path("postgres");
    Some((server.into(), name))
}

/// Fails if a request is not answered by a 503 that says when to try again.
async fn are_put_off(hub: &Hub) {
    for (method, path) in [
        (Method::GET, "devices"),
        (Method::GET, "devices/d"),
        (Method::DELETE, "devices/d"),
        (Method::GET, "/readyz"),
    ] {
        let answer = hub.call(method.clone(), path, None).await;
        assert_eq!(answer.status, 503, "{method} {path}: {}", answer.text);
        assert!(
            answer.headers.contains_key("retry-after"),
            "{method} {path}"
        );
    }
}

async fn is_ready(hub: &Hub) {
    eventually("the hub is ready", async || {
        let answer = hub.call(Method::GET, "/readyz", None).await;
        (answer.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_lets_nobody_in_requests_are_put_off() {
    on_postgres(async |database: Database| {
        let hub = Hub::start(database).await;
        hub.post("devices", &json!({"id": "d"})).await.created();
        let (server, name) = server_of(&hub.database).unwrap();
        let admits = async |how: &str| {
            execute(
                &server,
                &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {how}"),
            )
            .await;
        };
        admits("false").await;
        end_sessions(&hub).await;
        are_put_off(&hub).await;
        admits("true").await;
        is_ready(&hub).await;
        hub.get("devices/d").await.ok();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_requests_are_put_off() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let url = cluster.url();
    on_postgres_at(&url, async |database: Database| {
        let hub = Hub::start(database).await;
        let connection = hub.connect("tts").await;
        hub.device("d", &connection, "AA00000000000001", json!({}))
            .await;
        hub.uplink(&connection, "AA00000000000001").await;

        cluster.control("stop");
        are_put_off(&hub).await;
        let put_off = hub.post("devices", &json!({"id": "e"})).await;
        assert_eq!(put_off.status, 503, "{}", put_off.text);
        let login = json!({"username": "admin", "password": "nonsense"});
        hub.post("auth/token", &login).await.refused(503);
        let message = crate::support::server::things_stack("AA00000000000001");
        hub.ingest(&connection, message).await.refused(503);
        hub.call(Method::GET, "/livez", None).await.ok();

        cluster.control("start");
        is_ready(&hub).await;
        let after = hub.uplink(&connection, "AA00000000000001").await;
        let uplinks = hub.list("devices/d/uplinks").await;
        assert_eq!((uplinks.len(), &uplinks[0]["id"]), (2, &json!(after)));
        hub.get("devices/e").await.refused(404);
    })
    .await;
}
