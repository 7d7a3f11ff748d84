//! Layers: the modules that each module may use, in the code and as ARCHITECTURE.md writes them.

use std::{collections::BTreeMap, fs};

use super::sources::sources;
use crate::repository;

/// The other modules of the crate that each module may use. A line that grows is a decision.
const LAYERS: &[(&str, &[&str])] = &[
    (
        "cli",
        &[
            "api",
            "app",
            "backup",
            "config",
            "driver",
            "error",
            "keyring",
            "reference",
            "secret",
            "store",
            "text",
            "traces",
        ],
    ),
    ("backup", &["clock", "private", "store"]),
    (
        "app",
        &[
            "api",
            "clock",
            "codec",
            "config",
            "delivery",
            "downlink",
            "driver",
            "error",
            "export",
            "housekeeping",
            "hub",
            "keyring",
            "live",
            "metrics",
            "mqtt",
            "outgoing",
            "private",
            "rollups",
            "secret",
            "store",
            "supervise",
            "tls",
            "uplink",
        ],
    ),
    (
        "api",
        &[
            "clock",
            "codec",
            "config",
            "error",
            "export",
            "hub",
            "id",
            "kafka",
            "live",
            "metrics",
            "mqtt",
            "networks",
            "outgoing",
            "reference",
            "secret",
            "sftp",
            "shares",
            "store",
            "text",
            "threads",
            "traces",
            "uplink",
        ],
    ),
    (
        "hub",
        &[
            "clock",
            "codec",
            "config",
            "delivery",
            "downlink",
            "driver",
            "error",
            "export",
            "id",
            "jobs",
            "live",
            "metrics",
            "networks",
            "outgoing",
            "pace",
            "reference",
            "secret",
            "selector",
            "shares",
            "store",
            "supervise",
            "text",
            "threads",
            "tls",
            "turns",
            "uplink",
            "username",
        ],
    ),
    (
        "uplink",
        &[
            "batch",
            "clock",
            "codec",
            "delivery",
            "error",
            "id",
            "jobs",
            "metrics",
            "mqtt",
            "networks",
            "outgoing",
            "reference",
            "secret",
            "selector",
            "store",
            "supervise",
            "traces",
        ],
    ),
    (
        "codec",
        &[
            "clock",
            "driver",
            "error",
            "id",
            "networks",
            "reference",
            "store",
            "traces",
        ],
    ),
    (
        "networks",
        &["clock", "id", "mqtt", "outgoing", "secret", "store"],
    ),
    ("retry", &["clock", "outgoing"]),
    (
        "delivery",
        &[
            "batch",
            "clock",
            "config",
            "error",
            "id",
            "kafka",
            "metrics",
            "mqtt",
            "outgoing",
            "postgres",
            "priority",
            "private",
            "retry",
            "secret",
            "store",
            "supervise",
            "topic",
            "traces",
            "turns",
        ],
    ),
    (
        "downlink",
        &[
            "clock",
            "config",
            "error",
            "id",
            "metrics",
            "mqtt",
            "networks",
            "outgoing",
            "retry",
            "secret",
            "store",
            "supervise",
            "traces",
        ],
    ),
    ("mqtt", &["clock", "outgoing", "supervise", "topic"]),
    ("kafka", &["outgoing", "supervise", "topic"]),
    ("s3", &["outgoing"]),
    ("sftp", &["outgoing"]),
    ("postgres", &["outgoing", "supervise"]),
    ("outgoing", &["causes", "clock", "priority"]),
    (
        "housekeeping",
        &[
            "clock",
            "config",
            "error",
            "metrics",
            "pace",
            "sole_lease",
            "store",
        ],
    ),
    (
        "export",
        &[
            "clock",
            "config",
            "error",
            "id",
            "metrics",
            "outgoing",
            "private",
            "retry",
            "s3",
            "secret",
            "sftp",
            "store",
            "supervise",
            "threads",
        ],
    ),
    (
        "rollups",
        &[
            "config",
            "error",
            "id",
            "metrics",
            "pace",
            "sole_lease",
            "store",
        ],
    ),
    ("sole_lease", &["error", "id", "store"]),
    ("jobs", &["error", "id", "store", "supervise"]),
    (
        "live",
        &[
            "clock", "config", "error", "id", "metrics", "shares", "store",
        ],
    ),
    (
        "store",
        &[
            "batch",
            "clock",
            "config",
            "error",
            "id",
            "private",
            "reference",
            "secret",
            "selector",
            "shares",
            "supervise",
            "username",
        ],
    ),
    ("reference", &["text"]),
    ("tls", &["clock", "config", "private"]),
    ("metrics", &["clock", "driver"]),
    ("traces", &["config", "error"]),
    ("pace", &[]),
    ("priority", &[]),
    ("private", &[]),
    ("shares", &[]),
    ("threads", &["error", "priority"]),
    (
        "keyring",
        &[
            "api", "config", "delivery", "error", "export", "networks", "private", "secret",
            "store",
        ],
    ),
    ("secret", &["error", "id", "private"]),
    ("batch", &["supervise"]),
    ("supervise", &["error"]),
    ("driver", &[]),
    ("selector", &[]),
    ("text", &[]),
    ("topic", &[]),
    ("turns", &[]),
    ("username", &[]),
    ("config", &[]),
    ("error", &["causes"]),
    ("causes", &[]),
    ("clock", &[]),
    ("id", &["clock"]),
];

