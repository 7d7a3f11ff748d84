//! Written rules must stay true: the committed document, the table of layers, and the list of spawned tasks.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::{repository, support::server::program};

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
            "housekeeping",
            "hub",
            "keyring",
            "live",
            "metrics",
            "mqtt",
            "outgoing",
            "private",
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
    ("postgres", &["outgoing", "supervise"]),
    ("outgoing", &["causes", "clock", "priority"]),
    (
        "housekeeping",
        &["clock", "config", "error", "id", "metrics", "pace", "store"],
    ),
    ("jobs", &["error", "id", "store"]),
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
            "api", "config", "delivery", "error", "networks", "private", "secret", "store",
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

/// The folders of sources. A crate that is one module of the table has its name there beside it.
const FOLDERS: &[(&str, Option<&str>)] = &[
    ("src", None),
    ("crates/base/src", None),
    ("crates/driver/src", Some("driver")),
    ("crates/net/src", None),
];

/// Crates whose modules stand in the table like those of the hub.
const CRATES: &[&str] = &["crate::", "base::", "net_clients::"];

/// Places where tasks, threads and processes begin beside `supervise`: their number, and who notices when one breaks.
const SPAWNS: &[(&str, usize, &str)] = &[
    (
        "api/http/idempotency.rs",
        1,
        "it tries to write one row, so often",
    ),
    (
        "api/http/server.rs",
        1,
        "connections: the client learns of it, and the stop waits for them",
    ),
    (
        "api/http/taking.rs",
        1,
        "streams of a connection: the client learns of it",
    ),
    (
        "api/http/tasks.rs",
        1,
        "one request; a panic is passed on to who waits",
    ),
    ("cli/driver/batch.rs", 2, "they end with the command"),
    ("crates/base/src/supervise.rs", 2, "here"),
    (
        "delivery/engine.rs",
        1,
        "lanes: one that broke begins again",
    ),
    ("delivery/lane.rs", 1, "attempts: a panic is the answer"),
    ("delivery/payload/renderer.rs", 1, "who waits learns of it"),
    (
        "downlink/engine.rs",
        1,
        "lanes: one that broke begins again",
    ),
    ("downlink/lane.rs", 1, "attempts: their leases run out"),
    (
        "crates/driver/src/host.rs",
        1,
        "the slots catch what breaks",
    ),
    (
        "crates/driver/src/process.rs",
        1,
        "processes: their slots look after them",
    ),
    (
        "hub/access/key_uses.rs",
        1,
        "it writes one row; the next use of the key does so again",
    ),
    (
        "crates/net/src/mqtt/publisher.rs",
        1,
        "what it spawns is supervised",
    ),
    (
        "crates/net/src/outgoing/heavy.rs",
        1,
        "who waits learns of it",
    ),
    (
        "crates/net/src/outgoing/lookups.rs",
        1,
        "one that breaks is an answer",
    ),
    (
        "hub/data/charts.rs",
        1,
        "who waits learns of it, or has hung up",
    ),
    (
        "store/core/probe.rs",
        1,
        "one write; who waits learns of it",
    ),
    (
        "store/core/transaction.rs",
        1,
        "one COMMIT; who waits learns of it",
    ),
    (
        "traces/collector.rs",
        1,
        "one request; who waits learns of it",
    ),
    ("threads.rs", 1, "who waits learns of it"),
    ("uplink/subscriber.rs", 1, "one that broke begins again"),
    (
        "uplink/subscription.rs",
        1,
        "one message; a panic is a fault",
    ),
];

/// Words that only some modules may say.
const RESERVED: &[(&str, &[&str])] = &[
    ("sea_orm", &["store"]),
    ("poem_openapi", &["api"]),
    ("StatusCode", &["api", "delivery", "outgoing"]),
    ("rquickjs", &["driver"]),
];

#[tokio::test]
async fn the_committed_document_is_the_one_in_force() {
    for (flags, file) in [
        (&["openapi"][..], "openapi/openapi.json"),
        (&["openapi", "--yaml"], "openapi/openapi.yaml"),
        (
            &["openapi", "--openapi-version", "3.1"],
            "openapi/openapi-3.1.json",
        ),
        (
            &["openapi", "--openapi-version", "3.1", "--yaml"],
            "openapi/openapi-3.1.yaml",
        ),
    ] {
        let output = program().args(flags).output().await.unwrap();
        let committed = fs::read(repository(file)).unwrap();
        assert!(
            output.stdout == committed,
            "{file} is old: run `make openapi`"
        );
    }
}

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

