//! Certificates for receivers: one that is right, and each way to be wrong.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer},
        server::WebPkiClientVerifier,
    },
};

/// An authority that the hub's settings trust.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = &mut params.distinguished_name;
        // Unique, because an authority of the same name would be mistaken for this one, with another key.
        let own = format!("authority {}", uuid::Uuid::now_v7());
        name.push(DnType::CommonName, own);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// The authority's own certificate.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A server with a certificate for this machine.
    pub fn right(&self) -> TlsAcceptor {
        self.identity().0
    }

    /// The same, with its certificate in DER.
    pub fn identity(&self) -> (TlsAcceptor, Vec<u8>) {
        let (certificate, key) = self.signed(for_name("localhost"));
        let der = certificate.der().clone();
        (acceptor(der.clone(), &key), der.to_vec())
    }

    /// A server whose certificate was good for a day, long ago.
    pub fn expired(&self) -> TlsAcceptor {
        self.sign(long_ago("localhost"))
    }

    /// A server with somebody else's certificate.
    pub fn for_another(&self) -> TlsAcceptor {
        self.sign(for_name("somebody-else.example"))
    }

    /// Returns an acceptor that requires a client certificate of that authority.
    pub fn demanding(&self, of_clients: &Authority) -> TlsAcceptor {
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let mut roots = RootCertStore::empty();
        roots.add(of_clients.0.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build();
        let (certificate, key) = self.signed(for_name("localhost"));
        let server = ServerConfig::builder()
            .with_client_cert_verifier(verifier.unwrap())
            .with_single_cert(vec![certificate.der().clone()], der(&key))
            .unwrap();
        TlsAcceptor::from(Arc::new(server))
    }

    /// A certificate for a client and its key, in PEM.
    pub fn client(&self) -> (String, String) {
        let (certificate, key) = self.signed(for_name("hub"));
        (certificate.pem(), key.serialize_pem())
    }

    /// Returns a client certificate that expired long ago.
    pub fn expired_client(&self) -> (String, String) {
        let (certificate, key) = self.signed(long_ago("hub"));
        (certificate.pem(), key.serialize_pem())
    }

    fn signed(&self, params: CertificateParams) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }

    fn sign(&self, params: CertificateParams) -> TlsAcceptor {
        let (certificate, key) = self.signed(params);
        acceptor(certificate.der().clone(), &key)
    }
}

/// A server whose certificate nobody vouches for.
pub fn self_signed() -> TlsAcceptor {
    let key = KeyPair::generate().unwrap();
    let certificate = for_name("localhost").self_signed(&key).unwrap();
    acceptor(certificate.der().clone(), &key)
}

fn for_name(name: &str) -> CertificateParams {
    CertificateParams::new([name.to_owned()]).unwrap()
}

fn long_ago(name: &str) -> CertificateParams {
    let mut params = for_name(name);
    params.not_before = rcgen::date_time_ymd(2001, 1, 1);
    params.not_after = rcgen::date_time_ymd(2001, 1, 2);
    params
}

fn der(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::try_from(key.serialize_der()).unwrap()
}

fn acceptor(certificate: CertificateDer<'static>, key: &KeyPair) -> TlsAcceptor {
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], der(key))
        .unwrap();
    TlsAcceptor::from(Arc::new(server))
}
