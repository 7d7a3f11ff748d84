//! Where the secrets of each kind of row are sent, by the row's settings.
//!
//! What clients send is sealed for these addresses; so is, by its name, what was sealed before values
//! were bound to an address.

use super::claim::{Address, NOWHERE, Part};

/// Where a secret that is shown to an HTTP receiver with each message is sent.
pub const RECEIVER: Address = &[Part::at("/url")];
/// Where a client's secret is sent, and the token that is given for it.
pub const TOKEN_SERVER: Address = &[Part::at("/auth/token_url"), Part::at("/url")];
/// Where the secrets of a broker are sent, in settings that have one.
pub const BROKER: Address = &[Part::at("/broker/url")];
/// Where the password for Kafka is sent.
pub const KAFKA: Address = &[Part::at("/bootstrap"), Part::or("/tls", "required")];
/// Where the password for a PostgreSQL is sent.
pub const POSTGRES: Address = &[
    Part::at("/host"),
    Part::or("/port", "5432"),
    Part::or("/tls", "required"),
];

/// Where the secret of that name of an integration of that type is sent.
pub fn of_integration(kind: &str, name: &str) -> Address {
    match (kind, name) {
        ("http", "signing_secret") => NOWHERE,
        ("http", "client_secret" | "token_client_key") => TOKEN_SERVER,
        ("http", _) => RECEIVER,
        ("mqtt", _) => BROKER,
        ("kafka", _) => KAFKA,
        ("postgres", _) => POSTGRES,
        _ => NOWHERE,
    }
}
