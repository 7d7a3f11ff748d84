//! Every setting of the hub, in one struct.
//!
//! A value comes from the default, the file (`--config` or `THINGSHUB_CONFIG`, TOML), the
//! environment (`THINGSHUB_<NAME>`) or a flag (`--<name>`); a later source overrides an earlier one.
//! File, environment and flags are all derived from the one list below, so that no setting can be
//! missing in one of them. Names end with their unit.

//!
//! | file | what it is |
//! |---|---|
//! | `values.rs` | the types of settings that are neither plain numbers nor plain text, and how each is read and shown |
//! | `sources.rs` | file, environment and flags: which settings each one has, and names that no setting has |
//! | `rules.rs` | the rules that settings must keep |
//! | `report.rs` | the settings with their values and sources, for people |

mod report;
mod rules;
mod sources;
#[cfg(test)]
mod tests;
mod traces;
mod values;

use std::{
    collections::HashMap,
    net::SocketAddr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use sources::{Given, Sources};
pub use traces::{Headers, Ratio};
use values::Value;
pub use values::{LogFormat, Networks, Origins, Seconds, Secret, ServerName, ServerNames, Shown};

/// Port of PostgreSQL unless the URL has another one.
const POSTGRES_PORT: u16 = 5432;

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
        #[derive(Debug, Clone)]
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

            /// The value of each setting, in the same order.
            pub fn shown(&self) -> Vec<Shown> {
                vec![$(self.$name.show(),)*]
            }

            /// Sets a setting. The error is the rule that the text breaks.
            fn set(&mut self, name: &str, text: &str) -> Result<(), String> {
                match name {
                    $(stringify!($name) => self.$name = Value::read(text)?,)*
                    _ => return Err("is no setting".to_owned()),
                }
                Ok(())
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
    /// DNS names and IP addresses of the certificate that the hub creates itself, comma-separated, such as
    /// hub.example.com, 192.168.1.10; in addition to localhost, the name of the machine and the address in listen.
    /// Cannot be combined with tls_cert
    tls_names: ServerNames = ServerNames::default();
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
    /// Base URL of an OpenTelemetry collector to which the hub exports traces over HTTP (OTLP), such as
    /// http://127.0.0.1:4318; none by default. See docs/traces.md
    otlp_endpoint: Option<String> = None;
    /// Headers of requests to the collector, such as for its authentication, as name=value, comma-separated;
    /// values may be percent-encoded
    otlp_headers: Headers = Headers::default();
    /// Share of the traces to export, from 0.0 to 1.0. A trace that a client began is exported if the client says so
    otlp_sample_ratio: Ratio = Ratio(1.0);
    /// Format of the logs: text or json
    log_format: LogFormat = LogFormat::Text;
    /// Filter of the logs, as tracing directives
    log_filter: String = "info,sea_orm_migration=warn,sqlx::postgres::notice=warn,rustls_platform_verifier=off,rumqttc=off".to_owned();
    /// Lifetime of a login session, in hours
    session_hours: u32 = 168, in 1..=87_600;
    /// Time for which entries of the audit log are kept, in days; 0 keeps them without limit
    audit_keep_days: u32 = 400, in 0..=36_500;
    /// Time for which the uplinks of devices are kept, in days; 0 keeps them without limit. A tenant's retention_days
    /// overrides it
    uplink_keep_days: u32 = 90, in 0..=36_500;
    /// Time for which events of devices and network connections are kept, in days; 0 keeps them without limit
    event_keep_days: u32 = 30, in 0..=36_500;
    /// Time for which ended imports, replays, fills of data tables and runs of scheduled exports are kept with their results, in days; 0 keeps them without limit
    job_keep_days: u32 = 30, in 0..=36_500;
    /// Roll up the hours of data tables in the background, from which aggregations are answered: true or false. Set it
    /// alike on all hubs of a database
    rollups: bool = true;
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
    /// Folder in which scheduled exports of the type folder write; without it, such exports cannot be created
    export_folder: Option<PathBuf> = None;
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
    /// Delays before the second and further attempts of a run of a scheduled export, in seconds, comma-separated; each
    /// is shortened at random to no less than half
    export_schedule_s: Seconds = Seconds(vec![30, 120, 600, 1800, 3600]), in 0..=31_536_000;
    /// Maximum time for one step of a run of a scheduled export, such as a login or the sending of a part of the file,
    /// in seconds
    export_timeout_s: u64 = 60, in 1..=3600;
}

/// Settings as far as they can be read, and everything that is wrong with them.
pub struct Reading {
    /// The settings; those that cannot be read have their defaults.
    pub config: Config,
    /// Source of each setting that is given.
    sources: Sources,
    /// Settings that cannot be read.
    unread: Vec<&'static str>,
    /// Descriptions of what is wrong, one line each.
    pub problems: Vec<String>,
}

impl Config {
    /// Merges the sources of settings. The error is one line that names each setting that is wrong.
    pub fn load(
        file: Option<&Path>,
        environment: HashMap<String, String>,
        flags: &[(&'static str, String)],
    ) -> Result<Self, String> {
        let reading = Self::read(file, environment, flags);
        match reading.problems.is_empty() {
            true => Ok(reading.config),
            false => Err(reading.problems.join("; ")),
        }
    }

    /// Merges the sources of settings and notes everything that is wrong.
    pub fn read(
        file: Option<&Path>,
        environment: HashMap<String, String>,
        flags: &[(&'static str, String)],
    ) -> Reading {
        let names = SETTINGS.iter().map(|setting| setting.name).collect();
        let (sources, mut problems) = Sources::gather(names, file, environment, flags);
        let mut config = Self::default();
        let mut unread = Vec::new();
        for setting in SETTINGS {
            let Some(Given { text, .. }) = sources.of(setting.name) else {
                continue;
            };
            let set = match text {
                Some(text) => config.set(setting.name, text),
                None => Err("must be a text, a number, true or false".to_owned()),
            };
            if let Err(rule) = set {
                unread.push(setting.name);
                problems.push(sources.problem(&[setting.name], &rule));
            }
        }
        for (names, rule) in config.broken_rules() {
            // The default that stands in for a setting that cannot be read says nothing about the others.
            if !names.iter().any(|name| unread.contains(name)) {
                problems.push(sources.problem(&names, &rule));
            }
        }
        Reading {
            config,
            sources,
            unread,
            problems,
        }
    }

    /// Returns the database URL; by default an SQLite file in the data folder.
    pub fn database_url(&self) -> String {
        match &self.database_url {
            Some(Secret(url)) => url.clone(),
            None => format!("sqlite://{}", self.data_dir.join("thingshub.db").display()),
        }
    }

    /// Returns the host and port of a PostgreSQL server, or the folder of its socket.
    pub fn database_address(&self) -> Option<String> {
        let url = url::Url::parse(&self.database_url()).ok()?;
        if !url.scheme().starts_with("postgres") {
            return None;
        }
        let port = url.port().unwrap_or(POSTGRES_PORT);
        let parameter = url.query_pairs().find(|(name, _)| name == "host");
        match (parameter, url.host_str()) {
            (Some((_, folder)), _) if folder.starts_with('/') => Some(folder.into_owned()),
            (Some((_, host)), _) => Some(format!("{host}:{port}")),
            (None, Some(host)) => Some(format!("{host}:{port}")),
            (None, None) => None,
        }
    }
}
