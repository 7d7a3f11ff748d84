//! Keys that open streams in place of a token, because browsers cannot send a header when they open a stream.

use poem_openapi::{SecurityScheme, auth::ApiKey};

use super::caller::Caller;

/// A key that opens a stream, in the URL, because browsers cannot set a header: one from `create_stream_key` for the
/// live stream of events, or an integration's own from `create_integration_key` for its stream
#[derive(SecurityScheme)]
#[oai(
    ty = "api_key",
    key_name = "stream_key",
    key_in = "query",
    rename = "stream_key"
)]
pub struct StreamKey(pub ApiKey);

/// Caller that wants to follow a stream.
#[derive(SecurityScheme)]
pub enum Follower {
    Caller(Caller),
    Key(StreamKey),
}
