//! A database that takes no writes for a while: nobody is told that something is stored which is not,
//! the hub says why, and goes on by itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::json;
use tokio::{sync::watch, time::timeout};

use crate::{
    eventually, eventually_within,
    faults::load::{self, Load},
    support::{
        database::{Database, Held, execute, on_postgres},
        disk::{Disk, Small, on_small_postgres},
        server::Hub,
    },
};

/// Text that the log has once when the disk is full.
const FULL: &str = "the disk is full";
/// And when it is not any more.
const AGAIN: &str = "takes writes again";
/// Line of the metrics while the database takes no writes.
const PROBLEM: &str = "thingshub_problem{problem=\"database\"} 1\n";
/// Line of the metrics before the first outage.
const NO_OUTAGE: &str = "thingshub_database_outages_total 0\n";

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_beyond_a_limit_on_file_size() {
    let hub = Hub::start_with(Database::Sqlite, &load::settings()).await;
    is_filled_and_freed(hub, &Disk::Limit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_on_a_full_disk() {
    let Some(small) = Small::mount(48) else {
        return;
    };
    let hub = Hub::start_on(small.path(), Database::Sqlite, &load::settings()).await;
    is_filled_and_freed(hub, &Disk::Small(small)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_on_a_full_disk() {
    on_small_postgres(96, async |database: Database, disk: Arc<Disk>| {
        let hub = Hub::start_with(database, &load::settings()).await;
        is_filled_and_freed(hub, &disk).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_into_a_sqlite_that_is_full_are_put_off() {
    let mut hub = Hub::start(Database::Sqlite).await;
    hub.may_complain = true;
    let table = json!({"name": "t", "selector": ""});
    let table = hub.post("data-tables", &table).await.created();
    let rows = (0..2000).map(|number| format!("d{number},2026-11-30T00:00:00Z,{number}\n"));
    let rows = format!("device_id,time,t\n{}", rows.collect::<String>());
    let devices = (0..2000).map(|number| format!("d{number}\n"));
    let devices = format!("id\n{}", devices.collect::<String>());
    let imports = [
        (format!("data-tables/{}/import", table["id"]), rows),
        ("devices/import".to_owned(), devices),
    ];
    let import = async |(path, file): &(String, String)| {
        let request = hub.request(Method::POST, path).bearer_auth(&hub.token);
        let request = request.header("Content-Type", "text/csv");
        hub.answer(request.body(file.clone())).await
    };
    // At each size, another statement is the first one that fails.
    for left in (0..100_000).step_by(4096) {
        Disk::Limit.fill(&hub, left);
        for one in &imports {
            let answer = import(one).await;
            if answer.status != 201 {
                answer.refused(503);
            }
        }
        Disk::Limit.free(&hub);
        until_ready(&hub).await;
    }
    for one in &imports {
        import(one).await.created();
    }
}

/// Fills the disk under load and frees it.
async fn is_filled_and_freed(mut hub: Hub, disk: &Disk) {
    hub.may_complain = true;
    let mut load = Load::start(&hub, &mut load::chance()).await;
    load.may_be_put_off = true;
    let (mut acknowledged, mut put_off) = (load.acknowledged(), load.put_off());
    let stop = AtomicBool::new(false);
    let devices = Devices::default();
    let hubs = [&hub];
    let filling = async {
        until(&mut acknowledged, 50).await;
        disk.fill(&hub, 0);
        until(&mut put_off, 20).await;
        until(&mut devices.put_off.subscribe(), 3).await;
        let reason = hub.call(Method::GET, "/readyz", None).await.refused(503);
        assert!(reason.contains(FULL), "{reason}");
        // Rows from before can be read all the time.
        hub.get("devices/d0").await.ok();
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(load.send(&hubs, &stop), devices.make(&hub, &stop), filling);
    // No requests are sent: the hub detects it by itself.
    let still = hub.call(Method::GET, "/readyz", None).await.refused(503);
    assert!(still.contains(FULL), "{still}");
    let metrics = hub.get("/metrics").await;
    assert!(metrics.text.contains(PROBLEM), "{}", metrics.text);
    assert!(!metrics.text.contains(NO_OUTAGE), "{}", metrics.text);
    disk.free(&hub);
    until_ready(&hub).await;
    let metrics = hub.get("/metrics").await;
    assert!(!metrics.text.contains(PROBLEM), "{}", metrics.text);
    let stop = AtomicBool::new(false);
    let enough = *acknowledged.borrow() + 50;
    let going_on = async {
        until(&mut acknowledged, enough).await;
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(load.send(&hubs, &stop), devices.make(&hub, &stop), going_on);
    load.check(&hub).await;
    devices.check(&hub).await;
    is_logged_once(&hub, FULL);
    if let Database::Sqlite = hub.database {
        let other = Held::start(&hub.database_url(), "BEGIN IMMEDIATE").await;
        other.end().await;
    }
    assert!(hub.end(Signal::SIGTERM).await.success());
    hub.start_again().await;
    devices.check(&hub).await;
}

async fn until(count: &mut watch::Receiver<usize>, enough: usize) {
    let waited = timeout(
        Duration::from_secs(60),
        count.wait_for(|count| *count >= enough),
    );
    waited
        .await
        .expect("it gets there")
        .expect("the load is there");
}

async fn until_ready(hub: &Hub) {
    eventually("the hub is ready again", async || {
        let answer = hub.call(Method::GET, "/readyz", None).await;
        (answer.status == 200).then_some(())
    })
    .await;
}

/// Returns whether the log has the beginning and the end of the outage, once each.
fn is_logged_once(hub: &Hub, begin: &str) {
    let log = hub.log();
    let begins = |line: &&str| line.contains(" ERROR ") && line.contains(begin);
    let ends = |line: &&str| line.contains(AGAIN);
    let counts = (
        log.lines().filter(begins).count(),
        log.lines().filter(ends).count(),
    );
    assert_eq!(counts, (1, 1), "{begin}: {log}");
}

/// Devices that are made while the load runs.
struct Devices {
    made: std::sync::Mutex<Vec<String>>,
    put_off: watch::Sender<usize>,
}

impl Default for Devices {
    fn default() -> Self {
        Self {
            made: Default::default(),
            put_off: watch::Sender::new(0),
        }
    }
}

impl Devices {
    async fn make(&self, hub: &Hub, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            let answer = hub.post("devices", &json!({})).await;
            if answer.status == 503 {
                self.put_off.send_modify(|count| *count += 1);
            } else {
                let id = answer.created()["id"].as_str().unwrap().to_owned();
                self.made.lock().unwrap().push(id);
            }
        }
    }

    /// Every device that was answered with 201 is there.
    async fn check(&self, hub: &Hub) {
        let made = self.made.lock().unwrap().clone();
        assert!(!made.is_empty());
        for id in made {
            hub.get(&format!("devices/{id}")).await.ok();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_becomes_read_only() {
    on_postgres(async |database: Database| {
        let Database::Postgres(url) = database.clone() else {
            return;
        };
        let mut hub = Hub::start(database).await;
        hub.may_complain = true;
        let connection = hub.connect("tts").await;
        let eui = "AA00000000000001";
        hub.device("d", &connection, eui, json!({})).await;
        let (server, name) = url.rsplit_once('/').unwrap();
        let maintenance = format!("{server}/postgres");
        let set = async |what: &str| {
            execute(&maintenance, &format!("ALTER DATABASE {name} {what}")).await;
        };
        set("SET default_transaction_read_only = on").await;
        let ends = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        );
        execute(&maintenance, &ends).await;

        // Found without a request that writes. The first thing found may be that the sessions are gone.
        eventually("the hub knows", async || {
            let answer = hub.call(Method::GET, "/readyz", None).await;
            let reason = (answer.status == 503).then(|| answer.refused(503))?;
            reason.contains("read-only").then_some(())
        })
        .await;
        let refused = hub.post("devices", &json!({"id": "e"})).await.refused(503);
        assert!(refused.contains("read-only"), "{refused}");
        let message = crate::support::server::things_stack(eui);
        hub.ingest(&connection, message).await.refused(503);
        // Requests beside each other open sessions that are read-only from the start.
        let reads = (0..64).map(|_| hub.get("devices/d"));
        for read in join_all(reads).await {
            read.ok();
        }

        // The sessions that are open stay read-only, so that they must be left.
        set("RESET default_transaction_read_only").await;
        until_ready(&hub).await;
        let ids: Vec<_> = (0..32)
            .map(|number| json!({"id": format!("e{number}")}))
            .collect();
        for made in join_all(ids.iter().map(|device| hub.post("devices", device))).await {
            made.created();
        }
        hub.uplink(&connection, eui).await;
        is_logged_once(&hub, "the database is read-only");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_whose_file_is_away() {
    let mut hub = Hub::start(Database::Sqlite).await;
    hub.may_complain = true;
    let url = hub.database_url();
    let file = url.strip_prefix("sqlite://").unwrap();
    let elsewhere = format!("{file}.away");
    let (disk, mut made) = (Disk::Limit, 0);
    for id in ["d0", "d1"] {
        std::fs::rename(file, &elsewhere).unwrap();
        // The file that is open goes on being written, until a failure makes the hub open it anew.
        disk.fill(&hub, 0);
        eventually("the disk is full", async || {
            let answer = hub.post("devices", &json!({})).await;
            made += usize::from(answer.status == 201);
            (answer.status == 503).then_some(())
        })
        .await;
        disk.free(&hub);
        eventually("the hub misses its file", async || {
            let reason = hub.call(Method::GET, "/readyz", None).await.refused(503);
            (!reason.contains(FULL)).then_some(())
        })
        .await;
        // A new file in its place would have nothing of what was stored.
        hub.post("devices", &json!({})).await.refused(503);
        assert!(!std::fs::exists(file).unwrap());
        std::fs::rename(&elsewhere, file).unwrap();
        until_ready(&hub).await;
        hub.post("devices", &json!({"id": id})).await.created();
        made += 1;
    }
    assert_eq!(hub.list("devices").await.len(), made);
    assert!(hub.end(Signal::SIGTERM).await.success());
    hub.start_again().await;
    assert_eq!(hub.list("devices").await.len(), made);
}

/// The database of a hub that cannot write is there for it to end.
#[tokio::test(flavor = "multi_thread")]
async fn it_ends_when_told_on_a_full_disk() {
    let mut hub = Hub::start(Database::Sqlite).await;
    hub.may_complain = true;
    let disk = Disk::Limit;
    disk.fill(&hub, 0);
    let mut made = vec![];
    eventually_within(Duration::from_secs(60), "the disk is full", async || {
        let answer = hub.post("devices", &json!({})).await;
        if answer.status == 503 {
            return Some(());
        }
        made.push(answer.created()["id"].as_str().unwrap().to_owned());
        None
    })
    .await;
    assert!(hub.end(Signal::SIGTERM).await.success());
    hub.start_again().await;
    for id in made {
        hub.get(&format!("devices/{id}")).await.ok();
    }
}
