//! Pages of lists that change meanwhile, and cursors that do not belong.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{
    database::{Database, on_both_databases},
    server::{Hub, PASSWORD},
};

on_both_databases!(
    rows_that_stay_are_met_once_while_others_come_and_go,
    a_cursor_belongs_to_its_list_order_and_filters,
    made_up_cursors_are_refused,
);

/// Reads a list to its end, in pages of three, with a change of the list between any two.
async fn read(
    hub: &Hub,
    list: &str,
    member: &str,
    mut between: impl AsyncFnMut(usize),
) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    for turn in 0.. {
        let page = hub.get(&format!("{list}&limit=3{cursor}")).await.ok();
        let items = page["collection"].as_array().unwrap();
        assert!(items.len() <= 3, "{page}");
        found.extend(
            items
                .iter()
                .map(|item| item[member].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
        assert!(turn < 20, "{list} has no end");
        between(turn).await;
    }
    found
}

/// Of ten rows the odd ones stay. Between pages an even one is deleted, and others are added before and behind.
async fn rows_that_stay_are_met_once_while_others_come_and_go(database: Database) {
    let hub = Hub::start(database).await;
    let target = json!({"type": "http", "url": "https://example.com/"});
    let integration = |name: &str| json!({"name": name, "selector": "", "target": &target});
    let user = |name: &str| json!({"username": name, "password": PASSWORD, "role": "viewer"});
    type Body<'a> = dyn Fn(&str) -> Value + 'a;
    let kinds: [(&str, &str, &Body); 2] = [
        ("integrations", "name", &integration),
        ("users", "username", &user),
    ];
    for (path, member, body) in kinds {
        for sort in ["name", "-name", "created_at", "-created_at", "updated_at"] {
            let prefix = format!("{}{}", sort.replace(['-', '_'], "x"), sort.len());
            let mut ids = Vec::new();
            for number in 0..10 {
                let name = format!("{prefix} m{number}");
                let made = hub.post(path, &body(&name)).await.created();
                ids.push(made["id"].clone());
            }
            let list = format!("{path}?q={prefix}&sort={sort}");
            let found = read(&hub, &list, member, async |turn| {
                if let Some(id) = ids.get(turn * 2).filter(|_| turn < 5) {
                    hub.delete(&format!("{path}/{id}")).await.ok();
                }
                if turn < 3 {
                    for place in ["a", "z"] {
                        let name = format!("{prefix} {place}{turn}");
                        hub.post(path, &body(&name)).await.created();
                    }
                }
            })
            .await;
            let stay =
                |name: &&String| name.contains(" m") && name.ends_with(['1', '3', '5', '7', '9']);
            let mut met: Vec<&String> = found.iter().filter(stay).collect();
            if sort.starts_with('-') {
                met.reverse();
            }
            let expected: Vec<String> = [1, 3, 5, 7, 9].map(|n| format!("{prefix} m{n}")).into();
            assert_eq!(
                met,
                expected.iter().collect::<Vec<_>>(),
                "{list}: {found:?}"
            );
            let mut once = found.clone();
            once.sort();
            once.dedup();
            assert_eq!(once.len(), found.len(), "{list}: {found:?}");
        }
    }
}

async fn a_cursor_belongs_to_its_list_order_and_filters(database: Database) {
    let hub = Hub::start(database).await;
    for number in 0..4 {
        hub.connect(&format!("one {number}")).await;
        let table = json!({"name": format!("one {number}"), "selector": ""});
        hub.post("data-tables", &table).await.created();
    }
    let list = "network-connections?sort=name&q=one&enabled=true";
    let page = hub.get(&format!("{list}&limit=1")).await.ok();
    let cursor = page["next_cursor"].as_str().unwrap();
    for same in [
        list,
        "network-connections?enabled=true&limit=2&q=one&total=true&sort=name",
    ] {
        let page = hub.get(&format!("{same}&cursor={cursor}")).await.ok();
        assert_eq!(page["collection"][0]["name"], "one 1", "{same}");
    }
    for other in [
        "network-connections?sort=name&q=one",
        "network-connections?sort=name&q=one&enabled=false",
        "network-connections?sort=-name&q=one&enabled=true",
        "network-connections?sort=updated_at&q=one&enabled=true",
        "network-connections?q=one&enabled=true",
        "data-tables?sort=name&q=one",
        "integrations?sort=name&q=one&enabled=true",
        "network-connections/1/events?limit=1",
        "audit-log?limit=1",
        "devices/import?limit=1",
    ] {
        let answer = hub.get(&format!("{other}&cursor={cursor}")).await;
        let error = answer.refused(400);
        assert_eq!(
            error, "cursor: must be a next_cursor that this list has answered",
            "{other}"
        );
    }
}

/// A client may even know how a cursor is made up: nothing in it reaches further than the list.
async fn made_up_cursors_are_refused(database: Database) {
    let hub = Hub::start(database).await;
    for number in 0..3 {
        hub.connect(&format!("c{number}")).await;
    }
    for sort in ["name", "updated_at", "created_at"] {
        let list = format!("network-connections?sort={sort}");
        let page = hub.get(&format!("{list}&limit=1")).await.ok();
        let cursor = page["next_cursor"].as_str().unwrap();
        for at in 0..cursor.len() {
            let mut tampered = cursor.to_owned();
            let other = if &cursor[at..=at] == "A" { "B" } else { "A" };
            tampered.replace_range(at..=at, other);
            let answer = hub.get(&format!("{list}&cursor={tampered}")).await;
            // The last character of base64 has bits that mean nothing.
            if at + 1 < cursor.len() || answer.status != 200 {
                let error = answer.refused(400);
                assert!(error.starts_with("cursor: "), "{error}");
            }
        }
    }
    // Places that this list has never had, with the right digest.
    for (sort, text) in [
        ("name", "\0"),
        ("updated_at", "yesterday"),
        ("updated_at", "\0"),
        ("updated_at", "+262142-12-31T23:59:59Z"),
    ] {
        let cursor = made_up(sort, &json!([text, 1]));
        let path = format!("network-connections?sort={sort}&cursor={cursor}");
        let error = hub.get(&path).await.refused(400);
        assert!(error.starts_with("cursor: "), "{text:?}: {error}");
    }
    for key in [json!(-1), json!(i64::MAX), json!(i64::MIN)] {
        let cursor = made_up("name", &json!(["c0", key]));
        let path = format!("network-connections?sort=name&cursor={cursor}");
        hub.get(&path).await.ok();
    }
    for bad in ["", "%00", "a.b", &"A".repeat(1001)] {
        let path = format!("network-connections?cursor={bad}");
        let error = hub.get(&path).await.refused(400);
        assert!(error.starts_with("cursor: "), "{bad}: {error}");
    }
}

/// A cursor of the list of network connections as the hub itself would make it.
fn made_up(sort: &str, place: &Value) -> String {
    let path = "/api/v3/network-connections";
    let bound = json!([path, [["sort", sort]], place]).to_string();
    let digest = URL_SAFE_NO_PAD.encode(&Sha256::digest(bound)[..9]);
    URL_SAFE_NO_PAD.encode(json!([digest, place]).to_string())
}
