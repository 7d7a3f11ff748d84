//! TLS with servers that users configure: trusted certificates and client certificates.

use std::sync::Arc;

use base::clock::Time;
use chrono::DateTime;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls_platform_verifier::BuilderVerifierExt;
use serde::{Deserialize, Serialize};
use tokio_rustls::rustls::{
    self, ClientConfig, Error as TlsError, InconsistentKeys, RootCertStore,
    client::Resumption,
    crypto::CryptoProvider,
    server::ParsedCertificate,
    sign::{CertifiedKey, SingleCertAndKey},
};
use x509_cert::der::Decode;

/// The name of a client certificate's key among credentials.
pub const CLIENT_KEY: &str = "client_key";
/// Name of the key of the client certificate for a token server in the credentials.
pub const TOKEN_CLIENT_KEY: &str = "token_client_key";

/// The public part of the settings of TLS with a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// Certificates, in PEM, of which one must have signed the server's; the system's by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// The hub's own certificate with its chain, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<String>,
}

impl TlsSettings {
    /// The same with the key of the client certificate.
    pub fn with<'a>(&'a self, client_key: Option<&'a str>) -> Tls<'a> {
        Tls {
            ca: self.ca.as_deref(),
            client_certificate: self.client_certificate.as_deref(),
            client_key,
        }
    }
}

/// The TLS settings for one server.
#[derive(Clone, Copy, Default)]
pub struct Tls<'a> {
    /// Certificates, in PEM, of which one must have signed the server's, in place of the system's.
    pub ca: Option<&'a str>,
    /// The hub's own certificate with its chain, in PEM.
    pub client_certificate: Option<&'a str>,
    /// The key of that certificate, in PEM.
    pub client_key: Option<&'a str>,
}

/// A rule that a setting breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {rule}")]
pub struct Broken {
    /// The setting.
    pub field: &'static str,
    /// The rule.
    pub rule: String,
}

fn broken(field: &'static str, rule: impl Into<String>) -> Broken {
    Broken {
        field,
        rule: rule.into(),
    }
}

impl Tls<'_> {
    /// Checks the settings; a key that is already stored may be omitted.
    ///
    /// # Errors
    /// Fails with the first broken rule.
    pub fn check(&self) -> Result<(), Broken> {
        if let Some(ca) = self.ca {
            roots(ca)?;
        }
        match (self.client_certificate, self.client_key) {
            (None, None) => Ok(()),
            (None, Some(_)) => Err(broken("client_certificate", "belongs to client_key")),
            (Some(chain), None) => certificates("client_certificate", chain).map(drop),
            (Some(chain), Some(key)) => identity(chain, key).map(drop),
        }
    }

    /// Builds a configuration. If it trusts the system's certificates, they are read from disk.
    ///
    /// # Errors
    /// Fails with the first broken rule, or if the system has no certificates.
    pub fn config(&self) -> Result<ClientConfig, Broken> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| broken("ca", error.to_string()))?;
        let builder = match self.ca {
            Some(ca) => builder.with_root_certificates(roots(ca)?),
            None => builder
                .with_platform_verifier()
                .map_err(|error| broken("ca", format!("those of the system: {error}")))?,
        };
        self.identified(builder.with_no_client_auth())
    }

    /// Builds a configuration that trusts the certificates of another one instead of the system's. Sessions
    /// are not shared, because they belong to another client.
    ///
    /// # Errors
    /// Fails with the first broken rule.
    pub fn config_beside(&self, system: &ClientConfig) -> Result<ClientConfig, Broken> {
        if self.ca.is_some() {
            return self.config();
        }
        let mut config = system.clone();
        config.resumption = Resumption::default();
        self.identified(config)
    }

    fn identified(&self, mut config: ClientConfig) -> Result<ClientConfig, Broken> {
        if let (Some(chain), Some(key)) = (self.client_certificate, self.client_key) {
            let identity = SingleCertAndKey::from(identity(chain, key)?);
            config.client_auth_cert_resolver = Arc::new(identity);
        }
        Ok(config)
    }

    /// Returns the expiry of the client certificate.
    pub fn client_certificate_expires_at(&self) -> Option<Time> {
        expires_at(self.client_certificate?)
    }
}

