//! The certificate: renewed and replaced while the hub serves.

use std::{fs, os::unix::fs::MetadataExt, path::Path, time::Duration};

use nix::sys::signal::Signal;
use rcgen::{CertificateParams, DnType, KeyPair};
use reqwest::{Certificate, Client, tls::TlsInfo};
use serde_json::{Value, json};
use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject};
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

/// Report of the hub about its own state.
struct Health {
    ready: Value,
    metrics: String,
}

async fn health(hub: &Hub, pem: &str) -> Health {
    let client = trusting(pem);
    let get = async |path: &str| {
        let url = format!("https://{}{path}", hub.address);
        let request = client.get(url).bearer_auth(&hub.token);
        request.send().await.unwrap().text().await.unwrap()
    };
    Health {
        ready: serde_json::from_str(&get("/readyz").await).unwrap(),
        metrics: get("/metrics").await,
    }
}

impl Health {
    fn metric(&self, series: &str) -> f64 {
        let mut lines = self.metrics.lines();
        let line = lines.find_map(|line| line.strip_prefix(series));
        line.unwrap_or_else(|| panic!("{series}"))
            .trim()
            .parse()
            .unwrap()
    }

    /// The expiry of the certificate in seconds.
    fn end(&self) -> u64 {
        self.metric("thingshub_tls_certificate_expiry_timestamp_seconds") as u64
    }
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
    let (end, _) = shown(&hub).await;
    let health = health(&hub, &first.cert).await;
    assert_eq!(health.ready["status"], "degraded");
    let problem = health.ready["problems"][0].as_str().unwrap();
    assert!(
        problem.contains("the previous one stays in force until"),
        "{problem}"
    );
    assert!(!problem.contains("key.pem"), "anybody reads it: {problem}");
    assert!(hub.log().contains("setting"), "the log has the cause");
    assert_eq!(health.metric("thingshub_tls_reload_failed"), 1.0);
    assert_eq!(
        health.metric("thingshub_problem{problem=\"certificate\"}"),
        1.0
    );
    assert_eq!(health.end(), end);

    // A changed file is noticed without a signal.
    fs::write(&cert, &second.cert).unwrap();
    eventually("the new one is served", async || {
        answers(&hub, &trusting(&second.cert)).await.then_some(())
    })
    .await;
    assert!(!answers(&hub, &trusting(&first.cert)).await);
    assert!(answers(&hub, &old).await, "an open connection goes on");
    let fine = self::health(&hub, &second.cert).await;
    assert_eq!(fine.ready, json!({"status": "ok", "problems": []}));
    assert_eq!(fine.metric("thingshub_tls_reload_failed"), 0.0);
    assert_eq!(
        fine.metric("thingshub_problem{problem=\"certificate\"}"),
        0.0
    );

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
    let mut names = names_of(&fs::read_to_string(&cert).unwrap());
    names.retain(|name| name != "IPv6");
    names.push("::1".to_owned());
    let ends_in = |count: u64| {
        let mut params = CertificateParams::new(names.clone()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "thingshub");
        let end = i64::try_from(days(count)).unwrap();
        params.not_after = time::OffsetDateTime::from_unix_timestamp(end).unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        fs::write(&cert, &pem).unwrap();
        pem
    };
    let (_, first) = shown(&hub).await;
    hub.end(Signal::SIGTERM).await;

    // A hub that starts, a day before its certificate's last thirty days and in them.
    let good = ends_in(31);
    hub.start_again().await;
    assert_eq!(fs::read_to_string(&cert).unwrap(), good);
    hub.end(Signal::SIGTERM).await;
    ends_in(30);
    hub.start_again().await;
    let (end, second) = shown(&hub).await;
    assert!(end > days(700), "it ends at {end}");
    assert_ne!(first, second);

