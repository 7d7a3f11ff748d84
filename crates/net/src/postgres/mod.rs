//! A PostgreSQL client that inserts rows into tables of users.
//!
//! | file | what it holds |
//! |---|---|
//! | `wire.rs` | parses messages, within limits |
//! | `login.rs` | connecting: TLS, the password, the server's greeting |
//! | `binding.rs` | the channel binding of a proof of the password to the server's certificate |
//! | `request.rs` | requests: a command, or an insertion with values as text |
//! | `session.rs` | one connection: pipelined requests and their outcomes |
//! | `failure.rs` | failures, and whether they can be retried |
//!
//! Single messages are parsed and encoded by postgres-protocol. Its client library is not used: it queries
//! the server for each unknown type, and recursively for the types of which that consists, as deep as the
//! server says, which can overflow the stack. This client sends no queries of its own, does not need to know
//! types, and limits each response in size and time.

mod binding;
mod failure;
mod login;
mod request;
mod session;
mod wire;

pub use failure::Failure;
pub use login::Server;
pub use request::Request;
pub use session::Session;
