//! Subscriptions under faults: of the message, of the broker or of the hub itself.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    eventually,
    networks::mqtt::{EUI, connection, hub, message, recorded, subscribe, subscribe_as},
    support::{
        broker::{Broker, Door, is_subscribed},
        database::{Database, Held, on_both_databases, on_postgres, query_text},
        server::{Connection, Hub},
    },
};

on_both_databases!(
    a_quiet_connection_is_kept_by_pings,
    a_message_that_is_too_large_blocks_nothing,
    a_message_of_any_size_blocks_nothing_in_web_sockets,
    what_a_broker_retains_is_recorded_once,
    a_broker_that_is_away_makes_a_connection_fail,
    a_fault_of_the_hub_blocks_nothing_for_good,
    only_a_hub_that_dies_leaves_a_last_will,
);

async fn view(hub: &Hub, connection: &Connection) -> Value {
    let path = format!("network-connections/{}", connection.id);
    hub.get(&path).await.ok()
}

async fn a_quiet_connection_is_kept_by_pings(database: Database) {
    let broker = Broker::start(Door::Open).await;
    let hub = hub(database).await;
    let mut settings = broker.settings();
    settings["keep_alive_s"] = 5.into();
    subscribe_as(&hub, &settings, &["up"]).await;
    // The broker cuts a client off that is silent for one and a half times as long.
    eventually("there were two pings", async || {
        let log = broker.log();
        let pings = log.matches("Received PINGREQ from thingshub").count();
        (pings >= 2).then_some(())
    })
    .await;
    let log = broker.log();
    assert!(!log.contains("exceeded timeout"), "{log}");
    let is_told = |line: &str| line.contains("as thingshub") && line.contains("k5");
    assert!(log.lines().any(is_told), "{log}");
}

async fn a_message_that_is_too_large_blocks_nothing(database: Database) {
    let broker = Broker::start(Door::Open).await;
    let hub = hub(database).await;
    let connection = subscribe(&hub, &broker, &["sensors/+/up"]).await;
    let large = json!({"id": EUI, "data": "00d7", "n": 1, "more": "x".repeat(1_200_000)});
    broker.publish("sensors/large/up", &large.to_string()).await;
    broker.publish("sensors/1/up", &message(2)).await;
    recorded(&hub, [2]).await;
    let health = view(&hub, &connection).await["health"].clone();
    assert_eq!(health["malformed"], 1, "{health}");
    let expected = "the message to sensors/large/up is larger than 1 MiB";
    assert_eq!(health["last_error"], expected, "{health}");
    assert_eq!(health["subscription"]["error"], Value::Null, "{health}");
}

/// Debian's broker sends nothing more over a WebSocket behind a message that does not fit its buffers, to any client.
async fn a_message_of_any_size_blocks_nothing_in_web_sockets(database: Database) {
    let broker = Broker::start_with_web_sockets(Door::Open).await;
    let hub = hub(database).await;
    let connection = subscribe_as(&hub, &broker.web_settings(), &["sensors/+/up"]).await;
    // Larger than what the WebSocket library would take of one frame.
    let large = json!({"id": EUI, "data": "00d7", "n": 1, "more": "x".repeat(17 << 20)});
    broker.publish("sensors/1/up", &message(2)).await;
    broker.publish("sensors/large/up", &large.to_string()).await;
    recorded(&hub, [2]).await;
    let health = eventually("the large one is told of", async || {
        let health = view(&hub, &connection).await["health"].clone();
        (health["malformed"] == 1).then_some(health)
    })
    .await;
    let expected = "the message to sensors/large/up is larger than 1 MiB";
    assert_eq!(health["last_error"], expected, "{health}");
    assert_eq!(health["subscription"]["error"], Value::Null, "{health}");
}

