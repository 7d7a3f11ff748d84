//! Reasons that every operation answers to what is wrong with a request as such, whatever its resource is.

use std::{collections::BTreeMap, time::Duration};

use futures_util::{StreamExt, stream};
use reqwest::Body;

use super::{Operation, demand, reason};
use crate::{
    contract::document::document,
    support::{database::Database, server::Hub},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_no_operation_takes_has_its_reason() {
    let flags = ["--body-max-bytes", "1000", "--import-max-bytes", "1000"];
    let hub = Hub::start_with(Database::Sqlite, &flags).await;
    let is_json = |operation: &Operation| operation.media_type() == Some("application/json");
    demand(&hub, "unexpected_body", &["unexpected_body"], |operation| {
        Some(operation.with_body(&hub, r#"{"unheard_of": 1}"#))
    })
    .await;
    demand(&hub, "malformed", &["malformed"], |operation| {
        is_json(operation).then(|| operation.with_body(&hub, "{"))
    })
    .await;
    demand(
        &hub,
        "unsupported_media_type",
        &["unsupported_media_type"],
        |operation| {
            let request = operation.request(&hub);
            Some(request.header("Content-Type", "image/png").body("{}"))
        },
    )
    .await;
    demand(&hub, "too_large", &["too_large"], |operation| {
        Some(operation.with_body(&hub, " ".repeat(20_000)))
    })
    .await;
    let incomplete = ["required", "unknown_member", "invalid"];
    demand(&hub, "unknown_member", &incomplete, |operation| {
        is_json(operation).then(|| operation.with_body(&hub, r#"{"unheard_of": 1}"#))
    })
    .await;
    demand(&hub, "required", &incomplete, |operation| {
        let schema = &operation.declared["requestBody"]["content"]["application/json"]["schema"];
        let name = schema["$ref"].as_str()?.rsplit('/').next()?.to_owned();
        let needs = &document()["components"]["schemas"][name]["required"];
        let needs = needs.as_array().is_some_and(|needs| !needs.is_empty());
        needs.then(|| operation.with_body(&hub, "{}"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_has_its_reason() {
    // A body may take half of the time of a request.
    let hub = Hub::start_with(Database::Sqlite, &["--request-timeout-s", "4"]).await;
    let operations = Operation::all();
    let never = || Body::wrap_stream(stream::pending::<std::io::Result<Vec<u8>>>());
    let sent = operations
        .iter()
        .filter(|operation| operation.lists("body_timeout"))
        .map(async |operation| {
            let answer = hub.answer(operation.with_body(&hub, never())).await;
            (operation.id(), reason(&answer).to_owned())
        });
    let answers: BTreeMap<&str, String> = stream::iter(sent).buffer_unordered(12).collect().await;
    assert!(answers.len() > 90, "{answers:?}");
    let others: Vec<_> = answers
        .iter()
        .filter(|(_, reason)| *reason != "body_timeout")
        // Few files are received at a time.
        .filter(|(id, reason)| !(id.contains("import") && *reason == "overloaded"))
        .collect();
    assert!(others.is_empty(), "{others:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_call_has_its_reason() {
    let hub = Hub::start(Database::Sqlite).await;
    let key = hub.api_key("expired", &["read"]).await;
    hub.sql("UPDATE api_keys SET expires_at = created_at").await;
    let with = |operation: &Operation, key: &str| {
        let request = hub.request(operation.method.clone(), &operation.path);
        Some(request.bearer_auth(key))
    };
    demand(&hub, "expired", &["expired"], |operation| {
        with(operation, &key)
    })
    .await;
    let keys = [
        hub.api_key("devices", &["devices:read"]).await,
        hub.api_key("integrations", &["integrations:read"]).await,
    ];
    for operation in Operation::all() {
        if !operation.lists("forbidden") {
            continue;
        }
        let mut reasons = Vec::new();
        for key in &keys {
            let request = with(&operation, key).unwrap();
            let sending = tokio::time::timeout(Duration::from_secs(5), hub.answer(request));
            // A stream that may be followed stays open.
            let answer = sending.await;
            reasons.push(answer.map_or("open".to_owned(), |answer| reason(&answer).to_owned()));
        }
        let id = operation.id();
        assert!(
            reasons.iter().any(|reason| reason == "forbidden"),
            "{id}: {reasons:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_that_breaks_its_rule_has_its_reason() {
    let hub = Hub::start(Database::Sqlite).await;
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let template = |id: &str| {
        let found = paths.iter().find(|(_, methods)| {
            let mut methods = methods.as_object().unwrap().values();
            methods.any(|operation| operation["operationId"] == id)
        });
        found.unwrap().0.clone()
    };
    demand(&hub, "invalid", &["invalid"], |operation| {
        let template = template(operation.id());
        // No id, name, tag, label or digest has it.
        let broken: String = template
            .split('/')
            .map(|part| if part.starts_with('{') { "!" } else { part })
            .collect::<Vec<_>>()
            .join("/");
        let takes_limit = || {
            let parameters = operation.declared["parameters"].as_array();
            let mut parameters = parameters.into_iter().flatten();
            parameters.any(|parameter| parameter["name"] == "limit")
        };
        let broken = match broken == template {
            true if takes_limit() => format!("{broken}?limit=0"),
            true => return None,
            false => broken,
        };
        let request = hub.request(operation.method.clone(), &broken);
        let request = request.bearer_auth(&hub.token);
        Some(match operation.media_type() {
            Some(media_type) => request.header("Content-Type", media_type).body("{}"),
            None => request,
        })
    })
    .await;
}
