//! Metrics in the documentation, the alert rules and the dashboards: each of them exists as it is described.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    repository,
    support::{
        database::{Database, on_both_databases},
        server::Hub,
    },
};

on_both_databases!(what_is_written_about_metrics_is_true);

/// The families in a text: their types, and the names of their labels.
fn families(text: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut families = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            name.clone_into(&mut current);
            families.insert(current.clone(), (kind.to_owned(), BTreeSet::new()));
        } else if !line.starts_with('#')
            && let Some((_, rest)) = line.split_once('{')
        {
            let (labels, _) = rest.rsplit_once('}').unwrap();
            let (_, known) = families.get_mut(&current).unwrap();
            let names = labels.split("\",").map(|label| {
                let (name, _) = label.split_once('=').unwrap();
                name.to_owned()
            });
            known.extend(names.filter(|name| name != "le"));
        }
    }
    families
}

/// The table of `docs/metrics.md`.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let text = std::fs::read_to_string(repository("docs/metrics.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| {
        let cells: Vec<&str> = row.split(" | ").collect();
        let [name, kind, labels, ..] = cells[..] else {
            return None;
        };
        let name = name.trim_end_matches('`');
        let is_metric = name.starts_with("thingshub_") || name.starts_with("process_");
        let labels = labels.split('`').skip(1).step_by(2).map(str::to_owned);
        is_metric.then(|| (name.to_owned(), (kind.to_owned(), labels.collect())))
    })
    .collect()
}

/// The names of metrics in queries.
fn names_in(queries: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = queries.split(|c: char| !is_part(c));
    let is_metric = |word: &&str| word.starts_with("thingshub_") || word.starts_with("process_");
    words.filter(is_metric).map(str::to_owned).collect()
}

/// The queries in a dashboard, wherever they stand.
fn queries_of(dashboard: &Value, queries: &mut Vec<String>) {
    match dashboard {
        Value::Array(items) => items.iter().for_each(|item| queries_of(item, queries)),
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) if name == "expr" || name == "query" => {
                        queries.push(text.clone());
                    }
                    value => queries_of(value, queries),
                }
            }
        }
        _ => {}
    }
}

async fn what_is_written_about_metrics_is_true(database: Database) {
    let hub = Hub::start(database).await;
    let text = hub.get("/metrics").await.text;
    // The first request is counted when it has been answered, so that there is one by now.
    let real = families(&text);
    assert_eq!(documented(), real, "the table of docs/metrics.md");

    let series: BTreeSet<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(['{', ' ']).next().unwrap())
        .collect();
    let read = |name: &str| {
        let path = repository("examples/monitoring").join(name);
        std::fs::read_to_string(path).unwrap()
    };
    let dashboard = serde_json::from_str(&read("grafana-dashboard.json")).unwrap();
    let mut queries = Vec::new();
    queries_of(&dashboard, &mut queries);
    assert!(queries.len() > 20, "{queries:#?}");
    for queries in [queries.join("\n"), read("alerts.yml")] {
        let names = names_in(&queries);
        assert!(names.len() > 10, "{names:?}");
        for name in &names {
            assert!(series.contains(name.as_str()), "there is no {name}");
        }
    }
}
