//! Rules of connections that turn unknown senders into devices automatically.

use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    error::{Error, Result},
    id::ConnectionId,
    networks::Uplink,
    store::devices::{Address, NewDevice},
};

/// Maximum memory of one compiled pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 256 * 1024;
/// Longest id of a device, in characters.
const ID_CHARS_MAX: usize = 63;
/// Longest name of a device, in characters.
const NAME_CHARS_MAX: usize = 120;
/// Placeholders that a template may contain.
const PLACEHOLDERS: [&str; 3] = ["network_device_id", "network_name", "application"];

/// Rule of a connection with compiled patterns.
pub struct Rule {
    network_device_id: Option<Regex>,
    application: Option<Regex>,
    stored: Stored,
}

/// The rule as it is stored.
#[derive(Deserialize)]
struct Stored {
    network_device_id_pattern: Option<String>,
    application_pattern: Option<String>,
    driver: Option<String>,
    #[serde(default)]
    labels: Vec<String>,
    name_template: Option<String>,
    id_template: Option<String>,
}

impl Rule {
    /// Parses a stored rule. The error names the invalid member.
    pub fn read(rule: Value) -> Result<Self> {
        let stored: Stored = serde_json::from_value(rule).map_err(Error::internal)?;
        for (name, template) in [
            ("name_template", &stored.name_template),
            ("id_template", &stored.id_template),
        ] {
            let broken = template.as_deref().and_then(unknown_placeholder);
            if let Some(placeholder) = broken {
                let known = PLACEHOLDERS.map(|name| format!("{{{name}}}")).join(", ");
                let rule = format!("{{{placeholder}}} is unknown; there are {known}");
                return Err(Error::field(&format!("auto_provisioning.{name}"), rule));
            }
        }
        let id_pattern = stored.network_device_id_pattern.as_deref();
        let application_pattern = stored.application_pattern.as_deref();
        Ok(Self {
            network_device_id: whole("network_device_id_pattern", id_pattern)?,
            application: whole("application_pattern", application_pattern)?,
            stored,
        })
    }

    /// Returns a device with the driver and the labels of the rule, for validation before the rule is
    /// stored.
    pub fn example(&self) -> NewDevice {
        NewDevice {
            id: "example".to_owned(),
            name: String::new(),
            description: String::new(),
            driver: self.stored.driver.clone(),
            labels: self.stored.labels.clone(),
            metadata: Map::new(),
            connections: Vec::new(),
        }
    }

    /// Returns the device to create for the sender of an uplink, or `None` if the rule does not match.
    pub fn device(&self, connection: ConnectionId, uplink: &Uplink) -> Option<NewDevice> {
        let is_meant = |pattern: &Option<Regex>, text: &str| {
            pattern
                .as_ref()
                .is_none_or(|pattern| pattern.is_match(text))
        };
        let application = uplink.names.application.as_deref().unwrap_or_default();
        let is_meant = is_meant(&self.network_device_id, &uplink.network_device_id)
            && is_meant(&self.application, application);
        is_meant.then(|| {
            let filled = |template: &Option<String>| {
                let template = template.as_deref().unwrap_or("{network_device_id}");
                fill(template, uplink)
            };
            let name = filled(&self.stored.name_template);
            NewDevice {
                id: as_id(&filled(&self.stored.id_template), &uplink.network_device_id),
                name: name.chars().take(NAME_CHARS_MAX).collect(),
                connections: vec![Address {
                    network_connection_id: connection.0,
                    network_device_id: uplink.network_device_id.clone(),
                }],
                ..self.example()
            }
        })
    }
}

/// Compiles a pattern that must match the entire text.
fn whole(name: &str, pattern: Option<&str>) -> Result<Option<Regex>> {
    let Some(pattern) = pattern else {
        return Ok(None);
    };
    let built = RegexBuilder::new(&format!("^(?:{pattern})$"))
        .size_limit(PATTERN_BYTES_MAX)
        .build();
    built.map(Some).map_err(|error| {
        let rule = match error {
            regex::Error::CompiledTooBig(_) => "is too large a regular expression".to_owned(),
            error => format!("must be a regular expression: {error}"),
        };
        Error::field(&format!("auto_provisioning.{name}"), rule)
    })
}

