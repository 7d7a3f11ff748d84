//! Settings of generic HTTP network servers in the API.

use poem_openapi::{Enum, Object};
use serde::{Deserialize, Serialize};

use super::claims::{Claims, optional, with_client_key};
use crate::{
    api::http::server_tls::ServerTls,
    networks::{downlink::URL, http},
    secret::Claim,
    text::{HeaderValue, HttpUrl, JsonPointer, Template},
};

/// Any server that posts JSON
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "HttpUplinks")]
pub struct Uplinks {
    /// Where the parts of an uplink are in the JSON
    mapping: Mapping,
}

impl Claims for Uplinks {}

/// JSON pointers (RFC 6901) to the parts of an uplink
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "UplinkMapping")]
pub struct Mapping {
    /// Where the device's id is, such as its DevEUI. A pointer leads through JSON that stands in text. Where
    /// the body is a list and all pointers start with `/0`, each item is a message
    device_id_pointer: JsonPointer,
    /// Where the payload is: text, a list of bytes, or, where the pointer is empty, the body itself as JSON. A
    /// message that has nothing there is no uplink and becomes an event
    payload_pointer: JsonPointer,
    /// How the payload is written
    payload_encoding: PayloadEncoding,
    /// Where the LoRaWAN port is
    #[oai(skip_serializing_if_is_none)]
    port_pointer: Option<JsonPointer>,
    /// Where the time of reception is: RFC 3339 (UTC without a zone), or seconds or milliseconds since 1970.
    /// Where it cannot be read, the hub's own time counts
    #[oai(skip_serializing_if_is_none)]
    time_pointer: Option<JsonPointer>,
    /// Where the LoRaWAN frame counter is
    #[oai(skip_serializing_if_is_none)]
    frame_counter_pointer: Option<JsonPointer>,
    /// Pointers to the signal, the gateways and the data rate
    #[oai(skip_serializing_if_is_none)]
    radio: Option<Box<RadioMapping>>,
}

/// Pointers to how an uplink was received. All of it is for information: what cannot be read is left out
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RadioMapping {
    /// The list of the gateways that heard the uplink. With it, `gateway_pointer`, `rssi_pointer` and
    /// `snr_pointer` begin at an item of the list, and the gateway that heard the uplink best gives its signal;
    /// without it, they begin at the body
    #[oai(skip_serializing_if_is_none)]
    receptions_pointer: Option<JsonPointer>,
    /// The gateway's id
    #[oai(skip_serializing_if_is_none)]
    gateway_pointer: Option<JsonPointer>,
    /// The signal strength in dBm
    #[oai(skip_serializing_if_is_none)]
    rssi_pointer: Option<JsonPointer>,
    /// The signal to noise ratio in dB
    #[oai(skip_serializing_if_is_none)]
    snr_pointer: Option<JsonPointer>,
    /// The frequency: in MHz below 10,000, in kHz below 10,000,000, else in Hz
    #[oai(skip_serializing_if_is_none)]
    frequency_pointer: Option<JsonPointer>,
    /// The data rate as text, such as `SF7BW125`
    #[oai(skip_serializing_if_is_none)]
    data_rate_pointer: Option<JsonPointer>,
    /// The spreading factor
    #[oai(skip_serializing_if_is_none)]
    spread_factor_pointer: Option<JsonPointer>,
    /// The bandwidth: in kHz below 5,000, else in Hz
    #[oai(skip_serializing_if_is_none)]
    bandwidth_pointer: Option<JsonPointer>,
}

/// How a payload is written
#[derive(Clone, Copy, Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum PayloadEncoding {
    /// Two hexadecimal digits a byte
    Hex,
    /// Base64, standard or URL-safe
    Base64,
    /// JSON; the driver gets its text
    Json,
}

/// Any server that takes an HTTP request. In `url` and `body`, `{{network_device_id}}`, `{{device}}`, `{{application}}`, `{{tenant}}`, `{{payload_hex}}`, `{{payload_base64}}`, `{{f_port}}`, `{{confirmed}}`, `{{priority}}` and `{{downlink_id}}` are filled in, escaped for where they stand
#[derive(Object, Serialize, Deserialize)]
#[oai(skip_serializing_if_is_none)]
#[serde(deny_unknown_fields)]
#[oai(rename = "HttpDownlinks")]
pub struct Downlinks {
    /// How the request is made
    method: DownlinkMethod,
    /// Where to. Scheme, host and port must be the same for every device: no `{{names}}` may stand there
    url: HttpUrl,
    /// What is sent; nothing, if left out
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Template>,
    /// The type of the body; `application/json`, if left out
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<HeaderValue>,
    /// Value of the `Authorization` header; never shown again. Left out of an update, the old one stays while the address does
    #[oai(write_only)]
    #[serde(skip_serializing)]
    authorization: Option<HeaderValue>,
    /// TLS with the server, such as a private authority or a client certificate; left out, the authorities of the hub's system are trusted
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<ServerTls>,
}

impl Claims for Downlinks {
    fn take_claims(&mut self) -> Vec<Claim> {
        let claim = optional(http::Downlinks::SECRET, self.authorization.as_deref(), URL);
        with_client_key(claim, self.tls.as_mut(), URL)
    }
}

/// How a request is made
#[derive(Clone, Copy, Enum, Serialize, Deserialize)]
#[oai(rename_all = "UPPERCASE")]
#[serde(rename_all = "UPPERCASE")]
enum DownlinkMethod {
    Post,
    Put,
}
