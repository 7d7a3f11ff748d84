//! The bounds in docs/limits.md are those of the program, and the tests of bounds take their values
//! from there.

use std::{collections::BTreeSet, fs, path::Path};

/// The beginning of each row, and the constants that the row is about. A row with settings is about their defaults.
const BOUNDS: &[(&str, &[(&str, &str)])] = &[
    ("Connections at a time", &[]),
    ("Connections of one address", &[]),
    ("Requests of one client's address", &[]),
    ("Requests at a time on one HTTP/2 connection", &[]),
    ("Time for a TLS handshake", &[]),
    (
        "Time between two requests",
        &[("api/http/activity.rs", "IDLE_MAX")],
    ),
    ("Time that a client takes nothing", &[]),
    (
        "Time for an HTTP/2 client to answer a ping",
        &[
            ("api/http/server.rs", "HTTP2_PING_EVERY"),
            ("api/http/server.rs", "HTTP2_PONG_WITHIN"),
        ],
    ),
    (
        "Time at the stop of the hub",
        &[("api/http/server.rs", "LAST_WORDS")],
    ),
    (
        "Head of a request",
        &[
            ("api/http/server.rs", "HTTP1_BUFFER_BYTES"),
            ("api/http/server.rs", "HTTP1_HEADERS_MAX"),
            ("api/http/server.rs", "HTTP2_HEAD_BYTES"),
        ],
    ),
    (
        "Connections to the address for metrics",
        &[("app/metrics_port.rs", "CONNECTIONS_MAX")],
    ),
    // This bound is hyper's own.
    ("URL of a request", &[]),
    (
        "Bytes of bodies over HTTP/2",
        &[("api/http/server.rs", "HTTP2_WINDOW_BYTES")],
    ),
    (
        "Passwords that are compared",
        &[
            ("hub/access/passwords.rs", "RUNNING_MAX"),
            ("hub/access/passwords.rs", "RUNNING_SHARE"),
            ("hub/access/passwords.rs", "WAITING_MAX"),
        ],
    ),
    (
        "Passwords that one address",
        &[("hub/access/passwords.rs", "SHARE_MAX")],
    ),
    (
        "Wrong passwords of one user",
        &[("hub/access/throttle.rs", "WINDOW")],
    ),
    (
        "Usernames of other tenants' users",
        &[
            ("hub/access/throttle.rs", "WINDOW"),
            ("hub/mod.rs", "NAME_PROBES_MAX"),
        ],
    ),
    (
        "Files (device imports",
        &[
            ("api/http/files.rs", "RECEIVING_MAX"),
            ("api/http/files.rs", "RECEIVING_TENANT_MAX"),
            ("api/http/files.rs", "RECEIVING_USER_MAX"),
        ],
    ),
    (
        "Conditions in `filter`",
        &[("api/data/filter.rs", "CONDITIONS_MAX")],
    ),
    ("Running fills", &[("store/core/jobs.rs", "RUNNING_MAX")]),
    (
        "Running imports of rows",
        &[("store/core/jobs.rs", "RUNNING_MAX")],
    ),
    (
        "Rows of a file to import into a data table",
        &[("api/data/import/mod.rs", "ROWS_MAX")],
    ),
    (
        "Pause of imports, fills and replays",
        &[
            ("store/core/holding.rs", "STEP_SHARE"),
            ("store/core/holding.rs", "PAUSE_MAX"),
        ],
    ),
    (
        "Waiting batches of 32 rows",
        &[
            ("api/data/import/mod.rs", "BATCH"),
            ("hub/data/imports.rs", "BATCHES_MAX"),
        ],
    ),
    (
        "Time of an imported row",
        &[("api/data/import/mod.rs", "AHEAD_DAYS")],
    ),
    (
        "Uplinks in a transaction of a fill",
        &[("store/devices/walk.rs", "CHUNK")],
    ),
    (
        "Fields in an export",
        &[
            ("export/mod.rs", "NAMES_MAX_BYTES"),
            ("export/parquet.rs", "FIELDS_MAX"),
        ],
    ),
    (
        "Rows that an export holds",
        &[
            ("api/data/export.rs", "AT_ONCE"),
            ("store/core/part.rs", "STEP_BYTES_MAX"),
            ("store/core/part.rs", "STEP_VALUES_MAX"),
            ("export/parquet.rs", "GROUP_ROWS_MAX"),
            ("export/parquet.rs", "GROUP_BYTES_MAX"),
        ],
    ),
    (
        "Bytes of the items on a page",
        &[
            ("store/core/part.rs", "PAGE_BYTES_MAX"),
            ("store/core/part.rs", "PAGE_VALUES_MAX"),
        ],
    ),
    (
        "Memory for the pages of lists",
        &[
            ("store/core/room.rs", "ALL_MAX_BYTES"),
            ("store/core/room.rs", "TENANT_MAX_BYTES"),
            ("store/core/room.rs", "FREE_BYTES"),
            ("store/core/part.rs", "VALUE_BYTES"),
        ],
    ),
    (
        "Exports of rows and of devices",
        &[
            ("api/http/exporting.rs", "EXPORTS_MAX"),
            ("api/http/exporting.rs", "EXPORTS_TENANT_MAX"),
            ("api/http/exporting.rs", "PARQUET_SIZE"),
        ],
    ),
    (
        "Groups of rows of Parquet",
        &[("export/parquet.rs", "WRITTEN_AT_ONCE")],
    ),
    (
        "Scheduled exports of a data table",
        &[("store/data/scheduled/mod.rs", "EXPORTS_MAX")],
    ),
    (
        "Scheduled exports that a hub works on",
        &[
            ("export/exporter.rs", "AT_ONCE"),
            ("export/exporter.rs", "TENANT_AT_ONCE"),
        ],
    ),
    (
        "Rows that a scheduled export reads",
        &[
            ("export/window.rs", "AT_ONCE"),
            ("store/core/part.rs", "STEP_BYTES_MAX"),
            ("store/core/part.rs", "STEP_VALUES_MAX"),
        ],
    ),
    ("Time for one step of a run of a scheduled export", &[]),
    (
        "Time for one attempt of a run of a scheduled export",
        &[("export/run.rs", "ATTEMPT_MAX")],
    ),
    (
        "Time for the test of a scheduled export",
        &[("export/exporter.rs", "TEST_MAX")],
    ),
    (
        "Bytes that an SFTP server may send",
        &[("crates/net/src/sftp/login.rs", "UNASKED_MAX_BYTES")],
    ),
    (
        "Packet of an SFTP server",
        &[("crates/net/src/sftp/login.rs", "PACKET_MAX")],
    ),
    (
        "Time for the login to an SFTP server",
        &[("crates/net/src/sftp/login.rs", "LOGIN_MAX")],
    ),
    (
        "Part of an object in S3",
        &[
            ("export/targets/s3.rs", "PART"),
            ("export/targets/s3.rs", "PARTS_MAX"),
        ],
    ),
    (
        "Drivers that are exported",
        &[
            ("api/drivers/archives.rs", "EXPORTS_MAX"),
            ("api/drivers/archives.rs", "EXPORTS_TENANT_MAX"),
        ],
    ),
    (
        "Bytes of all JSON bodies",
        &[
            ("api/http/body_room.rs", "FREE_BYTES"),
            ("api/http/body_room.rs", "ALL_MAX_BYTES"),
            ("api/http/body_room.rs", "SHARE_MAX_BYTES"),
        ],
    ),
    (
        "Aggregations at a time",
        &[
            ("hub/data/charts.rs", "RUNNING_MAX"),
            ("hub/data/charts.rs", "WAITING_MAX"),
            ("hub/data/charts.rs", "SHARE_MAX"),
        ],
    ),
    (
        "Time for the reads of an aggregation",
        &[("hub/data/charts.rs", "TIME_MAX")],
    ),
    (
        "Values (rows by columns) that an aggregation reads",
        &[
            ("hub/data/plan.rs", "VALUES_MAX"),
            ("hub/data/plan.rs", "SORTED_MAX"),
        ],
    ),
    (
        "Changed hours of devices",
        &[("store/data/rollups.rs", "CHANGED_MAX")],
    ),
    (
        "Rows that are rolled up at a time",
        &[("rollups.rs", "ROWS_MAX"), ("rollups.rs", "HOURS_MAX")],
    ),
    (
        "Items (buckets by groups by columns)",
        &[("hub/data/aggregation.rs", "ITEMS_MAX")],
    ),
    ("Lines of a chart", &[("hub/data/chart.rs", "LINES_MAX")]),
    (
        "Newest rows of a device",
        &[("hub/data/latest.rs", "ROWS_MAX")],
    ),
    (
        "Groups of one device and a base bucket",
        &[("hub/data/plan.rs", "BASES_MAX")],
    ),
    (
        "Bodies that are uncompressed",
        &[("api/http/body.rs", "UNCOMPRESSING_MAX")],
    ),
    (
        "Requests of one tenant that change something",
        &[
            ("api/http/tasks.rs", "TENANT_MAX"),
            ("api/http/tasks.rs", "TASKS_MAX"),
        ],
    ),
    ("Live streams and followers", &[]),
    ("Of one tenant among them", &[]),
    ("Of one user, one API key", &[]),
    (
        "Stream keys of one session",
        &[("store/access/stream_keys.rs", "MOST")],
    ),
    (
        "Message of a follower",
        &[("api/integrations/stream.rs", "MESSAGE_MAX_BYTES")],
    ),
    ("Tests (`POST", &[("hub/trials.rs", "TENANT_MAX")]),
    ("Tests of all tenants", &[("hub/trials.rs", "ALL_MAX")]),
    ("Driver calls that wait", &[]),
    (
        "Time that a driver call waits",
        &[("crates/driver/src/slot.rs", "START_PATIENCE")],
    ),
    (
        "Times that a driver call is handed",
        &[("crates/driver/src/slot.rs", "ATTEMPTS_MAX")],
    ),
    (
        "Compiled scripts in a worker",
        &[("crates/driver/src/scripts.rs", "CACHE_BYTES")],
    ),
    ("Deliveries that wait for one integration", &[]),
    ("Time that a delivery waits", &[]),
    (
        "Templates rendered at the same time",
        &[("delivery/payload/renderer.rs", "AT_ONCE")],
    ),
    (
        "Lines that are written",
        &[
            ("delivery/targets/file.rs", "AT_ONCE"),
            ("delivery/targets/file.rs", "AT_ONCE_EACH"),
        ],
    ),
    (
        "Names of hosts that are looked up",
        &[
            ("crates/net/src/outgoing/lookups.rs", "RUNNING_MAX"),
            ("crates/net/src/outgoing/lookups.rs", "SHARE"),
        ],
    ),
    (
        "Names of one tenant",
        &[("crates/net/src/outgoing/lookups.rs", "WAITING_MAX")],
    ),
    (
        "Time for the lookup",
        &[("crates/net/src/outgoing/lookups.rs", "PATIENCE")],
    ),
    (
        "Results of name lookups",
        &[
            ("crates/net/src/outgoing/lookups.rs", "KEPT"),
            ("crates/net/src/outgoing/lookups.rs", "KEPT_SLOW"),
            ("crates/net/src/outgoing/lookups.rs", "SLOW"),
            ("crates/net/src/outgoing/lookups.rs", "KEPT_MAX"),
        ],
    ),
    (
        "Message of an MQTT broker",
        &[("crates/net/src/mqtt/packets.rs", "PACKET_MAX_BYTES")],
    ),
    (
        "Time for a `postgres` target",
        &[("crates/net/src/postgres/session.rs", "OPEN_TIMEOUT")],
    ),
    (
        "Response of a server to one request",
        &[("crates/net/src/postgres/wire.rs", "ANSWER_MAX_BYTES")],
    ),
    (
        "Rounds of hashing",
        &[("crates/net/src/kafka/login.rs", "ROUNDS_MAX")],
    ),
    (
        "Logins that are hashed for targets",
        &[
            ("crates/net/src/outgoing/heavy.rs", "AT_ONCE"),
            ("crates/net/src/outgoing/heavy.rs", "AT_ONCE_EACH"),
        ],
    ),
    (
        "Response of a Kafka broker",
        &[("crates/net/src/kafka/connection.rs", "ANSWER_MAX_BYTES")],
    ),
    (
        "Brokers that lead partitions",
        &[("crates/net/src/kafka/leaders.rs", "BROKERS_MAX")],
    ),
    (
        "Cached data on the topics",
        &[("crates/net/src/kafka/producer.rs", "KNOWN_MAX_BYTES")],
    ),
    (
        "Packets that an MQTT broker",
        &[("crates/net/src/mqtt/flood.rs", "PACKETS_MAX")],
    ),
    // A rule that has no number in the program.
    ("NUL characters", &[]),
    ("Deliveries whose outcome", &[]),
    ("Age of uplinks", &[]),
    ("Age of events", &[]),
    ("Age of entries of the audit log", &[]),
    ("Age of imports, fills, replays and runs", &[]),
    ("Age of settled deliveries", &[]),
    (
        "Rows that retention deletes",
        &[("housekeeping.rs", "ROWS_MAX")],
    ),
    ("Spans that wait", &[("traces/mod.rs", "QUEUE_MAX")]),
    (
        "Response of a collector",
        &[("traces/collector.rs", "RESPONSE_MAX")],
    ),
];

