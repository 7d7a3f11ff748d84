//! The database goes away and comes back: 503 meanwhile, and nobody has to do anything.
//!
//! It stops a whole PostgreSQL, so it makes one of its own with `scripts/postgres`.

use std::process::Command;

use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

use crate::{
    database::{Database, on_postgres_at, surroundings},
    eventually, repository,
    server::Hub,
};

/// A PostgreSQL that this test alone uses; gone with its handle.
struct Cluster {
    folder: TempDir,
}

impl Cluster {
    fn start() -> Self {
        // Its server runs as another user, who must reach the folder.
        let folder = tempfile::tempdir().unwrap();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).unwrap();
        let cluster = Self { folder };
        cluster.control("create");
        cluster
    }

    fn control(&self, action: &str) -> String {
        let output = Command::new(repository("scripts/postgres"))
            .arg(action)
            .arg(self.folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{action}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = Command::new(repository("scripts/postgres"))
                .arg("remove")
                .arg(self.folder.path())
                .output();
        } else {
            self.control("remove");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_requests_are_put_off() {
    if surroundings("THINGSHUB_TEST_POSTGRES_CONTROL").is_none() {
        println!("THINGSHUB_TEST_POSTGRES_CONTROL is not set: not run");
        return;
    }
    let cluster = Cluster::start();
    let url = cluster.control("url");
    on_postgres_at(&url, async |database: Database| {
        let hub = Hub::start(database).await;
        let connection = hub.connect("tts").await;
        hub.device("d", &connection, "AA00000000000001", json!({}))
            .await;
        hub.uplink(&connection, "AA00000000000001").await;

        cluster.control("stop");
        for (method, path) in [
            (Method::GET, "devices"),
            (Method::GET, "devices/d"),
            (Method::DELETE, "devices/d"),
            (Method::GET, "/readyz"),
        ] {
            let answer = hub.call(method.clone(), path, None).await;
            assert_eq!(answer.status, 503, "{method} {path}: {}", answer.text);
            assert!(
                answer.headers.contains_key("retry-after"),
                "{method} {path}"
            );
        }
        let put_off = hub.post("devices", &json!({"id": "e"})).await;
        assert_eq!(put_off.status, 503, "{}", put_off.text);
        let login = json!({"username": "admin", "password": "nonsense"});
        hub.post("auth/token", &login).await.refused(503);
        let message = crate::server::things_stack("AA00000000000001");
        hub.ingest(&connection, message).await.refused(503);
        hub.call(Method::GET, "/livez", None).await.ok();

        cluster.control("start");
        eventually("the hub is ready again", async || {
            let answer = hub.call(Method::GET, "/readyz", None).await;
            (answer.status == 200).then_some(())
        })
        .await;
        let after = hub.uplink(&connection, "AA00000000000001").await;
        let uplinks = hub.list("devices/d/uplinks").await;
        assert_eq!((uplinks.len(), &uplinks[0]["id"]), (2, &json!(after)));
        hub.get("devices/e").await.refused(404);
    })
    .await;
}
