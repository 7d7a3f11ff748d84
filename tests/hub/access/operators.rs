//! Power over other users: operators, administrators, and users who had one of these roles a moment ago.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    eventually,
    support::{
        database::{Database, Held, on_both_databases, on_postgres, waiting_for_locks},
        server::{Answer, Hub, PASSWORD, WithJson},
    },
};

on_both_databases!(
    only_an_operator_changes_an_operator,
    the_last_operator_stays_one,
    who_is_locked_makes_nobody_anymore,
    a_lost_password_is_reset_on_the_machine,
);

const OTHER_PASSWORD: &str = "taken over by somebody";

async fn call_as(
    hub: &Hub,
    token: &str,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Answer {
    let request = hub.request(method, path).bearer_auth(token);
    hub.answer(match body {
        Some(body) => request.with_json(body),
        None => request,
    })
    .await
}

async fn only_an_operator_changes_an_operator(database: Database) {
    let hub = Hub::start(database).await;
    let operator = hub.get("users/me").await.ok();
    assert_eq!(operator["is_operator"], true);
    let path = format!("users/{}", operator["id"]);
    hub.user("second", "admin").await;
    let third = hub.user("third", "admin").await;
    let second = hub.log_in("second", PASSWORD).await;
    for body in [
        json!({"role": "admin", "password": OTHER_PASSWORD}),
        json!({"role": "viewer"}),
        json!({"role": "admin", "locked": true}),
        json!({"role": "admin", "full_name": "Somebody Else"}),
    ] {
        let answer = call_as(&hub, &second, Method::PUT, &path, Some(&body)).await;
        let error = answer.refused(403);
        assert!(error.contains("only an operator"), "{body}: {error}");
    }
    let error = call_as(&hub, &second, Method::DELETE, &path, None).await;
    assert!(error.refused(403).contains("only an operator"));
    // The account and its sessions are unchanged.
    assert_eq!(hub.get("users/me").await.ok(), operator);
    hub.log_in("admin", PASSWORD).await;

    // Administrators go on changing each other, and the operator everybody.
    let path_of_third = format!("users/{}", third["id"]);
    let body = json!({"role": "viewer", "password": OTHER_PASSWORD});
    call_as(&hub, &second, Method::PUT, &path_of_third, Some(&body))
        .await
        .ok();
    hub.log_in("third", OTHER_PASSWORD).await;
    call_as(&hub, &second, Method::DELETE, &path_of_third, None)
        .await
        .ok();
    let body = json!({"role": "admin", "full_name": "The Operator"});
    assert_eq!(hub.put(&path, &body).await.ok()["is_operator"], true);
}

async fn the_last_operator_stays_one(database: Database) {
    let hub = Hub::start(database).await;
    let operator = hub.get("users/me").await.ok();
    let path = format!("users/{}", operator["id"]);
    // There is another administrator, but nobody else to manage the tenants.
    hub.user("second", "admin").await;
    for body in [
        json!({"role": "viewer"}),
        json!({"role": "admin", "locked": true}),
    ] {
        let error = hub.put(&path, &body).await.refused(400);
        assert!(error.contains("last active operator"), "{body}: {error}");
    }
    hub.delete(&path).await.refused(400);
    assert_eq!(hub.get("users/me").await.ok(), operator);
}

async fn who_is_locked_makes_nobody_anymore(database: Database) {
    let hub = Hub::start(database).await;
    let second = hub.user("second", "admin").await;
    let token = hub.log_in("second", PASSWORD).await;
    let path = format!("users/{}", second["id"]);
    // Hashing their passwords takes a while, in which their maker is locked.
    let makes = join_all((0..8).map(|number| {
        let (hub, token) = (&hub, &token);
        async move {
            let body = json!({"username": format!("accomplice{number}"), "password": PASSWORD,
                "role": "admin"});
            call_as(hub, token, Method::POST, "users", Some(&body)).await
        }
    }));
    let locks = async {
        let body = json!({"role": "admin", "locked": true});
        hub.put(&path, &body).await.ok();
        hub.list("users").await.len()
    };
    let (made, there) = tokio::join!(makes, locks);
    assert_eq!(hub.list("users").await.len(), there, "{made:#?}");
    for answer in made {
        assert!([201, 401, 403].contains(&answer.status), "{}", answer.text);
    }
}

/// The change waits for the lock of another transaction, in which its author is locked.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_locked_meanwhile_changes_nothing() {
    on_postgres(async |database| {
        let hub = Hub::start(database.clone()).await;
        let Database::Postgres(url) = &database else {
            unreachable!("it is on PostgreSQL");
        };
        hub.user("second", "admin").await;
        hub.sql("UPDATE users SET is_operator = TRUE WHERE username = 'second'")
            .await;
        let second = hub.log_in("second", PASSWORD).await;
        let user = format!("users/{}", hub.user("third", "viewer").await["id"]);
        let tenant = format!("tenants/{}", hub.tenant("other").await["id"]);
        let made = json!({"name": "k", "scopes": ["read"]});
        let key = hub.post("api-keys", &made).await.created();
        let key = format!("api-keys/{}", key["id"]);
        let lists = ["users", "tenants", "api-keys"];
        let all = async || {
            let mut all = Vec::new();
            for list in lists {
                all.push(hub.list(list).await);
            }
            all
        };
        let before = all().await;
        let administrator = json!({"username": "eve", "password": PASSWORD});
        for (method, path, body) in [
            (
                Method::POST,
                "users",
                json!({"username": "eve", "password": PASSWORD, "role": "admin"}),
            ),
            (Method::PUT, &user, json!({"role": "admin"})),
            (Method::DELETE, &user, Value::Null),
            (
                Method::POST,
                "tenants",
                json!({"name": "new", "administrator": administrator}),
            ),
            (Method::PUT, &tenant, json!({"name": "renamed"})),
            (Method::DELETE, &tenant, Value::Null),
            (
                Method::POST,
                "api-keys",
                json!({"name": "l", "scopes": ["read"]}),
            ),
            (Method::DELETE, &key, Value::Null),
        ] {
            let locks = "BEGIN; UPDATE users SET locked = TRUE WHERE username = 'second'";
            let held = Held::start(url, locks).await;
            let body = (!body.is_null()).then_some(&body);
            let change = call_as(&hub, &second, method.clone(), path, body);
            let lock = async {
                eventually("the change waits", async || {
                    (waiting_for_locks(url).await > 0).then_some(())
                })
                .await;
                held.commit().await;
            };
            let (answer, ()) = tokio::join!(change, lock);
            let is_refused = [401, 403].contains(&answer.status);
            assert!(is_refused, "{method} {path}: {}", answer.text);
            hub.sql("UPDATE users SET locked = FALSE WHERE username = 'second'")
                .await;
        }
        assert_eq!(all().await, before);
    })
    .await;
}

