//! `thingshub users`, beside a running hub.

use serde_json::{Value, json};

use super::commands::{Ended, Person};
use crate::support::{
    database::{Database, on_both_databases},
    server::{Hub, PASSWORD},
};

on_both_databases!(
    users_are_listed_created_and_unlocked,
    what_is_wrong_is_said_in_one_line,
);

const OTHER_PASSWORD: &str = "taken over by somebody";

/// Runs a command under `users` on the hub's database.
async fn users(hub: &Hub, arguments: &[&str], input: &str) -> Ended {
    let url = hub.database_url();
    let beginning = ["users"].iter().chain(arguments);
    let arguments: Vec<&str> = beginning
        .chain(&["--database-url", &url])
        .copied()
        .collect();
    Person::new().run_with(&arguments, input, &[]).await
}

async fn newest_entry(hub: &Hub) -> Value {
    let log = hub.get("audit-log?limit=1").await.ok();
    log["collection"][0].clone()
}

async fn users_are_listed_created_and_unlocked(database: Database) {
    let hub = Hub::start(database).await;
    let tenant =
        json!({"name": "Süd", "administrator": {"username": "jörg", "password": PASSWORD}});
    hub.post("tenants", &tenant).await.created();
    let second = hub.user("second", "admin").await;
    let body = json!({"role": "admin", "locked": true});
    let path = format!("users/{}", second["id"]);
    hub.put(&path, &body).await.ok();

    let input = format!("{OTHER_PASSWORD}\n");
    let said = users(&hub, &["create", "ada", "--role", "editor"], &input).await;
    assert_eq!(said.ok(), "ada is a new user with the role editor\n");
    let entry = newest_entry(&hub).await;
    assert_eq!(
        (&entry["action"], &entry["actor"]),
        (&json!("create_user"), &json!("the command line"))
    );
    assert!(!entry.to_string().contains(OTHER_PASSWORD), "{entry}");
    hub.log_in("ada", OTHER_PASSWORD).await;
    let elsewhere = ["create", "eve", "--role", "viewer", "--tenant", "Süd"];
    users(&hub, &elsewhere, &input).await.ok();

    let listed = users(&hub, &["list"], "").await.ok();
    let rows: Vec<Vec<&str>> = listed
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows[0][..4], ["USERNAME", "TENANT", "ROLE", "STATE"]);
    assert_eq!(
        rows[1][..5],
        ["ada", "default", "editor", "active", rows[1][4]]
    );
    assert!(rows[1][4].starts_with("20"), "{listed}");
    assert_eq!(
        rows[2][..5],
        ["admin", "default", "admin,", "operator", "active"]
    );
    assert_eq!(rows[3], ["second", "default", "admin", "locked", "never"]);
    assert_eq!(rows[4], ["eve", "Süd", "viewer", "active", "never"]);
    assert_eq!(rows[5], ["jörg", "Süd", "admin", "active", "never"]);
    assert_eq!(rows.len(), 6, "{listed}");
    let columns: Vec<usize> = listed
        .lines()
        .map(|line| line.chars().position(|c| c == ' ').unwrap())
        .collect();
    assert_eq!(columns.iter().max(), Some(&"USERNAME".len()), "{listed}");

    let said = users(&hub, &["unlock", "SECOND"], "").await.ok();
    assert_eq!(said, "second is unlocked\n");
    let entry = newest_entry(&hub).await;
    assert_eq!(
        (&entry["action"], &entry["actor"]),
        (&json!("unlock_user"), &json!("the command line"))
    );
    hub.log_in("second", PASSWORD).await;
    let again = users(&hub, &["unlock", "second"], "").await.ok();
    assert!(
        again.starts_with("second is not locked. Too many wrong"),
        "{again}"
    );
}

async fn what_is_wrong_is_said_in_one_line(database: Database) {
    let hub = Hub::start(database).await;
    let input = format!("{OTHER_PASSWORD}\n");
    let create = |name: &'static str| ["create", name, "--role", "viewer"];
    for (arguments, input, code, part) in [
        (
            &["unlock", "nobody"][..],
            "",
            7,
            "there is no user \"nobody\"",
        ),
        (
            &["reset-password", "nobody"],
            &input,
            7,
            "no user \"nobody\"",
        ),
        (
            &["reset-password", "admin"],
            "short\n",
            4,
            "password: must have",
        ),
        (
            &["reset-password", "admin"],
            "",
            2,
            "standard input is empty",
        ),
        (
            &create("adrnin"),
            &input,
            4,
            "username: another user already",
        ),
        (&create("a"), &input, 4, "username: must have 3 to 30"),
        (&create("\u{430}dmin"), &input, 4, "must not mix letters"),
        (&create("ada"), "password1234\n", 4, "password: "),
        (
            &["create", "ada", "--role", "viewer", "--tenant", "none"],
            &input,
            7,
            "there is no tenant \"none\"",
        ),
    ] {
        let said = users(&hub, arguments, input).await.failed(code);
        assert!(said.contains(part), "{arguments:?}: {said}");
    }
    // The password is no argument: nothing would take one.
    let person = Person::new();
    let arguments = ["users", "reset-password", "admin", OTHER_PASSWORD];
    let said = person.run(&arguments).await;
    assert_eq!(said.code, 2, "{said:?}");
    let elsewhere = ["users", "list", "--database-url", "sqlite://none.db"];
    let said = person.run(&elsewhere).await.failed(1);
    assert!(said.contains("sqlite://none.db: No such file"), "{said}");
    hub.log_in("admin", PASSWORD).await;
}