    // A hub that runs, whose certificate has come near its end. Its clients go on with the same key.
    let old = ends_in(10);
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

#[tokio::test(flavor = "multi_thread")]
async fn its_own_certificate_has_the_names_in_the_settings() {
    let mut hub = Hub::start(Database::Sqlite).await;
    hub.may_complain = true;
    let pem = |hub: &Hub| fs::read_to_string(hub.certificate()).unwrap();
    let key = |hub: &Hub| fs::read(hub.certificate().with_file_name("key.pem")).unwrap();
    let (first, first_key) = (pem(&hub), key(&hub));
    // Asks the hub under another name, as clients in its network do.
    let verifies = async |hub: &Hub, host: &str| {
        let client = Client::builder()
            .tls_certs_only([Certificate::from_pem(pem(hub).as_bytes()).unwrap()])
            .resolve(host, hub.address.parse().unwrap())
            .no_proxy()
            .build()
            .unwrap();
        let port = hub.address.rsplit(':').next().unwrap();
        let asked = client
            .get(format!("https://{host}:{port}/livez"))
            .send()
            .await;
        asked.is_ok()
    };
    assert!(!verifies(&hub, "hub.lan").await);
    hub.end(Signal::SIGTERM).await;

    // Without a change of the setting, the certificate stays, whatever the name of the machine is.
    hub.start_again().await;
    assert_eq!(pem(&hub), first);
    hub.end(Signal::SIGTERM).await;

    hub.start_again_with(&["--tls-names", "Hub.LAN,192.0.2.10, localhost"])
        .await;
    let second = pem(&hub);
    assert_ne!(second, first);
    assert_eq!(key(&hub), first_key);
    for host in ["hub.lan", "localhost"] {
        assert!(verifies(&hub, host).await, "{host}");
    }
    assert!(answers(&hub, &trusting(&second)).await, "by its address");
    let names = names_of(&second);
    assert!(
        names.starts_with(&["hub.lan".to_owned(), "192.0.2.10".to_owned()]),
        "{names:?}"
    );
    hub.end(Signal::SIGTERM).await;
    hub.start_again().await;
    assert_eq!(pem(&hub), second);
    hub.end(Signal::SIGTERM).await;

    // A name that goes is gone.
    hub.start_again_with(&["--tls-names", "192.0.2.10"]).await;
    assert!(!verifies(&hub, "hub.lan").await);
    assert_eq!(names_of(&pem(&hub))[0], "192.0.2.10");
    hub.end(Signal::SIGTERM).await;

    // A certificate that the operator has put in its place is the operator's.
    let own = Pair::new();
    own.write(hub.certificate().parent().unwrap());
    hub.start_again_with(&["--tls-names", "hub.lan"]).await;
    assert_eq!(pem(&hub), own.cert);
    assert!(hub.log().contains("setting tls_names has no effect"));
}

/// Whatever is in the folder of the hub's own certificate, the hub renews none but its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_others_is_never_renewed() {
    let mut hub = Hub::start(Database::Sqlite).await;
    hub.end(Signal::SIGTERM).await;
    let cert = hub.certificate();
    let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    params.not_after = time::OffsetDateTime::now_utc() + time::Duration::days(10);
    let key = KeyPair::generate().unwrap();
    let theirs = Pair {
        cert: params.self_signed(&key).unwrap().pem(),
        key: key.serialize_pem(),
    };
    theirs.write(cert.parent().unwrap());
    hub.may_complain = true;
    hub.start_again().await;
    eventually("its end is warned of", async || {
        let log = hub.log();
        log.contains("put a new one in its place").then_some(())
    })
    .await;
    assert!(answers(&hub, &trusting(&theirs.cert)).await);
    assert_eq!(fs::read_to_string(&cert).unwrap(), theirs.cert);
}

