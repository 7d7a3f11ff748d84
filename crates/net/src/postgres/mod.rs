//! PostgreSQL as a client, as far as rows are inserted into tables of users.
//!
//! | file | what it holds |
//! |---|---|
//! | `wire.rs` | messages out of bytes, within bounds |
//! | `login.rs` | the way in: TLS, the password, the server's greeting |
//! | `binding.rs` | what ties a proof of the password to the server's certificate |
//! | `request.rs` | what is sent: a command, and an insertion whose values are text |
//! | `session.rs` | one connection: requests in a row, and what became of each |
//! | `failure.rs` | what failed, in words, and whether it is worth trying again |
//!
//! Single messages are read and written by postgres-protocol. The client on top of it is not used: it asks the
//! server for each type that it does not know, and for the types that those are made of, as deep as the server
//! has it, which ends in an overflow of the stack. Here the server is asked for nothing but what it was told to
//! do, types are its own affair, and each answer has a bound in size and time.

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
