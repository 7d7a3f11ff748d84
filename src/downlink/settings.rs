//! Which network server takes a connection's downlinks, and how it wants them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::networks::{
    Parcel, Taken, actility::Actility, chirpstack::ChirpStack, http::HttpTemplate, loriot::Loriot,
    sigfox::Sigfox, the_things_stack::TheThingsStack,
};
use crate::{outgoing::Request, secret::Credentials};

/// What the sealed credentials of a connection's downlinks are for.
pub const VAULT_PURPOSE: &str = "downlink";

/// The longest payload that LoRaWAN carries, in bytes.
const LORAWAN_BYTES_MAX: usize = 242;

/// Which network server takes downlinks, and what must be known to hand them over. Secrets are not
/// in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum DownlinkSettings {
    /// The Things Stack, version 3, by the webhook's downlink queue.
    TheThingsStack(TheThingsStack),
    /// ChirpStack, version 4, by its REST API.
    #[serde(rename = "chirpstack")]
    ChirpStack(ChirpStack),
    /// ThingPark, by the LRC's tunnel interface.
    Actility(Actility),
    /// LORIOT, by its REST API.
    Loriot(Loriot),
    /// Sigfox, in the answer to the callback.
    Sigfox(Sigfox),
    /// Any server that takes an HTTP request.
    Http(HttpTemplate),
}

impl DownlinkSettings {
    /// Whether they can be used; the error names the field and the rule.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Http(template) => template.check(),
            _ => Ok(()),
        }
    }

    /// Whether the hub sends by itself; else it waits to be asked.
    pub fn is_pushed(&self) -> bool {
        !matches!(self, Self::Sigfox(_))
    }

    /// Whether the network carries a payload; the rule, if not.
    pub fn check_payload(&self, payload: &[u8]) -> Result<(), String> {
        match self {
            Self::Sigfox(_) if payload.len() != Sigfox::BYTES => Err(format!(
                "must have exactly {} bytes for Sigfox",
                Sigfox::BYTES
            )),
            Self::Sigfox(_) | Self::Http(_) => Ok(()),
            _ if payload.len() > LORAWAN_BYTES_MAX => Err(format!(
                "must have at most {LORAWAN_BYTES_MAX} bytes over LoRaWAN"
            )),
            _ => Ok(()),
        }
    }

    /// The request that hands a downlink over; why there is none, for a person.
    pub fn request(&self, secrets: &Credentials, parcel: &Parcel) -> Result<Request, String> {
        match self {
            Self::TheThingsStack(network) => network.request(secrets, parcel),
            Self::ChirpStack(network) => network.request(secrets, parcel),
            Self::Actility(network) => network.request(secrets, parcel),
            Self::Loriot(network) => network.request(secrets, parcel),
            Self::Http(network) => network.request(secrets, parcel),
            Self::Sigfox(_) => Err("Sigfox takes downlinks in the answer to a message".to_owned()),
        }
    }

    /// A question that changes nothing and needs the same credentials as a downlink; `device` is the
    /// network's id of any device. Why there is none, for a person.
    pub fn probe(&self, secrets: &Credentials, device: Option<&str>) -> Result<Request, String> {
        match self {
            Self::TheThingsStack(network) => network.probe(secrets),
            Self::ChirpStack(network) => {
                let device = device.ok_or("the connection has no device whose queue to ask for")?;
                network.probe(secrets, device)
            }
            Self::Loriot(network) => network.probe(secrets),
            Self::Actility(_) => {
                Err("ThingPark takes downlinks alone, and no questions".to_owned())
            }
            Self::Http(_) => Err("a template has downlinks alone, and no questions".to_owned()),
            Self::Sigfox(_) => Err("Sigfox fetches downlinks itself".to_owned()),
        }
    }

    /// What a good answer to the question means.
    pub fn read_probe(&self, body: &Value) -> Result<(), String> {
        match self {
            Self::TheThingsStack(_) => TheThingsStack::read_probe(body),
            _ => Ok(()),
        }
    }

    /// What an answer with a good status means.
    pub fn read_answer(&self, parcel: &Parcel, body: &Value) -> Result<Taken, String> {
        match self {
            Self::ChirpStack(_) => Ok(ChirpStack::read_answer(body)),
            Self::Actility(_) => Ok(Actility::read_answer(parcel)),
            Self::Loriot(_) => Loriot::read_answer(body),
            _ => Ok(Taken::default()),
        }
    }
}
