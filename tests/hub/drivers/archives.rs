//! A driver as one file: what is exported is imported elsewhere as it was, and what is no archive of a
//! driver is refused.

use std::io::{Read, Write};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use reqwest::Method;
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use crate::support::{
    database::{Database, on_both_databases},
    server::{Answer, Hub, PASSWORD},
};

on_both_databases!(
    what_is_exported_is_imported_as_it_was,
    one_version_is_exported_alone,
    a_folder_made_by_hand_is_imported,
    an_archive_comes_as_tools_send_it,
    what_is_no_archive_of_a_driver_is_refused,
    an_import_is_all_or_nothing,
);

const SCRIPT: &str = "function decode(p) { return { n: p[0] } }";

impl Hub {
    async fn export(&self, path: &str) -> Vec<u8> {
        let request = self.request(Method::GET, path).bearer_auth(&self.token);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(
            response.headers()["content-type"],
            "application/octet-stream"
        );
        let disposition = &response.headers()["content-disposition"];
        assert_eq!(disposition, "attachment; filename=\"a-b.tar.gz\"");
        response.bytes().await.unwrap().to_vec()
    }

    async fn import(&self, archive: Vec<u8>) -> Answer {
        self.import_as("application/octet-stream", archive).await
    }

    async fn import_as(&self, kind: &str, body: Vec<u8>) -> Answer {
        let request = self
            .request(Method::POST, "drivers/import")
            .bearer_auth(&self.token)
            .header("Content-Type", kind)
            .body(body);
        self.answer(request).await
    }

    /// The driver's part of the registry, without times.
    async fn registry(&self) -> Value {
        let mut driver = self.get("drivers/a/b").await.ok();
        for tag in driver["tags"].as_array_mut().unwrap() {
            tag["updated_at"].take();
        }
        json!([
            driver["description"],
            driver["supports"],
            driver["labels"],
            driver["tags"]
        ])
    }
}

fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, text) in files {
        append(&mut builder, path, EntryType::Regular, text.as_bytes());
    }
    builder.into_inner().unwrap().finish().unwrap()
}

/// Writes the name as it is, which the builder itself would refuse.
fn append(builder: &mut Builder<impl Write>, path: &str, kind: EntryType, content: &[u8]) {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    header.set_cksum();
    builder.append(&header, content).unwrap();
}

fn project(tags: &[&str]) -> String {
    json!({"type": "driver", "metadata": {"author": "a", "name": "b"}, "tags": tags}).to_string()
}

async fn pushed(hub: &Hub) {
    let device = json!({"manufacturer": "Milesight", "model": "AM102", "firmware_version": "1"});
    for (tags, script, examples) in [
        (
            json!(["1.0", "old"]),
            "function decode() { return { v: 1 } }",
            json!([]),
        ),
        (
            json!(["1.1", "1", "latest"]),
            SCRIPT,
            json!([{"input": {"bytes": [7]}, "output": {"n": 7}, "description": "ü"}]),
        ),
    ] {
        let body = json!({"author": "a", "name": "b", "tags": tags, "script": script,
            "description": "Climate\nindoors", "supports": [device], "labels": ["x=y"],
            "schema": {"version": "1", "properties": {"n": {"type": "int64", "unit": "°"}}},
            "examples": examples});
        hub.post("drivers", &body).await.created();
    }
}

async fn what_is_exported_is_imported_as_it_was(database: Database) {
    let mut hub = Hub::start(database).await;
    pushed(&hub).await;
    let (before, archive) = (hub.registry().await, hub.export("drivers/a/b/export").await);
    assert_eq!(
        hub.export("drivers/a/b/export").await,
        archive,
        "the same bytes"
    );
    let versions = hub.list("drivers/a/b/versions").await;

    hub.tenant("other").await;
    hub.token = hub.log_in("other", PASSWORD).await;
    hub.get("drivers/a/b/export").await.refused(404);
    let answer = hub.import(archive.clone()).await;
    assert_eq!(answer.headers["location"], "/api/v3/drivers/a/b");
    answer.created();
    assert_eq!(hub.registry().await, before);
    for version in versions {
        let digest = version["digest"].as_str().unwrap();
        let path = format!("drivers/a/b/versions/{digest}");
        let found = hub.get(&path).await.ok();
        assert_eq!(found["tags"], version["tags"]);
        assert_eq!(found["columns"][0]["unit"], "°");
    }
    // Once more changes nothing.
    hub.import(archive).await.created();
    assert_eq!(hub.registry().await, before);
    assert_eq!(hub.list("drivers/a/b/tags/1/history").await.len(), 1);
}

