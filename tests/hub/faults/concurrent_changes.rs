//! Two at once: of two changes of the same revision one wins, and changes of different things both stay.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    drivers::registry::digest_of,
    support::{
        database::{Database, on_both_databases},
        server::{Answer, Hub, PASSWORD, WithJson, things_stack},
    },
};

on_both_databases!(
    of_two_with_one_etag_one_wins,
    two_who_make_the_same_first_settings_both_end_well,
    a_lock_outlives_what_the_user_changes,
    a_reset_outlives_a_change_of_the_password,
    a_reset_ends_log_ins_under_way,
    what_different_operations_change_stays,
    what_is_deleted_is_told_as_it_was,
);

const ROUNDS: usize = 12;
const OTHER_PASSWORD: &str = "quite another password";
const NEW_PASSWORD: &str = "reset by the operator";
const VERSIONS: [&str; 2] = [
    "function decode() { return { version: 1 } }",
    "function decode() { return { version: 2 } }",
];

async fn put_as(hub: &Hub, token: &str, path: &str, body: &Value) -> Answer {
    let request = hub.request(Method::PUT, path).bearer_auth(token);
    hub.answer(request.with_json(body)).await
}

/// The path to replace, and the body for each round and client: no two bodies are alike unless they must be.
type Change = (String, fn(usize, usize) -> Value);

async fn of_two_with_one_etag_one_wins(database: Database) {
    let hub = Hub::start(database).await;
    for (path, body) in changes(&hub).await {
        for round in 0..ROUNDS {
            let before = hub.get(&path).await;
            let etag = before.headers["etag"].to_str().unwrap().to_owned();
            before.ok();
            let puts = join_all((0..2).map(|writer| {
                let (hub, path, etag) = (&hub, &path, &etag);
                async move {
                    let request = hub
                        .request(Method::PUT, path)
                        .bearer_auth(&hub.token)
                        .header("If-Match", etag)
                        .with_json(&body(round, writer));
                    hub.answer(request).await
                }
            }));
            let answers = puts.await;
            let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 400], "{path}: {answers:#?}");
            let winner = answers.iter().find(|answer| answer.status == 200).unwrap();
            let after = hub.get(&path).await;
            assert_eq!(after.headers["etag"], winner.headers["etag"], "{path}");
            assert_eq!(after.body, winner.body, "{path}");
        }
    }
}

/// Returns a change for each resource that can be replaced.
async fn changes(hub: &Hub) -> Vec<Change> {
    let connection = hub.connect("tts").await;
    let connection = format!("network-connections/{}", connection.id);
    hub.device_without_address("d").await;
    let table = json!({"name": "t", "selector": ""});
    let table = hub.post("data-tables", &table).await.created();
    let integration = hub.integration("i", "", "https://example.com/").await;
    for (tag, version) in ["1", "2"].into_iter().zip(VERSIONS) {
        hub.push("a/b", tag, version).await;
    }
    hub.put(
        "drivers/a/b/tags/moved",
        &json!({"digest": digest_of(VERSIONS[1])}),
    )
    .await
    .ok();
    let user = hub.user("eve", "viewer").await;
    let tenant = hub.tenant("other").await;
    let settings = format!("{connection}/downlink-settings");
    hub.put(&settings, &downlink_settings(ROUNDS, 0)).await.ok();
    vec![
        (
            "devices/d".to_owned(),
            |round, writer| json!({"description": format!("{round} {writer}")}),
        ),
        (
            "devices/d/state".to_owned(),
            |round, writer| json!({"desired": {"round": round, "writer": writer}}),
        ),
        (
            connection,
            |round, writer| json!({"name": format!("{round} {writer}"), "settings": {"type": "the_things_stack"}}),
        ),
        (settings, downlink_settings),
        (format!("integrations/{integration}"), |round, writer| {
            json!({"name": "i", "description": format!("{round} {writer}"), "selector": "",
                "target": {"type": "http", "url": "https://example.com/"}})
        }),
        (
            format!("data-tables/{}", table["id"]),
            |round, writer| json!({"name": "t", "description": format!("{round} {writer}"), "selector": ""}),
        ),
        (
            "drivers/a/b".to_owned(),
            |round, writer| json!({"description": format!("{round} {writer}")}),
        ),
        // A tag that is moved to its own version changes nothing.
        (
            "drivers/a/b/tags/moved".to_owned(),
            |round, _| json!({"digest": digest_of(VERSIONS[round % 2])}),
        ),
        (
            format!("users/{}", user["id"]),
            |round, writer| json!({"role": "viewer", "full_name": format!("{round} {writer}")}),
        ),
        (
            "users/me".to_owned(),
            |round, writer| json!({"full_name": format!("{round} {writer}")}),
        ),
        (
            format!("tenants/{}", tenant["id"]),
            |round, writer| json!({"name": format!("{round} {writer}")}),
        ),
    ]
}

