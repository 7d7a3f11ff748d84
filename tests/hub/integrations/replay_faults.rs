//! Replays that meet faults of the hub's own.

use serde_json::json;

use crate::{
    eventually,
    support::{
        database::{Database, on_both_databases},
        server::Hub,
        sink::Sink,
    },
};

on_both_databases!(faults_of_long_ago_end_no_replay,);

/// More than two chunks of a replay.
const UPLINKS: usize = 1_100;
/// Number of deliveries that one chunk queues.
const CHUNK: usize = 500;

/// Makes many uplinks of one, in the order of their ids.
async fn multiply(hub: &Hub) {
    let id = match hub.database {
        Database::Sqlite => "unhex(substr(hex(id), 1, 20) || printf('%012x', n))",
        Database::Postgres(_) => {
            "CAST(substr(CAST(id AS text), 1, 24) || lpad(to_hex(n), 12, '0') AS uuid)"
        }
    };
    let columns = "device_key, connection_id, received_at, ts, f_port, f_cnt, raw, radio, data, \
        updates, failure";
    hub.sql(&format!(
        "INSERT INTO uplinks (tenant_id, id, {columns}) WITH RECURSIVE numbers(n) AS \
         (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {}) \
         SELECT tenant_id, {id}, {columns} FROM uplinks, numbers",
        UPLINKS - 1
    ))
    .await;
}

/// Takes no more deliveries than a table says.
async fn bound_deliveries(hub: &Hub) {
    let condition = "(SELECT COUNT(*) FROM deliveries) >= (SELECT most FROM bound)";
    let trigger = match hub.database {
        Database::Sqlite => format!(
            "CREATE TRIGGER bounded BEFORE INSERT ON deliveries WHEN {condition} \
             BEGIN SELECT RAISE(ABORT, 'too many'); END"
        ),
        Database::Postgres(_) => format!(
            "CREATE FUNCTION bounded() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN IF {condition} THEN RAISE EXCEPTION 'too many'; END IF; RETURN NEW; END $$; \
             CREATE TRIGGER bounded BEFORE INSERT ON deliveries FOR EACH ROW \
             EXECUTE FUNCTION bounded()"
        ),
    };
    for statement in [
        "CREATE TABLE bound (most INTEGER NOT NULL)",
        "INSERT INTO bound VALUES (0)",
        &trigger,
    ] {
        hub.sql(statement).await;
    }
}

async fn faults_of_long_ago_end_no_replay(database: Database) {
    let hub = Hub::start_with(database, &["--outgoing-allow", "127.0.0.0/8"]).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, "AA00000000000001", json!({}))
        .await;
    hub.uplink(&connection, "AA00000000000001").await;
    multiply(&hub).await;
    bound_deliveries(&hub).await;
    let sink = Sink::willing().await;
    let integration = hub.integration("i", "", &sink.url).await;
    let path = format!("integrations/{integration}");
    let span = json!({"from": "2020-01-01T00:00:00Z", "to": "2099-01-01T00:00:00Z",
        "device_id": "d"});
    let begun = hub.post(&format!("{path}/replay"), &span).await.created();
    let replay = format!("{path}/replays/{}", begun["id"]);
    let faults = async |count: usize| {
        eventually("chunks fail", async || {
            (hub.log().matches("replay waits").count() >= count).then_some(())
        })
        .await;
    };
    for (round, most) in [CHUNK, 2 * CHUNK].into_iter().enumerate() {
        faults(4 * (round + 1)).await;
        let shown = hub.get(&replay).await.ok();
        assert_eq!(shown["state"], "running", "{shown}");
        hub.sql(&format!("UPDATE bound SET most = {most}")).await;
        eventually("the next chunk is queued", async || {
            (hub.get(&replay).await.ok()["queued"] == most).then_some(())
        })
        .await;
    }
    hub.sql(&format!("UPDATE bound SET most = {UPLINKS}")).await;
    let done = eventually("the replay is done", async || {
        Some(hub.get(&replay).await.ok()).filter(|shown| shown["state"] == "done")
    })
    .await;
    assert_eq!(done["queued"], UPLINKS);
}