/// From 14 days before its end, the log warns of a certificate that the operator has to renew.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_certificate_is_warned_of_in_time() {
    let mut hub = Hub::start(Database::Sqlite).await;
    hub.end(Signal::SIGTERM).await;
    let folder = tempfile::tempdir().unwrap();
    // Writes a certificate that ends in so many days; answers the day of its end, and the certificate.
    let ending = |days: i64| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let end = time::OffsetDateTime::now_utc() + time::Duration::days(days);
        params.not_after = end;
        let cert = params.self_signed(&key).unwrap().pem();
        let key = key.serialize_pem();
        let pair = Pair { cert, key };
        pair.write(folder.path());
        (end.date().to_string(), pair.cert)
    };
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (later, first) = ending(16);
    let (cert, key) = (file("cert.pem"), file("key.pem"));
    hub.start_again_with(&["--tls-cert", &cert, "--tls-key", &key])
        .await;
    assert!(answers(&hub, &trusting(&first)).await);
    hub.may_complain = true;
    let (soon, second) = ending(13);
    hub.tell(Signal::SIGHUP);
    eventually("the second is served", async || {
        answers(&hub, &trusting(&second)).await.then_some(())
    })
    .await;
    let warning = eventually("its end is warned of", async || {
        let log = hub.log();
        let line = log
            .lines()
            .find(|line| line.contains("the certificate ends at"));
        line.map(str::to_owned)
    })
    .await;
    // One warning a day: an earlier one would stand in its place.
    assert!(
        warning.contains(&soon) && !warning.contains(&later),
        "{warning}"
    );
    assert!(warning.contains(" WARN "), "{warning}");
}

/// The hook for ACME clients on the page for operators puts a renewed certificate in its place.
#[tokio::test(flavor = "multi_thread")]
async fn the_deploy_hook_of_the_page_works() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operate/certificates.md");
    let page = fs::read_to_string(page).unwrap();
    let hook = page
        .split("```sh\n")
        .find(|part| part.starts_with("#!/bin/sh"));
    let (hook, _) = hook.unwrap().split_once("```").unwrap();
    let lineage = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let user = fs::metadata(lineage.path()).unwrap().uid().to_string();
    let deploy = async |pair: &Pair| {
        fs::write(lineage.path().join("fullchain.pem"), &pair.cert).unwrap();
        fs::write(lineage.path().join("privkey.pem"), &pair.key).unwrap();
        let ran = tokio::process::Command::new("sh")
            .args(["-c", hook])
            .env("RENEWED_LINEAGE", lineage.path())
            .env("TLS_FOLDER", folder.path().join("tls"))
            .env("TLS_OWNER", &user)
            .status();
        assert!(ran.await.unwrap().success());
    };
    let (first, second) = (Pair::new(), Pair::new());
    deploy(&first).await;
    let mut hub = Hub::start(Database::Sqlite).await;
    hub.end(Signal::SIGTERM).await;
    let file = |name: &str| folder.path().join("tls").join(name);
    let (cert, key) = (file("cert.pem"), file("key.pem"));
    let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
    hub.start_again_with(&["--tls-cert", cert, "--tls-key", key])
        .await;
    // A check may come between the two files.
    hub.may_complain = true;
    assert!(answers(&hub, &trusting(&first.cert)).await);
    deploy(&second).await;
    eventually("the renewed one is served", async || {
        answers(&hub, &trusting(&second.cert)).await.then_some(())
    })
    .await;
}

/// The names and addresses of a certificate, in its order.
fn names_of(pem: &str) -> Vec<String> {
    use x509_cert::ext::pkix::{SubjectAltName, name::GeneralName};
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let read = x509_cert::Certificate::from_der(&der).unwrap();
    let (_, SubjectAltName(names)) = read.tbs_certificate.get().unwrap().unwrap();
    let text = |name: &GeneralName| match name {
        GeneralName::DnsName(name) => name.to_string(),
        GeneralName::IpAddress(address) => match address.as_bytes() {
            [a, b, c, d] => format!("{a}.{b}.{c}.{d}"),
            _ => "IPv6".to_owned(),
        },
        other => panic!("{other:?}"),
    };
    names.iter().map(text).collect()
}
