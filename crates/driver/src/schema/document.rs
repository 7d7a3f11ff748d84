//! Parses text to JSON, within limits.
//!
//! One visitor reads JSON and YAML. It counts values while it reads them, so that a few lines of YAML whose
//! aliases repeat one another (or contain themselves) fail at the limit instead of filling the memory.

use std::{cell::Cell, fmt};

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::bounds::{DEPTH_MAX, NODES_MAX, SOURCE_BYTES_MAX};
use super::error::SchemaError;

/// Maximum number of open brackets, checked before parsing: the YAML scanner looks at each of them for each
/// token.
const BRACKET_DEPTH_MAX: usize = 200;

/// Parses a text: as JSON if it begins like an object, else as YAML.
pub fn read(text: &str) -> Result<Value, SchemaError> {
    let refuse = |message: String| SchemaError::new("schema", message);
    if text.len() > SOURCE_BYTES_MAX {
        return Err(refuse(format!(
            "must have at most {SOURCE_BYTES_MAX} bytes"
        )));
    }
    if bracket_depth(text) > BRACKET_DEPTH_MAX {
        return Err(refuse(too_deep()));
    }
    let nodes = Cell::new(0);
    let bounded = Bounded {
        nodes: &nodes,
        depth: 0,
    };
    if text.trim_start().starts_with('{') {
        let mut json = serde_json::Deserializer::from_str(text);
        let read = bounded.deserialize(&mut json);
        let read = read.and_then(|value| json.end().map(|()| value));
        match read {
            Ok(value) => return Ok(value),
            // YAML's objects may begin with a brace, too: `{version: 2}`.
            Err(error) if error.is_syntax() => {
                nodes.set(0);
                return bounded
                    .deserialize(serde_yaml::Deserializer::from_str(text))
                    .map_err(|_| refuse(format!("is not valid JSON or YAML: {error}")));
            }
            Err(error) => return Err(refuse(format!("is not valid JSON: {error}"))),
        }
    }
    bounded
        .deserialize(serde_yaml::Deserializer::from_str(text))
        .map_err(|error| refuse(format!("is not valid YAML: {error}")))
}

/// Checks a JSON value against the same limits.
pub fn check(value: &Value) -> Result<(), SchemaError> {
    fn count(value: &Value, depth: usize, nodes: &mut usize) -> Result<(), String> {
        *nodes += 1;
        within(*nodes, depth)?;
        match value {
            Value::Array(items) => items
                .iter()
                .try_for_each(|item| count(item, depth + 1, nodes)),
            Value::Object(object) => object
                .values()
                .try_for_each(|item| count(item, depth + 1, nodes)),
            _ => Ok(()),
        }
    }
    count(value, 0, &mut 0).map_err(|message| SchemaError::new("schema", message))
}

fn within(nodes: usize, depth: usize) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err(too_deep());
    }
    if nodes > NODES_MAX {
        return Err(format!(
            "must have at most {NODES_MAX} values, those that aliases repeat included"
        ));
    }
    Ok(())
}

fn too_deep() -> String {
    format!("must not be nested deeper than {DEPTH_MAX} levels; nothing may hold itself")
}

/// Returns the maximum number of brackets that are open at once, including those in texts and comments.
fn bracket_depth(text: &str) -> usize {
    let (mut depth, mut most) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        most = most.max(depth);
    }
    most
}

#[derive(Clone, Copy)]
struct Bounded<'a> {
    nodes: &'a Cell<usize>,
    depth: usize,
}

impl Bounded<'_> {
    fn inner(self) -> Self {
        Self {
            depth: self.depth + 1,
            ..self
        }
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.nodes.set(self.nodes.get() + 1);
        within(self.nodes.get(), self.depth).map_err(de::Error::custom)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value without a YAML tag")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        serde_json::Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number must be finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(self.inner())? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = members.next_key_seed(self.inner())? {
            let key = match key {
                Value::String(key) => key,
                // YAML reads `1:` and `yes:` as what they look like; a property's name is text.
                Value::Number(_) | Value::Bool(_) => key.to_string(),
                _ => return Err(de::Error::custom("a name must be text")),
            };
            let value = members.next_value_seed(self.inner())?;
            if object.contains_key(&key) {
                return Err(de::Error::custom(format_args!("{key} is there twice")));
            }
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    #[test]
    fn json_and_yaml_read_alike() {
        let expected = json!({"version": "2", "properties": {"t": {"type": "int64"}}});
        assert_eq!(
            read(r#"{"version": "2", "properties": {"t": {"type": "int64"}}}"#).unwrap(),
            expected
        );
        assert_eq!(
            read("version: \"2\"\nproperties:\n  t:\n    type: int64\n").unwrap(),
            expected
        );
        assert_eq!(
            read("{version: '2', properties: {t: {type: int64}}}").unwrap(),
            expected
        );
        assert_eq!(read("1: {yes: x}").unwrap(), json!({"1": {"yes": "x"}}));
    }

    #[test]
    fn what_is_no_document_is_told_with_its_place() {
        assert!(refused("{\"version\": ").contains("is not valid JSON"));
        assert!(refused("{\"version\": 2,}}").contains("line 1"));
        assert!(refused("a:\n\t- b").contains("is not valid YAML"));
        assert!(refused("a: 1\na: 2").contains("a is there twice"));
        assert!(refused("{\"a\": 1, \"a\": 2}").contains("a is there twice"));
        assert!(refused("a: !tag 1").contains("tag"));
        assert!(refused("a: .nan").contains("finite"));
        assert!(refused("? [a]\n: 1").contains("a name must be text"));
        assert!(refused("").contains("is not valid YAML"));
    }

    #[test]
    fn a_bomb_of_aliases_ends_at_the_bound() {
        let mut bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for (inner, outer) in ('a'..'i').zip('b'..='i') {
            let aliases = vec![format!("*{inner}"); 10].join(",");
            bomb.push_str(&format!("{outer}: &{outer} [{aliases}]\n"));
        }
        assert!(refused(&bomb).contains("values, those that aliases repeat included"));
    }

    #[test]
    fn long_texts_of_one_piece_end() {
        for piece in [
            "- ",
            "? ",
            "[",
            "[],",
            "a: &a x\n",
            "? a\n",
            "- *a\n",
            "--- a\n",
            "!a ",
        ] {
            let text = piece.repeat(SOURCE_BYTES_MAX / piece.len());
            assert!(read(&text).is_err(), "{piece}");
        }
    }

    #[test]
    fn what_holds_itself_or_is_too_deep_or_too_long_is_refused() {
        assert!(refused("a: &a {b: *a}").contains("is not valid YAML"));
        let deep = DEPTH_MAX + 1;
        let json = format!("{{\"a\": {}{}}}", "[".repeat(deep), "]".repeat(deep));
        assert!(refused(&json).contains("nested deeper than 40 levels"));
        assert!(refused(&"[".repeat(100_000)).contains("nested deeper"));
        assert!(refused(&" ".repeat(SOURCE_BYTES_MAX + 1)).contains("at most 262144 bytes"));
        let mut nested = json!(1);
        for _ in 0..=DEPTH_MAX {
            nested = json!([nested]);
        }
        assert!(check(&nested).is_err());
        assert!(check(&json!(vec![0; NODES_MAX])).is_err());
    }
}
