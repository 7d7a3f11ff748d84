//! `thingshub driver` with a hub: a driver's way from its author's folder to devices and back.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Stdio,
};

use flate2::read::GzDecoder;
use reqwest::Method;
use serde_json::{Value, json};
use tar::Archive;
use tokio::io::AsyncWriteExt;

use crate::{
    cli::commands::Person,
    support::{
        database::{Database, on_both_databases},
        server::{Hub, PASSWORD},
    },
};

on_both_databases!(a_driver_goes_from_its_author_to_devices_and_back);

const EUI: &str = "AA00000000000001";
const SCHEMA: &str = "version: '2'\nproperties:\n  temperature: {type: float64, unit: °C}\n";
const CRLF_AND_BOM: &str = "\u{feff}// Grüße\r\nfunction decode(payload, port) {\r\n  return { level: payload[0] };\r\n}\r\n";

impl Person {
    fn path(&self, path: &str) -> PathBuf {
        self.home.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).unwrap();
    }

    async fn driver(&self, arguments: &[&str]) -> crate::cli::commands::Ended {
        self.run(&[&["driver"], arguments].concat()).await
    }

    /// Logged in, by the command of the drivers' authors.
    async fn author(hub: &Hub) -> Self {
        let person = Self::new();
        let server = format!("https://{}", hub.address);
        let ca = hub.certificate();
        let arguments = [
            "driver",
            "login",
            "--server",
            &server,
            "--ca",
            ca.to_str().unwrap(),
        ];
        let input = format!("{PASSWORD}\n");
        person.run_with(&arguments, &input, &[]).await.ok();
        person
    }

    /// A project that `driver init` has made, with an author.
    async fn project(&self, folder: &str, name: &str) {
        let arguments = ["init", "--name", name, "--author", "acme", "-p", folder];
        self.driver(&arguments).await.ok();
    }
}

