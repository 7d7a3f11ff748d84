//! Stored secrets are bound to their tenant, row and address: who can write to the database, but has no
//! key, does not get one sent elsewhere.

use base64::{Engine, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, KeyInit, Payload},
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    eventually,
    support::{
        database::{Database, on_both_databases},
        network_server::NetworkServer,
        server::Hub,
        sink::Sink,
    },
};

on_both_databases!(
    a_secret_does_not_follow_a_changed_address,
    a_secret_does_not_open_in_another_row,
    a_secret_of_before_is_bound_by_rotation,
    rotation_binds_the_secrets_of_downlinks_to_their_addresses,
);

const SECRET: &str = "Bearer s3cr3t";
const TO_HERE: [&str; 2] = ["--outgoing-allow", "127.0.0.0/8"];

async fn integrate(hub: &Hub, name: &str, sink: &Sink) -> i64 {
    let integration = json!({"name": name, "selector": "",
        "target": {"type": "http", "url": sink.url, "authorization": SECRET}});
    let made = hub.post("integrations", &integration).await.created();
    made["id"].as_i64().unwrap()
}

async fn test(hub: &Hub, id: i64) -> Value {
    let path = format!("integrations/{id}/test");
    hub.post(&path, &json!({})).await.ok()
}

/// Does what an intruder with write access to the database would do.
async fn with_database(hub: &mut Hub, statement: &str) {
    // Nothing that is kept ready is to hide it.
    hub.end(Signal::SIGTERM).await;
    hub.sql(statement).await;
    hub.start_again().await;
}

fn with_another_url(database: &Database, from: &Sink, to: &Sink) -> String {
    let (from, to) = (&from.url, &to.url);
    match database {
        Database::Sqlite => {
            format!("UPDATE integrations SET settings = replace(settings, '{from}', '{to}')")
        }
        Database::Postgres(_) => format!(
            "UPDATE integrations SET settings = replace(settings::text, '{from}', '{to}')::jsonb"
        ),
    }
}

fn is_unopened(tested: &Value) {
    assert_eq!(tested["is_delivered"], false, "{tested}");
    let error = tested["error"].as_str().unwrap();
    assert!(error.contains("does not open with the keys"), "{error}");
}

async fn a_secret_does_not_follow_a_changed_address(database: Database) {
    let mut hub = Hub::start_with(database.clone(), &TO_HERE).await;
    let (ours, theirs) = (Sink::willing().await, Sink::willing().await);
    let id = integrate(&hub, "erp", &ours).await;
    assert_eq!(test(&hub, id).await["is_delivered"], true);
    with_database(&mut hub, &with_another_url(&database, &ours, &theirs)).await;
    is_unopened(&test(&hub, id).await);
    assert_eq!(theirs.received().len(), 0);

    // A change without the secret, made from the resource as it reads, does not send it either.
    let body = json!({"name": "renamed", "selector": "",
        "target": {"type": "http", "url": theirs.url}});
    let path = format!("integrations/{id}");
    hub.put(&path, &body).await.ok();
    is_unopened(&test(&hub, id).await);
    hub.command(&["secrets", "rotate"]).await.unwrap_err();
    is_unopened(&test(&hub, id).await);
    assert_eq!(theirs.received().len(), 0);
    let mut body = body;
    body["target"]["authorization"] = "Bearer new".into();
    hub.put(&path, &body).await.ok();
    assert_eq!(test(&hub, id).await["is_delivered"], true);
}

async fn a_secret_does_not_open_in_another_row(database: Database) {
    let mut hub = Hub::start_with(database, &TO_HERE).await;
    let sink = Sink::willing().await;
    let first = integrate(&hub, "erp", &sink).await;
    let second = integrate(&hub, "crm", &sink).await;
    let copy = format!(
        "UPDATE integrations SET secret = (SELECT secret FROM integrations WHERE id = {first})
         WHERE id = {second}"
    );
    with_database(&mut hub, &copy).await;
    assert_eq!(test(&hub, first).await["is_delivered"], true);
    is_unopened(&test(&hub, second).await);

    // A row that was moved to another tenant does not open either.
    hub.tenant("other").await;
    let moved = format!(
        "UPDATE integrations SET tenant_id = (SELECT id FROM tenants WHERE name = 'other')
         WHERE id = {first}"
    );
    with_database(&mut hub, &moved).await;
    hub.token = hub.log_in("other", crate::support::server::PASSWORD).await;
    is_unopened(&test(&hub, first).await);
    assert_eq!(sink.received().len(), 1);
}

const KEY: [u8; 32] = [5; 32];

/// A literal of a secret as it was sealed before values were bound to their row: that of a kind of rows, with its name.
fn sealed_before(database: &Database, kind: &str, name: &str) -> String {
    let hash = Sha256::new()
        .chain_update(b"thingshub key id\0")
        .chain_update(KEY)
        .finalize();
    let (nonce, aad) = ([7; 24], format!("{kind}.{name}"));
    let payload = Payload {
        msg: SECRET.as_bytes(),
        aad: aad.as_bytes(),
    };
    let sealed = XChaCha20Poly1305::new(&KEY.into()).encrypt(&XNonce::from(nonce), payload);
    let sealed = [&[1], &hash[..8], &nonce, &sealed.unwrap()].concat();
    let hex = hex::encode(json!({name: STANDARD.encode(sealed)}).to_string());
    match database {
        Database::Sqlite => format!("x'{hex}'"),
        Database::Postgres(_) => format!("'\\x{hex}'::bytea"),
    }
}

