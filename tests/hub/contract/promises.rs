//! The table of promises: each page has its rows, and each row a test that is there, or the mark of a gap.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use crate::repository;

use super::sources::collect;

const TABLE: &str = "tests/promises.md";
/// Mark of a promise without a test.
const GAP: &str = "**gap**";

/// The table as it is written.
#[derive(Default)]
struct Promises {
    /// Pages with promises, and the rows of each.
    rows: BTreeMap<String, Vec<Row>>,
    /// Pages, or folders of pages, that promise nothing.
    without: Vec<String>,
    /// The number of gaps that the table admits.
    gaps: Option<usize>,
    /// Lines that are no row.
    faults: Vec<String>,
}

struct Row {
    promise: String,
    link: String,
    /// Names of tests, or the mark of a gap.
    held_by: Vec<String>,
}

fn read(text: &str) -> Promises {
    let mut read = Promises::default();
    let mut page = None;
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            page = link_of(heading);
            if let Some(page) = &page {
                let is_new = read.rows.insert(page.clone(), Vec::new()).is_none();
                let twice = (!is_new).then(|| format!("{page} has two sections"));
                read.faults.extend(twice);
            }
        } else if let Some(number) = line.strip_prefix("Gaps: ") {
            let number = number.split('.').next().unwrap_or_default();
            read.gaps = number.parse().ok();
        } else if let Some(item) = line.strip_prefix("- ") {
            match link_of(item) {
                Some(page) => read.without.push(page),
                None => read.faults.push(format!("no page: {line}")),
            }
        } else if line.starts_with('|') && !line.starts_with("|---") {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let [promise, section, held_by] = cells[..] else {
                read.faults.push(format!("not three cells: {line}"));
                continue;
            };
            if promise == "promise" {
                continue;
            }
            let rows = page.as_ref().and_then(|page| read.rows.get_mut(page));
            let (Some(rows), Some(link)) = (rows, link_of(section)) else {
                read.faults.push(format!("no section: {line}"));
                continue;
            };
            rows.push(Row {
                promise: promise.to_owned(),
                link,
                held_by: held_by
                    .split(", ")
                    .map(|name| name.trim_matches('`').to_owned())
                    .filter(|name| !name.is_empty())
                    .collect(),
            });
        }
    }
    read
}

/// The path in the first link of a text, from the root of the repository.
fn link_of(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("](")?;
    let (link, _) = rest.split_once(')')?;
    Some(link.strip_prefix("../")?.to_owned())
}

/// Everything that is wrong with the table.
fn faults(text: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let read = read(text);
    let mut faults = read.faults;
    let mut gaps = 0;
    for (page, rows) in &read.rows {
        if rows.is_empty() {
            faults.push(format!("{page} has no rows"));
        }
        for row in rows {
            let promise = &row.promise;
            if row.link.split('#').next() != Some(page) || !leads_somewhere(&row.link) {
                faults.push(format!("{promise} The link leads nowhere: {}", row.link));
            }
            if row.held_by.is_empty() {
                faults.push(format!("{promise} It has neither a test nor {GAP}"));
            }
            for name in &row.held_by {
                if name == GAP {
                    gaps += 1;
                } else if !tests.contains(name) && !is_script(name) {
                    faults.push(format!("{promise} There is no test {name}"));
                }
            }
        }
    }
    for page in pages() {
        let is_without = |listed: &&String| match listed.ends_with('/') {
            true => page.starts_with(*listed),
            false => page == **listed,
        };
        let has_none = read.without.iter().any(|listed| is_without(&listed));
        match (read.rows.contains_key(&page), has_none) {
            (false, false) => faults.push(format!("{page} has no promises: list it as without")),
            (true, true) => faults.push(format!("{page} has promises and is listed as without")),
            _ => {}
        }
    }
    for page in read.rows.keys().chain(&read.without) {
        if !repository(page).exists() {
            faults.push(format!("there is no page {page}"));
        }
    }
    match read.gaps {
        Some(admitted) if admitted == gaps => {}
        Some(admitted) => faults.push(format!(
            "there are {gaps} gaps and not {admitted}: write a test, or the smaller number"
        )),
        None => faults.push("the line with the number of gaps is missing".to_owned()),
    }
    faults
}

/// Every page that may promise something.
fn pages() -> Vec<String> {
    let mut pages = vec!["README.md".to_owned(), "ARCHITECTURE.md".to_owned()];
    let mut folders = vec![PathBuf::from("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(repository(folder.to_str().unwrap())).unwrap() {
            let path = folder.join(entry.unwrap().file_name());
            if repository(path.to_str().unwrap()).is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path.to_str().unwrap().to_owned());
            }
        }
    }
    assert!(pages.len() > 40, "{pages:?}");
    pages
}

