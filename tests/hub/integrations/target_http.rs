//! The target `http`: method, headers, the ways to show who one is, and signatures.

use serde_json::{Value, json};

use crate::{
    eventually,
    support::{
        database::{Database, on_both_databases},
        server::{Connection, EUI, Hub},
        sink::{Cue, Received, Sink},
    },
};

on_both_databases!(
    a_request_is_as_it_was_asked_for,
    each_way_to_show_who_one_is,
    a_token_is_fetched_once_and_renewed_when_it_is_refused,
    a_token_is_asked_for_as_its_server_wants_it,
    messages_are_signed_by_the_standard_webhooks_scheme,
    a_secret_that_is_not_given_again_stays,
    what_a_receiver_repeats_is_kept_without_the_secrets,
);

const TO_HERE: [&str; 4] = [
    "--outgoing-allow",
    "127.0.0.0/8",
    "--delivery-schedule-s",
    "0,0,0",
];

/// An integration with a target that goes to the sink; `more` adds members to the target.
fn integration(sink: &Sink, more: Value) -> Value {
    let mut target = json!({"type": "http", "url": sink.url});
    for (name, value) in more.as_object().unwrap() {
        target[name] = value.clone();
    }
    json!({"name": "erp", "selector": "", "target": target})
}

/// Sends one uplink and returns what the sink received.
async fn one(hub: &Hub, connection: &Connection, sink: &Sink) -> Received {
    let before = sink.received().len();
    hub.uplink(connection, EUI).await;
    sink.gets(before + 1).await.swap_remove(before)
}

async fn a_request_is_as_it_was_asked_for(database: Database) {
    let (hub, connection) = Hub::with_device(database, &TO_HERE).await;
    let sink = Sink::willing().await;
    let headers = json!([{"name": "X-Tenant", "value": "a b"}, {"name": "x-tenant", "value": "c"}]);
    let more = json!({"method": "put", "headers": headers});
    let made = hub
        .post("integrations", &integration(&sink, more))
        .await
        .created();
    assert_eq!(made["target"]["method"], "put");
    assert_eq!(made["target"]["headers"], headers);
    assert_eq!(made["target"]["auth"], json!({"type": "none"}));
    assert_eq!(made["payload"], json!({"type": "native"}));
    let received = one(&hub, &connection, &sink).await;
    assert_eq!(received.method, "PUT");
    assert_eq!(received.header("content-type"), "application/json");
    let values: Vec<&str> = received
        .headers
        .get_all("x-tenant")
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect();
    assert_eq!(values, ["a b", "c"]);
    let own = concat!("thingshub/", env!("CARGO_PKG_VERSION"));
    assert_eq!(received.header("user-agent"), own);
    let named = json!({"headers": [{"name": "User-Agent", "value": "erp 1"}]});
    hub.put(
        &format!("integrations/{}", made["id"]),
        &integration(&sink, named),
    )
    .await
    .ok();
    let received = one(&hub, &connection, &sink).await;
    assert_eq!(received.header("user-agent"), "erp 1");
}

async fn each_way_to_show_who_one_is(database: Database) {
    let (hub, connection) = Hub::with_device(database, &TO_HERE).await;
    let sink = Sink::willing().await;
    let id = hub.integration("erp", "", &sink.url).await;
    for (more, header, expected) in [
        (
            json!({"auth": {"type": "basic", "username": "Aladdin", "password": "open sesame"}}),
            "authorization",
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        ),
        (
            json!({"auth": {"type": "bearer", "token": "s3cr3t"}}),
            "authorization",
            "Bearer s3cr3t",
        ),
        (
            json!({"auth": {"type": "header", "name": "X-Api-Key", "value": "s3cr3t"}}),
            "x-api-key",
            "s3cr3t",
        ),
        (
            json!({"authorization": "Own s3cr3t"}),
            "authorization",
            "Own s3cr3t",
        ),
    ] {
        let body = integration(&sink, more);
        let view = hub.put(&format!("integrations/{id}"), &body).await.ok();
        for secret in ["s3cr3t", "sesame"] {
            assert!(!view.to_string().contains(secret), "{view}");
        }
        let received = one(&hub, &connection, &sink).await;
        assert_eq!(received.header(header), expected);
    }
}

