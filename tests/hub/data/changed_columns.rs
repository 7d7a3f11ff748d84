//! Columns of a data table that are changed, and applied to the rows that are there.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    data::fills::{add_uplinks, done, filled, hub_with, rows, send, table},
    eventually,
    support::{
        database::{Database, on_both_databases},
        rows::count,
        server::Hub,
    },
};

on_both_databases!(
    rows_get_the_columns_that_a_table_has_now,
    rows_without_a_stored_uplink_are_kept,
    a_replacement_goes_on_after_its_hub_was_killed,
);

fn numbers(paths: &[&str]) -> Value {
    let column = |path: &&str| json!({"path": path, "type": "number"});
    json!(paths.iter().map(column).collect::<Vec<_>>())
}

async fn change(hub: &Hub, table: i64, columns: &Value) {
    let body = json!({"name": format!("changed {table}"), "selector": "kept", "columns": columns});
    hub.put(&format!("data-tables/{table}"), &body).await.ok();
}

async fn replaced(hub: &Hub, table: i64) -> [i64; 3] {
    let fill = filled(hub, table, &json!({"replace": true})).await;
    assert_eq!(fill["replace"], true);
    ["uplinks", "rows", "deleted"].map(|name| fill[name].as_i64().unwrap())
}

async fn rows_get_the_columns_that_a_table_has_now(database: Database) {
    let (hub, connection) = hub_with(database).await;
    let old = table(&hub, "old", json!({"columns": numbers(&["n"])})).await;
    for payload in ["AQ==", "AgM=", "BA=="] {
        send(&hub, &connection, payload).await;
    }
    // Rows that an older version has written do not name their uplink.
    hub.sql("UPDATE data_table_rows SET uplink_id = NULL WHERE ts < '2026-01-31T11:15:00+00:00'")
        .await;
    assert_eq!(replaced(&hub, old).await, [3, 0, 0], "nothing has changed");

    let text = json!([{"path": "n", "type": "number"}, {"path": "extra", "type": "text"}]);
    change(&hub, old, &text).await;
    let fill = filled(&hub, old, &json!({})).await;
    assert_eq!(
        (&fill["rows"], &fill["replace"]),
        (&json!(0), &json!(false))
    );
    // Two of the four rows have the new column.
    assert_eq!(replaced(&hub, old).await, [3, 2, 2]);
    let fresh = table(&hub, "fresh", json!({"columns": text})).await;
    filled(&hub, fresh, &json!({})).await;
    assert_eq!(rows(&hub, old).await, rows(&hub, fresh).await);
    assert_eq!(replaced(&hub, old).await, [3, 0, 0], "again");

    // Uplinks that no longer yield a row: those of two bytes have no column but `n`.
    change(&hub, old, &json!([{"path": "extra", "type": "text"}])).await;
    assert_eq!(replaced(&hub, old).await, [3, 2, 3]);
    let left = rows(&hub, old).await;
    assert_eq!(left.len(), 3, "{left:?}");
    let kept = left.iter().filter(|(_, data)| data == &json!({"n": 2}));
    assert_eq!(kept.count(), 1, "the one that names no uplink");
    let entry = hub.list("audit-log?action=create_fill").await.remove(0);
    assert_eq!(entry["after"]["fill"]["replace"], true, "{entry}");
}

async fn rows_without_a_stored_uplink_are_kept(database: Database) {
    let (hub, connection) = hub_with(database).await;
    let old = table(&hub, "old", json!({"columns": numbers(&["n"])})).await;
    for payload in ["AQ==", "AgM="] {
        send(&hub, &connection, payload).await;
    }
    let before = rows(&hub, old).await;
    hub.sql("DELETE FROM uplinks").await;
    send(&hub, &connection, "BA==").await;
    let other = json!({"labels": []});
    hub.device("other", &connection, "AA00000000000002", other)
        .await;
    hub.sql(&format!(
        "INSERT INTO data_table_rows (tenant_id, id, data_table_id, device_id, ts, data) \
         SELECT 1, {}, data_table_id, 'other', ts, data FROM data_table_rows LIMIT 1",
        crate::support::rows::id(&hub, 0, 7)
    ))
    .await;
    change(&hub, old, &json!([{"path": "extra", "type": "text"}])).await;
    assert_eq!(replaced(&hub, old).await, [1, 1, 1]);
    let after = rows(&hub, old).await;
    assert_eq!(after.len(), before.len() + 2);
    for row in &before {
        assert!(after.contains(row), "{row:?}");
    }
    let new = after
        .iter()
        .filter(|(_, data)| data == &json!({"extra": "x"}));
    assert_eq!(new.count(), 1);
}

async fn a_replacement_goes_on_after_its_hub_was_killed(database: Database) {
    const MANY: u32 = 8_000;
    let (mut hub, connection) = hub_with(database).await;
    add_uplinks(&hub, &connection, 1, MANY).await;
    let all = json!([{"path": "n", "type": "number"}, {"path": "m", "type": "number"}]);
    let table = table(&hub, "t", json!({"columns": all})).await;
    assert_eq!(filled(&hub, table, &json!({})).await["rows"], MANY);
    let json = json!([{"path": "n", "type": "json"}, {"path": "gone", "type": "json"}]);
    change(&hub, table, &json).await;
    // Spoilt values stand for those of other columns.
    let spoilt = match &hub.database {
        Database::Sqlite => "json_object('m', 1)",
        Database::Postgres(_) => "jsonb_build_object('m', 1)",
    };
    hub.sql(&format!("UPDATE data_table_rows SET data = {spoilt}"))
        .await;
    let path = format!("data-tables/{table}");
    let body = json!({"replace": true});
    let begun = hub.post(&format!("{path}/fill"), &body).await.created();
    let path = format!("{path}/fills/{}", begun["id"]);
    eventually("some rows are replaced", async || {
        let rows = hub.get(&path).await.ok()["rows"].as_u64().unwrap();
        (rows > 0).then_some(())
    })
    .await;
    send(&hub, &connection, "AQ==").await;
    hub.end(Signal::SIGKILL).await;
    let spoilt = "data_table_rows WHERE CAST(data AS TEXT) LIKE '%\"m\"%'";
    let left = count(&hub, spoilt).await;
    assert!(left > 0 && left < u64::from(MANY), "{left} rows");
    hub.start_again().await;
    send(&hub, &connection, "Ag==").await;
    let fill = done(&hub, &path).await;
    assert_eq!(
        (&fill["rows"], &fill["deleted"]),
        (&json!(MANY), &json!(MANY)),
        "{fill}"
    );
    let many = u64::from(MANY) + 2;
    assert_eq!(count(&hub, "data_table_rows").await, many);
    let distinct = "(SELECT DISTINCT uplink_id FROM data_table_rows) AS uplinks";
    assert_eq!(count(&hub, distinct).await, many);
    assert_eq!(count(&hub, spoilt).await, 0);
}
