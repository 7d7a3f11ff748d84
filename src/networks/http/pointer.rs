//! JSON pointers (RFC 6901) that also resolve through JSON encoded in strings.

use std::borrow::Cow;

use serde_json::Value;

/// Returns the value at a pointer; `None` if it is absent or null.
pub fn find<'v>(body: &'v Value, pointer: &str) -> Option<Cow<'v, Value>> {
    let found = match body.pointer(pointer) {
        Some(found) => Some(Cow::Borrowed(found)),
        None => find_in_text(body, pointer).map(Cow::Owned),
    };
    found.filter(|value| !value.is_null())
}

/// Resolves a pointer through a string that contains JSON. Recursion ends because each such string is
/// shorter than the document around it.
fn find_in_text(body: &Value, pointer: &str) -> Option<Value> {
    let slashes = pointer.match_indices('/').skip(1);
    let (text, rest) = slashes.into_iter().find_map(|(at, _)| {
        let (head, rest) = pointer.split_at(at);
        Some((body.pointer(head)?.as_str()?, rest))
    })?;
    let inner: Value = serde_json::from_str(text).ok()?;
    find(&inner, rest).map(Cow::into_owned)
}
