//! The driver host: device drivers are untrusted JavaScript, so they run in QuickJS inside a pool
//! of worker processes that can be killed (this program again, with [`WORKER_ARGUMENT`]).
//!
//! Limits inside an interpreter are no sandbox: its native loops never ask whether to stop. So the
//! worker stops a driver politely where it can (CPU time, memory, stack, output: an error that
//! names the limit and the line), and the kernel ends the worker where it cannot.
//!
//! Invariants: no driver runs in the server's own process; every call gets a JavaScript runtime that is
//! byte by byte as before any driver, so nothing passes from one call to the next; a worker that dies costs only the call
//! that it was running. Linux only (CPU-clock timers, landlock, seccomp).
//!
//! | file | what it holds |
//! |---|---|
//! | `host.rs` | the public handle |
//! | `job.rs` | one call on its way, and its answer |
//! | `queue.rs` | the waiting calls, and which tenant's turn it is |
//! | `slot.rs` | one place in the pool: hands calls to its worker, replaces it when it dies |
//! | `program.rs` | the executable of the workers |
//! | `process.rs` | one worker process seen from the host: start, frames, why it ended |
//! | `protocol.rs` | the frames between host and worker |
//! | `reply.rs` | replies of workers, as far as they may be believed |
//! | `worker.rs` | the worker's loop |
//! | `scripts.rs` | the scripts that a worker keeps compiled |
//! | `engine.rs` | QuickJS itself: scripts to bytecode, and one call under the interpreter's limits |
//! | `stage.rs` | the runtime that calls run in, put back before each of them |
//! | `dialects.rs` | the functions by which hosts know a driver |
//! | `arguments.rs` | from one input object to the arguments of each dialect |
//! | `call.rs` | one call in JavaScript's terms: globals, entry functions, promises, the result |
//! | `convert.rs` | values, exceptions and texts out of QuickJS |
//! | `no_numbers.rs` | NaN, infinities and broken dates, taken out of a result |
//! | `console.rs` | what a driver logs, bounded |
//! | `prelude/` | `Buffer`, dates and more for drivers, in JavaScript |
//! | `math/` | mathematics to the last digit as in V8 |
//! | `heap.rs` | the runtime's memory, which can be put back to what it was |
//! | `built_in.rs`, `cayenne_lpp.rs` | drivers that are part of the hub, beside the host |
//! | `examples.rs` | what a driver must make of which input; pure, beside the host |
//! | `schema/` | what a driver says of its data; pure, beside the host |
//! | `sandbox.rs` | what the kernel enforces: resource limits, landlock, seccomp, the CPU timer |

mod arguments;
mod built_in;
mod call;
mod cayenne_lpp;
mod console;
mod convert;
mod dialects;
mod engine;
pub mod examples;
mod heap;
mod host;
mod job;
mod math;
mod no_numbers;
mod prelude;
mod process;
mod program;
mod protocol;
mod queue;
mod reply;
mod sandbox;
pub mod schema;
mod scripts;
mod slot;
mod stage;
mod worker;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

pub use built_in::{AUTHOR as BUILT_IN_AUTHOR, BuiltIn};
pub use dialects::{DECODERS, ENCODERS, is_ts013};
pub use host::Host;
pub use program::Program;
pub use sandbox::enter as enter_sandbox;
pub use worker::worker_main;

/// The hidden command-line argument that makes this program a driver worker.
pub const WORKER_ARGUMENT: &str = "__driver-worker";

/// What a driver may use, and how many may wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Worker processes.
    pub workers: usize,
    /// CPU time of one call; a native loop that cannot be asked to stop gets 50 ms more.
    pub cpu_time_ms: u64,
    /// The backstop: a worker that has not answered a call for so long is killed.
    pub wall_time_ms: u64,
    /// Memory of one call's JavaScript heap.
    pub memory_bytes: usize,
    /// JavaScript stack of one call.
    pub stack_bytes: usize,
    /// Size of the decoded JSON.
    pub output_bytes: usize,
    /// Lines a driver may log in one call; the rest is left out.
    pub log_lines: usize,
    /// Promise jobs that one call may run.
    pub pending_jobs: usize,
    /// Calls that may wait for a worker; beyond, a call fails with `Overloaded`.
    pub queue: usize,
    /// The same for the calls of one tenant.
    pub tenant_queue: usize,
    /// Whether workers run only where the kernel has every protection.
    pub sandbox_required: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            workers: 2,
            cpu_time_ms: 50,
            wall_time_ms: 5_000,
            memory_bytes: 32 << 20,
            stack_bytes: 256 << 10,
            output_bytes: 64 << 10,
            log_lines: 100,
            pending_jobs: 1_000,
            queue: 4_096,
            tenant_queue: 1_024,
            sandbox_required: false,
        }
    }
}

