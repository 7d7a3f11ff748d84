//! The commands of README.md, as a reader pastes them into a shell.

use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use crate::{
    repository,
    support::{
        database::Database,
        server::{Hub, PASSWORD},
    },
};

/// The shell commands of the sections from one heading to another.
fn commands(page: &str, from: &str, to: &str) -> Vec<String> {
    let (_, section) = page.split_once(from).unwrap();
    let (section, _) = section.split_once(to).unwrap();
    let blocks = section.split("```sh\n").skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap().to_owned())
        .collect()
}

/// A shell has run these commands: what it printed.
async fn pasted(hub: &Hub, commands: &str) -> String {
    let commands = commands
        .replace("127.0.0.1:8443", &hub.address)
        .replace("data/tls/cert.pem", hub.certificate().to_str().unwrap())
        .replace("correct horse battery", PASSWORD);
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &commands])
        .current_dir(repository(""))
        .env("no_proxy", "127.0.0.1")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{commands}\n{said}\n{errors}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn the_walk_of_the_readme_works() {
    let page = std::fs::read_to_string(repository("README.md")).unwrap();
    let hub = Hub::start(Database::Sqlite).await;
    let walk = commands(
        &page,
        "\n## From a real uplink to decoded data\n",
        "\n## People, programs, tenants\n",
    );
    // The first block starts the hub.
    let [_, walk] = &walk[..] else {
        panic!("{walk:#?}");
    };
    let people = commands(
        &page,
        "\n## People, programs, tenants\n",
        "\n## From the command line\n",
    );
    // The last block follows events for ever.
    let said = pasted(&hub, &format!("{walk}\n{}", people[0])).await;

    let promised = page.split_once("The last two lines print `").unwrap().1;
    let promised: Value = serde_json::from_str(promised.split('`').next().unwrap()).unwrap();
    let printed: Vec<Value> = serde_json::Deserializer::from_str(&said)
        .into_iter()
        .map_while(Result::ok)
        .collect();
    assert!(printed.contains(&promised), "{promised}: {said}");
    let row = said.lines().find(|line| line.contains(",am102-1,"));
    let row: Vec<&str> = row.unwrap_or_else(|| panic!("{said}")).split(',').collect();
    let number = |at: usize| row[at].parse::<f64>().ok();
    assert_eq!(number(2), promised["temperature"].as_f64(), "{row:?}");
    assert_eq!(number(3), promised["humidity"].as_f64(), "{row:?}");
    // The message of the file is years old: the device has been silent for longer than a day.
    assert!(said.trim_end().ends_with('0'), "nothing fails: {said}");
}
