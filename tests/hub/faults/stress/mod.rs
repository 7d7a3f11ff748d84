//! Everything at once, for minutes: two hubs on one PostgreSQL, and one on SQLite.
//!
//! Devices send uplinks, people change whatever can be changed, clients go away in the middle of their
//! requests, hubs are killed, databases fall silent and clocks step. A model ([`model`]) keeps what must hold
//! ([`journal::Rule`]); the journal has every request with its answer, and a test that fails tells each
//! broken rule by its name.
//!
//! `THINGSHUB_TEST_STRESS_SECONDS` says how long, which `make faults` does; `THINGSHUB_TEST_SEED` repeats the
//! choices of a run, and `THINGSHUB_TEST_STRESS_GROUPS` names the groups of acts that take part, such as
//! `keys,cuts` or `none`.

mod access;
mod acts;
mod checks;
mod client;
mod connections;
mod devices;
mod downlinks;
mod harm;
mod ingest;
mod integrations;
mod journal;
mod model;
mod network;
mod outcomes;
mod proxy;
mod rest;
mod settings;
mod world;

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;

use super::load;
use crate::support::database::{Database, on_postgres};
use journal::Rule;
use world::World;

/// Time within which a hub records again, no matter what has happened to it.
const GOES_ON_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn two_hubs_on_postgres_keep_what_they_promise() {
    on_postgres(async |database: Database| everything_at_once("postgres", database, 2).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_hub_on_sqlite_keeps_what_it_promises() {
    everything_at_once("sqlite", Database::Sqlite, 1).await;
}

async fn everything_at_once(name: &str, database: Database, hubs: usize) {
    let mut chance = load::chance();
    let (_, duration) = harm::duration();
    let world = Arc::new(World::start(name, database, hubs).await);
    let held = async {
        world.run(&mut chance, duration).await;
        world.come_to_rest(&mut chance).await;
        world.check_uplinks(&mut chance).await;
        world.check_outcomes(&mut chance).await;
    };
    // The journal is what such an end can be understood by.
    if AssertUnwindSafe(held).catch_unwind().await.is_err() {
        let what = "the test could not look at everything".to_owned();
        world.journal.broken(Rule::Answered, what);
    }
    let closed = world.close().await;
    // The files have the hubs' logs, which would be printed otherwise.
    drop(world);
    if let Err(broken) = closed {
        panic!("{broken}");
    }
}
