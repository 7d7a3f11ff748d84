//! Uplinks as JSON from any server that posts them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::networks::{
    event::Event,
    http::mapping::Mapping,
    malformed::Malformed,
    uplink::{Incoming, UplinkNetwork},
};

/// Settings of the mapping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uplinks {
    /// JSON pointers to the parts of an uplink.
    pub mapping: Mapping,
}

impl UplinkNetwork for Uplinks {
    fn split(&self, body: Value) -> Result<Vec<Value>, Malformed> {
        self.mapping.split(body)
    }

    fn parse(&self, incoming: Incoming<'_>) -> Result<Event, Malformed> {
        self.mapping.parse(incoming)
    }

    fn check(&self) -> Result<(), Malformed> {
        self.mapping.check()
    }

    /// Accepts any id, because the mapping determines the ids.
    fn check_device_id(_: &str) -> Result<(), &'static str> {
        Ok(())
    }
}
