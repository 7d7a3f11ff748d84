//! The Things Stack v3 (The Things Network, The Things Industries and private stacks) over webhooks.
//!
//! Messages are protocol buffers as JSON, which **omits every zero**: an absent `f_port` is port 0, an
//! absent `f_cnt` is counter 0, an absent `frm_payload` is empty, an absent `snr` next to an `rssi` is
//! 0 dB. (An absent `rssi` is unknown, because no gateway measures 0 dBm.)
//!
//! Devices are identified by their DevEUI. The stack's own `device_id` is not unique across
//! applications.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::networks::{
    downlink::CORRELATION_PREFIX,
    event::{DownlinkNews, DownlinkState, Event, Names, News, Radio, Reception, Report, Uplink},
    lorawan::{best, dev_eui, required_dev_eui},
    malformed::Malformed,
    read::{
        MAX_RECEPTIONS, PayloadEncoding, ReportedTime, at, flag, frame_counter, instant, level,
        location, number, object, payload, port, text, whole_number,
    },
    uplink::{Incoming, UplinkNetwork},
};

/// Path of the DevEUI.
const DEV_EUI: &str = "end_device_ids.dev_eui";
/// Path of the time of reception.
const RECEIVED_AT: &str = "received_at";

/// The adapter, which has no settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uplinks {}

impl UplinkNetwork for Uplinks {
    fn parse(&self, incoming: Incoming<'_>) -> Result<Event, Malformed> {
        let body = object(incoming.body, "body")?;
        if let Some(message) = body.get("uplink_message") {
            let message = object(message, "uplink_message")?;
            return uplink(body, message).map(Event::uplink);
        }
        let (kind, message) = other_kind(body).unwrap_or((crate::networks::event::UNNAMED, body));
        Ok(Event::News(News {
            names: names(body),
            time: at(message, "received_at")
                .or_else(|| at(body, "received_at"))
                .and_then(instant),
            ..News::new(dev_eui(body, DEV_EUI), report(kind, body, message))
        }))
    }
}

/// Returns the kind and the content of a message other than an uplink: the first member that is not
/// common to all messages.
fn other_kind(body: &Value) -> Option<(&str, &Value)> {
    const OF_EVERY_MESSAGE: [&str; 4] = [
        "end_device_ids",
        "correlation_ids",
        "received_at",
        "simulated",
    ];
    let others = || {
        let members = body.as_object().into_iter().flatten();
        let members = members.map(|(name, value)| (name.as_str(), value));
        members.filter(|(name, _)| !OF_EVERY_MESSAGE.contains(name))
    };
    let mut objects = others().filter(|(_, value)| value.is_object());
    objects.next().or_else(|| others().next())
}

fn report(kind: &str, body: &Value, message: &Value) -> Report {
    let downlink = |message, state| Report::Downlink(downlink(body, message, state));
    let other = || Report::Other {
        kind: text(&Value::from(kind))
            .unwrap_or_else(|| crate::networks::event::UNNAMED.to_owned()),
    };
    match kind {
        "join_accept" => Report::Join {
            dev_addr: at(body, "end_device_ids.dev_addr").and_then(text),
        },
        "downlink_queued" => downlink(message, DownlinkState::Queued),
        "downlink_sent" => downlink(message, DownlinkState::Sent),
        "downlink_ack" => downlink(message, DownlinkState::Acknowledged),
        // The application server repeats the downlink until it is acknowledged or `downlink_failed`.
        "downlink_nack" => downlink(message, DownlinkState::NotAcknowledgedYet),
        "downlink_failed" => {
            let why = ["error.message_format", "error.name"];
            let why = why.into_iter().find_map(|path| text(at(message, path)?));
            let why =
                why.unwrap_or_else(|| "The Things Stack could not send the downlink".to_owned());
            let failed = at(message, "downlink").unwrap_or(message);
            downlink(failed, DownlinkState::Failed(why))
        }
        "location_solved" => location(message, "location").unwrap_or_else(other),
        _ => other(),
    }
}

fn downlink(body: &Value, message: &Value, state: DownlinkState) -> DownlinkNews {
    let ids = [at(message, "correlation_ids"), at(body, "correlation_ids")];
    let ids = ids.into_iter().flatten().filter_map(Value::as_array);
    let mut ids = ids.flatten().filter_map(text);
    let correlation = |id: &String| id.strip_prefix(CORRELATION_PREFIX).map(str::to_owned);
    DownlinkNews {
        network_reference: ids.clone().find(|id| id.starts_with("as:downlink:")),
        correlation: ids.find_map(|id| correlation(&id)),
        f_cnt_down: at(message, "f_cnt")
            .and_then(whole_number)
            .and_then(|counter| u32::try_from(counter).ok()),
        state,
    }
}

fn names(body: &Value) -> Names {
    let name = |path| at(body, path).and_then(text);
    Names {
        device: name("end_device_ids.device_id"),
        application: name("end_device_ids.application_ids.application_id"),
        tenant: None,
    }
}