async fn one_version_is_exported_alone(database: Database) {
    let hub = Hub::start(database).await;
    pushed(&hub).await;
    let old = hub.get("drivers/a/b/tags/old").await.ok();
    let digest = old["digest"].as_str().unwrap().to_owned();
    let names = async |path: &str| {
        let bytes = hub.export(path).await;
        let mut archive = tar::Archive::new(GzDecoder::new(&bytes[..]));
        let entries = archive.entries().unwrap();
        let mut names = Vec::new();
        let mut project = Value::Null;
        for entry in entries {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            if name.ends_with(".project") {
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                project = serde_json::from_str(&text).unwrap();
            }
            names.push(name);
        }
        (names, project)
    };
    let folder = format!("b-{}", &digest[7..19]);
    let expected: Vec<String> = [".project", "driver.js", "schema.json"]
        .iter()
        .map(|file| format!("{folder}/{file}"))
        .collect();
    for reference in ["old", &digest] {
        let (names, project) = names(&format!("drivers/a/b/export?reference={reference}")).await;
        assert_eq!(names, expected);
        assert_eq!(project["digest"], digest);
        assert_eq!(project["tags"], json!(["1.0", "old"]));
        assert_eq!(project["metadata"]["supports"][0]["model"], "AM102");
    }
    let (all, _) = names("drivers/a/b/export").await;
    assert_eq!(all.len(), 7, "{all:?}");
    hub.get("drivers/a/b/export?reference=none")
        .await
        .refused(404);
    let error = hub.get("drivers/a/b/export?reference=sha256:1").await;
    assert!(error.refused(400).starts_with("reference: must be a tag"));
    for tag in ["1.0", "old", "1.1", "1", "latest"] {
        hub.delete(&format!("drivers/a/b/tags/{tag}")).await.ok();
    }
    let error = hub.get("drivers/a/b/export").await.refused(400);
    assert_eq!(error, "reference: is required: the driver has no tag");
}

async fn a_folder_made_by_hand_is_imported(database: Database) {
    let hub = Hub::start(database).await;
    let files = [("./.project", &*project(&["1"])), ("./driver.js", SCRIPT)];
    let made = hub.import(archive(&files)).await.created();
    assert_eq!(made["tags"][0]["tag"], "1");
    let yaml = "version: '1'\nproperties: {n: {type: int64}}\n";
    let files = [
        ("one/.project", &*project(&["2"])),
        ("one/driver.js", SCRIPT),
        ("one/schema.json", yaml),
        (
            "one/examples.json",
            r#"[{"input": {"bytes": [1]}, "output": {"n": 1}}]"#,
        ),
    ];
    let made = hub.import(archive(&files)).await.created();
    assert_eq!(made["tags"].as_array().unwrap().len(), 2);
    // An archive of a version without a tag adds the version alone.
    let files = [
        (".project", &*project(&[])),
        ("driver.js", "function decode() { return {} }"),
    ];
    hub.import(archive(&files)).await.created();
    assert_eq!(hub.list("drivers/a/b/versions").await.len(), 3);
}

