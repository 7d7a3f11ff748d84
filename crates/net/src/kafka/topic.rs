//! Templates of Kafka topics: `devices.{event}`.

use crate::topic::{Subject, Template};

/// The longest name of a topic.
const NAME_MAX: usize = 249;

/// A topic with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicTemplate(Template);

impl TopicTemplate {
    /// Reads a template; the error is the broken rule.
    pub fn parse(template: &str) -> Result<Self, String> {
        let template = Template::parse(template)?;
        if !template.texts().all(|text| text.chars().all(may_be_in)) {
            return Err(
                "must be letters, digits, dots, dashes and underscores around its placeholders"
                    .to_owned(),
            );
        }
        Ok(Self(template))
    }

    /// Returns whether it has placeholders for labels.
    pub fn has_labels(&self) -> bool {
        self.0.has_labels()
    }

    /// Returns the topic for this subject; the error is the reason why there is none. A label that the
    /// device does not have is written `_`, and so is each character that a topic must not contain.
    pub fn render(&self, subject: Subject<'_>) -> Result<String, String> {
        let topic = self.0.render(subject, |value| match value {
            "" => "_".to_owned(),
            value => value.replace(|c| !may_be_in(c), "_"),
        });
        if topic.len() > NAME_MAX || matches!(topic.as_str(), "." | "..") {
            return Err(format!("no topic may be named {topic}"));
        }
        Ok(topic)
    }
}

fn may_be_in(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fit_into_names_of_topics() {
        let labels = [
            "site=Köln/north".to_owned(),
            "long=".to_owned() + &"x".repeat(300),
        ];
        let subject = Subject {
            device_id: "am102-1",
            event: "data",
            labels: &labels,
        };
        let render = |template: &str| TopicTemplate::parse(template).unwrap().render(subject);
        assert_eq!(render("iot.{event}").unwrap(), "iot.data");
        assert_eq!(
            render("{label:site}_{label:floor}").unwrap(),
            "K_ln_north__"
        );
        assert!(render("{label:long}").is_err());
        assert!(render("..").is_err());
        for template in ["a/b", "a b", "{x}", "ü", "a}"] {
            assert!(TopicTemplate::parse(template).is_err(), "{template}");
        }
    }
}