/// One row of the table.
struct Row {
    what: String,
    bound: String,
    settings: Vec<String>,
}

/// The numbers of the row that begins so, in their order; sizes in bytes.
pub fn bounds(what: &str) -> Vec<u64> {
    let rows = rows();
    let row = rows.iter().find(|row| row.what.starts_with(what));
    numbers(&row.unwrap_or_else(|| panic!("no row {what}")).bound)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rows() -> Vec<Row> {
    let text = fs::read_to_string(root().join("docs/limits.md")).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix("| "));
    lines
        .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>())
        .filter(|cells| cells[0] != "What")
        .map(|cells| Row {
            what: cells[0].to_owned(),
            bound: cells[1].to_owned(),
            settings: cells[2]
                .split('`')
                .filter(|part| part.contains('_'))
                .map(str::to_owned)
                .collect(),
        })
        .collect()
}

/// `4; 128 KiB and 1,000`: 4, 131072, 1000.
fn numbers(text: &str) -> Vec<u64> {
    let mut found: Vec<u64> = Vec::new();
    for word in text.replace(['(', ')'], " ").split_whitespace() {
        let digits: String = word.chars().filter(char::is_ascii_digit).collect();
        let is_number = word.starts_with(|first: char| first.is_ascii_digit());
        match word.trim_end_matches([',', ';']) {
            "KiB" => *found.last_mut().unwrap() <<= 10,
            "MiB" => *found.last_mut().unwrap() <<= 20,
            _ if is_number => found.push(digits.parse().unwrap()),
            _ => {}
        }
    }
    found
}