async fn a_token_is_fetched_once_and_renewed_when_it_is_refused(database: Database) {
    let (hub, connection) = Hub::with_device(database, &TO_HERE).await;
    let grants = [
        Cue::Json(
            200,
            r#"{"access_token": "one", "token_type": "Bearer", "expires_in": 3600}"#,
        ),
        Cue::Json(
            200,
            r#"{"access_token": "two", "token_type": "Bearer", "expires_in": 3600}"#,
        ),
    ];
    let giver = Sink::start(&grants, Cue::Json(400, r#"{"error": "invalid_client"}"#)).await;
    // The third message finds the token withdrawn, and so does every attempt after the fifth.
    let cues = [200, 200, 401, 200].map(Cue::Status);
    let sink = Sink::start(&cues, Cue::Status(401)).await;
    let auth = json!({"type": "oauth2_client_credentials", "token_url": giver.url,
        "client_id": "hub", "client_secret": "a:b", "scope": "iot.write"});
    let body = integration(&sink, json!({"auth": auth}));
    let id = hub.post("integrations", &body).await.created()["id"].clone();
    for expected in ["Bearer one", "Bearer one"] {
        let received = one(&hub, &connection, &sink).await;
        assert_eq!(received.header("authorization"), expected);
    }
    assert_eq!(giver.received().len(), 1);
    hub.uplink(&connection, EUI).await;
    let received = sink.gets(4).await;
    assert_eq!(received[2].header("authorization"), "Bearer one");
    assert_eq!(received[3].header("authorization"), "Bearer two");
    assert_eq!(
        received[2].header("webhook-id"),
        received[3].header("webhook-id")
    );
    let asked = giver.received();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].header("authorization"), "Basic aHViOmElM0Fi");
    assert_eq!(
        asked[0].text,
        "grant_type=client_credentials&scope=iot.write"
    );
    hub.uplink(&connection, EUI).await;
    let path = format!("integrations/{id}/deliveries?state=dead");
    let dead = eventually("no token can be had", async || {
        hub.list(&path).await.into_iter().next()
    })
    .await;
    let error = dead["last_error"].as_str().unwrap();
    assert!(
        error.contains("authorization server") && error.contains("invalid_client"),
        "{error}"
    );
}