async fn what_is_no_archive_of_a_driver_is_refused(database: Database) {
    let hub = Hub::start(database).await;
    let good = project(&["1"]);
    let with = |path: &str, text: &str| {
        archive(&[("d/.project", &good), ("d/driver.js", SCRIPT), (path, text)])
    };
    let odd = |kind: EntryType| {
        let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        append(&mut builder, "d/driver.js", kind, b"");
        builder.into_inner().unwrap().finish().unwrap()
    };
    let bomb = {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        let zeros = vec![0_u8; 1 << 20];
        for _ in 0..80 {
            gzip.write_all(&zeros).unwrap();
        }
        gzip.finish().unwrap()
    };
    let many: Vec<(String, &str)> = (0..300)
        .map(|n| (format!("d{n}/driver.js"), SCRIPT))
        .collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(path, text)| (&**path, *text)).collect();
    let versions: Vec<(String, &str)> = (0..33)
        .map(|n| (format!("d{n}/driver.js"), SCRIPT))
        .collect();
    let versions: Vec<(&str, &str)> = versions
        .iter()
        .map(|(path, text)| (&**path, *text))
        .collect();
    let mut cut_off = with("d/schema.json", "{}");
    cut_off.truncate(cut_off.len() - 12);
    let mut flipped = with("d/schema.json", "version: '1'\nproperties: {}");
    let last = flipped.len() - 6;
    flipped[last] ^= 1;
    let large = "x".repeat(5 << 20);
    for (what, bytes, expected) in [
        (
            "nothing",
            vec![],
            "archive: must be a tar archive, compressed with gzip",
        ),
        (
            "no gzip",
            b"PK\x03\x04".to_vec(),
            "archive: must be a tar archive",
        ),
        (
            "no tar",
            {
                let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
                gzip.write_all(&[b'x'; 2000]).unwrap();
                gzip.finish().unwrap()
            },
            "archive: must be a tar archive",
        ),
        ("cut off", cut_off, "archive: must be a tar archive"),
        ("flipped", flipped, "archive: must be a tar archive"),
        ("empty", archive(&[]), "archive: must contain a driver"),
        (
            "up",
            with("../d/schema.json", "{}"),
            "archive: ../d/schema.json: must be a relative path",
        ),
        (
            "within",
            with("d/../../x", "{}"),
            "archive: d/../../x: must be a relative path",
        ),
        (
            "absolute",
            with("/etc/passwd", "x"),
            "archive: /etc/passwd: must be a relative path",
        ),
        (
            "deep",
            with("d/e/driver.js", "x"),
            "archive: d/e/driver.js: must be at the top",
        ),
        (
            "unknown",
            with("d/README.md", "x"),
            "archive: d/README.md: must be one of .project, driver.js",
        ),
        (
            "twice",
            with("d/driver.js", "x"),
            "archive: d/driver.js: must not occur twice",
        ),
        (
            "twice in disguise",
            with("./d/./driver.js", "x"),
            "archive: ./d/./driver.js: must not occur twice",
        ),
        (
            "link",
            odd(EntryType::Symlink),
            "archive: d/driver.js: must be a file or a folder, not a link",
        ),
        (
            "hard link",
            odd(EntryType::Link),
            "archive: d/driver.js: must be a file or a folder",
        ),
        (
            "device",
            odd(EntryType::Char),
            "archive: d/driver.js: must be a file or a folder",
        ),
        (
            "fifo",
            odd(EntryType::Fifo),
            "archive: d/driver.js: must be a file or a folder",
        ),
        (
            "bomb",
            bomb,
            "archive: must have at most 67108864 bytes uncompressed",
        ),
        (
            "many",
            archive(&many),
            "archive: must have at most 256 files and folders",
        ),
        (
            "versions",
            archive(&versions),
            "archive: must have at most 32 versions",
        ),
        (
            "large",
            with("d/schema.json", &large),
            "archive: d/schema.json: must have at most 4194304 bytes",
        ),
        (
            "no project",
            archive(&[("d/driver.js", SCRIPT)]),
            "archive: d/.project: is missing",
        ),
        (
            "no script",
            archive(&[("d/.project", &good)]),
            "archive: d/driver.js: is missing",
        ),
        (
            "bad JSON",
            archive(&[(".project", "{"), ("driver.js", SCRIPT)]),
            "archive: .project: body: is not valid JSON",
        ),
        (
            "no type",
            archive(&[(".project", "{}"), ("driver.js", SCRIPT)]),
            "archive: .project: type: is required",
        ),
        (
            "bad name",
            archive(&[
                (".project", &good.replace("\"b\"", "\"ü\"")),
                ("driver.js", SCRIPT),
            ]),
            "archive: .project: metadata.name: must be letters",
        ),
        (
            "no script at all",
            archive(&[(".project", &good), ("driver.js", "")]),
            "archive: driver.js: must have 1",
        ),
        (
            "bad script",
            archive(&[("d/.project", &good), ("d/driver.js", "(")]),
            "archive: d: script: ",
        ),
        (
            "bad schema",
            with("d/schema.json", "{}"),
            "archive: d: schema",
        ),
        (
            "bad examples",
            with("d/examples.json", "{}"),
            "archive: d/examples.json: body: must be an array",
        ),
        (
            "wrong examples",
            with(
                "d/examples.json",
                r#"[{"input": {"bytes": [1]}, "output": {"n": 2}}]"#,
            ),
            "archive: d: examples[0]: output.n: the example says 2, the driver gives 1",
        ),
        (
            "two drivers",
            with("e/.project", &good),
            "archive: e/driver.js: is missing",
        ),
    ] {
        let error = hub.import(bytes).await.refused(400);
        assert!(error.starts_with(expected), "{what}: {error}");
    }
    let other = good.replace("\"b\"", "\"c\"");
    let files = [
        ("d/.project", &*good),
        ("d/driver.js", SCRIPT),
        ("e/.project", &other),
        ("e/driver.js", SCRIPT),
    ];
    let error = hub.import(archive(&files)).await.refused(400);
    assert!(
        error.contains("must have the same metadata as the other versions"),
        "{error}"
    );
    let request = hub
        .request(Method::POST, "drivers/import")
        .bearer_auth(&hub.token);
    let request = request.header("Content-Type", "application/zip").body("x");
    let error = hub.answer(request).await.refused(400);
    assert_eq!(
        error,
        "header Content-Type: must be application/octet-stream, application/gzip or multipart/form-data"
    );
    assert_eq!(hub.list("drivers").await.len(), 1, "the built-in one alone");
}