fn digest(printed: &str) -> &str {
    let digest = printed.trim_end();
    assert!(
        digest.starts_with("sha256:") && digest.len() == 71,
        "{printed}"
    );
    digest
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

async fn a_driver_goes_from_its_author_to_devices_and_back(database: Database) {
    let hub = Hub::start(database).await;
    let author = Person::author(&hub).await;

    author.project("thermo", "thermo").await;
    let set = async |arguments: &[&str]| {
        let arguments = [&["set"], arguments, &["-p", "thermo"]].concat();
        author.driver(&arguments).await.ok();
    };
    set(&["labels", "indoor"]).await;
    set(&["supports", "ACME", "T1", "1.0"]).await;
    set(&["schema", "schema.yaml"]).await;
    author.write("thermo/schema.yaml", SCHEMA);
    author.driver(&["test", "-p", "thermo"]).await.ok();
    let push = ["push", "-p", "thermo", "-t", "1.0.1", "-t", "1"];
    let printed = author.driver(&push).await.ok();
    let pushed = digest(&printed);
    let again = author
        .driver(&[&push[..], &["--json"]].concat())
        .await
        .json();
    assert_eq!(
        again,
        json!({"author": "acme", "name": "thermo", "tags": ["1.0.1", "1"], "digest": pushed,
               "functions": ["decodeUplink"]})
    );

    author.project("other", "other").await;
    author
        .driver(&["push", "-p", "other", "-t", "latest"])
        .await
        .ok();
    let all = author.driver(&["search"]).await.ok();
    assert_eq!(
        all,
        "DRIVER                 TAGS     DESCRIPTION\n\
         thingshub/cayenne-lpp           Cayenne Low Power Payload; part of the hub, without a script\n\
         acme/other             latest\nacme/thermo            1 1.0.1\n"
    );
    for arguments in [
        &["search", "THERM"][..],
        &["search", "--manufacturer", "acme", "--model", "t1"],
        &["search", "--author", "acme", "--label", "indoor"],
    ] {
        let found = author.driver(arguments).await.ok();
        assert!(
            found.contains("acme/thermo") && !found.contains("acme/other"),
            "{found}"
        );
    }
    let lines = author.driver(&["search", "thermo", "--json"]).await.ok();
    let line: Value = serde_json::from_str(&lines).unwrap();
    assert_eq!(line["supports"][0]["firmware_version"], "1.0");

    let connection = hub.connect("c").await;
    let more = json!({"driver": "acme/thermo:1"});
    hub.device("d", &connection, EUI, more).await;
    hub.uplink(&connection, EUI).await;
    let uplink = &hub.list("devices/d/uplinks").await[0];
    assert!(uplink["data"]["temperature"].is_number(), "{uplink}");

    // Elsewhere, by tag and by digest.
    let pinned = format!("acme/thermo@{pushed}");
    for (folder, reference) in [("a/b", "acme/thermo:1"), ("c", &pinned)] {
        let pulled = author.driver(&["pull", reference, "-p", folder]).await.ok();
        assert_eq!(digest(&pulled), pushed);
        let there = names(&author.path(folder));
        assert_eq!(
            there,
            [".project", "examples.json", "schema.json", "script.js"]
        );
        author.driver(&["test", "-p", folder]).await.ok();
        let supports = author
            .driver(&["get", "supports", "--json", "-p", folder])
            .await
            .json();
        assert_eq!(supports[0]["firmware_version"], "1.0");
        let again = author
            .driver(&["push", "-p", folder, "-t", "again"])
            .await
            .ok();
        assert_eq!(digest(&again), pushed);
    }
    assert_eq!(hub.list("drivers/acme/thermo/versions").await.len(), 1);

    for reference in ["acme/thermo", "acme/thermo:1", &pinned] {
        let refused = author
            .driver(&["delete", reference, "--yes"])
            .await
            .failed(4);
        assert!(refused.contains("in use by 1 device"), "{refused}");
    }
    hub.put("devices/d", &json!({"name": "without a driver"}))
        .await
        .ok();
    let unasked = author.driver(&["delete", "acme/thermo:1"]).await.failed(2);
    assert!(unasked.contains("--yes"), "{unasked}");
    let deleted = author
        .driver(&["delete", "acme/thermo:1", "--yes"])
        .await
        .ok();
    assert_eq!(deleted, "deleted the tag acme/thermo:1\n");
    let gone = author
        .driver(&["pull", "acme/thermo:1", "-p", "d"])
        .await
        .failed(7);
    assert!(gone.contains("404"), "{gone}");
    assert!(!author.path("d").exists());
    for tag in ["1.0.1", "again"] {
        let reference = format!("acme/thermo:{tag}");
        author.driver(&["delete", &reference, "--yes"]).await.ok();
    }
    author.driver(&["delete", &pinned, "-y"]).await.ok();
    author.driver(&["delete", "acme/thermo", "-y"]).await.ok();
    author
        .driver(&["delete", "acme/thermo", "-y"])
        .await
        .failed(7);
}

#[tokio::test]
async fn what_a_test_would_refuse_is_not_sent() {
    let hub = Hub::start(Database::Sqlite).await;
    let author = Person::author(&hub).await;
    author.project(".", "thermo").await;
    let script = fs::read_to_string(author.path("script.js")).unwrap();
    author.write("script.js", &script.replace("/ 10", "/ 100"));
    let push = ["push", "-t", "1"];
    let refused = author.driver(&push).await.failed(1);
    assert!(
        refused.contains("the example says -1, the driver gives -0.1"),
        "{refused}"
    );
    // The hub runs them as well, and says the same.
    let untested = author
        .driver(&[&push[..], &["--no-test"]].concat())
        .await
        .failed(4);
    assert!(
        untested.contains("the example says -1, the driver gives -0.1"),
        "{untested}"
    );
    author.write("script.js", &script);

    author.write("schema.yaml", &SCHEMA.replace("temperature", "humidity"));
    author.driver(&["set", "schema", "schema.yaml"]).await.ok();
    let broken = author.driver(&push).await.failed(1);
    assert!(broken.contains("the data break the schema"), "{broken}");
    assert_eq!(author.driver(&["test"]).await.code, 1);
    author.write("schema.yaml", "version: '9'");
    assert!(author.driver(&push).await.failed(2).contains("schema.yaml"));
    author
        .driver(&["set", "schema", "../schema.yaml"])
        .await
        .ok();
    assert!(
        author
            .driver(&push)
            .await
            .failed(2)
            .contains("not in the project")
    );
    author.write("schema.yaml", SCHEMA);
    author.driver(&["set", "schema", "schema.yaml"]).await.ok();

    for (field, value) in [("name", "a/../b"), ("author", "Größe"), ("labels", "a,b")] {
        let before = author.driver(&["get", field, "--json"]).await.json();
        author.driver(&["set", field, value]).await.ok();
        let refused = author.driver(&push).await.failed(2);
        assert!(refused.contains(field.trim_end_matches('s')), "{refused}");
        let before = before.as_str().unwrap_or("indoor");
        author.driver(&["set", field, before]).await.ok();
    }
    for tag in ["", "a b", "-", "ü"] {
        assert_eq!(author.driver(&["push", "-t", tag]).await.code, 2, "{tag}");
    }
    assert_eq!(author.driver(&["push"]).await.code, 2);
    assert_eq!(hub.list("drivers").await.len(), 1, "the built-in one alone");
    author.driver(&push).await.ok();
    assert_eq!(hub.list("drivers").await.len(), 2);
}

#[tokio::test]
async fn a_pull_keeps_what_is_there_and_stays_in_its_folder() {
    let hub = Hub::start(Database::Sqlite).await;
    let author = Person::author(&hub).await;
    author.project("p", "level").await;
    author.write("p/script.js", CRLF_AND_BOM);
    author.write(
        "p/examples.json",
        r#"[{"input": {"bytes": [7], "fPort": 1}, "output": {"data": {"level": 7}}},
            {"function": "decode", "description": "", "input": {"bytes": [1.0e0]}, "output": {"level": 1.0}}]"#,
    );
    let pushed = author
        .driver(&["push", "-p", "p", "-t", "latest"])
        .await
        .ok();

    let outside = author.path("outside.js");
    author.write("outside.js", "mine");
    fs::create_dir(author.path("q")).unwrap();
    symlink(&outside, author.path("q/script.js")).unwrap();
    let pull = ["pull", "acme/level", "-p", "q"];
    let refused = author.driver(&pull).await.failed(2);
    assert!(refused.contains("script.js already exists"), "{refused}");
    assert_eq!(names(&author.path("q")), ["script.js"]);
    let forced = author
        .driver(&[&pull[..], &["--force"]].concat())
        .await
        .ok();
    assert_eq!(forced, pushed);
    assert_eq!(fs::read_to_string(&outside).unwrap(), "mine");
    assert_eq!(
        fs::read_to_string(author.path("q/script.js")).unwrap(),
        CRLF_AND_BOM
    );
    author.driver(&["test", "-p", "q"]).await.ok();
    let again = author
        .driver(&["push", "-p", "q", "-t", "again"])
        .await
        .ok();
    assert_eq!(again, pushed);

    // Examples of something else would be pushed with it.
    author.write("q/more.examples.json", "[]");
    let mixed = author
        .driver(&[&pull[..], &["--force"]].concat())
        .await
        .failed(2);
    assert!(mixed.contains("more.examples.json"), "{mixed}");

    for bad in [
        "level",
        "acme/../level",
        "acme/level:",
        "../acme/level",
        "acme/level@sha256:00",
    ] {
        assert_eq!(
            author.driver(&["pull", bad, "-p", "r"]).await.code,
            2,
            "{bad}"
        );
    }
    author
        .driver(&["pull", "acme/none", "-p", "r"])
        .await
        .failed(7);
    assert!(!author.path("r").exists());
    let nobody = Person::new();
    for arguments in [
        &["search"][..],
        &pull,
        &["push", "-t", "1"],
        &["delete", "acme/level", "-y"],
    ] {
        nobody.driver(arguments).await.failed(5);
    }
}

