//! Error for messages that cannot be parsed.

/// Reason why a message or a mapping is invalid. Never contains a value from the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {rule}")]
pub struct Malformed {
    /// Path of the invalid member, such as `uplink_message.frm_payload`, or the JSON pointer of a mapping.
    pub field: String,
    /// Rule that was violated.
    pub rule: String,
}

impl Malformed {
    /// Creates an error for a field that violates a rule.
    pub fn new(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            rule: rule.into(),
        }
    }
}
