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

/// A table in PostgreSQL: each message becomes a row. Values are taken from the native output format by
/// JSON pointers, and cast by the server to the types of the table's columns; what is not there is null.
/// A value that does not fit its column makes a dead letter
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresTarget {
    /// The server's name or address; private ones are refused unless the operator has allowed them
    host: HostName,
    /// Its port; 5432 by default
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<TcpPort>,
    /// The database
    database: SqlName,
    /// Who logs in
    username: SqlName,
    /// Its password; never shown again. Left out of an update, the old one stays while
    /// the address does
    #[oai(write_only)]
    #[serde(skip_serializing)]
    password: Option<CredentialText>,
    /// Whether the connection is encrypted, with the server's certificate checked; `required` by default
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<PostgresTls>,
    /// The certificates to trust in place of the system's, in PEM
    #[serde(
        default,
        deserialize_with = "authorities",
        skip_serializing_if = "Option::is_none"
    )]
    ca: Option<CertificateText>,
    /// The schema of the table; by the user's search path, if left out
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<SqlName>,
    /// The table
    table: SqlName,
    /// The columns to fill
    columns: List<PostgresColumn, 1, 64>,
    /// A column with a unique index for the delivery's id, a UUID: what is delivered twice is then one row
    #[serde(skip_serializing_if = "Option::is_none")]
    id_column: Option<SqlName>,
}

/// Whether the connection is encrypted
#[derive(Clone, Copy, Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum PostgresTls {
    /// It is, and the server's certificate must be for its name
    Required,
    /// It is not
    Off,
}

/// A column, and where its value is
#[derive(Clone, PartialEq, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PostgresColumn {
    /// The column's name
    name: SqlName,
    /// Where its value is in the native output format; empty: all of it
    pointer: JsonPointer,
}

/// A table in PostgreSQL
#[derive(Object, Serialize, Deserialize)]
pub struct PostgresTargetView {
    /// The server's name or address
    host: String,
    /// Its port
    #[serde(default = "port")]
    port: TcpPort,
    /// The database
    database: String,
    /// Who logs in
    username: String,
    /// Whether it has a password
    #[serde(default)]
    has_password: bool,
    /// Whether the connection is encrypted
    #[serde(default = "required")]
    tls: PostgresTls,
    /// The certificates to trust in place of the system's
    ca: Option<String>,
    /// The schema of the table
    schema: Option<String>,
    /// The table
    table: String,
    /// The columns that are filled
    columns: Vec<PostgresColumnView>,
    /// The column for the delivery's id
    id_column: Option<String>,
}

/// A column, and where its value is
#[derive(Object, Serialize, Deserialize)]
struct PostgresColumnView {
    /// The column's name
    name: String,
    /// Where its value is in the native output format
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
            "must not fill the same column twice",
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
