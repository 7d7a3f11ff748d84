//! Rules for usernames and passwords: nobody passes for somebody else, and nobody has a password that everybody tries
//! first.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::support::{
    database::{Database, on_both_databases},
    server::{Hub, PASSWORD, WithJson},
};

on_both_databases!(
    names_that_pass_for_others_are_refused,
    names_from_before_are_compared_as_well,
    names_of_other_tenants_are_not_probed_for_ever,
    common_passwords_are_refused,
);

/// `admin`, begun with a Cyrillic letter.
const MIXED: &str = "\u{430}dmin";
const LOOKS_LIKE_ACE: &str = "\u{430}\u{441}\u{435}";

async fn names_that_pass_for_others_are_refused(database: Database) {
    let hub = Hub::start(database).await;
    let user = |name: &str| json!({"username": name, "password": PASSWORD, "role": "viewer"});
    for name in [MIXED, "r\u{43e}ot", "pa\u{3c5}l"] {
        let error = hub.post("users", &user(name)).await.refused(400);
        assert!(
            error.starts_with("username: must not mix"),
            "{name}: {error}"
        );
        let administrator = json!({"username": name, "password": PASSWORD});
        let tenant = json!({"name": "other", "administrator": administrator});
        let error = hub.post("tenants", &tenant).await.refused(400);
        assert!(
            error.starts_with("administrator.username: must not mix"),
            "{name}: {error}"
        );
    }
    hub.user("ace", "viewer").await;
    for name in [LOOKS_LIKE_ACE, "ACE", "adrnin", "ａｄｍｉｎ"] {
        let error = hub.post("users", &user(name)).await.refused(400);
        assert!(
            error.starts_with("username: another user"),
            "{name}: {error}"
        );
    }
    for name in [
        "Türsensor",
        "Müller",
        "山田たろう",
        "山田 John",
        "Kim 김",
        "Иван Иванов",
        "Ελένη",
        "أحمد",
    ] {
        hub.user(name, "viewer").await;
        hub.log_in(name, PASSWORD).await;
    }
}

async fn names_from_before_are_compared_as_well(database: Database) {
    let mut hub = Hub::start(database).await;
    for name in ["ada", "eve", "ivy"] {
        hub.user(name, "viewer").await;
    }
    // The state from before similar names were compared: two look alike, and one mixes scripts.
    for (before, after) in [("eve", "adrnin"), ("ivy", MIXED)] {
        hub.sql(&format!(
            "UPDATE users SET username = '{after}', username_folded = '{after}' \
             WHERE username_folded = '{before}'"
        ))
        .await;
    }
    for statement in [
        "DROP INDEX ix_users_username_skeleton",
        "ALTER TABLE users DROP COLUMN username_skeleton",
        "DELETE FROM seaql_migrations WHERE version = 'm0024_username_skeletons'",
    ] {
        hub.sql(statement).await;
    }
    hub.end(nix::sys::signal::Signal::SIGTERM).await;
    hub.start_again().await;
    for name in ["admin", "ada", "adrnin", MIXED] {
        hub.log_in(name, PASSWORD).await;
    }
    for name in ["adrnin", "ADA", "\u{430}d\u{430}"] {
        let body = json!({"username": name, "password": PASSWORD, "role": "viewer"});
        hub.post("users", &body).await.refused(400);
    }
    // Changes of other members leave the name alone.
    let found = hub.list("users?q=adrnin").await;
    let path = format!("users/{}", found[0]["id"]);
    hub.put(&path, &json!({"role": "viewer", "full_name": "x"}))
        .await
        .ok();
    hub.log_in("adrnin", PASSWORD).await;
}

async fn names_of_other_tenants_are_not_probed_for_ever(database: Database) {
    let mut hub = Hub::start(database).await;
    let texts = async |hub: &Hub, name: &str| {
        let body = json!({"username": name, "password": PASSWORD, "role": "viewer"});
        let answer = hub.post("users", &body).await;
        (
            answer.status,
            answer.body["error"].as_str().unwrap().to_owned(),
        )
    };
    hub.tenant("other").await;
    hub.token = hub.log_in("other", PASSWORD).await;
    hub.user("own", "viewer").await;
    // The error is the same, whether the name is the tenant's own or another's.
    let (own, foreign) = (texts(&hub, "own").await, texts(&hub, "admin").await);
    assert_eq!(own, foreign);
    assert_eq!(own.0, 400);
    let mut refused = 1;
    // At most 8 passwords of one address are compared at a time.
    for _ in 0..20 {
        let probes = join_all((0..8).map(|_| texts(&hub, "admin"))).await;
        for (status, error) in probes {
            match status {
                400 => refused += 1,
                _ => assert_eq!(status, 503, "{error}"),
            }
        }
        // What probes nothing does not begin the count again.
        texts(&hub, "own").await;
    }
    assert_eq!(refused, 100);
    // Other tenants are not affected.
    hub.token = hub.log_in("admin", PASSWORD).await;
    hub.user("free", "viewer").await;
}

async fn common_passwords_are_refused(database: Database) {
    let hub = Hub::start(database).await;
    let eve = hub.user("eve", "viewer").await;
    let path = format!("users/{}", eve["id"]);
    let token = hub.log_in("eve", PASSWORD).await;
    for password in ["password1234", "Qwertyuiop1", "1234567890", "thingshub123"] {
        let rule = "must not be easy to guess";
        let body = json!({"username": "ada", "password": password, "role": "viewer"});
        let error = hub.post("users", &body).await.refused(400);
        assert!(error.starts_with(&format!("password: {rule}")), "{error}");
        let administrator = json!({"username": "ada", "password": password});
        let tenant = json!({"name": "other", "administrator": administrator});
        let error = hub.post("tenants", &tenant).await.refused(400);
        assert!(
            error.starts_with(&format!("administrator.password: {rule}")),
            "{error}"
        );
        let body = json!({"role": "viewer", "password": password});
        let error = hub.put(&path, &body).await.refused(400);
        assert!(error.starts_with(&format!("password: {rule}")), "{error}");
        let body = json!({"current_password": PASSWORD, "new_password": password});
        let request = hub.request(Method::PUT, "users/me/password");
        let request = request.bearer_auth(&token).with_json(&body);
        let error = hub.answer(request).await.refused(400);
        assert!(
            error.starts_with(&format!("new_password: {rule}")),
            "{error}"
        );
    }
    hub.log_in("eve", PASSWORD).await;
}
