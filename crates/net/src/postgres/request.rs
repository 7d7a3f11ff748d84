//! Requests to a server.

use bytes::{Bytes, BytesMut};
use postgres_protocol::{IsNull, message::frontend};

use super::failure::Failure;

/// A request, which the server answers as a whole.
#[derive(Debug, Clone)]
pub struct Request(Bytes);

impl Request {
    /// Creates a command without a result.
    pub fn command(sql: &str) -> Result<Self, Failure> {
        let mut bytes = BytesMut::new();
        frontend::query(sql, &mut bytes).map_err(unwritable)?;
        Ok(Self(bytes.freeze()))
    }

    /// Creates a statement with its values as text. The server converts each to the type of its place, so
    /// the client does not need to know the types.
    pub fn statement(sql: &str, values: &[Option<String>]) -> Result<Self, Failure> {
        let mut bytes = BytesMut::new();
        frontend::parse("", sql, std::iter::empty(), &mut bytes).map_err(unwritable)?;
        let write = |value: &Option<String>, bytes: &mut BytesMut| match value {
            Some(text) => {
                bytes.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            }
            None => Ok(IsNull::Yes),
        };
        let (as_text, no_results) = (std::iter::empty(), std::iter::empty());
        frontend::bind("", "", as_text, values, write, no_results, &mut bytes)
            .map_err(|_| Failure::hopeless("the values cannot be sent"))?;
        frontend::execute("", 0, &mut bytes).map_err(unwritable)?;
        frontend::sync(&mut bytes);
        Ok(Self(bytes.freeze()))
    }

    /// Returns the encoded messages.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is mapped over a result")]
fn unwritable(error: std::io::Error) -> Failure {
    Failure::hopeless(format!("the statement cannot be sent: {error}"))
}
