//! Drivers gone wrong: the message is kept, the fault is reported, and the next call works.

use serde_json::{Value, json};

use crate::support::{
    database::{Database, on_both_databases},
    server::Hub,
};

on_both_databases!(
    whatever_a_driver_does_the_uplink_is_kept,
    what_node_has_is_there_or_named,
    a_tag_that_moves_takes_its_devices_along,
    a_tag_or_driver_in_use_stays,
    pushes_of_one_new_driver_at_once_all_succeed,
    a_script_that_cannot_work_is_refused,
);

const GOOD: &str = "function decode(payload, port) { return { first: payload[0], port } }";

async fn whatever_a_driver_does_the_uplink_is_kept(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.push("a/good", "1", GOOD).await;
    hub.device(
        "good",
        &connection,
        "AA00000000000000",
        json!({"driver": "a/good:1"}),
    )
    .await;
    let bad = [
        ("loops", "while (true) {}"),
        (
            "eats",
            "const all = []; while (true) all.push(new Array(10000).fill(1));",
        ),
        ("recurses", "return decode(payload, port)"),
        ("chatters", "while (true) console.log('x'.repeat(1000))"),
        ("number", "return 7"),
        ("nothing", ""),
        ("throws", "\nthrow new Error('broken on purpose')"),
        ("cyclic", "const a = {}; a.a = a; return a"),
        ("large", "return {a: 'x'.repeat(1000000)}"),
    ];
    for (number, (name, statements)) in bad.iter().enumerate() {
        let script = format!("function decode(payload, port) {{ {statements} }}");
        hub.push(&format!("a/{name}"), "1", &script).await;
        let eui = format!("AB0000000000000{number}");
        let driver = json!({"driver": format!("a/{name}:1")});
        hub.device(name, &connection, &eui, driver).await;

        let uplink = hub.uplink(&connection, &eui).await;
        let kept = hub.list(&format!("devices/{name}/uplinks")).await.remove(0);
        assert_eq!(
            (&kept["id"], &kept["data"]),
            (&json!(uplink), &Value::Null),
            "{name}"
        );
        assert!(
            !kept["error"]["message"].as_str().unwrap().is_empty(),
            "{name}: {kept}"
        );
        let events = hub.list(&format!("devices/{name}/events")).await;
        assert_eq!(events.len(), 1, "{name}: {events:?}");
        assert_eq!(events[0]["kind"], "driver_failed");
        assert!(!events[0]["message"].as_str().unwrap().is_empty(), "{name}");
        if *name == "throws" {
            let message = events[0]["message"].as_str().unwrap();
            assert!(message.contains("broken on purpose"), "{message}");
            assert_eq!(events[0]["details"]["line"], 2, "{events:?}");
        }

        hub.uplink(&connection, "AA00000000000000").await;
        let good = hub.list("devices/good/uplinks").await.remove(0);
        assert_eq!(
            good["data"],
            json!({"first": 1, "port": 85}),
            "after {name}"
        );
    }
}

async fn what_node_has_is_there_or_named(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    let cases = [
        (
            "/T=([0-9.]+);H=([0-9]+)/.test('T=21.5;H=40');
             return { temperature: parseFloat(RegExp.$1), humidity: parseInt(RegExp.$2, 10), rest: RegExp.rightContext }",
            json!({"temperature": 21.5, "humidity": 40, "rest": ""}),
        ),
        (
            "return { broken: new Date('2021-00-10'), month: new Date('2021-13-01'), good: new Date('2021-02-10') }",
            // A broken date is no value, and is left out.
            json!({"good": "2021-02-10T00:00:00.000Z"}),
        ),
        (
            "const p = {};
             new Intl.DateTimeFormat('en-US', { timeZone: 'Australia/Sydney', hour: '2-digit', minute: '2-digit', hour12: false })
                 .formatToParts(new Date(1706745600000)).forEach((x) => { p[x.type] = x.value });
             return { local: p.hour + ':' + p.minute }",
            json!({"local": "11:00"}),
        ),
    ];
    for (number, (statements, expected)) in cases.iter().enumerate() {
        let (name, eui) = (format!("a/n{number}"), format!("AC0000000000000{number}"));
        hub.push(&name, "1", &format!("function decode() {{ {statements} }}"))
            .await;
        let driver = json!({"driver": format!("{name}:1")});
        hub.device(&format!("n{number}"), &connection, &eui, driver)
            .await;
        hub.uplink(&connection, &eui).await;
        let uplink = hub
            .list(&format!("devices/n{number}/uplinks"))
            .await
            .remove(0);
        assert_eq!(&uplink["data"], expected, "{uplink}");
    }
    let lacking = "function decode() { return { text: new Intl.ListFormat('en').format(['a']) } }";
    hub.push("a/lacking", "1", lacking).await;
    let driver = json!({"driver": "a/lacking:1"});
    hub.device("lacking", &connection, "AD00000000000000", driver)
        .await;
    hub.uplink(&connection, "AD00000000000000").await;
    let uplink = hub.list("devices/lacking/uplinks").await.remove(0);
    let message = uplink["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("Intl.ListFormat is not available to drivers"),
        "{message}"
    );
}

