//! Every setting of the hub, in one struct.
//!
//! A value comes from the default, the file (`--config` or `THINGSHUB_CONFIG`, TOML), the
//! environment (`THINGSHUB_<NAME>`) or a flag (`--<name>`); a later source overrides an earlier one.
//! File, environment and flags are all derived from the one list below, so that no setting can be
//! missing in one of them. Names end with their unit.

mod values;

use std::{
    collections::HashMap,
    net::SocketAddr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use config::{Environment, File, FileFormat};
use serde::Deserialize;

use values::Numbers;
pub use values::{LogFormat, Networks, Origins, Seconds, Secret};

/// One setting, for the command line's help.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Its name in the file.
    pub name: &'static str,
    /// Description of its effect.
    pub help: &'static str,
    /// The lowest and the highest value of a number, or of each one in a list.
    pub bounds: Option<RangeInclusive<u64>>,
}

macro_rules! settings {
    (@bounds) => { None };
    (@bounds $bounds:expr) => { Some($bounds) };
    ($($(#[doc = $doc:literal])* $name:ident: $type:ty = $default:expr $(, in $bounds:expr)?;)*) => {
        /// The hub's settings.
        #[derive(Debug, Clone, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Config { $($(#[doc = $doc])* pub $name: $type,)* }

        impl Default for Config {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        /// All settings, in the order of the help.
        pub const SETTINGS: &[Setting] = &[
            $(Setting {
                name: stringify!($name),
                help: concat!($($doc),*),
                bounds: settings!(@bounds $($bounds)?),
            },)*
        ];

        impl Config {
            /// The numbers of each setting, in the same order.
            fn numbers(&self) -> Vec<Vec<u64>> {
                vec![$(self.$name.numbers(),)*]
            }
        }
    };
}

settings! {
    /// Address and port to serve HTTPS on
    listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8443));
    /// Address and port to serve metrics on, at /metrics and without tokens; see docs/metrics.md. By default, metrics
    /// are only served with an operator's token at /metrics of the main address
    metrics_listen: Option<SocketAddr> = None;
    /// Serve metrics over plain HTTP even if metrics_listen is no loopback address: true or false
    metrics_plain_http: bool = false;
    /// Folder for the SQLite database, the certificate and the secret key
    data_dir: PathBuf = PathBuf::from("./data");
    /// Database: sqlite://<file> or postgres://<user>@<host>/<name>; by default SQLite in the data folder
    database_url: Option<Secret> = None;
    /// Maximum number of connections to PostgreSQL, or of reading connections to SQLite (at most 4)
    database_connections: u32 = 8, in 1..=1000;
    /// Maximum time for a PostgreSQL statement that messages wait for, in seconds; after it, the connection
    /// counts as dead. For other statements, the timeout of a request applies if it is longer
    database_timeout_s: u64 = 15, in 1..=3600;
    /// File with the certificate chain (PEM); by default created at the first start
    tls_cert: Option<PathBuf> = None;
    /// File with the private key of the certificate (PEM)
    tls_key: Option<PathBuf> = None;
    /// File with the keys that encrypt secrets, in base64, the current key first; by default secret.key in the
    /// data folder
    secret_key_file: Option<PathBuf> = None;
    /// Keys that encrypt secrets, in base64, comma-separated, the current key first; for environments that pass
    /// secrets in variables. Cannot be combined with secret_key_file
    secret_key: Option<Secret> = None;
    /// Password of the first administrator, at least 10 characters; by default random and printed once
    admin_password: Option<Secret> = None;
    /// Base URL of the hub for clients, for the OpenAPI document; by default the origin of the document
    public_url: Option<String> = None;
    /// Web origins whose pages can use the API from a browser (CORS), comma-separated, such as
    /// https://app.example.com; none by default
    cors_origins: Origins = Origins::default();
    /// Networks of proxies whose headers X-Forwarded-For, Forwarded and X-Forwarded-Proto are trusted,
    /// comma-separated; see docs/access.md
    trusted_proxies: Networks = Networks::default();
    /// Time for which browsers only use HTTPS (max-age of HSTS), in seconds, at most 63072000; 0 makes browsers
    /// forget it. Not sent for the host name localhost
    hsts_max_age_s: u64 = 31_536_000, in 0..=63_072_000;
    /// Private networks, and addresses of this machine, that the hub may connect to for its users,
    /// comma-separated; public addresses need no entry
    outgoing_allow: Networks = Networks::default();
    /// Format of the logs: text or json
    log_format: LogFormat = LogFormat::Text;
    /// Filter of the logs, as tracing directives
    log_filter: String = "info,sea_orm_migration=warn,sqlx::postgres::notice=warn,rustls_platform_verifier=off,rumqttc=off".to_owned();
    /// Lifetime of a login session, in hours
    session_hours: u32 = 168, in 1..=87_600;
    /// Time for which entries of the audit log are kept, in days; 0 keeps them without limit
    audit_keep_days: u32 = 365, in 0..=36_500;
    /// Time for which the uplinks of devices are kept, in days; 0 keeps them without limit. A tenant's retention_days
    /// overrides it
    uplink_keep_days: u32 = 90, in 0..=36_500;
    /// Time for which events of devices and network connections are kept, in days; 0 keeps them without limit
    event_keep_days: u32 = 30, in 0..=36_500;
    /// Time for which ended imports and replays are kept with their results, in days; 0 keeps them without limit
    job_keep_days: u32 = 30, in 0..=36_500;
    /// Maximum number of failed logins of one user from one address within 15 minutes; further ones are refused
    login_failures_max: u32 = 20, in 1..=1_000_000;
    /// Maximum time for one request, in seconds
    request_timeout_s: u64 = 30, in 1..=3600;
    /// Maximum time at shutdown for running requests, and again for running deliveries, in seconds
    shutdown_timeout_s: u64 = 20, in 0..=3600;
    /// Maximum number of TLS and HTTP connections at a time
    connections_max: usize = 4096, in 1..=1_000_000;
    /// Maximum number of connections from one address (IPv6: one /64) at a time; trusted proxies are not limited
    address_connections_max: usize = 1024, in 1..=1_000_000;
    /// Maximum number of requests from one client address at a time; further ones are refused
    address_requests_max: usize = 2048, in 1..=1_000_000;
    /// Maximum number of requests at a time on one HTTP/2 connection
    connection_streams_max: u32 = 100, in 1..=10_000;
    /// Maximum time for a TLS handshake, and for the head of a request to arrive, in seconds
    head_timeout_s: u64 = 15, in 1..=3600;
    /// Maximum time for which a client may read nothing of a response, in seconds; after it, the response is cut
    /// off
    write_timeout_s: u64 = 60, in 1..=3600;
    /// Maximum size of a request body, in bytes; eight times as much for pushes, trials and imports of drivers
    body_max_bytes: usize = 1024 * 1024, in 1..=1 << 30;
    /// Maximum size of a device file to import, in bytes
    import_max_bytes: usize = 64 * 1024 * 1024, in 1..=1 << 32;
    /// Maximum number of uplinks that wait to be stored; further ones are refused
    uplink_queue_max: usize = 10_000, in 1..=1_000_000;
    /// Time within which a repeated frame counts as a copy, in seconds, at most 86400; 0 turns the detection of
    /// copies off
    dedupe_window_s: u64 = 300, in 0..=86_400;
    /// Maximum time that a time from a network server or driver may be ahead of the hub's clock, in seconds, at
    /// most 86400; a later time is replaced
    time_ahead_max_s: u32 = 300, in 0..=86_400;
    /// Maximum number of open live streams
    live_streams_max: usize = 256, in 0..=100_000;
    /// Maximum number of open live streams of one tenant
    live_streams_tenant_max: usize = 128, in 0..=100_000;
    /// Maximum number of open live streams of one user, one API key, or the key of one integration
    live_streams_user_max: usize = 64, in 0..=100_000;
    /// Maximum duration of a live stream, in seconds; clients reconnect by themselves
    live_stream_s: u64 = 86_400, in 0..=31_536_000;
    /// Number of worker processes that run drivers
    driver_workers: usize = 2, in 1..=256;
    /// Maximum CPU time of one driver call, in milliseconds, at most 10000
    driver_cpu_time_ms: u64 = 50, in 1..=10_000;
    /// Maximum duration of one driver call, in milliseconds; at least driver_cpu_time_ms, because a busy machine
    /// runs calls slowly
    driver_wall_time_ms: u64 = 5000, in 1..=60_000;
    /// Maximum memory of one driver call, in bytes
    driver_memory_bytes: usize = 32 * 1024 * 1024, in 4 << 20..=1 << 30;
    /// Maximum size of the JavaScript stack of one driver call, in bytes
    driver_stack_bytes: usize = 256 * 1024, in 64 << 10..=4 << 20;
    /// Maximum size of the result of one driver call, in bytes of JSON
    driver_output_bytes: usize = 64 * 1024, in 1 << 10..=16 << 20;
    /// Maximum size of the driver state of one device, in bytes of JSON
    driver_state_bytes: usize = 16 * 1024, in 1..=16 << 20;
    /// Maximum number of lines that one driver call logs; further ones are dropped
    driver_log_lines: usize = 100, in 1..=10_000;
    /// Maximum number of promise jobs that one driver call runs
    driver_pending_jobs_max: usize = 1000, in 1..=1_000_000;
    /// Maximum number of driver calls that wait for a worker; further ones fail
    driver_queue_max: usize = 4096, in 1..=1_000_000;
    /// Maximum number of driver calls of one tenant that wait for a worker; further ones fail. At most
    /// driver_queue_max
    driver_tenant_queue_max: usize = 1024, in 1..=1_000_000;
    /// Refuse to start if the kernel lacks a protection of the driver workers: true or false
    driver_sandbox_required: bool = false;
    /// Maximum number of downlinks that wait for one device; further ones are refused
    downlink_queue_max: usize = 100, in 1..=100_000;
    /// Maximum time for one attempt to send a downlink to its network server, in seconds
    downlink_timeout_s: u64 = 15, in 1..=3600;
    /// Delays before the second and further attempts to send a downlink, in seconds, comma-separated; each is
    /// shortened at random to no less than half
    downlink_schedule_s: Seconds = Seconds(vec![2, 10, 30, 120, 600, 3600]), in 0..=31_536_000;
    /// Maximum number of deliveries at a time for an integration that does not set its own
    delivery_concurrency: usize = 16, in 1..=1000;
    /// Maximum time for one delivery attempt, in seconds
    delivery_timeout_s: u64 = 15, in 1..=3600;
    /// Folder in which integrations of the type file write; without it, such integrations cannot be created
    file_targets_dir: Option<PathBuf> = None;
    /// Maximum number of messages that wait for the followers of an integration of the type websocket; beyond
    /// it, the oldest become dead letters
    stream_backlog_max: u64 = 10_000, in 1..=100_000_000;
    /// Maximum number of deliveries that wait for one integration; beyond it, the oldest become dead letters
    delivery_queue_max: u64 = 1_000_000, in 1..=1_000_000_000;
    /// Maximum time that a delivery waits without an attempt, in hours; after it, it becomes a dead letter
    delivery_wait_max_hours: u32 = 720, in 1..=876_000;
    /// Time for which successful deliveries are kept, in hours
    delivery_keep_hours: u32 = 168, in 1..=876_000;
    /// Time for which dead letters are kept, in hours
    delivery_dead_keep_hours: u32 = 720, in 1..=876_000;
    /// Delays before the second and further attempts of a delivery, in seconds, comma-separated; each is
    /// shortened at random to no less than half
    delivery_schedule_s: Seconds = Seconds(vec![5, 30, 120, 600, 3600, 21_600, 86_400]), in 0..=31_536_000;
}

impl Config {
    /// Merges the sources of settings. The error is one line that names the setting.
    pub fn load(
        file: Option<&Path>,
        environment: HashMap<String, String>,
        flags: &[(&'static str, String)],
    ) -> Result<Self, String> {
        let mut environment = environment;
        let file = match file {
            Some(file) => Some(file.to_owned()),
            None => environment.get("THINGSHUB_CONFIG").map(PathBuf::from),
        };
        environment.remove("THINGSHUB_CONFIG");
        // Belongs to the client's commands: the hub must also start in a shell whose user is logged in.
        environment.remove("THINGSHUB_TOKEN");
        // Variables of this repository's tests are not settings.
        environment.retain(|name, _| !name.starts_with("THINGSHUB_TEST_"));
        let mut layers = config::Config::builder();
        if let Some(file) = &file {
            layers = layers.add_source(File::from(file.as_path()).format(FileFormat::Toml));
        }
        layers = layers.add_source(
            Environment::with_prefix("THINGSHUB")
                .ignore_empty(true)
                .source(Some(environment)),
        );
        for (name, value) in flags {
            layers = layers
                .set_override(*name, value.as_str())
                .map_err(|error| format!("--{}: {error}", name.replace('_', "-")))?;
        }
        let layers = layers
            .build()
            .map_err(|error| format!("settings: {error}"))?;
        let config: Self = serde_path_to_error::deserialize(layers).map_err(|error| {
            let name = error.path().to_string();
            format!("setting {name}: {}", error.into_inner())
        })?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            return Err("settings tls_cert and tls_key: must be set together".to_owned());
        }
        if self.secret_key.is_some() && self.secret_key_file.is_some() {
            return Err("settings secret_key and secret_key_file: cannot be combined".to_owned());
        }
        if let Some(Secret(password)) = &self.admin_password
            && password.chars().count() < 10
        {
            return Err("setting admin_password: must have at least 10 characters".to_owned());
        }
        if let Some(Secret(url)) = &self.database_url
            && !["sqlite:", "postgres:", "postgresql:"]
                .iter()
                .any(|scheme| url.starts_with(scheme))
        {
            return Err("setting database_url: must start with sqlite: or postgres:".to_owned());
        }
        if let Some(url) = &self.public_url
            && !url.starts_with("https://")
        {
            return Err("setting public_url: must start with https://".to_owned());
        }
        for (setting, numbers) in SETTINGS.iter().zip(self.numbers()) {
            if let Some(bounds) = &setting.bounds
                && !numbers.iter().all(|number| bounds.contains(number))
            {
                return Err(must_be(setting.name, bounds));
            }
        }
        self.check_drivers()
    }

    /// Checks the limits of drivers whose bounds are other settings.
    fn check_drivers(&self) -> Result<(), String> {
        let wall_time_ms = self.driver_cpu_time_ms..=60_000;
        if !wall_time_ms.contains(&self.driver_wall_time_ms) {
            return Err(must_be("driver_wall_time_ms", &wall_time_ms));
        }
        if self.driver_tenant_queue_max > self.driver_queue_max {
            let queue = 1..=self.driver_queue_max as u64;
            return Err(must_be("driver_tenant_queue_max", &queue));
        }
        Ok(())
    }

    /// Returns the database URL; by default an SQLite file in the data folder.
    pub fn database_url(&self) -> String {
        match &self.database_url {
            Some(Secret(url)) => url.clone(),
            None => format!("sqlite://{}", self.data_dir.join("thingshub.db").display()),
        }
    }
}

fn must_be(name: &str, bounds: &RangeInclusive<u64>) -> String {
    let (lowest, highest) = (bounds.start(), bounds.end());
    format!("setting {name}: must be from {lowest} to {highest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(
        environment: &[(&str, &str)],
        flags: &[(&'static str, String)],
    ) -> Result<Config, String> {
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
        ] {
            let error = load(&[(name, value)], &[]).unwrap_err();
            let setting = name.trim_start_matches("THINGSHUB_").to_lowercase();
            assert!(error.contains(&setting), "{name}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    /// A number without bounds could overflow a sum, or make the hub wait for ever.
    #[test]
    fn every_number_has_bounds_and_a_value_within() {
        let config = Config::default();
        assert_eq!(config.check(), Ok(()));
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
            error.contains("must be written as https://app.example.com for"),
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
}
