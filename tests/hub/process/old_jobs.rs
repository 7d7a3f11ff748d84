//! Retention of jobs: ended ones go with their results when they are old, young ones stay.

use reqwest::Method;
use serde_json::{Value, json};

use super::retention::{deleted, has_looked, look_again};
use crate::{
    eventually,
    support::{
        database::{Database, on_both_databases},
        rows::{count, fill, id, time},
        server::Hub,
    },
};

on_both_databases!(old_jobs_go_and_young_ones_stay);

/// An import of devices, an identifier in each line, that has ended; gives its id.
pub async fn ended_import(hub: &Hub, lines: &str) -> Value {
    let request = hub
        .request(Method::POST, "devices/import")
        .bearer_auth(&hub.token)
        .header("Content-Type", "application/octet-stream")
        .body(format!("id\n{lines}\n"));
    let import = hub.answer(request).await.created()["id"].clone();
    let path = format!("devices/import/{import}");
    eventually("the import has ended", async || {
        (hub.get(&path).await.ok()["state"] == "done").then_some(())
    })
    .await;
    import
}

/// A replay that has ended; gives its id.
async fn ended_replay(hub: &Hub, integration: i64) -> Value {
    let span = json!({"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"});
    let path = format!("integrations/{integration}/replay");
    let replay = hub.post(&path, &span).await.created()["id"].clone();
    eventually("the replay has ended", async || {
        let what = format!("delivery_replays WHERE id = {replay} AND finished_at IS NOT NULL");
        (count(hub, &what).await == 1).then_some(())
    })
    .await;
    replay
}

async fn old_jobs_go_and_young_ones_stay(database: Database) {
    let flags = ["--job-keep-days", "20"];
    let mut hub = Hub::start_with(database, &flags).await;
    // What is added now is counted by the next start.
    has_looked(&hub).await;
    let imports = [
        ended_import(&hub, "i1").await,
        ended_import(&hub, "i2").await,
    ];
    let integration = hub
        .integration("i", "nothing", "https://example.com/")
        .await;
    let replays = [
        ended_replay(&hub, integration).await,
        ended_replay(&hub, integration).await,
    ];
    for (number, days) in [(0, 21), (1, 19)] {
        let (at, import, replay) = (time(days), &imports[number], &replays[number]);
        hub.sql(&format!(
            "UPDATE device_imports SET finished_at = {at}, updated_at = {at} WHERE id = {import}"
        ))
        .await;
        hub.sql(&format!(
            "UPDATE delivery_replays SET finished_at = {at} WHERE id = {replay}"
        ))
        .await;
    }

    let table = json!({"name": "t", "selector": ""});
    let table = hub.post("data-tables", &table).await.created()["id"].clone();
    let columns = "tenant_id, id, created_at, updated_at, data_table_id, state, format, encoding, rows_total, added, \
         skipped, failed, finished_at";
    for (id, days) in [(1, 21), (2, 19)] {
        let at = time(days);
        let values =
            format!("1, {id}, {at}, {at}, {table}, 'done', 'csv', 'utf-8', 1, 0, 0, 1, {at}");
        fill(&hub, 1, "data_table_imports", columns, &values).await;
        let row = format!("1, {id}, 1, 2, 'no such row'");
        fill(
            &hub,
            1,
            "data_table_import_rows",
            "tenant_id, import_id, number, line, error",
            &row,
        )
        .await;
    }

    let at = time(30);
    let columns = "tenant_id, id, created_at, updated_at, data_table_id, name, enabled, include_existing_rows, file, \
         schedule, timezone, kind, settings, runs";
    let values = format!(
        "1, 1, {at}, {at}, {table}, 'e', FALSE, FALSE, '{{}}', '0 0 1 1 *', 'UTC', 'folder', '{{}}', 2"
    );
    fill(&hub, 1, "scheduled_exports", columns, &values).await;
    for (number, days) in [(1, 21), (2, 19)] {
        let (at, until) = (time(days), id(&hub, days, number));
        let columns = "tenant_id, created_at, updated_at, data_table_id, state, span_to, uplinks, rows_added, finished_at";
        let values = format!("1, {at}, {at}, {table}, 'done', {at}, 0, 0, {at}");
        fill(&hub, 1, "data_table_fills", columns, &values).await;
        let columns = "tenant_id, created_at, updated_at, export_id, number, state, cause, until_id, window_to, \
             file_name, file, attempts, round, finished_at";
        let values = format!(
            "1, {at}, {at}, 1, {number}, 'empty', 'schedule', {until}, {at}, 'f', '{{}}', 0, 0, {at}"
        );
        fill(&hub, 1, "export_runs", columns, &values).await;
    }

    look_again(&mut hub, &flags).await;

    let young = time(20);
    for jobs in ["data_table_fills", "export_runs"] {
        assert_eq!(count(&hub, jobs).await, 1, "{jobs}");
        let left = format!("{jobs} WHERE finished_at > {young}");
        assert_eq!(count(&hub, &left).await, 1, "{jobs}");
    }
    let [old, young] = &imports;
    hub.get(&format!("devices/import/{old}")).await.refused(404);
    hub.get(&format!("devices/import/{young}")).await.ok();
    eventually("the results of the old import are gone", async || {
        let what = format!("device_import_rows WHERE import_id = {old}");
        (count(&hub, &what).await == 0).then_some(())
    })
    .await;
    assert_eq!(count(&hub, "device_import_rows").await, 1);
    hub.get(&format!("data-tables/{table}/imports/1"))
        .await
        .refused(404);
    hub.get(&format!("data-tables/{table}/imports/2"))
        .await
        .ok();
    eventually("the rows of the old import are gone", async || {
        let rows = count(&hub, "data_table_import_rows").await;
        (rows == 1).then_some(())
    })
    .await;
    let [old, young] = &replays;
    let path = format!("integrations/{integration}/replays");
    hub.get(&format!("{path}/{old}")).await.refused(404);
    hub.get(&format!("{path}/{young}")).await.ok();
    for kind in ["imports", "row_imports", "replays", "fills", "export_runs"] {
        assert_eq!(deleted(&hub, kind).await, 1.0, "{kind}");
    }
}