async fn a_tag_that_moves_takes_its_devices_along(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    let version = |number: u8| format!("function decode() {{ return {{ version: {number} }} }}");
    hub.push("a/b", "1", &version(1)).await;
    hub.device(
        "d",
        &connection,
        "AA00000000000001",
        json!({"driver": "a/b:1"}),
    )
    .await;
    for number in [1, 2, 3] {
        hub.push("a/b", "1", &version(number)).await;
        hub.uplink(&connection, "AA00000000000001").await;
        let newest = hub.list("devices/d/uplinks").await.remove(0);
        assert_eq!(newest["data"], json!({"version": number}));
    }
    let tag = hub.get("drivers/a/b/tags/1").await.ok();
    assert_eq!(tag["script"], version(3));
    assert_eq!(tag["functions"], json!(["decode"]));
}

async fn a_tag_or_driver_in_use_stays(database: Database) {
    let hub = Hub::start(database).await;
    hub.push("a/b", "1", GOOD).await;
    hub.push("a/b", "2", GOOD).await;
    hub.post("devices", &json!({"id": "d", "driver": "a/b:1"}))
        .await
        .created();
    hub.delete("drivers/a/b/tags/1").await.refused(400);
    hub.delete("drivers/a/b").await.refused(400);
    let deleted = hub.delete("drivers/a/b/tags/2").await.ok();
    assert_eq!(
        (&deleted["tag"], &deleted["script"]),
        (&json!("2"), &json!(GOOD))
    );
    let left = hub.get("drivers/a/b").await.ok();
    assert_eq!(left["tags"].as_array().unwrap().len(), 1);
    hub.get("drivers/a/b/tags/2").await.refused(404);
    hub.put("devices/d", &json!({})).await.ok();
    hub.delete("drivers/a/b").await.ok();
    hub.get("drivers/a/b").await.refused(404);
}

async fn pushes_of_one_new_driver_at_once_all_succeed(database: Database) {
    let hub = Hub::start(database).await;
    for round in 0..5 {
        let name = format!("a/b{round}");
        let pushes = (0..8).map(|tag| {
            let (hub, name) = (&hub, &name);
            async move { hub.push(name, &tag.to_string(), GOOD).await }
        });
        futures_util::future::join_all(pushes).await;
        let driver = hub.get(&format!("drivers/{name}")).await.ok();
        assert_eq!(driver["tags"].as_array().unwrap().len(), 8);
    }
}

async fn a_script_that_cannot_work_is_refused(database: Database) {
    let hub = Hub::start(database).await;
    for (script, expected) in [
        ("function decode( {", "line 1"),
        ("\n\nfunction decode() { return } }", "line 3"),
        ("const x = 1", "must define one of"),
        ("\nthrow new Error('at load')", "at load"),
        ("while (true) {}", "script: "),
    ] {
        let body = json!({"author": "a", "name": "b", "tags": ["1"], "script": script});
        let error = hub.post("drivers", &body).await.refused(400);
        assert!(error.starts_with("script: "), "{error}");
        assert!(error.contains(expected), "{script}: {error}");
    }
    hub.get("drivers/a/b").await.refused(404);
    // A device may not name a driver that is not there.
    let error = hub
        .post("devices", &json!({"id": "d", "driver": "a/b:1"}))
        .await
        .refused(400);
    assert!(error.starts_with("driver: "), "{error}");
}