fn downlink_settings(round: usize, writer: usize) -> Value {
    let url = format!("https://nowhere.invalid/{round}/{writer}");
    json!({"settings": {"type": "http", "method": "POST", "url": url}})
}

async fn two_who_make_the_same_first_settings_both_end_well(database: Database) {
    let hub = Hub::start(database).await;
    for round in 0..ROUNDS {
        let connection = hub.connect(&format!("tts {round}")).await;
        let path = format!("network-connections/{}/downlink-settings", connection.id);
        let puts = (0..3).map(|writer| {
            let (hub, path) = (&hub, &path);
            async move { hub.put(path, &downlink_settings(round, writer)).await }
        });
        for answer in join_all(puts).await {
            answer.ok();
        }
        let after = hub.get(&path).await;
        assert_eq!(after.headers["etag"], "\"3\"");
    }
}

async fn a_lock_outlives_what_the_user_changes(database: Database) {
    let hub = Hub::start(database).await;
    for round in 0..ROUNDS {
        let name = format!("user{round}");
        let user = hub.user(&name, "admin").await;
        let token = hub.log_in(&name, PASSWORD).await;
        let path = format!("users/{}", user["id"]);
        let own = join_all((0..4).map(|number| {
            let (hub, token) = (&hub, &token);
            async move {
                let body = json!({"full_name": format!("Name {number}")});
                put_as(hub, token, "users/me", &body).await
            }
        }));
        let locked = json!({"role": "viewer", "locked": true});
        let (own, locked) = tokio::join!(own, hub.put(&path, &locked));
        locked.ok();
        for answer in own {
            assert!([200, 401].contains(&answer.status), "{}", answer.text);
        }
        let after = hub.get(&path).await.ok();
        assert_eq!(
            (&after["role"], &after["locked"]),
            (&json!("viewer"), &json!(true)),
            "{after}"
        );
    }
}

async fn a_reset_outlives_a_change_of_the_password(database: Database) {
    let hub = Hub::start(database).await;
    for round in 0..4 {
        let name = format!("user{round}");
        let user = hub.user(&name, "viewer").await;
        let token = hub.log_in(&name, PASSWORD).await;
        let path = format!("users/{}", user["id"]);
        let change = json!({"current_password": PASSWORD, "new_password": OTHER_PASSWORD});
        let reset = json!({"role": "viewer", "password": NEW_PASSWORD});
        // All of them are compared before the reset is hashed, and hashed after it.
        let changes = join_all((0..3).map(|_| put_as(&hub, &token, "users/me/password", &change)));
        let (changes, reset) = tokio::join!(changes, hub.put(&path, &reset));
        reset.ok();
        for change in changes {
            assert!([200, 400, 401].contains(&change.status), "{}", change.text);
        }
        hub.log_in(&name, NEW_PASSWORD).await;
        let request = hub.request(Method::GET, "users/me").bearer_auth(&token);
        hub.answer(request).await.refused(401);
    }
}

async fn a_reset_ends_log_ins_under_way(database: Database) {
    let hub = Hub::start(database).await;
    for round in 0..4 {
        let name = format!("user{round}");
        let user = hub.user(&name, "viewer").await;
        let path = format!("users/{}", user["id"]);
        let logins = join_all((0..6).map(|_| {
            let body = json!({"username": name, "password": PASSWORD});
            let request = hub.request(Method::POST, "auth/token").with_json(&body);
            hub.answer(request)
        }));
        let reset = json!({"role": "viewer", "password": NEW_PASSWORD});
        let (logins, reset) = tokio::join!(logins, hub.put(&path, &reset));
        reset.ok();
        for login in logins {
            match login.status {
                200 => {
                    let token = login.body["token"].as_str().unwrap();
                    let request = hub.request(Method::GET, "users/me").bearer_auth(token);
                    hub.answer(request).await.refused(401);
                }
                _ => assert_eq!(login.refused(400), "invalid credentials"),
            }
        }
        hub.log_in(&name, NEW_PASSWORD).await;
    }
}

