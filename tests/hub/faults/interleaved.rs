//! Changes at once, in the order that does harm: what each of them has read is another by the time it
//! writes.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    eventually,
    support::{
        database::{
            Database, Held, on_both_databases, on_postgres, query_text, until_waiting,
            waiting_for_locks,
        },
        server::{Answer, Hub, PASSWORD},
    },
};

on_both_databases!(
    a_driver_that_a_rule_names_stays,
    of_a_device_and_the_end_of_its_driver_one_wins,
);

const SCRIPT: &str = "function decode() { return {} }";
const ROUNDS: usize = 12;

async fn import(hub: &Hub, rows: &str) -> Answer {
    import_by(&hub.token, hub, rows).await
}

async fn import_by(token: &str, hub: &Hub, rows: &str) -> Answer {
    let path = "devices/import?format=ndjson";
    let request = hub
        .request(Method::POST, path)
        .bearer_auth(token)
        .header("Content-Type", "application/octet-stream")
        .body(rows.to_owned());
    hub.answer(request).await
}

fn rule(driver: &str) -> Value {
    json!({"name": "l", "settings": {"type": "loriot"}, "auto_provisioning": {"driver": driver}})
}

async fn a_driver_that_a_rule_names_stays(database: Database) {
    let hub = Hub::start(database).await;
    hub.push("a/b", "1", SCRIPT).await;
    hub.push("a/other", "1", SCRIPT).await;
    let connection = hub.connect_as(&rule("a/b:1")).await;
    for path in ["drivers/a/b/tags/1", "drivers/a/b"] {
        let error = hub.delete(path).await.refused(400);
        let users = "in use by 0 device(s) and the auto_provisioning of 1 network connection(s)";
        assert!(error.contains(users), "{error}");
    }
    hub.delete("drivers/a/other").await.ok();
    let path = format!("network-connections/{}", connection.id);
    hub.put(&path, &rule("thingshub/cayenne-lpp")).await.ok();
    hub.delete("drivers/a/b").await.ok();
}

