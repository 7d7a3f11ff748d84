//! The certificate: the operator's, or one of our own that is made at the first start.

use std::{
    fs,
    io::Write,
    net::IpAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, SanType,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{self, ServerConfig},
};

use crate::config::Config;

/// Life of a certificate of our own, in days: the longest that Apple's systems take from a private CA.
const LIFE_DAYS: i64 = 825;

/// The acceptor for this configuration's certificate; the error is one line that names the setting.
pub fn acceptor(config: &Config) -> Result<TlsAcceptor, String> {
    let (cert, key) = match (&config.tls_cert, &config.tls_key) {
        (Some(cert), Some(key)) => (cert.clone(), key.clone()),
        _ => own_certificate(config)?,
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&cert)
        .and_then(Iterator::collect)
        .map_err(|error| format!("setting tls_cert: {}: {error}", cert.display()))?;
    let key_der = PrivateKeyDer::from_pem_file(&key)
        .map_err(|error| format!("setting tls_key: {}: {error}", key.display()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))?
        .with_no_client_auth()
        .with_single_cert(chain, key_der)
        .map_err(|error| format!("settings tls_cert and tls_key: {error}"))?;
    // In the order of preference; the last is for old clients that offer nothing else.
    server.alpn_protocols = [b"h2".as_slice(), b"http/1.1", b"http/1.0"]
        .map(<[u8]>::to_vec)
        .into();
    Ok(TlsAcceptor::from(Arc::new(server)))
}

/// The certificate under the data folder, made there if it is missing.
fn own_certificate(config: &Config) -> Result<(PathBuf, PathBuf), String> {
    let folder = config.data_dir.join("tls");
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    if cert.exists() && key.exists() {
        return Ok((cert, key));
    }
    make_certificate(config.listen.ip(), &folder, &cert, &key).map_err(|error| {
        format!(
            "setting data_dir: no certificate can be made in {}: {error}",
            folder.display()
        )
    })?;
    Ok((cert, key))
}

fn make_certificate(
    listen: IpAddr,
    folder: &Path,
    cert: &Path,
    key: &Path,
) -> Result<(), Box<dyn std::error::Error>> {
    fs::create_dir_all(folder)?;
    let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
    for address in [
        IpAddr::from([127, 0, 0, 1]),
        IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
        listen,
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
    subject.push(DnType::CommonName, "thingshub");
    params.distinguished_name = subject;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let now = crate::clock::now().timestamp();
    let day = |offset: i64| -> Result<_, time::error::ComponentRange> {
        time::OffsetDateTime::from_unix_timestamp(now + offset * 86_400)
    };
    params.not_before = day(-1)?;
    params.not_after = day(LIFE_DAYS - 1)?;
    let pair = KeyPair::generate()?;
    let certificate = params.self_signed(&pair)?;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(key)?;
    file.write_all(pair.serialize_pem().as_bytes())?;
    fs::write(cert, certificate.pem())?;
    Ok(())
}
