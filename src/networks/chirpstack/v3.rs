//! Converts messages of ChirpStack v3 to the form of v4.
//!
//! v3 writes `devEUI` instead of `devEui`, holds the device's names in the message itself, and encodes
//! EUIs and addresses in base64. With the marshaler `json_v3` they are hexadecimal digits.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use crate::networks::read::{at, number};

/// Returns a message in the form of v4, or `None` if it is not a message of v3.
pub fn as_newer(body: &Value) -> Option<Value> {
    let body = body.as_object()?;
    if body.contains_key("deviceInfo") || !body.contains_key("devEUI") {
        return None;
    }
    let mut newer = body.clone();
    let names = [
        ("applicationID", "applicationId"),
        ("applicationName", "applicationName"),
        ("deviceName", "deviceName"),
        ("deviceProfileID", "deviceProfileId"),
    ];
    let mut info = Map::new();
    info.insert("devEui".to_owned(), digits(body.get("devEUI"), 8));
    for (old, new) in names {
        if let Some(value) = newer.remove(old) {
            info.insert(new.to_owned(), value);
        }
    }
    newer.insert("deviceInfo".to_owned(), Value::Object(info));
    newer.insert("devAddr".to_owned(), digits(body.get("devAddr"), 4));
    if let Some(confirmed) = newer.remove("confirmedUplink") {
        newer.insert("confirmed".to_owned(), confirmed);
    }
    if let Some(receptions) = body.get("rxInfo").and_then(Value::as_array) {
        newer.insert(
            "rxInfo".to_owned(),
            receptions.iter().map(reception).collect(),
        );
    }
    if let Some(sent) = body.get("txInfo").filter(|sent| sent.is_object()) {
        newer.insert("txInfo".to_owned(), transmission(sent));
    }
    if at(&Value::Object(body.clone()), "time").is_none()
        && let Some(time) = time(body)
    {
        newer.insert("time".to_owned(), time);
    }
    Some(Value::Object(newer))
}

/// Converts an EUI or address in either form to hexadecimal digits; null if it has neither form.
fn digits(value: Option<&Value>, bytes: usize) -> Value {
    let Some(text) = value.and_then(Value::as_str) else {
        return Value::Null;
    };
    let is_hexadecimal = text.len() == 2 * bytes && text.bytes().all(|b| b.is_ascii_hexdigit());
    if is_hexadecimal {
        return text.into();
    }
    let decoded = STANDARD.decode(text).ok();
    let decoded = decoded.filter(|decoded| decoded.len() == bytes);
    decoded.map_or(Value::Null, |decoded| hex::encode(decoded).into())
}

fn reception(old: &Value) -> Value {
    json!({
        "gatewayId": digits(old.get("gatewayID"), 8),
        "rssi": old.get("rssi"),
        "snr": old.get("loRaSNR"),
        "time": old.get("time"),
        "context": old.get("context"),
    })
}

fn transmission(old: &Value) -> Value {
    let kilohertz = |path| {
        at(old, path)
            .and_then(number)
            .map(|kilohertz| kilohertz * 1e3)
    };
    let modulation = match at(old, "modulation").and_then(Value::as_str) {
        Some("FSK") => json!({"fsk": {"datarate": at(old, "fskModulationInfo.datarate")}}),
        Some("LR_FHSS") => json!({"lrFhss": {
            "operatingChannelWidth": at(old, "lrFHSSModulationInfo.operatingChannelWidth"),
            "codeRate": at(old, "lrFHSSModulationInfo.codeRate"),
        }}),
        _ => json!({"lora": {
            "bandwidth": kilohertz("loRaModulationInfo.bandwidth"),
            "spreadingFactor": at(old, "loRaModulationInfo.spreadingFactor"),
            "codeRate": at(old, "loRaModulationInfo.codeRate"),
        }}),
    };
    json!({"frequency": old.get("frequency"), "modulation": modulation})
}

