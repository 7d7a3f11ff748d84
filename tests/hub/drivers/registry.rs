//! The registry of drivers: versions, the tags that point at them, and who uses which.

use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{
    database::{Database, on_both_databases},
    server::{Connection, Hub, WithJson},
};

on_both_databases!(
    a_version_is_what_its_digest_says,
    versions_stay_until_they_are_deleted,
    a_driver_has_so_many_versions_and_no_more,
    devices_follow_a_tag_forth_and_back,
    a_pinned_device_stays_with_its_version,
    a_tag_remembers_where_it_pointed,
    a_tag_moves_only_as_its_client_has_seen_it,
    what_is_used_is_counted_and_stays,
    references_that_are_none_are_refused,
    changes_are_in_the_audit_log,
);

const EUI: &str = "AA00000000000001";

fn version(number: u32) -> String {
    format!("function decode() {{ return {{ version: {number} }} }}")
}

fn sha256(text: &str) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(text)))
}

/// The digest that the registry gives a version of a script and nothing else.
pub fn digest_of(script: &str) -> String {
    sha256(&format!(r#"{{"script":"{}"}}"#, sha256(script)))
}

impl Hub {
    async fn pushed(&self, tag: &str, number: u32) -> String {
        let driver = self.push("a/b", tag, &version(number)).await;
        let tags = driver["tags"].as_array().unwrap();
        let tag = tags.iter().find(|found| found["tag"] == tag).unwrap();
        tag["digest"].as_str().unwrap().to_owned()
    }

    async fn point(&self, tag: &str, digest: &str) -> Value {
        let path = format!("drivers/a/b/tags/{tag}");
        self.put(&path, &json!({"digest": digest})).await.ok()
    }

    /// Returns the version that decodes the next uplink of the device.
    async fn decoded_by(&self, connection: &Connection, device: &str, eui: &str) -> Value {
        self.uplink(connection, eui).await;
        let uplinks = self.list(&format!("devices/{device}/uplinks")).await;
        uplinks[0]["data"]["version"].clone()
    }

    async fn digests(&self) -> Vec<String> {
        let versions = self.list("drivers/a/b/versions").await;
        let digest = |version: &Value| version["digest"].as_str().unwrap().to_owned();
        versions.iter().map(digest).collect()
    }
}

async fn a_version_is_what_its_digest_says(database: Database) {
    let hub = Hub::start(database).await;
    let script = "function decode(p) { return { n: p[0], s: 'ü' } }";
    let body = json!({"author": "a", "name": "b", "tags": ["1.0", "1"], "script": script});
    hub.post("drivers", &body).await.created();
    let digest = digest_of(script);
    let listed = hub.list("drivers/a/b/versions").await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["digest"], digest);
    assert_eq!(listed[0]["tags"], json!(["1", "1.0"]));
    assert_eq!(listed[0]["size_bytes"], script.len());

    let path = format!("drivers/a/b/versions/{digest}");
    let found = hub.get(&path).await.ok();
    assert_eq!(found["script"], script);
    assert_eq!(found["functions"], json!(["decode"]));
    assert_eq!(sha256(found["manifest"].as_str().unwrap()), digest);
    let manifest: Value = serde_json::from_str(found["manifest"].as_str().unwrap()).unwrap();
    assert_eq!(manifest, json!({"script": sha256(script)}));
    let tagged = hub.get("drivers/a/b/tags/1.0").await.ok();
    for member in ["digest", "script", "manifest", "created_at", "size_bytes"] {
        assert_eq!(tagged[member], found[member], "{member}");
    }

    // Pushing the same content again gives the same version.
    hub.push("a/b", "2", script).await;
    assert_eq!(hub.digests().await, [digest]);
    let again = hub.get(&path).await.ok();
    assert_eq!(again["created_at"], found["created_at"]);
    assert_eq!(again["tags"], json!(["1", "1.0", "2"]));

    let unknown = format!("drivers/a/b/versions/{}", digest_of("nothing"));
    hub.get(&unknown).await.refused(404);
    hub.delete(&unknown).await.refused(404);
    for bad in [
        "1",
        "sha256:12",
        &"0".repeat(64),
        &digest_of("x").to_uppercase(),
    ] {
        let error = hub.get(&format!("drivers/a/b/versions/{bad}")).await;
        let error = error.refused(400);
        assert!(error.starts_with("digest: "), "{error}");
    }
}

async fn versions_stay_until_they_are_deleted(database: Database) {
    let hub = Hub::start(database).await;
    let mut pushed = Vec::new();
    for number in 1..=3 {
        pushed.insert(0, hub.pushed("1", number).await);
    }
    assert_eq!(hub.digests().await, pushed, "the newest first");
    let page = hub.get("drivers/a/b/versions?limit=2").await.ok();
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = hub
        .list(&format!("drivers/a/b/versions?limit=2&cursor={cursor}"))
        .await;
    assert_eq!(rest[0]["digest"], pushed[2]);
    assert_eq!(rest[0]["tags"], json!([]));

    let path = |digest: &str| format!("drivers/a/b/versions/{digest}");
    let deleted = hub.delete(&path(&pushed[1])).await.ok();
    assert_eq!(deleted["script"], version(2));
    hub.get(&path(&pushed[1])).await.refused(404);
    assert_eq!(hub.digests().await, [pushed[0].clone(), pushed[2].clone()]);
    let error = hub.delete(&path(&pushed[0])).await.refused(400);
    assert!(error.contains("the tag 1 points at it"), "{error}");

    // A deleted tag leaves its version.
    hub.delete("drivers/a/b/tags/1").await.ok();
    assert_eq!(hub.digests().await.len(), 2);
    hub.delete(&path(&pushed[0])).await.ok();
    hub.point("1", &pushed[2]).await;
    assert_eq!(
        hub.get("drivers/a/b/tags/1").await.ok()["script"],
        version(1)
    );
    let body = json!({"digest": pushed[0]});
    let error = hub.put("drivers/a/b/tags/1", &body).await.refused(400);
    assert!(error.starts_with("digest: there is no version"), "{error}");
    hub.put("drivers/a/c/tags/1", &body).await.refused(404);
}

async fn a_driver_has_so_many_versions_and_no_more(database: Database) {
    let hub = Hub::start(database).await;
    let kept = hub.pushed("1", 1).await;
    hub.sql(
        "INSERT INTO driver_versions \
         (tenant_id, driver_id, digest, script, functions, created_at, script_digest, size_bytes) \
         WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 999) \
         SELECT v.tenant_id, v.driver_id, 'filler ' || n, '', v.functions, v.created_at, '', 0 \
         FROM numbers, driver_versions v",
    )
    .await;
    let body = json!({"author": "a", "name": "b", "tags": ["2"], "script": version(2)});
    let error = hub.post("drivers", &body).await.refused(400);
    assert!(error.contains("has 1000 versions already"), "{error}");
    // Nothing of a refused push is left, and what is there can still be tagged.
    let driver = hub.get("drivers/a/b").await.ok();
    assert_eq!(driver["tags"].as_array().unwrap().len(), 1);
    assert_eq!(hub.pushed("2", 1).await, kept);
    hub.sql("DELETE FROM driver_versions WHERE digest = 'filler 7'")
        .await;
    hub.post("drivers", &body).await.created();
}

async fn devices_follow_a_tag_forth_and_back(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    let first = hub.pushed("1", 1).await;
    let second = hub.pushed("next", 2).await;
    hub.device("d", &connection, EUI, json!({"driver": "a/b:1"}))
        .await;
    assert_eq!(hub.decoded_by(&connection, "d", EUI).await, 1);
    hub.point("1", &second).await;
    assert_eq!(hub.decoded_by(&connection, "d", EUI).await, 2);
    hub.point("1", &first).await;
    assert_eq!(
        hub.decoded_by(&connection, "d", EUI).await,
        1,
        "rolled back"
    );
    hub.pushed("1", 3).await;
    assert_eq!(hub.decoded_by(&connection, "d", EUI).await, 3);

    // Without a tag, `latest` is meant.
    let error = hub
        .put("devices/d", &json!({"driver": "a/b"}))
        .await
        .refused(400);
    assert_eq!(error, "driver: there is no driver a/b:latest");
    hub.point("latest", &second).await;
    let addresses = json!({"connections": [
        {"network_connection_id": connection.id, "network_device_id": EUI}]});
    hub.put(
        "devices/d",
        &json!({"driver": "a/b", "connectivity": addresses}),
    )
    .await
    .ok();
    assert_eq!(hub.decoded_by(&connection, "d", EUI).await, 2);
    hub.point("latest", &first).await;
    assert_eq!(hub.decoded_by(&connection, "d", EUI).await, 1);
}

async fn a_pinned_device_stays_with_its_version(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    let first = hub.pushed("1", 1).await;
    let reference = format!("a/b@{first}");
    let made = hub
        .device("d", &connection, EUI, json!({"driver": reference}))
        .await;
    assert_eq!(made["driver"], reference);
    hub.pushed("1", 2).await;
    assert_eq!(hub.decoded_by(&connection, "d", EUI).await, 1);
    hub.delete("drivers/a/b/tags/1").await.ok();
    assert_eq!(hub.decoded_by(&connection, "d", EUI).await, 1);
    // Whatever is stored as a device's driver is as long as the longest names.
    let long = "x".repeat(63);
    let driver = hub.push(&format!("{long}/{long}"), "1", &version(9)).await;
    let digest = driver["tags"][0]["digest"].as_str().unwrap();
    let pinned = json!({"id": "f", "driver": format!("{long}/{long}@{digest}")});
    hub.post("devices", &pinned).await.created();
}

async fn a_tag_remembers_where_it_pointed(database: Database) {
    let mut hub = Hub::start(database).await;
    let first = hub.pushed("1", 1).await;
    hub.pushed("1", 1).await;
    let second = hub.pushed("1", 2).await;
    hub.user("ada", "editor").await;
    let admin = std::mem::take(&mut hub.token);
    hub.token = hub.log_in("ada", crate::support::server::PASSWORD).await;
    let moved_at = async || hub.get("drivers/a/b/tags/1").await.ok()["updated_at"].clone();
    let before = moved_at().await;
    hub.point("1", &first).await;
    let after = moved_at().await;
    assert!(before.as_str() < after.as_str(), "{before} {after}");
    hub.token = admin;
    hub.delete("drivers/a/b/tags/1").await.ok();
    let history = "drivers/a/b/tags/1/history";
    let moves = hub.list(history).await;
    let told: Vec<(Value, Value, Value)> = moves
        .iter()
        .map(|one| {
            (
                one["revision"].clone(),
                one["digest"].clone(),
                one["moved_by"].clone(),
            )
        })
        .collect();
    let admin = json!("admin");
    assert_eq!(
        told,
        [
            (json!(4), Value::Null, admin.clone()),
            (json!(3), json!(first), json!("ada")),
            (json!(2), json!(second), admin.clone()),
            (json!(1), json!(first), admin),
        ]
    );
    assert!(moves[1]["moved_at"].as_str() > before.as_str());
    let times: Vec<_> = moves.iter().map(|one| one["moved_at"].as_str()).collect();
    assert!(
        times.is_sorted_by(|later, earlier| later > earlier),
        "{times:?}"
    );
    let page = hub.get(&format!("{history}?limit=3")).await.ok();
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = hub.list(&format!("{history}?cursor={cursor}")).await;
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0]["revision"], 1);
    hub.get("drivers/a/b/tags/2/history").await.refused(404);
    hub.get("drivers/a/c/tags/1/history").await.refused(404);

    // A recreated driver continues the count of revisions, so an old ETag never matches again.
    assert_eq!(hub.point("1", &second).await["revision"], 5);
}

