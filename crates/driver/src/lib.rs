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
//! | `request.rs` | the calls that it takes, and the results |
//! | `limits.rs`, `error.rs` | what a call may use, and why it fails |
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
//! | `bytecode.rs` | compiled code, written and evaluated |
//! | `stage.rs` | the runtime that calls run in, put back before each of them |
//! | `dialects.rs` | the functions by which hosts know a driver |
//! | `arguments.rs` | from one input object to the arguments of each dialect |
//! | `call.rs` | one call in JavaScript's terms: globals, entry functions, promises, the result |
//! | `values.rs` | values for scripts, made without their globals |
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
mod bytecode;
mod call;
mod cayenne_lpp;
mod console;
mod convert;
mod dialects;
mod engine;
mod error;
pub mod examples;
mod heap;
mod host;
mod job;
mod limits;
mod math;
mod no_numbers;
mod prelude;
mod process;
mod program;
mod protocol;
mod queue;
mod reply;
mod request;
mod sandbox;
pub mod schema;
mod scripts;
mod slot;
mod stage;
mod values;
mod worker;

pub use built_in::{AUTHOR as BUILT_IN_AUTHOR, BuiltIn};
pub use dialects::{DECODERS, ENCODERS, is_ts013};
pub use error::{DriverError, DriverErrorKind};
pub use host::Host;
pub use limits::Limits;
pub use program::{Program, WORKER_ARGUMENT};
pub use request::{DecodeCall, Decoded, Invoke, Returned, Script};
pub use sandbox::enter as enter_sandbox;
pub use worker::worker_main;
