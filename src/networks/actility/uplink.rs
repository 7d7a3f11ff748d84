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
    event::{DownlinkNews, DownlinkState, Event, Names, News, Radio, Told, Uplink},
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
            ..News::new(dev_eui(document, device), told(kind, document))
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

fn told(kind: String, document: &Value) -> Told {
    let notifies_of = |name: &str| {
        let notice = at(document, "Type").and_then(Value::as_str);
        kind == "DevEUI_notification" && notice.is_some_and(|n| n.eq_ignore_ascii_case(name))
    };
    match kind.as_str() {
        "DevEUI_downlink_Sent" => Told::Downlink(downlink(document, sent_or_not(document))),
        "DevEUI_downlink_Rejected" => {
            let why = "ThingPark rejected the downlink".to_owned();
            Told::Downlink(downlink(document, DownlinkState::Failed(why)))
        }
        "DevEUI_location" => device_place(document).unwrap_or(Told::Other { kind }),
        LOCATION_ENGINE => engine_place(document).unwrap_or(Told::Other { kind }),
        _ if kind == "DevEUI_uplink" || notifies_of("join") => Told::Join {
            dev_addr: at(document, "DevAddr").and_then(text),
        },
        _ if notifies_of("devstatusans") => {
            lorawan::status(at(document, "Var1"), at(document, "Var2"))
        }
        _ => Told::Other { kind },
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

fn device_place(document: &Value) -> Option<Told> {
    place(document, "DevLAT", "DevLON", "DevAlt", "DevLocRadius")
}

/// Returns the position that the location engine computed; it is a list of longitude, latitude and
/// altitude.
fn engine_place(document: &Value) -> Option<Told> {
    let coordinate = |index: usize| number(at(document, "coordinates")?.get(index)?);
    let (longitude, latitude) = (coordinate(0)?, coordinate(1)?);
    let is_on_map = longitude.abs() <= 180.0 && latitude.abs() <= 90.0;
    is_on_map.then(|| Told::Location {
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
mod tests {
    use serde_json::json;

    use super::*;
    use crate::networks::sample::{as_news, as_uplink, sample};
    use crate::secret::Credentials;

    fn parse(body: &Value) -> Result<Event, Malformed> {
        Uplinks {}.parse(Incoming::of(body))
    }

    #[test]
    fn reads_uplinks_with_numbers_as_text_and_as_numbers() {
        let uplink = as_uplink(parse(&sample("actility_thingpark.json")));
        assert_eq!(uplink.network_device_id, "0018B20000000B20");
        assert_eq!((uplink.f_port, uplink.f_cnt), (Some(1), Some(1174)));
        let bytes = uplink.payload.expect("in the clear");
        assert_eq!(hex::encode(bytes), "9e1c4852512000220020e3831071");
        assert_eq!(uplink.session.as_deref(), Some("04D2848E"));
        assert_eq!(uplink.names.device.as_deref(), Some("My Demo Device"));
        assert_eq!(uplink.names.tenant.as_deref(), Some("1100000077"));
        assert_eq!(uplink.time, instant(&json!("2018-10-03T13:38:46.882Z")));
        let radio = uplink.radio;
        assert_eq!(radio.frequency, Some(868_100_000));
        assert_eq!((radio.rssi, radio.snr), (Some(-80.0), Some(7.0)));
        assert_eq!(
            (radio.spread_factor, radio.confirmed),
            (Some(7), Some(true))
        );

        let uplink = as_uplink(parse(&sample("actility_thingpark_decoded.json")));
        assert_eq!((uplink.f_port, uplink.f_cnt), (Some(17), Some(265)));
        assert_eq!(uplink.radio.receptions.len(), 2);
        for name in [
            "actility_thingpark_tb.json",
            "actility_thingpark_enterprise_tb.json",
        ] {
            let uplink = as_uplink(parse(&sample(name)));
            assert_eq!((uplink.f_port, uplink.f_cnt), (Some(1), Some(26)), "{name}");
        }
    }

    #[test]
    fn a_join_has_no_payload() {
        let news = as_news(parse(&sample("actility_thingpark_join.json")));
        assert_eq!(news.network_device_id.as_deref(), Some("0018B20000000B20"));
        assert_eq!(news.told, Told::Join { dev_addr: None });
        // A frame with a counter and without a payload is an uplink.
        let body = json!({"DevEUI_uplink": {"DevEUI": "0018b20000000b20", "FCntUp": "7"}});
        let uplink = as_uplink(parse(&body));
        assert_eq!(
            (uplink.f_cnt, uplink.payload),
            (Some(7), Some(Bytes::new()))
        );
        assert_eq!(uplink.f_port, None);
    }

    #[test]
    fn reads_what_else_it_sends() {
        let told = |body: Value| as_news(parse(&body)).told;
        let sent = sample("actility_downlink_sent.json");
        let Told::Downlink(news) = told(sent.clone()) else {
            panic!("no downlink");
        };
        assert_eq!(
            (news.state, news.f_cnt_down),
            (DownlinkState::Sent, Some(1))
        );
        let mut failed = sent;
        failed["DevEUI_downlink_Sent"]["DeliveryStatus"] = json!("0");
        failed["DevEUI_downlink_Sent"]["DeliveryFailedCause2"] = json!("B0");
        failed["DevEUI_downlink_Sent"]["CorrelationID"] = json!("00000000000000a1");
        let Told::Downlink(news) = told(failed) else {
            panic!("no downlink");
        };
        let why = "ThingPark could not send the downlink (RX1: cause C0, RX2: cause B0)";
        assert_eq!(news.state, DownlinkState::Failed(why.to_owned()));
        assert_eq!(news.network_reference.as_deref(), Some("00000000000000a1"));
        assert_eq!(
            told(sample("actility_location.json")),
            Told::Location {
                latitude: 51.907_218,
                longitude: 4.489_303,
                altitude_m: Some(0.0),
                accuracy_m: Some(0.0)
            }
        );
        let notice = |kind: &str| {
            told(
                json!({"DevEUI_notification": {"DevEUI": "0018B20000000B20", "Type": kind,
                "Var1": "254", "Var2": "-7"}}),
            )
        };
        assert_eq!(
            notice("devstatusans"),
            Told::Status {
                battery_percent: Some(100.0),
                battery_v: None,
                external_power: Some(false),
                margin_db: Some(-7.0)
            }
        );
        assert_eq!(notice("join"), Told::Join { dev_addr: None });
        for (kind, body) in [
            (
                "DevEUI_multicast_summary",
                json!({"DevEUI_multicast_summary": {"DevEUI": "0018B20000000B20"}}),
            ),
            ("DevEUI_new", json!({"DevEUI_new": {}})),
            ("DevEUI_new", json!({"DevEUI_new": {"DevEUI": "?"}})),
            ("Something_new", json!({"v": 1, "Something_new": {}})),
            ("unnamed", json!({})),
        ] {
            let kind = kind.to_owned();
            assert_eq!(told(body), Told::Other { kind });
        }
    }

    /// Examples published by KPN with their key: public test data.
    #[test]
    fn the_token_is_checked_where_the_key_is_known() {
        const KEY: &str = "c6f5e3b263092120b8766b9aed9c41b4";
        let device = "0059AC0000000001";
        let table = [
            (
                "0059AC0000000001",
                "1",
                "5b7ec8b0b2c250fc792c76348de3b16ff04e27050baf8a37c891dcc85e88b0d4",
                json!({"DevEUI_uplink": {"DevEUI": device, "FPort": "1", "FCntUp": "1",
                       "payload_hex": "000102030405", "CustomerID": "100000001"}}),
            ),
            (
                "0059AC0000000001",
                "1",
                "345dc204c72a9769441c4700cd0a0fb76c5b356e3931540e891fc7e68f236c98",
                json!({"DevEUI_downlink_Sent": {"DevEUI": device, "FPort": 1, "FCntDn": 1,
                       "CustomerID": 100_000_001}}),
            ),
            (
                "0059ac0000000001",
                "0",
                "d23b3507663d817c77d124cfbe4f1d5a67ba957e91471b39512b8f103fe46a17",
                json!({"DevEUI_location": {"DevEUI": device, "CustomerID": "100000001"}}),
            ),
        ];
        let known = Credentials::default().with(AS_KEY, KEY.to_ascii_uppercase());
        for (eui, port, token, body) in table {
            let query = [
                ("LrnDevEui", eui),
                ("LrnFPort", port),
                ("LrnInfos", "TWA_100000001.999.AS-1-12345678"),
                ("AS_ID", "TWA_100000001.999"),
                ("Time", "2018-01-12T10:00:00.000 01:00"),
                ("Token", token),
            ];
            let query = query.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let with = |query: &[(String, String)], body: &Value| {
                Uplinks {}.parse(Incoming {
                    body,
                    query,
                    topic: None,
                    credentials: Some(&known),
                })
            };
            assert!(with(&query, &body).is_ok(), "{body}");
            let rule =
                "query parameter \"Token\": is required, because the connection has an AS key";
            assert_eq!(with(&query[..5], &body).unwrap_err().to_string(), rule);
            let mut forged = query.clone();
            forged[1].1 = "7".to_owned();
            let error = with(&forged, &body).unwrap_err();
            assert_eq!(error.field, "query parameter \"Token\"");
        }
    }

    #[test]
    fn faults_name_the_place_and_the_rule() {
        let error = |body: Value| parse(&body).unwrap_err().to_string();
        let of = |document| error(json!({"DevEUI_uplink": document}));
        assert_eq!(of(json!(7)), "DevEUI_uplink: must be a JSON object");
        let eui = json!({"DevEUI": "XXXXXXXXXXXXXXXX", "FCntUp": 1});
        assert_eq!(
            of(eui),
            "DevEUI_uplink.DevEUI: must be 16 hexadecimal digits"
        );
        let odd = json!({"DevEUI": "0018B20000000B20", "payload_hex": "0"});
        assert!(of(odd).starts_with("DevEUI_uplink.payload_hex: must be hexadecimal"));
    }
}
