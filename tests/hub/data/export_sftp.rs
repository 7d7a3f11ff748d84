//! Scheduled exports to an SFTP server, which may also be the wrong one, full or silent.

use std::sync::atomic::Ordering;

use nix::sys::signal::Signal;
use russh::keys::{Algorithm, HashAlg, PrivateKey, ssh_key::LineEnding};
use serde_json::{Value, json};

use crate::{
    eventually,
    support::{
        database::{Database, on_both_databases, on_postgres, query_text},
        exports::{add_rows, body, export, latest, numbers, reached, run, table},
        hostile_sftp::{HostileSftp, Mood},
        server::Hub,
        sftp_server::{SftpServer, USER, USER_PASSWORD},
    },
};

on_both_databases!(
    a_file_appears_whole_under_its_name,
    a_file_is_in_the_folder_of_its_target,
    a_pinned_key_is_the_only_one_that_is_trusted,
    a_refused_login_is_reported,
    a_full_disk_leaves_no_file,
    a_silent_server_is_given_up_and_the_run_goes_on,
    a_run_survives_the_kill_of_the_hub,
    a_stop_of_the_hub_is_no_failed_attempt,
    a_secret_stays_with_its_address,
);

const ALLOW: [&str; 2] = ["--outgoing-allow", "127.0.0.0/8"];

fn target(server: &SftpServer) -> Value {
    json!({"type": "sftp", "host": "127.0.0.1", "port": server.port, "username": USER,
        "password": USER_PASSWORD, "host_key": server.host_key})
}

fn columns() -> Value {
    json!([{"path": "n", "type": "number"}])
}

async fn hub_with(database: Database, more: &[&str], many: u32) -> (Hub, String, SftpServer) {
    let flags = [&ALLOW[..], more].concat();
    let hub = Hub::start_with(database, &flags).await;
    let table = table(&hub, "t", columns()).await;
    add_rows(&hub, &table, 3, many).await;
    (hub, table, SftpServer::start().await)
}

async fn a_file_appears_whole_under_its_name(database: Database) {
    let (hub, table, server) = hub_with(database, &[], 30_000).await;
    let export = export(&hub, &table, &target(&server), json!({})).await;
    let shown = hub.get(&export).await.ok()["target"].clone();
    assert_eq!(shown["has_password"], true);
    assert!(!shown.to_string().contains(USER_PASSWORD), "{shown}");
    let tested = hub.post(&format!("{export}/test"), &json!({})).await.ok();
    assert_eq!(tested["is_successful"], true, "{tested}");
    assert_eq!(tested["host_key"], server.host_key);
    assert!(server.files().is_empty());
    let first = run(&hub, &export, "succeeded").await;
    let files = server.files();
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].0, first["file_name"]);
    assert_eq!(files[0].1.len(), first["bytes"]);
    assert_eq!(numbers(&files[0].1), (1..=30_000).collect::<Vec<_>>());
    run(&hub, &export, "empty").await;
    assert_eq!(server.files().len(), 1);
}

async fn a_file_is_in_the_folder_of_its_target(database: Database) {
    let (hub, table, server) = hub_with(database, &[], 3).await;
    let in_folder = |folder: &str| {
        let mut target = target(&server);
        target["folder"] = folder.into();
        target
    };
    for folder in ["one", "other/"] {
        server.make_folder(folder);
        let more = json!({"name": folder});
        let export = export(&hub, &table, &in_folder(folder), more).await;
        let run = run(&hub, &export, "succeeded").await;
        let files = server.files_in(folder);
        assert_eq!(files.len(), 1, "{folder}");
        assert_eq!(files[0].0, run["file_name"], "{folder}");
    }
    // The hub makes no folders on the systems of others.
    let more = json!({"name": "lost"});
    let lost = export(&hub, &table, &in_folder("nowhere"), more).await;
    let tested = hub.post(&format!("{lost}/test"), &json!({})).await.ok();
    let error = tested["error"].as_str().unwrap();
    assert!(error.contains("the folder does not exist"), "{error}");
}

async fn a_pinned_key_is_the_only_one_that_is_trusted(database: Database) {
    let (hub, table, server) = hub_with(database, &[], 3).await;
    let mut target = target(&server);
    target["host_key"] = Value::Null;
    let path = export(&hub, &table, &target, json!({})).await;
    let tested = hub.post(&format!("{path}/test"), &json!({})).await.ok();
    assert_eq!(tested["host_key"], server.host_key, "{tested}");
    let error = tested["error"].as_str().unwrap();
    assert!(error.starts_with("host_key: is not set"), "{error}");
    let other = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap();
    let other = other.public_key().fingerprint(HashAlg::Sha256).to_string();
    target["host_key"] = other.clone().into();
    hub.put(&path, &body("e", &target, json!({}))).await.ok();
    let waiting = run(&hub, &path, "waiting").await;
    let waiting = match waiting["error"].is_null() {
        true => {
            eventually("the attempt has failed", async || {
                let runs = hub.list(&format!("{path}/runs")).await;
                runs.into_iter().find(|run| run["error"].is_string())
            })
            .await
        }
        false => waiting,
    };
    let error = waiting["error"].as_str().unwrap();
    for key in [&server.host_key, &other] {
        assert!(error.contains(key.as_str()), "{error}");
    }
    assert_eq!(server.cues.logins.load(Ordering::Relaxed), 0);
    // The right key is pinned with the stored password, and the run goes on.
    target["host_key"] = server.host_key.clone().into();
    target.as_object_mut().unwrap().remove("password");
    hub.put(&path, &body("e", &target, json!({}))).await.ok();
    let done = run(&hub, &path, "succeeded").await;
    assert_eq!(done["number"], 1);
}