async fn what_a_broker_retains_is_recorded_once(database: Database) {
    let mut broker = Broker::start(Door::Open).await;
    let mut hub = hub(database).await;
    // Without a counter no message is a copy of another one.
    let retained = json!({"id": EUI, "data": "00d7"}).to_string();
    let asking = |topics: &[&str]| {
        let mut body = connection(&broker.settings(), topics);
        let mapping = body["settings"]["mapping"].as_object_mut().unwrap();
        mapping.remove("frame_counter_pointer");
        body
    };
    let (one, both) = (asking(&["one", "up"]), asking(&["one", "two", "up"]));
    broker.publish_retained("one", &retained).await;
    broker.publish_retained("two", &retained).await;
    let made = hub.connect_as(&one).await;
    hub.device("d", &made, EUI, json!({})).await;
    // The next live message shows that all retained ones have come.
    let has = async |hub: &Hub, count: usize, what: &str| {
        eventually(what, async || {
            let uplinks = hub.list("devices/d/uplinks?limit=1000").await;
            (uplinks.len() == count).then_some(())
        })
        .await;
    };
    is_subscribed(&hub, &made).await;
    eventually(
        "what was retained came, before the device was made or after",
        async || {
            let health = view(&hub, &made).await["health"].clone();
            let came = health["uplinks"].as_u64()? + health["unknown_devices"].as_u64()?;
            (came == 1).then_some(())
        },
    )
    .await;
    let first = hub.list("devices/d/uplinks").await.len();

    broker.end(Signal::SIGTERM).await;
    eventually("the hub notices", async || {
        let view = view(&hub, &made).await;
        (view["health"]["subscription"]["connected"] == false).then_some(())
    })
    .await;
    broker.start_again().await;
    is_subscribed(&hub, &made).await;
    broker.publish("up", &retained).await;
    has(&hub, first + 1, "nothing comes again with the broker").await;
    hub.end(Signal::SIGKILL).await;
    hub.start_again().await;
    broker.publish("up", &retained).await;
    has(&hub, first + 2, "nothing comes again with the hub").await;

    // A topic that is new brings what is retained there.
    let path = format!("network-connections/{}", made.id);
    hub.put(&path, &both).await.ok();
    has(&hub, first + 3, "what is new comes").await;
    broker.publish("up", &retained).await;
    has(&hub, first + 4, "nothing comes again with a change").await;
}

async fn a_broker_that_is_away_makes_a_connection_fail(database: Database) {
    let mut broker = Broker::start(Door::Open).await;
    let hub = hub(database).await;
    let made = subscribe(&hub, &broker, &["up"]).await;
    let found = async |state: &str| {
        let found = hub
            .list(&format!("network-connections?health={state}"))
            .await;
        assert!(
            found.iter().all(|one| one["health"]["state"] == state),
            "{found:?}"
        );
        found.len()
    };
    let failing = async |state_before: &str| {
        eventually("it fails", async || {
            let view = view(&hub, &made).await;
            (view["health"]["state"] == "failing").then_some(())
        })
        .await;
        assert_eq!((found("failing").await, found(state_before).await), (1, 0));
    };
    assert_eq!((found("failing").await, found("never_seen").await), (0, 1));
    broker.end(Signal::SIGTERM).await;
    failing("never_seen").await;
    broker.start_again().await;
    is_subscribed(&hub, &made).await;
    broker.publish("up", &message(1)).await;
    recorded(&hub, [1]).await;
    assert_eq!((found("failing").await, found("ok").await), (0, 1));
    broker.end(Signal::SIGTERM).await;
    failing("ok").await;
}

async fn a_fault_of_the_hub_blocks_nothing_for_good(database: Database) {
    let broker = Broker::start(Door::Open).await;
    let mut hub = hub(database).await;
    hub.may_complain = true;
    let made = subscribe(&hub, &broker, &["up"]).await;
    hub.refuse_uplink(0).await;
    broker.publish("up", &message(0)).await;
    let waits = eventually("the reason is told while it waits", async || {
        let subscription = view(&hub, &made).await["health"]["subscription"].clone();
        subscription["error"].is_string().then_some(subscription)
    })
    .await;
    let expected = "a message waits: a fault inside the hub; its log has it";
    assert_eq!(waits["error"], expected, "{waits}");
    assert_eq!(waits["connected"], true, "{waits}");
    // More than are worked on at a time, so that they need the first one to be acknowledged.
    for counter in 1..=70 {
        broker.publish("up", &message(counter)).await;
    }
    recorded(&hub, 1..=70).await;
    let health = eventually("it is counted, and nothing waits any more", async || {
        let health = view(&hub, &made).await["health"].clone();
        (health["malformed"] == 1 && health["subscription"]["error"].is_null()).then_some(health)
    })
    .await;
    let why = health["last_error"].as_str().unwrap();
    assert!(why.starts_with("given up after 10 faults"), "{why}");
    assert_eq!(health["subscription"]["connected"], true, "{health}");
}

