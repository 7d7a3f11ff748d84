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

/// Any server that posts JSON.
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "HttpUplinks")]
pub struct Uplinks {
    /// Mapping from members of the body to the parts of an uplink.
    mapping: Mapping,
}

impl Claims for Uplinks {}

/// JSON pointers (RFC 6901) to the parts of an uplink. A pointer has a `/` before each part, with `~0` for `~` and `~1`
/// for `/`; an empty pointer selects the whole body.
///
/// A pointer also resolves through JSON that is encoded in a string. If the body is a list and all pointers start with
/// `/0`, each item of the list is a message. A list can contain 1,000 messages.
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "UplinkMapping")]
pub struct Mapping {
    /// Pointer to the device's id, such as its DevEUI: a string of 1 to 100 characters, or an integer.
    device_id_pointer: JsonPointer,
    /// Pointer to the payload: a string, a list of bytes or, for the encoding `json`, any JSON. With an empty pointer,
    /// the whole body is the payload as JSON. A message without a value there is not an uplink; the hub records it as
    /// an event. A payload can have 4,096 bytes.
    payload_pointer: JsonPointer,
    /// Encoding of the payload, if it is a string.
    payload_encoding: PayloadEncoding,
    /// Pointer to the LoRaWAN port, 0 to 255. If omitted or null, uplinks have no port.
    #[oai(skip_serializing_if_is_none)]
    port_pointer: Option<JsonPointer>,
    /// Pointer to the time of reception: in RFC 3339 (in UTC if it has no offset), or in seconds or milliseconds since
    /// 1970. If omitted or null, or if the time is unreadable, the hub uses its own time.
    #[oai(skip_serializing_if_is_none)]
    time_pointer: Option<JsonPointer>,
    /// Pointer to the LoRaWAN frame counter. If omitted or null, uplinks have no frame counter.
    #[oai(skip_serializing_if_is_none)]
    frame_counter_pointer: Option<JsonPointer>,
    /// Pointers to the radio metadata. If omitted or null, uplinks have none.
    #[oai(skip_serializing_if_is_none)]
    radio: Option<Box<RadioMapping>>,
}

/// Pointers to the radio metadata of an uplink. All are optional, and the hub ignores values that it cannot read.
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RadioMapping {
    /// Pointer to the list of receptions, one for each gateway. If it is set, `gateway_pointer`, `rssi_pointer` and
    /// `snr_pointer` are relative to an item of the list, and the uplink has the signal of the best reception. If
    /// omitted or null, they are relative to the body.
    #[oai(skip_serializing_if_is_none)]
    receptions_pointer: Option<JsonPointer>,
    /// Pointer to the identifier of the gateway.
    #[oai(skip_serializing_if_is_none)]
    gateway_pointer: Option<JsonPointer>,
    /// Pointer to the signal strength (RSSI), in dBm.
    #[oai(skip_serializing_if_is_none)]
    rssi_pointer: Option<JsonPointer>,
    /// Pointer to the signal-to-noise ratio, in dB.
    #[oai(skip_serializing_if_is_none)]
    snr_pointer: Option<JsonPointer>,
    /// Pointer to the frequency. The hub reads values below 10,000 as MHz, values below 10,000,000 as kHz, and larger
    /// ones as Hz.
    #[oai(skip_serializing_if_is_none)]
    frequency_pointer: Option<JsonPointer>,
    /// Pointer to the data rate as a string, such as `SF7BW125`.
    #[oai(skip_serializing_if_is_none)]
    data_rate_pointer: Option<JsonPointer>,
    /// Pointer to the spreading factor.
    #[oai(skip_serializing_if_is_none)]
    spread_factor_pointer: Option<JsonPointer>,
    /// Pointer to the bandwidth. The hub reads values below 5,000 as kHz, and larger ones as Hz.
    #[oai(skip_serializing_if_is_none)]
    bandwidth_pointer: Option<JsonPointer>,
}

/// Encoding of a payload.
#[derive(Clone, Copy, Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum PayloadEncoding {
    /// Hexadecimal, two digits for each byte.
    Hex,
    /// Base64, standard or URL-safe.
    Base64,
    /// JSON. The driver receives its text.
    Json,
}

/// Any server with an HTTP API. The hub sends each downlink in one request.
///
/// `url` and `body` can contain the placeholders `{{network_device_id}}`, `{{device}}`, `{{application}}`,
/// `{{tenant}}`, `{{payload_hex}}`, `{{payload_base64}}`, `{{f_port}}`, `{{confirmed}}`, `{{priority}}` and
/// `{{downlink_id}}`. The hub escapes their values for the URL, or for a JSON string.
#[derive(Object, Serialize, Deserialize)]
#[oai(skip_serializing_if_is_none)]
#[serde(deny_unknown_fields)]
#[oai(rename = "HttpDownlinks")]
pub struct Downlinks {
    /// Method of the request.
    method: DownlinkMethod,
    /// Template of the absolute `http://` or `https://` URL, without username and password. Scheme, host and port must
    /// not contain placeholders, so that they are the same for all devices.
    url: HttpUrl,
    /// Template of the body, without control characters except tabs and line breaks. If omitted or null, the request
    /// has no body.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Template>,
    /// Value of the header `Content-Type`, if there is a body: visible ASCII characters, with spaces only inside.
    /// `application/json` if omitted or null.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<HeaderValue>,
    /// Value of the `Authorization` header: visible ASCII characters, with spaces only inside. If there is none, the
    /// hub does not send the header. Responses never contain it. If omitted in an update, the stored value is kept as
    /// long as scheme, host and port of `url` stay the same.
    #[oai(write_only)]
    #[serde(skip_serializing)]
    authorization: Option<HeaderValue>,
    /// TLS settings for the server, such as a private certificate authority or a client certificate. Requires a `url`
    /// that starts with `https://`. If omitted or null, the hub trusts the certificate authorities of its system.
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<ServerTls>,
}

impl Claims for Downlinks {
    fn take_claims(&mut self) -> Vec<Claim> {
        let claim = optional(http::Downlinks::SECRET, self.authorization.as_deref(), URL);
        with_client_key(claim, self.tls.as_mut(), URL)
    }
}

/// Method of an HTTP request.
#[derive(Clone, Copy, Enum, Serialize, Deserialize)]
#[oai(rename_all = "UPPERCASE")]
#[serde(rename_all = "UPPERCASE")]
enum DownlinkMethod {
    Post,
    Put,
}
