//! Why a message cannot be read.

/// Why a message (or a mapping) cannot be read. It never holds a value from the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {rule}")]
pub struct Malformed {
    /// Where: a path such as `uplink_message.frm_payload`, or the JSON pointer of a mapping.
    pub field: String,
    /// The rule that was broken there.
    pub rule: String,
}

impl Malformed {
    /// A rule that was broken at a place.
    pub fn new(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            rule: rule.into(),
        }
    }
}