async fn of_a_device_and_the_end_of_its_driver_one_wins(database: Database) {
    let hub = Hub::start(database).await;
    for round in 0..ROUNDS {
        let name = format!("d{round}");
        hub.push(&format!("a/{name}"), "1", SCRIPT).await;
        let driver = format!("a/{name}:1");
        let body = json!({"id": name, "driver": driver});
        let path = format!("drivers/a/{name}");
        let (made, deleted) = tokio::join!(hub.post("devices", &body), hub.delete(&path));
        let statuses = (made.status, deleted.status);
        assert!([(201, 400), (400, 200)].contains(&statuses), "{statuses:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_is_not_deleted_before_what_names_it_is_there() {
    on_postgres(async |database: Database| {
        let hub = Hub::start(database).await;
        let url = hub.database_url();
        for (table, path, body) in [
            ("devices", "devices", json!({"id": "d", "driver": "a/b:1"})),
            ("network_connections", "network-connections", rule("a/b:1")),
        ] {
            for driver in ["drivers/a/b", "drivers/a/b/tags/1"] {
                hub.push("a/b", "1", SCRIPT).await;
                // The reference is checked by now, and not written yet.
                let lock = format!("BEGIN; LOCK TABLE {table} IN SHARE MODE");
                let held = Held::start(&url, &lock).await;
                let is_deleted = AtomicBool::new(false);
                let delete = async {
                    until_waiting(&url, 1).await;
                    let answer = hub.delete(driver).await;
                    is_deleted.store(true, Ordering::Relaxed);
                    answer
                };
                let release = async {
                    eventually("the driver goes, or waits", async || {
                        let goes = is_deleted.load(Ordering::Relaxed);
                        (goes || waiting_for_locks(&url).await > 1).then_some(())
                    })
                    .await;
                    held.end().await;
                };
                let (made, deleted, ()) = tokio::join!(hub.post(path, &body), delete, release);
                let made = made.created();
                deleted.refused(400);
                hub.delete(&format!(
                    "{path}/{}",
                    made["id"].to_string().trim_matches('"')
                ))
                .await
                .ok();
                // The job that clears it away would wait for the next lock.
                let left = format!("SELECT count(*)::text FROM {table} WHERE tenant_id = 0");
                eventually("it is cleared away", async || {
                    (query_text(&url, &left).await == "0").then_some(())
                })
                .await;
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_another_hub_has_done_is_not_given_up() {
    on_postgres(async |database: Database| {
        let mut hub = Hub::start(database).await;
        hub.may_complain = true;
        let url = hub.database_url();
        // A trigger spoils the import's rows, so that they cannot be read.
        hub.sql(
            "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN NEW.rows := 'nonsense'; RETURN NEW; END $$; \
             CREATE TRIGGER spoil BEFORE INSERT ON device_import_batches FOR EACH ROW \
             EXECUTE FUNCTION spoil()",
        )
        .await;
        let begun = import(&hub, "{\"id\": \"d\"}\n").await.created();
        let done = "BEGIN; UPDATE device_imports SET state = 'done', finished_at = now()";
        let other = Held::start(&url, done).await;
        until_waiting(&url, 1).await;
        assert!(hub.log().contains("import given up"), "{}", hub.log());
        other.commit().await;
        // This hub has no more to do with it.
        let leases = "SELECT count(*)::text FROM leases WHERE name LIKE 'import/%'";
        eventually("the import is left", async || {
            (query_text(&url, leases).await == "0").then_some(())
        })
        .await;
        let path = format!("devices/import/{}", begun["id"]);
        assert_eq!(hub.get(&path).await.ok()["state"], "done");
    })
    .await;
}

/// Keeps the rows of a table from being changed: jobs stay as they were begun. An import begins when its
/// tenant gets it.
async fn freeze(hub: &Hub, table: &str) {
    let writes = format!("UPDATE ON {table}");
    hub.refuse(&writes, "NEW.tenant_id = OLD.tenant_id").await;
}

/// Asks so many times at once, all of which have counted before one has written.
async fn at_once<F>(times: usize, hub: &Hub, table: &str, ask: impl Fn(usize) -> F) -> Vec<u16>
where
    F: Future<Output = Answer>,
{
    let url = hub.database_url();
    let lock = format!("BEGIN; LOCK TABLE {table} IN SHARE MODE");
    let held = Held::start(&url, &lock).await;
    let release = async {
        until_waiting(&url, times).await;
        held.end().await;
    };
    let (answers, ()) = tokio::join!(join_all((0..times).map(ask)), release);
    answers.iter().map(|answer| answer.status).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_replays_go_on_than_may() {
    on_postgres(async |database: Database| {
        let mut one = Hub::start(database.clone()).await;
        let mut two = Hub::start(database).await;
        (one.may_complain, two.may_complain) = (true, true);
        let integration = one.integration("i", "", "https://example.com/").await;
        freeze(&one, "delivery_replays").await;
        let path = format!("integrations/{integration}/replay");
        let span = json!({"from": "2020-01-01T00:00:00Z", "to": "2099-01-01T00:00:00Z"});
        let hubs = [&one, &two];
        let statuses = at_once(6, &one, "delivery_replays", |number| {
            hubs[number % 2].post(&path, &span)
        });
        let begun = statuses
            .await
            .iter()
            .filter(|status| **status == 201)
            .count();
        assert_eq!(begun, 5);
        one.post(&path, &span).await.refused(400);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_imports_wait_than_may() {
    on_postgres(async |database: Database| {
        let mut one = Hub::start(database.clone()).await;
        let mut two = Hub::start(database).await;
        (one.may_complain, two.may_complain) = (true, true);
        freeze(&one, "device_imports").await;
        let rows = "{\"id\": \"d\"}\n";
        for _ in 0..8 {
            import(&one, rows).await.created();
        }
        // Each hub receives one file of a user at a time.
        one.user("other", "admin").await;
        let hubs = [&one, &two];
        let tokens = [&one.token, &one.log_in("other", PASSWORD).await];
        let statuses = at_once(4, &one, "device_imports", |number| {
            import_by(tokens[number / 2], hubs[number % 2], rows)
        });
        let begun = statuses
            .await
            .iter()
            .filter(|status| **status == 201)
            .count();
        assert_eq!(begun, 2);
        import(&two, rows).await.refused(400);
    })
    .await;
}
