//! The hosts to which targets connect, for the check when a target is stored.

use serde_json::Value;

use super::{http, kafka, mqtt, postgres};
use crate::outgoing::host_of;

/// Returns the hosts that the settings of a target name, each with its field.
pub fn hosts(kind: &str, settings: &Value) -> Vec<(String, String)> {
    let text = |pointer: &str| settings.pointer(pointer).and_then(Value::as_str);
    let of_url = |pointer: &str| {
        let host = host_of(text(pointer)?)?;
        Some((format!("target{}", pointer.replace('/', ".")), host))
    };
    match kind {
        http::KIND => ["/url", "/auth/token_url"]
            .into_iter()
            .filter_map(of_url)
            .collect(),
        mqtt::KIND => of_url("/broker/url").into_iter().collect(),
        postgres::KIND => text("/host")
            .map(|host| ("target.host".to_owned(), host.to_owned()))
            .into_iter()
            .collect(),
        kafka::KIND => {
            let brokers = settings["bootstrap"].as_array().into_iter().flatten();
            brokers
                .enumerate()
                .filter_map(|(index, broker)| {
                    let (host, _) = broker.as_str()?.rsplit_once(':')?;
                    Some((format!("target.bootstrap[{index}]"), host.to_owned()))
                })
                .collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_host_of_a_target_has_its_field() {
        for (kind, settings, expected) in [
            (
                "http",
                json!({"url": "https://a.example:1/x", "auth": {"token_url": "https://[::1]/"}}),
                &[
                    ("target.url", "a.example"),
                    ("target.auth.token_url", "[::1]"),
                ][..],
            ),
            (
                "mqtt",
                json!({"broker": {"url": "mqtts://127.1:8883"}}),
                &[("target.broker.url", "127.1")],
            ),
            (
                "kafka",
                json!({"bootstrap": ["a.example:9092", "10.0.0.1:9092"]}),
                &[
                    ("target.bootstrap[0]", "a.example"),
                    ("target.bootstrap[1]", "10.0.0.1"),
                ],
            ),
            (
                "postgres",
                json!({"host": "localhost"}),
                &[("target.host", "localhost")],
            ),
            ("file", json!({"folder": "erp"}), &[]),
            ("websocket", json!({}), &[]),
        ] {
            let found = hosts(kind, &settings);
            let found: Vec<(&str, &str)> = found
                .iter()
                .map(|(field, host)| (field.as_str(), host.as_str()))
                .collect();
            assert_eq!(found, expected, "{kind}");
        }
    }
}
