//! TLS settings for servers that the hub calls: the same object wherever they may be set.

use poem_openapi::Object;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::types::Timestamp;
use crate::{
    outgoing::{
        self,
        tls::{self, CLIENT_KEY},
    },
    secret::{Address, Claim, SealedCredentials},
    text::{CertificateText, PrivateKeyText, Text},
};

/// TLS settings for a server that the hub calls: the certificates that the hub trusts, and the certificate that it
/// presents. The server's certificate and its name in the URL are always verified. Needs a URL that starts with
/// `https://`.
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
#[oai(rename = "TlsSettings", skip_serializing_if_is_none)]
pub struct ServerTls {
    /// Certificates of the authorities that the hub trusts for this server, in PEM. They replace the certificates of
    /// the hub's system, so that a private authority can be the only trusted one. Null or absent: the hub trusts the
    /// certificates of its system.
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<CertificateText>,
    /// Certificate that the hub presents, followed by its chain, in PEM, for servers that require one (mutual TLS).
    /// Needs `client_key`. An expired certificate is still presented, and the errors of failed attempts mention its
    /// expiry. Null or absent: the hub presents none.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_certificate: Option<CertificateText>,
    /// Private key of `client_certificate`, in PEM (PKCS #8, PKCS #1 or SEC 1) without a passphrase. It must belong to
    /// the certificate. Write-only. Null or absent in an update: the stored key is kept if scheme, host and port of the
    /// URL stay the same; otherwise the request fails with 400.
    #[oai(write_only)]
    #[serde(skip_serializing)]
    client_key: Option<PrivateKeyText>,
}

/// TLS settings for a server that the hub calls, without the private key.
#[derive(Object, Serialize, Deserialize)]
#[oai(rename = "TlsSettingsView")]
pub struct ServerTlsView {
    /// Certificates of the authorities that the hub trusts for this server, in PEM. Null if it trusts the certificates
    /// of its system.
    ca: Option<String>,
    /// Certificate that the hub presents, followed by its chain, in PEM. Null if it presents none.
    client_certificate: Option<String>,
    /// Time at which `client_certificate` expires. Null if there is no certificate.
    client_certificate_expires_at: Option<Timestamp>,
    /// Whether the private key of `client_certificate` is stored.
    #[serde(default)]
    has_client_key: bool,
}

impl Serialize for ServerTls {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for ServerTls {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Self::deserialize(deserializer)?;
        let tls = outgoing::Tls {
            ca: read.ca.as_deref(),
            client_certificate: read.client_certificate.as_deref(),
            client_key: read.client_key.as_deref(),
        };
        match tls.check() {
            Ok(()) => Ok(read),
            Err(broken) => Err(de::Error::custom(format!(".{broken}"))),
        }
    }
}

impl ServerTls {
    /// Takes the private key out of the settings and returns it as a claim with the given name; `None` without
    /// a client certificate. `place` is the path of the object in the body.
    pub fn take_claim(&mut self, name: &str, place: &str, sent_to: Address) -> Option<Claim> {
        self.client_certificate.as_ref()?;
        let key = self.client_key.take().map(Text::into_string);
        let field = format!("{place}.{CLIENT_KEY}");
        Some(Claim::required(name, &field, key, sent_to))
    }
}

impl ServerTlsView {
    /// Adds the certificate's expiry and if the key with the given name is stored.
    pub fn with(self, secrets: &SealedCredentials, name: &str) -> Self {
        let certificate = self.client_certificate.as_deref();
        Self {
            client_certificate_expires_at: certificate.and_then(tls::expires_at).map(Timestamp),
            has_client_key: secrets.has(name),
            ..self
        }
    }
}

/// Deserializes and checks trusted certificates that are not part of a [`ServerTls`].
pub fn authorities<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<CertificateText>, D::Error> {
    let ca = Option::<CertificateText>::deserialize(deserializer)?;
    let tls = outgoing::Tls {
        ca: ca.as_deref(),
        ..Default::default()
    };
    match tls.check() {
        Ok(()) => Ok(ca),
        Err(broken) => Err(de::Error::custom(broken.rule)),
    }
}
