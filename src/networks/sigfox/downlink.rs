//! Sigfox downlinks: a device requests one in a message, and the response to the callback contains it.

use serde::{Deserialize, Serialize};

use crate::{
    networks::downlink::{DownlinkNetwork, Handover, OutgoingDownlink},
    outgoing::Request,
    secret::Credentials,
};

/// Settings of downlinks; there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Downlinks {}

/// Size of every downlink, in bytes.
const BYTES: usize = 8;

impl DownlinkNetwork for Downlinks {
    fn is_pushed(&self) -> bool {
        false
    }

    fn check_payload(&self, payload: &[u8]) -> Result<(), String> {
        match payload.len() == BYTES {
            true => Ok(()),
            false => Err(format!("must have exactly {BYTES} bytes for Sigfox")),
        }
    }

    fn handover(&self, _: &Credentials, _: &OutgoingDownlink) -> Result<Handover, String> {
        Err("Sigfox fetches downlinks in the response to a message".to_owned())
    }

    fn probe(&self, _: &Credentials, _: Option<&str>) -> Result<Request, String> {
        Err("Sigfox fetches downlinks itself".to_owned())
    }
}