/// Returns the time of the first gateway that sent one, or else the time of publication.
fn time(body: &Map<String, Value>) -> Option<Value> {
    let receptions = body.get("rxInfo").and_then(Value::as_array);
    let times = receptions.into_iter().flatten().map(|one| at(one, "time"));
    let published = [body.get("publishedAt")];
    let mut times = times
        .chain(published)
        .flatten()
        .filter(|time| time.is_string());
    times.next().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::networks::{
        chirpstack::uplink::Uplinks,
        event::{Event, Report},
        malformed::Malformed,
        sample::{as_news, as_uplink},
        uplink::{Incoming, UplinkNetwork},
    };

    fn parse(kind: &str, body: &Value) -> Result<Event, Malformed> {
        let query = [("event".to_owned(), kind.to_owned())];
        Uplinks {}.parse(Incoming {
            query: &query,
            ..Incoming::of(body)
        })
    }

    fn uplink() -> Value {
        json!({
            "applicationID": "1", "applicationName": "a", "deviceName": "d",
            "devEUI": "ABEiM0RVZnc=", "devAddr": "AAAAAQ==", "dr": 5, "fCnt": 10, "fPort": 5,
            "confirmedUplink": true, "data": "AQI=", "objectJSON": "",
            "rxInfo": [{"gatewayID": "AAAAAAAAAAE=", "time": null, "rssi": -48, "loRaSNR": 9}],
            "txInfo": {"frequency": 868_100_000, "modulation": "LORA",
                "loRaModulationInfo": {"bandwidth": 125, "spreadingFactor": 7, "codeRate": "4/5"}},
            "publishedAt": "2024-01-02T03:04:05.678Z",
        })
    }

    #[test]
    fn reads_uplinks_in_both_forms() {
        let mut hexadecimal = uplink();
        hexadecimal["devEUI"] = json!("0011223344556677");
        hexadecimal["devAddr"] = json!("00000001");
        hexadecimal["rxInfo"][0]["gatewayID"] = json!("0000000000000001");
        for body in [uplink(), hexadecimal] {
            let uplink = as_uplink(parse("up", &body));
            assert_eq!(uplink.network_device_id, "0011223344556677");
            assert_eq!((uplink.f_port, uplink.f_cnt), (Some(5), Some(10)));
            assert_eq!(uplink.payload.as_deref(), Some(&[1, 2][..]));
            assert_eq!(uplink.session.as_deref(), Some("00000001"));
            assert_eq!(uplink.names.application.as_deref(), Some("1"));
            assert_eq!(uplink.names.device.as_deref(), Some("d"));
            let time = uplink.time.map(|time| time.to_rfc3339());
            assert_eq!(time.as_deref(), Some("2024-01-02T03:04:05.678+00:00"));
            let radio = uplink.radio;
            assert_eq!((radio.rssi, radio.snr), (Some(-48.0), Some(9.0)));
            assert_eq!(radio.receptions[0].gateway, "0000000000000001");
            assert_eq!(radio.data_rate.as_deref(), Some("SF7BW125"));
            assert_eq!(radio.coding_rate.as_deref(), Some("4/5"));
            assert_eq!(radio.confirmed, Some(true));
        }
    }

    #[test]
    fn reads_what_else_it_sends() {
        let join = json!({"devEUI": "ABEiM0RVZnc=", "devAddr": "AAAAAQ==", "dr": 5});
        let news = as_news(parse("join", &join));
        assert_eq!(news.network_device_id.as_deref(), Some("0011223344556677"));
        let dev_addr = Some("00000001".to_owned());
        assert_eq!(news.report, Report::Join { dev_addr });
        let odd = as_news(parse("join", &json!({"devEUI": "?", "devAddr": 1})));
        assert_eq!(odd.network_device_id, None);
    }

    #[test]
    fn reads_each_modulation() {
        let radio = |modulation: &str, details: Value| {
            let mut body = uplink();
            body["txInfo"] = json!({"frequency": 868_100_000, "modulation": modulation});
            for (name, value) in details.as_object().unwrap() {
                body["txInfo"][name] = value.clone();
            }
            as_uplink(parse("up", &body)).radio
        };
        let fsk = radio("FSK", json!({"fskModulationInfo": {"datarate": 50_000}}));
        assert_eq!(fsk.modulation.as_deref(), Some("FSK"));
        assert_eq!(fsk.data_rate.as_deref(), Some("50000"));
        let details = json!({"operatingChannelWidth": 137_000, "codeRate": "2/6"});
        let hopping = radio("LR_FHSS", json!({"lrFHSSModulationInfo": details}));
        assert_eq!(hopping.modulation.as_deref(), Some("LR_FHSS"));
        assert_eq!(hopping.coding_rate.as_deref(), Some("2/6"));
    }

    #[test]
    fn messages_of_v4_stay_as_they_are() {
        let both = json!({"devEUI": "0011223344556677", "deviceInfo": {}});
        for body in [both, json!({"devEui": "0011223344556677"}), json!([])] {
            assert_eq!(as_newer(&body), None, "{body}");
        }
    }
}