async fn an_archive_comes_as_tools_send_it(database: Database) {
    let hub = Hub::start(database).await;
    let files = [("d/.project", &*project(&["1"])), ("d/driver.js", SCRIPT)];
    let archive = archive(&files);
    for kind in ["application/gzip", "application/x-gzip"] {
        hub.import_as(kind, archive.clone()).await.created();
    }
    let start = "--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a-b.tar.gz\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\n";
    let form = [start.as_bytes(), &archive, b"\r\n--X--\r\n"].concat();
    hub.import_as("multipart/form-data; boundary=X", form)
        .await
        .created();
    assert_eq!(hub.list("drivers").await.len(), 2);
    let error = hub.import_as("text/csv", archive).await.refused(400);
    assert!(error.starts_with("header Content-Type: must be"), "{error}");
}

async fn an_import_is_all_or_nothing(database: Database) {
    let hub = Hub::start(database).await;
    let (good, other) = (project(&["1"]), project(&["2"]));
    let files = [
        ("d/.project", &*good),
        ("d/driver.js", SCRIPT),
        ("e/.project", &*other),
        ("e/driver.js", "function decode("),
    ];
    let error = hub.import(archive(&files)).await.refused(400);
    assert!(error.starts_with("archive: e: script: "), "{error}");
    hub.get("drivers/a/b").await.refused(404);

    // A digest that is given is that of the content.
    let said = format!("sha256:{}", "0".repeat(64));
    let mut wrong: Value = serde_json::from_str(&good).unwrap();
    wrong["digest"] = json!(said);
    let wrong = wrong.to_string();
    let files = [(".project", &*wrong), ("driver.js", SCRIPT)];
    let error = hub.import(archive(&files)).await.refused(400);
    assert!(
        error.starts_with("archive: digest: must be sha256:"),
        "{error}"
    );
    hub.get("drivers/a/b").await.refused(404);
}
