//! Resources whose keys come back: the ETag of a deleted one never fits the new one, whatever was done to both.

use std::collections::HashSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    devices::importing::import,
    support::{
        database::{Database, on_both_databases},
        server::{Answer, Hub, WithJson},
    },
};

on_both_databases!(
    a_device_of_a_deleted_id_has_etags_of_its_own,
    downlink_settings_have_etags_of_their_own_each_time,
);

/// Numbers that look random and are the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// ETags that were seen of one key, in all of its lives.
#[derive(Default)]
struct Seen {
    before: HashSet<String>,
    now: HashSet<String>,
}

impl Seen {
    /// Notes the ETag of an answer; it is none of an earlier life.
    fn note(&mut self, answer: &Answer) {
        assert!(answer.status < 300, "{}", answer.text);
        let etag = answer.headers["etag"].to_str().unwrap().to_owned();
        assert!(!self.before.contains(&etag), "{etag} has come back");
        self.now.insert(etag);
    }

    fn end(&mut self) {
        self.before.extend(self.now.drain());
    }
}

async fn change_at(hub: &Hub, method: Method, path: &str, etags: &str, body: &Value) -> Answer {
    let request = hub
        .request(method, path)
        .bearer_auth(&hub.token)
        .header("If-Match", etags.to_owned())
        .with_json(body);
    hub.answer(request).await
}

/// Old ETags change nothing.
async fn refuses(hub: &Hub, path: &str, seen: &Seen, body: &Value) {
    let mut old: Vec<&str> = seen.before.iter().map(String::as_str).collect();
    old.sort_unstable();
    for method in [Method::PUT, Method::DELETE] {
        for old in old.chunks(20) {
            let answer = change_at(hub, method.clone(), path, &old.join(", "), body).await;
            answer.refused(400);
        }
    }
}

async fn a_device_of_a_deleted_id_has_etags_of_its_own(database: Database) {
    let hub = Hub::start(database).await;
    let ids = ["a", "b", "c"];
    let mut seen: [Seen; 3] = Default::default();
    let mut is_there = [false; 3];
    let mut dice = Dice(7);
    for step in 0..80 {
        let one = usize::try_from(dice.below(3)).unwrap();
        let (id, seen) = (ids[one], &mut seen[one]);
        let path = format!("devices/{id}");
        let body = json!({"name": format!("{id} {step}"), "labels": [id]});
        match (is_there[one], dice.below(6)) {
            (false, 0) => {
                // By an import, which writes several devices at a time.
                import(&hub, format!("id,name,labels\n{id},{id} {step},{id}\n")).await;
                is_there[one] = true;
            }
            (false, _) => {
                let mut body = body.clone();
                body["id"] = id.into();
                let made = hub.post("devices", &body).await;
                seen.note(&made);
                made.created();
                is_there[one] = true;
            }
            (true, 0) => {
                hub.delete(&path).await.ok();
                seen.end();
                is_there[one] = false;
                continue;
            }
            (true, 1) => {
                let all = json!({"selector": id, "action": {"type": "delete"}, "dry_run": false});
                assert_eq!(hub.post("devices/bulk", &all).await.ok()["changed"], 1);
                seen.end();
                is_there[one] = false;
                continue;
            }
            (true, _) => {
                hub.put(&path, &body).await.ok();
            }
        }
        seen.note(&hub.get(&path).await);
        refuses(&hub, &path, seen, &body).await;
    }
    assert!(seen.iter().all(|seen| seen.before.len() > 3));
}

async fn downlink_settings_have_etags_of_their_own_each_time(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("webhook").await;
    let path = format!("network-connections/{}/downlink-settings", connection.id);
    let mut seen = Seen::default();
    let mut dice = Dice(3);
    for life in 0..6 {
        for change in 0..=dice.below(4) {
            let url = format!("https://n.example.com/{life}/{change}");
            let body = json!({"settings": {"type": "http", "method": "POST", "url": url}});
            let put = hub.put(&path, &body).await;
            seen.note(&put);
            put.ok();
            refuses(&hub, &path, &seen, &body).await;
        }
        hub.delete(&path).await.ok();
        seen.end();
    }
}
