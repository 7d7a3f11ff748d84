//! A hub that is killed again and again, at any moment of ingest and delivery.
//!
//! `THINGSHUB_TEST_KILLS` says how often; `make faults` has it done hundreds of times.

use std::{sync::atomic::AtomicBool, time::Duration};

use nix::sys::signal::Signal;
use rand::RngExt;
use tokio::time::{sleep, timeout};

use super::load::{self, Load};
use crate::support::{
    database::{Database, on_both_databases, surroundings},
    server::Hub,
};

on_both_databases!(killed_again_and_again_it_loses_nothing_and_invents_nothing);

/// Uplinks of one life of the hub, at most.
const LIFE_UPLINKS: usize = 60;
/// One of this many starts is killed before the hub is up.
const STARTS_KILLED_ONE_IN: u32 = 5;

async fn killed_again_and_again_it_loses_nothing_and_invents_nothing(database: Database) {
    let kills = surroundings("THINGSHUB_TEST_KILLS").map_or(10, |kills| kills.parse().unwrap());
    let mut chance = load::chance();
    let mut hub = Hub::start_with(database, &load::settings()).await;
    let mut load = Load::start(&hub, &mut chance).await;
    for _ in 0..kills {
        let mut acknowledged = load.acknowledged();
        let enough = *acknowledged.borrow() + chance.random_range(1..=LIFE_UPLINKS);
        // Kills also fall between two answers.
        let more = Duration::from_micros(chance.random_range(0..20_000));
        let kill = async {
            let waited = acknowledged.wait_for(|count| *count >= enough);
            timeout(Duration::from_secs(60), waited)
                .await
                .expect("uplinks are acknowledged")
                .expect("they are sent");
            sleep(more).await;
            hub.tell(Signal::SIGKILL);
        };
        let stop = AtomicBool::new(false);
        let hubs = [&hub];
        tokio::join!(load.send(&hubs, &stop), kill);
        hub.ended().await;
        if chance.random_range(0..STARTS_KILLED_ONE_IN) == 0 {
            let after = Duration::from_millis(chance.random_range(0..500));
            hub.start_and_kill(after).await;
        }
        hub.start_again().await;
    }
    load.send(&[&hub], &AtomicBool::new(true)).await;
    load.check(&hub).await;
}