async fn what_different_operations_change_stays(database: Database) {
    let hub = Hub::start(database).await;
    let empty = json!({});
    for round in 0..ROUNDS {
        let id = format!("d{round}");
        hub.device_without_address(&id).await;
        let path = format!("devices/{id}");
        let (state, labels) = (format!("{path}/state"), format!("{path}/labels"));
        let desired = json!({"desired": {"round": round}});
        let bulk = json!({"selector": "!retired", "dry_run": false,
            "action": {"type": "add_labels", "labels": ["bulk"]}});
        let (first, second) = (format!("{labels}?labels=a"), format!("{labels}?labels=b"));
        let (one, other, state, bulk) = tokio::join!(
            hub.post(&first, &empty),
            hub.post(&second, &empty),
            hub.put(&state, &desired),
            hub.post("devices/bulk", &bulk)
        );
        for answer in [one, other, state, bulk] {
            answer.ok();
        }
        let after = hub.get(&path).await.ok();
        let mut labels: Vec<&str> = after["labels"]
            .as_array()
            .unwrap()
            .iter()
            .map(|label| label.as_str().unwrap())
            .collect();
        labels.sort_unstable();
        assert_eq!(labels, ["a", "b", "bulk"]);
        assert_eq!(after["state"]["desired"], desired["desired"]);

        let mut connection = hub.connect(&format!("tts {round}")).await;
        let path = format!("network-connections/{}", connection.id);
        let name = format!("renamed {round}");
        let renamed = json!({"name": name, "settings": {"type": "the_things_stack"}});
        let key = format!("{path}/ingest-key");
        let (renamed, key) = tokio::join!(hub.put(&path, &renamed), hub.post(&key, &empty));
        renamed.ok();
        key.created()["ingest_key"]
            .as_str()
            .unwrap()
            .clone_into(&mut connection.key);
        assert_eq!(hub.get(&path).await.ok()["name"], name);
        hub.ingest(&connection, things_stack("AA000000000000FF"))
            .await
            .ok();
    }
    for (tag, version) in ["1", "2"].into_iter().zip(VERSIONS) {
        hub.push("a/b", tag, version).await;
    }
    for round in 0..ROUNDS {
        let (metadata, tag) = (
            json!({"description": format!("round {round}")}),
            json!({"digest": digest_of(VERSIONS[round % 2])}),
        );
        let (described, moved) = tokio::join!(
            hub.put("drivers/a/b", &metadata),
            hub.put("drivers/a/b/tags/moved", &tag)
        );
        described.ok();
        moved.ok();
        let after = hub.get("drivers/a/b").await.ok();
        assert_eq!(after["description"], metadata["description"]);
        let after = hub.get("drivers/a/b/tags/moved").await.ok();
        assert_eq!(after["digest"], tag["digest"]);
    }
}

async fn what_is_deleted_is_told_as_it_was(database: Database) {
    let hub = Hub::start(database).await;
    for round in 0..ROUNDS {
        let connection = hub.connect(&format!("tts {round}")).await.id;
        let id = format!("d{round}");
        hub.device_without_address(&id).await;
        let integration = hub
            .integration(&format!("i{round}"), "", "https://example.com/")
            .await;
        for (path, resource, body) in [
            (
                format!("network-connections/{connection}"),
                "network-connections",
                json!({"name": format!("renamed {round}"), "settings": {"type": "the_things_stack"}}),
            ),
            (
                format!("devices/{id}"),
                "devices",
                json!({"name": format!("renamed {round}")}),
            ),
            (
                format!("integrations/{integration}"),
                "integrations",
                json!({"name": format!("renamed {round}"), "selector": "",
                    "target": {"type": "http", "url": "https://example.com/"}}),
            ),
        ] {
            let (changed, deleted) = tokio::join!(hub.put(&path, &body), hub.delete(&path));
            let deleted = deleted.ok();
            let subject = path.rsplit_once('/').unwrap().1;
            let log = format!("audit-log?resource={resource}&resource_id={subject}");
            let log = hub.list(&log).await;
            // The newest entry is the deletion, and holds the state that the entry before it has left.
            assert_eq!(log[0]["before"]["name"], deleted["name"], "{log:#?}");
            assert_eq!(
                log[0]["before"]["name"], log[1]["after"]["name"],
                "{log:#?}"
            );
            assert_eq!(changed.status == 200, log.len() == 3, "{log:#?}");
            if changed.status == 200 {
                assert_eq!(deleted["name"], body["name"]);
            }
        }
    }
}
