//! Settings of Helium's Console in the API.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::claims::Claims;

/// Helium's Console, over its HTTP integration. For a Helium network on ChirpStack, use the type `chirpstack`.
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "Helium")]
pub struct Uplinks {}

impl Claims for Uplinks {}