/// Crates whose modules stand in the table like those of the hub.
const CRATES: &[&str] = &["crate::", "base::", "net_clients::"];

#[test]
fn modules_use_only_what_lies_below_them() {
    let layers: BTreeMap<&str, &[&str]> = LAYERS.iter().copied().collect();
    let mut wrong = Vec::new();
    for (module, file, text) in sources() {
        let allowed = layers.get(module.as_str()).copied();
        for used in used_modules(&text) {
            let is_fine =
                used == module || allowed.is_some_and(|allowed| allowed.contains(&&*used));
            if !is_fine {
                wrong.push(format!("{} uses crate::{used}", file.display()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "not in the table of layers:\n{}",
        wrong.join("\n")
    );
}

/// The table that people read says what the table above says.
#[test]
fn the_written_table_of_layers_is_the_one_in_force() {
    let path = repository("ARCHITECTURE.md");
    let written = fs::read_to_string(&path).unwrap();
    let mut layers: BTreeMap<&str, &[&str]> = LAYERS.iter().copied().collect();
    let mut true_lines = Vec::new();
    for line in written.lines() {
        let Some((modules, meaning)) = row(line) else {
            true_lines.push(line.to_owned());
            continue;
        };
        let found: Vec<&[&str]> = modules
            .iter()
            .map(|module| {
                let listed = layers.remove(module);
                listed.unwrap_or_else(|| panic!("{module} is in no layer, or in two rows: {line}"))
            })
            .collect();
        assert!(
            found.iter().all(|uses| *uses == found[0]),
            "modules that may use different ones need rows of their own: {line}"
        );
        let uses = match found[0] {
            [] => "-".to_owned(),
            uses => uses.join(", "),
        };
        true_lines.push(format!("{meaning}| {uses} |"));
    }
    assert!(
        layers.is_empty(),
        "ARCHITECTURE.md has no row for {:?}",
        layers.keys()
    );
    let should_be = true_lines.join("\n") + "\n";
    if std::env::var_os("THINGSHUB_TEST_UPDATE").is_some() {
        fs::write(path, should_be).unwrap();
        return;
    }
    for (line, should_be) in written.lines().zip(should_be.lines()) {
        assert_eq!(
            line, should_be,
            "a row of ARCHITECTURE.md; run this test with THINGSHUB_TEST_UPDATE=1 to write it anew"
        );
    }
}

/// The modules that a row of the table of layers is about, and the row without its last column.
fn row(line: &str) -> Option<(Vec<&str>, &str)> {
    let cells = line.strip_prefix("| `")?.strip_suffix('|')?;
    if !cells.starts_with("src/") && !cells.starts_with("crates/") {
        return None;
    }
    let (meaning, _) = cells.rsplit_once('|')?;
    let (places, _) = meaning.split_once('|')?;
    let modules = places.split('`').step_by(2).filter_map(|place| {
        let place = place.trim_end_matches('/').trim_end_matches(".rs");
        place.rsplit('/').next()
    });
    let mut modules: Vec<&str> = modules.filter(|module| *module != "main").collect();
    modules.dedup();
    let end = line.len() - cells.len() - 1 + meaning.len();
    Some((modules, &line[..end]))
}

/// The modules that code uses: the first segments of all paths in [`CRATES`], also of those in braces.
fn used_modules(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    if code.contains("driver_host::") {
        found.push("driver".to_owned());
    }
    let paths = CRATES.iter().flat_map(|name| {
        let ends = code.match_indices(name).filter(|(at, _)| {
            let is_part = |c: char| c.is_alphanumeric() || "_:".contains(c);
            !code[..*at].ends_with(is_part)
        });
        ends.map(|(at, name)| &code[at + name.len()..])
    });
    for rest in paths {
        let Some(inside) = rest.strip_prefix('{') else {
            found.push(leading_name(rest));
            continue;
        };
        let mut depth = 0;
        let mut item = String::new();
        for character in inside.chars() {
            match character {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => found.push(leading_name(&std::mem::take(&mut item))),
                _ if depth == 0 => item.push(character),
                _ => {}
            }
        }
        found.push(leading_name(&item));
    }
    found.retain(|name| !name.is_empty());
    found
}

fn leading_name(text: &str) -> String {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    text[..end.unwrap_or(text.len())].to_owned()
}
