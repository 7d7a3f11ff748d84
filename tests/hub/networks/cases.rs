//! Messages as public sources show them, each with what must become of it: `tests/cases`.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    repository,
    support::{
        database::{Database, on_both_databases},
        server::Hub,
    },
};

on_both_databases!(each_case_becomes_what_it_must);

async fn each_case_becomes_what_it_must(database: Database) {
    let hub = Hub::start(database).await;
    let mut failed = Vec::new();
    let cases = cases();
    assert!(cases.len() > 20, "{}", cases.len());
    for (number, (name, case)) in cases.iter().enumerate() {
        let id = format!("case-{number}");
        if let Err(difference) = run(&hub, &id, case).await {
            failed.push(format!("{name}: {}\n  {difference}", case["title"]));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// All of them, by the names of their files.
fn cases() -> Vec<(String, Value)> {
    let files = std::fs::read_dir(repository("tests/cases")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let paths = paths.filter(|path| path.extension().is_some_and(|kind| kind == "json"));
    let mut cases: Vec<(String, Value)> = paths
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, serde_json::from_str(&text).unwrap())
        })
        .collect();
    cases.sort_by(|(one, _), (other, _)| one.cmp(other));
    cases
}

/// Posts a case's messages; the first difference from what it wants.
async fn run(hub: &Hub, id: &str, case: &Value) -> Result<(), String> {
    let connection = json!({"name": id, "settings": case["settings"]});
    let connection = hub.connect_as(&connection).await;
    let address = case["address"].as_str().unwrap();
    hub.device(id, &connection, address, json!({})).await;
    let mut statuses = Vec::new();
    for post in case["posts"].as_array().unwrap() {
        let query = post["query"].as_str().unwrap_or_default();
        let appended = post["path"].as_str().unwrap_or_default();
        let path = format!(
            "network-connections/{}/uplinks{appended}?{query}",
            connection.id
        );
        let kind = post["content_type"].as_str().unwrap_or("application/json");
        let request = hub
            .request(Method::POST, &path)
            .bearer_auth(&connection.key)
            .header("Content-Type", kind)
            .body(post["body"].to_string());
        let answer = hub.answer(request).await;
        statuses.push(match answer.status {
            200 => answer.body["status"].clone(),
            _ => answer.body["error"].clone(),
        });
    }
    let want = &case["want"];
    let known = ["status", "uplinks", "events", "connection_events"];
    let members = want.as_object().unwrap().keys();
    let unknown: Vec<_> = members
        .filter(|name| !known.contains(&name.as_str()))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    if let Some(wanted) = want["status"].as_array() {
        holds("status", wanted, &statuses)?;
    }
    if let Some(wanted) = want["uplinks"].as_array() {
        let found = hub.list(&format!("devices/{id}/uplinks")).await;
        holds("uplinks", wanted, &found)?;
    }
    let path = format!("network-connections/{}", connection.id);
    for (member, events) in [
        ("events", format!("devices/{id}/events")),
        ("connection_events", format!("{path}/events")),
    ] {
        if let Some(wanted) = want[member].as_array() {
            let found = hub.list(&events).await;
            holds(member, wanted, &found)?;
        }
    }
    let health = hub.get(&path).await.ok()["health"].clone();
    match health["malformed"] == 0 {
        true => Ok(()),
        false => Err(format!("health: {health}")),
    }
}

fn holds(place: &str, wanted: &[Value], found: &[Value]) -> Result<(), String> {
    if wanted.len() != found.len() {
        return Err(format!("{place}: {found:?}"));
    }
    let mut pairs = wanted.iter().zip(found).enumerate();
    pairs.try_for_each(|(index, (wanted, found))| {
        is_held(&format!("{place}.{index}"), wanted, found)
    })
}

/// Checks that everything wanted is there; an object may have more members.
fn is_held(place: &str, wanted: &Value, found: &Value) -> Result<(), String> {
    match (wanted, found) {
        (Value::Object(members), _) => members.iter().try_for_each(|(name, wanted)| {
            is_held(&format!("{place}.{name}"), wanted, &found[name])
        }),
        (Value::Array(wanted), Value::Array(found)) => holds(place, wanted, found),
        (Value::Number(wanted), Value::Number(found)) if wanted.as_f64() == found.as_f64() => {
            Ok(())
        }
        (Value::String(one), Value::String(other)) if is_one_time(one, other) => Ok(()),
        _ if wanted == found => Ok(()),
        _ => Err(format!("{place}: {found}, and not {wanted}")),
    }
}

fn is_one_time(one: &str, other: &str) -> bool {
    let read = |text| chrono::DateTime::parse_from_rfc3339(text);
    matches!((read(one), read(other)), (Ok(one), Ok(other)) if one == other)
}
