//! What targets need of the hub, and the names of their files.

use std::{path::PathBuf, time::Duration};

use crate::outgoing::{Client, Guard};

/// What targets need of the hub.
#[derive(Clone)]
pub struct Outlets {
    /// Restricts the targets of connections.
    pub guard: Guard,
    /// Sends requests of HTTP.
    pub client: Client,
    /// The operator's folder for targets of the type `folder`.
    pub folder: Option<PathBuf>,
    /// Maximum time for one step.
    pub timeout: Duration,
}

/// Returns the name of a file that is being sent.
pub fn part_of(name: &str, attempt: i32) -> String {
    format!("{name}.{attempt}.part")
}
