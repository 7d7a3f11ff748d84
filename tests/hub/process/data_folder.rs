//! The folder with the hub's own files: one hub at a time uses its database, and nobody but the hub's
//! user reads any of it.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Stdio,
};

use nix::sys::signal::Signal;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::support::{
    database::Database,
    server::{Hub, PASSWORD, program},
};

/// The only line that a command says as it fails.
async fn refusal(arguments: &[&str]) -> String {
    let output = program().args(arguments).output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
    assert_eq!(said.lines().count(), 1, "{arguments:?}: {said}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_hub_on_the_same_database_is_refused() {
    let mut hub = Hub::start(Database::Sqlite).await;
    let folder = hub.file("");
    let data = folder.to_str().unwrap();
    let other = tempfile::tempdir().unwrap();
    // The same file is also locked under another name.
    let link = other.path().join("link.db");
    std::os::unix::fs::symlink(folder.join("thingshub.db"), &link).unwrap();
    let url = format!("sqlite://{}", link.display());
    let other = other.path().join("data");
    let other = other.to_str().unwrap();
    let listen = ["--listen", "127.0.0.1:0"];
    let elsewhere = ["--data-dir", other, "--database-url", &url];
    for (arguments, setting) in [
        (
            [&["serve", "--data-dir", data][..], &listen].concat(),
            "data_dir",
        ),
        (
            [&["serve"][..], &elsewhere, &listen].concat(),
            "database_url",
        ),
        (vec!["migrate", "--data-dir", data], "data_dir"),
        ([&["migrate"][..], &elsewhere].concat(), "database_url"),
    ] {
        let said = refusal(&arguments).await;
        assert!(
            said.contains(&format!("setting {setting}: another hub")),
            "{said}"
        );
    }
    // Keys are looked at and changed under a hub that runs.
    hub.command(&["secrets", "status"]).await.unwrap();
    hub.command(&["secrets", "rotate"]).await.unwrap();
    hub.get("devices").await.ok();

    // However a hub ends, the next one starts.
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        hub.end(signal).await;
        hub.start_again().await;
    }
    hub.end(Signal::SIGTERM).await;
    let migrated = hub.command(&["migrate"]).await.unwrap();
    assert!(migrated.contains("current schema"), "{migrated}");
}

/// A hub under a umask that takes nothing away, once it serves.
async fn serve_openly(data: &Path) -> Child {
    let mut child = Command::new("sh")
        .args(["-c", "umask 000; exec \"$@\"", "sh"])
        .arg(env!("CARGO_BIN_EXE_thingshub"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(data)
        .env_clear()
        .env("THINGSHUB_ADMIN_PASSWORD", PASSWORD)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if line.starts_with("thingshub listens") {
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return child;
        }
    }
    panic!("the hub does not start");
}

/// Everything below a folder, with itself, that others have a right to.
fn open_to_others(folder: &Path) -> Vec<(PathBuf, u32)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    let mut all = folders.clone();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            folders.extend(path.is_dir().then(|| path.clone()));
            all.push(path);
        }
    }
    for path in all {
        let mode = fs::metadata(&path).unwrap().mode() & 0o777;
        if mode & 0o077 != 0 {
            found.push((path, mode));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn its_files_are_for_its_user_alone_whatever_the_umask() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut child = serve_openly(&data).await;
    for file in [
        "thingshub.db-wal",
        "thingshub.db-shm",
        "secret.key",
        "tls/key.pem",
    ] {
        assert!(data.join(file).exists(), "{file}");
    }
    assert_eq!(open_to_others(&data), []);
    child.kill().await.unwrap();

    // Files that an earlier version has left open to others are closed.
    let open = |path: &str, mode| {
        fs::set_permissions(data.join(path), PermissionsExt::from_mode(mode)).unwrap();
    };
    open("", 0o755);
    open("tls", 0o755);
    for file in [
        "secret.key",
        "tls/key.pem",
        "thingshub.db",
        "thingshub.db-wal",
    ] {
        open(file, 0o644);
    }
    let mut child = serve_openly(&data).await;
    assert_eq!(open_to_others(&data), []);
    child.kill().await.unwrap();
}
