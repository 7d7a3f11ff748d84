//! Everynet over its HTTP data API.
//!
//! `type` is the kind of the message, `meta` identifies the device, and `params` contains the rest.
//! Copies of a frame from other gateways have `params.duplicate` set.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::networks::{
    event::{DownlinkNews, DownlinkState, Event, Names, News, Radio, Reception, Report, Uplink},
    lorawan::{dev_eui, required_dev_eui, status},
    malformed::Malformed,
    read::{
        PayloadEncoding, ReportedTime, at, flag, frame_counter, level, object, payload, place,
        port, text, unix_time, whole_number,
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
        let kind = match at(body, "type").and_then(text) {
            Some(kind) if kind == "uplink" => return uplink(body).map(Event::uplink),
            Some(kind) => kind,
            // An uplink without its kind must not be stored as another message.
            None if at(body, "params.counter_up").is_some() => {
                return Err(Malformed::new("type", "is required, such as uplink"));
            }
            None => crate::networks::event::UNNAMED.to_owned(),
        };
        Ok(Event::News(News {
            names: names(body),
            time: time(body).time,
            ..News::new(dev_eui(body, "meta.device"), report(kind, body))
        }))
    }
}

fn report(kind: String, body: &Value) -> Report {
    let dev_addr = || at(body, "meta.device_addr").and_then(text);
    let message = || {
        let mut names = ["params.message", "params.text"].into_iter();
        let message = names.find_map(|name| text(at(body, name)?));
        message.unwrap_or_else(|| format!("the network server sent {kind}"))
    };
    let code = || at(body, "params.code").and_then(text);
    match kind.as_str() {
        "join_request" | "join_response" | "join_accept" | "join" => Report::Join {
            dev_addr: dev_addr(),
        },
        "status_response" => status(at(body, "params.battery"), at(body, "params.margin")),
        "downlink" => Report::Downlink(DownlinkNews {
            correlation: None,
            network_reference: at(body, "meta.packet_id").and_then(text),
            f_cnt_down: at(body, "params.counter_down")
                .and_then(whole_number)
                .and_then(|counter| u32::try_from(counter).ok()),
            state: DownlinkState::Sent,
        }),
        "location" => at(body, "params")
            .and_then(|params| place(params, "lat", "lng", "alt", "accuracy"))
            .unwrap_or(Report::Other { kind }),
        "error" => Report::Error {
            code: code(),
            message: message(),
        },
        "warning" | "info" => Report::Log {
            level: Some(kind.clone()),
            code: code(),
            message: message(),
        },
        _ => Report::Other { kind },
    }
}

fn names(body: &Value) -> Names {
    let name = |path| at(body, path).and_then(text);
    Names {
        device: None,
        application: name("meta.application"),
        tenant: name("meta.network"),
    }
}

fn time(body: &Value) -> ReportedTime {
    let places = [at(body, "params.rx_time"), at(body, "meta.time")];
    ReportedTime::first(places, unix_time)
}

fn uplink(body: &Value) -> Result<Uplink, Malformed> {
    let sent = at(body, "params.payload");
    let sent = sent.map(|value| payload(value, PayloadEncoding::Base64, "params.payload"));
    // Everynet sends both forms if it has the key.
    let nothing = at(body, "params.encrypted_payload")
        .is_none()
        .then(Bytes::new);
    let optional_port = at(body, "params.port").map(|value| port(value, "params.port"));
    let counter = at(body, "params.counter_up");
    let counter = counter.map(|value| frame_counter(value, "params.counter_up"));
    let uplink = Uplink {
        network_device_id: required_dev_eui(body, "meta.device")?,
        names: names(body),
        session: at(body, "meta.device_addr").and_then(text),
        f_port: optional_port.transpose()?,
        f_cnt: counter.transpose()?,
        payload: sent.transpose()?.or(nothing),
        radio: radio(body),
        ..Uplink::default()
    };
    Ok(uplink.heard_at(time(body)))
}

