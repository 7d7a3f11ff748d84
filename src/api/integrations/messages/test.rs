//! The message that a test of an integration sends.

use poem_openapi::Object;

use super::{
    uplink::UplinkMessage,
    word::{Word, words},
};

words!(Test: "test");

/// The message of a test: an uplink in the native output format with made-up values, and `event` in addition, which no
/// uplink has. Receivers must accept it and must not store it as data of a device.
#[derive(Object)]
pub struct TestMessage {
    /// Marks the message as a test.
    event: Word<Test>,
    #[oai(flatten)]
    uplink: UplinkMessage,
}