/// Reads a constant or the default of a setting from the source: `1_000`, `64 * 1024`, `8 << 20`,
/// `Duration::from_secs(15)`.
fn value(file: &str, name: &str) -> u64 {
    let folder = match file.starts_with("crates/") {
        true => root().to_owned(),
        false => root().join("src"),
    };
    let source = fs::read_to_string(folder.join(file)).unwrap();
    let mut told = source.lines().filter_map(|line| {
        let line = line.trim();
        let line = line.strip_prefix("pub ").unwrap_or(line);
        let line = line.strip_prefix("const ").unwrap_or(line);
        let (_, value) = line.strip_prefix(&format!("{name}: "))?.split_once(" = ")?;
        let value = value
            .split([';', ','])
            .next()?
            .replace("Duration::from_secs", "");
        Some(value.replace(['(', ')', '_'], ""))
    });
    let told = told.next();
    let told = told.unwrap_or_else(|| panic!("{file} says nothing of {name}"));
    let number = |text: &str| {
        text.trim()
            .parse::<u64>()
            .unwrap_or_else(|_| panic!("{name}: {text}"))
    };
    match told.split_once("<<") {
        Some((value, bits)) => number(value) << number(bits),
        None => told.split('*').map(number).product(),
    }
}

#[test]
fn the_bounds_are_those_of_the_program() {
    let rows = rows();
    for row in &rows {
        let found = BOUNDS.iter().find(|(what, _)| row.what.starts_with(what));
        let (_, constants) = found.unwrap_or_else(|| panic!("of what is the row: {}", row.what));
        let constants = constants.iter().map(|(file, name)| value(file, name));
        let settings = row.settings.iter().map(|name| value("config.rs", name));
        let values: BTreeSet<u64> = constants.chain(settings).collect();
        if !values.is_empty() {
            let told = numbers(&format!("{} {}", row.what, row.bound));
            let told: BTreeSet<u64> = told.into_iter().collect();
            assert_eq!(told, values, "{}: {}", row.what, row.bound);
        }
    }
    for (what, _) in BOUNDS {
        assert!(rows.iter().any(|row| row.what.starts_with(what)), "{what}");
    }
}