/// True if a link leads to a file, and to one of its headings.
fn leads_somewhere(link: &str) -> bool {
    let (page, anchor) = link.split_once('#').unwrap_or((link, ""));
    let Ok(text) = fs::read_to_string(repository(page)) else {
        return false;
    };
    let mut headings = text.lines().filter(|line| line.starts_with('#'));
    anchor.is_empty() || headings.any(|heading| anchor_of(heading) == anchor)
}

/// The anchor of a heading, as GitHub makes it.
fn anchor_of(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = |letter: &char| letter.is_alphanumeric() || ['-', '_', ' '].contains(letter);
    let words: String = words.chars().filter(kept).collect();
    words.replace(' ', "-")
}

/// True for `make <target>` of a target that exists, and for the path of a file.
fn is_script(name: &str) -> bool {
    match name.strip_prefix("make ") {
        Some(target) => {
            let makefile = fs::read_to_string(repository("Makefile")).unwrap();
            let begins = format!("{target}:");
            makefile.lines().any(|line| line.starts_with(&begins))
        }
        None => !name.contains("::") && repository(name).is_file(),
    }
}

/// Names of all tests: integration tests by their path, unit tests by their file.
fn tests() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for folder in ["tests/hub", "src", "crates"] {
        let root = repository(folder);
        let mut files = Vec::new();
        collect(&root, &mut files);
        for file in files {
            let is_integration = folder == "tests/hub";
            let place = match is_integration {
                true => module_of(file.strip_prefix(&root).unwrap()),
                false => {
                    let path = file.strip_prefix(repository("")).unwrap();
                    path.to_str().unwrap().to_owned()
                }
            };
            let text = fs::read_to_string(&file).unwrap();
            let names = names_of_tests(&text).into_iter();
            found.extend(names.map(|name| format!("{place}::{name}")));
        }
    }
    assert!(found.len() > 1000, "{}", found.len());
    found
}

/// `process/backups/mod.rs`: `process::backups`.
fn module_of(path: &Path) -> String {
    let path = path.with_extension("");
    let parts: Vec<&str> = path.iter().map(|part| part.to_str().unwrap()).collect();
    let parts = parts.join("::");
    parts.strip_suffix("::mod").unwrap_or(&parts).to_owned()
}

/// Functions with the attribute of a test, and those that run on both databases.
fn names_of_tests(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| is_test) {
            let name = rest.split(['(', '<']).next().unwrap_or_default();
            names.push(name.to_owned());
            is_test = false;
        }
    }
    for list in text.split("on_both_databases!(").skip(1) {
        let list = list.split(')').next().unwrap_or_default();
        let words = list.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
        names.extend(words.filter(|word| !word.is_empty()).map(str::to_owned));
    }
    names
}

#[test]
fn every_promise_has_a_test_or_is_a_gap() {
    let text = fs::read_to_string(repository(TABLE)).unwrap();
    let faults = faults(&text, &tests());
    assert!(faults.is_empty(), "{TABLE}: {faults:#?}");
}

/// Each fault that a table may have is found.
#[test]
fn a_table_with_faults_is_refused() {
    let text = fs::read_to_string(repository(TABLE)).unwrap();
    let tests = tests();
    let row = "| It is kept. | [Log in](../docs/authentication.md#log-in) |";
    let section = "## [docs/authentication.md](../docs/authentication.md)\n\n\
        | promise | section | held by |\n|---|---|---|\n";
    assert!(text.contains(section), "the table has this section");
    let with = |line: &str| text.replace(section, &format!("{section}{line}\n"));
    let other_page = row.replace("authentication.md#log-in", "access.md#guessing");
    for (table, fault) in [
        (
            with(&format!("{row} `access::guesses::nobody` |")),
            "no test access",
        ),
        (
            with(&format!("{row} `src/retry.rs::nothing` |")),
            "no test src/retry",
        ),
        (
            with(&format!("{row} `make nothing` |")),
            "no test make nothing",
        ),
        (with(&format!("{row} |")), "neither a test nor"),
        (with(&format!("{row} {GAP} |")), "gaps and not"),
        (
            with(&format!(
                "{} `make story` |",
                row.replace("#log-in", "#no-such")
            )),
            "leads nowhere",
        ),
        (
            with(&format!("{other_page} `make story` |")),
            "leads nowhere",
        ),
        (with("| a | b |"), "not three cells"),
        (
            text.replace("- [docs/figures.md]", "[docs/figures.md]"),
            "docs/figures.md has no promises",
        ),
        (
            format!("{text}- [docs/access.md](../docs/access.md): nothing\n"),
            "docs/access.md has promises and is listed",
        ),
        (
            format!("{text}- [docs/new.md](../docs/new.md): new\n"),
            "no page docs/new.md",
        ),
        (text.replace("\nGaps: ", "\n"), "is missing"),
    ] {
        let found = faults(&table, &tests);
        assert!(
            found.iter().any(|found| found.contains(fault)),
            "{fault}: {found:#?}"
        );
    }
}
