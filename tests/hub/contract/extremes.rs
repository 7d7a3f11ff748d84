//! Input of extreme size: an answer that names the place, within the time that the client waits.

use std::fmt::Write;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    contract::document::document,
    eventually,
    support::{
        database::{Database, on_both_databases},
        server::Hub,
    },
};

on_both_databases!(
    a_selector_of_ten_thousand_terms,
    a_broken_quote_far_into_a_file,
);

async fn a_selector_of_ten_thousand_terms(database: Database) {
    let hub = Hub::start(database).await;
    let selectors = [
        ["a"; 10_000].join(","),
        ["a=b"; 10_000].join(" or "),
        format!("a in ({})", ["b"; 10_000].join(",")),
        "!".repeat(10_000) + "a",
        "(".repeat(10_000),
    ];
    for selector in selectors {
        let start: String = selector.chars().take(20).collect();
        // A longer URL is refused before it is one of ours.
        if selector.len() <= 10_001 {
            let answer = hub.get(&format!("devices?selector={selector}")).await;
            let error = answer.refused(400);
            assert_eq!(error, "selector: must have 0 to 4096 characters", "{start}");
        }
        let table = json!({"name": "t", "selector": selector});
        let error = hub.post("data-tables", &table).await.refused(400);
        assert_eq!(error, "selector: must have 0 to 4096 characters", "{start}");
    }
    // The maximum number of terms is accepted; the first one beyond it is rejected with its position.
    let devices = ["l255", "other"].map(|label| json!({"id": label, "labels": [label]}));
    for device in devices {
        hub.post("devices", &device).await.created();
    }
    let terms: Vec<String> = (0..257).map(|number| format!("l{number}")).collect();
    let most = terms[..256].join("%20or%20");
    let found = hub.list(&format!("devices?selector={most}")).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["id"], "l255");
    let one_more = terms.join("%20or%20");
    let answer = hub.get(&format!("devices?selector={one_more}")).await;
    let error = answer.refused(400);
    assert_eq!(error, "selector: at column 1939: at most 256 terms");
}

async fn a_broken_quote_far_into_a_file(database: Database) {
    const BROKEN: usize = 70_001;
    let hub = Hub::start_with(database, &["--request-timeout-s", "60"]).await;
    // Rows that make no device are rows as well, and quicker.
    let mut csv = "id,name\n".to_owned() + &"a,b,c\n".repeat(BROKEN - 1) + "x,\"open\n";
    let mut ndjson = "[]\n".repeat(BROKEN - 1) + "{\"id\": \"open}\n";
    for number in 0..20 {
        writeln!(csv, "d{number},").unwrap();
        writeln!(ndjson, "{{\"id\": \"d{number}\"}}").unwrap();
    }
    for (format, file, why) in [
        ("csv", csv, "a quote is opened that is not closed"),
        ("ndjson", ndjson, "body: is not valid JSON"),
    ] {
        let request = hub
            .request(
                Method::POST,
                &format!("devices/import?on_existing=update&format={format}"),
            )
            .bearer_auth(&hub.token)
            .header("Content-Type", "application/octet-stream")
            .body(file);
        let begun = hub.answer(request).await.created();
        let path = format!("devices/import/{}", begun["id"]);
        let import = eventually("the import is done", async || {
            let import = hub.get(&path).await.ok();
            (import["state"] == "done").then_some(import)
        })
        .await;
        assert_eq!(import["rows_total"], BROKEN + 20, "{import}");
        assert_eq!(import["failed"], BROKEN, "{import}");
        let newest = |list: &str| format!("{path}/rows?{list}");
        let counted = hub.get(&newest("outcome=failed&limit=1&total=true")).await;
        assert_eq!(counted.ok()["total"], BROKEN);
        let done = hub.list(&newest("outcome=created&limit=100")).await;
        let updated = hub.list(&newest("outcome=updated&limit=100")).await;
        assert_eq!(done.len() + updated.len(), 20);
        let row = row_of(&hub, &path, BROKEN).await;
        assert_eq!(row["outcome"], "failed", "{row}");
        let error = row["error"].as_str().unwrap();
        assert!(error.starts_with(why), "{error}");
    }
}

/// One row of an import, found page by page.
async fn row_of(hub: &Hub, import: &str, number: usize) -> Value {
    let list = format!("{import}/rows?outcome=failed&limit=1000");
    let mut cursor = String::new();
    loop {
        let page = hub.get(&format!("{list}{cursor}")).await.ok();
        let rows = page["collection"].as_array().unwrap();
        if let Some(row) = rows.iter().find(|row| row["row"] == number) {
            return row.clone();
        }
        let next = page["next_cursor"].as_str().expect("the row is there");
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_requests_add_to_is_bounded_by_none_of_them() {
    let hub = Hub::start(Database::Sqlite).await;
    let mut driver =
        json!({"author": "a", "name": "b", "script": "function decode() { return {} }"});
    for from in [0, 16] {
        let tags: Vec<String> = (from..from + 16).map(|number| number.to_string()).collect();
        driver["tags"] = json!(tags);
        hub.post("drivers", &driver).await.created();
    }
    let driver = hub.get("drivers/a/b").await.ok();
    assert_eq!(driver["tags"].as_array().map(Vec::len), Some(32));
    let declared = &document()["components"]["schemas"]["Driver"]["properties"]["tags"];
    assert_eq!(declared["type"], "array");
    assert_eq!(declared.get("maxItems"), None, "{declared}");
}
