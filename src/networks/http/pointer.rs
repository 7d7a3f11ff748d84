//! JSON pointers (RFC 6901) that lead through JSON in text as well.

use std::borrow::Cow;

use serde_json::Value;

/// The value that a pointer leads to; none for null.
pub fn find<'v>(body: &'v Value, pointer: &str) -> Option<Cow<'v, Value>> {
    let found = match body.pointer(pointer) {
        Some(found) => Some(Cow::Borrowed(found)),
        None => find_in_text(body, pointer).map(Cow::Owned),
    };
    found.filter(|value| !value.is_null())
}

/// What a pointer leads to through JSON in text. Each such text is a part of the one before.
fn find_in_text(body: &Value, pointer: &str) -> Option<Value> {
    let slashes = pointer.match_indices('/').skip(1);
    let (text, rest) = slashes.into_iter().find_map(|(at, _)| {
        let (head, rest) = pointer.split_at(at);
        Some((body.pointer(head)?.as_str()?, rest))
    })?;
    let inner: Value = serde_json::from_str(text).ok()?;
    find(&inner, rest).map(Cow::into_owned)
}
