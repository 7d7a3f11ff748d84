//! The guard, TLS and HTTP, for all connections that the hub makes for its users.

mod caller;
mod connector;
mod counted;
pub mod dial;
mod guard;
mod heavy;
mod http;
mod lookups;
mod own_addresses;
mod retry_after;
pub mod tls;
mod traffic;

pub use caller::{Answer, Caller, Request};
pub use counted::Counted;
pub use guard::{Guard, host_of};
pub use heavy::HeavyWork;
pub use http::{Client, Response};
pub use retry_after::RETRY_AFTER_MAX;
pub use tls::{Tls, TlsSettings};
