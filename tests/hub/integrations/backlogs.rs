//! Metrics of deliveries that wait.

use serde_json::json;

use crate::{
    eventually,
    integrations::rules::{EUIS, deliveries, hub, integration},
    support::{
        database::{Database, on_both_databases},
        metrics::metric,
        rows::time,
        sink::{Cue, Sink},
    },
};

on_both_databases!(what_has_been_due_for_long_is_told_where_it_should_be_sent);

const DAY_S: f64 = 86_400.0;

async fn what_has_been_due_for_long_is_told_where_it_should_be_sent(database: Database) {
    let (hub, connection) = hub(database).await;
    // The hub counts them now and then.
    let becomes = async |waiting: f64, is_right: fn(f64) -> bool, what: &str| {
        eventually(what, async || {
            let of = async |name: &str| {
                metric(&hub, &hub.token, &format!("thingshub_deliveries_{name}")).await
            };
            let is_told =
                of("waiting").await == waiting && is_right(of("oldest_due_seconds").await);
            is_told.then_some(())
        })
        .await;
    };
    becomes(0.0, |oldest| oldest == 0.0, "there are none").await;
    // Clients fetch what waits for them when they like.
    let followed = json!({"name": "live", "selector": "", "target": {"type": "websocket"}});
    hub.post("integrations", &followed).await.created();
    let sink = Sink::start(&[Cue::After(503, 3600)], Cue::Status(200)).await;
    let path = integration(&hub, &sink.url, json!({})).await;
    hub.uplink(&connection, EUIS[0]).await;
    eventually("the receiver asks to be left alone", async || {
        let health = hub.get(&path).await.ok()["health"].clone();
        (health["state"] == "failing").then_some(())
    })
    .await;
    // Due, and not tried meanwhile.
    hub.uplink(&connection, EUIS[1]).await;
    deliveries(&hub, &path, "pending", 2).await;
    let day = time(1);
    let are_due = format!("UPDATE deliveries SET due_at = {day} WHERE due_at IS NOT NULL");
    hub.sql(&are_due).await;
    let about_a_day = |oldest: f64| (DAY_S..DAY_S + 600.0).contains(&oldest);
    becomes(4.0, about_a_day, "four wait, and two should be sent").await;

    let off = json!({"name": "erp", "selector": "", "enabled": false,
        "target": {"type": "http", "url": sink.url}});
    hub.put(&path, &off).await.ok();
    becomes(4.0, |oldest| oldest == 0.0, "disabled").await;
    hub.post(&format!("{path}/pause"), &json!({})).await.ok();
    let mut on = off.clone();
    on["enabled"] = true.into();
    hub.put(&path, &on).await.ok();
    // Those of one more show that it was counted anew.
    hub.uplink(&connection, EUIS[0]).await;
    becomes(6.0, |oldest| oldest == 0.0, "paused").await;
}
