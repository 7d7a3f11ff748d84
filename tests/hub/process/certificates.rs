//! The certificate: renewed and replaced while the hub serves.

use std::{fs, path::Path, time::Duration};

use nix::sys::signal::Signal;
use rcgen::{CertificateParams, DnType, KeyPair};
use reqwest::{Certificate, Client, tls::TlsInfo};
use x509_cert::der::Decode;

use crate::{
    eventually,
    support::{database::Database, server::Hub},
};

/// The end of the certificate that a new connection is shown, as seconds, and the certificate.
async fn shown(hub: &Hub) -> (u64, Vec<u8>) {
    let client = Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .tls_info(true)
        .no_proxy()
        .build()
        .unwrap();
    let url = format!("https://{}/livez", hub.address);
    let response = client.get(url).send().await.unwrap();
    let info: &TlsInfo = response.extensions().get().unwrap();
    let der = info.peer_certificate().unwrap().to_owned();
    let read = x509_cert::Certificate::from_der(&der).unwrap();
    let end = read.tbs_certificate.validity.not_after.to_unix_duration();
    (end.as_secs(), der)
}

/// A client that trusts this certificate alone, and keeps its connection.
fn trusting(pem: &str) -> Client {
    Client::builder()
        .tls_certs_only([Certificate::from_pem(pem.as_bytes()).unwrap()])
        .no_proxy()
        .pool_max_idle_per_host(1)
        .timeout(Duration::from_secs(60))
        .build()
        .unwrap()
}

async fn answers(hub: &Hub, client: &Client) -> bool {
    let url = format!("https://{}/livez", hub.address);
    client.get(url).send().await.is_ok()
}

struct Pair {
    cert: String,
    key: String,
}

impl Pair {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        Self {
            cert: params.self_signed(&key).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    fn write(&self, folder: &Path) {
        fs::write(folder.join("cert.pem"), &self.cert).unwrap();
        fs::write(folder.join("key.pem"), &self.key).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_certificate_is_served_and_open_connections_go_on() {
    let mut hub = Hub::start(Database::Sqlite).await;
    hub.may_complain = true;
    hub.end(Signal::SIGTERM).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let (first, second) = (Pair::new(), Pair::new());
    first.write(path);
    let file = |name: &str| path.join(name).to_str().unwrap().to_owned();
    let (cert, key) = (file("cert.pem"), file("key.pem"));
    hub.start_again_with(&["--tls-cert", &cert, "--tls-key", &key])
        .await;
    let old = trusting(&first.cert);
    assert!(answers(&hub, &old).await);

    // Half of a pair is no pair, even after a signal to take it, which does not end the hub.
    fs::write(&key, &second.key).unwrap();
    hub.tell(Signal::SIGHUP);
    let complaints = |hub: &Hub| hub.log().matches("stays the one of before").count();
    eventually("the half is refused", async || {
        (complaints(&hub) > 0).then_some(())
    })
    .await;
    assert!(answers(&hub, &trusting(&first.cert)).await);

    // A changed file is noticed without a signal.
    fs::write(&cert, &second.cert).unwrap();
    eventually("the new one is served", async || {
        answers(&hub, &trusting(&second.cert)).await.then_some(())
    })
    .await;
    assert!(!answers(&hub, &trusting(&first.cert)).await);
    assert!(answers(&hub, &old).await, "an open connection goes on");

    // A file that is no certificate is reported once and not served.
    let before = complaints(&hub);
    fs::write(&cert, "-----BEGIN CERTIFICATE-----\n???\n").unwrap();
    eventually("the broken one is told", async || {
        (complaints(&hub) > before).then_some(())
    })
    .await;
    assert!(answers(&hub, &trusting(&second.cert)).await);

    // A signal makes the hub read it at once.
    let third = Pair::new();
    third.write(path);
    hub.tell(Signal::SIGHUP);
    eventually("the third is served", async || {
        answers(&hub, &trusting(&third.cert)).await.then_some(())
    })
    .await;
    assert!(hub.end(Signal::SIGTERM).await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn its_own_certificate_is_renewed_before_it_ends() {
    let mut hub = Hub::start(Database::Sqlite).await;
    let cert = hub.certificate();
    let key = fs::read_to_string(cert.with_file_name("key.pem")).unwrap();
    let key = KeyPair::from_pem(&key).unwrap();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let days = |count: u64| now + count * 86_400;
    let about_to_end = || {
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "thingshub");
        let end = i64::try_from(days(10)).unwrap();
        params.not_after = time::OffsetDateTime::from_unix_timestamp(end).unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        fs::write(&cert, &pem).unwrap();
        pem
    };
    let (_, first) = shown(&hub).await;
    hub.end(Signal::SIGTERM).await;

    // A hub that starts.
    about_to_end();
    hub.start_again().await;
    let (end, second) = shown(&hub).await;
    assert!(end > days(700), "it ends at {end}");
    assert_ne!(first, second);

    // A hub that runs, whose certificate has come near its end. Its clients go on with the same key.
    let old = about_to_end();
    let third = eventually("it is renewed", async || {
        let (end, der) = shown(&hub).await;
        (end > days(700) && der != second).then_some(der)
    })
    .await;
    assert_ne!(fs::read_to_string(&cert).unwrap(), old);
    let key_of = |der: &[u8]| {
        let read = x509_cert::Certificate::from_der(der).unwrap();
        read.tbs_certificate.subject_public_key_info
    };
    assert_eq!(key_of(&third), key_of(&first));
}
