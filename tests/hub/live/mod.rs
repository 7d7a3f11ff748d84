//! The live stream: records, as they are made.

mod stream;
mod stream_keys;