fn radio(body: &Value) -> Radio {
    let report = |path| at(at(body, "params.radio")?, path);
    let (rssi, snr) = (
        report("hardware.rssi").and_then(level),
        report("hardware.snr").and_then(level),
    );
    let radio = Radio::default().with_megahertz(report("freq")).with_lora(
        report("modulation.spreading"),
        report("modulation.bandwidth"),
    );
    Radio {
        rssi,
        snr,
        coding_rate: report("modulation.coderate").and_then(text),
        modulation: radio.spread_factor.map(|_| "LORA".to_owned()),
        confirmed: at(body, "params.confirmed_up").map(flag),
        dev_addr: at(body, "meta.device_addr").and_then(text),
        receptions: at(body, "meta.gateway")
            .and_then(text)
            .map_or_else(Vec::new, |gateway| {
                vec![Reception {
                    gateway,
                    rssi,
                    snr,
                    time: None,
                }]
            }),
        ..radio
    }
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
        let uplink = as_uplink(parse(&sample("everynet_hono.json")));
        assert_eq!(uplink.network_device_id, "01020304050607AB");
        assert_eq!((uplink.f_port, uplink.f_cnt), (Some(7), Some(8)));
        assert_eq!(uplink.payload.as_deref(), Some(&b"bumlux"[..]));
        assert_eq!(uplink.session.as_deref(), Some("02711f49"));
        assert_eq!(uplink.time, instant(&json!("2019-05-28T19:46:53.337586Z")));
        let radio = uplink.radio;
        assert_eq!(radio.frequency, Some(868_100_000));
        assert_eq!(radio.data_rate.as_deref(), Some("SF12BW125"));
        assert_eq!(radio.coding_rate.as_deref(), Some("4/7"));
        assert_eq!((radio.rssi, radio.snr), (Some(-100.0), Some(5.0)));
        assert_eq!(radio.receptions[0].gateway, "88145c9c8db9e552");

        let uplink = as_uplink(parse(&sample("everynet.json")));
        assert_eq!((uplink.f_port, uplink.f_cnt), (Some(10), Some(125)));
        assert_eq!(uplink.payload.as_deref(), Some(&[1, 2, 3, 4][..]));
    }

    #[test]
    fn what_is_encrypted_is_no_payload() {
        let mut body = sample("everynet.json");
        body["params"].as_object_mut().unwrap().remove("payload");
        assert_eq!(as_uplink(parse(&body)).payload, None);
    }

    #[test]
    fn reads_what_else_it_sends() {
        let report = |kind: &str, params: Value| {
            let meta = json!({"device": "01020304050607ab", "device_addr": "02711f49"});
            let body = json!({"type": kind, "meta": meta, "params": params});
            as_news(parse(&body)).report
        };
        for kind in ["join_request", "join_response"] {
            let dev_addr = Some("02711f49".to_owned());
            assert_eq!(report(kind, json!({})), Report::Join { dev_addr });
        }
        assert_eq!(
            report("status_response", json!({"battery": 0, "margin": 12})),
            Report::Status {
                battery_percent: None,
                battery_v: None,
                external_power: Some(true),
                margin_db: Some(12.0)
            }
        );
        let Report::Downlink(news) = report("downlink", json!({"counter_down": 3})) else {
            panic!("no downlink");
        };
        assert_eq!(
            (news.state, news.f_cnt_down),
            (DownlinkState::Sent, Some(3))
        );
        assert_eq!(
            report("error", json!({"code": "mic", "message": "MIC mismatch"})),
            Report::Error {
                code: Some("mic".to_owned()),
                message: "MIC mismatch".to_owned()
            }
        );
        let kind = "downlink_request".to_owned();
        assert_eq!(
            report("downlink_request", json!({})),
            Report::Other { kind }
        );
        let nobody = json!({"type": "info", "meta": {"device": "", "time": "now"}});
        let news = as_news(parse(&nobody));
        assert_eq!((news.network_device_id, news.time), (None, None));
        let kind = "unnamed".to_owned();
        assert_eq!(as_news(parse(&json!({}))).report, Report::Other { kind });
    }

    #[test]
    fn faults_name_the_place_and_the_rule() {
        let error = |body: Value| parse(&body).unwrap_err().to_string();
        let mut body = sample("everynet.json");
        body["type"] = Value::Null;
        assert_eq!(error(body), "type: is required, such as uplink");
        let rule = "meta.device: is required: devices are identified by their DevEUI";
        assert_eq!(error(json!({"type": "uplink"})), rule);
        let mut body = sample("everynet.json");
        body["params"]["counter_up"] = json!("many");
        let rule = "params.counter_up: must be a whole number from 0 to 4294967295";
        assert_eq!(error(body), rule);
    }

    #[test]
    fn the_names_in_the_network_are_kept() {
        let names = names(&json!({"meta": {"application": "a", "network": "n"}}));
        assert_eq!(names.application.as_deref(), Some("a"));
        assert_eq!(names.tenant.as_deref(), Some("n"));
    }
}