/// Pages that lead nowhere are worse than none.
#[test]
fn files_that_the_architecture_names_are_there() {
    let decisions = fs::read_dir(repository("docs/decisions")).unwrap();
    let mut pages: Vec<PathBuf> = decisions.map(|entry| entry.unwrap().path()).collect();
    pages.push(repository("ARCHITECTURE.md"));
    pages.push(repository("CONTRIBUTING.md"));
    let crates = fs::read_dir(repository("crates")).into_iter().flatten();
    let mut roots: Vec<PathBuf> = crates
        .map(|entry| entry.unwrap().path().join("src"))
        .collect();
    roots.extend([repository(""), repository("src")]);

    let mut wrong = Vec::new();
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        let named = text.split('`').skip(1).step_by(2);
        let files = named.filter(|name| {
            let is_path = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
            let is_file = [".rs", ".js", ".json"]
                .iter()
                .any(|end| name.ends_with(end));
            is_file && name.contains('/') && name.chars().all(is_path)
        });
        for name in files {
            if !roots.iter().any(|root| root.join(name).is_file()) {
                wrong.push(format!("{} names {name}", page.display()));
            }
        }
        for link in text.split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap_or_default();
            let is_elsewhere = target.is_empty() || target.starts_with("http");
            if !is_elsewhere && !page.parent().unwrap().join(target).exists() {
                wrong.push(format!("{} links to {target}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "not there:\n{}", wrong.join("\n"));
}

#[test]
fn words_stay_where_they_belong() {
    let mut wrong = Vec::new();
    for (module, file, text) in sources() {
        for (word, homes) in RESERVED {
            if text.contains(word) && !homes.contains(&&*module) {
                wrong.push(format!("{} says {word}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn tasks_are_watched() {
    let (repository, root) = (repository(""), repository("src"));
    let mut found = BTreeMap::new();
    for (_, file, text) in sources() {
        let begins = text.match_indices("spawn(").filter(|(at, _)| {
            let before = &text[..*at];
            before.ends_with(['.', ':']) && !before.ends_with("supervise::")
        });
        let count = begins.count();
        if count > 0 {
            let name = file
                .strip_prefix(&root)
                .or_else(|_| file.strip_prefix(&repository));
            let name = name.unwrap().display().to_string();
            found.insert(name, count);
        }
    }
    let listed: BTreeMap<String, usize> = SPAWNS
        .iter()
        .map(|(file, count, _)| ((*file).to_owned(), *count))
        .collect();
    assert_eq!(
        found, listed,
        "a task that lives on begins by supervise::spawn; one that ends soon is listed with who notices"
    );
}

/// A forgotten column would lose its secrets with the next key.
#[test]
fn a_new_key_reaches_every_column_of_secrets() {
    let again = fs::read_to_string(repository("src/store/sealed.rs")).unwrap();
    let mut files = Vec::new();
    collect(&repository("src/store/entities"), &mut files);
    let mut columns = 0;
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        if text.contains("pub secret: Option<Vec<u8>>") {
            columns += 1;
            let entity = file.file_stem().unwrap().to_str().unwrap();
            assert!(
                again.contains(&format!("{entity}::")),
                "src/store/sealed.rs does not know {entity}.secret"
            );
        }
    }
    assert!(columns > 0, "integrations have secrets");
}

/// Every source file: its top-level module, and its code without comments, settings' texts and
/// unit tests.
pub fn sources() -> Vec<(String, PathBuf, String)> {
    let mut sources = Vec::new();
    for (folder, counted_as) in FOLDERS {
        let root = repository(folder);
        let mut files = Vec::new();
        collect(&root, &mut files);
        assert!(!files.is_empty(), "{folder}");
        for file in files {
            let inner = file.strip_prefix(&root).unwrap();
            let first = inner.iter().next().unwrap().to_str().unwrap();
            let own = first.trim_end_matches(".rs");
            if own != "lib" && own != "main" {
                let module = counted_as.unwrap_or(own).to_owned();
                let mut text = code(&fs::read_to_string(&file).unwrap());
                if counted_as.is_some() {
                    // Its own modules stand in no table.
                    text = text.replace("crate::", "");
                }
                sources.push((module, file, text));
            }
        }
    }
    assert!(sources.len() > 40, "{}", sources.len());
    sources
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
    let lines = text[..end].lines().map(|line| match line.find("//") {
        Some(at) if !line[..at].contains('"') => &line[..at],
        _ => line,
    });
    let lines: Vec<&str> = lines.collect();
    // Defaults of log filters name crates.
    lines.join("\n").replace("sea_orm_migration=warn", "")
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
