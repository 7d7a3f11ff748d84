//! Tests of the settings.

use super::*;

fn load(environment: &[(&str, &str)], flags: &[(&'static str, String)]) -> Result<Config, String> {
    let environment = environment
        .iter()
        .map(|(k, v)| ((*k).into(), (*v).into()))
        .collect();
    Config::load(None, environment, flags)
}

#[test]
fn later_layers_win() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("thingshub.toml");
    std::fs::write(
        &file,
        "session_hours = 1\nlisten = \"127.0.0.1:1\"\nlog_filter = \"warn\"\n",
    )
    .unwrap();
    let environment = HashMap::from([
        ("THINGSHUB_SESSION_HOURS".into(), "2".into()),
        ("THINGSHUB_LISTEN".into(), "127.0.0.1:2".into()),
    ]);
    let config = Config::load(
        Some(&file),
        environment,
        &[("listen", "127.0.0.1:3".into())],
    )
    .unwrap();
    assert_eq!(config.log_filter, "warn");
    assert_eq!(config.session_hours, 2);
    assert_eq!(config.listen.port(), 3);
    assert_eq!(config.connections_max, 4096);
}

#[test]
fn a_wrong_setting_is_named() {
    for (name, value) in [
        ("THINGSHUB_LISTEN", "nowhere"),
        ("THINGSHUB_DRIVER_WORKERS", "many"),
        ("THINGSHUB_DRIVER_WORKERS", "0"),
        ("THINGSHUB_DRIVER_CPU_TIME_MS", "10001"),
        ("THINGSHUB_DRIVER_WALL_TIME_MS", "49"),
        ("THINGSHUB_DRIVER_MEMORY_BYTES", "1000"),
        ("THINGSHUB_DRIVER_STACK_BYTES", "5000000"),
        ("THINGSHUB_DRIVER_TENANT_QUEUE_MAX", "5000"),
        ("THINGSHUB_DRIVER_SANDBOX_REQUIRED", "perhaps"),
        ("THINGSHUB_OUTGOING_ALLOW", "10.0.0.0/8,x"),
        ("THINGSHUB_TRUSTED_PROXIES", "10.0.0.0/8,10.0.0.0/33"),
        ("THINGSHUB_TRUSTED_PROXIES", "proxy.example.com"),
        ("THINGSHUB_CORS_ORIGINS", "*"),
        ("THINGSHUB_CORS_ORIGINS", "https://*.example.com"),
        ("THINGSHUB_CORS_ORIGINS", "app.example.com"),
        ("THINGSHUB_CORS_ORIGINS", "null"),
        ("THINGSHUB_CORS_ORIGINS", "file:///app"),
        ("THINGSHUB_CORS_ORIGINS", "https://app.example.com/"),
        ("THINGSHUB_CORS_ORIGINS", "https://App.example.com"),
        ("THINGSHUB_CORS_ORIGINS", "https://app.example.com:443"),
        ("THINGSHUB_CORS_ORIGINS", "https://me@app.example.com"),
        ("THINGSHUB_ADMIN_PASSWORD", "short"),
        ("THINGSHUB_HSTS_MAX_AGE_S", "63072001"),
        ("THINGSHUB_NO_SUCH_THING", "1"),
        ("THINGSHUB_TLS_CERT", "cert.pem"),
        ("THINGSHUB_DATABASE_URL", "mysql://x"),
        ("THINGSHUB_OTLP_ENDPOINT", "127.0.0.1:4318"),
        ("THINGSHUB_OTLP_ENDPOINT", "grpc://127.0.0.1:4317"),
        ("THINGSHUB_OTLP_ENDPOINT", "https://me:hidden@collector"),
        ("THINGSHUB_OTLP_ENDPOINT", "https://collector/?key=hidden"),
        ("THINGSHUB_OTLP_HEADERS", "hidden"),
        ("THINGSHUB_OTLP_HEADERS", "a b=hidden"),
        ("THINGSHUB_OTLP_HEADERS", "a=hidden\u{7f}"),
        ("THINGSHUB_OTLP_SAMPLE_RATIO", "1.1"),
        ("THINGSHUB_OTLP_SAMPLE_RATIO", "-0.1"),
        ("THINGSHUB_OTLP_SAMPLE_RATIO", "NaN"),
    ] {
        let error = load(&[(name, value)], &[]).unwrap_err();
        let setting = name.trim_start_matches("THINGSHUB_").to_lowercase();
        assert!(error.contains(&setting), "{name}: {error}");
        assert!(!error.contains('\n'), "{error}");
        assert!(!error.contains("hidden"), "{error}");
    }
}

/// A number without bounds could overflow a sum, or make the hub wait for ever.
#[test]
fn every_number_has_bounds_and_a_value_within() {
    let config = Config::default();
    assert_eq!(config.broken_rules(), []);
    for (setting, numbers) in SETTINGS.iter().zip(config.numbers()) {
        let name = setting.name;
        assert_eq!(setting.bounds.is_some(), !numbers.is_empty(), "{name}");
    }
}

#[test]
fn what_is_out_of_bounds_is_refused_in_one_line_that_names_it() {
    let largest = [u64::from(u32::MAX), i64::MAX as u64, u64::MAX];
    let mut tried = 0;
    for setting in SETTINGS {
        let Some(bounds) = &setting.bounds else {
            continue;
        };
        let (lowest, highest) = (*bounds.start(), *bounds.end());
        let beyond = largest.into_iter().filter(|value| *value > highest);
        let mut values: Vec<String> = beyond.map(|value| value.to_string()).collect();
        values.push((highest + 1).to_string());
        values.push((i128::from(lowest) - 1).to_string());
        for value in values {
            let error = load(&[], &[(setting.name, value.clone())]).unwrap_err();
            assert!(error.contains(setting.name), "{value}: {error}");
            assert!(!error.contains('\n'), "{error}");
            tried += 1;
        }
    }
    assert!(tried > 100, "{tried}");
}

#[test]
fn the_ends_of_the_bounds_are_taken() {
    let numbers = SETTINGS.iter().filter_map(|setting| {
        let bounds = setting.bounds.as_ref()?;
        Some((setting.name, bounds.start(), bounds.end()))
    });
    let (mut lowest, mut highest) = (Vec::new(), Vec::new());
    for (name, start, end) in numbers {
        lowest.push((name, start.to_string()));
        highest.push((name, end.to_string()));
    }
    assert_eq!(load(&[], &lowest).map(drop), Ok(()));
    assert_eq!(load(&[], &highest).map(drop), Ok(()));
}

#[test]
fn networks_are_ranges_or_addresses() {
    let proxies = "10.0.0.0/8, 192.0.2.1, 2001:db8::1, fd00::/8";
    let config = load(&[("THINGSHUB_TRUSTED_PROXIES", proxies)], &[]).unwrap();
    let Networks(networks) = config.trusted_proxies;
    let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
    assert_eq!(
        networks,
        ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::1/128", "fd00::/8"]
    );
}

#[test]
fn origins_are_written_as_browsers_send_them() {
    let origins = "https://app.example.com, http://localhost:5173,http://[::1]:8080";
    let config = load(&[("THINGSHUB_CORS_ORIGINS", origins)], &[]).unwrap();
    let Origins(origins) = config.cors_origins;
    assert_eq!(
        origins,
        [
            "https://app.example.com",
            "http://localhost:5173",
            "http://[::1]:8080"
        ]
    );
    let error = load(
        &[("THINGSHUB_CORS_ORIGINS", "https://App.example.com:443/")],
        &[],
    )
    .unwrap_err();
    assert!(
        error.contains("must be written as https://app.example.com ["),
        "{error}"
    );
}

#[test]
fn what_the_tests_pass_around_is_no_setting() {
    assert!(load(&[("THINGSHUB_TEST_POSTGRES_URL", "postgres://x")], &[]).is_ok());
}

#[test]
fn the_client_s_token_is_no_setting() {
    assert!(load(&[("THINGSHUB_TOKEN", "x")], &[]).is_ok());
}

#[test]
fn secrets_do_not_show() {
    let config = load(&[("THINGSHUB_ADMIN_PASSWORD", "0123456789")], &[]).unwrap();
    assert!(!format!("{config:?}").contains("0123456789"));
}

#[test]
fn all_problems_are_told_at_once_with_their_sources() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("thingshub.toml");
    let text = "listn = \"127.0.0.1:1\"\nsession-hours = 3\nadmin_password = [1]\n";
    std::fs::write(&file, text).unwrap();
    let environment = HashMap::from([
        ("THINGSHUB_DRIVER_WORKER".to_owned(), "3".to_owned()),
        (
            "THINGSHUB_DATABASE_URL".to_owned(),
            "mysql://secret".to_owned(),
        ),
        ("THINGSHUB_QUITE_ANOTHER".to_owned(), "3".to_owned()),
    ]);
    let flags = [
        ("listen", "nowhere".to_owned()),
        ("driver_cpu_time_ms", "x".to_owned()),
        ("driver_wall_time_ms", "70000".to_owned()),
    ];
    let problems = Config::read(Some(&file), environment, &flags).problems;
    let path = file.display();
    assert_eq!(
        problems,
        [
            format!("there is no setting listn [file: {path}]; did you mean listen?"),
            format!("there is no setting session-hours [file: {path}]; did you mean session_hours?"),
            "there is no setting driver_worker [env: THINGSHUB_DRIVER_WORKER]; did you mean \
             THINGSHUB_DRIVER_WORKERS?"
                .to_owned(),
            "there is no setting quite_another [env: THINGSHUB_QUITE_ANOTHER]".to_owned(),
            "setting listen: must be an IP address and a port, such as 127.0.0.1:8443, 0.0.0.0:8443 or \
             [::]:8443, not \"nowhere\" [flag: --listen]"
                .to_owned(),
            format!("setting admin_password: must be a text, a number, true or false [file: {path}]"),
            "setting driver_cpu_time_ms: must be a whole number, not \"x\" [flag: --driver-cpu-time-ms]"
                .to_owned(),
            "setting driver_wall_time_ms: must be from 1 to 60000 [flag: --driver-wall-time-ms]"
                .to_owned(),
            "setting database_url: must start with sqlite: or postgres: [env: THINGSHUB_DATABASE_URL]"
                .to_owned(),
        ]
    );
}