async fn a_refused_login_is_reported(database: Database) {
    let (hub, table, server) = hub_with(database, &[], 3).await;
    let mut target = target(&server);
    target["password"] = "wrong".into();
    let path = export(&hub, &table, &target, json!({})).await;
    let tested = hub.post(&format!("{path}/test"), &json!({})).await.ok();
    let error = tested["error"].as_str().unwrap();
    assert_eq!(
        error,
        "login: the server refuses the username or the password"
    );
    // A private key in place of the password.
    let key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap();
    target.as_object_mut().unwrap().remove("password");
    target["private_key"] = key.to_openssh(LineEnding::LF).unwrap().to_string().into();
    let shown = hub.put(&path, &body("e", &target, json!({}))).await.ok();
    assert_eq!(shown["target"]["has_private_key"], true);
    assert_eq!(shown["target"]["has_password"], false);
    let tested = hub.post(&format!("{path}/test"), &json!({})).await.ok();
    let error = tested["error"].as_str().unwrap();
    assert_eq!(
        error,
        "login: the server refuses the username or the private key"
    );
    let admitted = key.public_key().fingerprint(HashAlg::Sha256).to_string();
    *server.cues.key.lock().unwrap() = Some(admitted);
    run(&hub, &path, "succeeded").await;
    // Neither is none.
    target.as_object_mut().unwrap().remove("private_key");
    target["name"] = Value::Null;
    target.as_object_mut().unwrap().remove("name");
    let none = body("none", &target, json!({}));
    let refused = hub.post(&format!("{table}/scheduled-exports"), &none).await;
    let refused = refused.refused(400);
    assert!(
        refused.starts_with("target.password: is required"),
        "{refused}"
    );
    target["private_key"] =
        "-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----".into();
    let bad = body("bad", &target, json!({}));
    let refused = hub.post(&format!("{table}/scheduled-exports"), &bad).await;
    let refused = refused.refused(400);
    assert!(
        refused.starts_with("target.private_key: must be a private key"),
        "{refused}"
    );
}

async fn a_full_disk_leaves_no_file(database: Database) {
    let flags = ["--export-schedule-s", "1"];
    let (hub, table, server) = hub_with(database, &flags, 20_000).await;
    server.cues.room.store(200_000, Ordering::Relaxed);
    let export = export(&hub, &table, &target(&server), json!({})).await;
    let failed = run(&hub, &export, "failed").await;
    let error = failed["error"].as_str().unwrap();
    assert!(error.contains("disk") && error.contains("full"), "{error}");
    assert!(server.files().is_empty(), "{:?}", server.files().len());
    server.cues.room.store(i64::MAX, Ordering::Relaxed);
    let done = run(&hub, &export, "succeeded").await;
    assert_eq!(done["file_name"], failed["file_name"]);
    assert_eq!(numbers(&server.files()[0].1).len(), 20_000);
}

async fn a_silent_server_is_given_up_and_the_run_goes_on(database: Database) {
    let flags = [
        "--export-schedule-s",
        "1,1,1,1,1,1",
        "--export-timeout-s",
        "2",
    ];
    let (hub, table, server) = hub_with(database, &flags, 5_000).await;
    server.cues.hangs.store(true, Ordering::Relaxed);
    let export = export(&hub, &table, &target(&server), json!({})).await;
    hub.post(&format!("{export}/runs"), &json!({}))
        .await
        .created();
    let waiting = eventually("the attempt is given up", async || {
        let runs = hub.list(&format!("{export}/runs")).await;
        runs.into_iter().find(|run| run["error"].is_string())
    })
    .await;
    let error = waiting["error"].as_str().unwrap();
    assert!(error.contains("no answer"), "{error}");
    server.cues.hangs.store(false, Ordering::Relaxed);
    let done = reached(&hub, &export, 1, "succeeded").await;
    assert_eq!(done["error"], Value::Null);
    let files = server.files();
    assert_eq!(
        files.len(),
        1,
        "{:?}",
        files.iter().map(|(name, _)| name).collect::<Vec<_>>()
    );
    assert_eq!(numbers(&files[0].1).len(), 5_000);
}

