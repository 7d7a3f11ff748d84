//! Secrets in the settings of network servers.

use crate::{
    api::http::server_tls::ServerTls,
    outgoing::tls::CLIENT_KEY,
    secret::{Address, Claim},
};

/// Settings that may contain secrets.
pub trait Claims {
    /// Takes the secrets out of the settings, so that they are not stored with them.
    fn take_claims(&mut self) -> Vec<Claim> {
        Vec::new()
    }
}

/// Returns the claim of a secret that downlinks require.
pub fn required(name: &str, secret: Option<&str>, sent_to: Address) -> Claim {
    let field = format!("settings.{name}");
    Claim::required(name, &field, secret.map(str::to_owned), sent_to)
}

/// Returns the claim of a secret that downlinks do not require.
pub fn optional(name: &str, secret: Option<&str>, sent_to: Address) -> Claim {
    let field = format!("settings.{name}");
    Claim::optional(name, &field, secret.map(str::to_owned), sent_to)
}

/// Returns the secret's claim, and that of the client certificate's private key if there is one.
pub fn with_client_key(secret: Claim, tls: Option<&mut ServerTls>, sent_to: Address) -> Vec<Claim> {
    let key = tls.and_then(|tls| tls.take_claim(CLIENT_KEY, "settings.tls", sent_to));
    std::iter::once(secret).chain(key).collect()
}
