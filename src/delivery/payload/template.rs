//! User-defined templates in the Jinja language.
//!
//! A template can only read the message: there are no other templates, no files and no macros. Fuel
//! bounds its cost in steps and in memory, so that a template that doubles a text forty times fails
//! without harming the hub; [`rewrite`] ensures that all costs are counted.
//!
//! A template is parsed each time it is used. That takes a hundredth of a millisecond and recurses with
//! the template's depth. Parsing and rendering must run on the threads of a [`super::Renderer`].

mod rewrite;
mod size;

use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, machinery,
    machinery::CodeGenerator, syntax::SyntaxConfig,
};
use serde_json::{Map, Value, json};

use super::message::{JSON, Message, Purpose, SAMPLE};
use crate::store::deliveries::Delivery;

const NAME: &str = "template";
/// Fuel of one rendering: about 30,000 steps, or 2 MB of intermediate text.
const FUEL: u64 = 30_000;
/// Maximum size of a message made by a template, in bytes.
const OUTPUT_MAX_BYTES: usize = 1024 * 1024;

/// A user-defined template.
pub struct Template {
    environment: Environment<'static>,
    source: String,
    content_type: String,
    is_json: bool,
}

impl Template {
    /// Creates a template without parsing it; errors are reported when it is checked or used.
    pub fn new(source: String, content_type: String) -> Self {
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.add_filter(rewrite::BOUNDED, size::bounded);
        environment.add_filter(rewrite::PAID, size::paid);
        // Removed because an object that can change after it was measured could contain itself.
        environment.remove_global("namespace");
        environment.remove_global("debug");
        Self {
            environment,
            source,
            is_json: is_json(&content_type),
            content_type,
        }
    }

    /// Renders a delivery; the error names the line. In a test, undefined values are permitted, because the
    /// values of a device's messages are not known in advance.
    pub fn message(&self, delivery: &Delivery, purpose: Purpose) -> Result<Message, String> {
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
            .render(purpose, body, about)
            .map_err(|error| format!("the template fails: {}", in_words(&error)))?;
        if body.len() > OUTPUT_MAX_BYTES {
            return Err(format!(
                "the result of the template has more than {OUTPUT_MAX_BYTES} bytes"
            ));
        }
        if self.is_json
            && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&body)
        {
            return Err(format!(
                "the result of the template is not valid JSON: {error}"
            ));
        }
        Ok(Message {
            content_type: self.content_type.clone(),
            body,
        })
    }

    /// Checks the template on a sample; the error names the line. Unknown filters and functions, and
    /// endless loops, are only detected by running it. Missing values are not an error, because the values
    /// of messages are not known in advance.
    pub fn check(&self) -> Result<(), String> {
        let sample = serde_json::from_str(SAMPLE).unwrap_or_default();
        let about =
            json!({"id": "", "device_id": "", "event_id": "", "event_type": "", "queued_at": ""});
        match self.render(Purpose::Test, sample, about) {
            Err(error) if is_in_the_template(error.kind()) => Err(in_words(&error)),
            _ => Ok(()),
        }
    }

    fn render(
        &self,
        purpose: Purpose,
        mut values: Map<String, Value>,
        about: Value,
    ) -> Result<String, Error> {
        values.insert("delivery".to_owned(), about);
        let values = minijinja::Value::from(minijinja::value::Serde(values));
        let read = machinery::parse(&self.source, NAME, SyntaxConfig::default())?;
        let mut code = CodeGenerator::new(NAME, &self.source);
        code.compile_stmt(&rewrite::measured(&read)?);
        let (instructions, blocks) = code.finish();
        // In JSON, values are written as JSON: texts in quotes, none as null.
        let escape = match self.is_json {
            true => AutoEscape::Json,
            false => AutoEscape::None,
        };
        let mut environment = self.environment.clone();
        if purpose == Purpose::Test {
            environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        }
        let mut text = String::new();
        let mut output = machinery::make_string_output(&mut text);
        let (instructions, blocks) = (&instructions, &blocks);
        machinery::eval(
            &environment,
            instructions,
            values,
            blocks,
            &mut output,
            escape,
        )?;
        Ok(text)
    }
}

