//! Two hubs on one PostgreSQL, of which one dies under load: the other goes on, and does what the
//! dead one had begun.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use nix::sys::signal::Signal;
use serde_json::json;
use tokio::time::timeout;

use super::load::{self, Load};
use crate::{
    eventually, eventually_within,
    support::{
        database::{Database, on_postgres},
        server::Hub,
        sink::{Cue, Sink},
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_dies_under_load_and_the_other_does_its_work() {
    on_postgres(async |database: Database| {
        let mut one = Hub::start_with(database.clone(), &load::settings()).await;
        let two = Hub::start_with(database, &load::settings()).await;
        let mut load = Load::start(&one, &mut load::chance()).await;
        let stop = AtomicBool::new(false);
        let mut acknowledged = load.acknowledged();
        let kill = async {
            for (count, what) in [(200, "kill"), (400, "stop")] {
                let waited = acknowledged.wait_for(|found| *found >= count);
                timeout(Duration::from_secs(60), waited)
                    .await
                    .expect("uplinks are acknowledged")
                    .expect("they are sent");
                match what {
                    "kill" => one.tell(Signal::SIGKILL),
                    _ => stop.store(true, Ordering::Relaxed),
                }
            }
        };
        let hubs = [&one, &two];
        tokio::join!(load.send(&hubs, &stop), kill);
        one.ended().await;
        load.send(&[&two], &stop).await;
        load.check(&two).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_of_a_dead_hub_is_made_again_by_another() {
    on_postgres(async |database: Database| {
        let mut one = Hub::start_with(database.clone(), &load::settings()).await;
        let connection = one.connect("tts").await;
        one.device("d", &connection, "AA00000000000001", json!({}))
            .await;
        let sink = Sink::start(&[Cue::Hang], Cue::Status(200)).await;
        let integration = one.integration("erp", "", &sink.url).await;
        let two = Hub::start_with(database, &load::settings()).await;
        // Recorded by the one that dies; which of the two sends it first is all the same.
        let uplink = one.uplink(&connection, "AA00000000000001").await;
        let first = sink.gets(1).await.remove(0);
        one.end(Signal::SIGKILL).await;
        let path = format!("integrations/{integration}/deliveries");
        // The dead one's attempt counts as lost when its lease has run out.
        let second = eventually_within(load::LEASED_WITHIN, "it is sent again", async || {
            sink.received().into_iter().nth(1)
        })
        .await;
        assert_eq!(second.header("webhook-id"), first.header("webhook-id"));
        assert_eq!(second.body, first.body);
        let delivered = eventually("it is settled", async || {
            let mut found = two.list(&path).await;
            (found[0]["state"] == "delivered").then(|| found.remove(0))
        })
        .await;
        assert_eq!(delivered["uplink_id"], uplink);
    })
    .await;
}