#[test]
fn a_file_that_is_no_toml_is_named_with_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("thingshub.toml");
    std::fs::write(&file, "log_format = \"json\"\nlisten = nowhere\n").unwrap();
    let error = Config::load(Some(&file), HashMap::new(), &[]).unwrap_err();
    assert!(error.contains("thingshub.toml, line 2: "), "{error}");
    assert!(!error.contains('\n'), "{error}");
    let missing = folder.path().join("missing.toml");
    let error = Config::load(Some(&missing), HashMap::new(), &[]).unwrap_err();
    assert!(error.contains("missing.toml: No such file"), "{error}");
}

/// Kubernetes describes a service called `thingshub` in these variables.
#[test]
fn variables_of_kubernetes_are_no_settings() {
    for name in [
        "THINGSHUB_SERVICE_HOST",
        "THINGSHUB_SERVICE_PORT_HTTPS",
        "THINGSHUB_PORT",
        "THINGSHUB_PORT_8443_TCP_ADDR",
    ] {
        assert!(load(&[(name, "10.0.0.1")], &[]).is_ok(), "{name}");
    }
    let names = SETTINGS.iter().map(|setting| setting.name);
    let taken: Vec<&str> = names
        .filter(|name| name.starts_with("service_") || name.starts_with("port"))
        .collect();
    assert!(taken.is_empty(), "{taken:?}");
}