/// Returns the expiry of the first certificate in a PEM text.
pub fn expires_at(pem: &str) -> Option<Time> {
    let first = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    let certificate = x509_cert::Certificate::from_der(&first).ok()?;
    let end = certificate.tbs_certificate.validity.not_after;
    let seconds = i64::try_from(end.to_unix_duration().as_secs()).ok()?;
    DateTime::from_timestamp(seconds, 0)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn roots(ca: &str) -> Result<RootCertStore, Broken> {
    let mut roots = RootCertStore::empty();
    for (index, certificate) in certificates("ca", ca)?.into_iter().enumerate() {
        roots
            .add(certificate)
            .map_err(|_| unreadable("ca", index))?;
    }
    Ok(roots)
}

/// A certificate with its chain, and the key that belongs to it.
fn identity(chain: &str, key: &str) -> Result<CertifiedKey, Broken> {
    let chain = certificates("client_certificate", chain)?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| {
        let rule = "must be a private key in PEM, without a passphrase";
        broken(CLIENT_KEY, rule)
    })?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
        TlsError::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            let rule = "does not belong to the first certificate of client_certificate";
            broken(CLIENT_KEY, rule)
        }
        error => broken(CLIENT_KEY, format!("cannot be used: {error}")),
    })
}

/// The certificates in a PEM text, each of which can be read.
fn certificates(field: &'static str, pem: &str) -> Result<Vec<CertificateDer<'static>>, Broken> {
    // A private key here would be stored and shown in plain text.
    if pem.contains("PRIVATE KEY-----") {
        let rule = "must not hold a private key: that is kept secret in client_key";
        return Err(broken(field, rule));
    }
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let certificates = read.ok().filter(|certificates| !certificates.is_empty());
    let certificates =
        certificates.ok_or_else(|| broken(field, "must be one or more certificates in PEM"))?;
    for (index, certificate) in certificates.iter().enumerate() {
        ParsedCertificate::try_from(certificate).map_err(|_| unreadable(field, index))?;
    }
    Ok(certificates)
}

fn unreadable(field: &'static str, index: usize) -> Broken {
    let rule = format!("must be certificates, which number {} is not", index + 1);
    broken(field, rule)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    /// A certificate and its key.
    fn pair() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["hub".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2001, 1, 2);
        let certificate = params.self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn refusal(tls: Tls<'_>) -> String {
        assert_eq!(tls.config().err(), tls.check().err());
        tls.check().unwrap_err().to_string()
    }

    #[test]
    fn what_fits_together_makes_a_configuration() {
        let ((one, key), (two, _)) = (pair(), pair());
        let chain = format!("{one}{two}");
        let tls = Tls {
            ca: Some(&chain),
            client_certificate: Some(&chain),
            client_key: Some(&key),
        };
        assert_eq!(tls.check(), Ok(()));
        let config = tls.config().unwrap();
        assert!(config.client_auth_cert_resolver.has_certs());
        let beside = Tls { ca: None, ..tls }.config_beside(&config).unwrap();
        assert!(beside.client_auth_cert_resolver.has_certs());
        let ends = tls.client_certificate_expires_at().unwrap();
        assert_eq!(ends.to_rfc3339(), "2001-01-02T00:00:00+00:00");
    }

    #[test]
    fn each_broken_rule_names_its_field() {
        let ((certificate, key), (_, other)) = (pair(), pair());
        let lines: Vec<&str> = certificate.lines().collect();
        let shortened = [lines[0], "MIIB", lines[lines.len() - 1]].join("\n");
        let both = format!("{certificate}{key}");
        let own = |client_key| Tls {
            client_certificate: Some(&certificate),
            client_key: Some(client_key),
            ca: None,
        };
        for text in ["", "x", key.trim_end_matches('\n').get(30..60).unwrap()] {
            let ca = Tls {
                ca: Some(text),
                ..Tls::default()
            };
            assert_eq!(refusal(ca), "ca: must be one or more certificates in PEM");
        }
        let ca = Tls {
            ca: Some(&shortened),
            ..Tls::default()
        };
        let expected = "ca: must be certificates, which number 1 is not";
        assert_eq!(refusal(ca), expected);
        let with_key = Tls {
            client_certificate: Some(&both),
            ..own(&key)
        };
        let error = refusal(with_key);
        assert!(error.starts_with("client_certificate: must not hold a"));
        let error = refusal(own("x"));
        assert!(error.starts_with("client_key: must be a private key"));
        let error = refusal(own(&other));
        assert!(error.starts_with("client_key: does not belong"), "{error}");
        let alone = Tls {
            client_certificate: None,
            ..own(&key)
        };
        let error = alone.check().unwrap_err().to_string();
        assert_eq!(error, "client_certificate: belongs to client_key");
    }
}
