//! Copies from one kind of database to the other.

use nix::sys::signal::Signal;

use super::{
    Place, TO_HERE, multiply,
    restores::{delivers, furnish, seen},
    run, uplinks, with_the_other,
};
use crate::{
    eventually,
    support::{
        database::{Database, execute, on_both_databases},
        server::Hub,
    },
};

on_both_databases!(a_moved_hub_goes_on, a_killed_copy_goes_on_where_it_was);

const UPLINKS: u32 = 8_000;

async fn a_moved_hub_goes_on(database: Database) {
    let mut hub = Hub::start_with(database.clone(), &TO_HERE).await;
    let (connection, sink) = furnish(&hub).await;
    let before = seen(&hub).await;
    let from = hub.database_url();
    let url = from.clone();
    with_the_other(&database, async |target| {
        let place = Place::new(target);
        place.make_folder();
        let to = place.url();
        let copy = ["copy", "--from", &url, "--to", &to];
        if matches!(hub.database, Database::Sqlite) {
            let warned = run(&copy).await;
            assert!(warned.error.contains("is not copied"), "{warned:?}");
            warned.ok();
        } else {
            run(&copy).await.ok();
        }
        hub.end(Signal::SIGTERM).await;
        let refused = run(&copy).await.refused();
        assert!(refused.contains("the target has data"), "{refused}");

        std::fs::copy(hub.file("secret.key"), place.file("secret.key")).unwrap();
        assert_eq!(place.command(&["check"]).await.ok(), "no findings\n");
        let moved = place.hub().await;
        assert_eq!(seen(&moved).await, before);
        delivers(&moved, &connection, &sink).await;
    })
    .await;
}

async fn a_killed_copy_goes_on_where_it_was(database: Database) {
    let mut hub = Hub::start_with(database.clone(), &TO_HERE).await;
    furnish(&hub).await;
    multiply(&hub, UPLINKS).await;
    hub.end(Signal::SIGTERM).await;
    let from = hub.database_url();
    with_the_other(&database, async |target| {
        let place = Place::new(target);
        place.make_folder();
        let to = place.url();
        let copy = ["copy", "--from", &from, "--to", &to];
        let killed = async || {
            let mut child = crate::support::server::program()
                .args(copy)
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap();
            eventually("rows are copied", async || {
                uplinks(&to).await.filter(|count| *count > 0)
            })
            .await;
            child.kill().await.unwrap();
            let left = uplinks(&to).await.unwrap();
            assert!(left < u64::from(UPLINKS), "killed too late: {left}");
        };
        let again = async || {
            eventually("the session of the killed command has ended", async || {
                let again = run(&copy).await;
                let is_locked = again.error.contains("changes the schema");
                (!is_locked).then(|| again.ok())
            })
            .await
        };
        killed().await;
        let serve = ["serve", "--listen", "127.0.0.1:0"];
        let refused = place.command(&serve).await.refused();
        assert!(refused.contains("was interrupted"), "{refused}");
        let said = again().await;
        assert!(
            said.contains("devices: 1 rows were copied before"),
            "{said}"
        );
        assert!(
            said.contains(&format!("\nuplinks: {} rows\n", UPLINKS + 1)),
            "{said}"
        );
        assert!(said.ends_with("all tables are equal\n"), "{said}");

        // If the source has changed, nothing that was copied before is trusted.
        if let Database::Sqlite = &place.database {
            std::fs::remove_file(place.file("thingshub.db")).unwrap();
        } else {
            execute(&to, "DROP SCHEMA public CASCADE").await;
            execute(&to, "CREATE SCHEMA public").await;
        }
        killed().await;
        execute(&from, "UPDATE devices SET description = 'changed'").await;
        let said = again().await;
        assert!(!said.contains("before"), "{said}");
        let description = super::find(&to, "SELECT description FROM devices").await;
        assert_eq!(description.as_deref(), Some("changed"));
    })
    .await;
}
