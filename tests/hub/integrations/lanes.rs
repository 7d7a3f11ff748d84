//! An integration's lane under way: retries at once, attempts that hang while it is paused or the hub
//! stops, and one hub at a time.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    eventually,
    integrations::rules::{EUIS, deliveries, hub, integration},
    support::{
        database::{Database, on_both_databases, on_postgres, query_text},
        metrics::metric,
        server::Hub,
        sink::{Cue, Sink},
    },
};

on_both_databases!(
    a_retry_at_once_goes_at_once,
    events_go_at_once,
    what_is_resumed_does_not_wait_for_what_hangs,
    a_hub_that_stops_waits_no_longer_than_it_may,
    what_was_not_sent_when_a_hub_stops_was_not_under_way,
    a_lane_that_may_send_nothing_gives_its_lease_back,
    what_is_sent_again_has_its_whole_schedule,
    the_next_attempt_waits_from_the_end_of_the_last,
    results_that_cannot_be_stored_end_the_sending,
);

/// Line of the log.
const UNDER_WAY: &str = "the hub stops before attempts have ended";

async fn a_retry_at_once_goes_at_once(database: Database) {
    let (hub, connection) = hub(database).await;
    let failures = [Cue::Status(500); 20];
    let sink = Sink::start(&failures, Cue::Status(200)).await;
    let policy = json!({"delivery": {"schedule_s": vec![0; 20]}});
    let path = integration(&hub, &sink.url, policy).await;
    hub.uplink(&connection, EUIS[0]).await;
    // The bound of the wait: if each had to be found by a look into the queue, it would take longer.
    let delivered = deliveries(&hub, &path, "delivered", 1).await;
    let attempts = delivered[0]["attempts"].as_array().unwrap();
    let at = |attempt: &Value| -> chrono::DateTime<chrono::Utc> {
        attempt["at"].as_str().unwrap().parse().unwrap()
    };
    let span = (at(&attempts[20]) - at(&attempts[0])).num_milliseconds();
    assert!(span < 5000, "{span} ms");
}

async fn events_go_at_once(database: Database) {
    let (hub, connection) = hub(database).await;
    let script = "function decode() { throw new Error('no such port') }";
    hub.push("a/fails", "1", script).await;
    let more = json!({"driver": "a/fails:1"});
    hub.device("d2", &connection, "AA00000000000003", more)
        .await;
    let sink = Sink::willing().await;
    integration(&hub, &sink.url, json!({"events": ["error"]})).await;
    let started = Instant::now();
    for number in 1..=20 {
        hub.uplink(&connection, "AA00000000000003").await;
        sink.gets(number).await;
    }
    // A look for each would take ten seconds at least.
    let span = started.elapsed();
    assert!(span < Duration::from_secs(8), "{span:?}");
}

async fn what_is_resumed_does_not_wait_for_what_hangs(database: Database) {
    let (hub, connection) = hub(database).await;
    let sink = Sink::start(&[Cue::Hang], Cue::Status(200)).await;
    let policy = json!({"delivery": {"timeout_s": 300}});
    let path = integration(&hub, &sink.url, policy).await;
    let other = Sink::willing().await;
    hub.integration("other", "", &other.url).await;
    hub.uplink(&connection, EUIS[0]).await;
    sink.gets(1).await;
    hub.post(&format!("{path}/pause"), &json!({})).await.ok();
    // Meanwhile it is seen to be paused.
    for number in 2..=11 {
        hub.uplink(&connection, EUIS[1]).await;
        other.gets(number).await;
    }
    assert_eq!(sink.received().len(), 1);
    hub.post(&format!("{path}/resume"), &json!({})).await.ok();
    deliveries(&hub, &path, "delivered", 10).await;
    assert_eq!(deliveries(&hub, &path, "sending", 1).await.len(), 1);
    assert_eq!(sink.received().len(), 11);
}

async fn a_hub_that_stops_waits_no_longer_than_it_may(database: Database) {
    let flags = [
        "--outgoing-allow",
        "127.0.0.0/8",
        "--shutdown-timeout-s",
        "1",
    ];
    let mut hub = Hub::start_with(database, &flags).await;
    let connection = hub.connect("tts").await;
    hub.device("d0", &connection, EUIS[0], json!({})).await;
    let sink = Sink::start(&[Cue::Hang], Cue::Status(200)).await;
    let policy = json!({"delivery": {"timeout_s": 300}});
    let path = integration(&hub, &sink.url, policy).await;
    hub.uplink(&connection, EUIS[0]).await;
    sink.gets(1).await;
    let status = hub.end(Signal::SIGTERM).await;
    assert!(status.success(), "{status}");
    assert!(hub.log().contains(UNDER_WAY), "{}", hub.log());
    hub.start_again().await;
    let delivered = deliveries(&hub, &path, "delivered", 1).await;
    // An attempt of which nobody knows the end does not count.
    assert_eq!(delivered[0]["attempt"], 1);
    let received = sink.received();
    assert_eq!(received.len(), 2);
    let ids = [0, 1].map(|number| received[number].header("webhook-id"));
    assert_eq!(ids[0], ids[1]);
}

async fn what_was_not_sent_when_a_hub_stops_was_not_under_way(database: Database) {
    let (mut hub, connection) = hub(database).await;
    let sink = Sink::start(&[Cue::Wait], Cue::Status(200)).await;
    let policy = json!({"delivery": {"concurrency": 1, "timeout_s": 300}});
    let path = integration(&hub, &sink.url, policy).await;
    for _ in 0..3 {
        hub.uplink(&connection, EUIS[0]).await;
    }
    sink.gets(1).await;
    hub.tell(Signal::SIGTERM);
    eventually("it stops", async || {
        hub.log().contains("stopping").then_some(())
    })
    .await;
    sink.go_on();
    assert!(hub.ended().await.success());
    assert!(!hub.log().contains(UNDER_WAY), "{}", hub.log());
    assert_eq!(sink.received().len(), 1);
    hub.start_again().await;
    deliveries(&hub, &path, "delivered", 3).await;
    assert_eq!(sink.received().len(), 3);
}

