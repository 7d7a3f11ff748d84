//! The channel binding, which ties a proof of the password to the server's certificate (RFC 5929, 4:
//! `tls-server-end-point`).

use postgres_protocol::authentication::sasl::ChannelBinding;
use sha2::{Digest, Sha256, Sha384, Sha512};
use tokio_rustls::{client::TlsStream, rustls::pki_types::CertificateDer};
use x509_cert::{Certificate, der::Decode};

/// The certificate's hash, to which a proof over this connection may be bound; `None`: it has none for that.
pub fn of<S>(stream: &TlsStream<S>) -> Option<Vec<u8>> {
    let (_, session) = stream.get_ref();
    hash(session.peer_certificates()?.first()?)
}

/// The binding for a mechanism.
pub fn binding(hash: Option<Vec<u8>>, is_plus: bool) -> ChannelBinding {
    match hash {
        Some(hash) if is_plus => ChannelBinding::tls_server_end_point(hash),
        Some(_) => ChannelBinding::unrequested(),
        None => ChannelBinding::unsupported(),
    }
}

/// The certificate's hash, by the function that its signature is made with; SHA-256 in place of an older one.
fn hash(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let read = Certificate::from_der(certificate).ok()?;
    match read.signature_algorithm.oid.to_string().as_str() {
        // sha1WithRSAEncryption, sha256WithRSAEncryption, ecdsa-with-SHA256
        "1.2.840.113549.1.1.5" | "1.2.840.113549.1.1.11" | "1.2.840.10045.4.3.2" => {
            Some(Sha256::digest(certificate).to_vec())
        }
        // sha384WithRSAEncryption, ecdsa-with-SHA384
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => {
            Some(Sha384::digest(certificate).to_vec())
        }
        // sha512WithRSAEncryption, ecdsa-with-SHA512
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => {
            Some(Sha512::digest(certificate).to_vec())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    #[test]
    fn a_certificate_is_hashed_as_its_signature_is() {
        for (algorithm, length) in [
            (&rcgen::PKCS_ECDSA_P256_SHA256, Some(32)),
            (&rcgen::PKCS_ECDSA_P384_SHA384, Some(48)),
            (&rcgen::PKCS_ED25519, None),
        ] {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            let certificate = params.self_signed(&key).unwrap();
            let found = hash(certificate.der()).map(|hash| hash.len());
            assert_eq!(found, length, "{algorithm:?}");
        }
    }
}
