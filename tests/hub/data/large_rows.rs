//! Rows so large that their number alone bounds no memory: pages end by their size, and a tenant has room for some of
//! them, and places for some exports, at a time.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    contract::limits,
    eventually,
    support::{
        answer::Answer,
        database::{Database, on_both_databases},
        frames::{self, Frames},
        rows::{fill, time},
        server::{Hub, PASSWORD},
    },
};

on_both_databases!(
    pages_end_by_their_size_and_lose_nothing,
    last_values_are_paged_by_their_size,
    a_tenant_has_room_for_some_large_pages,
    a_tenant_has_places_for_some_exports,
);

/// Characters of the text in a large row.
const LARGE: usize = 50_000;
const MANY: usize = 200;

/// Makes a data table of a tenant with large rows, one of each of so many devices; returns its path.
async fn table(hub: &Hub, tenant: u64, name: &str, rows: usize) -> String {
    let body = json!({"name": name, "selector": "nothing"});
    let table = hub.post("data-tables", &body).await.created();
    add(hub, tenant, &table["id"], rows, LARGE).await;
    format!("data-tables/{}", table["id"])
}

/// Adds rows with a number and a text, the later the longer that is.
async fn add(hub: &Hub, tenant: u64, table: &Value, rows: usize, length: usize) {
    let (text, device) = match &hub.database {
        Database::Sqlite => (
            format!(
                "json_object('n', n.i, 'text', hex(zeroblob({})))",
                length / 2
            ),
            "printf('d%03d', n.i)",
        ),
        Database::Postgres(_) => (
            format!("jsonb_build_object('n', n.i, 'text', repeat('0', {length}))"),
            "'d' || lpad(n.i::text, 3, '0')",
        ),
    };
    let at = match length {
        LARGE => time(2),
        _ => time(1),
    };
    let at = match &hub.database {
        Database::Sqlite => at,
        Database::Postgres(_) => format!("{at}::timestamptz"),
    };
    let columns = "tenant_id, id, data_table_id, device_id, ts, data";
    let values = format!("{tenant}, ID, {table}, {device}, {at}, {text}");
    let rows = u32::try_from(rows).unwrap();
    fill(hub, rows, "data_table_rows", columns, &values).await;
}

fn page_max() -> usize {
    usize::try_from(limits::bounds("Bytes of the items on a page")[0]).unwrap()
}

/// All items of a list, page by page, and the number of items on each page.
async fn pages(hub: &Hub, path: &str) -> (Vec<Value>, Vec<usize>) {
    let (mut items, mut sizes, mut cursor) = (Vec::new(), Vec::new(), String::new());
    loop {
        let page = hub.get(&format!("{path}{cursor}")).await.ok();
        let collection = page["collection"].as_array().unwrap();
        sizes.push(collection.len());
        items.extend(collection.iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (items, sizes),
        }
    }
}

async fn pages_end_by_their_size_and_lose_nothing(database: Database) {
    let hub = Hub::start(database).await;
    let table = table(&hub, 1, "large", MANY).await;
    let page_max = page_max();
    let numbers = |rows: &[Value]| -> BTreeSet<u64> {
        let number = |row: &Value| row["data"]["n"].as_u64().unwrap();
        rows.iter().map(number).collect()
    };
    let all: BTreeSet<u64> = (1..=MANY as u64).collect();

    let first = hub
        .get(&format!("{table}/rows?limit=1000&total=true"))
        .await;
    assert_eq!(first.body["total"], MANY);
    assert!((page_max / 2..page_max * 11 / 10).contains(&first.text.len()));
    for (limit, on_a_page) in [(1000, page_max / (LARGE + 30)), (50, 50)] {
        let (rows, sizes) = pages(&hub, &format!("{table}/rows?limit={limit}")).await;
        assert_eq!(rows.len(), MANY);
        assert_eq!(numbers(&rows), all);
        let (last, full) = sizes.split_last().unwrap();
        assert!(
            full.iter().all(|size| size.abs_diff(on_a_page) <= 2),
            "{sizes:?}"
        );
        assert!(!full.is_empty() && *last <= on_a_page, "{sizes:?}");
    }

    // A row that is larger than a page is alone on its own.
    let id = table.strip_prefix("data-tables/").unwrap();
    let id: Value = id.parse::<u64>().unwrap().into();
    add(&hub, 1, &id, 2, page_max + 1000).await;
    let (rows, sizes) = pages(&hub, &format!("{table}/rows?limit=1000&sort=-time")).await;
    assert_eq!(
        (rows.len(), &sizes[..2]),
        (MANY + 2, &[1, 1][..]),
        "{sizes:?}"
    );

    // Files have the same pages, and as a whole all rows.
    let mut path = Some(format!("/api/v3/{table}/rows.ndjson?limit=1000"));
    let (mut found, mut files) = (Vec::new(), 0);
    while let Some(next) = path {
        let url = format!("https://{}{next}", hub.address);
        let file = hub.answer(hub.client_of_http_1().get(url).bearer_auth(&hub.token));
        let file = file.await;
        found.extend(
            file.text
                .lines()
                .map(|line| serde_json::from_str(line).unwrap()),
        );
        files += 1;
        path = next_page(&file);
    }
    assert_eq!((found.len(), numbers(&found)), (MANY + 2, all.clone()));
    assert!(files > 3, "{files}");
    for format in ["csv", "ndjson"] {
        let file = hub.request(Method::GET, &format!("{table}/rows.{format}"));
        let file = file.bearer_auth(&hub.token).send().await.unwrap();
        let lines = file.text().await.unwrap().lines().count();
        assert_eq!(lines, MANY + 2 + usize::from(format == "csv"), "{format}");
    }
}

