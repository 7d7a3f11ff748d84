//! The sources of settings: file, environment and flags, of which the later overrides the earlier.
//!
//! A library that merges such layers stops at the first error, so that this is our own: all problems are told at once, with
//! the source of each.

use std::{
    collections::HashMap,
    fmt, fs,
    path::{Path, PathBuf},
};

/// Beginning of the names of environment variables.
const PREFIX: &str = "THINGSHUB_";
/// Beginnings of variables that Kubernetes gives the containers of a service called `thingshub`, which no
/// administrator has written.
const OF_KUBERNETES: [&str; 2] = ["THINGSHUB_SERVICE_", "THINGSHUB_PORT"];
/// Similarity from which on a name counts as a slip of another one; 1 is the same name.
const SIMILAR: f64 = 0.85;

/// Source of a setting.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// The settings file.
    File(PathBuf),
    /// A variable of the environment.
    Environment(String),
    /// A flag of the command line.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file: {}", path.display()),
            Self::Environment(name) => write!(f, "env: {name}"),
            Self::Flag(name) => write!(f, "flag: {name}"),
        }
    }
}

/// A setting as a source has it.
#[derive(Debug)]
pub struct Given {
    /// The value; `None` if the file has something that is no single value.
    pub text: Option<String>,
    /// Source of the value.
    pub source: Source,
}

/// The settings that the sources have.
#[derive(Debug)]
pub struct Sources {
    /// Names of all settings.
    names: Vec<&'static str>,
    given: HashMap<&'static str, Given>,
}

impl Sources {
    /// Reads the settings with these names from the sources. Returns what is wrong with the sources as well, one line
    /// each.
    pub fn gather(
        names: Vec<&'static str>,
        file: Option<&Path>,
        environment: HashMap<String, String>,
        flags: &[(&'static str, String)],
    ) -> (Self, Vec<String>) {
        let mut problems = Vec::new();
        let mut sources = Self {
            names,
            given: HashMap::new(),
        };
        let file = match file {
            Some(file) => Some(file.to_owned()),
            None => environment.get("THINGSHUB_CONFIG").map(PathBuf::from),
        };
        if let Some(file) = file {
            sources.add_file(&file, &mut problems);
        }
        sources.add_environment(environment, &mut problems);
        for (name, text) in flags {
            let flag = Source::Flag(format!("--{}", name.replace('_', "-")));
            sources.add(name, Some(text.clone()), flag);
        }
        (sources, problems)
    }

    fn add(&mut self, name: &'static str, text: Option<String>, source: Source) {
        self.given.insert(name, Given { text, source });
    }

    fn add_file(&mut self, file: &Path, problems: &mut Vec<String>) {
        let path = file.display();
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => {
                problems.push(format!("settings file {path}: {error}"));
                return;
            }
        };
        let table: toml::Table = match toml::from_str(&text) {
            Ok(table) => table,
            Err(error) => {
                let before = error.span().and_then(|span| text.get(..span.start));
                let line = before.map_or(1, |before| before.matches('\n').count() + 1);
                let rule = error.message().replace('\n', " ");
                problems.push(format!("settings file {path}, line {line}: {rule}"));
                return;
            }
        };
        for (name, value) in table {
            let source = Source::File(file.to_owned());
            match self.known(&name) {
                Some(known) => self.add(known, single(value), source),
                None => problems.push(self.unknown(&name, &source, ToOwned::to_owned)),
            }
        }
    }

    fn add_environment(
        &mut self,
        environment: HashMap<String, String>,
        problems: &mut Vec<String>,
    ) {
        let mut variables: Vec<(String, String)> = environment.into_iter().collect();
        variables.sort();
        for (variable, text) in variables {
            let upper = variable.to_uppercase();
            let Some(name) = upper.strip_prefix(PREFIX) else {
                continue;
            };
            let is_of_others = match name {
                "CONFIG" => true,
                // Belongs to the client's commands: the hub must also start in a shell whose user is logged in.
                "TOKEN" => true,
                // Variables of this repository's tests are not settings.
                _ if name.starts_with("TEST_") => true,
                _ => OF_KUBERNETES.iter().any(|own| upper.starts_with(own)),
            };
            if is_of_others || text.is_empty() {
                continue;
            }
            let source = Source::Environment(variable.clone());
            let name = name.to_lowercase();
            match self.known(&name) {
                Some(known) => self.add(known, Some(text), source),
                None => {
                    let spell = |name: &str| format!("{PREFIX}{}", name.to_uppercase());
                    problems.push(self.unknown(&name, &source, spell));
                }
            }
        }
    }

    fn known(&self, name: &str) -> Option<&'static str> {
        self.names.iter().copied().find(|known| *known == name)
    }

    /// Describes a name that no setting has, and the setting that may be meant, as its source spells it.
    fn unknown(&self, name: &str, source: &Source, spell: impl Fn(&str) -> String) -> String {
        let meant = self.nearest(name).map_or_else(String::new, |near| {
            format!("; did you mean {}?", spell(near))
        });
        format!("there is no setting {name} [{source}]{meant}")
    }

    /// Returns the setting whose name is most similar, if one is similar enough.
    fn nearest(&self, name: &str) -> Option<&'static str> {
        let name = name.to_lowercase().replace('-', "_");
        let names = self.names.iter();
        let rated = names.map(|known| (strsim::jaro_winkler(&name, known), *known));
        let best = rated.max_by(|(one, _), (other, _)| one.total_cmp(other));
        best.filter(|(similarity, _)| *similarity >= SIMILAR)
            .map(|(_, name)| name)
    }

    /// Returns the setting as the last source has it that has it.
    pub fn of(&self, name: &str) -> Option<&Given> {
        self.given.get(name)
    }

    /// Describes a broken rule of settings in one line.
    pub fn problem(&self, names: &[&str], rule: &str) -> String {
        let word = match names.len() {
            1 => "setting",
            _ => "settings",
        };
        let sources = names.iter().filter_map(|name| self.of(name));
        let sources: Vec<String> = sources.map(|given| given.source.to_string()).collect();
        let sources = match sources.is_empty() {
            true => String::new(),
            false => format!(" [{}]", sources.join(", ")),
        };
        format!("{word} {}: {rule}{sources}", names.join(" and "))
    }
}

/// Returns the text of a single value.
fn single(value: toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text),
        toml::Value::Array(_) | toml::Value::Table(_) => None,
        other => Some(other.to_string()),
    }
}