async fn a_tag_moves_only_as_its_client_has_seen_it(database: Database) {
    let hub = Hub::start(database).await;
    let first = hub.pushed("1", 1).await;
    let second = hub.pushed("2", 2).await;
    let path = "drivers/a/b/tags/1";
    let etag = |answer: crate::support::server::Answer| {
        answer.headers["etag"].to_str().unwrap().to_owned()
    };
    let seen = etag(hub.get(path).await);
    let seeing = |method: Method, seen: &str| {
        let request = hub.request(method, path).bearer_auth(&hub.token);
        request.header("If-Match", seen)
    };
    let point = async |seen: &str, digest: &str| {
        let request = seeing(Method::PUT, seen);
        hub.answer(request.with_json(&json!({"digest": digest})))
            .await
    };
    let delete = async |seen: &str| hub.answer(seeing(Method::DELETE, seen)).await;
    let now = etag(point(&seen, &second).await);
    assert_ne!(now, seen);
    let error = point(&seen, &first).await.refused(400);
    assert!(error.starts_with("header If-Match: "), "{error}");
    delete(&seen).await.refused(400);
    assert_eq!(hub.get(path).await.ok()["digest"], second);
    // The other tag, and the driver itself, have revisions of their own.
    hub.point("2", &first).await;
    assert_eq!(etag(hub.get(path).await), now);
    delete(&now).await.ok();
    point(&now, &first).await.refused(400);
    hub.get(path).await.refused(404);
}

