//! Steps that tests need often: resources that a hub is given, and messages that it receives.

use std::sync::atomic::{AtomicU32, Ordering};

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    eventually, sample_json,
    support::{
        answer::Answer,
        database::Database,
        server::{Hub, PASSWORD},
    },
};

/// A network connection with its key.
#[derive(Clone)]
pub struct Connection {
    pub id: i64,
    pub key: String,
}

/// DevEUI of the device of [`Hub::with_device`].
pub const EUI: &str = "AA00000000000001";

impl Hub {
    /// A hub with a connection and, behind it, the device `d`.
    pub async fn with_device(database: Database, flags: &[&str]) -> (Self, Connection) {
        let hub = Self::start_with(database, flags).await;
        let connection = hub.connect("tts").await;
        hub.device("d", &connection, EUI, json!({})).await;
        (hub, connection)
    }

    /// Pushes a driver; `driver` reads `author/name`.
    pub async fn push(&self, driver: &str, tag: &str, script: &str) -> Value {
        let (author, name) = driver.split_once('/').unwrap();
        let body = json!({"author": author, "name": name, "tags": [tag], "script": script});
        self.post("drivers", &body).await.created()
    }

    pub async fn connect(&self, name: &str) -> Connection {
        let body = json!({"name": name, "settings": {"type": "the_things_stack"}});
        self.connect_as(&body).await
    }

    pub async fn connect_as(&self, body: &Value) -> Connection {
        let made = self.post("network-connections", body).await.created();
        Connection {
            id: made["id"].as_i64().unwrap(),
            key: made["ingest_key"].as_str().unwrap().to_owned(),
        }
    }

    /// Makes a device that is known to the connection as `eui`; `more` adds members.
    pub async fn device(&self, id: &str, connection: &Connection, eui: &str, more: Value) -> Value {
        let mut body = json!({"id": id, "connectivity": {"connections": [
            {"network_connection_id": connection.id, "network_device_id": eui},
        ]}});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        self.post("devices", &body).await.created()
    }

    /// Makes a device that no network knows.
    pub async fn device_without_address(&self, id: &str) -> Value {
        self.post("devices", &json!({"id": id})).await.created()
    }

    pub async fn integration(&self, name: &str, selector: &str, url: &str) -> i64 {
        let body =
            json!({"name": name, "selector": selector, "target": {"type": "http", "url": url}});
        let made = self.post("integrations", &body).await.created();
        made["id"].as_i64().unwrap()
    }

    /// Makes an integration of all devices; answers its path.
    pub async fn integration_to(&self, name: &str, target: Value) -> String {
        let body = json!({"name": name, "selector": "", "target": target});
        let made = self.post("integrations", &body).await.created();
        format!("integrations/{}", made["id"])
    }

    /// Waits until an integration has a delivery in this state.
    pub async fn delivery_in(&self, integration: &str, state: &str) -> Value {
        let list = format!("{integration}/deliveries?state={state}");
        eventually("a delivery is in its state", async || {
            self.list(&list).await.into_iter().next()
        })
        .await
    }

    /// Makes a user of the hub's first tenant, with the tests' password.
    pub async fn user(&self, username: &str, role: &str) -> Value {
        let body = json!({"username": username, "password": PASSWORD, "role": role});
        self.post("users", &body).await.created()
    }

    /// Makes a tenant whose administrator has the tenant's name and the tests' password.
    pub async fn tenant(&self, name: &str) -> Value {
        let administrator = json!({"username": name, "password": PASSWORD});
        let body = json!({"name": name, "administrator": administrator});
        self.post("tenants", &body).await.created()
    }

    /// Makes an API key; answers the key itself.
    pub async fn api_key(&self, name: &str, scopes: &[&str]) -> String {
        let body = json!({"name": name, "scopes": scopes});
        let made = self.post("api-keys", &body).await.created();
        made["key"].as_str().unwrap().to_owned()
    }

    /// Posts what a network server would.
    pub async fn ingest(&self, connection: &Connection, body: impl Into<reqwest::Body>) -> Answer {
        let path = format!("network-connections/{}/uplinks", connection.id);
        let request = self
            .request(Method::POST, &path)
            .bearer_auth(&connection.key)
            .header("Content-Type", "application/json")
            .body(body);
        self.answer(request).await
    }

    /// Posts an uplink of The Things Stack that must be recorded; answers its id.
    pub async fn uplink(&self, connection: &Connection, eui: &str) -> String {
        let receipt = self.ingest(connection, things_stack(eui)).await.ok();
        assert_eq!(receipt["status"], "recorded", "{receipt}");
        receipt["uplink_id"].as_str().unwrap().to_owned()
    }

    /// Lets the database refuse an uplink by its frame counter, which no other try mends.
    pub async fn refuse_uplink(&self, counter: u32) {
        let condition = format!("NEW.f_cnt = {counter}");
        self.refuse("INSERT ON uplinks", &condition).await;
    }

    /// Lets the database refuse writes such as `INSERT ON uplinks` of rows with this condition.
    pub async fn refuse(&self, writes: &str, condition: &str) {
        let statements = match &self.database {
            Database::Sqlite => vec![format!(
                "CREATE TRIGGER refusal BEFORE {writes} WHEN {condition} \
                 BEGIN SELECT RAISE(ABORT, 'refused by a test'); END"
            )],
            Database::Postgres(_) => vec![
                "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN RAISE EXCEPTION 'refused by a test'; END $$"
                    .to_owned(),
                format!(
                    "CREATE TRIGGER refusal BEFORE {writes} FOR EACH ROW \
                     WHEN ({condition}) EXECUTE FUNCTION refuse()"
                ),
            ],
        };
        for statement in statements {
            self.sql(&statement).await;
        }
    }

    /// Lets the database take again what it refuses of this table.
    pub async fn refuse_no_longer(&self, table: &str) {
        let drop = match &self.database {
            Database::Sqlite => "DROP TRIGGER refusal".to_owned(),
            Database::Postgres(_) => format!("DROP TRIGGER refusal ON {table}"),
        };
        self.sql(&drop).await;
    }
}

/// The Milesight AM102's message from a device with another DevEUI.
pub fn things_stack(eui: &str) -> String {
    let mut message = sample_json("ttn_v3_milesight_am102.json");
    message["end_device_ids"]["dev_eui"] = eui.into();
    message["uplink_message"]["f_cnt"] = next_frame().into();
    message.to_string()
}

/// A frame counter that no other frame has: a frame that comes again is a copy.
pub fn next_frame() -> u32 {
    static FRAMES: AtomicU32 = AtomicU32::new(1);
    FRAMES.fetch_add(1, Ordering::Relaxed)
}