fn uplink(body: &Value, message: &Value) -> Result<Uplink, Malformed> {
    let network_device_id = required_dev_eui(body, DEV_EUI)?;
    let uplink = Uplink {
        network_device_id,
        names: names(body),
        reception: reception(body, message),
        session: at(message, "session_key_id")
            .or_else(|| at(body, "end_device_ids.dev_addr"))
            .and_then(text),
        f_port: Some(at(message, "f_port").map_or(Ok(0), |v| port(v, "uplink_message.f_port"))?),
        f_cnt: Some(
            at(message, "f_cnt").map_or(Ok(0), |v| frame_counter(v, "uplink_message.f_cnt"))?,
        ),
        payload: application_payload(message)?,
        radio: radio(body, message),
        ..Uplink::default()
    };
    // The network server's time of reception is preferred to the application server's. The gateway's
    // (`settings.time`) is not used, because gateway clocks are unreliable.
    let times = [at(message, RECEIVED_AT), at(body, RECEIVED_AT)];
    Ok(uplink.heard_at(ReportedTime::first(times, instant)))
}

/// Returns the id of the reception. The stack sends one message for each frame, with its time of
/// reception to the nanosecond, which serves as the id. If the time is absent, the first correlation id
/// of the uplink is used.
fn reception(body: &Value, message: &Value) -> Option<String> {
    let times = [at(message, RECEIVED_AT), at(body, RECEIVED_AT)];
    let is_set = |value: &&Value| instant(value).is_some();
    let time = times.into_iter().flatten().find(is_set).and_then(text);
    let ids = [at(message, "correlation_ids"), at(body, "correlation_ids")];
    let ids = ids.into_iter().flatten().filter_map(Value::as_array);
    let is_of_uplink = |id: &String| id.starts_with("gs:uplink:") || id.starts_with("as:up:");
    time.or_else(|| ids.flatten().filter_map(text).find(is_of_uplink))
}

fn application_payload(message: &Value) -> Result<Option<Bytes>, Malformed> {
    // The stack sends the session key only if the application decrypts the payload itself
    // (`skip_payload_crypto`); the payload is then ciphertext.
    if at(message, "app_s_key").is_some() {
        return Ok(None);
    }
    at(message, "frm_payload").map_or(Ok(Some(Bytes::new())), |value| {
        payload(value, PayloadEncoding::Base64, "uplink_message.frm_payload").map(Some)
    })
}

fn radio(body: &Value, message: &Value) -> Radio {
    let rate = |path| at(at(message, "settings.data_rate")?, path);
    let modulation = [("lora", "LORA"), ("fsk", "FSK"), ("lrfhss", "LR_FHSS")]
        .into_iter()
        .find_map(|(member, name)| rate(member).map(|_| name));
    // Newer stacks send it inside the data rate, older ones next to it.
    let coding_rate = rate("lora.coding_rate")
        .or_else(|| rate("lrfhss.coding_rate"))
        .or_else(|| at(message, "settings.coding_rate"));
    let receptions = receptions(message, modulation == Some("LORA"));
    let best = best(&receptions);
    let radio = Radio {
        modulation: modulation.map(str::to_owned),
        data_rate: rate("fsk.bit_rate")
            .and_then(whole_number)
            .map(|bits| bits.to_string()),
        coding_rate: coding_rate.and_then(text),
        rssi: best.and_then(|best| best.rssi),
        snr: best.and_then(|best| best.snr),
        confirmed: Some(at(message, "confirmed").is_some_and(flag)),
        dev_addr: at(body, "end_device_ids.dev_addr").and_then(text),
        battery_percent: at(message, "last_battery_percentage").and_then(battery_percent),
        receptions,
        ..Radio::default()
    };
    let bandwidth = rate("lora.bandwidth").or_else(|| rate("lrfhss.operating_channel_width"));
    radio
        .with_hertz(at(message, "settings.frequency"))
        .with_lora(rate("lora.spreading_factor"), bandwidth)
}

/// Parses the last reported battery level; an absent value is zero.
fn battery_percent(report: &Value) -> Option<f64> {
    let charge = at(report, "value").map_or(Some(0.0), number)?;
    (0.0..=100.0).contains(&charge).then_some(charge)
}

fn receptions(message: &Value, is_lora: bool) -> Vec<Reception> {
    let all = at(message, "rx_metadata")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let kept = all.iter().take(MAX_RECEPTIONS);
    kept.map(|item| {
        let rssi = at(item, "rssi").and_then(level);
        Reception {
            gateway: gateway(item).unwrap_or_default(),
            rssi,
            snr: match at(item, "snr") {
                Some(snr) => level(snr),
                None if is_lora && rssi.is_some() => Some(0.0),
                None => None,
            },
            time: at(item, "time").and_then(instant),
        }
    })
    .collect()
}

/// Returns the gateway's id. For a gateway of another network this is its id there, not Packet Broker's
/// id, which is the same for all of them.
fn gateway(item: &Value) -> Option<String> {
    [
        "packet_broker.forwarder_gateway_id",
        "packet_broker.forwarder_gateway_eui",
        "gateway_ids.gateway_id",
        "gateway_ids.eui",
    ]
    .into_iter()
    .find_map(|path| at(item, path).and_then(text))
}

#[cfg(test)]
mod tests;
