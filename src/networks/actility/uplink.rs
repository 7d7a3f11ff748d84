//! Actility's ThingPark over its HTTP tunnel interface.
//!
//! The single member of a message is named after its kind. Numbers are sent as text or as numbers,
//! payloads as hexadecimal digits. A join is sent as an uplink without a payload.
//!
//! ThingPark signs its requests: the query parameter `Token` is SHA-256 over parts of the body, the
//! query and a key shared with the application server (the tunnel interface authentication key). If
//! that key is configured, a message with a wrong token is rejected.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::networks::{
    event::{DownlinkNews, DownlinkState, Event, Names, News, Radio, Report, Uplink},
    lorawan::{self, dev_eui, required_dev_eui},
    malformed::Malformed,
    read::{
        PayloadEncoding, ReportedTime, at, flag, frame_counter, instant, level, number, object,
        payload, place, port, text, whole_number,
    },
    uplink::{Incoming, UplinkNetwork},
};

/// Kind under which the hub handles messages of ThingPark's location engine.
const LOCATION_ENGINE: &str = "location_engine";

/// Name of the AS key among the credentials.
pub const AS_KEY: &str = "as_key";

/// The adapter, which has no settings besides its secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uplinks {}

impl UplinkNetwork for Uplinks {
    fn checks_messages(&self) -> bool {
        true
    }

    fn parse(&self, incoming: Incoming<'_>) -> Result<Event, Malformed> {
        let body = object(incoming.body, "body")?;
        let (kind, document) = document(body);
        let is_uplink = kind == "DevEUI_uplink";
        if is_uplink {
            object(document, &kind)?;
        }
        if let Some(key) = incoming.credentials.and_then(|known| known.get(AS_KEY)) {
            check_token(incoming, &kind, document, key)?;
        }
        let named =
            |error: Malformed| Malformed::new(format!("{kind}.{}", error.field), error.rule);
        if is_uplink {
            let network_device_id = required_dev_eui(document, "DevEUI").map_err(named)?;
            if !is_join(document) {
                let uplink = uplink(document, network_device_id).map_err(named)?;
                return Ok(Event::uplink(uplink));
            }
        }
        let (device, time) = match kind.as_str() {
            LOCATION_ENGINE => ("deviceEUI", "time"),
            _ => ("DevEUI", "Time"),
        };
        Ok(Event::News(News {
            names: names(document),
            time: at(document, time).and_then(instant),
            ..News::new(dev_eui(document, device), report(kind, document))
        }))
    }
}

/// Returns the document in a message with its name, or the message itself if it contains none.
fn document(body: &Value) -> (String, &Value) {
    let members = || body.as_object().into_iter().flatten();
    // Messages of the location engine have no name, and contain objects that are not documents.
    if at(body, "deviceEUI").is_some() {
        return (LOCATION_ENGINE.to_owned(), body);
    }
    members()
        .find(|(name, _)| name.starts_with("DevEUI_"))
        .or_else(|| members().find(|(_, value)| value.is_object()))
        .and_then(|(name, document)| Some((text(&Value::from(name.as_str()))?, document)))
        .unwrap_or_else(|| (crate::networks::event::UNNAMED.to_owned(), body))
}

fn is_join(document: &Value) -> bool {
    let has = |name| at(document, name).is_some();
    has("rawJoinRequest") || !(has("payload_hex") || has("FCntUp"))
}

fn report(kind: String, document: &Value) -> Report {
    let notifies_of = |name: &str| {
        let notice = at(document, "Type").and_then(Value::as_str);
        kind == "DevEUI_notification" && notice.is_some_and(|n| n.eq_ignore_ascii_case(name))
    };
    match kind.as_str() {
        "DevEUI_downlink_Sent" => Report::Downlink(downlink(document, sent_or_not(document))),
        "DevEUI_downlink_Rejected" => {
            let why = "ThingPark rejected the downlink".to_owned();
            Report::Downlink(downlink(document, DownlinkState::Failed(why)))
        }
        "DevEUI_location" => device_place(document).unwrap_or(Report::Other { kind }),
        LOCATION_ENGINE => engine_place(document).unwrap_or(Report::Other { kind }),
        _ if kind == "DevEUI_uplink" || notifies_of("join") => Report::Join {
            dev_addr: at(document, "DevAddr").and_then(text),
        },
        _ if notifies_of("devstatusans") => {
            lorawan::status(at(document, "Var1"), at(document, "Var2"))
        }
        _ => Report::Other { kind },
    }
}

fn sent_or_not(document: &Value) -> DownlinkState {
    // Old releases omit the status and report only downlinks that were sent.
    if at(document, "DeliveryStatus").is_none_or(flag) {
        return DownlinkState::Sent;
    }
    let slots = [("1", "RX1"), ("2", "RX2"), ("3", "ping slot"), ("4", "RXR")];
    let causes = slots.into_iter().filter_map(|(digit, slot)| {
        let cause = at(document, &format!("DeliveryFailedCause{digit}")).and_then(text)?;
        (cause != "00").then(|| format!("{slot}: cause {cause}"))
    });
    let causes: Vec<String> = causes.collect();
    DownlinkState::Failed(format!(
        "ThingPark could not send the downlink ({})",
        causes.join(", ")
    ))
}

fn downlink(document: &Value, state: DownlinkState) -> DownlinkNews {
    let f_cnt_down = at(document, "FCntDn").and_then(whole_number);
    DownlinkNews {
        correlation: None,
        network_reference: at(document, "CorrelationID").and_then(text),
        f_cnt_down: f_cnt_down.and_then(|counter| u32::try_from(counter).ok()),
        state,
    }
}