async fn a_lost_password_is_reset_on_the_machine(database: Database) {
    let hub = Hub::start(database).await;
    // The state in which an older hub may have left its operator.
    hub.sql("UPDATE users SET role = 'viewer', locked = TRUE WHERE username = 'admin'")
        .await;
    let reset = ["users", "reset-password", "Admin"];
    let error = hub.command_with(&reset, "short\n").await.unwrap_err();
    assert!(error.contains("password: must have at least 10"), "{error}");
    let nobody = ["users", "reset-password", "nobody"];
    let error = hub.command_with(&nobody, "a password of theirs\n").await;
    assert!(error.unwrap_err().contains("no user \"nobody\""));
    let said = hub
        .command_with(&reset, &format!("{OTHER_PASSWORD}\n"))
        .await
        .unwrap();
    assert!(said.starts_with("admin "), "{said}");
    let token = hub.log_in("admin", OTHER_PASSWORD).await;
    let own = call_as(&hub, &token, Method::GET, "users/me", None)
        .await
        .ok();
    assert_eq!(
        (&own["role"], &own["is_operator"]),
        (&json!("admin"), &json!(true))
    );
    // Older sessions have ended.
    hub.get("users/me").await.refused(401);
    let log = call_as(&hub, &token, Method::GET, "audit-log", None)
        .await
        .ok();
    let entry = &log["collection"][0];
    assert_eq!(
        (&entry["action"], &entry["actor"]),
        (&json!("reset_password"), &json!("the command line"))
    );
    assert!(!entry.to_string().contains(OTHER_PASSWORD));
}
