//! SFTP as a client: logs in to a server with a pinned host key, and writes one file at a time.
//!
//! The socket comes from the guard. Nothing that the server sends is without a bound: its bytes are counted between two
//! of ours, packets and windows are small, nothing is compressed, and each request has a time limit. The contents of
//! folders are never listed. When a session is dropped, its socket and the tasks of the libraries end.

mod file;
mod login;
mod settings;
mod tied;

pub use file::Session;
pub use settings::{Login, SeenKey, Settings};