/// A driver's source with the key under which workers keep it compiled.
#[derive(Debug, Clone)]
pub struct Script {
    /// SHA-256 of `source`, in hexadecimal. It must be true: workers trust it as the cache key.
    pub digest: String,
    /// JavaScript, a sloppy global script.
    pub source: String,
}

impl Script {
    /// A script under its digest.
    pub fn new(source: String) -> Self {
        let digest = hex::encode(Sha256::digest(&source));
        Self { digest, source }
    }
}

/// One uplink to decode.
#[derive(Debug, Clone)]
pub struct DecodeCall {
    /// Whose call it is: tenants get equal shares of the workers' CPU time.
    pub tenant: i64,
    pub script: Arc<Script>,
    pub payload: bytes::Bytes,
    pub f_port: Option<u8>,
    pub received_at: chrono::DateTime<chrono::Utc>,
    /// What `decode(payload, port, state)` and, as `input.state`, `decodeUplink(input)` get as the
    /// device's state, a JSON object; `None`: an empty one. The other functions do not see it.
    pub state: Option<String>,
    /// Whether to give the whole of what the function returned as well.
    pub whole: bool,
}

/// What a driver made of an uplink.
#[derive(Debug, Clone)]
pub struct Decoded {
    pub data: Map<String, Value>,
    /// What a TS013 driver keeps of the device from now on, where it says.
    pub new_state: Option<Map<String, Value>>,
    pub warnings: Vec<String>,
    pub logs: Vec<String>,
    /// What the function returned, where that was asked for; `None` as well where it is larger than
    /// a result may be.
    pub result: Option<Value>,
    /// CPU time that the call cost, including to put its JavaScript runtime back.
    pub cpu_time_us: u64,
    /// The most memory that it had at once, including some 200 KiB of that runtime.
    pub memory_peak_bytes: usize,
}

/// One function of a driver to call, with one input.
#[derive(Debug, Clone)]
pub struct Invoke {
    /// Whose call it is: tenants share the workers fairly.
    pub tenant: i64,
    pub script: Arc<Script>,
    /// A function that the script defines or exports.
    pub function: String,
    /// What the function gets. `decodeUplink`, `encodeDownlink`, `decodeDownlink` and
    /// `normalizeUplink` get the object as it is; the positional dialects (`decode`, `Decoder`,
    /// `Decode`, `Encoder`, `Encode`) get its `bytes` or `data`, `fPort` and `variables`, `encode` its
    /// `data` and `state`; any other function gets the value as its one argument. In place of `bytes` as an array there may be
    /// hexadecimal text, or `payload_hex` or `payload_base64`.
    pub input: Value,
    /// Becomes `input.recvTime`, as a `Date`. A `recvTime` in the input itself stays what it is.
    pub received_at: Option<chrono::DateTime<chrono::Utc>>,
}

/// What a function of a driver gave back.
#[derive(Debug, Clone)]
pub struct Returned {
    /// The whole value, as `JSON.stringify` gives it; null where that is `undefined`.
    pub result: Value,
    /// The text of the same, digit by digit as JavaScript prints it.
    pub json: Box<RawValue>,
    pub logs: Vec<String>,
    /// CPU time that the call cost, including to put its JavaScript runtime back.
    pub cpu_time_us: u64,
    /// The most memory that it had at once, including some 200 KiB of that runtime.
    pub memory_peak_bytes: usize,
}

/// Why a driver gave no result. The message is for the driver's author, and safe to show to them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct DriverError {
    pub kind: DriverErrorKind,
    pub message: String,
    /// Line in the driver's source, counted from 1, where it is known. For a limit it is the last
    /// call or the start of the function: QuickJS records no positions in between.
    pub line: Option<u32>,
    /// What the driver had logged by then; lost when its worker had to be killed.
    pub logs: Vec<String>,
    /// CPU time that the call cost in all: 0 where it was not run.
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

    fn new(kind: DriverErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            line: None,
            logs: Vec::new(),
            cpu_time_us: 0,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriverErrorKind {
    /// The script does not parse.
    Syntax,
    /// The driver threw, or reported `errors`.
    Exception,
    /// The script defines no function that this call needs.
    NoFunction,
    /// The input is not what the function can take.
    BadInput,
    /// The driver returned something that cannot be a result, such as no JSON object.
    BadResult,
    /// What it decoded breaks the driver's schema.
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
    /// The worker died of something else.
    Crashed,
    /// Too many calls are waiting, or the host is shutting down; worth trying again.
    Overloaded,
    /// No worker can be started: the driver was not run.
    Unavailable,
}

impl DriverErrorKind {
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
