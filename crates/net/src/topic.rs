//! Templates of topics: `devices/{device_id}/{event}`. The characters that a topic may contain are the rule
//! of each protocol: [`crate::mqtt`], [`crate::kafka`].

/// A topic with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Device,
    Event,
    Label(String),
}

/// The values of the placeholders.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The device's id.
    pub device_id: &'a str,
    /// The type of event.
    pub event: &'a str,
    /// The device's labels.
    pub labels: &'a [String],
}

impl Template {
    /// Reads a template; the error is the broken rule.
    pub fn parse(template: &str) -> Result<Self, String> {
        let rule =
            || "must have no braces but those of {device_id}, {event} and {label:<key>}".to_owned();
        let mut parts = Vec::new();
        let mut rest = template;
        while let Some((text, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or_else(rule)?;
            parts.push(Part::Text(text.to_owned()));
            parts.push(match (name, name.strip_prefix("label:")) {
                ("device_id", _) => Part::Device,
                ("event", _) => Part::Event,
                (_, Some(key)) if !key.is_empty() => Part::Label(key.to_owned()),
                _ => return Err(rule()),
            });
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        let template = Self { parts };
        if template.texts().any(|text| text.contains('}')) {
            return Err(rule());
        }
        Ok(template)
    }

    /// Text between the placeholders.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// Returns whether it has placeholders for labels.
    pub fn has_labels(&self) -> bool {
        let is_label = |part: &Part| matches!(part, Part::Label(_));
        self.parts.iter().any(is_label)
    }

    /// Returns the topic for this subject, with each value converted by `fit`. A label that the device does
    /// not have is empty.
    pub fn render(&self, subject: Subject<'_>, fit: impl Fn(&str) -> String) -> String {
        let mut topic = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => topic += text,
                Part::Device => topic += &fit(subject.device_id),
                Part::Event => topic += &fit(subject.event),
                Part::Label(key) => {
                    let value = subject
                        .labels
                        .iter()
                        .find_map(|label| label.strip_prefix(key)?.strip_prefix('='));
                    topic += &fit(value.unwrap_or_default());
                }
            }
        }
        topic
    }
}
