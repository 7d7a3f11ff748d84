//! Every setting of the hub, in one struct.
//!
//! A value comes from the default, the file (`--config` or `THINGSHUB_CONFIG`, TOML), the
//! environment (`THINGSHUB_<NAME>`) or a flag (`--<name>`); the later wins. File, environment and
//! flags are all made from the one list below, so no setting can be missing in one of them. Units
//! stand at the end of the names.

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
    /// Folder for the embedded database, the certificate and the secret key
    data_dir: PathBuf = PathBuf::from("./data");
    /// Database: sqlite://<file> or postgres://<user>@<host>/<name>; SQLite in the data folder by default
    database_url: Option<Secret> = None;
    /// Most connections to PostgreSQL, or readers of SQLite, of which there are at most 4
    database_connections: u32 = 8, in 1..=1000;
    /// Seconds that PostgreSQL may take over a statement that messages wait for before its connection counts as dead; another statement may take as long as a request
    database_timeout_s: u64 = 15, in 1..=3600;
    /// Certificate chain, PEM; made at the first start by default
    tls_cert: Option<PathBuf> = None;
    /// Key of the certificate, PEM
    tls_key: Option<PathBuf> = None;
    /// File with the keys that secrets are encrypted with, base64, the current one first; secret.key in the data folder by default
    secret_key_file: Option<PathBuf> = None;
    /// The same keys themselves, comma-separated, for what hands secrets over in the environment
    secret_key: Option<Secret> = None;
    /// Password of the first administrator; a random one is printed once by default
    admin_password: Option<Secret> = None;
    /// URL that clients use, for the OpenAPI document; the request's own origin by default
    public_url: Option<String> = None;
    /// Web origins whose pages may use the API from a browser (CORS), comma-separated, such as https://app.example.com; none by default
    cors_origins: Origins = Origins::default();
    /// Networks of proxies that are believed whom they speak for (X-Forwarded-For, Forwarded, X-Forwarded-Proto), comma-separated; docs/access.md tells how
    trusted_proxies: Networks = Networks::default();
    /// How long browsers are told to come back by HTTPS alone (HSTS), in seconds, at most 63072000; 0: they are told to forget it. On the name localhost they are told nothing
    hsts_max_age_s: u64 = 31_536_000, in 0..=63_072_000;
    /// Private networks, and addresses of this machine, that integrations may reach, comma-separated; other public ones need no entry
    outgoing_allow: Networks = Networks::default();
    /// How logs are written: text or json
    log_format: LogFormat = LogFormat::Text;
    /// Which logs are written, as tracing directives
    log_filter: String = "info,sea_orm_migration=warn,sqlx::postgres::notice=warn,rustls_platform_verifier=off,rumqttc=off".to_owned();
    /// Life of a login session, in hours
    session_hours: u32 = 168, in 1..=87_600;
    /// Days for which entries of the audit log are kept; 0: for ever
    audit_keep_days: u32 = 365, in 0..=36_500;
    /// Failed logins of one user from one address in 15 minutes before more are put off
    login_failures_max: u32 = 20, in 1..=1_000_000;
    /// Longest time one request may take, in seconds
    request_timeout_s: u64 = 30, in 1..=3600;
    /// Longest time to finish running requests at shutdown, and then for deliveries under way, in seconds each
    shutdown_timeout_s: u64 = 20, in 0..=3600;
    /// Most TLS and HTTP connections at a time
    connections_max: usize = 4096, in 1..=1_000_000;
    /// Most connections of one address (of IPv6, one /64) at a time; those of trusted proxies are not counted
    address_connections_max: usize = 1024, in 1..=1_000_000;
    /// Most requests of one client's address at a time before more are refused
    address_requests_max: usize = 2048, in 1..=1_000_000;
    /// Most requests at a time on one HTTP/2 connection
    connection_streams_max: u32 = 100, in 1..=10_000;
    /// Longest time for a TLS handshake, and from the first byte of a request's head to its last, in seconds
    head_timeout_s: u64 = 15, in 1..=3600;
    /// Longest time that a client may take nothing of an answer before it loses it, in seconds
    write_timeout_s: u64 = 60, in 1..=3600;
    /// Largest request body, in bytes; a driver's push may be three times its script
    body_max_bytes: usize = 1024 * 1024, in 1..=1 << 30;
    /// Largest file of devices to import, in bytes
    import_max_bytes: usize = 64 * 1024 * 1024, in 1..=1 << 32;
    /// Uplinks that may wait for the writer before more are refused
    uplink_queue_max: usize = 10_000, in 1..=1_000_000;
    /// Seconds in which a frame that comes again is taken for a copy, at most 86400; 0: none is
    dedupe_window_s: u64 = 300, in 0..=86_400;
    /// Seconds that a network server's or driver's time may be ahead of the hub's clock, at most 86400; the hub's own time counts in place of a later one
    time_ahead_max_s: u32 = 300, in 0..=86_400;
    /// Live streams open at a time
    live_streams_max: usize = 256, in 0..=100_000;
    /// Live streams of one tenant open at a time
    live_streams_tenant_max: usize = 128, in 0..=100_000;
    /// Live streams open at a time of one user, one API key, or one integration's own key
    live_streams_user_max: usize = 64, in 0..=100_000;
    /// Longest life of a live stream, in seconds; clients come back by themselves
    live_stream_s: u64 = 86_400, in 0..=31_536_000;
    /// Worker processes that run drivers
    driver_workers: usize = 2, in 1..=256;
    /// CPU time for one driver call, in milliseconds, at most 10000
    driver_cpu_time_ms: u64 = 50, in 1..=10_000;
    /// Longest time for one driver call on a busy machine, in milliseconds; at least the CPU time
    driver_wall_time_ms: u64 = 5000, in 1..=60_000;
    /// Memory of one driver call, in bytes
    driver_memory_bytes: usize = 32 * 1024 * 1024, in 4 << 20..=1 << 30;
    /// JavaScript stack of one driver call, in bytes
    driver_stack_bytes: usize = 256 * 1024, in 64 << 10..=4 << 20;
    /// Largest result of one driver call, in bytes
    driver_output_bytes: usize = 64 * 1024, in 1 << 10..=16 << 20;
    /// Largest state that a driver may keep of one device, in bytes of JSON
    driver_state_bytes: usize = 16 * 1024, in 1..=16 << 20;
    /// Lines that one driver call may log; further ones are left out
    driver_log_lines: usize = 100, in 1..=10_000;
    /// Promise jobs that one driver call may run
    driver_pending_jobs_max: usize = 1000, in 1..=1_000_000;
    /// Driver calls of all tenants that may wait for a worker before more fail
    driver_queue_max: usize = 4096, in 1..=1_000_000;
    /// Driver calls of one tenant that may wait for a worker before more of it fail
    driver_tenant_queue_max: usize = 1024, in 1..=1_000_000;
    /// Whether to start only where the kernel has every protection of driver workers: true or false
    driver_sandbox_required: bool = false;
    /// Downlinks that may wait for one device before more are refused
    downlink_queue_max: usize = 100, in 1..=100_000;
    /// Longest time for one attempt to hand a downlink to its network server, in seconds
    downlink_timeout_s: u64 = 15, in 1..=3600;
    /// Waits before the second, third ... attempt of a downlink, in seconds, comma-separated; half to all of each is waited
    downlink_schedule_s: Seconds = Seconds(vec![2, 10, 30, 120, 600, 3600]), in 0..=31_536_000;
    /// Deliveries under way at a time for one integration, unless it says otherwise
    delivery_concurrency: usize = 16, in 1..=1000;
    /// Longest time for one delivery attempt, in seconds
    delivery_timeout_s: u64 = 15, in 1..=3600;
    /// Folder below which integrations of the type file write; none by default, and then there are no such integrations
    file_targets_dir: Option<PathBuf> = None;
    /// Messages of an integration of the type websocket that wait for somebody to follow, before older ones are given up
    stream_backlog_max: u64 = 10_000, in 1..=100_000_000;
    /// Deliveries that may wait for one integration, before the oldest are given up
    delivery_queue_max: u64 = 1_000_000, in 1..=1_000_000_000;
    /// How long a delivery may wait without an attempt before it is given up, in hours
    delivery_wait_max_hours: u32 = 720, in 1..=876_000;
    /// How long deliveries are kept that the target took, in hours
    delivery_keep_hours: u32 = 168, in 1..=876_000;
    /// How long dead deliveries are kept, in hours
    delivery_dead_keep_hours: u32 = 720, in 1..=876_000;
    /// Waits before the second, third ... attempt of a delivery, in seconds, comma-separated; half to all of each is waited
    delivery_schedule_s: Seconds = Seconds(vec![5, 30, 120, 600, 3600, 21_600, 86_400]), in 0..=31_536_000;
}

impl Config {
    /// Puts the layers together. The error is one line that names the setting.
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
            return Err("settings tls_cert and tls_key: give both or neither".to_owned());
        }
        if self.secret_key.is_some() && self.secret_key_file.is_some() {
            return Err("settings secret_key and secret_key_file: give one of them".to_owned());
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

    /// Two limits of drivers depend on two others.
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

    /// One without would be added up, or waited for, as it comes.
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
