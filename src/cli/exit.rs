//! Exit codes of commands, which scripts may rely on.

use std::{io, process::ExitCode};

use crate::error::Error;

/// The table of exit codes, for the help of every command that talks to a hub.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  success
  1  local failure, such as a file that cannot be written
  2  invalid usage
  3  the hub cannot be reached, or its certificate is not trusted
  4  the hub refused the request (400, and any status not listed here)
  5  not logged in, or the token is no longer valid (401)
  6  not permitted (403)
  7  not found (404)
  8  the hub failed or is overloaded (500 and above)";

/// The reason why a command failed; the number is its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// The reader of the output has closed it. Not reported as a failure.
    ReaderLeft = 0,
    /// A failure on the client's side.
    Here = 1,
    /// An error in the command line, or in a file that it names.
    Usage = 2,
    /// No connection, or no trusted certificate.
    Unreachable = 3,
    /// The hub answered 400, or another status without a code of its own.
    Refused = 4,
    /// The hub answered 401, or there are no credentials.
    NotLoggedIn = 5,
    /// The hub answered 403.
    Forbidden = 6,
    /// The hub answered 404.
    NotFound = 7,
    /// The hub answered with a status of 500 or more.
    HubFailed = 8,
}

impl Reason {
    /// The exit code for an answer that is no success.
    pub fn of_status(status: u16) -> Self {
        match status {
            401 => Reason::NotLoggedIn,
            403 => Reason::Forbidden,
            404 => Reason::NotFound,
            500.. => Reason::HubFailed,
            _ => Reason::Refused,
        }
    }
}

/// A command that failed, and the message for the person.
#[derive(Debug)]
pub struct Failure {
    /// Decides the exit code.
    pub reason: Reason,
    /// The message, in one line.
    pub text: String,
}

impl Failure {
    /// Creates a failure with its message.
    pub fn new(reason: Reason, text: impl Into<String>) -> Self {
        Self {
            reason,
            text: text.into(),
        }
    }

    /// A failure for an invalid command line.
    pub fn usage(text: impl Into<String>) -> Self {
        Self::new(Reason::Usage, text)
    }

    /// A failure to write to standard output.
    pub fn output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Reason::ReaderLeft, ""),
            _ => Self::new(Reason::Here, format!("standard output: {error}")),
        }
    }

    /// Prints the message and returns the exit code.
    pub fn report(&self) -> ExitCode {
        if self.reason != Reason::ReaderLeft {
            eprintln!("thingshub: {}", self.text);
        }
        ExitCode::from(self.reason as u8)
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::new(Reason::Here, text)
    }
}

impl From<Error> for Failure {
    /// An error of a command that works directly on the database, with the code that a hub's answer would have.
    fn from(error: Error) -> Self {
        let reason = match &error {
            Error::Rejected { .. } => Reason::Refused,
            Error::NotFound(_) => Reason::NotFound,
            _ => Reason::Here,
        };
        Self::new(reason, error.causes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_reason() {
        for (status, reason) in [
            (301, Reason::Refused),
            (400, Reason::Refused),
            (401, Reason::NotLoggedIn),
            (403, Reason::Forbidden),
            (404, Reason::NotFound),
            (429, Reason::Refused),
            (500, Reason::HubFailed),
            (503, Reason::HubFailed),
        ] {
            assert_eq!(Reason::of_status(status), reason, "{status}");
        }
    }

    #[test]
    fn the_help_names_every_code() {
        for code in 0..=Reason::HubFailed as u8 {
            assert!(EXIT_CODES.contains(&format!("\n  {code}  ")), "{code}");
        }
    }
}
