//! The target `file`: lines on the hub's own disk, below the operator's folder and nowhere else.

use serde_json::{Value, json};

use crate::{
    eventually,
    support::{
        database::{Database, on_both_databases},
        messages,
        server::{Hub, PASSWORD},
    },
};

on_both_databases!(
    each_message_is_a_line_of_its_day,
    without_the_operators_folder_there_is_no_such_target,
);

async fn each_message_is_a_line_of_its_day(database: Database) {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--file-targets-dir", folder.path().to_str().unwrap()];
    let mut hub = Hub::start_with(database, &flags).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, "AA00000000000001", json!({}))
        .await;
    for bad in ["../erp", "a/b", ".erp", "", "a.b"] {
        let body = json!({"name": "f", "selector": "", "target": {"type": "file", "folder": bad}});
        hub.post("integrations", &body).await.refused(400);
    }
    let body = json!({"name": "f", "selector": "", "target": {"type": "file", "folder": "erp"}});
    let made = hub.post("integrations", &body).await.created();
    assert_eq!(made["target"], json!({"type": "file", "folder": "erp"}));
    let mut days = std::collections::BTreeSet::new();
    for _ in 0..3 {
        hub.uplink(&connection, "AA00000000000001").await;
    }
    let path = format!("integrations/{}/deliveries?state=delivered", made["id"]);
    let delivered = eventually("all are written down", async || {
        Some(hub.list(&path).await).filter(|found| found.len() == 3)
    })
    .await;
    for delivery in delivered {
        days.insert(delivery["created_at"].as_str().unwrap()[..10].to_owned());
    }
    let mut lines = 0;
    for day in days {
        let file = folder.path().join(format!("tenant-1/erp/{day}.ndjson"));
        let text = std::fs::read_to_string(file).unwrap();
        assert!(text.ends_with('\n'));
        for line in text.lines() {
            let message = messages::checked(line);
            assert_eq!(message["uplink_metadata"]["id"], "d");
            lines += 1;
        }
    }
    assert_eq!(lines, 3);

    // A template may have several lines. Its message has one.
    let template = "{\"device\":\n{{ uplink_metadata.id }}}";
    let payload =
        json!({"type": "template", "template": template, "content_type": "application/json"});
    let body = json!({"name": "lines", "selector": "", "payload": payload,
        "target": {"type": "file", "folder": "lines"}});
    let made = hub.post("integrations", &body).await.created();
    hub.uplink(&connection, "AA00000000000001").await;
    let path = format!("integrations/{}/deliveries?state=delivered", made["id"]);
    eventually("it is written down", async || {
        hub.list(&path).await.into_iter().next()
    })
    .await;
    let files = std::fs::read_dir(folder.path().join("tenant-1/lines")).unwrap();
    let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let text = std::fs::read_to_string(&files[0]).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    let message: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(message, json!({"device": "d"}));

    // Each tenant has a folder of its own.
    let tenant = hub.tenant("other").await["id"].clone();
    hub.token = hub.log_in("other", PASSWORD).await;
    let body = json!({"name": "f", "selector": "", "target": {"type": "file", "folder": "theirs"}});
    let made = hub.post("integrations", &body).await.created();
    let test = format!("integrations/{}/test", made["id"]);
    let tested = hub.post(&test, &json!({})).await.ok();
    assert_eq!(tested["is_delivered"], true, "{tested}");
    let theirs = folder.path().join(format!("tenant-{tenant}/theirs"));
    assert!(theirs.is_dir(), "{}", theirs.display());
}

async fn without_the_operators_folder_there_is_no_such_target(database: Database) {
    let hub = Hub::start(database).await;
    let body = json!({"name": "f", "selector": "", "target": {"type": "file", "folder": "erp"}});
    let error = hub.post("integrations", &body).await.refused(400);
    assert!(error.starts_with("target.type: file requires"), "{error}");
}
