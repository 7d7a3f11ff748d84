//! Kerlink's Wanesy Management Center, by its HTTP push.
//!
//! Nothing names the kind of a message; an uplink is the one with an uplink counter or a payload.
//! Payloads are hexadecimal digits unless `encodingType` says base64.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Event, Incoming, Malformed, Names, Network, News, PayloadEncoding, Radio, Told, Uplink,
    lorawan::{self, dev_eui, required_dev_eui},
    read::{at, flag, frame_counter, milliseconds, object, payload, port, text},
};

/// The adapter, which is its own settings: reading needs none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kerlink {}

impl Network for Kerlink {
    fn parse(&self, incoming: Incoming<'_>) -> Result<Event, Malformed> {
        let body = object(incoming.body, "body")?;
        if at(body, "fCntUp").is_some() || at(body, "payload").is_some() {
            return uplink(body).map(Event::Uplink);
        }
        let kind = ["type", "eventType"]
            .into_iter()
            .find_map(|name| text(at(body, name)?));
        let kind = kind.unwrap_or_else(|| "event".to_owned());
        let network_device_id = dev_eui(body, "endDevice.devEui")?;
        if network_device_id.is_none() && at(body, "endDevice").is_none() {
            let rule = "is required: every message is about a device";
            return Err(Malformed::new("endDevice", rule));
        }
        let told = match kind.to_ascii_lowercase().contains("join") {
            true => Told::Join {
                dev_addr: at(body, "endDevice.devAddr").and_then(text),
            },
            false => Told::Other { kind },
        };
        Ok(Event::News(News {
            names: names(body),
            ..News::new(network_device_id, told)
        }))
    }
}

fn names(body: &Value) -> Names {
    let cluster = at(body, "endDevice.cluster.id");
    Names {
        device: at(body, "endDevice.name").and_then(text),
        application: cluster.and_then(|id| text(id).or_else(|| Some(id.as_u64()?.to_string()))),
        tenant: None,
    }
}

fn uplink(body: &Value) -> Result<Uplink, Malformed> {
    let dev_addr = at(body, "endDevice.devAddr").and_then(text);
    let encoding = match at(body, "encodingType").and_then(Value::as_str) {
        Some(encoding) if encoding.eq_ignore_ascii_case("base64") => PayloadEncoding::Base64,
        _ => PayloadEncoding::Hex,
    };
    let read = |value| payload(value, encoding, "payload");
    let sent = at(body, "payload").map_or(Ok(Bytes::new()), read)?;
    let is_encrypted = at(body, "encrypted").is_some_and(flag);
    let time = at(body, "recvTime").map(|value| {
        let rule = "must be Unix time in milliseconds, 1970 to 9999";
        milliseconds(value).ok_or_else(|| Malformed::new("recvTime", rule))
    });
    let optional_port = at(body, "fPort").map(|value| port(value, "fPort"));
    let counter = at(body, "fCntUp").map(|value| frame_counter(value, "fCntUp"));
    let receptions = lorawan::receptions(at(body, "gwInfo"), "gwEui", "rssi", "snr");
    Ok(Uplink {
        network_device_id: required_dev_eui(body, "endDevice.devEui")?,
        names: names(body),
        session: dev_addr.clone(),
        f_port: optional_port.transpose()?,
        f_cnt: counter.transpose()?,
        payload: (!is_encrypted).then_some(sent),
        time: time.transpose()?,
        radio: Radio {
            dev_addr,
            modulation: at(body, "modulation").and_then(text),
            coding_rate: at(body, "codingRate").and_then(text),
            confirmed: at(body, "confirmed").map(flag),
            ..lorawan::heard(receptions)
                .with_megahertz(at(body, "ulFrequency"))
                .with_data_rate(at(body, "dataRate"))
        },
        ..Uplink::default()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::uplink::networks::{
        read::instant,
        sample::{as_news, as_uplink, sample},
    };

    fn parse(body: &Value) -> Result<Event, Malformed> {
        Kerlink {}.parse(Incoming::of(body))
    }

    #[test]
    fn reads_uplinks() {
        let uplink = as_uplink(parse(&sample("kerlink_wanesy.json")));
        assert_eq!(uplink.network_device_id, "343737394A336F09");
        assert_eq!((uplink.f_port, uplink.f_cnt), (Some(2), Some(6940)));
        assert_eq!(uplink.time, instant(&json!("2019-07-08T13:18:36.089Z")));
        let bytes = uplink.payload.expect("decrypted");
        assert_eq!(hex::encode(bytes), "0027800bddfd773b447bf9fede870046");
        assert_eq!(uplink.session.as_deref(), Some("24004F6B"));
        assert_eq!(uplink.names.application.as_deref(), Some("1"));
        let radio = uplink.radio;
        assert_eq!(radio.frequency, Some(868_300_000));
        assert_eq!(radio.data_rate.as_deref(), Some("SF12BW125"));
        assert_eq!((radio.rssi, radio.snr), (Some(-107.0), Some(-7.0)));
        assert_eq!(radio.receptions[0].gateway, "7276FF0039030436");
    }

    #[test]
    fn payloads_come_in_either_encoding_or_encrypted() {
        let mut body = sample("kerlink_wanesy.json");
        body["payload"] = json!("ACeA");
        body["encodingType"] = json!("BASE64");
        let bytes = as_uplink(parse(&body)).payload;
        assert_eq!(bytes.as_deref(), Some(&[0, 0x27, 0x80][..]));
        body["encrypted"] = json!(true);
        assert_eq!(as_uplink(parse(&body)).payload, None);
    }

    #[test]
    fn anything_else_is_news_of_the_device() {
        let device = json!({"devEui": "343737394A336F09"});
        let news = as_news(parse(&json!({"endDevice": device, "status": "OK"})));
        assert_eq!(news.network_device_id.as_deref(), Some("343737394A336F09"));
        let kind = "event".to_owned();
        assert_eq!(news.told, Told::Other { kind });
        let news = as_news(parse(&json!({"endDevice": device, "type": "JOIN_ACCEPT"})));
        assert_eq!(news.told, Told::Join { dev_addr: None });
        let error = parse(&json!({})).unwrap_err().to_string();
        assert_eq!(
            error,
            "endDevice: is required: every message is about a device"
        );
    }
}
