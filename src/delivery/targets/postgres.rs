//! PostgreSQL targets: each message becomes a row in a table of the user.
//!
//! Values are sent as text, and the server converts them to the types of the columns, so every type
//! with a text form is supported.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use url::Host;

use super::answer::Answer;
use crate::{
    error::{Error, Result},
    outgoing::{self, Guard, HeavyWork},
    postgres::{Failure, Request, Server, Session},
    secret::Credentials,
    store::deliveries::Delivery,
};

/// Name of the type.
pub const KIND: &str = "postgres";

/// Settings, which are stored unencrypted.
#[derive(Deserialize)]
struct Settings {
    host: String,
    port: Option<u16>,
    database: String,
    username: String,
    tls: Option<Tls>,
    ca: Option<String>,
    schema: Option<String>,
    table: String,
    columns: Vec<Column>,
    id_column: Option<String>,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Tls {
    Required,
    Off,
}

/// A column with the pointer to its value in the message.
#[derive(Deserialize)]
struct Column {
    name: String,
    pointer: String,
}

/// A table on a server.
pub struct PostgresTarget {
    server: Server,
    /// Statement that inserts a row, with parameters for its values.
    insertion: String,
    columns: Vec<Column>,
    has_id_column: bool,
    /// Current session. Locked while it is opened, so that concurrent deliveries share one.
    session: Mutex<Option<Arc<Session>>>,
}

impl PostgresTarget {
    /// Reads the settings.
    pub fn open(settings: &Value, credentials: &Credentials) -> Result<Self> {
        let settings = Settings::deserialize(settings).map_err(Error::internal)?;
        let tls = match settings.tls {
            Some(Tls::Off) => None,
            Some(Tls::Required) | None => {
                let tls = outgoing::Tls {
                    ca: settings.ca.as_deref(),
                    ..Default::default()
                };
                Some(Arc::new(tls.config().map_err(Error::internal)?))
            }
        };
        let insertion = insertion(&settings);
        Ok(Self {
            server: Server {
                host: Host::parse(&settings.host).map_err(Error::internal)?,
                port: settings.port.unwrap_or(5432),
                database: settings.database,
                username: settings.username,
                password: credentials.get("password").map(ToOwned::to_owned),
                tls,
                heavy: HeavyWork::default(),
            },
            insertion,
            columns: settings.columns,
            has_id_column: settings.id_column.is_some(),
            session: Mutex::new(None),
        })
    }

    /// Inserts one delivery.
    pub async fn send(&self, guard: &Guard, delivery: &Delivery) -> Answer {
        let inserted = async {
            let request = self.request(delivery)?;
            let session = self.session(guard).await?;
            session.run(request).await
        };
        inserted.await.map_or_else(answer, |()| Answer::default())
    }

    /// Inserts one delivery and rolls it back, over a separate connection, so that inserts of others are
    /// not rolled back.
    pub async fn try_out(&self, guard: &Guard, delivery: &Delivery) -> Answer {
        let tried = async {
            let request = self.request(delivery)?;
            let session = Session::open(&self.server, guard).await?;
            session.run(Request::command("BEGIN")?).await?;
            session.run(request).await?;
            session.run(Request::command("ROLLBACK")?).await
        };
        tried.await.map_or_else(answer, |()| Answer::default())
    }

    fn request(&self, delivery: &Delivery) -> Result<Request, Failure> {
        Request::statement(&self.insertion, &self.values(delivery)?)
    }

    async fn session(&self, guard: &Guard) -> Result<Arc<Session>, Failure> {
        let mut kept = self.session.lock().await;
        if let Some(session) = kept.as_ref().filter(|session| session.is_open()) {
            return Ok(session.clone());
        }
        let session = Arc::new(Session::open(&self.server, guard).await?);
        *kept = Some(session.clone());
        Ok(session)
    }

    /// Returns the values of the columns as text.
    fn values(&self, delivery: &Delivery) -> Result<Vec<Option<String>>, Failure> {
        let message: Value = serde_json::from_str(&delivery.body)
            .map_err(|error| Failure::hopeless(format!("the message is no JSON: {error}")))?;
        let pointers = self.columns.iter();
        let mut values: Vec<Option<String>> = pointers
            .map(|column| message.pointer(&column.pointer).and_then(as_text))
            .collect();
        if self.has_id_column {
            values.push(Some(delivery.id.to_string()));
        }
        Ok(values)
    }
}

fn answer(failure: Failure) -> Answer {
    match failure.is_final {
        true => Answer::hopeless(failure.words),
        false => Answer::failed(failure.words),
    }
}

fn insertion(settings: &Settings) -> String {
    let table = match &settings.schema {
        Some(schema) => format!("{}.{}", quoted(schema), quoted(&settings.table)),
        None => quoted(&settings.table),
    };
    let names: Vec<String> = settings
        .columns
        .iter()
        .map(|column| &column.name)
        .chain(&settings.id_column)
        .map(|name| quoted(name))
        .collect();
    let values: Vec<String> = (1..=names.len())
        .map(|number| format!("${number}"))
        .collect();
    let conflict = settings
        .id_column
        .as_ref()
        .map_or_else(String::new, |column| {
            format!(" ON CONFLICT ({}) DO NOTHING", quoted(column))
        });
    format!(
        "INSERT INTO {table} ({}) VALUES ({}){conflict}",
        names.join(", "),
        values.join(", ")
    )
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Returns a value as text for the server to convert; `None` for null.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.replace('\0', "")),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_cannot_leave_their_quotes() {
        let settings = json!({"host": "db", "database": "d", "username": "u", "tls": "off",
            "schema": "s\"; DROP TABLE x; --", "table": "t",
            "columns": [{"name": "a\"b", "pointer": "/a"}], "id_column": "id"});
        let settings = Settings::deserialize(&settings).unwrap();
        let insertion = insertion(&settings);
        assert_eq!(
            insertion,
            "INSERT INTO \"s\"\"; DROP TABLE x; --\".\"t\" (\"a\"\"b\", \"id\") VALUES ($1, $2) \
             ON CONFLICT (\"id\") DO NOTHING"
        );
    }
}
