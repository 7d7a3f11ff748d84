//! Settings of Everynet in the API.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::claims::Claims;

/// Everynet, over its HTTP data API.
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "Everynet")]
pub struct Uplinks {}

impl Claims for Uplinks {}