async fn a_secret_of_before_is_bound_by_rotation(database: Database) {
    let key = STANDARD.encode(KEY);
    let with_key = ["--secret-key", &key];
    let mut hub = Hub::start_with(database.clone(), &[&TO_HERE[..], &with_key].concat()).await;
    let (ours, theirs) = (Sink::willing().await, Sink::willing().await);
    let id = integrate(&hub, "erp", &ours).await;
    let bytes = sealed_before(&database, "integration", "authorization");
    let statement = format!("UPDATE integrations SET secret = {bytes}");
    with_database(&mut hub, &statement).await;
    assert_eq!(test(&hub, id).await["is_delivered"], true);
    let again = [&["secrets", "rotate"][..], &with_key].concat();
    let said = hub.command(&again).await.unwrap();
    assert!(said.contains("1 values again: integrations"), "{said}");
    assert_eq!(test(&hub, id).await["is_delivered"], true);
    with_database(&mut hub, &with_another_url(&database, &ours, &theirs)).await;
    is_unopened(&test(&hub, id).await);
    assert_eq!((ours.received().len(), theirs.received().len()), (2, 0));
    let shown = &ours.received()[1];
    assert_eq!(shown.header("authorization"), SECRET);
}

async fn rotation_binds_the_secrets_of_downlinks_to_their_addresses(database: Database) {
    let key = STANDARD.encode(KEY);
    let with_key = ["--secret-key", &key];
    let mut hub = Hub::start_with(database.clone(), &[&TO_HERE[..], &with_key].concat()).await;
    let (ours, theirs) = (
        NetworkServer::start(vec![]).await,
        NetworkServer::start(vec![]).await,
    );
    let path = |url: &str| format!("{url}/1/rest");
    let mut connections = Vec::new();
    for (number, (name, settings)) in [
        (
            "api_key",
            json!({"type": "the_things_stack", "base_url": ours.url, "webhook_id": "w"}),
        ),
        (
            "api_token",
            json!({"type": "chirpstack", "base_url": ours.url}),
        ),
        (
            "token",
            json!({"type": "loriot", "url": path(&ours.url), "application_id": "be7a0000"}),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let connection = hub.connect(&format!("c{number}")).await;
        let eui = format!("AA0000000000000{number}");
        hub.device(&format!("d{number}"), &connection, &eui, json!({}))
            .await;
        let mut settings = settings;
        settings[name] = SECRET.into();
        hub.sends_downlinks(&connection, &settings).await;
        let bytes = sealed_before(&database, "downlink", name);
        let id = connection.id;
        hub.sql(&format!(
            "UPDATE downlink_settings SET secret = {bytes} WHERE connection_id = {id}"
        ))
        .await;
        connections.push(connection);
    }
    let rotate = [&["secrets", "rotate"][..], &with_key].concat();
    let said = hub.command(&rotate).await.unwrap();
    assert!(said.contains("3 values again: downlink"), "{said}");
    let asks_all = async |hub: &Hub| {
        for connection in &connections {
            let path = format!("network-connections/{}/test", connection.id);
            hub.post(&path, &json!({})).await.ok();
        }
    };
    asks_all(&hub).await;
    let asked = ours.asked();
    assert_eq!(asked.len(), 3);
    for request in &asked {
        let secrets = ["authorization", "grpc-metadata-authorization"];
        let shown = secrets.map(|name| request.header(name));
        assert!(
            shown.iter().any(|shown| shown.contains(SECRET)),
            "{request:?}"
        );
    }
    let (from, to) = (&ours.url, &theirs.url);
    let changed = match &database {
        Database::Sqlite => format!("replace(settings, '{from}', '{to}')"),
        Database::Postgres(_) => format!("replace(settings::text, '{from}', '{to}')::jsonb"),
    };
    let statement = format!("UPDATE downlink_settings SET settings = {changed}");
    with_database(&mut hub, &statement).await;
    asks_all(&hub).await;
    assert_eq!((ours.asked().len(), theirs.asked().len()), (3, 0));

    // Downlinks wait for a minute before they are tried again.
    hub.device("e", &connections[0], "AA0000000000000E", json!({}))
        .await;
    let mut tried = Vec::new();
    for device in ["d0", "e"] {
        let body = json!({"payload_hex": "00", "f_port": 1});
        let path = format!("devices/{device}/downlinks");
        let queued = hub.post(&path, &body).await.created();
        let path = format!("{path}/{}", queued["id"].as_str().unwrap());
        eventually("it is tried", async || {
            let error = hub.get(&path).await.ok()["last_error"].clone();
            error.is_string().then_some(error)
        })
        .await;
        tried.push(path);
    }
    for path in tried {
        let waiting = hub.get(&path).await.ok();
        let error = waiting["last_error"].as_str().unwrap();
        assert!(error.contains("does not open with the keys"), "{waiting}");
        assert_eq!(waiting["attempts"], 1, "{waiting}");
    }
    assert_eq!(theirs.asked().len(), 0);
}