fn next_page(file: &Answer) -> Option<String> {
    let link = file.headers.get("link")?.to_str().unwrap();
    let (path, _) = link.strip_prefix('<').unwrap().split_once('>').unwrap();
    Some(path.to_owned())
}

async fn last_values_are_paged_by_their_size(database: Database) {
    let hub = Hub::start(database).await;
    let table = table(&hub, 1, "large", MANY).await;
    let (devices, sizes) = pages(&hub, &format!("{table}/latest?limit=1000")).await;
    let name = |device: &Value| device["device_id"].as_str().unwrap().to_owned();
    let names: Vec<_> = devices.iter().map(name).collect();
    let expected: Vec<_> = (1..=MANY).map(|number| format!("d{number:03}")).collect();
    assert_eq!(names, expected);
    assert!(
        sizes.len() > 1 && sizes.iter().all(|size| *size > 0),
        "{sizes:?}"
    );
    let text = |device: &Value| {
        let values = device["values"].as_array().unwrap();
        let text = values.iter().find(|value| value["column"] == "text");
        text.unwrap()["value"].as_str().unwrap().len()
    };
    assert!(devices.iter().all(|device| text(device) == LARGE));
}

/// Requests so much at a time, and takes nothing of it.
async fn takes_nothing(hub: &Hub, path: &str, times: usize) -> Frames {
    let mut client = Frames::open(hub, 0).await;
    for number in 0..u32::try_from(times).unwrap() {
        let path = format!("/api/v3/{path}");
        client.get_as(&hub.token, 2 * number + 1, &path).await;
        let head = client.next(frames::HEADERS).await;
        assert!(head.is_ok(), "{number}: {head:?}");
    }
    client
}

/// A refusal that says when to try again.
async fn is_refused(hub: &Hub, path: &str, why: &str) {
    let answer = hub.get(path).await;
    assert!(answer.headers.contains_key("retry-after"), "{path}");
    let error = answer.refused(503);
    assert!(error.contains(why), "{path}: {error}");
}

/// A hub with another tenant, who has a data table as well, and the path of that.
async fn with_others(database: Database) -> (Hub, String, String) {
    let mut hub = Hub::start(database).await;
    let others = hub.tenant("others").await;
    let token = hub.log_in("others", PASSWORD).await;
    let own = std::mem::replace(&mut hub.token, token);
    let theirs = table(&hub, others["id"].as_u64().unwrap(), "theirs", MANY).await;
    let theirs_token = std::mem::replace(&mut hub.token, own);
    (hub, theirs_token, theirs)
}

async fn a_tenant_has_room_for_some_large_pages(database: Database) {
    let (mut hub, theirs_token, theirs) = with_others(database).await;
    let table = table(&hub, 1, "large", MANY).await;
    let page = format!("{table}/rows?limit=1000");
    // A page takes twice its size.
    let share = limits::bounds("Memory for the pages of lists")[1];
    let held = usize::try_from(share).unwrap() / (2 * page_max());
    let client = takes_nothing(&hub, &page, held).await;
    is_refused(&hub, &page, "large pages of this tenant").await;
    is_refused(
        &hub,
        &format!("{table}/latest?limit=1000"),
        "large pages of this tenant",
    )
    .await;
    // What is small has room, and so have others.
    hub.get("devices").await.ok();
    let own = std::mem::replace(&mut hub.token, theirs_token);
    hub.get(&format!("{theirs}/rows?limit=1000")).await.ok();
    hub.token = own;
    drop(client);
    eventually("there is room", async || {
        (hub.get(&page).await.status == 200).then_some(())
    })
    .await;
}

async fn a_tenant_has_places_for_some_exports(database: Database) {
    let (mut hub, theirs_token, theirs) = with_others(database).await;
    let table = table(&hub, 1, "large", MANY).await;
    let bounds = limits::bounds("Exports of rows and of devices at a time");
    let (share, parquet) = (bounds[1], bounds[2]);
    let why = "too many exports of this tenant at a time";
    let csv = format!("{table}/rows.csv");
    let client = takes_nothing(&hub, &csv, usize::try_from(share).unwrap()).await;
    for path in [
        format!("{table}/rows.csv"),
        format!("{table}/rows.ndjson"),
        format!("{table}/rows.parquet"),
        "devices/export".to_owned(),
    ] {
        is_refused(&hub, &path, why).await;
    }
    // A page of a file needs no place, and others have their own.
    hub.get(&format!("{table}/rows.csv?limit=1")).await.ok();
    let own = std::mem::replace(&mut hub.token, theirs_token);
    hub.get(&format!("{theirs}/rows.ndjson")).await.ok();
    hub.token = own;
    drop(client);
    let csv = async || (hub.get(&csv).await.status == 200).then_some(());
    eventually("there are places", csv).await;
    // One as Parquet needs several, so there is none for a second one beyond the share.
    let places = usize::try_from(share / parquet).unwrap();
    let parquet = format!("{table}/rows.parquet");
    let _client = eventually("there are places for all", async || {
        let mut client = Frames::open(&hub, 0).await;
        for number in 0..u32::try_from(places).unwrap() {
            let path = format!("/api/v3/{parquet}");
            client.get_as(&hub.token, 2 * number + 1, &path).await;
            if !client.next(frames::HEADERS).await.is_ok() {
                return None;
            }
        }
        Some(client)
    })
    .await;
    is_refused(&hub, "devices/export", why).await;
}
