//! The forms of dates and numbers for people: Node's own tables, which `tests/drivers/locales-with-node.js`
//! writes. They stay outside of the heap of drivers, which ask for what they need.

use std::collections::HashMap;
use std::sync::LazyLock;

use rquickjs::Object;
use rquickjs::function::Func;
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Tables {
    /// Patterns, and what stands between two. A text that is NUL stands for what is left out.
    texts: Vec<String>,
    /// Names of months, of days, and of the halves of a day by the hour.
    lists: Vec<Vec<String>>,
    /// The locale that a language by itself stands for.
    aliases: HashMap<String, String>,
    /// Languages that Node has.
    known: Vec<String>,
    /// Node's names of time zones that have several.
    canonical: HashMap<String, String>,
    locales: HashMap<String, Locale>,
}

#[derive(Deserialize)]
struct Locale {
    /// By their kind and the fields that they have: places in `texts`.
    patterns: HashMap<String, HashMap<String, usize>>,
    /// Letters for time zones, in January and in July, with a bar between.
    zones: HashMap<String, Vec<String>>,
    /// The rest, as the prelude reads it.
    info: Box<RawValue>,
}

static TABLES: LazyLock<Option<Tables>> =
    LazyLock::new(|| serde_json::from_str(include_str!("locales.json")).ok());

/// Reads the tables, which takes longer than a call may.
pub fn load() {
    LazyLock::force(&TABLES);
}

/// Adds what the parts of the prelude ask.
pub fn install(natives: &Object<'_>) -> rquickjs::Result<()> {
    natives.set("localeFind", Func::from(find))?;
    natives.set("localeTable", Func::from(info))?;
    natives.set("localeText", Func::from(text))?;
    natives.set("localeNames", Func::from(names))?;
    natives.set("localeZone", Func::from(zone))
}

/// The locale whose tables a locale has; `lacking` where Node has it and drivers do not, `unknown` where neither has.
fn find(name: String, language: String) -> String {
    let Some(tables) = &*TABLES else {
        return "lacking".to_owned();
    };
    if tables.locales.contains_key(&name) {
        return name;
    }
    let is_known = tables.known.contains(&language);
    let found = tables.aliases.get(&name).map(String::as_str);
    found
        .unwrap_or(if is_known { "lacking" } else { "unknown" })
        .to_owned()
}

/// Node's name of a time zone.
pub fn canonical(zone: &str) -> &str {
    let tables = TABLES.as_ref();
    let found = tables.and_then(|tables| tables.canonical.get(zone));
    found.map_or(zone, String::as_str)
}

fn locale(name: &str) -> Option<&'static Locale> {
    TABLES.as_ref()?.locales.get(name)
}

fn info(name: String) -> Option<String> {
    Some(locale(&name)?.info.get().to_owned())
}

fn text(name: String, kind: String, key: String) -> Option<String> {
    let index = locale(&name)?.patterns.get(&kind)?.get(&key)?;
    TABLES.as_ref()?.texts.get(*index).cloned()
}

fn names(index: usize) -> Option<Vec<String>> {
    TABLES.as_ref()?.lists.get(index).cloned()
}

fn zone(name: String, zone: String) -> String {
    let zones = locale(&name).into_iter().flat_map(|locale| &locale.zones);
    let mut named = zones.filter(|(_, zones)| zones.contains(&zone));
    named
        .next()
        .map_or_else(|| "|".to_owned(), |(letters, _)| letters.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_read_and_complete() {
        let tables = TABLES.as_ref().expect("locales.json is as its type says");
        assert!(
            tables
                .aliases
                .values()
                .all(|name| tables.locales.contains_key(name))
        );
        for locale in tables.locales.values() {
            let places = locale.patterns.values().flat_map(HashMap::values);
            assert!(places.copied().all(|at| at < tables.texts.len()));
            assert!(locale.patterns["dates"].len() > 100);
        }
    }
}
