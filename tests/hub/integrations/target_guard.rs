//! Addresses that targets may not reach, and harm that they may not do to the hub.

use nix::sys::signal::Signal;
use serde_json::json;

use crate::{
    eventually,
    support::{
        database::{Database, on_both_databases},
        server::{EUI, Hub},
        sink::{Cue, Sink},
    },
};

on_both_databases!(
    redirects_are_not_followed_wherever_they_lead,
    no_spelling_of_a_private_address_is_reached,
    an_authorization_server_is_guarded_too,
    an_answer_without_end_is_cut_off,
    an_answer_that_does_not_come_ends_the_attempt,
);

/// Settings of a hub that tries once.
const ONCE: [&str; 2] = ["--delivery-schedule-s", ""];
const TO_HERE: [&str; 4] = [
    "--outgoing-allow",
    "127.0.0.1/32",
    "--delivery-schedule-s",
    "",
];

/// The error of the only delivery of an integration, once it is dead.
async fn error(hub: &Hub, integration: i64) -> String {
    let path = format!("integrations/{integration}/deliveries?state=dead");
    let dead = eventually("it is dead", async || {
        hub.list(&path).await.into_iter().next()
    })
    .await;
    dead["last_error"].as_str().unwrap().to_owned()
}

async fn redirects_are_not_followed_wherever_they_lead(database: Database) {
    let (hub, connection) = Hub::with_device(database, &TO_HERE).await;
    let inside = Sink::willing().await;
    let to_inside: &'static str = Box::leak(inside.url.clone().into_boxed_str());
    for (name, to) in [
        ("metadata", "http://169.254.169.254/latest/meta-data/"),
        ("elsewhere", "http://10.0.0.1/"),
        // Even to where it might go itself: the target is what was provisioned.
        ("here", to_inside),
    ] {
        let sink = Sink::start(&[], Cue::Redirect(307, to)).await;
        let id = hub.integration(name, "", &sink.url).await;
        hub.uplink(&connection, EUI).await;
        let error = error(&hub, id).await;
        assert!(error.contains("redirects are not followed"), "{error}");
        hub.delete(&format!("integrations/{id}")).await.ok();
    }
    assert!(inside.received().is_empty());
}

/// Starts the hub again, whose operator allows less than when the integrations were made: what is stored is checked
/// once more at each delivery.
async fn allow_only(hub: &mut Hub, flags: &[&str]) {
    hub.end(Signal::SIGTERM).await;
    hub.start_again_with(flags).await;
}

async fn no_spelling_of_a_private_address_is_reached(database: Database) {
    let all = ["--outgoing-allow", "0.0.0.0/8,127.0.0.0/8,::1"];
    let all = [ONCE, all].concat();
    let (mut hub, connection) = Hub::with_device(database, &all).await;
    let sink = Sink::willing().await;
    let port = url::Url::parse(&sink.url).unwrap().port().unwrap();
    let mut made = Vec::new();
    for (index, host) in [
        "localhost",
        "localhost.",
        "127.1",
        "2130706433",
        "0x7f000001",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
    ]
    .into_iter()
    .enumerate()
    {
        let url = format!("http://{host}:{port}/");
        let id = hub.integration(&format!("i{index}"), "", &url).await;
        made.push((host, id));
    }
    allow_only(&mut hub, &ONCE).await;
    hub.uplink(&connection, EUI).await;
    for (host, id) in made {
        let error = error(&hub, id).await;
        // Not every system's resolver knows the rooted name at all.
        let is_unknown = host == "localhost." && error.contains("failed to lookup");
        assert!(
            error.contains("outgoing_allow") || is_unknown,
            "{host}: {error}"
        );
        hub.delete(&format!("integrations/{id}")).await.ok();
    }
    assert!(sink.received().is_empty());
}

async fn an_authorization_server_is_guarded_too(database: Database) {
    let all = ["--outgoing-allow", "127.0.0.1/32,169.254.0.0/16"];
    let all = [ONCE, all].concat();
    let (mut hub, connection) = Hub::with_device(database, &all).await;
    let sink = Sink::willing().await;
    let auth = json!({"type": "oauth2_client_credentials", "client_id": "a",
        "client_secret": "b", "token_url": "http://169.254.169.254/token"});
    let body = json!({"name": "erp", "selector": "",
        "target": {"type": "http", "url": sink.url, "auth": auth}});
    let id = hub.post("integrations", &body).await.created()["id"].as_i64();
    allow_only(&mut hub, &TO_HERE).await;
    hub.uplink(&connection, EUI).await;
    let error = error(&hub, id.unwrap()).await;
    assert!(error.contains("outgoing_allow"), "{error}");
    assert!(sink.received().is_empty());
}

async fn an_answer_without_end_is_cut_off(database: Database) {
    let (hub, connection) = Hub::with_device(database, &TO_HERE).await;
    let sink = Sink::start(&[], Cue::Endless).await;
    let id = hub.integration("erp", "", &sink.url).await;
    hub.uplink(&connection, EUI).await;
    let path = format!("integrations/{id}/deliveries?state=delivered");
    eventually("it is delivered", async || {
        hub.list(&path).await.into_iter().next()
    })
    .await;
    assert_eq!(sink.received().len(), 1);
}

async fn an_answer_that_does_not_come_ends_the_attempt(database: Database) {
    let (hub, connection) = Hub::with_device(
        database,
        &[&TO_HERE[..], &["--delivery-timeout-s", "1"]].concat(),
    )
    .await;
    let sink = Sink::start(&[], Cue::Hang).await;
    let id = hub.integration("erp", "", &sink.url).await;
    hub.uplink(&connection, EUI).await;
    let error = error(&hub, id).await;
    assert!(error.contains("no answer in 1 seconds"), "{error}");
}
