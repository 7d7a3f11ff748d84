//! Health states that devices and connections share.

/// Health state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthState {
    /// The last message was decoded.
    Ok,
    /// The last message failed, or the broker is not connected.
    Failing,
    /// No message has been received yet.
    NeverSeen,
}
