//! Templates of the user's, in the language of Jinja.
//!
//! A template reads the message and nothing else: there are no other templates, no files and no
//! macros. Fuel bounds what it costs, in steps as well as in memory, so that a template which doubles
//! a text forty times ends with an error and not with the hub.

use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};
use serde_json::{Map, Value, json};

use super::Message;
use crate::store::deliveries::Delivery;

const NAME: &str = "template";
/// About 100,000 steps, or 6 MB of text.
const FUEL: u64 = 100_000;
/// Largest message that a template may make.
const OUTPUT_MAX_BYTES: usize = 1024 * 1024;

/// A template that reads.
pub struct Template {
    environment: Environment<'static>,
    content_type: String,
    is_json: bool,
}

impl Template {
    /// Reads a template; the error names the line.
    pub fn new(source: String, content_type: String) -> Result<Self, String> {
        let is_json = is_json(&content_type);
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        // While it is tried out.
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        // A value stands in JSON as JSON: a text in quotes, nothing as null.
        environment.set_auto_escape_callback(move |_| {
            if is_json {
                AutoEscape::Json
            } else {
                AutoEscape::None
            }
        });
        environment
            .add_template_owned(NAME, source)
            .map_err(|error| in_words(&error))?;
        let mut template = Self {
            environment,
            content_type,
            is_json,
        };
        template.try_out()?;
        let environment = &mut template.environment;
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        Ok(template)
    }

    /// What the template makes of a delivery; the error names the line.
    pub fn message(&self, delivery: &Delivery) -> Result<Message, String> {
        let body: Map<String, Value> = serde_json::from_str(&delivery.body)
            .map_err(|error| format!("the message is no JSON object: {error}"))?;
        let about = json!({
            "id": delivery.id,
            "device_id": delivery.device_id,
            "event_id": delivery.subject_id,
            "event_type": delivery.kind.as_str(),
            "queued_at": delivery.created_at,
        });
        let body = self
            .render(body, about)
            .map_err(|error| format!("the template fails: {}", in_words(&error)))?;
        if body.len() > OUTPUT_MAX_BYTES {
            return Err(format!(
                "the template makes more than {OUTPUT_MAX_BYTES} bytes"
            ));
        }
        if self.is_json
            && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&body)
        {
            return Err(format!("the template makes no valid JSON: {error}"));
        }
        Ok(Message {
            content_type: self.content_type.clone(),
            body,
        })
    }

    /// Filters and functions that are not there, and what never ends, show only when it runs. Which
    /// values a message will have is not known, so that one which is missing here says nothing.
    fn try_out(&self) -> Result<(), String> {
        let sample = serde_json::from_str(include_str!("sample.json")).unwrap_or_default();
        let about =
            json!({"id": "", "device_id": "", "event_id": "", "event_type": "", "queued_at": ""});
        match self.render(sample, about) {
            Err(error) if is_in_the_template(error.kind()) => Err(in_words(&error)),
            _ => Ok(()),
        }
    }

    fn render(&self, mut values: Map<String, Value>, about: Value) -> Result<String, Error> {
        values.insert("delivery".to_owned(), about);
        let values = minijinja::Value::from(minijinja::value::Serde(values));
        self.environment.get_template(NAME)?.render(values)
    }
}

/// Whether the media type is JSON or built on it.
fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case(super::JSON) || kind.to_ascii_lowercase().ends_with("+json")
}

fn is_in_the_template(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::SyntaxError
            | ErrorKind::UnknownFilter
            | ErrorKind::UnknownTest
            | ErrorKind::UnknownFunction
            | ErrorKind::TemplateNotFound
            | ErrorKind::OutOfFuel
    )
}

fn in_words(error: &Error) -> String {
    let what = error.detail().map_or_else(
        || error.kind().to_string(),
        |detail| format!("{}: {detail}", error.kind()),
    );
    match error.line() {
        Some(line) => format!("line {line}: {what}"),
        None => what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(source: &str, content_type: &str, body: &str) -> Result<String, String> {
        let template = Template::new(source.to_owned(), content_type.to_owned())?;
        let message = template.message(&super::super::delivery(body))?;
        assert_eq!(message.content_type, content_type);
        Ok(message.body)
    }

    #[test]
    fn values_stand_as_the_media_type_needs_them() {
        let body = r#"{"data": {"t": 21.5, "name": "a\"b", "none": null}}"#;
        let source = "{\"t\": {{ data.t }}, \"n\": {{ data.name }}, \"x\": {{ data.none }},\n\"d\": {{ delivery.device_id }}, \"m\": {{ data.missing | default(7) }}}";
        let json: Value =
            serde_json::from_str(&made(source, "application/json", body).unwrap()).unwrap();
        assert_eq!(
            json,
            json!({"t": 21.5, "n": "a\"b", "x": null, "d": "am102-meeting-2", "m": 7})
        );
        let line = made("{{ data.name }},{{ data.t | round }}", "text/plain", body);
        assert_eq!(line.unwrap(), "a\"b,22.0");
        let each = "{% for name, value in data | items %}{{ name }}={{ value }};{% endfor %}";
        let each = made(each, "text/plain", r#"{"data": {"a": 1, "b": 2}}"#);
        assert_eq!(each.unwrap(), "a=1;b=2;");
    }

    #[test]
    fn what_is_wrong_with_a_template_is_told_with_its_line() {
        for (source, expected) in [
            ("{\n{{ data.t }\n}", "line 2: syntax error"),
            ("\n\n{{ data.t | nonsense }}", "line 3: unknown filter"),
            ("{{ secret() }}", "line 1: unknown function"),
            ("\n{% include 'x' %}", "line 2: syntax error"),
            ("{% macro a() %}{% endmacro %}", "line 1: syntax error"),
            (
                "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
                "ran out of fuel",
            ),
        ] {
            let error = Template::new(source.to_owned(), "text/plain".to_owned()).err();
            let error = error.unwrap_or_default();
            assert!(error.contains(expected), "{source}: {error}");
        }
    }

    #[test]
    fn what_fails_while_it_is_sent_says_why() {
        let body = r#"{"data": {"t": 1, "s": "x"}}"#;
        for (source, expected) in [
            ("\n{{ data.missing }}", "line 2: undefined value"),
            ("{{ data.s / 2 }}", "line 1:"),
            ("{\"t\": }", "no valid JSON"),
        ] {
            let error = made(source, "application/json", body).unwrap_err();
            assert!(error.contains(expected), "{source}: {error}");
        }
    }

    #[test]
    fn a_template_that_would_fill_the_memory_ends() {
        let doubling = "{% set a = a ~ a %}".repeat(60);
        for source in [
            format!("{{% set a = 'xxxxxxxx' %}}{doubling}"),
            "{{ 'x' * 99999999 }}".to_owned(),
            "{{ ('x' * 9999) | replace('x', 'y' * 9999) }}".to_owned(),
            "{{ '%999999999d' | format(1) }}".to_owned(),
            "{{ 'x' | indent(999999999) }}".to_owned(),
            "{{ range(99999) | join('x' * 99999) }}".to_owned(),
            "{% for a in [data] %}{% for b in [a, a] * 9999 %}{{ b }}{% endfor %}{% endfor %}"
                .to_owned(),
        ] {
            let made = made(&source, "text/plain", r#"{"data": {"t": 1}}"#);
            assert!(
                made.is_err(),
                "{source} makes {} bytes",
                made.unwrap().len()
            );
        }
    }
}