#[tokio::test]
async fn what_a_hub_exported_is_a_project() {
    let hub = Hub::start(Database::Sqlite).await;
    let author = Person::author(&hub).await;
    author.project("p", "level").await;
    author.write("p/script.js", CRLF_AND_BOM);
    author.write("p/schema.yaml", "properties: {level: {type: int8}}");
    author
        .driver(&["set", "schema", "schema.yaml", "-p", "p"])
        .await
        .ok();
    author.write(
        "p/examples.json",
        r#"[{"input": {"bytes": [7], "fPort": 1}, "output": {"data": {"level": 7}}}]"#,
    );
    let pushed = author.driver(&["push", "-p", "p", "-t", "1"]).await.ok();

    let exported = hub
        .request(Method::GET, "drivers/acme/level/export")
        .bearer_auth(&hub.token);
    let exported = exported.send().await.unwrap().bytes().await.unwrap();
    let mut archive = Archive::new(GzDecoder::new(&*exported));
    archive.unpack(author.path("unpacked")).unwrap();
    let folder = names(&author.path("unpacked")).remove(0);
    let folder = format!("unpacked/{folder}");
    let tested = author.driver(&["test", "-p", &folder]).await.ok();
    assert!(tested.contains('1'), "{tested}");
    let again = ["push", "-p", &folder, "-t", "2"];
    assert_eq!(author.driver(&again).await.ok(), pushed, "the same content");
    author.write(&format!("{folder}/schema.json"), r#"{"properties": {}}"#);
    author.write(&format!("{folder}/examples.json"), r#"[{"output": 7}]"#);
    assert_eq!(author.driver(&["test", "-p", &folder]).await.code, 2);
}

#[tokio::test]
async fn who_deletes_is_asked_at_a_terminal() {
    let hub = Hub::start(Database::Sqlite).await;
    let author = Person::author(&hub).await;
    author.project("p", "level").await;
    author.driver(&["push", "-p", "p", "-t", "1"]).await.ok();
    let program = env!("CARGO_BIN_EXE_thingshub");
    let answered = async |answer: &str| {
        // `script` gives its command a terminal.
        let mut child = tokio::process::Command::new("script")
            .args([
                "-qec",
                &format!("{program} driver delete acme/level"),
                "/dev/null",
            ])
            .current_dir(author.home.path())
            .env("HOME", author.home.path())
            .env("XDG_CONFIG_HOME", author.path("config"))
            .env("NO_PROXY", "127.0.0.1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(answer.as_bytes()).await.unwrap();
        let ended = child.wait_with_output().await.unwrap();
        (
            ended.status.code().unwrap(),
            String::from_utf8_lossy(&ended.stdout).into_owned(),
        )
    };
    for answer in ["n\n", "\n", "yesterday\n"] {
        let (code, told) = answered(answer).await;
        assert!(
            told.contains("[y/N]") && told.contains("nothing was deleted"),
            "{told}"
        );
        assert_ne!(code, 0);
        hub.get("drivers/acme/level").await.ok();
    }
    let (code, told) = answered("Y\n").await;
    assert!(code == 0 && told.contains("deleted"), "{code}: {told}");
    hub.get("drivers/acme/level").await.refused(404);
    author.driver(&["delete", "acme/level"]).await.failed(2);
}
