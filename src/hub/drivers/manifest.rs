//! The manifest of a version of a driver; its digest identifies the version.
//!
//! The manifest is a JSON object that names the SHA-256 digest of each part that the version has:
//!
//! ```text
//! {"examples":"sha256:...","schema":"sha256:...","script":"sha256:..."}
//! ```
//!
//! `script` is over the script's UTF-8 bytes as they were pushed; `schema` and `examples` are over
//! their canonical JSON, and are left out where the version has none. The version's digest is
//! SHA-256 over the manifest's own canonical JSON. Canonical is what RFC 8785 says: members sorted,
//! no space, numbers as ECMAScript writes them. So anybody can verify a version, part by part,
//! whatever has reformatted the JSON on its way.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{
    error::{Error, Result},
    reference::DIGEST_PREFIX,
    store::drivers::versions::Content,
};

/// Returns the manifest of a version, in canonical form.
pub fn of(version: &Content) -> Result<String> {
    let schema = version.schema.as_deref();
    manifest(&version.script_digest, schema, version.examples.as_deref())
}

/// Returns the SHA-256 of a manifest, with its prefix.
pub fn digest(manifest: &str) -> String {
    prefixed(&sha256(manifest))
}

/// Returns the manifest of these parts.
pub fn manifest(
    script_digest: &str,
    schema: Option<&str>,
    examples: Option<&str>,
) -> Result<String> {
    let mut parts = Map::new();
    parts.insert("script".to_owned(), prefixed(script_digest).into());
    for (name, part) in [("schema", schema), ("examples", examples)] {
        if let Some(text) = part {
            let part = serde_json::from_str(text).map_err(Error::internal)?;
            parts.insert(
                name.to_owned(),
                prefixed(&sha256(&canonical(&part)?)).into(),
            );
        }
    }
    canonical(&Value::Object(parts))
}

/// Serializes a part for storage. Members stay in the order in which the author wrote them, which does not
/// change the digest. Numbers are written as in the canonical form.
pub fn stored(mut part: Value) -> Result<String> {
    make_exact(&mut part);
    serde_json::to_string(&part).map_err(Error::internal)
}

/// Serializes JSON in its canonical form (RFC 8785).
fn canonical(value: &Value) -> Result<String> {
    serde_json_canonicalizer::to_string(value).map_err(Error::internal)
}

/// Replaces integers that a double cannot represent with the nearest one, as the canonical form does:
/// content with the same digest must be the same.
fn make_exact(value: &mut Value) {
    const EXACT: u64 = 1 << 53;
    match value {
        Value::Number(number) => {
            let is_large = number.as_i64().is_some_and(|n| n.unsigned_abs() > EXACT)
                || number.as_u64().is_some_and(|n| n > EXACT);
            if let Some(nearest) = number.as_f64().filter(|_| is_large) {
                *value = nearest.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(make_exact),
        Value::Object(members) => members.values_mut().for_each(make_exact),
        _ => {}
    }
}

/// SHA-256 in hexadecimal digits.
pub fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

fn prefixed(hex: &str) -> String {
    format!("{DIGEST_PREFIX}{hex}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_digest_is_that_of_the_digests_of_the_parts() {
        let script = sha256("function decode() { return {} }");
        let alone = manifest(&script, None, None).unwrap();
        assert_eq!(alone, format!(r#"{{"script":"sha256:{script}"}}"#));
        let schema = stored(json!({"b": 1.0, "a": "ü"})).unwrap();
        assert_eq!(schema, r#"{"b":1.0,"a":"ü"}"#);
        let all = manifest(&script, Some(&schema), Some("[ ]")).unwrap();
        let (schema, examples) = (sha256(r#"{"a":"ü","b":1}"#), sha256("[]"));
        assert_eq!(
            all,
            format!(
                r#"{{"examples":"sha256:{examples}","schema":"sha256:{schema}","script":"sha256:{script}"}}"#
            )
        );
        assert_ne!(digest(&all), digest(&alone));
    }

    #[test]
    fn what_is_stored_is_no_more_exact_than_the_digest() {
        let numbers = |value: Value| {
            let text = stored(value).unwrap();
            serde_json::from_str::<Value>(&text).unwrap()
        };
        let (odd, even) = (9_007_199_254_740_993_u64, 9_007_199_254_740_992_u64);
        assert_eq!(numbers(json!([odd, -3])), json!([even as f64, -3]));
        assert_eq!(
            numbers(json!({"a": -(odd as i64)})),
            json!({"a": -(even as f64)})
        );
        assert_eq!(numbers(json!(even)), json!(even), "this one is exact");
    }

    #[test]
    fn digests_are_those_that_other_programs_compute() {
        assert_eq!(
            digest("abc"),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
