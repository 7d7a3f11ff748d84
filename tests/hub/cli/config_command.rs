//! `thingshub config check`, and what a start with wrong settings says.

use std::fs;

use super::commands::Person;
use crate::support::{database::Database, ports::free_port, server::Hub};

#[tokio::test]
async fn each_setting_is_shown_with_its_source() {
    let person = Person::new();
    let file = person.home.path().join("thingshub.toml");
    fs::write(
        &file,
        "session_hours = 12\nlog_format = \"json\"\nlisten = \"0.0.0.0:1\"\n",
    )
    .unwrap();
    let path = file.to_str().unwrap();
    let environment = [
        ("THINGSHUB_CONFIG", path),
        ("THINGSHUB_LOG_FORMAT", "text"),
        ("THINGSHUB_LISTEN", "0.0.0.0:2"),
        ("THINGSHUB_ADMIN_PASSWORD", "never to be seen"),
        ("THINGSHUB_DATABASE_URL", "postgres://hub:hidden@db/hub"),
    ];
    let check = ["config", "check", "--listen", "0.0.0.0:3"];
    let said = person.run_with(&check, "", &environment).await.ok();
    let hyphen = ["config", "check", "--admin-password", "-as good as any"];
    let hyphen = person.run_with(&hyphen, "", &environment).await.ok();
    assert!(hyphen.contains("# flag: --admin-password"), "{hyphen}");
    for (begins, ends) in [
        ("listen = \"0.0.0.0:3\" ", "# flag: --listen"),
        ("log_format = \"text\" ", "# env: THINGSHUB_LOG_FORMAT"),
        ("session_hours = 12 ", &*format!("# file: {path}")),
        ("driver_workers = 2 ", "# default"),
        ("# tls_cert is not set ", "# default"),
        (
            "# admin_password is set and not shown ",
            "# env: THINGSHUB_ADMIN_PASSWORD",
        ),
    ] {
        let line = said.lines().find(|line| line.starts_with(begins));
        let line = line.unwrap_or_else(|| panic!("{begins}: {said}"));
        assert!(line.ends_with(ends), "{line}");
    }
    assert!(
        !said.contains("never") && !said.contains("hidden"),
        "{said}"
    );
}

#[tokio::test]
async fn all_problems_are_told_at_once() {
    let person = Person::new();
    let folder = person.home.path();
    fs::write(
        folder.join("thingshub.toml"),
        "tls_key = \"key.pem\"\nsesion_hours = 1\n",
    )
    .unwrap();
    fs::write(folder.join("cert.pem"), "no certificate").unwrap();
    fs::write(folder.join("key.pem"), "no key").unwrap();
    let environment = [
        ("THINGSHUB_DRIVER_WORKRES", "3"),
        ("THINGSHUB_LOG_FILTER", "info,=x="),
    ];
    let settings = [
        "--config",
        "thingshub.toml",
        "--tls-cert",
        "cert.pem",
        "--listen",
        "localhost",
    ];
    let check: Vec<&str> = ["config", "check"].into_iter().chain(settings).collect();
    let ended = person.run_with(&check, "", &environment).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.out.contains("driver_workers = 2"), "{ended:?}");
    assert!(ended.out.contains("# listen cannot be read "), "{ended:?}");
    let lines: Vec<&str> = ended.err.lines().collect();
    for (line, part) in [
        "there is no setting sesion_hours [file: thingshub.toml]; did you mean session_hours?",
        "there is no setting driver_workres [env: THINGSHUB_DRIVER_WORKRES]; did you mean THINGSHUB_DRIVER_WORKERS?",
        "setting listen: must be an IP address and a port, such as",
        "setting log_filter: ",
        "setting tls_cert: cert.pem: there is no certificate in PEM",
    ]
    .into_iter()
    .enumerate()
    {
        assert!(lines[line].contains(part), "{part}: {lines:#?}");
        assert!(lines[line].starts_with("thingshub: "), "{lines:#?}");
    }
    assert_eq!(lines.len(), 5, "{lines:#?}");

    // A hub that starts says the same of the settings, in one line.
    let serve: Vec<&str> = ["serve"].into_iter().chain(settings).collect();
    let said = person.run_with(&serve, "", &environment).await.failed(1);
    for part in [
        "did you mean session_hours?",
        "did you mean THINGSHUB_DRIVER_WORKERS?",
        "setting listen: must be",
    ] {
        assert!(said.contains(part), "{said}");
    }
    // clap knows the flags.
    let ended = person.run(&["serve", "--lisen", "127.0.0.1:1"]).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("--listen"), "{ended:?}");
}

#[tokio::test]
async fn a_database_that_nobody_serves_is_named() {
    let port = free_port();
    let url = format!("postgres://hub:hidden@127.0.0.1:{port}/hub");
    let person = Person::new();
    for command in [
        &["serve", "--listen", "127.0.0.1:0"][..],
        &["users", "list"],
        &["migrate"],
    ] {
        let arguments: Vec<&str> = [command, &["--database-url", &url]].concat();
        let said = person.run(&arguments).await.failed(1);
        assert!(
            said.contains(&format!("PostgreSQL at 127.0.0.1:{port}")),
            "{said}"
        );
        assert!(said.to_lowercase().contains("connection refused"), "{said}");
        assert!(!said.contains("hidden"), "{said}");
    }
}

#[tokio::test]
async fn the_help_has_defaults_and_bounds() {
    let said = Person::new().run(&["serve", "--help"]).await.ok();
    let words = said.split_whitespace().collect::<Vec<&str>>().join(" ");
    for part in [
        "[default: 127.0.0.1:8443] [env: THINGSHUB_LISTEN]",
        "in hours [default: 168] [from 1 to 87600] [env: THINGSHUB_SESSION_HOURS]",
        "[default: 2,10,30,120,600,3600] [from 0 to 31536000]",
        "[default: false] [env: THINGSHUB_METRICS_PLAIN_HTTP]",
    ] {
        assert!(words.contains(part), "{part}: {said}");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let hub = Hub::start(Database::Sqlite).await;
    let person = Person::new();
    let serve = ["serve", "--listen", &hub.address, "--data-dir", "data"];
    let ended = person.run(&serve).await;
    assert_eq!(ended.code, 1, "{ended:?}");
    let last = ended.err.lines().last().unwrap();
    let expected = format!(
        "thingshub: setting listen: {}: Address already in use",
        hub.address
    );
    assert!(last.starts_with(&expected), "{ended:?}");
}
