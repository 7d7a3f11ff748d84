//! The file of a backup: what is damaged or unknown is refused before the database is touched.

use std::{fs, path::Path};

use sha2::{Digest, Sha256};

use super::Place;
use crate::support::{database::Database, server::Hub};

/// Length of the digest at the end.
const DIGEST: usize = 32;

/// Writes a file with this content and the digest that fits.
fn write(path: &Path, content: &[u8]) {
    let digest = Sha256::digest(content);
    fs::write(path, [content, digest.as_slice()].concat()).unwrap();
}

fn replaced(content: &[u8], from: &str, to: &str) -> Vec<u8> {
    let at = content
        .windows(from.len())
        .position(|window| window == from.as_bytes())
        .unwrap();
    let rest = &content[at + from.len()..];
    [&content[..at], to.as_bytes(), rest].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_no_whole_backup_are_refused() {
    let hub = Hub::start(Database::Sqlite).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hub.backup");
    let path = file.to_str().unwrap();
    hub.command(&["backup", path]).await.unwrap();
    let whole = fs::read(&file).unwrap();
    let content = &whole[..whole.len() - DIGEST];

    let bad = folder.path().join("bad.backup");
    let place = Place::new(Database::Sqlite);
    let refused = async |said: &str| {
        let refused = place
            .command(&["restore", bad.to_str().unwrap()])
            .await
            .refused();
        assert!(refused.contains(said), "{said}: {refused}");
    };
    refused("No such file").await;
    for length in [0, 10, whole.len() / 2, whole.len() - 1] {
        fs::write(&bad, &whole[..length]).unwrap();
        let said = if length < 20 {
            "not a backup"
        } else {
            "damaged"
        };
        refused(said).await;
    }
    for position in [40, whole.len() / 2, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[position] ^= 1;
        fs::write(&bad, &damaged).unwrap();
        refused("damaged").await;
    }
    fs::write(&bad, "something else, which is long enough to be read").unwrap();
    refused("not a backup").await;
    write(
        &bad,
        &replaced(content, "thingshub-backup 1", "thingshub-backup 2"),
    );
    refused("newer version").await;
    write(&bad, &replaced(content, "m0001_", "m9001_"));
    refused("does not know").await;
    write(&bad, &replaced(content, "\"device_key\"", "\"device_kez\""));
    refused("not those of its migrations").await;
    // The rows end early, and the file as a whole is as it was written.
    write(&bad, &content[..content.len() - 40]);
    let refused = place.command(&["restore", bad.to_str().unwrap()]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");

    place.command(&["restore", path]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_only_replaced_on_request() {
    let hub = Hub::start(Database::Sqlite).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hub.backup");
    let path = file.to_str().unwrap();
    fs::write(&file, "mine").unwrap();
    let refused = hub.command(&["backup", path]).await.unwrap_err();
    assert!(refused.contains("--force replaces it"), "{refused}");
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    hub.command(&["backup", path, "--force"]).await.unwrap();
    assert!(
        fs::read(&file)
            .unwrap()
            .starts_with(b"thingshub-backup 1\n{")
    );
    // No temporary file is left, and none where a backup fails.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let nowhere = folder.path().join("missing/hub.backup");
    let refused = hub.command(&["backup", nowhere.to_str().unwrap()]).await;
    assert!(refused.unwrap_err().contains("No such file"));
}
