//! Failures of calls.

use serde::{Deserialize, Serialize};

/// The reason why a driver returned no result. The message is for the driver's author, and can be shown to
/// them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct DriverError {
    pub kind: DriverErrorKind,
    pub message: String,
    /// Line in the driver's source, counted from 1, where it is known. For a limit it is the last
    /// call or the start of the function: QuickJS records no positions in between.
    pub line: Option<u32>,
    /// Log of the driver so far; lost if its worker had to be killed.
    pub logs: Vec<String>,
    /// CPU time of the call; 0 if it was not run.
    pub cpu_time_us: u64,
}

impl DriverError {
    /// The message with the line it is about.
    pub fn at_line(&self) -> String {
        match self.line {
            Some(line) => format!("{} (line {line})", self.message),
            None => self.message.clone(),
        }
    }

    pub(super) fn new(kind: DriverErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            line: None,
            logs: Vec::new(),
            cpu_time_us: 0,
        }
    }
}

/// The kinds of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriverErrorKind {
    /// The script does not parse.
    Syntax,
    /// The driver threw, or reported `errors`.
    Exception,
    /// The script defines no function that this call needs.
    NoFunction,
    /// The function cannot take the input.
    BadInput,
    /// The driver returned something that cannot be a result, such as no JSON object.
    BadResult,
    /// The decoded data break the driver's schema.
    Schema,
    /// The state that the driver returned is too large.
    State,
    /// A built-in driver cannot read the payload.
    Payload,
    CpuTime,
    WallTime,
    Memory,
    Stack,
    Output,
    PendingJobs,
    /// The worker ended for another reason.
    Crashed,
    /// Too many calls are waiting, or the host is shutting down; the call can be retried.
    Overloaded,
    /// No worker can be started: the driver was not run.
    Unavailable,
}

impl DriverErrorKind {
    /// All kinds.
    pub const ALL: [Self; 17] = [
        Self::Syntax,
        Self::Exception,
        Self::NoFunction,
        Self::BadInput,
        Self::BadResult,
        Self::Schema,
        Self::State,
        Self::Payload,
        Self::CpuTime,
        Self::WallTime,
        Self::Memory,
        Self::Stack,
        Self::Output,
        Self::PendingJobs,
        Self::Crashed,
        Self::Overloaded,
        Self::Unavailable,
    ];

    /// The kind's name in snake_case, as clients see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Exception => "exception",
            Self::NoFunction => "no_function",
            Self::BadInput => "bad_input",
            Self::BadResult => "bad_result",
            Self::Schema => "schema",
            Self::State => "state",
            Self::Payload => "payload",
            Self::CpuTime => "cpu_time",
            Self::WallTime => "wall_time",
            Self::Memory => "memory",
            Self::Stack => "stack",
            Self::Output => "output",
            Self::PendingJobs => "pending_jobs",
            Self::Crashed => "crashed",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
        }
    }
}
