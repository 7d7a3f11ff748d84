//! The hub's own self-signed certificate, generated at the first start and renewed with the same key:
//! clients that trust its key, or that read the file again, need no change.
//!
//! The names of the setting come first in the certificate, before `localhost`. A later start can therefore tell them
//! from the names that the hub adds, and renews the certificate if the setting has changed. The name of the machine
//! is no reason to renew it: in a container it is another one at each start.

use std::{
    fs,
    net::{IpAddr, Ipv6Addr},
    path::{Path, PathBuf},
};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, SanType,
    SerialNumber,
};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use x509_cert::{
    Certificate,
    der::Decode,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

use super::Files;
use crate::{
    clock,
    config::{Config, ServerName},
    private,
};

/// Lifetime of a certificate in days: the longest that Apple's systems accept from a private CA.
const LIFE_DAYS: i64 = 825;
/// Name that every certificate has.
const LOCALHOST: &str = "localhost";
/// Common name of the certificate.
const NAME: &str = "thingshub";

type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// The certificate and key in the data folder.
pub struct Own {
    folder: PathBuf,
    listen: IpAddr,
    names: Vec<ServerName>,
}

impl Own {
    /// Generates the certificate unless it exists, and renews it if it lacks a name that the settings have, or has one
    /// that they no longer have. The error is one line that names the setting.
    pub fn prepare(config: &Config) -> Result<Self, String> {
        let own = Self {
            folder: config.data_dir.join("tls"),
            listen: config.listen.ip(),
            names: config.tls_names.0.clone(),
        };
        let Files { cert, key } = own.files();
        if !(cert.exists() && key.exists()) {
            own.make().map_err(|error| own.failed(&*error))?;
        } else if let Some(names) = names_of_own(&cert)
            && !own.is_covered_by(&names)
        {
            own.renew()?;
            tracing::info!("the certificate has been renewed, for the names in the settings");
        } else if !own.names.is_empty() && names_of_own(&cert).is_none() {
            let cert = cert.display();
            tracing::warn!("setting tls_names has no effect: the hub has not created {cert}");
        }
        if own.listen.is_unspecified() && own.names.is_empty() && names_of_own(&cert).is_some() {
            tracing::info!(
                "the certificate is valid for this machine only: tls_names takes the names and addresses under which \
                 other machines reach it"
            );
        }
        Ok(own)
    }

    /// True if a certificate with these names fits the settings.
    fn is_covered_by(&self, names: &[ServerName]) -> bool {
        let localhost = ServerName::Dns(LOCALHOST.to_owned());
        let mut parts = names.splitn(2, |name| *name == localhost);
        let (configured, added) = (parts.next().unwrap_or_default(), parts.next());
        let listen = ServerName::Address(self.listen);
        added.is_some()
            && configured == self.configured()
            && (self.listen.is_unspecified() || names.contains(&listen))
    }

    /// The names in the setting, without those that every certificate has.
    fn configured(&self) -> Vec<ServerName> {
        let mut configured: Vec<ServerName> = Vec::new();
        for name in &self.names {
            let is_localhost = *name == ServerName::Dns(LOCALHOST.to_owned());
            if !is_localhost && !configured.contains(name) {
                configured.push(name.clone());
            }
        }
        configured
    }

    /// All names of a new certificate.
    fn wanted(&self) -> Vec<ServerName> {
        let mut wanted = self.configured();
        let own = [
            IpAddr::from([127, 0, 0, 1]),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
        ];
        let addresses = own.into_iter().chain([self.listen]);
        let addresses = addresses.filter(|address| !address.is_unspecified());
        wanted.push(ServerName::Dns(LOCALHOST.to_owned()));
        let mut add = |name: ServerName| {
            if !wanted.contains(&name) {
                wanted.push(name);
            }
        };
        addresses.map(ServerName::Address).for_each(&mut add);
        let host = nix::unistd::gethostname().ok();
        let host = host.and_then(|host| Some(host.to_str()?.to_ascii_lowercase()));
        if let Some(host) = host {
            add(ServerName::Dns(host));
        }
        wanted
    }

    /// Returns the paths of certificate and key.
    pub fn files(&self) -> Files {
        Files {
            cert: self.folder.join("cert.pem"),
            key: self.folder.join("key.pem"),
        }
    }

    /// Generates another certificate for the existing key.
    pub fn renew(&self) -> Result<(), String> {
        let renewed = fs::read_to_string(self.files().key)
            .map_err(Into::into)
            .and_then(|key| self.sign(&KeyPair::from_pem(&key)?));
        renewed.map_err(|error| self.failed(&*error))
    }

    fn failed(&self, error: &dyn std::error::Error) -> String {
        let folder = self.folder.display();
        format!("setting data_dir: no certificate can be made in {folder}: {error}")
    }

    fn make(&self) -> Result<()> {
        private::folder(&self.folder)?;
        let pair = KeyPair::generate()?;
        private::replace(&self.files().key, pair.serialize_pem().as_bytes())?;
        self.sign(&pair)
    }

    fn sign(&self, pair: &KeyPair) -> Result<()> {
        let mut params = CertificateParams::default();
        for name in self.wanted() {
            params.subject_alt_names.extend(match name {
                // The name of the machine may be none that a certificate can have.
                ServerName::Dns(name) => name.try_into().ok().map(SanType::DnsName),
                ServerName::Address(address) => Some(SanType::IpAddress(address)),
            });
        }
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, NAME);
        params.distinguished_name = subject;
        // The default serial number is derived from the key, but browsers reject two certificates with the
        // same number.
        params.serial_number = Some(SerialNumber::from(rand::random::<[u8; 16]>().to_vec()));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let now = clock::now().timestamp();
        let day = |offset: i64| -> Result<_, time::error::ComponentRange> {
            time::OffsetDateTime::from_unix_timestamp(now + offset * 86_400)
        };
        params.not_before = day(-1)?;
        params.not_after = day(LIFE_DAYS - 1)?;
        let certificate = params.self_signed(pair)?;
        private::replace(&self.files().cert, certificate.pem().as_bytes())?;
        Ok(())
    }
}

/// Returns the names of the certificate in this file if the hub has generated it.
fn names_of_own(file: &Path) -> Option<Vec<ServerName>> {
    let der = CertificateDer::from_pem_file(file).ok()?;
    let certificate = Certificate::from_der(&der).ok()?;
    if !is_own(&certificate) {
        return None;
    }
    let names = certificate.tbs_certificate.get::<SubjectAltName>().ok()?;
    let (_, SubjectAltName(names)) = names?;
    let read = |name: &GeneralName| match name {
        GeneralName::DnsName(name) => Some(ServerName::Dns(name.as_str().to_owned())),
        GeneralName::IpAddress(address) => {
            let four = <[u8; 4]>::try_from(address.as_bytes()).map(IpAddr::from);
            let sixteen = <[u8; 16]>::try_from(address.as_bytes()).map(IpAddr::from);
            four.or(sixteen).ok().map(ServerName::Address)
        }
        _ => None,
    };
    Some(names.iter().filter_map(read).collect())
}

/// Returns true if the hub has generated the certificate. One that an operator has put in its place must not
/// be overwritten.
pub fn is_own(certificate: &Certificate) -> bool {
    let names = &certificate.tbs_certificate;
    names.subject == names.issuer && names.subject.to_string() == format!("CN={NAME}")
}
