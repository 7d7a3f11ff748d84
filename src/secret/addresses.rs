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

/// Address of the password, or the private key, for SFTP.
pub const SFTP: Address = &[Part::at("/host"), Part::or("/port", "22")];
/// Address of the secret access key for S3.
pub const S3: Address = &[Part::at("/endpoint")];

/// Returns the address of a secret, by the type of the export's target.
pub fn of_export(kind: &str) -> Address {
    match kind {
        "sftp" => SFTP,
        "s3" => S3,
        _ => NOWHERE,
    }
}

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
