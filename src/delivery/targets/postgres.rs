//! PostgreSQL: each message becomes a row of a table of the user's.
//!
//! Values go over as text and are cast by the server to the types of the table's own columns, so that
//! every type works which has a form as text.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde::Deserialize;
use serde_json::Value;
use tokio::{net::TcpStream, sync::Mutex};
use tokio_postgres::{
    Client, Config, NoTls, Statement,
    config::SslMode,
    tls::MakeTlsConnect,
    types::{ToSql, Type},
};
use tokio_postgres_rustls::MakeRustlsConnect;
use url::Host;

use super::{
    Answer,
    postgres_link::{Link, failure},
};
use crate::{
    error::{Error, Result},
    outgoing::{self, Counted, Guard, dial},
    secret::Credentials,
    store::deliveries::Delivery,
};

/// The type's name.
pub const KIND: &str = "postgres";

/// What a server may say to one request. An insertion is answered with a few bytes, and an error with a
/// few kilobytes; a message's length is the server's own word, and is waited for and kept in memory.
const ANSWER_MAX_BYTES: usize = 1024 * 1024;

/// The settings that are stored in the clear.
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

/// A column, and where its value is in the message.
#[derive(Deserialize)]
struct Column {
    name: String,
    pointer: String,
}

/// A table on a server.
pub struct PostgresTarget {
    host: Host<String>,
    port: u16,
    config: Config,
    tls: Option<MakeRustlsConnect>,
    table: String,
    columns: Vec<Column>,
    id_column: Option<String>,
    /// Locked while it is opened, so that many deliveries open one.
    session: Mutex<Option<Arc<Session>>>,
}

struct Session {
    link: Link,
    insert: Statement,
    /// Whether somebody has stopped waiting for it: it may be cut off without a word.
    is_silent: AtomicBool,
}

/// One wait for the server; given up before its end, the session is silent.
struct Wait<'a> {
    session: &'a Session,
    has_ended: bool,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.session.is_silent.store(true, Ordering::Relaxed);
        }
    }
}

impl Session {
    fn is_usable(&self) -> bool {
        !self.link.client.is_closed() && !self.is_silent.load(Ordering::Relaxed)
    }

    async fn insert(&self, values: &[&(dyn ToSql + Sync)]) -> Result<(), tokio_postgres::Error> {
        let mut wait = Wait {
            session: self,
            has_ended: false,
        };
        let inserted = self.link.client.execute(&self.insert, values).await;
        wait.has_ended = true;
        inserted.map(drop)
    }
}

impl PostgresTarget {
    /// Reads the settings.
    pub fn open(settings: &Value, credentials: &Credentials) -> Result<Self> {
        let settings = Settings::deserialize(settings).map_err(Error::internal)?;
        let mut config = Config::new();
        config
            .dbname(&settings.database)
            .user(&settings.username)
            .application_name("thingshub");
        if let Some(password) = credentials.get("password") {
            config.password(password);
        }
        let tls = if settings.tls == Some(Tls::Off) {
            config.ssl_mode(SslMode::Disable);
            None
        } else {
            config.ssl_mode(SslMode::Require);
            let tls = outgoing::Tls {
                ca: settings.ca.as_deref(),
                ..Default::default()
            };
            let tls = tls.config().map_err(Error::internal)?;
            Some(MakeRustlsConnect::new(tls))
        };
        let table = match &settings.schema {
            Some(schema) => format!("{}.{}", quoted(schema), quoted(&settings.table)),
            None => quoted(&settings.table),
        };
        Ok(Self {
            host: Host::parse(&settings.host).map_err(Error::internal)?,
            port: settings.port.unwrap_or(5432),
            config,
            tls,
            table,
            columns: settings.columns,
            id_column: settings.id_column,
            session: Mutex::new(None),
        })
    }

    /// Inserts one delivery.
    pub async fn send(&self, guard: &Guard, delivery: &Delivery) -> Answer {
        let values = match self.values(delivery) {
            Ok(values) => values,
            Err(answer) => return answer,
        };
        let session = match self.session(guard).await {
            Ok(session) => session,
            Err(answer) => return answer,
        };
        match session.insert(&borrowed(&values)).await {
            Ok(()) => Answer::default(),
            Err(error) => {
                // What was prepared may not fit any more: begin anew next time.
                self.session.lock().await.take();
                session.link.failure(&error)
            }
        }
    }

    /// Inserts one delivery and takes it back, over a connection of its own: what others insert in the
    /// meantime must stay.
    pub async fn try_out(&self, guard: &Guard, delivery: &Delivery) -> Answer {
        let tried = async {
            let values = self.values(delivery)?;
            let link = self.connect(guard).await?;
            let client = &link.client;
            let insert_and_take_back = async {
                let insert = self.prepare(client).await?;
                client.batch_execute("BEGIN").await?;
                client.execute(&insert, &borrowed(&values)).await?;
                client.batch_execute("ROLLBACK").await
            };
            let done = insert_and_take_back.await;
            done.map_err(|error| link.failure(&error))
        };
        match tried.await {
            Ok(()) => Answer::default(),
            Err(answer) => answer,
        }
    }