/// Returns the first placeholder of the template that is not in [`PLACEHOLDERS`].
fn unknown_placeholder(template: &str) -> Option<&str> {
    let mut named = template.split('{').skip(1).filter_map(|rest| {
        let (name, _) = rest.split_once('}')?;
        Some(name)
    });
    named.find(|name| !PLACEHOLDERS.contains(name))
}

fn fill(template: &str, uplink: &Uplink) -> String {
    let name = |name: &Option<String>| name.clone().unwrap_or_default();
    template
        .replace("{network_device_id}", &uplink.network_device_id)
        .replace("{network_name}", &name(&uplink.names.device))
        .replace("{application}", &name(&uplink.names.application))
}

/// Converts a text to letters and digits with single dashes between them. Uses `fallback` if nothing
/// remains.
fn as_id(text: &str, fallback: &str) -> String {
    let dashed = |text: &str| {
        let parts = text.split(|c: char| !c.is_ascii_alphanumeric());
        let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
        let id: String = parts.join("-").chars().take(ID_CHARS_MAX).collect();
        id.trim_end_matches('-').to_owned()
    };
    let id = dashed(text);
    match id.is_empty() {
        true => dashed(fallback),
        false => id,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::networks::Names;

    fn uplink() -> Uplink {
        Uplink {
            network_device_id: "24E124538C194528".to_owned(),
            names: Names {
                device: Some("Raum 7 / Süd".to_owned()),
                application: Some("app1".to_owned()),
                tenant: None,
            },
            ..Uplink::default()
        }
    }

    fn device(rule: Value) -> Option<NewDevice> {
        Rule::read(rule).unwrap().device(ConnectionId(3), &uplink())
    }

    #[test]
    fn a_pattern_must_match_from_end_to_end() {
        for (pattern, is_meant) in [
            ("24E124.*", true),
            ("24E124", false),
            ("24E1|.*4528", true),
            ("00.*", false),
        ] {
            let found = device(json!({"network_device_id_pattern": pattern}));
            assert_eq!(found.is_some(), is_meant, "{pattern}");
        }
        assert!(device(json!({"application_pattern": "app[12]"})).is_some());
        assert!(device(json!({"application_pattern": "app"})).is_none());
    }

    #[test]
    fn templates_become_ids_and_names() {
        let plain = device(json!({"labels": ["site=berlin"]})).unwrap();
        assert_eq!(plain.id, "24E124538C194528");
        assert_eq!(plain.name, "24E124538C194528");
        assert_eq!(plain.labels, ["site=berlin"]);
        assert_eq!(plain.connections[0].network_connection_id, 3);
        assert_eq!(plain.driver, None);
        let driven = device(json!({"driver": "acme/level:1"})).unwrap();
        assert_eq!(driven.driver.as_deref(), Some("acme/level:1"));
        let named = device(json!({"name_template": "{network_name} ({application})",
                                  "id_template": "{application}-{network_name}"}));
        let named = named.unwrap();
        assert_eq!(named.name, "Raum 7 / Süd (app1)");
        assert_eq!(named.id, "app1-Raum-7-S-d");
        let odd = device(json!({"id_template": "ü"})).unwrap();
        assert_eq!(odd.id, "24E124538C194528");
        // Cut at the bounds of an id and of a name, and not behind a dash.
        let (id, name) = (format!("{}-y", "x".repeat(62)), "n".repeat(200));
        let long = device(json!({"id_template": id, "name_template": name})).unwrap();
        assert_eq!(long.id, "x".repeat(62));
        assert_eq!(long.name, "n".repeat(120));
    }

    #[test]
    fn a_wrong_rule_is_refused_with_its_member() {
        let refused = |rule: Value| Rule::read(rule).err().map(|error| error.to_string());
        let error = refused(json!({"network_device_id_pattern": "("})).unwrap();
        assert!(
            error.starts_with("auto_provisioning.network_device_id_pattern: must be a regular")
        );
        let error = refused(json!({"application_pattern": "(a{1000}){1000}"})).unwrap();
        assert!(
            error.ends_with("is too large a regular expression"),
            "{error}"
        );
        let error = refused(json!({"name_template": "{name}"})).unwrap();
        assert!(error.starts_with("auto_provisioning.name_template: {name} is unknown"));
        assert_eq!(refused(json!({})), None);
    }
}