async fn a_run_survives_the_kill_of_the_hub(database: Database) {
    let (mut hub, table, server) = hub_with(database, &[], 60_000).await;
    let export = export(&hub, &table, &target(&server), json!({})).await;
    hub.post(&format!("{export}/runs"), &json!({}))
        .await
        .created();
    eventually("a part of the file is there", async || {
        let files = server.files();
        files
            .iter()
            .any(|(_, content)| !content.is_empty())
            .then_some(())
    })
    .await;
    hub.end(Signal::SIGKILL).await;
    assert!(
        server
            .files()
            .iter()
            .all(|(name, _)| name.ends_with(".part"))
    );
    hub.start_again().await;
    let done = reached(&hub, &export, 1, "succeeded").await;
    assert_eq!(done["attempts"], 2);
    let files = server.files();
    assert_eq!(files.len(), 1);
    assert_eq!(numbers(&files[0].1), (1..=60_000).collect::<Vec<_>>());
}

async fn a_stop_of_the_hub_is_no_failed_attempt(database: Database) {
    // After two failed attempts a run has failed.
    let flags = [&ALLOW[..], &["--export-schedule-s", "0"]].concat();
    let mut hub = Hub::start_with(database, &flags).await;
    let table = table(&hub, "t", columns()).await;
    add_rows(&hub, &table, 3, 100).await;
    let server = HostileSftp::start(Mood::WrongIds).await;
    let export = export(&hub, &table, &server.target(), json!({})).await;
    let runs = format!("{export}/runs");
    hub.post(&runs, &json!({})).await.created();
    for attempt in 1..=3 {
        eventually("a part of the file is there", async || {
            let name = format!(".{attempt}.part");
            let is_begun = server.files().keys().any(|part| part.ends_with(&name));
            is_begun.then_some(())
        })
        .await;
        let stopped = hub.end(Signal::SIGTERM).await;
        assert!(stopped.success(), "{stopped}");
        assert_eq!(server.files().len(), 0, "the part of attempt {attempt}");
        let stored = "SELECT state || ' ' || attempts || ' ' || round FROM export_runs";
        let stored = query_text(&hub.database_url(), stored).await;
        assert_eq!(stored, format!("waiting {attempt} 0"));
        hub.start_again().await;
    }
    server.turn(Mood::Obeys);
    // The attempt that the server does not answer is broken off by one more stop.
    hub.end(Signal::SIGTERM).await;
    hub.start_again().await;
    let done = reached(&hub, &export, 1, "succeeded").await;
    assert_eq!(done["error"], Value::Null);
    assert_eq!(latest(&hub, &export).await.len(), 1);
    let files: Vec<Vec<u8>> = server.files().into_values().collect();
    assert_eq!(files.len(), 1);
    assert_eq!(numbers(&files[0]), (1..=100).collect::<Vec<_>>());
}

/// Another hub may be at the run by now.
#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_has_lost_its_lease_goes_no_further() {
    on_postgres(async |database: Database| {
        let hub = Hub::start_with(database, &ALLOW).await;
        let table = table(&hub, "t", columns()).await;
        add_rows(&hub, &table, 3, 100).await;
        let server = HostileSftp::start(Mood::WrongIds).await;
        let export = export(&hub, &table, &server.target(), json!({})).await;
        hub.post(&format!("{export}/runs"), &json!({}))
            .await
            .created();
        eventually("a part of the file is there", async || {
            (!server.files().is_empty()).then_some(())
        })
        .await;
        hub.sql(
            "UPDATE leases SET holder = gen_random_uuid(), expires_at = now() + interval '1 hour' \
             WHERE name LIKE 'export/%'",
        )
        .await;
        eventually("the work ends", async || {
            hub.log()
                .contains("the lease of a scheduled export is lost")
                .then_some(())
        })
        .await;
        // The other hub is gone.
        server.turn(Mood::Obeys);
        hub.sql("DELETE FROM leases WHERE name LIKE 'export/%'")
            .await;
        reached(&hub, &export, 1, "succeeded").await;
    })
    .await;
}

async fn a_secret_stays_with_its_address(database: Database) {
    let (mut hub, table, server) = hub_with(database, &[], 1).await;
    let mut target = target(&server);
    let path = export(&hub, &table, &target, json!({})).await;
    target.as_object_mut().unwrap().remove("password");
    target["port"] = 2222.into();
    let refused = hub
        .put(&path, &body("e", &target, json!({})))
        .await
        .refused(400);
    assert!(
        refused.contains("is required: the address has changed"),
        "{refused}"
    );
    // Without the permission of the operator, no private address is reached.
    hub.end(Signal::SIGTERM).await;
    hub.start_again_with(&[]).await;
    let tested = hub.post(&format!("{path}/test"), &json!({})).await.ok();
    let error = tested["error"].as_str().unwrap();
    assert!(error.contains("is not public"), "{error}");
    target["password"] = "p".into();
    let refused = hub
        .put(&path, &body("e", &target, json!({"name": "f"})))
        .await;
    // The host stays, so the export may be changed.
    refused.ok();
    target["host"] = "127.0.0.2".into();
    let refused = hub
        .put(&path, &body("e", &target, json!({})))
        .await
        .refused(400);
    assert!(
        refused.starts_with("target.host: the address is not public"),
        "{refused}"
    );
}