async fn a_token_is_asked_for_as_its_server_wants_it(database: Database) {
    let (hub, connection) = Hub::with_device(database, &TO_HERE).await;
    // The first token is over at once, and some servers write numbers as text.
    let grants = [
        Cue::Json(200, r#"{"access_token": "one", "expires_in": "0"}"#),
        Cue::Json(200, r#"{"access_token": "two"}"#),
    ];
    let giver = Sink::start(&grants, Cue::Status(500)).await;
    let sink = Sink::willing().await;
    let auth = json!({"type": "oauth2_client_credentials", "token_url": giver.url,
        "client_id": "hub", "client_secret": "a:b", "audience": "https://iot.example.com/",
        "client_authentication": "body"});
    let body = integration(&sink, json!({"auth": auth}));
    hub.post("integrations", &body).await.created();
    for expected in ["Bearer one", "Bearer two", "Bearer two"] {
        let received = one(&hub, &connection, &sink).await;
        assert_eq!(received.header("authorization"), expected);
    }
    let asked = giver.received();
    assert_eq!(asked.len(), 2);
    for asked in asked {
        assert_eq!(asked.header("authorization"), "");
        assert_eq!(
            asked.text,
            "grant_type=client_credentials&audience=https%3A%2F%2Fiot.example.com%2F\
             &client_id=hub&client_secret=a%3Ab"
        );
    }
}

async fn messages_are_signed_by_the_standard_webhooks_scheme(database: Database) {
    let (hub, connection) = Hub::with_device(database, &TO_HERE).await;
    let sink = Sink::willing().await;
    let given = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let body = integration(&sink, json!({"signing_secret": given}));
    let made = hub.post("integrations", &body).await.created();
    assert_eq!(made["target"]["has_signing_secret"], true);
    assert!(!made.to_string().contains("whsec_"), "{made}");
    let verify = |received: &Received, secret: &str| {
        let webhook = standardwebhooks::Webhook::new(secret).unwrap();
        webhook.verify(received.text.as_bytes(), &received.headers)
    };
    let received = one(&hub, &connection, &sink).await;
    verify(&received, given).unwrap();

    let key = format!("integrations/{}/key", made["id"]);
    let renewed = hub.post(&key, &json!({})).await.created();
    let own = renewed["key"].as_str().unwrap();
    let received = one(&hub, &connection, &sink).await;
    verify(&received, own).unwrap();
    assert!(verify(&received, given).is_err());

    let path = format!("integrations/{}", made["id"]);
    let body = integration(&sink, json!({"sign": false}));
    let view = hub.put(&path, &body).await.ok();
    assert_eq!(view["target"]["has_signing_secret"], false);
    let received = one(&hub, &connection, &sink).await;
    assert_eq!(received.header("webhook-signature"), "");
}

async fn a_secret_that_is_not_given_again_stays(database: Database) {
    let (hub, connection) = Hub::with_device(database, &TO_HERE).await;
    let sink = Sink::willing().await;
    let with = |auth: Value| integration(&sink, json!({"auth": auth}));
    let refused = hub
        .post("integrations", &with(json!({"type": "bearer"})))
        .await
        .refused(400);
    assert_eq!(refused, "target.auth.token: is required");
    let first = with(json!({"type": "bearer", "token": "one"}));
    let made = hub.post("integrations", &first).await.created();
    let path = format!("integrations/{}", made["id"]);
    hub.put(&path, &with(json!({"type": "bearer"}))).await.ok();
    let received = one(&hub, &connection, &sink).await;
    assert_eq!(received.header("authorization"), "Bearer one");
    let other = with(json!({"type": "basic", "username": "u"}));
    let refused = hub.put(&path, &other).await.refused(400);
    assert_eq!(refused, "target.auth.password: is required");
    // A secret that nothing asks for any more is gone.
    hub.put(&path, &with(json!({"type": "none"}))).await.ok();
    let again = with(json!({"type": "bearer"}));
    let refused = hub.put(&path, &again).await.refused(400);
    assert_eq!(refused, "target.auth.token: is required");
}

async fn what_a_receiver_repeats_is_kept_without_the_secrets(database: Database) {
    let (hub, connection) = Hub::with_device(database, &TO_HERE).await;
    // `me:pass word` in base64, as the header has it. All that is of a secret holds one of these.
    let echo = concat!(
        r#"{"you said": "s3cr3t/tok+en", "or": "bWU6cGFzcyB3b3Jk", "meaning": "pass word", "#,
        r#""json": "s3cr3t\/tok\u002ben", "url": "s3cr3t%2Ftok%2Ben", "html": "s3cr3t&#47;tok&plus;en", "#,
        r#""all": "s3cr3t\\\/tok%2Ben", "case": "S3CR3T/TOK+EN", "hex": "7333637233742f746f6b2b656e", "#,
        r#""base64": "eyJzM2NyM3QvdG9rK2VuIn0=", "form": "pass+word", "code": "pass\u0020word"}"#,
    );
    let sink = Sink::start(&[], Cue::Json(400, echo)).await;
    let bearer = json!({"auth": {"type": "bearer", "token": "s3cr3t/tok+en"}});
    let basic = json!({"auth": {"type": "basic", "username": "me", "password": "pass word"}});
    let grant = Cue::Json(200, r#"{"access_token": "s3cr3t/tok+en"}"#);
    let giver = Sink::start(&[], grant).await;
    let oauth2 = json!({"auth": {"type": "oauth2_client_credentials", "token_url": giver.url,
        "client_id": "hub", "client_secret": "other words"}});
    let of_bearer = [
        "s3cr3t", "s3cr3", "733363", "c2VjcmV0", "NyM3Q", "tok", "plus;en",
    ];
    let of_basic = ["bWU6cGFzcyB3b3Jk", "pass", "word"];
    for (name, auth, secrets) in [
        ("bearer", bearer, &of_bearer[..]),
        ("basic", basic, &of_basic),
        ("oauth2", oauth2, &of_bearer),
    ] {
        let mut body = integration(&sink, auth);
        body["name"] = name.into();
        let made = hub.post("integrations", &body).await.created();
        let path = format!("integrations/{}", made["id"]);
        let tested = hub.post(&format!("{path}/test"), &json!({})).await.ok();
        hub.uplink(&connection, EUI).await;
        let dead = eventually("it is dead", async || {
            let found = hub.list(&format!("{path}/deliveries?state=dead")).await;
            found.into_iter().next()
        })
        .await;
        for answer in [&tested["answer"], &dead["last_answer"]] {
            let answer = answer.as_str().unwrap();
            assert!(answer.contains("***"), "{answer}");
            for secret in secrets {
                assert!(
                    !answer.to_lowercase().contains(&secret.to_lowercase()),
                    "{secret}: {answer}"
                );
            }
        }
        hub.delete(&path).await.ok();
    }
}