async fn a_lane_that_may_send_nothing_gives_its_lease_back(database: Database) {
    let (hub, connection) = hub(database).await;
    let sink = Sink::start(&[], Cue::Status(503)).await;
    let policy = json!({"delivery": {"schedule_s": [3600]}});
    let path = integration(&hub, &sink.url, policy).await;
    hub.uplink(&connection, EUIS[0]).await;
    sink.gets(1).await;
    let held = async || {
        let series = "thingshub_leases_held{kind=\"integration\"}";
        metric(&hub, &hub.token, series).await
    };
    assert_eq!(held().await, 1.0);
    hub.post(&format!("{path}/pause"), &json!({})).await.ok();
    eventually("the lease is given back", async || {
        (held().await == 0.0).then_some(())
    })
    .await;
}

async fn what_is_sent_again_has_its_whole_schedule(database: Database) {
    let (hub, connection) = hub(database).await;
    // All four attempts fail, and two of the next four.
    let sink = Sink::start(&[Cue::Status(400); 6], Cue::Status(200)).await;
    let path = integration(&hub, &sink.url, json!({})).await;
    hub.uplink(&connection, EUIS[0]).await;
    let dead = deliveries(&hub, &path, "dead", 1).await;
    assert_eq!(dead[0]["attempt"], 4);
    let one = format!("{path}/deliveries/{}", dead[0]["id"].as_str().unwrap());
    hub.post(&format!("{one}/resend"), &json!({})).await.ok();
    let delivered = deliveries(&hub, &path, "delivered", 1).await;
    assert_eq!(delivered[0]["attempt"], 7);
}

async fn the_next_attempt_waits_from_the_end_of_the_last(database: Database) {
    let (hub, connection) = hub(database).await;
    let sink = Sink::start(&[Cue::Hang], Cue::Status(200)).await;
    let policy = json!({"delivery": {"timeout_s": 1, "schedule_s": [2]}});
    let path = integration(&hub, &sink.url, policy).await;
    hub.uplink(&connection, EUIS[0]).await;
    let delivered = deliveries(&hub, &path, "delivered", 1).await.remove(0);
    let time = |number: usize| -> chrono::DateTime<chrono::Utc> {
        let at = delivered["attempts"][number]["at"].as_str();
        at.unwrap().parse().unwrap()
    };
    // Half of the scheduled time at least, after the second that the first one took.
    let between = time(1) - time(0);
    assert!(between.num_milliseconds() >= 2_000, "{delivered}");
}

/// Each delivery would be sent again as soon as the lane forgets it, so a lane holds a bounded number of them.
async fn results_that_cannot_be_stored_end_the_sending(database: Database) {
    let (mut hub, connection) = hub(database).await;
    let (sink, other) = (Sink::willing().await, Sink::willing().await);
    let path = integration(&hub, &sink.url, json!({})).await;
    hub.integration("other", "", &other.url).await;
    // It says so for each of them.
    hub.may_complain = true;
    let id = path.rsplit('/').next().unwrap();
    let condition = format!("OLD.integration_id = {id}");
    hub.refuse("UPDATE ON deliveries", &condition).await;
    for number in 1..=200 {
        hub.uplink(&connection, EUIS[number % 2]).await;
        other.gets(number).await;
    }
    sink.gets(64).await;
    hub.refuse_no_longer("deliveries").await;
    hub.end(Signal::SIGTERM).await;
    hub.start_again().await;
    deliveries(&hub, &path, "delivered", 200).await;
    // Those of which nobody knows whether they arrived come twice: 64, and some that were under way.
    let count = sink.received().len();
    assert!((264..360).contains(&count), "{count}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_stops_holds_its_lease_to_the_end() {
    on_postgres(async |database: Database| {
        let (mut one, connection) = hub(database.clone()).await;
        let flags = ["--outgoing-allow", "127.0.0.0/8"];
        let two = Hub::start_with(database, &flags).await;
        let sink = Sink::start(&[Cue::Wait], Cue::Status(200)).await;
        let policy = json!({"delivery": {"timeout_s": 300}});
        let path = integration(&one, &sink.url, policy).await;
        one.uplink(&connection, EUIS[0]).await;
        sink.gets(1).await;
        let url = one.database_url();
        let of_lease = async |what: &str| {
            query_text(
                &url,
                &format!("SELECT ({what})::text FROM integration_health"),
            )
            .await
        };
        let (holder, until) = (of_lease("holder").await, of_lease("held_until").await);
        one.tell(Signal::SIGTERM);
        // A lease lasts ten seconds: the one that it had when it was told to stop has run out.
        let is_renewed = format!("held_until >= '{until}'::timestamptz + INTERVAL '10 seconds'");
        eventually("the lease is renewed", async || {
            (of_lease(&is_renewed).await == "true").then_some(())
        })
        .await;
        assert_eq!(of_lease("holder").await, holder);
        assert_eq!(sink.received().len(), 1);
        sink.go_on();
        assert!(one.ended().await.success());
        let delivered = deliveries(&two, &path, "delivered", 1).await;
        assert_eq!(delivered[0]["attempt"], 1);
        assert_eq!(sink.received().len(), 1);
    })
    .await;
}
