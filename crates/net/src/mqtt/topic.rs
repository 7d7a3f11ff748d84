//! Templates of MQTT topics: `devices/{device_id}/data`.

use super::settings::check_topic;
use crate::topic::{Subject, Template};

/// A topic with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicTemplate(Template);

impl TopicTemplate {
    /// Reads a template; the error is the broken rule.
    pub fn parse(template: &str) -> Result<Self, String> {
        check_topic(template)?;
        Ok(Self(Template::parse(template)?))
    }

    /// Returns whether it has placeholders for labels.
    pub fn has_labels(&self) -> bool {
        self.0.has_labels()
    }

    /// Returns the topic for this subject. A label that the device does not have is written `_`, and so is
    /// each character that would add a level or a wildcard.
    pub fn render(&self, subject: Subject<'_>) -> String {
        self.0.render(subject, level)
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
