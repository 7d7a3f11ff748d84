//! Settings of Sigfox in the API.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::claims::Claims;

/// Sigfox, by callbacks with a body of JSON
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "Sigfox")]
pub struct Uplinks {}

impl Claims for Uplinks {}

/// Sigfox: in the answer to the callback (`BIDIR`) with which a device asks for a downlink
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "SigfoxDownlinks")]
pub struct Downlinks {}

impl Claims for Downlinks {}
