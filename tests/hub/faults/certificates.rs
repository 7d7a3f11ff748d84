//! Certificates for receivers: one that is right, and each way to be wrong.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer},
    },
};

/// An authority that the hub is told to trust.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "the tests' authority");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its own certificate.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A server with a certificate for this machine.
    pub fn right(&self) -> TlsAcceptor {
        self.sign(for_name("localhost"))
    }

    /// A server whose certificate was good for a day, long ago.
    pub fn expired(&self) -> TlsAcceptor {
        let mut params = for_name("localhost");
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2001, 1, 2);
        self.sign(params)
    }

    /// A server with somebody else's certificate.
    pub fn for_another(&self) -> TlsAcceptor {
        self.sign(for_name("somebody-else.example"))
    }

    fn sign(&self, params: CertificateParams) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
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

fn acceptor(certificate: CertificateDer<'static>, key: &KeyPair) -> TlsAcceptor {
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(server))
}