#[test]
fn what_is_shown_can_be_read_again() {
    let environment = [
        (
            "THINGSHUB_TLS_NAMES",
            "Hub.example.com, 192.168.1.10,fd00::1",
        ),
        ("THINGSHUB_TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.1"),
        ("THINGSHUB_METRICS_PLAIN_HTTP", "on"),
        ("THINGSHUB_ADMIN_PASSWORD", "a password of mine"),
    ];
    let environment: HashMap<String, String> = environment
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let reading = Config::read(None, environment, &[]);
    assert_eq!(reading.problems, [""; 0]);
    let text = reading.lines().join("\n");
    assert!(!text.contains("a password of mine"), "{text}");
    assert!(
        text.contains("# admin_password is set and not shown"),
        "{text}"
    );
    assert!(
        text.contains("tls_names = \"hub.example.com,192.168.1.10,fd00::1\""),
        "{text}"
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("thingshub.toml");
    std::fs::write(&file, &text).unwrap();
    let again = Config::load(Some(&file), HashMap::new(), &[]).unwrap();
    for (setting, (before, after)) in SETTINGS
        .iter()
        .zip(reading.config.shown().into_iter().zip(again.shown()))
    {
        if setting.name != "admin_password" {
            assert_eq!(before, after, "{}", setting.name);
        }
    }
}

#[test]
fn names_of_servers_are_names_or_addresses() {
    for good in [
        "hub",
        "*.example.com",
        "xn--bcher-kva.example",
        "::1",
        "10.0.0.1",
    ] {
        assert!(
            load(&[("THINGSHUB_TLS_NAMES", good)], &[]).is_ok(),
            "{good}"
        );
    }
    for bad in [
        "hub:8443",
        "https://hub",
        "a..b",
        "-a",
        "192.168.1.300",
        "*",
        "bücher.example",
    ] {
        let error = load(&[("THINGSHUB_TLS_NAMES", bad)], &[]).unwrap_err();
        assert!(error.contains("tls_names"), "{bad}: {error}");
    }
}

#[test]
fn the_unit_of_a_setting_is_in_its_help() {
    for (end, unit) in [
        ("_ms", "milliseconds"),
        ("_s", "seconds"),
        ("_bytes", "bytes"),
        ("_hours", "hours"),
        ("_days", "days"),
    ] {
        let named = SETTINGS
            .iter()
            .filter(|setting| setting.name.ends_with(end));
        let silent: Vec<&str> = named
            .filter(|setting| !setting.help.contains(unit))
            .map(|setting| setting.name)
            .collect();
        assert!(silent.is_empty(), "{unit}: {silent:?}");
    }
}

#[test]
fn the_address_of_a_database_is_known() {
    for (url, address) in [
        (
            "postgres://hub:secret@db.example/hub",
            Some("db.example:5432"),
        ),
        ("postgres://hub@127.0.0.1:6432/hub", Some("127.0.0.1:6432")),
        (
            "postgres:///hub?host=/run/postgresql",
            Some("/run/postgresql"),
        ),
        ("sqlite:///var/lib/thingshub.db", None),
    ] {
        let config = load(&[("THINGSHUB_DATABASE_URL", url)], &[]).unwrap();
        assert_eq!(config.database_address().as_deref(), address, "{url}");
    }
}