async fn what_is_used_is_counted_and_stays(database: Database) {
    let hub = Hub::start(database).await;
    let first = hub.pushed("1", 1).await;
    let second = hub.pushed("latest", 2).await;
    // Neither of them is the driver that is asked for.
    for other in ["A/b", "a/bc", "x/b"] {
        hub.push(other, "1", &version(1)).await;
    }
    let pinned = format!("a/b@{first}");
    for (id, driver) in [
        ("d1", "a/b:1"),
        ("d2", "a/b:1"),
        ("d3", "a/b"),
        ("d4", "a/b:latest"),
        ("d5", &pinned),
        ("d6", "A/b:1"),
        ("d7", "a/bc:1"),
        ("d8", "x/b:1"),
    ] {
        let body = json!({"id": id, "driver": driver});
        hub.post("devices", &body).await.created();
    }
    let used = hub.list("drivers/a/b/usage").await;
    let expected = [
        ("a/b:1".to_owned(), &first, 2, vec!["d1", "d2"]),
        ("a/b:latest".to_owned(), &second, 2, vec!["d3", "d4"]),
        (pinned.clone(), &first, 1, vec!["d5"]),
    ];
    assert_eq!(used.len(), expected.len(), "{used:?}");
    for (found, (reference, digest, count, ids)) in used.iter().zip(expected) {
        assert_eq!(found["reference"], reference);
        assert_eq!(found["digest"], **digest);
        assert_eq!(found["devices"], count);
        let devices = hub.list(found["devices_path"].as_str().unwrap()).await;
        let found: Vec<&str> = devices.iter().map(|d| d["id"].as_str().unwrap()).collect();
        assert_eq!(found, ids, "{reference}");
    }
    let page = hub.get("drivers/a/b/usage?limit=2").await.ok();
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = hub
        .list(&format!("drivers/a/b/usage?cursor={cursor}"))
        .await;
    assert_eq!(rest[0]["reference"], pinned);
    assert_eq!(hub.list("devices?driver=a/b").await.len(), 5);

    let counts = async |path: &str, count: u32| {
        let error = hub.delete(path).await.refused(400);
        let expected = format!("is in use by {count} device(s)");
        assert!(error.contains(&expected), "{path}: {error}");
    };
    counts("drivers/a/b", 5).await;
    counts("drivers/a/b/tags/1", 2).await;
    counts("drivers/a/b/tags/latest", 2).await;
    counts(&format!("drivers/a/b/versions/{first}"), 3).await;
    counts(&format!("drivers/a/b/versions/{second}"), 2).await;
    hub.point("1", &second).await;
    counts(&format!("drivers/a/b/versions/{first}"), 1).await;
    hub.delete("devices/d5").await.ok();
    hub.delete(&format!("drivers/a/b/versions/{first}"))
        .await
        .ok();
    for id in ["d1", "d2", "d3", "d4"] {
        hub.delete(&format!("devices/{id}")).await.ok();
    }
    assert!(hub.list("drivers/a/b/usage").await.is_empty());
    hub.delete("drivers/a/b").await.ok();
    hub.get("drivers/a/b/usage").await.refused(404);
}

