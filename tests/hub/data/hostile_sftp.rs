//! Scheduled exports to SFTP servers that are none: whatever they answer, the run's log says what is wrong within a
//! bounded time, no connection and no memory stays behind, and no file has the final name that is not whole.

use serde_json::{Value, json};

use crate::{
    eventually,
    support::{
        database::{Database, on_both_databases},
        exports::{add_rows, body, latest, numbers, reached, table},
        hostile_sftp::{HostileSftp, Mood, USER_PASSWORD},
        server::{Hub, MEMORY_MAX_KIB},
    },
};

on_both_databases!(
    each_fault_of_a_server_is_named_and_nothing_stays,
    a_renaming_without_an_answer_leaves_one_file,
);

const FLAGS: [&str; 6] = [
    "--outgoing-allow",
    "127.0.0.0/8",
    "--export-schedule-s",
    "3600",
    "--export-timeout-s",
    "1",
];
const MANY: u32 = 20_000;

async fn hub_with_rows(database: Database) -> (Hub, String) {
    let hub = Hub::start_with(database, &FLAGS).await;
    let columns = json!([{"path": "n", "type": "number"}]);
    let table = table(&hub, "t", columns).await;
    add_rows(&hub, &table, 3, MANY).await;
    (hub, table)
}

async fn begun(hub: &Hub, table: &str, name: &str, server: &HostileSftp) -> String {
    let exports = format!("{table}/scheduled-exports");
    let body = body(name, &server.target(), json!({}));
    let made = hub.post(&exports, &body).await.created();
    let export = format!("{exports}/{}", made["id"]);
    hub.post(&format!("{export}/runs"), &json!({}))
        .await
        .created();
    export
}

async fn each_fault_of_a_server_is_named_and_nothing_stays(database: Database) {
    let moods = [
        (Mood::StoresNothing, "the server has 0 of "),
        (Mood::EndlessBanner, "no connection: "),
        (Mood::Slow, "login: no answer within 1 seconds"),
        (Mood::HugeSshPacket, "no connection: "),
        (Mood::ClosedWindow, "login: no answer within 1 seconds"),
        (Mood::OldVersion, "the server offers version 2 of SFTP"),
        (Mood::WrongIds, "writing the file: no answer"),
        (Mood::EndlessPackets, "writing the file: no answer"),
        (Mood::HugePacket, "sent what is not SFTP"),
        (Mood::NoHandle, "the server has answered another question"),
        (Mood::LongHandle, "longer than the protocol allows"),
        (Mood::Closes, "the server has closed the session"),
        (Mood::RepeatsPassword, "*** is a fine password"),
        (Mood::NoRename, "there may be a file of this name"),
    ];
    let (hub, table) = hub_with_rows(database).await;
    let mut exports = Vec::new();
    for (mood, words) in moods {
        let server = HostileSftp::start(mood).await;
        let export = begun(&hub, &table, &format!("{mood:?}"), &server).await;
        exports.push((mood, words, server, export));
    }
    for (mood, words, server, export) in exports {
        let run = eventually(&format!("{mood:?} is noted"), async || {
            let runs = latest(&hub, &export).await;
            runs.into_iter().find(|run| run["error"].is_string())
        })
        .await;
        let error = run["error"].as_str().unwrap();
        assert!(error.contains(words), "{mood:?}: {error}");
        assert!(!error.contains(USER_PASSWORD), "{mood:?}: {error}");
        assert_eq!(
            (&run["state"], &run["attempts"]),
            (&json!("waiting"), &json!(1))
        );
        eventually(&format!("{mood:?}: the connection ends"), async || {
            (server.connections() == 0).then_some(())
        })
        .await;
        let files = server.files();
        let is_part = |name: &String| name.ends_with(".1.part");
        assert!(files.keys().all(is_part), "{mood:?}: {:?}", files.keys());
    }
    let peak = hub.peak_kib();
    assert!(peak < MEMORY_MAX_KIB, "{peak} KiB");
}

async fn a_renaming_without_an_answer_leaves_one_file(database: Database) {
    let (hub, table) = hub_with_rows(database).await;
    let server = HostileSftp::start(Mood::LostRename).await;
    let export = begun(&hub, &table, "e", &server).await;
    let waiting = eventually("the attempt has failed", async || {
        let runs = latest(&hub, &export).await;
        runs.into_iter().find(|run| run["error"].is_string())
    })
    .await;
    assert!(
        waiting["error"]
            .as_str()
            .unwrap()
            .contains("closed the session"),
        "{waiting}"
    );
    hub.post(&format!("{export}/runs"), &json!({}))
        .await
        .created();
    let done = reached(&hub, &export, 1, "succeeded").await;
    assert_eq!(
        (&done["attempts"], &done["error"]),
        (&json!(2), &Value::Null)
    );
    let files = server.files();
    assert_eq!(files.len(), 1, "{:?}", files.keys());
    let (name, content) = files.first_key_value().unwrap();
    assert_eq!(&done["file_name"], name);
    assert_eq!(numbers(content), (1..=MANY).collect::<Vec<_>>());
}
