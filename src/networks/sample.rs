//! What the unit tests of the adapters share.

use serde_json::Value;

use super::{
    event::{Event, News, Uplink},
    malformed::Malformed,
};

/// A message that a network server has really sent.
pub fn sample(name: &str) -> Value {
    let path = format!("{}/tests/uplinks/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect(name);
    serde_json::from_str(&text).expect(name)
}

/// The uplink that a message must be.
pub fn as_uplink(parsed: Result<Event, Malformed>) -> Uplink {
    match parsed {
        Ok(Event::Uplink(uplink)) => *uplink,
        other => panic!("no uplink: {other:?}"),
    }
}

/// The news that a message must be.
pub fn as_news(parsed: Result<Event, Malformed>) -> News {
    match parsed {
        Ok(Event::News(news)) => news,
        other => panic!("no news: {other:?}"),
    }
}
