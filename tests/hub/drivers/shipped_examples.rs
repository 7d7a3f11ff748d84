//! The drivers in `examples/` do what their own examples say: on the command line, and on a hub.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::{
    repository,
    support::{
        database::{Database, on_both_databases},
        server::Hub,
    },
};

on_both_databases!(shipped_drivers_are_taken_by_a_hub);

#[test]
fn shipped_drivers_pass_their_examples() {
    for folder in [projects(), vec![repository("examples")]].concat() {
        let lines = driver(&folder, &["test", "--json"]);
        let called: Vec<String> = lines
            .lines()
            .map(|line| {
                let line: Value = serde_json::from_str(line).unwrap();
                assert_eq!(line["passed"], true, "{}: {line}", folder.display());
                line["function"].as_str().unwrap().to_owned()
            })
            .collect();
        assert!(called.len() > 1, "{} has examples", folder.display());
    }
}

async fn shipped_drivers_are_taken_by_a_hub(database: Database) {
    let hub = Hub::start(database).await;
    for folder in projects() {
        let copy = copy(&folder);
        driver(copy.path(), &["build"]);
        let built = fs::read(copy.path().join("build/driver.json")).unwrap();
        let mut built: Value = serde_json::from_slice(&built).unwrap();
        built["tags"] = json!(["1"]);
        hub.post("drivers", &built).await.created();

        let name = folder.file_name().unwrap().to_str().unwrap();
        assert_eq!(built["name"], name);
        let tag = hub.get(&format!("drivers/examples/{name}/tags/1")).await;
        assert_eq!(tag.ok()["examples"], built["examples"]);
    }
}

/// The folders of the example drivers that are projects.
fn projects() -> Vec<PathBuf> {
    let folders: Vec<PathBuf> = fs::read_dir(repository("examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join(".project").is_file())
        .collect();
    assert!(folders.len() >= 6, "{folders:?}");
    folders
}

/// `driver build` writes into its folder, which must not be the repository's.
fn copy(folder: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    copy
}

/// Runs a command of `thingshub driver`, which must succeed, and returns what it prints.
fn driver(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_thingshub"))
        .arg("driver")
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success(),
        "{}: {printed}{error}",
        folder.display()
    );
    printed
}
