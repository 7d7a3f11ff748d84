//! Statuses that end a downlink, and those after which it is tried again. They come from docs/downlinks.md.

use regex::Regex;
use serde_json::{Value, json};

use crate::{
    repository,
    support::{
        database::{Database, on_both_databases},
        network_server::NetworkServer,
        server::Hub,
    },
};

on_both_databases!(the_documented_statuses_are_final_and_no_others);

const STATUSES: [u16; 20] = [
    400, 401, 403, 404, 405, 406, 408, 409, 410, 412, 413, 415, 422, 425, 429, 500, 501, 502, 503,
    504,
];

/// The statuses that the page calls final.
fn documented() -> Vec<u16> {
    let page = std::fs::read_to_string(repository("docs/downlinks.md")).unwrap();
    let page = page.split_whitespace().collect::<Vec<&str>>().join(" ");
    let sentence = Regex::new(r"The responses ([^.]*) are final").unwrap();
    let sentence = sentence.captures(&page).unwrap()[1].to_owned();
    let number = Regex::new(r"\d{3}").unwrap();
    let found = number.find_iter(&sentence);
    found.map(|found| found.as_str().parse().unwrap()).collect()
}

async fn the_documented_statuses_are_final_and_no_others(database: Database) {
    let is_final = documented();
    assert!(is_final.len() > 2, "{is_final:?}");
    let flags = [
        "--outgoing-allow",
        "127.0.0.0/8",
        "--downlink-schedule-s",
        "0",
    ];
    let (hub, connection) = Hub::with_device(database, &flags).await;
    for status in STATUSES {
        // A success would follow.
        let server = NetworkServer::start(vec![(Some(status), json!({"message": "says why"}))]);
        let server = server.await;
        let settings = json!({"type": "http", "method": "POST", "url": server.url});
        hub.sends_downlinks(&connection, &settings).await;
        let body = json!({"payload_hex": "beef", "f_port": 15});
        let queued = hub.post("devices/d/downlinks", &body).await.created();
        if is_final.contains(&status) {
            let failed = hub.downlink_gets(&queued, "failed").await;
            assert_eq!(failed["attempts"], 1, "{status}: {failed}");
            assert_eq!(failed["last_status"], status, "{failed}");
            let error = failed["last_error"].as_str().unwrap();
            assert!(error.contains("says why"), "{status}: {error}");
        } else {
            let sent = hub.downlink_gets(&queued, "sent").await;
            assert_eq!(sent["attempts"], 2, "{status}: {sent}");
            assert_eq!(sent["last_error"], Value::Null, "{status}: {sent}");
        }
    }
}
