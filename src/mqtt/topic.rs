//! Topics that are put together: `devices/{device_id}/data`.

use super::settings::check_topic;

/// A topic with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicTemplate {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Device,
    Event,
    Label(String),
}

/// What the placeholders stand for.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The device's id.
    pub device_id: &'a str,
    /// The type of event.
    pub event: &'a str,
    /// The device's labels.
    pub labels: &'a [String],
}

impl TopicTemplate {
    /// Reads a template; the error is the broken rule.
    pub fn parse(template: &str) -> Result<Self, String> {
        let rule =
            || "must have no braces but those of {device_id}, {event} and {label:<key>}".to_owned();
        check_topic(template)?;
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
        let is_plain = |part: &Part| !matches!(part, Part::Text(text) if text.contains('}'));
        if parts.iter().all(is_plain) {
            Ok(Self { parts })
        } else {
            Err(rule())
        }
    }

    /// Whether it speaks of labels.
    pub fn has_labels(&self) -> bool {
        let is_label = |part: &Part| matches!(part, Part::Label(_));
        self.parts.iter().any(is_label)
    }

    /// The topic for this subject. A label that the device does not have is written `_`, and so is
    /// each character that would make other levels or a wildcard.
    pub fn render(&self, subject: Subject<'_>) -> String {
        let mut topic = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => topic += text,
                Part::Device => topic += &level(subject.device_id),
                Part::Event => topic += &level(subject.event),
                Part::Label(key) => {
                    let value = subject
                        .labels
                        .iter()
                        .find_map(|label| label.strip_prefix(key)?.strip_prefix('='));
                    topic += &level(value.unwrap_or_default());
                }
            }
        }
        topic
    }
}

fn level(value: &str) -> String {
    if value.is_empty() {
        return "_".to_owned();
    }
    value.replace(|c: char| "/+#".contains(c) || c.is_control(), "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_in_and_make_no_levels() {
        let labels = ["site=berlin/north".to_owned(), "indoor".to_owned()];
        let subject = Subject {
            device_id: "am102-1",
            event: "data",
            labels: &labels,
        };
        for (template, topic) in [
            ("plain/topic", "plain/topic"),
            ("a/{device_id}/{event}", "a/am102-1/data"),
            ("{label:site}/{label:floor}/x", "berlin_north/_/x"),
        ] {
            let template = TopicTemplate::parse(template).unwrap();
            assert_eq!(template.render(subject), topic);
        }
        assert!(TopicTemplate::parse("{label:a}").unwrap().has_labels());
        assert!(!TopicTemplate::parse("{event}").unwrap().has_labels());
    }

    #[test]
    fn other_braces_and_wildcards_are_refused() {
        for template in [
            "",
            "a/+",
            "a/#",
            "{",
            "}",
            "{x}",
            "{label:}",
            "{{device_id}}",
            "a}b",
        ] {
            assert!(TopicTemplate::parse(template).is_err(), "{template}");
        }
    }
}
