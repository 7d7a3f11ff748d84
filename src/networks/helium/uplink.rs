//! Helium's Console, as still operated by some providers, over its HTTP integration. (Helium networks
//! based on ChirpStack send ChirpStack's messages.)

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::networks::{
    event::{Event, Names, News, Radio, Report, Uplink},
    lorawan::{self, dev_eui, required_dev_eui},
    malformed::Malformed,
    read::{
        PayloadEncoding, ReportedTime, at, frame_counter, milliseconds, object, payload, port, text,
    },
    uplink::{Incoming, UplinkNetwork},
};

/// The adapter, which has no settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uplinks {}

impl UplinkNetwork for Uplinks {
    fn parse(&self, incoming: Incoming<'_>) -> Result<Event, Malformed> {
        let body = object(incoming.body, "body")?;
        let kind = at(body, "type").and_then(text);
        let is_uplink = match &kind {
            Some(kind) => kind == "uplink",
            None => at(body, "payload").or_else(|| at(body, "fcnt")).is_some(),
        };
        if is_uplink {
            let network_device_id = required_dev_eui(body, "dev_eui")?;
            return uplink(body, network_device_id).map(Event::uplink);
        }
        let report = match kind.unwrap_or_else(|| crate::networks::event::UNNAMED.to_owned()) {
            kind if kind.starts_with("join") => Report::Join {
                dev_addr: at(body, "devaddr").and_then(text),
            },
            kind => Report::Other { kind },
        };
        Ok(Event::News(News {
            names: names(body),
            time: reported_at(body).time,
            ..News::new(dev_eui(body, "dev_eui"), report)
        }))
    }
}

fn names(body: &Value) -> Names {
    Names {
        device: at(body, "id").and_then(text),
        application: at(body, "app_eui").and_then(text),
        tenant: None,
    }
}

/// Returns the time reported by a hotspot. Some send too many digits, which results in a time centuries
/// away.
fn reported_at(body: &Value) -> ReportedTime {
    ReportedTime::first([at(body, "reported_at")], milliseconds)
}

fn uplink(body: &Value, network_device_id: String) -> Result<Uplink, Malformed> {
    let dev_addr = at(body, "devaddr").and_then(text);
    let read = |value| payload(value, PayloadEncoding::Base64, "payload");
    let sent = at(body, "payload").map_or(Ok(Bytes::new()), read)?;
    let optional_port = at(body, "port").map(|value| port(value, "port"));
    let counter = at(body, "fcnt").map(|value| frame_counter(value, "fcnt"));
    let hotspots = at(body, "hotspots");
    let receptions = lorawan::receptions(hotspots, "name", "rssi", "snr");
    let first = hotspots.and_then(|hotspots| hotspots.get(0));
    let of_first = |name| at(first?, name);
    let uplink = Uplink {
        network_device_id,
        names: names(body),
        session: dev_addr.clone(),
        f_port: optional_port.transpose()?,
        f_cnt: counter.transpose()?,
        payload: Some(sent),
        radio: Radio {
            dev_addr,
            ..lorawan::heard(receptions)
                .with_megahertz(of_first("frequency"))
                .with_data_rate(of_first("spreading"))
        },
        ..Uplink::default()
    };
    Ok(uplink.heard_at(reported_at(body)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::networks::{
        read::instant,
        sample::{as_news, as_uplink, sample},
    };

    fn parse(body: &Value) -> Result<Event, Malformed> {
        Uplinks {}.parse(Incoming::of(body))
    }

    #[test]
    fn reads_uplinks() {
        let mut body = sample("helium_console.json");
        let uplink = as_uplink(parse(&body));
        assert_eq!(uplink.network_device_id, "1C29FBD1D2084E21");
        assert_eq!((uplink.f_port, uplink.f_cnt), (Some(1), Some(19)));
        assert_eq!(uplink.payload.as_deref(), Some(&b"Hello, world!"[..]));
        let time = uplink.time.map(|time| time.to_rfc3339());
        assert!(
            time.is_some_and(|time| time.starts_with("2472")),
            "14 digits"
        );
        let radio = uplink.radio;
        assert_eq!(radio.frequency, Some(912_300_000));
        assert_eq!(radio.data_rate.as_deref(), Some("SF9BW125"));
        assert_eq!((radio.rssi, radio.snr), (Some(-51.0), Some(9.0)));
        assert_eq!(radio.receptions[0].gateway, "icy-fiery-hippo");
        body["reported_at"] = json!(1_586_868_546_123_u64);
        let time = instant(&json!("2020-04-14T12:49:06.123Z"));
        assert_eq!(as_uplink(parse(&body)).time, time);
    }

    #[test]
    fn reads_what_else_it_sends() {
        let report = |kind: &str| {
            as_news(parse(&json!({"type": kind, "dev_eui": "1C29FBD1D2084E21"}))).report
        };
        assert_eq!(report("join"), Report::Join { dev_addr: None });
        let kind = "downlink_ack".to_owned();
        assert_eq!(report("downlink_ack"), Report::Other { kind });
        for (body, kind) in [(json!({"type": "test"}), "test"), (json!({}), "unnamed")] {
            let news = as_news(parse(&body));
            let kind = kind.to_owned();
            assert_eq!(
                (news.network_device_id, news.report),
                (None, Report::Other { kind })
            );
        }
        let error = parse(&json!({"payload": ""})).unwrap_err().to_string();
        assert_eq!(
            error,
            "dev_eui: is required: devices are identified by their DevEUI"
        );
    }

    #[test]
    fn the_names_in_the_network_are_kept() {
        let names = names(&json!({"id": "d", "app_eui": "a"}));
        assert_eq!(names.device.as_deref(), Some("d"));
        assert_eq!(names.application.as_deref(), Some("a"));
    }
}
