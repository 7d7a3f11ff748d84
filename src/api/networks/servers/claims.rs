//! The secrets that the settings of network servers ask for.

use crate::{
    api::http::server_tls::ServerTls,
    outgoing::tls::CLIENT_KEY,
    secret::{Address, Claim},
};

/// Settings as clients write them.
pub trait Claims {
    /// The secrets that the settings ask for. They are no part of what is stored with the settings.
    fn take_claims(&mut self) -> Vec<Claim> {
        Vec::new()
    }
}

/// A secret by which a network server knows the hub, and which downlinks need.
pub fn required(name: &str, secret: Option<&str>, sent_to: Address) -> Claim {
    let field = format!("settings.{name}");
    Claim::required(name, &field, secret.map(str::to_owned), sent_to)
}

/// The same for one that downlinks do not need.
pub fn optional(name: &str, secret: Option<&str>, sent_to: Address) -> Claim {
    let field = format!("settings.{name}");
    Claim::optional(name, &field, secret.map(str::to_owned), sent_to)
}

/// The secret and the private key of the client certificate, where there is one.
pub fn with_client_key(secret: Claim, tls: Option<&mut ServerTls>, sent_to: Address) -> Vec<Claim> {
    let key = tls.and_then(|tls| tls.take_claim(CLIENT_KEY, "settings.tls", sent_to));
    std::iter::once(secret).chain(key).collect()
}
