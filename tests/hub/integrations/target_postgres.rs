//! The target `postgres`, against a real server: the one beside which the tests run.

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use url::Url;

use crate::{
    eventually,
    support::{
        database::{Database, execute, on_postgres, query_text},
        messages,
        server::{Connection, Hub},
    },
};

const TO_HERE: [&str; 4] = [
    "--outgoing-allow",
    "127.0.0.0/8,::1/128",
    "--delivery-schedule-s",
    "0",
];

/// A hub on SQLite, whose integrations write into the database of the test.
async fn hub() -> (Hub, Connection) {
    let hub = Hub::start_with(Database::Sqlite, &TO_HERE).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, "AA00000000000001", json!({}))
        .await;
    (hub, connection)
}

fn url(database: &Database) -> Url {
    match database {
        Database::Postgres(url) => Url::parse(url).unwrap(),
        Database::Sqlite => unreachable!("it is asked for on PostgreSQL alone"),
    }
}

fn target(url: &Url, columns: Value) -> Value {
    json!({"type": "postgres", "host": url.host_str().unwrap(), "port": url.port().unwrap(),
        "database": url.path().trim_start_matches('/'), "username": url.username(),
        "password": url.password().unwrap_or("none"),
        "tls": "off", "table": "measurements", "columns": columns, "id_column": "delivery_id"})
}

fn columns() -> Value {
    json!([
        {"name": "device", "pointer": "/uplink_metadata/id"},
        {"name": "at", "pointer": "/uplink_metadata/last_data_received/received_at"},
        {"name": "port", "pointer": "/f_port"},
        {"name": "rssi", "pointer": "/rssi"},
        {"name": "all", "pointer": ""},
        {"name": "nothing", "pointer": "/no/such/member"},
    ])
}

const TABLE: &str = "CREATE TABLE measurements (delivery_id uuid PRIMARY KEY, device varchar(63) NOT NULL, \
    at timestamptz NOT NULL, port smallint, rssi numeric, \"all\" jsonb, nothing text)";

async fn delivery(hub: &Hub, integration: &Value, state: &str) -> Value {
    let path = format!(
        "integrations/{}/deliveries?state={state}",
        integration["id"]
    );
    eventually("the delivery is in its state", async || {
        hub.list(&path).await.into_iter().next()
    })
    .await
}