    /// The values of the columns, as text.
    fn values(&self, delivery: &Delivery) -> Result<Vec<Option<String>>, Answer> {
        let message: Value = serde_json::from_str(&delivery.body)
            .map_err(|error| Answer::hopeless(format!("the message is no JSON: {error}")))?;
        let pointers = self.columns.iter();
        let mut values: Vec<Option<String>> = pointers
            .map(|column| message.pointer(&column.pointer).and_then(as_text))
            .collect();
        if self.id_column.is_some() {
            values.push(Some(delivery.id.to_string()));
        }
        Ok(values)
    }

    async fn session(&self, guard: &Guard) -> Result<Arc<Session>, Answer> {
        let mut kept = self.session.lock().await;
        if let Some(session) = kept.as_ref().filter(|session| session.is_usable()) {
            return Ok(session.clone());
        }
        let link = self.connect(guard).await?;
        let prepared = self.prepare(&link.client).await;
        let insert = prepared.map_err(|error| link.failure(&error))?;
        let session = Arc::new(Session {
            link,
            insert,
            is_silent: AtomicBool::new(false),
        });
        *kept = Some(session.clone());
        Ok(session)
    }

    async fn connect(&self, guard: &Guard) -> Result<Link, Answer> {
        let socket = dial::connect(guard, &dial::borrowed(&self.host), self.port)
            .await
            .map_err(Answer::failed)?;
        let socket = Counted::new(socket, ANSWER_MAX_BYTES);
        match self.tls.clone() {
            None => {
                let connected = self.config.connect_raw(socket, NoTls).await;
                let (client, connection) = connected.map_err(|error| failure(&error))?;
                Ok(Link::new(client, connection))
            }
            Some(mut tls) => {
                let tls = MakeTlsConnect::<Counted<TcpStream>>::make_tls_connect(
                    &mut tls,
                    &name_in_certificate(&self.host),
                );
                let tls = tls.map_err(|error| Answer::failed(format!("TLS: {error}")))?;
                let connected = self.config.connect_raw(socket, tls).await;
                let (client, connection) = connected.map_err(|error| failure(&error))?;
                Ok(Link::new(client, connection))
            }
        }
    }

    /// Asks for the types of the columns, and prepares the insertion that casts to them.
    async fn prepare(&self, client: &Client) -> Result<Statement, tokio_postgres::Error> {
        let plain = self.insertion(|index, _| format!("${index}"), &[]);
        let types = client.prepare(&plain).await?;
        let cast = |index: usize, kind: Option<&Type>| match kind {
            Some(kind) => format!(
                "${index}::text::{}.{}",
                quoted(kind.schema()),
                quoted(kind.name())
            ),
            None => format!("${index}"),
        };
        client.prepare(&self.insertion(cast, types.params())).await
    }

    fn insertion(&self, value: impl Fn(usize, Option<&Type>) -> String, types: &[Type]) -> String {
        let names: Vec<String> = self
            .columns
            .iter()
            .map(|column| &column.name)
            .chain(&self.id_column)
            .map(|name| quoted(name))
            .collect();
        let values: Vec<String> = (0..names.len())
            .map(|index| value(index + 1, types.get(index)))
            .collect();
        let conflict = self.id_column.as_ref().map_or_else(String::new, |column| {
            format!(" ON CONFLICT ({}) DO NOTHING", quoted(column))
        });
        format!(
            "INSERT INTO {} ({}) VALUES ({}){conflict}",
            self.table,
            names.join(", "),
            values.join(", ")
        )
    }
}

/// An address of IPv6 stands in a certificate without the brackets that it has in a URL.
fn name_in_certificate(host: &Host<String>) -> String {
    match host {
        Host::Ipv6(address) => address.to_string(),
        host => host.to_string(),
    }
}

fn borrowed(values: &[Option<String>]) -> Vec<&(dyn ToSql + Sync)> {
    let each = values.iter().map(|value| value as &(dyn ToSql + Sync));
    each.collect()
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A value as the text that the server casts; nothing for null.
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
        let target = PostgresTarget::open(&settings, &Credentials::default()).unwrap();
        let insertion = target.insertion(|index, _| format!("${index}"), &[]);
        assert_eq!(
            insertion,
            "INSERT INTO \"s\"\"; DROP TABLE x; --\".\"t\" (\"a\"\"b\", \"id\") VALUES ($1, $2) \
             ON CONFLICT (\"id\") DO NOTHING"
        );
    }
    #[test]
    fn the_name_of_an_address_is_one_that_tls_knows() {
        for (host, name) in [
            ("[2001:db8::1]", "2001:db8::1"),
            ("192.0.2.1", "192.0.2.1"),
            ("db.example.com", "db.example.com"),
        ] {
            let found = name_in_certificate(&Host::parse(host).unwrap());
            assert_eq!(found, name);
            assert!(rustls_pki_types::ServerName::try_from(found).is_ok());
        }
    }
}