/// True if the media type is JSON or has the suffix `+json`.
fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case(JSON) || kind.to_ascii_lowercase().ends_with("+json")
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
        let template = Template::new(source.to_owned(), content_type.to_owned());
        template.check()?;
        let message =
            template.message(&super::super::message::delivery(body), Purpose::Delivery)?;
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
        for kind in ["application/json; charset=utf-8", "application/senml+json"] {
            let made = made("[{{ data.name }}]", kind, body).unwrap();
            let made: Value = serde_json::from_str(&made).unwrap();
            assert_eq!(made, json!(["a\"b"]), "{kind}");
        }
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
            let template = Template::new(source.to_owned(), "text/plain".to_owned());
            let error = template.check().err().unwrap_or_default();
            assert!(error.contains(expected), "{source}: {error}");
        }
    }

    #[test]
    fn what_fails_while_it_is_sent_says_why() {
        let body = r#"{"data": {"t": 1, "s": "x"}}"#;
        for (source, expected) in [
            ("\n{{ data.missing }}", "line 2: undefined value"),
            ("{{ data.s / 2 }}", "line 1:"),
            ("{\"t\": }", "not valid JSON"),
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
    /// Returns how often a template can repeat `step` before it runs out of fuel, up to `most`.
    fn times(set: &str, step: &str, most: usize) -> usize {
        let is_done = |times: usize| {
            let each = format!("{{% for i in range({times}) %}}{step}{{% endfor %}}");
            made(&format!("{set}{each}"), "text/plain", "{}").is_ok()
        };
        let (mut done, mut not) = (0, most + 1);
        while not - done > 1 {
            let between = done.midpoint(not);
            if is_done(between) {
                done = between;
            } else {
                not = between;
            }
        }
        done
    }

    #[test]
    fn a_step_costs_as_much_as_what_it_works_on() {
        for step in [
            "{% set n = s[1:2] %}",
            "{% set n = s[59000] %}",
            "{% set n = {s: 1} %}",
            "{% set n = s == t %}",
            "{% set n = s is lower %}",
            "{% set n = [s, 'x'] | sort %}",
            "{% set n = [s] | unique %}",
            "{% set n = loop.changed(s) %}",
            "{% set n = data2[s] %}",
        ] {
            let set = |letters| {
                format!(
                    "{{% set s = 'x' * {letters} %}}{{% set t = 'x' * {letters} %}}\
                     {{% set data2 = {{}} %}}"
                )
            };
            let (short, long) = (times(&set(10), step, 5000), times(&set(60_000), step, 5000));
            assert!(short > 300, "{step}: {short} times");
            // 30,000 units of fuel pay for less than 2 MB.
            assert!((1..=31).contains(&long), "{step}: {long} times");
        }
    }

    #[test]
    fn what_was_made_small_cannot_be_large_inside() {
        let doubling = "{% set a = [a, a] %}{% set b = [b, b] %}".repeat(50);
        let set = format!("{{% set a = [1] %}}{{% set b = [1] %}}{doubling}");
        let deep = "{% set a = [a] %}".repeat(1000);
        for source in [
            format!("{set}{{{{ a == b }}}}"),
            format!("{set}{{{{ {{a: 1}} }}}}"),
            format!("{set}{{{{ a }}}}"),
            format!("{set}{{{{ a in [b] }}}}"),
            format!("{{% set a = [] %}}{deep}{{{{ a }}}}"),
            format!("{{{{ 1{} }}}}", " + 1".repeat(15_000)),
            format!("{{{{ {}1{} }}}}", "[".repeat(5_000), "]".repeat(5_000)),
            "{% set x %}{% for i in range(9000) %}0123456789{% endfor %}{% endset %}".to_owned(),
            "{{ ('x' * 60000 for i in range(9)) | join }}".to_owned(),
            "{% set n = namespace() %}{% set n.n = n %}{{ n }}".to_owned(),
        ] {
            // Uses the renderer's stack size, because rendering recurses with the depth of the template.
            let start: String = source.chars().take(60).collect();
            let rendered = std::thread::Builder::new()
                .stack_size(super::super::renderer::STACK_BYTES)
                .spawn(move || made(&source, "text/plain", "{}"));
            let made = rendered.unwrap().join().unwrap();
            assert!(made.is_err(), "{start} makes {} bytes", made.unwrap().len());
        }
    }

    #[test]
    fn what_templates_are_made_for_is_far_from_the_bounds() {
        let body = json!({"data": {"values": (0..500).collect::<Vec<_>>()}}).to_string();
        let source = "{% set sum = data.values | sum %}{\"sum\": {{ sum }}, \"each\": [\
            {% for value in data.values %}{{ value * 2 }}{% if not loop.last %},{% endif %}\
            {% endfor %}], \"first\": {{ data['values'][0] }}, \"few\": {{ data.values[:3] }},\
            \"sorted\": {{ data.values | sort(reverse=true) | first }}, \"all\": {{ data }}}";
        let made = made(source, "application/json", &body).unwrap();
        let made: Value = serde_json::from_str(&made).unwrap();
        assert_eq!(made["sum"], 124_750);
        assert_eq!(made["each"][499], 998);
        assert_eq!(made["few"], json!([0, 1, 2]));
        assert_eq!(made["sorted"], 499);
        let loops = "{% for x in data recursive %}{{ x.n }}{% if x.of %}({{ loop(x.of) }}){% endif %}\
            {% endfor %}{% set y %}a{{ 1 }}{% endset %}{{ y | upper }}{% filter upper %}b{% endfilter %}";
        let body = r#"{"data": [{"n": 1, "of": [{"n": 2, "of": []}]}]}"#;
        assert_eq!(
            super::tests::made(loops, "text/plain", body).unwrap(),
            "1(2)A1B"
        );
    }
}