async fn make(hub: &Hub, target: Value) -> Value {
    let body = json!({"name": "sql", "selector": "", "target": target});
    hub.post("integrations", &body).await.created()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_becomes_a_row_with_the_types_of_the_table() {
    on_postgres(async |database| {
        let url = url(&database);
        execute(url.as_str(), TABLE).await;
        let (hub, connection) = hub().await;
        let made = make(&hub, target(&url, columns())).await;
        assert_eq!(made["target"]["has_password"], true);
        assert!(made["target"].get("password").is_none(), "{made}");
        hub.uplink(&connection, "AA00000000000001").await;
        let delivered = delivery(&hub, &made, "delivered").await;
        let row = "SELECT concat_ws('|', delivery_id, device, at > now() - interval '1 hour', port, \
            rssi IS NOT NULL, \"all\" #>> '{uplink_metadata,id}', nothing IS NULL) FROM measurements";
        let row = query_text(url.as_str(), row).await;
        let id = delivered["id"].as_str().unwrap();
        assert_eq!(row, format!("{id}|d|t|85|t|d|t"));
        let whole = "SELECT \"all\"::text FROM measurements";
        messages::checked(&query_text(url.as_str(), whole).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_refuses_is_told_in_its_words() {
    on_postgres(async |database| {
        let url = url(&database);
        let (hub, connection) = hub().await;
        // There is no such table yet: it is tried again.
        let made = make(&hub, target(&url, columns())).await;
        hub.uplink(&connection, "AA00000000000001").await;
        let dead = delivery(&hub, &made, "dead").await;
        let error = dead["last_error"].as_str().unwrap();
        assert!(error.contains("\"measurements\" does not exist"), "{error}");
        assert_eq!(dead["attempts"].as_array().unwrap().len(), 2);
        hub.delete(&format!("integrations/{}", made["id"]))
            .await
            .ok();

        // A text that is no number never will be one: it is not tried again.
        execute(url.as_str(), TABLE).await;
        let wrong = json!([{"name": "port", "pointer": "/uplink_metadata/id"}]);
        let made = make(&hub, target(&url, wrong)).await;
        hub.uplink(&connection, "AA00000000000001").await;
        let dead = delivery(&hub, &made, "dead").await;
        let error = dead["last_error"].as_str().unwrap();
        assert!(
            error.contains("invalid input syntax for type smallint"),
            "{error}"
        );
        assert_eq!(dead["attempts"].as_array().unwrap().len(), 1);
        hub.delete(&format!("integrations/{}", made["id"]))
            .await
            .ok();

        // This server speaks no TLS, and without it nothing is said.
        let mut encrypted = target(&url, columns());
        encrypted.as_object_mut().unwrap().remove("tls");
        let made = make(&hub, encrypted).await;
        hub.uplink(&connection, "AA00000000000001").await;
        let dead = delivery(&hub, &made, "dead").await;
        let error = dead["last_error"].as_str().unwrap();
        assert!(error.to_lowercase().contains("tls"), "{error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_server_is_not_reached_unless_it_is_allowed() {
    on_postgres(async |database| {
        let url = url(&database);
        let (mut hub, connection) = hub().await;
        let made = make(&hub, target(&url, columns())).await;
        // The operator allows less than before.
        hub.end(Signal::SIGTERM).await;
        hub.start_again_with(&["--delivery-schedule-s", ""]).await;
        hub.uplink(&connection, "AA00000000000001").await;
        let dead = delivery(&hub, &made, "dead").await;
        let error = dead["last_error"].as_str().unwrap();
        assert!(error.contains("outgoing_allow"), "{error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_leaves_no_row() {
    on_postgres(async |database| {
        let url = url(&database);
        execute(url.as_str(), TABLE).await;
        let (hub, connection) = hub().await;
        let made = make(&hub, target(&url, columns())).await;
        let path = format!("integrations/{}/test", made["id"]);
        let tested = hub.post(&path, &json!({})).await.ok();
        assert_eq!(tested["is_delivered"], true, "{tested}");
        // A value that does not fit is found out as well.
        execute(
            url.as_str(),
            "ALTER TABLE measurements ADD CHECK (port > 200)",
        )
        .await;
        let tested = hub.post(&path, &json!({})).await.ok();
        let error = tested["error"].as_str().unwrap();
        assert!(error.contains("violates check constraint"), "{error}");
        execute(url.as_str(), "DELETE FROM measurements WHERE port > 200").await;
        let count = "SELECT count(*)::text FROM measurements";
        assert_eq!(query_text(url.as_str(), count).await, "0");

        // Later deliveries stay.
        execute(
            url.as_str(),
            "ALTER TABLE measurements DROP CONSTRAINT measurements_port_check",
        )
        .await;
        hub.uplink(&connection, "AA00000000000001").await;
        delivery(&hub, &made, "delivered").await;
        assert_eq!(query_text(url.as_str(), count).await, "1");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_goes_out_twice_is_one_row() {
    on_postgres(async |database| {
        let url = url(&database);
        execute(url.as_str(), TABLE).await;
        let (hub, connection) = hub().await;
        let made = make(&hub, target(&url, columns())).await;
        hub.uplink(&connection, "AA00000000000001").await;
        let delivered = delivery(&hub, &made, "delivered").await;
        let path = format!("integrations/{}/deliveries", made["id"]);
        let one = format!("{path}/{}", delivered["id"].as_str().unwrap());
        hub.post(&format!("{one}/resend"), &json!({})).await.ok();
        let again = eventually("it has gone out again", async || {
            let found = hub.get(&one).await.ok();
            let attempts = found["attempts"].as_array().unwrap().len();
            (attempts == 2 && found["state"] != "pending").then_some(found)
        })
        .await;
        assert_eq!(again["state"], "delivered", "{again}");
        let count = "SELECT count(*)::text FROM measurements";
        assert_eq!(query_text(url.as_str(), count).await, "1");
        // Another message is another row.
        hub.uplink(&connection, "AA00000000000001").await;
        eventually("there are two rows", async || {
            (query_text(url.as_str(), count).await == "2").then_some(())
        })
        .await;
    })
    .await;
}

/// A server that lets everybody in, and answers the first question by a message that never ends.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_end_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (told, mut said) = tokio::sync::mpsc::unbounded_channel();
    let server = tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let told = told.clone();
            tokio::spawn(async move {
                let mut question = [0; 4096];
                // AuthenticationOk, ReadyForQuery.
                let welcome = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";
                let _ = client.read(&mut question).await;
                let _ = client.write_all(welcome).await;
                let _ = client.read(&mut question).await;
                // A notice of 1,500 MiB.
                let length = 1_572_864_000_u32.to_be_bytes();
                let _ = client.write_all(&[&b"N"[..], &length].concat()).await;
                let (more, mut bytes) = ([b'x'; 65_536], 0_u64);
                while client.write_all(&more).await.is_ok() {
                    bytes += 65_536;
                }
                let _ = told.send(bytes);
            });
        }
    });
    let (hub, connection) = hub().await;
    let url = Url::parse(&format!("postgres://me@127.0.0.1:{port}/iot")).unwrap();
    let made = make(&hub, target(&url, columns())).await;
    hub.uplink(&connection, "AA00000000000001").await;
    let dead = delivery(&hub, &made, "dead").await;
    let error = dead["last_error"].as_str().unwrap();
    assert!(error.contains("too large"), "{error}");
    // The buffers of the sockets hold that much on top.
    for _ in 0..2 {
        let bytes = said.recv().await.unwrap();
        assert!(bytes < 32 << 20, "{bytes}");
    }
    server.abort();
}
