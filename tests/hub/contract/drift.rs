//! Written rules must stay true: the committed document, the pages about the code, and the list of spawned tasks.

use std::{collections::BTreeMap, fs, path::PathBuf};

use super::sources::{collect, sources};
use crate::{repository, support::server::program};

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
    ("threads.rs", 2, "who waits learns of it"),
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
    // SFTP has a type of this name, too.
    ("StatusCode", &["api", "delivery", "outgoing", "s3", "sftp"]),
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
    // Beside them there are the answers that are kept for repeated requests.
    let all = format!("pub const ALL: [Self; {}]", columns + 1);
    assert!(again.contains(&all), "{all}");
}
