//! Which network server takes a connection's downlinks, and how it wants them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    id::TenantId,
    networks::{
        NetworkSettings,
        actility::downlink::Actility,
        chirpstack::downlink::{ChirpStack, ChirpStackMqtt},
        downlink::{Handover, Parcel, Taken},
        http::downlink::HttpTemplate,
        loriot::downlink::Loriot,
        mqtt::downlink::MqttTemplate,
        sigfox::downlink::Sigfox,
        the_things_stack::downlink::{TheThingsStack, TheThingsStackMqtt},
    },
    outgoing::{Request, TlsSettings, tls::CLIENT_KEY},
    secret::{Credentials, Place},
};

/// Where the sealed secrets of a connection's downlink settings are stored.
pub fn place(tenant: TenantId, connection: impl std::fmt::Display) -> Place {
    Place::new("downlink", tenant, connection)
}

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
    /// The connection's broker, whatever listens there.
    Mqtt(MqttTemplate),
    /// The Things Stack, version 3, by the connection's broker.
    TheThingsStackMqtt(TheThingsStackMqtt),
    /// ChirpStack, version 4, by the connection's broker.
    #[serde(rename = "chirpstack_mqtt")]
    ChirpStackMqtt(ChirpStackMqtt),
}

impl DownlinkSettings {
    /// Those of a connection for which nobody has set any, where its own settings tell all that must
    /// be known.
    pub fn implied_by(connection: &NetworkSettings) -> Option<Self> {
        match connection {
            NetworkSettings::TheThingsStackMqtt(network) => {
                let application = network.broker.username.clone()?;
                Some(Self::TheThingsStackMqtt(TheThingsStackMqtt { application }))
            }
            NetworkSettings::ChirpStackMqtt(network) => {
                let application_id = network.application_id.clone();
                Some(Self::ChirpStackMqtt(ChirpStackMqtt { application_id }))
            }
            _ => None,
        }
    }

    /// Whether they can be used for the connection; the error names the field and the rule.
    pub fn check(&self, connection: &NetworkSettings) -> Result<(), String> {
        if self.is_published() && connection.subscription().is_none() {
            return Err("type: mqtt needs a network connection that has a broker".to_owned());
        }
        if self.tls().is_some() && !self.url().starts_with("https://") {
            return Err("tls: needs a URL that starts with https://".to_owned());
        }
        match self {
            Self::Http(template) => template.check(),
            Self::Mqtt(template) => template.check(),
            _ => Ok(()),
        }
    }

    /// Whether TLS can be spoken with these secrets, those that were kept among them; the error names the
    /// field and the rule.
    pub fn check_secrets(&self, secrets: &Credentials) -> Result<(), String> {
        let tls = self.tls().map(|tls| tls.with(secrets.get(CLIENT_KEY)));
        let checked = tls.map_or(Ok(()), |tls| tls.check());
        checked.map_err(|broken| format!("tls.{broken}"))
    }

    /// TLS with the server, where it is not as usual.
    pub fn tls(&self) -> Option<&TlsSettings> {
        match self {
            Self::TheThingsStack(network) => network.tls.as_ref(),
            Self::ChirpStack(network) => network.tls.as_ref(),
            Self::Actility(network) => network.tls.as_ref(),
            Self::Loriot(network) => network.tls.as_ref(),
            Self::Http(network) => network.tls.as_ref(),
            _ => None,
        }
    }

    /// Where the server is, if it is called.
    fn url(&self) -> &str {
        match self {
            Self::TheThingsStack(network) => &network.base_url,
            Self::ChirpStack(network) => &network.base_url,
            Self::Actility(network) => &network.url,
            Self::Loriot(network) => &network.url,
            Self::Http(network) => &network.url,
            _ => "",
        }
    }

    /// Whether the connection's broker takes them.
    pub fn is_published(&self) -> bool {
        matches!(
            self,
            Self::Mqtt(_) | Self::TheThingsStackMqtt(_) | Self::ChirpStackMqtt(_)
        )
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
            Self::Sigfox(_) | Self::Http(_) | Self::Mqtt(_) => Ok(()),
            _ if payload.len() > LORAWAN_BYTES_MAX => Err(format!(
                "must have at most {LORAWAN_BYTES_MAX} bytes over LoRaWAN"
            )),
            _ => Ok(()),
        }
    }

    /// What hands a downlink over; why nothing does yet, for a person.
    pub fn handover(&self, secrets: &Credentials, parcel: &Parcel) -> Result<Handover, String> {
        let call = Handover::Call;
        let publish = Handover::Publish;
        match self {
            Self::TheThingsStack(network) => network.request(secrets, parcel).map(call),
            Self::ChirpStack(network) => network.request(secrets, parcel).map(call),
            Self::Actility(network) => network.request(secrets, parcel).map(call),
            Self::Loriot(network) => network.request(secrets, parcel).map(call),
            Self::Http(network) => network.request(secrets, parcel).map(call),
            Self::Mqtt(network) => network.publication(parcel).map(publish),
            Self::TheThingsStackMqtt(network) => network.publication(parcel).map(publish),
            Self::ChirpStackMqtt(network) => network.publication(parcel).map(publish),
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
            Self::Http(template) => {
                template.check()?;
                Err("a template has downlinks alone, and no questions".to_owned())
            }
            Self::Mqtt(_) | Self::TheThingsStackMqtt(_) | Self::ChirpStackMqtt(_) => {
                Err("downlinks go to the broker from which the uplinks come".to_owned())
            }
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

    /// What an answer with a good status means; a broker's is empty.
    pub fn read_answer(&self, parcel: &Parcel, body: &Value) -> Result<Taken, String> {
        match self {
            Self::ChirpStack(_) => Ok(ChirpStack::read_answer(body)),
            Self::Actility(_) => Ok(Actility::read_answer(parcel)),
            Self::Loriot(_) => Loriot::read_answer(body),
            Self::ChirpStackMqtt(_) => Ok(ChirpStackMqtt::taken(parcel)),
            _ => Ok(Taken::default()),
        }
    }
}
