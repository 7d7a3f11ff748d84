//! Old uplinks: all of them go in one look, and none while nobody knows whether the clock is right.

use nix::sys::signal::Signal;
use serde_json::json;

use crate::{
    eventually,
    process::{
        old_jobs::ended_import,
        retention::{UPLINK, add_uplink, has_looked, key, look_again},
    },
    support::{
        database::{Database, on_both_databases},
        rows::{count, id, time},
        server::Hub,
    },
};

on_both_databases!(
    old_uplinks_of_many_devices_go_in_one_look,
    a_hub_that_was_off_for_long_keeps_its_rows_for_now,
);

const EUI: &str = "AA00000000000001";

async fn old_uplinks_of_many_devices_go_in_one_look(database: Database) {
    let mut hub = Hub::start(database).await;
    has_looked(&hub).await;
    let connection = hub.connect("tts").await;
    let lines: Vec<String> = (0..300).map(|number| format!("d{number}")).collect();
    ended_import(&hub, &lines.join("\n")).await;
    hub.device("d", &connection, EUI, json!({})).await;
    hub.uplink(&connection, EUI).await;
    for (number, device) in [(1, "d0"), (2, "d299")] {
        add_uplink(&hub, &json!(1), device, 91, number).await;
    }
    // The network's time may be up to a day after that of the recording.
    let (device, recorded, then) = (key(&hub, "d1").await, id(&hub, 91, 3), time(90));
    let values = format!("1, {recorded}, {device}, 1, {then}, {then}, '{{}}'");
    hub.sql(&format!("INSERT INTO uplinks ({UPLINK}) VALUES ({values})"))
        .await;
    look_again(&mut hub, &[]).await;
    eventually("the old ones are gone", async || {
        (count(&hub, "uplinks").await == 1).then_some(())
    })
    .await;
}

/// Nobody knows whether it was off, or whether its clock is wrong.
async fn a_hub_that_was_off_for_long_keeps_its_rows_for_now(database: Database) {
    let mut hub = Hub::start(database).await;
    has_looked(&hub).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    add_uplink(&hub, &json!(1), "d", 91, 1).await;
    add_uplink(&hub, &json!(1), "d", 95, 2).await;
    hub.end(Signal::SIGTERM).await;
    for table in ["audit_log", "events"] {
        hub.sql(&format!("DELETE FROM {table}")).await;
    }
    hub.start_again().await;
    eventually("the log says so", async || {
        hub.log()
            .contains("rows count as old by the time")
            .then_some(())
    })
    .await;
    has_looked(&hub).await;
    assert_eq!(count(&hub, "uplinks").await, 2);
}
