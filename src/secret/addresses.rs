//! The addresses to which the secrets of each kind of row are sent, as pointers into the row's settings.
//!
//! Secrets from clients are sealed for these addresses. Values that were sealed before values were bound to
//! an address get theirs from here, by their name.

use super::claim::{Address, NOWHERE, Part};

/// Address of a secret that an HTTP receiver gets with each message.
pub const RECEIVER: Address = &[Part::at("/url")];
/// Address of a client secret: the token server, and the receiver that gets the token.
pub const TOKEN_SERVER: Address = &[Part::at("/auth/token_url"), Part::at("/url")];
/// Address of the secrets of a broker, in settings that have one.
pub const BROKER: Address = &[Part::at("/broker/url")];
/// Address of the password for Kafka.
pub const KAFKA: Address = &[Part::at("/bootstrap"), Part::or("/tls", "required")];
/// Address of the password for PostgreSQL.
pub const POSTGRES: Address = &[
    Part::at("/host"),
    Part::or("/port", "5432"),
    Part::or("/tls", "required"),
];

/// Returns the address of a secret, by the type of the integration and the secret's name.
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
