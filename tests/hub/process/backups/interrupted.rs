//! Backups and restores that are killed.

use std::fs;

use super::{Place, TO_HERE, multiply, restores::furnish, uplinks, with_another};
use crate::{
    eventually,
    support::{
        database::{Database, on_both_databases},
        server::Hub,
    },
};

on_both_databases!(
    a_killed_backup_leaves_no_file_of_that_name,
    a_killed_restore_says_so_and_can_be_repeated,
);

/// Enough that a command can be killed in the middle.
const UPLINKS: u32 = 8_000;

async fn a_killed_backup_leaves_no_file_of_that_name(database: Database) {
    let hub = Hub::start_with(database.clone(), &TO_HERE).await;
    furnish(&hub).await;
    multiply(&hub, UPLINKS).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hub.backup");
    let path = file.to_str().unwrap();
    let source = Place {
        folder: tempfile::tempdir().unwrap(),
        database: database.clone(),
    };
    let data = hub.file("");
    std::os::unix::fs::symlink(data, source.folder.path().join("data")).unwrap();
    let mut child = source.start(&["backup", path]);
    eventually("the backup has begun", async || {
        let mut entries = fs::read_dir(folder.path()).unwrap();
        entries.next().map(|_| ())
    })
    .await;
    child.kill().await.unwrap();
    assert!(!file.exists());
    // The next one succeeds beside what the first has left.
    source.command(&["backup", path]).await.ok();
    with_another(&database, async |target| {
        let place = Place::new(target);
        place.command(&["restore", path]).await.ok();
        assert_eq!(uplinks(&place.url()).await, Some(u64::from(UPLINKS) + 1));
    })
    .await;
}

async fn a_killed_restore_says_so_and_can_be_repeated(database: Database) {
    let hub = Hub::start_with(database.clone(), &TO_HERE).await;
    furnish(&hub).await;
    multiply(&hub, UPLINKS).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hub.backup");
    let path = file.to_str().unwrap();
    hub.command(&["backup", path, "--with-keys"]).await.unwrap();

    with_another(&database, async |target| {
        let place = Place::new(target);
        let url = place.url();
        let mut child = place.start(&["restore", path]);
        eventually("rows are restored", async || {
            uplinks(&url).await.filter(|count| *count > 0)
        })
        .await;
        child.kill().await.unwrap();
        let left = uplinks(&url).await.unwrap();
        assert!(left < u64::from(UPLINKS), "killed too late: {left}");

        let serve = ["serve", "--listen", "127.0.0.1:0"];
        let elsewhere = folder.path().join("other.backup");
        let backup = ["backup", elsewhere.to_str().unwrap()];
        for command in [&serve[..], &backup, &["migrate"], &["migrate", "--plan"]] {
            // The server may still hold the lock of the killed command for a moment.
            let refused = place.command(command).await.refused();
            assert!(
                refused.contains("was interrupted"),
                "{command:?}: {refused}"
            );
        }
        let checked = place.command(&["check"]).await;
        assert_eq!(checked.code, Some(1), "{checked:?}");
        assert!(checked.out.contains("was interrupted"), "{checked:?}");

        eventually("the session of the killed command has ended", async || {
            let again = place.command(&["restore", path]).await;
            let is_locked = again.error.contains("changes the schema");
            (!is_locked).then(|| again.ok())
        })
        .await;
        assert_eq!(uplinks(&url).await, Some(u64::from(UPLINKS) + 1));
        assert_eq!(place.command(&["check"]).await.ok(), "no findings\n");
        place.hub().await;
    })
    .await;
}
