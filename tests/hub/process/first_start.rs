//! The first start: the password of the first administrator, and the files that the hub makes.

use std::{path::Path, process::Stdio};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reqwest::{Certificate, Client};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::support::{
    database::on_empty_postgres,
    server::{EUI, Hub, PASSWORD, program},
};

/// Output of a hub, its answers to log-ins with these passwords, and its log.
async fn served(
    data: &Path,
    chosen: Option<&str>,
    passwords: impl Fn(&str) -> Vec<String>,
) -> (String, Vec<u16>, String) {
    let mut command = program();
    command.envs(chosen.map(|password| ("THINGSHUB_ADMIN_PASSWORD", password)));
    let mut child = command
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--log-filter",
            "debug",
            "--data-dir",
        ])
        .arg(data)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut errors = child.stderr.take().unwrap();
    let log = tokio::spawn(async move {
        let mut log = String::new();
        let _ = tokio::io::AsyncReadExt::read_to_string(&mut errors, &mut log).await;
        log
    });
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut printed = String::new();
    let address = loop {
        let line = lines.next_line().await.unwrap().expect("it serves");
        printed.push_str(&line);
        printed.push('\n');
        if let Some(rest) = line.strip_prefix("thingshub listens on https://") {
            break rest.split(' ').next().unwrap().to_owned();
        }
    };
    let certificate = std::fs::read(data.join("tls/cert.pem")).unwrap();
    let client = Client::builder()
        .tls_certs_only([Certificate::from_pem(&certificate).unwrap()])
        .no_proxy()
        .build()
        .unwrap();
    let mut statuses = Vec::new();
    for password in passwords(&printed) {
        let body = json!({"username": "admin", "password": password});
        let request = client.post(format!("https://{address}/api/v3/auth/token"));
        let request = request.header("Content-Type", "application/json");
        let answer = request.body(body.to_string()).send().await.unwrap();
        statuses.push(answer.status().as_u16());
        let _: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    }
    let pid = Pid::from_raw(child.id().unwrap().try_into().unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    while let Ok(Some(line)) = lines.next_line().await {
        printed.push_str(&line);
    }
    assert!(child.wait().await.unwrap().success());
    (printed, statuses, log.await.unwrap())
}

/// The password in what is printed.
fn password_in(printed: &str) -> Option<String> {
    let (_, rest) = printed.split_once("with the password ")?;
    Some(rest.split_whitespace().next()?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_password_is_printed_once() {
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let own = |printed: &str| {
        let password = password_in(printed).expect("it is printed");
        vec![password.clone(), format!("{password}x")]
    };
    let (printed, statuses, log) = served(&data, None, own).await;
    let password = password_in(&printed).unwrap();
    assert_eq!(statuses, [200, 400]);
    assert!(password.len() >= 16, "{printed}");
    assert!(!log.is_empty() && !log.contains(&password), "{log}");
    for file in ["thingshub.db", "secret.key", "tls/key.pem"] {
        assert!(data.join(file).exists(), "{file}");
    }

    // The next start prints nothing of it, and leaves it as it is.
    let (printed, statuses, _) = served(&data, None, |_| vec![password.clone()]).await;
    assert_eq!(statuses, [200]);
    assert!(!printed.contains(&password), "{printed}");
    assert_eq!(password_in(&printed), None, "{printed}");

    // Every hub has another one.
    let (printed, ..) = served(&folder.path().join("other"), None, own).await;
    assert_ne!(password_in(&printed).unwrap(), password);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chosen_password_is_not_printed() {
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let own = |_: &str| vec![PASSWORD.to_owned()];
    let (printed, statuses, log) = served(&folder.path().join("data"), Some(PASSWORD), own).await;
    assert_eq!(statuses, [200]);
    assert_eq!(password_in(&printed), None, "{printed}");
    assert!(!printed.contains(PASSWORD), "{printed}");
    assert!(!log.contains(PASSWORD), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_postgres_gets_the_schema() {
    on_empty_postgres(async |database| {
        let (hub, connection) = Hub::with_device(database, &[]).await;
        hub.uplink(&connection, EUI).await;
        assert_eq!(hub.list("devices/d/uplinks").await.len(), 1);
    })
    .await;
}
