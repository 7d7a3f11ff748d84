//! Helpers for the unit tests of the adapters.

use serde_json::Value;

use super::{
    event::{Event, News, Uplink},
    malformed::Malformed,
};

/// Reads a genuine message of a network server.
pub fn sample(name: &str) -> Value {
    let path = format!("{}/tests/uplinks/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect(name);
    serde_json::from_str(&text).expect(name)
}

/// Returns the uplink; panics if the message is something else.
pub fn as_uplink(parsed: Result<Event, Malformed>) -> Uplink {
    match parsed {
        Ok(Event::Uplink(uplink)) => *uplink,
        other => panic!("no uplink: {other:?}"),
    }
}

/// Returns the [`News`]; panics if the message is something else.
pub fn as_news(parsed: Result<Event, Malformed>) -> News {
    match parsed {
        Ok(Event::News(news)) => news,
        other => panic!("no news: {other:?}"),
    }
}
