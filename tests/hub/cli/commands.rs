//! The program as a client: its commands against a running hub.

use std::{
    collections::BTreeSet,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Output, Stdio},
};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

use crate::support::{
    database::Database,
    server::{Hub, PASSWORD, program},
    sink::{Cue, Sink},
};

/// A user of the command line with a home folder of its own.
pub struct Person {
    pub home: TempDir,
}

/// Outcome of a command.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Person {
    pub fn new() -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
        }
    }

    fn credentials(&self) -> PathBuf {
        self.home.path().join("config/thingshub/credentials.toml")
    }

    pub async fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, "", &[]).await
    }

    pub async fn run_with(
        &self,
        arguments: &[&str],
        input: &str,
        environment: &[(&str, &str)],
    ) -> Ended {
        let mut child = program()
            .args(arguments)
            .current_dir(self.home.path())
            .env("HOME", self.home.path())
            .env("XDG_CONFIG_HOME", self.home.path().join("config"))
            .env("NO_PROXY", "127.0.0.1")
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A command that reads nothing may have ended already.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        child.wait_with_output().await.unwrap().into()
    }

    /// Logs in with the administrator's password.
    pub async fn log_in(&self, hub: &Hub) -> Ended {
        let (server, ca) = (server(hub), hub.certificate());
        let arguments = ["login", "--server", &server, "--ca", ca.to_str().unwrap()];
        let input = format!("{PASSWORD}\n");
        self.run_with(&arguments, &input, &[]).await
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ended {
    /// Asserts success and returns the output.
    pub fn ok(self) -> String {
        assert_eq!((self.code, &*self.err), (0, ""), "{self:?}");
        self.out
    }

    pub fn json(self) -> Value {
        serde_json::from_str(&self.ok()).unwrap()
    }

    /// Asserts that it failed with this code, printed nothing and said why in one line, and returns that line.
    pub fn failed(self, code: i32) -> String {
        assert_eq!((self.code, &*self.out), (code, ""), "{self:?}");
        assert_eq!(self.err.lines().count(), 1, "{self:?}");
        self.err
    }
}

fn server(hub: &Hub) -> String {
    format!("https://{}", hub.address)
}

#[tokio::test]
async fn a_session_from_login_to_logout() {
    let hub = Hub::start(Database::Sqlite).await;
    let person = Person::new();
    let said = person.log_in(&hub).await.ok();
    assert!(
        said.starts_with(&format!("logged in to {} as admin until 2", server(&hub))),
        "{said}"
    );
    let file = person.credentials();
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let stored = std::fs::read_to_string(&file).unwrap();
    assert!(!stored.contains(PASSWORD), "{stored}");

    // The whole life of a device, with a body from each place.
    let made = person
        .run(&["api", "POST", "devices", "--data", r#"{"id": "d"}"#])
        .await
        .json();
    assert_eq!(made["id"], "d");
    let change = json!({"name": "from a pipe"}).to_string();
    let arguments = ["api", "put", "/api/v3/devices/d", "--data", "-"];
    let put = person.run_with(&arguments, &change, &[]).await.json();
    assert_eq!(put["name"], "from a pipe");
    let change = json!({"name": "from a file"}).to_string();
    std::fs::write(person.home.path().join("device.json"), change).unwrap();
    person
        .run(&["api", "PUT", "devices/d", "--data", "@device.json"])
        .await
        .ok();
    let got = person.run(&["api", "GET", "devices/d"]).await;
    assert_eq!(got.out, hub.get("devices/d").await.text);
    assert_eq!(got.json()["name"], "from a file");
    person.run(&["api", "DELETE", "devices/d"]).await.ok();
    hub.get("devices/d").await.refused(404);

    let head = person
        .run(&["api", "GET", "/livez", "--include"])
        .await
        .ok();
    assert!(head.starts_with("HTTP/2.0 200 OK\n"), "{head}");
    assert!(head.contains("\nx-request-id: "), "{head}");

    let token = toml_value(&stored, "token");
    person.run(&["logout"]).await.ok();
    assert!(!file.exists());
    let asked = hub.request(reqwest::Method::GET, "devices");
    hub.answer(asked.bearer_auth(token)).await.refused(401);
    person.run(&["api", "GET", "devices"]).await.failed(5);
    person.run(&["logout"]).await.failed(5);
}

#[tokio::test]
async fn all_pages_make_one_stream_of_lines() {
    let hub = Hub::start(Database::Sqlite).await;
    for number in 0..7 {
        let id = format!("d{number}");
        hub.post("devices", &json!({"id": id, "metadata": {"note": "a\nb"}}))
            .await
            .created();
    }
    let person = Person::new();
    person.log_in(&hub).await.ok();
    let said = person
        .run(&["api", "GET", "devices", "--query", "limit=3", "--all"])
        .await
        .ok();
    let whole = hub.list("devices").await;
    let lines: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines, whole);
    let ids: BTreeSet<&str> = lines
        .iter()
        .filter_map(|line| line["id"].as_str())
        .collect();
    assert_eq!(ids.len(), whole.len());

    for arguments in [
        ["api", "GET", "devices/d1", "--all"],
        ["api", "DELETE", "devices", "--all"],
    ] {
        person.run(&arguments).await.failed(2);
    }
    let missing = ["api", "GET", "devices/none/uplinks", "--all"];
    person.run(&missing).await.failed(7);
}

#[tokio::test]
async fn each_kind_of_failure_has_its_exit_code() {
    let mut hub = Hub::start(Database::Sqlite).await;
    hub.may_complain = true;
    let person = Person::new();
    let (server, ca) = (server(&hub), hub.certificate());
    let ca = ca.to_str().unwrap();

    // The exit codes without a login.
    let usage = person.run(&["api"]).await;
    assert_eq!(usage.code, 2, "{usage:?}");
    person.run(&["login"]).await.failed(2);
    person.run(&["api", "GET", "devices"]).await.failed(5);
    let said = person
        .run(&["api", "GET", "/livez", "--server", &server])
        .await
        .failed(3);
    assert!(said.contains("--ca"), "{said}");
    let there = ["--server", &server, "--ca", ca];
    let reach = async |rest: &[&str], environment: &[(&str, &str)]| {
        let arguments = [&["api"], rest, &there].concat();
        person.run_with(&arguments, "", environment).await
    };
    reach(&["GET", "/livez"], &[]).await.ok();
    reach(&["GET", "devices"], &[]).await.failed(5);
    reach(&["GET", "devices", "--token", "wrong"], &[])
        .await
        .failed(5);
    // Values may begin with a hyphen, as one of 64 tokens does.
    reach(&["GET", "devices", "--token", "-wrong"], &[])
        .await
        .failed(5);
    let token = [("THINGSHUB_TOKEN", &*hub.token)];
    reach(&["POST", "devices", "--data", "-1"], &token)
        .await
        .failed(4);
    reach(&["GET", "devices"], &token).await.ok();
    reach(&["GET", "devices", "--token", &hub.token], &[])
        .await
        .ok();
    reach(&["GET", "devices", "--data", "@no-such-file"], &token)
        .await
        .failed(2);

    // A wrong password leaves nothing behind.
    let login = [&["login"], &there[..]].concat();
    person
        .run_with(&login, "wrong password\n", &[])
        .await
        .failed(4);
    person.run_with(&login, "", &[]).await.failed(2);
    assert!(!person.credentials().exists());

    // The exit codes with a login.
    person.log_in(&hub).await.ok();
    let said = person
        .run(&["api", "POST", "devices", "--data", r#"{"nonsense": 1}"#])
        .await
        .failed(4);
    assert!(said.starts_with("thingshub: 400: "), "{said}");
    let said = person.run(&["api", "GET", "devices/none"]).await.failed(7);
    assert!(said.contains("none"), "{said}");
    hub.sql("DROP TABLE data_tables").await;
    person.run(&["api", "GET", "data-tables"]).await.failed(8);

    // While the hub is away, nobody can log out; what is kept is good for later.
    hub.end(Signal::SIGTERM).await;
    person.run(&["api", "GET", "devices"]).await.failed(3);
    person.run(&["logout"]).await.failed(3);
    assert!(person.credentials().exists());
}

#[tokio::test]
async fn an_api_key_is_checked_and_then_only_forgotten() {
    let hub = Hub::start(Database::Sqlite).await;
    let person = Person::new();
    let (server, ca) = (server(&hub), hub.certificate());
    let ca = ca.to_str().unwrap();
    let login = ["login", "--api-key", "--server", &server, "--ca", ca];
    person
        .run_with(&login, "no-such-key\n", &[])
        .await
        .failed(5);
    assert!(!person.credentials().exists());
    for (scope, devices, tables) in [("devices:read", 0, 6), ("data_tables:read", 6, 0)] {
        let key = json!({"name": scope, "scopes": [scope]});
        let made = hub.post("api-keys", &key).await.created();
        // A key that is not for devices is a key all the same.
        let input = format!("{}\n", made["key"].as_str().unwrap());
        person.run_with(&login, &input, &[]).await.ok();
        for (path, code) in [("devices", devices), ("data-tables", tables)] {
            let ended = person.run(&["api", "GET", path]).await;
            assert_eq!(ended.code, code, "{scope}: {path}: {ended:?}");
        }
        person.run(&["logout"]).await.ok();
        assert!(!person.credentials().exists());
        // The API key may be used by others, so it stays valid.
        let asked = hub.request(reqwest::Method::GET, "devices");
        let still = hub.answer(asked.bearer_auth(made["key"].as_str().unwrap()));
        assert_ne!(still.await.status, 401, "{scope}");
    }
}

#[tokio::test]
async fn a_stored_token_goes_to_its_own_hub_alone() {
    let hub = Hub::start(Database::Sqlite).await;
    let other = Hub::start(Database::Sqlite).await;
    let person = Person::new();
    person.log_in(&hub).await.ok();
    let ca = other.certificate();
    let arguments = [
        "api",
        "GET",
        "devices",
        "--server",
        &server(&other),
        "--ca",
        ca.to_str().unwrap(),
    ];
    let said = person.run(&arguments).await.failed(5);
    assert!(said.contains("a valid token is required"), "{said}");

    // Neither plain HTTP nor a server without TLS gets anything.
    let sink = Sink::start(&[], Cue::Status(200)).await;
    let plain = person
        .run(&["api", "GET", "/", "--server", &sink.url])
        .await;
    assert_eq!(plain.code, 2, "{plain:?}");
    let tls = sink.url.replace("http://", "https://");
    person
        .run(&["api", "GET", "/", "--server", &tls])
        .await
        .failed(3);
}

#[tokio::test]
async fn a_reader_that_leaves_is_no_failure() {
    let hub = Hub::start(Database::Sqlite).await;
    let person = Person::new();
    person.log_in(&hub).await.ok();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = program()
        .args(["api", "GET", "devices"])
        .env("XDG_CONFIG_HOME", person.home.path().join("config"))
        .env("NO_PROXY", "127.0.0.1")
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output();
    let ended: Ended = output.await.unwrap().into();
    assert_eq!((ended.code, &*ended.err), (0, ""), "{ended:?}");
}

#[tokio::test]
async fn every_shell_gets_its_completions() {
    let person = Person::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = person.run(&["completions", shell]).await.ok();
        for word in ["serve", "api-key", "include"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let unknown = person.run(&["completions", "tcsh"]).await;
    assert_eq!(unknown.code, 2, "{unknown:?}");
}

#[tokio::test]
async fn the_help_says_what_exit_codes_mean() {
    let person = Person::new();
    for command in ["login", "logout", "api"] {
        let help = person.run(&[command, "--help"]).await.ok();
        assert!(help.contains("Exit codes:"), "{command}: {help}");
    }
    let token = [("THINGSHUB_TOKEN", "very-secret")];
    let help = person.run_with(&["api", "--help"], "", &token).await.ok();
    assert!(!help.contains("very-secret"), "{help}");
}

/// The value of a line `name = "value"`.
fn toml_value<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines()
        .find_map(|line| line.strip_prefix(&format!("{name} = ")))
        .unwrap()
        .trim_matches('"')
}
