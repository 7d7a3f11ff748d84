//! Users, API keys and the audit log.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    eventually,
    support::{
        database::{Database, on_both_databases},
        server::{Answer, Hub, PASSWORD, WithJson},
    },
};

on_both_databases!(
    the_last_administrator_stays,
    a_locked_user_is_out_at_once,
    a_new_password_ends_other_sessions,
    passwords_have_rules,
    a_deleted_key_is_dead_on_the_next_request,
    an_expired_key_is_dead,
    every_change_is_in_the_audit_log,
    a_deleted_tenant_takes_everything_along,
    labels_come_and_go_one_by_one,
);

const OTHER_PASSWORD: &str = "another long password";

async fn as_user(
    hub: &Hub,
    token: &str,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Answer {
    let mut request = hub.request(method, path).bearer_auth(token);
    if let Some(body) = body {
        request = request.with_json(body);
    }
    hub.answer(request).await
}

async fn the_last_administrator_stays(database: Database) {
    let mut hub = Hub::start(database).await;
    let own = hub.get("users/me").await.ok();
    let path = format!("users/{}", own["id"]);
    for body in [
        json!({"role": "viewer"}),
        json!({"role": "admin", "locked": true}),
    ] {
        let error = hub.put(&path, &body).await.refused(400);
        assert!(error.contains("last active administrator"), "{error}");
    }
    let error = hub.delete(&path).await.refused(400);
    assert!(error.contains("last active administrator"), "{error}");

    // Both take the other's role away at once: one of them stays. In a tenant without an operator, who
    // would stay anyway.
    hub.tenant("other").await;
    hub.token = hub.log_in("other", PASSWORD).await;
    let first = hub.get("users/me").await.ok();
    let second = hub.user("second", "admin").await;
    let token = hub.log_in("second", PASSWORD).await;
    let body = json!({"role": "viewer"});
    let (first, second) = (
        format!("users/{}", first["id"]),
        format!("users/{}", second["id"]),
    );
    let (one, two) = tokio::join!(
        hub.put(&second, &body),
        as_user(&hub, &token, Method::PUT, &first, Some(&body))
    );
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert!(
        matches!(statuses, [200, 400 | 403]),
        "{} {}",
        one.text,
        two.text
    );
}

async fn a_locked_user_is_out_at_once(database: Database) {
    let hub = Hub::start(database).await;
    let user = hub.user("eve", "editor").await;
    let path = format!("users/{}", user["id"]);
    assert_eq!(hub.get(&path).await.ok()["last_login_at"], Value::Null);
    let token = hub.log_in("eve", PASSWORD).await;
    let view = hub.get(&path).await.ok();
    assert!(
        view["last_login_at"].as_str() > view["created_at"].as_str(),
        "{view}"
    );
    as_user(&hub, &token, Method::GET, "devices", None)
        .await
        .ok();
    hub.put(&path, &json!({"role": "editor", "locked": true}))
        .await
        .ok();
    as_user(&hub, &token, Method::GET, "devices", None)
        .await
        .refused(401);
    let login = json!({"username": "eve", "password": PASSWORD});
    let error = hub.post("auth/token", &login).await.refused(400);
    assert_eq!(error, "invalid credentials");

    // The session has ended, and does not come back.
    hub.put(&path, &json!({"role": "viewer"})).await.ok();
    as_user(&hub, &token, Method::GET, "devices", None)
        .await
        .refused(401);
    let token = hub.log_in("eve", PASSWORD).await;
    let device = json!({});
    as_user(&hub, &token, Method::POST, "devices", Some(&device))
        .await
        .refused(403);
    // A role counts from the next request on.
    hub.put(&path, &json!({"role": "editor"})).await.ok();
    as_user(&hub, &token, Method::POST, "devices", Some(&device))
        .await
        .created();
    let changes = hub.list("audit-log?action=update_user").await;
    let roles = changes
        .iter()
        .map(|entry| [&entry["before"]["role"], &entry["after"]["role"]]);
    assert_eq!(
        json!(roles.collect::<Vec<_>>()),
        json!([
            ["viewer", "editor"],
            ["editor", "viewer"],
            ["editor", "editor"]
        ])
    );
    hub.delete(&path).await.ok();
    as_user(&hub, &token, Method::GET, "devices", None)
        .await
        .refused(401);
}

async fn a_new_password_ends_other_sessions(database: Database) {
    let hub = Hub::start(database).await;
    hub.user("eve", "viewer").await;
    let (this, other) = (
        hub.log_in("eve", PASSWORD).await,
        hub.log_in("eve", PASSWORD).await,
    );
    let change =
        |current: &str| json!({"current_password": current, "new_password": OTHER_PASSWORD});
    let path = "users/me/password";
    let error = as_user(&hub, &this, Method::PUT, path, Some(&change("nonsense")))
        .await
        .refused(400);
    assert!(error.starts_with("current_password: "), "{error}");
    as_user(&hub, &this, Method::PUT, path, Some(&change(PASSWORD)))
        .await
        .ok();
    as_user(&hub, &this, Method::GET, "devices", None)
        .await
        .ok();
    as_user(&hub, &other, Method::GET, "devices", None)
        .await
        .refused(401);
    hub.post(
        "auth/token",
        &json!({"username": "eve", "password": PASSWORD}),
    )
    .await
    .refused(400);
    hub.log_in("eve", OTHER_PASSWORD).await;
}

async fn passwords_have_rules(database: Database) {
    let hub = Hub::start(database).await;
    for (username, password, field) in [
        ("eve", "short", "password: "),
        ("eve", "xxxxxxxxxxxx", "password: "),
        ("evelina", "my-EVELINA-password", "password: "),
        ("ev", PASSWORD, "username: "),
        ("eve!", PASSWORD, "username: "),
        ("ADMIN", PASSWORD, "username: "),
    ] {
        let body = json!({"username": username, "password": password, "role": "viewer"});
        let error = hub.post("users", &body).await.refused(400);
        assert!(error.starts_with(field), "{username} {password}: {error}");
    }
    let user = hub.user("Ève Ñandú", "viewer").await;
    assert_eq!(user.get("password"), None);
}

async fn a_deleted_key_is_dead_on_the_next_request(database: Database) {
    let hub = Hub::start(database).await;
    hub.api_key("older", &["read"]).await;
    let body = json!({"name": "k", "scopes": ["read"]});
    let made = hub.post("api-keys", &body).await.created();
    assert_eq!(made["last_used_at"], Value::Null);
    let (key, path) = (
        made["key"].as_str().unwrap(),
        format!("api-keys/{}", made["id"]),
    );
    assert!(key.starts_with("thk_"), "{key}");
    let unused = hub.get(&path).await.ok();
    assert_eq!(unused.get("key"), None);
    assert_eq!(unused["last_used_at"], Value::Null);
    let before = thingshub::clock::now();
    as_user(&hub, key, Method::GET, "devices", None).await.ok();
    let used_at: chrono::DateTime<chrono::Utc> = eventually("the use is noted", async || {
        let shown = hub.get(&path).await.ok();
        shown["last_used_at"].as_str()?.parse().ok()
    })
    .await;
    assert!(before <= used_at && used_at <= thingshub::clock::now());
    let older = hub.list("api-keys?q=older").await;
    assert_eq!(older[0]["last_used_at"], Value::Null, "{older:?}");
    as_user(&hub, key, Method::POST, "devices", Some(&json!({})))
        .await
        .refused(403);
    as_user(&hub, key, Method::GET, "users", None)
        .await
        .refused(403);
    hub.delete(&path).await.ok();
    as_user(&hub, key, Method::GET, "devices", None)
        .await
        .refused(401);
}

async fn an_expired_key_is_dead(database: Database) {
    let hub = Hub::start(database).await;
    let past = json!({"name": "k", "scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"});
    let error = hub.post("api-keys", &past).await.refused(400);
    assert!(error.starts_with("expires_at: "), "{error}");
    let body = json!({"name": "k", "scopes": ["read"], "expires_at": "2999-01-01T00:00:00Z"});
    let key = hub.post("api-keys", &body).await.created()["key"].clone();
    let key = key.as_str().unwrap();
    as_user(&hub, key, Method::GET, "devices", None).await.ok();
    hub.sql("UPDATE api_keys SET expires_at = created_at").await;
    as_user(&hub, key, Method::GET, "devices", None)
        .await
        .refused(401);
}

async fn every_change_is_in_the_audit_log(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    let target = json!({"type": "http", "url": "https://example.com/", "authorization": "hunter2"});
    let integration = json!({"name": "i", "selector": "", "target": target});
    hub.post("integrations", &integration).await.created();
    hub.user("eve", "viewer").await;
    hub.device(
        "d",
        &connection,
        "AA00000000000001",
        json!({"labels": ["a"]}),
    )
    .await;
    hub.put("devices/d", &json!({"labels": ["b"]})).await.ok();
    let key = hub.api_key("program", &["write"]).await;
    let deleted = as_user(&hub, &key, Method::DELETE, "devices/d", None).await;
    let request_id = deleted.headers["x-request-id"].to_str().unwrap();

    let log = hub.list("audit-log").await;
    let actions: Vec<&str> = log
        .iter()
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    let expected = [
        "delete_device",
        "create_api_key",
        "update_device",
        "create_device",
        "create_user",
        "create_integration",
        "create_network_connection",
    ];
    assert_eq!(actions[..expected.len()], expected);
    assert_eq!(
        (&log[0]["actor"], &log[0]["user_id"]),
        (&json!("program"), &Value::Null)
    );
    assert!(log[0]["api_key_id"].is_number());
    assert_eq!(log[0]["request_id"], request_id);
    assert_eq!(log[0]["after"], Value::Null);
    assert_eq!(
        (&log[1]["actor"], &log[1]["address"]),
        (&json!("admin"), &json!("127.0.0.1"))
    );
    assert_eq!(log[2]["before"]["labels"], json!(["a"]));
    assert_eq!(log[2]["after"]["labels"], json!(["b"]));
    let text = json!(log).to_string();
    for secret in ["hunter2", PASSWORD, "argon2", &connection.key, &key] {
        assert!(!text.contains(secret), "{secret}");
    }
    let of_device = hub.list("audit-log?resource=devices&resource_id=d").await;
    assert_eq!(of_device.len(), 3);
    let refused = hub.put("devices/d", &json!({})).await;
    assert_eq!(refused.status, 404);
    assert_eq!(hub.list("audit-log").await.len(), log.len());
}

async fn a_deleted_tenant_takes_everything_along(database: Database) {
    let mut hub = Hub::start(database).await;
    let tenant = hub.tenant("other").await;
    let path = format!("tenants/{}", tenant["id"]);
    let administrator = json!({"username": "OTHER", "password": PASSWORD});
    let taken = json!({"name": "third", "administrator": administrator});
    let error = hub.post("tenants", &taken).await.refused(400);
    assert!(error.starts_with("administrator.username: "), "{error}");
    let operator = hub.token.clone();
    hub.token = hub.log_in("other", PASSWORD).await;
    let connection = hub.connect("tts").await;
    hub.push("a/b", "1", "function decode() { return {} }")
        .await;
    hub.device(
        "d",
        &connection,
        "AA00000000000001",
        json!({"driver": "a/b:1", "labels": ["x"]}),
    )
    .await;
    hub.post("data-tables", &json!({"name": "t", "selector": ""}))
        .await
        .created();
    hub.uplink(&connection, "AA00000000000001").await;
    hub.get("tenants").await.refused(403);

    let others = std::mem::replace(&mut hub.token, operator);
    let renamed = hub.put(&path, &json!({"name": "renamed"})).await.ok();
    assert_eq!(renamed["name"], "renamed");
    assert_eq!(hub.delete(&path).await.ok()["name"], "renamed");
    hub.get(&path).await.refused(404);
    as_user(&hub, &others, Method::GET, "devices", None)
        .await
        .refused(401);
    hub.ingest(&connection, "{}").await.refused(401);
    let own = hub.list("tenants").await.remove(0);
    hub.delete(&format!("tenants/{}", own["id"]))
        .await
        .refused(400);
}

async fn labels_come_and_go_one_by_one(database: Database) {
    let hub = Hub::start(database).await;
    hub.post("devices", &json!({"id": "d", "labels": ["a"]}))
        .await
        .created();
    let labels = |answer: Answer| answer.ok()["labels"].clone();
    let added = hub
        .post("devices/d/labels?labels=b,site=berlin,a", &json!({}))
        .await;
    assert_eq!(labels(added), json!(["a", "b", "site=berlin"]));
    assert_eq!(
        labels(hub.delete("devices/d/labels/site=berlin").await),
        json!(["site=berlin"])
    );
    assert_eq!(labels(hub.get("devices/d/labels").await), json!(["a", "b"]));
    assert_eq!(labels(hub.get("devices/d").await), json!(["a", "b"]));
    hub.delete("devices/d/labels/site=berlin")
        .await
        .refused(404);
    for broken in ["", "a,,b", "(a)"] {
        let error = hub
            .post(&format!("devices/d/labels?labels={broken}"), &json!({}))
            .await;
        assert!(error.refused(400).starts_with("labels: "), "{broken}");
    }
}
