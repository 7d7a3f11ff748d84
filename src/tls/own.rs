//! The hub's own self-signed certificate, generated at the first start and renewed with the same key:
//! clients that trust its key, or that read the file again, need no change.

use std::{fs, net::IpAddr, path::PathBuf};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, SanType,
    SerialNumber,
};
use tokio_rustls::rustls::sign::CertifiedKey;

use super::{Files, parsed};
use crate::{clock, config::Config, private};

/// Lifetime of a certificate in days: the longest that Apple's systems accept from a private CA.
const LIFE_DAYS: i64 = 825;
/// Common name of the certificate.
const NAME: &str = "thingshub";

type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// The certificate and key in the data folder.
pub struct Own {
    folder: PathBuf,
    listen: IpAddr,
}

impl Own {
    /// Generates the certificate unless it exists. The error is one line that names the setting.
    pub fn prepare(config: &Config) -> Result<Self, String> {
        let own = Self {
            folder: config.data_dir.join("tls"),
            listen: config.listen.ip(),
        };
        let Files { cert, key } = own.files();
        if !(cert.exists() && key.exists()) {
            own.make().map_err(|error| own.failed(&*error))?;
        }
        Ok(own)
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
        let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
        for address in [
            IpAddr::from([127, 0, 0, 1]),
            IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
            self.listen,
        ] {
            let name = SanType::IpAddress(address);
            if !address.is_unspecified() && !params.subject_alt_names.contains(&name) {
                params.subject_alt_names.push(name);
            }
        }
        if let Ok(host) = nix::unistd::gethostname()
            && let Some(Ok(name)) = host.to_str().map(|host| host.to_owned().try_into())
        {
            params.subject_alt_names.push(SanType::DnsName(name));
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

/// Returns true if the hub has generated the certificate. One that an operator has put in its place must not
/// be overwritten.
pub fn is_own(pair: &CertifiedKey) -> bool {
    let name = format!("CN={NAME}");
    parsed(pair).is_some_and(|certificate| {
        let names = &certificate.tbs_certificate;
        names.subject == names.issuer && names.subject.to_string() == name
    })
}
