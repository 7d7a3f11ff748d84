//! The lists of each resource: their items under each filter and order, on pages of any size, and their totals.

use serde_json::{Value, json};

use crate::support::{
    database::{Database, on_both_databases},
    server::{Hub, PASSWORD, things_stack},
};

on_both_databases!(
    network_connections,
    data_tables_and_integrations,
    drivers,
    people_and_keys,
    tenants,
    devices_by_health,
    wrong_parameters_name_the_rule,
);

/// Holds that the list has these items, told by `member`, in this order: on one page, on pages of one,
/// and in the total.
pub async fn holds(hub: &Hub, list: &str, member: &str, expected: &[&str]) {
    let join = if list.contains('?') { '&' } else { '?' };
    let told = |page: &Value| -> Vec<String> {
        let items = page["collection"].as_array().unwrap().iter();
        items
            .map(|item| match &item[member] {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            })
            .collect()
    };
    let whole = hub.get(&format!("{list}{join}limit=1000")).await.ok();
    assert_eq!(told(&whole), expected, "{list}");
    assert_eq!(whole["total"], Value::Null, "{list}");
    let mut found = Vec::new();
    let mut path = format!("{list}{join}limit=1&total=true");
    loop {
        let page = hub.get(&path).await.ok();
        assert_eq!(page["total"], expected.len(), "{list}");
        found.extend(told(&page));
        match page["next_cursor"].as_str() {
            Some(next) => path = format!("{list}{join}limit=1&total=true&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found, expected, "{list} in pages of one");
}

/// Checks several queries with [`holds`].
pub async fn each_holds(hub: &Hub, list: &str, member: &str, cases: &[(&str, &[&str])]) {
    for (query, expected) in cases {
        holds(hub, &format!("{list}?{query}"), member, expected).await;
    }
}

/// Changes the resource, so that it is the one that was changed last.
pub async fn change(hub: &Hub, path: &str, body: &Value) {
    hub.put(path, body).await.ok();
}

async fn network_connections(database: Database) {
    let hub = Hub::start(database).await;
    let good = hub.connect("beta one").await;
    let pointers = json!({"type": "http", "mapping": { "device_id_pointer": "/id", "payload_pointer": "/p",
        "payload_encoding": "hex"}});
    let body = json!({"name": "alpha", "enabled": false, "settings": pointers});
    hub.connect_as(&body).await;
    let bad = hub.connect("gamma One").await;
    hub.ingest(&good, "{").await.refused(400);
    hub.ingest(&good, things_stack("AA00000000000001"))
        .await
        .ok();
    hub.ingest(&bad, things_stack("AA00000000000001"))
        .await
        .ok();
    hub.ingest(&bad, "{").await.refused(400);
    let health = async |state: &str, expected: &[&str]| {
        let list = format!("network-connections?health={state}");
        holds(&hub, &list, "name", expected).await;
        for connection in hub.list(&list).await {
            assert_eq!(connection["health"]["state"], state, "{connection}");
        }
    };
    health("ok", &["beta one"]).await;
    health("failing", &["gamma One"]).await;
    health("never_seen", &["alpha"]).await;
    let path = format!("network-connections/{}", good.id);
    let same = json!({"name": "beta one", "settings": {"type": "the_things_stack"}});
    change(&hub, &path, &same).await;
    let cases: [(&str, &[&str]); 13] = [
        ("", &["beta one", "alpha", "gamma One"]),
        ("type=http", &["alpha"]),
        ("type=the_things_stack", &["beta one", "gamma One"]),
        ("enabled=true", &["beta one", "gamma One"]),
        ("enabled=false", &["alpha"]),
        ("enabled=false&type=the_things_stack", &[]),
        ("q=one", &["beta one", "gamma One"]),
        ("q=a%20o", &["beta one", "gamma One"]),
        ("q=one&health=failing", &["gamma One"]),
        ("sort=name", &["alpha", "beta one", "gamma One"]),
        ("sort=-name", &["gamma One", "beta one", "alpha"]),
        ("sort=-created_at", &["gamma One", "alpha", "beta one"]),
        ("sort=-updated_at", &["beta one", "gamma One", "alpha"]),
    ];
    each_holds(&hub, "network-connections", "name", &cases).await;
}

async fn data_tables_and_integrations(database: Database) {
    let hub = Hub::start(database).await;
    let target = json!({"type": "http", "url": "https://example.com/"});
    let mut first = Vec::new();
    for (name, description, enabled) in [
        ("b", "Türme", true),
        ("c", "of towers", false),
        ("a", "", true),
    ] {
        let table = json!({"name": name, "description": description, "selector": ""});
        let made = hub.post("data-tables", &table).await.created();
        first.push(format!("data-tables/{}", made["id"]));
        let mut integration = table;
        integration["enabled"] = enabled.into();
        integration["target"] = target.clone();
        let made = hub.post("integrations", &integration).await.created();
        first.push(format!("integrations/{}", made["id"]));
    }
    let same = json!({"name": "b", "description": "Türme", "selector": ""});
    change(&hub, &first[0], &same).await;
    let mut same = same;
    same["target"] = target;
    change(&hub, &first[1], &same).await;
    let cases: [(&str, &[&str]); 9] = [
        ("sort=created_at", &["b", "c", "a"]),
        ("sort=-created_at", &["a", "c", "b"]),
        ("sort=name", &["a", "b", "c"]),
        ("sort=-name", &["c", "b", "a"]),
        ("sort=updated_at", &["c", "a", "b"]),
        ("q=T%C3%BCrme", &["b"]),
        ("q=TOWER", &["c"]),
        ("q=t%C3%BCr&sort=name", &["b"]),
        ("q=none", &[]),
    ];
    for list in ["data-tables", "integrations"] {
        each_holds(&hub, list, "name", &cases).await;
    }
    holds(&hub, "integrations?enabled=true", "name", &["b", "a"]).await;
    holds(&hub, "integrations?enabled=false&q=tower", "name", &["c"]).await;
}

async fn drivers(database: Database) {
    let hub = Hub::start(database).await;
    let push = async |author: &str, name: &str, description: &str, supports: Value, label: &str| {
        let body = json!({"author": author, "name": name, "tags": ["1"], "labels": [label],
            "description": description, "supports": supports,
            "script": "function decode() { return {} }"});
        hub.post("drivers", &body).await.created();
    };
    let am = json!([{"manufacturer": "Milesight", "model": "AM102"},
        {"manufacturer": "Elsys", "model": "ERS"}]);
    push("yard", "two", "a \"quoted\" text", am, "indoor").await;
    let em = json!([{"manufacturer": "Milesight", "model": "EM300"}]);
    push("zoo", "one", "", em, "site=berlin").await;
    push("yard", "alone", "", json!([]), "Outdoor").await;
    let lpp = "cayenne-lpp";
    let cases: [(&str, &[&str]); 24] = [
        ("", &[lpp, "two", "one", "alone"]),
        ("author=thingshub", &[lpp]),
        ("q=Cayenne", &[lpp]),
        ("author=thingshub&label=indoor", &[]),
        ("author=yard", &["two", "alone"]),
        ("author=Yard", &[]),
        ("manufacturer=milesight", &["two", "one"]),
        ("model=am102", &["two"]),
        ("model=am10", &[]),
        ("manufacturer=Milesight&model=EM300", &["one"]),
        // The model is another manufacturer's.
        ("manufacturer=milesight&model=ERS", &[]),
        ("label=indoor", &["two"]),
        ("label=door", &[]),
        ("label=site%3Dberlin&author=zoo", &["one"]),
        ("q=yard", &["two", "alone"]),
        ("q=%22quoted", &["two"]),
        ("q=milesight", &["two", "one"]),
        ("q=em3", &["one"]),
        ("q=door", &["two", "alone"]),
        // A member's name is no text of the driver.
        ("q=manufacturer", &[]),
        ("sort=name", &["alone", lpp, "one", "two"]),
        ("sort=-author", &["one", "alone", "two", lpp]),
        ("sort=author", &[lpp, "two", "alone", "one"]),
        ("sort=-created_at", &["alone", "one", "two", lpp]),
    ];
    each_holds(&hub, "drivers", "name", &cases).await;
    change(&hub, "drivers/zoo/one", &json!({})).await;
    holds(
        &hub,
        "drivers?sort=-updated_at&q=o",
        "name",
        &["one", "alone", "two", lpp],
    )
    .await;
    let driver = hub.get("drivers/thingshub/cayenne-lpp").await.ok();
    assert_eq!(
        (&driver["built_in"], &driver["tags"]),
        (&json!(true), &json!([]))
    );
    hub.delete("drivers/thingshub/cayenne-lpp")
        .await
        .refused(404);
}

async fn people_and_keys(database: Database) {
    let hub = Hub::start(database).await;
    hub.user("Zed", "viewer").await;
    let made = hub.user("bea", "editor").await;
    hub.user("Cid", "viewer").await;
    let body = json!({"role": "editor", "locked": true, "email": "B@example.com", "full_name": "Beate Ott"});
    change(&hub, &format!("users/{}", made["id"]), &body).await;
    let cases: [(&str, &[&str]); 12] = [
        ("", &["admin", "Zed", "bea", "Cid"]),
        ("role=viewer", &["Zed", "Cid"]),
        ("role=admin", &["admin"]),
        ("locked=true", &["bea"]),
        ("locked=false&role=editor", &[]),
        ("q=zE", &["Zed"]),
        ("q=b%40EXAMPLE", &["bea"]),
        ("q=OTT", &["bea"]),
        ("sort=-updated_at", &["bea", "Cid", "Zed", "admin"]),
        ("sort=name", &["admin", "bea", "Cid", "Zed"]),
        ("sort=-name&role=viewer", &["Zed", "Cid"]),
        ("sort=-created_at", &["Cid", "bea", "Zed", "admin"]),
    ];
    each_holds(&hub, "users", "username", &cases).await;

    for (name, until) in [
        ("b", Value::Null),
        ("c", json!("2999-01-01T00:00:00Z")),
        ("a", json!("2500-01-01T00:00:00Z")),
    ] {
        let body = json!({"name": name, "scopes": ["read"], "expires_at": until});
        hub.post("api-keys", &body).await.created();
    }
    hub.sql("UPDATE api_keys SET expires_at = '2020-01-01T00:00:00+00:00' WHERE name = 'c'")
        .await;
    let cases: [(&str, &[&str]); 8] = [
        ("expired=true", &["c"]),
        ("expired=false", &["b", "a"]),
        ("expires_before=2400-01-01T00:00:00Z", &["c"]),
        ("expires_before=2600-01-01T00:00:00Z", &["c", "a"]),
        ("expires_before=2600-01-01T00:00:00Z&expired=false", &["a"]),
        ("q=B", &["b"]),
        ("sort=name", &["a", "b", "c"]),
        ("sort=-updated_at", &["a", "c", "b"]),
    ];
    each_holds(&hub, "api-keys", "name", &cases).await;
}

async fn tenants(database: Database) {
    let hub = Hub::start(database).await;
    let first = hub.tenant("zoo").await;
    hub.tenant("arena").await;
    change(
        &hub,
        &format!("tenants/{}", first["id"]),
        &json!({"name": "zoo"}),
    )
    .await;
    let cases: [(&str, &[&str]); 5] = [
        ("", &["default", "zoo", "arena"]),
        ("q=ZO", &["zoo"]),
        ("sort=name", &["arena", "default", "zoo"]),
        ("sort=-created_at", &["arena", "zoo", "default"]),
        ("sort=-updated_at", &["zoo", "arena", "default"]),
    ];
    each_holds(&hub, "tenants", "name", &cases).await;
}

async fn devices_by_health(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    let broken = "function decode(payload, port) { throw new Error('no') }";
    hub.push("a/b", "bad", broken).await;
    hub.push("a/b", "good", "function decode() { return {v: 1} }")
        .await;
    for (id, tag) in [("ok", "good"), ("bad", "bad"), ("mended", "bad")] {
        let eui = format!("AA0000000000000{}", id.len());
        let more = json!({"driver": format!("a/b:{tag}")});
        hub.device(id, &connection, &eui, more).await;
        hub.uplink(&connection, &eui).await;
    }
    hub.post("devices", &json!({"id": "new"})).await.created();
    holds(&hub, "devices?health=failing", "id", &["bad", "mended"]).await;
    let address = json!([{"network_connection_id": connection.id,
        "network_device_id": "AA00000000000006"}]);
    let mended = json!({"driver": "a/b:good", "connectivity": {"connections": address}});
    change(&hub, "devices/mended", &mended).await;
    hub.uplink(&connection, "AA00000000000006").await;
    for (state, expected) in [
        ("ok", &["ok", "mended"][..]),
        ("failing", &["bad"]),
        ("never_seen", &["new"]),
    ] {
        let list = format!("devices?health={state}");
        holds(&hub, &list, "id", expected).await;
        for device in hub.list(&list).await {
            assert_eq!(device["health"], state, "{device}");
        }
    }
    hub.sql(
        "UPDATE device_states SET received_at = '2020-01-01T00:00:00+00:00' \
         WHERE device_key IN (SELECT id FROM devices WHERE device_id IN ('ok', 'bad'))",
    )
    .await;
    let cases: [(&str, &[&str]); 5] = [
        ("silent_for_s=3600", &["ok", "bad", "new"]),
        ("silent_for_s=3600&health=ok", &["ok"]),
        ("silent_for_s=3600&health=failing", &["bad"]),
        ("sort=last_seen", &["new", "ok", "bad", "mended"]),
        ("sort=-updated_at", &["mended", "new", "bad", "ok"]),
    ];
    each_holds(&hub, "devices", "id", &cases).await;
}

async fn wrong_parameters_name_the_rule(database: Database) {
    let mut hub = Hub::start(database).await;
    let resource =
        "sort: must be one of created_at, -created_at, name, -name, updated_at, -updated_at";
    for (path, error) in [
        ("network-connections?sort=size", resource),
        ("data-tables?sort=", resource),
        ("integrations?sort=--name", resource),
        ("users?sort=username", resource),
        ("api-keys?sort=Name", resource),
        ("tenants?sort=id", resource),
        (
            "devices?sort=health",
            "sort: must be one of created_at, -created_at, id, -id, name, -name, updated_at, \
             -updated_at, last_seen, -last_seen",
        ),
        (
            "drivers?sort=id",
            "sort: must be one of created_at, -created_at, name, -name, author, -author, \
             updated_at, -updated_at",
        ),
        ("audit-log?sort=name", "sort: must be one of at, -at"),
        (
            "devices?q=x&colour=red",
            "query parameter \"colour\": is unknown here",
        ),
    ] {
        assert_eq!(hub.get(path).await.refused(400), error, "{path}");
    }
    for (path, start) in [
        ("devices?total=yes", "total: "),
        ("devices?health=sad", "health: "),
        ("users?role=king", "role: "),
        ("users?locked=1", "locked: "),
        ("drivers?label=a%3Bb", "label: must be letters"),
        (
            "audit-log?from=2020-01-02T00:00:00Z&to=2020-01-01T00:00:00Z",
            "to: must not be before from",
        ),
    ] {
        let error = hub.get(path).await.refused(400);
        assert!(error.starts_with(start), "{path}: {error}");
    }
    // Another tenant's resources are neither listed nor counted.
    hub.connect("mine").await;
    hub.tenant("other").await;
    hub.token = hub.log_in("other", PASSWORD).await;
    holds(&hub, "network-connections", "name", &[]).await;
    holds(&hub, "users?sort=name", "username", &["other"]).await;
    hub.post("devices", &json!({"id": "d"})).await.created();
    holds(&hub, "devices?sort=last_seen", "id", &["d"]).await;
}
