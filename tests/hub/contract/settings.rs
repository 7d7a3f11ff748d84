//! Defaults and bounds that the pages name are those of the running program: what a test compares is read
//! from the pages, and never from the source.

use std::{collections::BTreeMap, fs, path::PathBuf};

use regex::Regex;
use serde_json::json;

use crate::{
    repository,
    support::{
        database::Database,
        server::{Hub, program},
    },
};

/// A setting as the program shows it.
struct Setting {
    /// The default as a text; `None` without one.
    default: Option<String>,
    bounds: Option<(u64, u64)>,
}

/// All settings, by the output of `config check` and `serve --help`.
async fn settings() -> BTreeMap<String, Setting> {
    let said = async |arguments: &[&str]| {
        let output = program().args(arguments).output().await.unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let help = said(&["serve", "--help"]).await;
    let help = help.split_whitespace().collect::<Vec<&str>>().join(" ");
    let bounds = Regex::new(r"\[from (\d+) to (\d+)\] \[env: THINGSHUB_(\w+)\]").unwrap();
    let bounds: BTreeMap<String, (u64, u64)> = bounds
        .captures_iter(&help)
        .map(|found| {
            let number = |at: usize| found[at].parse().unwrap();
            (found[3].to_lowercase(), (number(1), number(2)))
        })
        .collect();
    assert!(bounds.len() > 40, "{bounds:?}");
    let shown = said(&["config", "check"]).await;
    let line = Regex::new(r"(?m)^(?:(\w+) = (.*?)|# (\w+) is not set) +# default$").unwrap();
    let settings: BTreeMap<String, Setting> = line
        .captures_iter(&shown)
        .map(|found| {
            let name = found.get(1).or(found.get(3)).unwrap().as_str().to_owned();
            let default = found.get(2).map(|value| value.as_str().trim_matches('"'));
            let setting = Setting {
                default: default.filter(|value| !value.is_empty()).map(str::to_owned),
                bounds: bounds.get(&name).copied(),
            };
            (name, setting)
        })
        .collect();
    assert!(settings.len() > 60, "{shown}");
    settings
}

/// The text of each page, with its path.
fn pages() -> Vec<(String, String)> {
    let mut pages = vec![PathBuf::from("README.md")];
    for folder in ["docs", "docs/operate"] {
        let files = fs::read_dir(repository(folder)).unwrap();
        let files = files.map(|file| PathBuf::from(folder).join(file.unwrap().file_name()));
        pages.extend(files.filter(|file| file.extension().is_some_and(|kind| kind == "md")));
    }
    pages.sort();
    let text = |page: &PathBuf| fs::read_to_string(repository(page.to_str().unwrap())).unwrap();
    pages
        .iter()
        .map(|page| (page.display().to_string(), text(page)))
        .collect()
}

/// The names of settings in a text.
fn named(text: &str) -> Vec<String> {
    let name = Regex::new(r"`([a-z]\w*)`").unwrap();
    let found = name.captures_iter(text);
    found.map(|found| found[1].to_owned()).collect()
}

/// The first number of a text, with its unit of bytes: `1,000,000`, `32 MiB`.
fn number(text: &str) -> Option<u64> {
    let number = Regex::new(r"^(\d[\d,]*)(?: (KiB|MiB|GiB))?").unwrap();
    let found = number.captures(text.trim())?;
    let value: u64 = found[1].replace(',', "").parse().ok()?;
    let bits = match found.get(2).map(|unit| unit.as_str()) {
        Some("KiB") => 10,
        Some("MiB") => 20,
        Some("GiB") => 30,
        _ => 0,
    };
    Some(value << bits)
}

/// Statement of a page about a setting.
struct Claim {
    page: String,
    setting: String,
    says: Says,
}

#[derive(Debug)]
enum Says {
    Number(u64),
    /// A text in a cell of a table: a value between backticks, or words where there is no default.
    Text(String),
    Least(u64),
    Most(u64),
}

/// The cells of tables with a column of settings, and one of defaults or bounds.
fn claims_of_tables(page: &str, text: &str, claims: &mut Vec<Claim>) {
    let mut header: Vec<String> = Vec::new();
    for line in text.lines() {
        let Some(row) = line.strip_prefix('|') else {
            header.clear();
            continue;
        };
        let cells: Vec<&str> = row
            .trim_end_matches('|')
            .split('|')
            .map(str::trim)
            .collect();
        if header.is_empty() {
            header = cells.iter().map(|cell| cell.to_lowercase()).collect();
            continue;
        }
        let column = |names: &[&str]| {
            let at = header
                .iter()
                .position(|head| names.contains(&head.as_str()))?;
            cells.get(at).copied()
        };
        let Some(settings) = column(&["setting", "setting or property"]).map(named) else {
            continue;
        };
        let mut claim = |setting: &str, says| {
            claims.push(Claim {
                page: page.to_owned(),
                setting: setting.to_owned(),
                says,
            });
        };
        if let Some(defaults) = column(&["default"]) {
            let defaults: Vec<&str> = match settings.len() {
                0 | 1 => vec![defaults],
                _ => defaults.split(", ").collect(),
            };
            for (position, setting) in settings.iter().enumerate() {
                // One text may be about several settings.
                let default = defaults.get(position).unwrap_or(&defaults[0]);
                claim(
                    setting,
                    number(default).map_or_else(|| Says::Text((*default).to_owned()), Says::Number),
                );
            }
        }
        for setting in &settings {
            if let Some(kept) = column(&["kept for"]).and_then(number) {
                claim(setting, Says::Number(kept));
            }
            if let Some(least) = column(&["minimum", "from"]).and_then(number) {
                claim(setting, Says::Least(least));
            }
            if let Some(most) = column(&["maximum", "to"]).and_then(number) {
                claim(setting, Says::Most(most));
            }
        }
    }
}

/// The number of a text in the unit of the setting's name: 30 days of `delivery_dead_keep_hours` are 720.
fn in_unit_of(setting: &str, number: u64, text: &str) -> u64 {
    let seconds = |unit: &str| match unit.trim_end_matches('s') {
        "" | "second" => Some(1),
        "minute" => Some(60),
        "hour" => Some(3600),
        "day" => Some(86_400),
        _ => None,
    };
    let told = text.split(' ').nth(1).and_then(seconds);
    let own = setting.rsplit('_').next().and_then(seconds);
    match (told, own) {
        (Some(told), Some(own)) => number * told / own,
        _ => number,
    }
}

/// Numbers next to settings in sentences: `login_failures_max` (20), 100 downlinks (setting
/// `downlink_queue_max`), 16 by default (`delivery_concurrency`).
fn claims_of_sentences(page: &str, text: &str, claims: &mut Vec<Claim>) {
    let text = text.split_whitespace().collect::<Vec<&str>>().join(" ");
    let behind = Regex::new(r"`([a-z]\w*)` \((\d[\d,]*(?: \w+)?)").unwrap();
    let before = Regex::new(r"(\d[\d,]*(?: [a-zA-Z]+){0,4}) \((?:setting )?`([a-z]\w*)`").unwrap();
    let found = behind.captures_iter(&text);
    let found = found.map(|found| (found[1].to_owned(), found[2].to_owned()));
    let others = before.captures_iter(&text);
    let others = others.map(|found| (found[2].to_owned(), found[1].to_owned()));
    for (setting, value) in found.chain(others) {
        // Schedules are lists, which have a test of their own.
        let of_one = !setting.ends_with("schedule_s");
        if let Some(number) = number(&value).filter(|_| of_one) {
            let says = Says::Number(in_unit_of(&setting, number, &value));
            claims.push(Claim {
                page: page.to_owned(),
                setting,
                says,
            });
        }
    }
}

#[tokio::test]
async fn documented_defaults_are_those_of_the_program() {
    let settings = settings().await;
    let mut claims = Vec::new();
    for (page, text) in pages() {
        // The table of limits says bounds and settings, which its own test compares.
        if page != "docs/limits.md" {
            claims_of_tables(&page, &text, &mut claims);
        }
        claims_of_sentences(&page, &text, &mut claims);
    }
    let mut compared = BTreeMap::new();
    for claim in &claims {
        let Some(setting) = settings.get(&claim.setting) else {
            continue;
        };
        let default = setting.default.as_deref();
        let is_true = match &claim.says {
            Says::Number(value) => default.and_then(|text| text.parse().ok()) == Some(*value),
            Says::Text(text) => match text.split('`').collect::<Vec<&str>>()[..] {
                ["", value, ""] => default == Some(value),
                _ => default.is_none(),
            },
            Says::Least(least) => setting.bounds.is_some_and(|(from, _)| from == *least),
            Says::Most(most) => setting.bounds.is_some_and(|(_, to)| to == *most),
        };
        assert!(
            is_true,
            "{}: {} {:?}: the default is {default:?}, the bounds are {:?}",
            claim.page, claim.setting, claim.says, setting.bounds
        );
        *compared.entry(claim.setting.as_str()).or_insert(0) += 1;
    }
    for setting in [
        "listen",
        "session_hours",
        "login_failures_max",
        "dedupe_window_s",
        "time_ahead_max_s",
        "delivery_concurrency",
        "delivery_timeout_s",
        "delivery_queue_max",
        "driver_memory_bytes",
        "uplink_keep_days",
        "audit_keep_days",
        "delivery_keep_hours",
        "delivery_dead_keep_hours",
        "downlink_queue_max",
        "stream_backlog_max",
        "import_max_bytes",
        "outgoing_allow",
    ] {
        assert!(compared.contains_key(setting), "{setting}: {compared:?}");
    }
    assert!(compared.len() >= 40, "{}: {compared:?}", compared.len());
}

/// Delays in a sentence, as seconds: `2 s, 10 s, 2 min and 1 h`.
fn delays(text: &str) -> Vec<u64> {
    let delay = Regex::new(r"(\d+) (s|min|h)\b").unwrap();
    let found = delay.captures_iter(text).map(|found| {
        let number: u64 = found[1].parse().unwrap();
        match &found[2] {
            "s" => number,
            "min" => number * 60,
            _ => number * 3600,
        }
    });
    found.collect()
}

#[tokio::test]
async fn documented_schedules_are_those_of_the_program() {
    let settings = settings().await;
    let schedule = Regex::new(
        r"((?:\d+ (?:s|min|h)(?:, | and )?){3,}) (?:by default )?\((?:setting )?`(\w+_schedule_s)`\)",
    )
    .unwrap();
    let mut compared = Vec::new();
    for (page, text) in pages() {
        let text = text.split_whitespace().collect::<Vec<&str>>().join(" ");
        for found in schedule.captures_iter(&text) {
            let shown = settings[&found[2]].default.as_deref().unwrap();
            let shown: Vec<u64> = shown.split(',').map(|part| part.parse().unwrap()).collect();
            assert_eq!(delays(&found[1]), shown, "{page}: {}", &found[0]);
            compared.push(found[2].to_owned());
        }
    }
    compared.sort();
    compared.dedup();
    let all = [
        "delivery_schedule_s",
        "downlink_schedule_s",
        "export_schedule_s",
    ];
    assert_eq!(compared, all);
}

/// The bounds in the table of docs/delivery.md: those at the bounds are taken, and those beyond refused by
/// their name.
#[tokio::test(flavor = "multi_thread")]
async fn bounds_of_delivery_rules_are_as_documented() {
    let hub = Hub::start(Database::Sqlite).await;
    let page = fs::read_to_string(repository("docs/delivery.md")).unwrap();
    let cell = |member: &str| {
        let begins = format!("| `{member}` | ");
        let row = page.lines().find_map(|line| line.strip_prefix(&begins));
        let row = row.unwrap_or_else(|| panic!("no row of {member}"));
        row.split(" | ").next().unwrap().to_owned()
    };
    let range = |member: &str| {
        let cell = cell(member);
        let bounds = Regex::new(r"^(\d+)-([\d,]+)").unwrap();
        let bounds = bounds.captures(&cell).unwrap();
        (number(&bounds[1]).unwrap(), number(&bounds[2]).unwrap())
    };
    let mut count = 0;
    let mut make = async |member: &str, value: serde_json::Value| {
        count += 1;
        let body = json!({"name": format!("n{count}"), "selector": "", "delivery": {member: value},
            "target": {"type": "http", "url": "https://example.com/"}});
        hub.post("integrations", &body).await
    };
    let mut bounds: Vec<(&str, u64, u64)> = ["concurrency", "rate_per_s", "timeout_s"]
        .into_iter()
        .map(|member| (member, range(member).0, range(member).1))
        .collect();
    assert!(cell("pause_after_s").starts_with("1 s to 90 days"));
    bounds.push(("pause_after_s", 1, 90 * 86_400));
    for (member, least, most) in bounds {
        for taken in [least, most] {
            make(member, json!(taken)).await.created();
        }
        for beyond in [least - 1, most + 1] {
            let rule = make(member, json!(beyond)).await.refused(400);
            assert!(rule.contains(member), "{member} {beyond}: {rule}");
        }
    }
    assert!(cell("schedule_s").starts_with("Up to 20 delays of up to a week"));
    let week = 7 * 86_400;
    make("schedule_s", json!(vec![week; 20])).await.created();
    for beyond in [json!(vec![1; 21]), json!([week + 1])] {
        let rule = make("schedule_s", beyond).await.refused(400);
        assert!(rule.contains("schedule_s"), "{rule}");
    }
}
