//! The settings with their values and sources, for `thingshub config check`.

use super::{Reading, SETTINGS, Shown};

impl Reading {
    /// Returns one line per setting, in the form of a settings file: the value, and its source as a comment. Settings
    /// without a value, and secrets, are comments as a whole.
    pub fn lines(&self) -> Vec<String> {
        let shown = SETTINGS.iter().zip(self.config.shown());
        let lines: Vec<(String, String)> = shown
            .map(|(setting, shown)| {
                let name = setting.name;
                let source = match self.sources.of(name) {
                    Some(given) => given.source.to_string(),
                    None => "default".to_owned(),
                };
                let value = match shown {
                    _ if self.unread.contains(&name) => format!("# {name} cannot be read"),
                    Shown::Unset => format!("# {name} is not set"),
                    Shown::Hidden => format!("# {name} is set and not shown"),
                    Shown::Number(text) => format!("{name} = {text}"),
                    Shown::Text(text) => format!("{name} = {}", toml::Value::String(text)),
                };
                (value, source)
            })
            .collect();
        let lengths = lines.iter().map(|(value, _)| value.chars().count());
        // A long value must not push every comment to the right.
        let width = lengths.filter(|length| *length <= 60).max();
        let width = width.unwrap_or_default();
        lines
            .into_iter()
            .map(|(value, source)| format!("{value:<width$}  # {source}"))
            .collect()
    }
}
