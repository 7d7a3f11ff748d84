//! Settings of Sigfox in the API.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::claims::Claims;

/// Sigfox, over callbacks with a JSON body.
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "Sigfox")]
pub struct Uplinks {}

impl Claims for Uplinks {}

/// Sigfox. The hub returns a downlink in the response to the callback (`BIDIR`) with which a device requests one. A
/// downlink has exactly 8 bytes.
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "SigfoxDownlinks")]
pub struct Downlinks {}

impl Claims for Downlinks {}