async fn references_that_are_none_are_refused(database: Database) {
    let hub = Hub::start(database).await;
    hub.pushed("1", 1).await;
    let error = hub.get("devices?driver=a/b@sha256:1").await.refused(400);
    assert!(error.starts_with("driver: must read "), "{error}");
    for (field, value) in [("author", "日本"), ("name", "sensör"), ("tags", "ß")] {
        let mut body = json!({"author": "a", "name": "b", "tags": ["1"], "script": version(1)});
        body[field] = if field == "tags" {
            json!([value])
        } else {
            json!(value)
        };
        let error = hub.post("drivers", &body).await.refused(400);
        assert!(error.starts_with(field), "{error}");
        assert!(error.contains("must be letters, digits"), "{error}");
    }
}

async fn changes_are_in_the_audit_log(database: Database) {
    let hub = Hub::start(database).await;
    let first = hub.pushed("1", 1).await;
    let second = hub.pushed("2", 2).await;
    hub.point("1", &second).await;
    hub.point("new", &second).await;
    hub.delete("drivers/a/b/tags/new").await.ok();
    hub.delete(&format!("drivers/a/b/versions/{first}"))
        .await
        .ok();
    let log = hub.list("audit-log?resource=drivers&resource_id=a/b").await;
    let told: Vec<(&str, &Value, &Value)> = log
        .iter()
        .map(|entry| {
            (
                entry["action"].as_str().unwrap(),
                &entry["before"],
                &entry["after"],
            )
        })
        .collect();
    let at = |tag: &str, digest: &str| json!({"tag": tag, "digest": digest});
    assert_eq!(told[0].0, "delete_driver_version");
    assert_eq!(told[0].1["digest"], first);
    assert_eq!(told[1].0, "delete_driver_tag");
    assert_eq!(told[1].1, &at("new", &second));
    assert_eq!(
        told[2],
        ("update_driver_tag", &Value::Null, &at("new", &second))
    );
    assert_eq!(
        told[3],
        ("update_driver_tag", &at("1", &first), &at("1", &second))
    );
    assert_eq!(told[5].0, "create_driver");
    let pushed = json!([{"digest": first, "tags": ["1"]}]);
    assert_eq!(told[5].2["versions"], pushed);
}
