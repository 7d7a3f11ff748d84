//! Settings of Kerlink's Wanesy in the API.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::claims::Claims;

/// Kerlink's Wanesy Management Center, over its HTTP push.
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "Kerlink")]
pub struct Uplinks {}

impl Claims for Uplinks {}
