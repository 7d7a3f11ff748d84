//! Brokers that refuse the hub or a topic, and addresses that the operator refuses.

use nix::sys::signal::Signal;
use serde_json::json;

use crate::{
    eventually,
    networks::mqtt::{self, EUI, connection, delivered, publishing},
    support::{
        broker::{Broker, Door, is_subscribed},
        database::{Database, on_both_databases},
        fake_broker::{FakeBroker, Mood},
    },
};

on_both_databases!(what_a_broker_refuses_is_told);

async fn what_a_broker_refuses_is_told(database: Database) {
    let broker = Broker::start(Door::Password).await;
    let hub = mqtt::hub(database.clone()).await;
    let mut wrong = broker.settings();
    wrong["password"] = "wrong".into();
    let made = hub.post("integrations", &publishing(wrong.clone())).await;
    let made = made.created();
    let tts = hub.connect("tts").await;
    hub.device("d", &tts, EUI, json!({})).await;
    hub.uplink(&tts, EUI).await;
    let dead = delivered(&hub, &made, "dead").await;
    let refusals = [
        "the broker does not let the hub in",
        "the broker refuses user or password",
    ];
    let error = dead["last_error"].as_str().unwrap();
    assert!(refusals.contains(&error), "{error}");
    // The right password counts from the next attempt on.
    let path = format!("integrations/{}", made["id"]);
    hub.put(&path, &publishing(broker.settings())).await.ok();
    let again = dead["id"].as_str().unwrap();
    let again = format!("{path}/deliveries/{again}/resend");
    hub.post(&again, &json!({})).await.ok();
    delivered(&hub, &made, "delivered").await;

    let subscribing = hub.connect_as(&connection(&wrong, &["a"])).await;
    let path = format!("network-connections/{}", subscribing.id);
    let view = eventually("the refusal is told", async || {
        let view = hub.get(&path).await.ok();
        let error = view["health"]["subscription"]["error"].as_str()?.to_owned();
        refusals.contains(&error.as_str()).then_some(view)
    })
    .await;
    assert_eq!(view["health"]["subscription"]["connected"], false, "{view}");
    hub.put(&path, &connection(&broker.settings(), &["a"]))
        .await
        .ok();
    is_subscribed(&hub, &subscribing).await;
    let refusing = FakeBroker::start(Mood::Refusal).await;
    let refused = connection(&json!({"url": refusing.url}), &["secret/#"]);
    hub.put(&path, &refused).await.ok();
    eventually("the refused topic is told", async || {
        let view = hub.get(&path).await.ok();
        let error = view["health"]["subscription"]["error"].as_str()?.to_owned();
        (error == "the broker refuses the topic secret/#").then_some(())
    })
    .await;

    if matches!(database, Database::Sqlite) {
        let mut hub = mqtt::hub(database).await;
        let body = connection(&broker.settings(), &["a"]);
        let subscribing = hub.connect_as(&body).await;
        // The operator allows less than before.
        hub.end(Signal::SIGTERM).await;
        hub.start_again_with(&[]).await;
        let path = format!("network-connections/{}", subscribing.id);
        eventually("the address is refused", async || {
            let view = hub.get(&path).await.ok();
            let error = view["health"]["subscription"]["error"].as_str()?.to_owned();
            error.contains("is not public").then_some(())
        })
        .await;
    }
}