async fn only_a_hub_that_dies_leaves_a_last_will(database: Database) {
    let broker = Broker::start(Door::Open).await;
    let mut hub = hub(database).await;
    let mut listener = broker.listen("hub/gone").await;
    let mut settings = broker.settings();
    settings["last_will"] = json!({"topic": "hub/gone", "payload": "without a word", "qos": 1});
    subscribe_as(&hub, &settings, &["up"]).await;
    hub.end(Signal::SIGTERM).await;
    broker.publish("hub/gone", "nothing before").await;
    assert_eq!(listener.next().await.3, "nothing before");
    hub.start_again().await;
    broker.publish("up", &message(1)).await;
    recorded(&hub, [1]).await;
    hub.end(Signal::SIGKILL).await;
    assert_eq!(listener.next().await.3, "without a word");
}

/// A message that is acknowledged before its transaction has ended would be lost here.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_acknowledged_when_it_is_on_disk() {
    on_postgres(async |database: Database| {
        let broker = Broker::start(Door::Open).await;
        let mut hub = hub(database).await;
        subscribe(&hub, &broker, &["up"]).await;
        broker.publish("up", &message(0)).await;
        recorded(&hub, [0]).await;
        let is_told = |what: &str| broker.log().matches(what).count();
        eventually("what is on disk is acknowledged", async || {
            (is_told("Received PUBACK from thingshub") == 1).then_some(())
        })
        .await;

        let url = hub.database_url();
        let lock = "BEGIN; LOCK TABLE uplinks IN EXCLUSIVE MODE";
        let held = Held::start(&url, lock).await;
        for counter in 1..4 {
            broker.publish("up", &message(counter)).await;
        }
        eventually("the hub has them, and waits for the lock", async || {
            let waiting = "SELECT count(*)::text FROM pg_locks WHERE NOT granted \
                           AND relation = 'uplinks'::regclass";
            let waits = query_text(&url, waiting).await != "0";
            (waits && is_told("Sending PUBLISH to thingshub") == 4).then_some(())
        })
        .await;
        hub.end(Signal::SIGKILL).await;
        // The broker has read all that the hub has sent when it knows that the hub is gone.
        eventually("the broker notices", async || {
            let log = broker.log();
            let gone = |line: &&str| line.contains("Client thingshub") && line.contains("closed");
            log.lines().find(gone).map(drop)
        })
        .await;
        assert_eq!(
            is_told("Received PUBACK from thingshub"),
            1,
            "{}",
            broker.log()
        );
        held.end().await;
        hub.start_again().await;
        recorded(&hub, 0..4).await;
        eventually("they are acknowledged after all", async || {
            (is_told("Received PUBACK from thingshub") == 4).then_some(())
        })
        .await;
        recorded(&hub, 0..4).await;
    })
    .await;
}

/// A hub whose lease has run out leaves the broker: another hub may be connected with the same client id by now,
/// and each would close the connection of the other one.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_not_renewed_ends_the_subscription() {
    on_postgres(async |database: Database| {
        let broker = Broker::start(Door::Open).await;
        let hub = hub(database).await;
        subscribe(&hub, &broker, &["up"]).await;
        broker.publish("up", &message(0)).await;
        recorded(&hub, [0]).await;
        let condition = "NEW.name LIKE 'network_connection/%'";
        hub.refuse("INSERT OR UPDATE ON leases", condition).await;
        eventually("the hub leaves the broker", async || {
            let log = broker.log();
            let left = |line: &&str| {
                line.contains("Client thingshub")
                    && (line.contains("disconnected") || line.contains("closed"))
            };
            log.lines().find(left).map(drop)
        })
        .await;
        // The broker keeps what comes meanwhile.
        broker.publish("up", &message(1)).await;
        hub.refuse_no_longer("leases").await;
        recorded(&hub, 0..2).await;
    })
    .await;
}