fn names(document: &Value) -> Names {
    Names {
        device: at(document, "CustomerData.name").and_then(text),
        application: None,
        tenant: at(document, "CustomerID").map(plain),
    }
}

fn uplink(document: &Value, network_device_id: String) -> Result<Uplink, Malformed> {
    let dev_addr = at(document, "DevAddr").and_then(text);
    let is_encrypted = at(document, "PayloadEncryption").is_some_and(flag);
    let read = |value| payload(value, PayloadEncoding::Hex, "payload_hex");
    let sent = at(document, "payload_hex").map_or(Ok(Bytes::new()), read)?;
    let optional_port = at(document, "FPort").map(|value| port(value, "FPort"));
    let counter = at(document, "FCntUp").map(|value| frame_counter(value, "FCntUp"));
    let uplink = Uplink {
        network_device_id,
        names: names(document),
        session: dev_addr.clone(),
        // ThingPark sends one message for each frame and identifies it by its time.
        reception: at(document, "Time")
            .filter(|time| instant(time).is_some())
            .and_then(text),
        f_port: optional_port.transpose()?,
        f_cnt: counter.transpose()?,
        payload: (!is_encrypted).then_some(sent),
        acknowledges: at(document, "ACKbit").is_some_and(flag),
        beside: device_place(document).map(Box::new),
        radio: Radio {
            dev_addr,
            // A confirmed uplink has LoRaWAN's message type 4.
            confirmed: at(document, "MType")
                .and_then(whole_number)
                .map(|message_type| message_type == 4),
            ..radio(document)
        },
        ..Uplink::default()
    };
    Ok(uplink.heard_at(ReportedTime::first([at(document, "Time")], instant)))
}

fn device_place(document: &Value) -> Option<Report> {
    place(document, "DevLAT", "DevLON", "DevAlt", "DevLocRadius")
}

/// Returns the position that the location engine computed; it is a list of longitude, latitude and
/// altitude.
fn engine_place(document: &Value) -> Option<Report> {
    let coordinate = |index: usize| number(at(document, "coordinates")?.get(index)?);
    let (longitude, latitude) = (coordinate(0)?, coordinate(1)?);
    let is_on_map = longitude.abs() <= 180.0 && latitude.abs() <= 90.0;
    is_on_map.then(|| Report::Location {
        latitude,
        longitude,
        altitude_m: coordinate(2),
        accuracy_m: at(document, "horizontalAccuracy").and_then(number),
    })
}

fn radio(document: &Value) -> Radio {
    let receptions = lorawan::receptions(at(document, "Lrrs.Lrr"), "Lrrid", "LrrRSSI", "LrrSNR");
    let mut radio = lorawan::heard(receptions)
        .with_megahertz(at(document, "Frequency"))
        .with_lora(at(document, "SpFact"), None);
    radio.rssi = radio
        .rssi
        .or_else(|| at(document, "LrrRSSI").and_then(level));
    radio.snr = radio.snr.or_else(|| at(document, "LrrSNR").and_then(level));
    radio
}

/// Formats a value as ThingPark signs it: text without its quotes, a number as written.
fn plain(value: &Value) -> String {
    text(value).unwrap_or_else(|| value.to_string().trim_matches('"').to_owned())
}

fn check_token(
    incoming: Incoming<'_>,
    kind: &str,
    document: &Value,
    key: &str,
) -> Result<(), Malformed> {
    const FIELD: &str = "query parameter \"Token\"";
    let Some(token) = incoming.parameter("Token") else {
        return Err(Malformed::new(
            FIELD,
            "is required, because the connection has an AS key",
        ));
    };
    // A timing attack learns nothing useful here, because the hash contains a secret.
    if token.eq_ignore_ascii_case(&expected_token(incoming, kind, document, key)) {
        Ok(())
    } else {
        let rule = "must be the signature of this message with the connection's AS key";
        Err(Malformed::new(FIELD, rule))
    }
}

fn expected_token(incoming: Incoming<'_>, kind: &str, document: &Value, key: &str) -> String {
    const SIGNED: [&str; 5] = ["LrnDevEui", "LrnFPort", "LrnInfos", "AS_ID", "Time"];
    let parts: &[&str] = match kind {
        "DevEUI_uplink" => &["CustomerID", "DevEUI", "FPort", "FCntUp", "payload_hex"],
        "DevEUI_downlink_Sent" => &["CustomerID", "DevEUI", "FPort", "FCntDn"],
        _ => &["CustomerID", "DevEUI"],
    };
    let mut signed = String::new();
    for name in parts {
        let part = at(document, name).map(plain).unwrap_or_default();
        // ThingPark signs a location with the DevEUI in lower case, but writes it in upper case.
        match kind {
            "DevEUI_location" => signed.push_str(&part.to_ascii_lowercase()),
            _ => signed.push_str(&part),
        }
    }
    let query = incoming.query.iter();
    let query = query.filter(|(name, _)| SIGNED.contains(&name.as_str()));
    // The `+` of a time zone is decoded as a space if it was not escaped.
    let query: Vec<String> = query
        .map(|(name, value)| format!("{name}={}", value.replace(' ', "+")))
        .collect();
    signed.push_str(&query.join("&"));
    signed.push_str(&key.to_ascii_lowercase());
    hex::encode(Sha256::digest(signed))
}

#[cfg(test)]
mod tests;
