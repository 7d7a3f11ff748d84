//! What was written down once must stay true: the document, and who may use whom.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::{repository, support::server::program};

/// Which module may use which others of the crate. A line that grows is a decision.
const LAYERS: &[(&str, &[&str])] = &[
    (
        "cli",
        &[
            "api",
            "app",
            "config",
            "driver",
            "error",
            "keyring",
            "reference",
            "secret",
            "store",
            "text",
        ],
    ),
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
            "housekeeping",
            "hub",
            "keyring",
            "live",
            "mqtt",
            "outgoing",
            "private",
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
            "mqtt",
            "networks",
            "outgoing",
            "reference",
            "secret",
            "shares",
            "store",
            "text",
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
            "networks",
            "outgoing",
            "reference",
            "secret",
            "selector",
            "shares",
            "store",
            "supervise",
            "text",
            "threads",
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
            "mqtt",
            "networks",
            "outgoing",
            "reference",
            "secret",
            "selector",
            "store",
            "supervise",
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
            "mqtt",
            "outgoing",
            "postgres",
            "retry",
            "secret",
            "store",
            "supervise",
            "topic",
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
        ],
    ),
    (
        "mqtt",
        &["clock", "error", "id", "outgoing", "supervise", "topic"],
    ),
    ("kafka", &["outgoing", "supervise", "topic"]),
    ("postgres", &["outgoing", "supervise"]),
    ("outgoing", &["clock", "config", "error", "id"]),
    ("housekeeping", &["clock", "config", "error", "store"]),
    ("jobs", &["error", "id", "store"]),
    (
        "live",
        &["clock", "config", "error", "id", "shares", "store"],
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
    ("private", &[]),
    ("shares", &[]),
    ("threads", &[]),
    (
        "keyring",
        &[
            "api", "config", "delivery", "error", "networks", "secret", "store",
        ],
    ),
    ("secret", &["error", "id", "private"]),
    ("batch", &["supervise"]),
    ("supervise", &["error"]),
    ("driver", &[]),
    ("selector", &[]),
    ("text", &[]),
    ("topic", &[]),
    ("username", &[]),
    ("config", &[]),
    ("error", &[]),
    ("clock", &[]),
    ("id", &["clock"]),
];

/// Where tasks, threads and processes begin beside `supervise`, how many, and who notices when one breaks.
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
    ("driver/host.rs", 1, "the slots catch what breaks"),
    (
        "driver/process.rs",
        1,
        "processes: their slots look after them",
    ),
    (
        "hub/access/key_uses.rs",
        1,
        "it writes one row; the next use of the key does so again",
    ),
    ("mqtt/publisher.rs", 1, "what it spawns is supervised"),
    ("outgoing/heavy.rs", 1, "who waits learns of it"),
    ("outgoing/lookups.rs", 1, "one that breaks is an answer"),
    (
        "store/core/transaction.rs",
        1,
        "one COMMIT; who waits learns of it",
    ),
    (
        "store/core/writability.rs",
        1,
        "one write; who waits learns of it",
    ),
    ("supervise.rs", 2, "here"),
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
    let root = repository("src");
    let mut found = BTreeMap::new();
    for (_, file, text) in sources() {
        let begins = text.match_indices("spawn(").filter(|(at, _)| {
            let before = &text[..*at];
            before.ends_with(['.', ':']) && !before.ends_with("supervise::")
        });
        let count = begins.count();
        if count > 0 {
            let name = file.strip_prefix(&root).unwrap().display().to_string();
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

/// Whoever forgot one would lose its secrets with the next key.
#[test]
fn a_new_key_reaches_every_column_of_secrets() {
    let again = fs::read_to_string(repository("src/store/core/sealed.rs")).unwrap();
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
                "src/store/core/sealed.rs does not know {entity}.secret"
            );
        }
    }
    assert!(columns > 0, "integrations have secrets");
}

/// Every source file: its top-level module, and its code without comments, settings' texts and
/// unit tests.
pub fn sources() -> Vec<(String, PathBuf, String)> {
    let root = repository("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(files.len() > 40, "{}", files.len());
    files
        .into_iter()
        .map(|file| {
            let inner = file.strip_prefix(&root).unwrap();
            let first = inner.iter().next().unwrap().to_str().unwrap();
            let module = first.trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&file).unwrap();
            (module, file, code(&text))
        })
        .filter(|(module, ..)| module != "lib" && module != "main")
        .collect()
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

/// The first segments of all paths that start with `crate::`, also of those in braces.
fn used_modules(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for rest in code.split("crate::").skip(1) {
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
