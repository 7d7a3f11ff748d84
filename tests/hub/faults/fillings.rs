//! A disk that is filled and freed again and again, at any moment of ingest and delivery.
//!
//! `THINGSHUB_TEST_FILLINGS` says how often; `make faults` has it done hundreds of times.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rand::RngExt;
use tokio::time::{sleep, timeout};

use super::load::{self, Load};
use crate::{
    eventually,
    faults::outage::end_sessions,
    support::{
        database::{Database, surroundings},
        disk::{Disk, Small, on_small_postgres},
        server::Hub,
    },
};

/// Uplinks between two fillings, at most.
const BETWEEN: usize = 60;
/// Maximum of bytes that are left on a full disk: of a batch, a part fits.
const REST: u64 = 256 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn filled_again_and_again_sqlite_loses_nothing() {
    let mut disks = vec![Disk::Limit];
    let small = Small::mount(512);
    let hub = match &small {
        Some(small) => Hub::start_on(small.path(), Database::Sqlite, &load::settings()).await,
        None => Hub::start_with(Database::Sqlite, &load::settings()).await,
    };
    disks.extend(small.map(Disk::Small));
    fill_again_and_again(hub, &disks.iter().collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filled_again_and_again_postgres_loses_nothing() {
    on_small_postgres(512, async |database: Database, disk: Arc<Disk>| {
        let hub = Hub::start_with(database, &load::settings()).await;
        fill_again_and_again(hub, &[&disk]).await;
    })
    .await;
}

async fn fill_again_and_again(mut hub: Hub, disks: &[&Disk]) {
    let fillings =
        surroundings("THINGSHUB_TEST_FILLINGS").map_or(5, |count| count.parse().unwrap());
    hub.may_complain = true;
    let mut chance = load::chance();
    let mut load = Load::start(&hub, &mut chance).await;
    load.may_be_put_off = true;
    let (mut acknowledged, mut put_off) = (load.acknowledged(), load.put_off());
    let stop = AtomicBool::new(false);
    let hubs = [&hub];
    let filling = async {
        for _ in 0..fillings {
            let enough = *acknowledged.borrow() + chance.random_range(1..=BETWEEN);
            reaches(&mut acknowledged, enough, "uplinks are acknowledged").await;
            sleep(Duration::from_micros(chance.random_range(0..20_000))).await;
            let disk = disks[chance.random_range(0..disks.len())];
            disk.fill(&hub, chance.random_range(0..REST));
            let enough = *put_off.borrow() + chance.random_range(1..=BETWEEN);
            reaches(&mut put_off, enough, "uplinks are put off").await;
            if chance.random_range(0..2) == 0 {
                end_sessions(&hub).await;
            }
            disk.free(&hub);
            until_ready(&hub).await;
            // A COMMIT may be under way, and nobody learns what became of it.
            for _ in 0..chance.random_range(0..3) {
                let enough = *acknowledged.borrow() + chance.random_range(1..=BETWEEN);
                reaches(&mut acknowledged, enough, "uplinks are acknowledged").await;
                sleep(Duration::from_micros(chance.random_range(0..20_000))).await;
                end_sessions(&hub).await;
            }
        }
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(load.send(&hubs, &stop), filling);
    println!("filled and freed {fillings} times");
    load.check(&hub).await;
}

async fn until_ready(hub: &Hub) {
    eventually("the hub is ready again", async || {
        let answer = hub.call(reqwest::Method::GET, "/readyz", None).await;
        (answer.status == 200).then_some(())
    })
    .await;
}

async fn reaches(count: &mut tokio::sync::watch::Receiver<usize>, enough: usize, what: &str) {
    let waited = timeout(
        Duration::from_secs(60),
        count.wait_for(|count| *count >= enough),
    );
    waited.await.expect(what).expect("the load is there");
}
