//! The states of health that devices and connections share.

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthState {
    /// What it sent last was understood.
    Ok,
    /// What it sent last was not, or its broker is not heard.
    Failing,
    /// It has sent nothing yet.
    NeverSeen,
}
