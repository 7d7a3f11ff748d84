//! Target type `postgres`.

use poem_openapi::{Enum, Object};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::target_type::{BrokenRule, TargetType, read};
use crate::{
    api::http::{
        server_tls::authorities,
        types::{Int, List},
    },
    error::Result,
    secret::{Claim, SealedCredentials, addresses::POSTGRES},
    text::{CertificateText, CredentialText, HostName, JsonPointer, SqlName, Text},
};

/// TCP port.
type TcpPort = Int<1, 65_535>;

/// A table in PostgreSQL. Each message becomes a row. JSON pointers select the values in the native output format, and
/// the server converts them to the types of the columns. A missing value becomes null. A value that does not fit its
/// column makes the delivery a dead letter.
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresTarget {
    /// Host name or IP address of the server, without a port. An attempt fails if the address is not public, unless the
    /// operator has allowed its network (`outgoing_allow`).
    host: HostName,
    /// TCP port of the server. 5432 if omitted or null.
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<TcpPort>,
    /// Name of the database, without control characters.
    database: SqlName,
    /// Username for the database, without control characters.
    username: SqlName,
    /// Password of `username`, without control characters. Responses never contain it. If omitted in an update,
    /// the stored value is kept as long as `host`, `port` and `tls` stay the same.
    #[oai(write_only)]
    #[serde(skip_serializing)]
    password: Option<CredentialText>,
    /// Encryption of the connection. `required` if omitted or null.
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<PostgresTls>,
    /// Certificates of the authorities to trust instead of those of the hub's system, in PEM.
    #[serde(
        default,
        deserialize_with = "authorities",
        skip_serializing_if = "Option::is_none"
    )]
    ca: Option<CertificateText>,
    /// Schema of the table, without control characters. If omitted or null, the server uses the search path of
    /// `username`.
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<SqlName>,
    /// Name of the table, without control characters.
    table: SqlName,
    /// Columns to fill, 1 to 64, each at most once. `id_column` must not be one of them.
    columns: List<PostgresColumn, 1, 64>,
    /// Name of the column for the delivery's id (UUID), without control characters. The column must have a unique
    /// index. A message that is delivered twice then becomes one row. If `id_column` is omitted or null, it becomes two
    /// rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    id_column: Option<SqlName>,
}

/// Encryption of the connection to a PostgreSQL server.
#[derive(Clone, Copy, Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum PostgresTls {
    /// The connection uses TLS. The server's certificate must be valid for its host name.
    Required,
    /// The connection is not encrypted.
    Off,
}

/// A column of a table and the source of its value.
#[derive(Clone, PartialEq, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PostgresColumn {
    /// Name of the column, without control characters.
    name: SqlName,
    /// JSON pointer (RFC 6901) to the value in the native output format: a `/` before each part, with `~0` for `~` and
    /// `~1` for `/`. An empty pointer selects the whole message.
    pointer: JsonPointer,
}

/// A table in PostgreSQL.
#[derive(Object, Serialize, Deserialize)]
pub struct PostgresTargetView {
    /// Host name or IP address of the server.
    host: String,
    /// TCP port of the server.
    #[serde(default = "port")]
    port: TcpPort,
    /// Name of the database.
    database: String,
    /// Username for the database.
    username: String,
    /// Whether a password is stored.
    #[serde(default)]
    has_password: bool,
    /// Encryption of the connection.
    #[serde(default = "required")]
    tls: PostgresTls,
    /// Certificates of the trusted authorities, in PEM; null for those of the hub's system.
    ca: Option<String>,
    /// Schema of the table; null if the server uses the search path of `username`.
    schema: Option<String>,
    /// Name of the table.
    table: String,
    /// Columns that the hub fills.
    columns: Vec<PostgresColumnView>,
    /// Column for the delivery's id; null if the rows do not contain it.
    id_column: Option<String>,
}

/// A column of a table and the source of its value.
#[derive(Object, Serialize, Deserialize)]
struct PostgresColumnView {
    /// Name of the column.
    name: String,
    /// JSON pointer (RFC 6901) to the value in the native output format. An empty pointer selects the whole message.
    pointer: String,
}

impl TargetType for PostgresTarget {
    const KIND: &'static str = "postgres";

    fn take_claims(&mut self) -> Vec<Claim> {
        let password = self.password.take().map(Text::into_string);
        vec![Claim::optional(
            "password",
            "target.password",
            password,
            POSTGRES,
        )]
    }

    fn broken_rule(&self) -> Option<BrokenRule> {
        let names: Vec<&str> = self
            .columns
            .0
            .iter()
            .map(|column| &*column.name)
            .chain(self.id_column.as_deref())
            .collect();
        let repeated = names
            .iter()
            .enumerate()
            .any(|(i, name)| names[..i].contains(name));
        repeated.then_some(BrokenRule::new(
            "target.columns",
            "must not contain a column twice, or the id_column",
        ))
    }
}

impl PostgresTargetView {
    pub fn new(settings: Value, secrets: &SealedCredentials) -> Result<Self> {
        Ok(Self {
            has_password: secrets.has("password"),
            ..read(settings)?
        })
    }
}

fn port() -> TcpPort {
    TcpPort::saturating(5432)
}

fn required() -> PostgresTls {
    PostgresTls::Required
}
