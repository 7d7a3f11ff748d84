//! The driver host: device drivers are untrusted JavaScript, so they run in QuickJS inside a pool of worker
//! processes that can be killed (this program again, with [`WORKER_ARGUMENT`]).
//!
//! Limits inside an interpreter are not a sandbox: its native loops never check them. So the worker stops a
//! driver with an error that names the limit and the line where it can (CPU time, memory, stack, output),
//! and the kernel kills the worker where it cannot.
//!
//! Invariants: no driver runs in the server's own process; every call gets a JavaScript runtime that is byte
//! by byte as before any driver, so nothing passes from one call to the next; a worker that dies fails only
//! the call that it was running. Linux only (CPU-clock timers, landlock, seccomp).
//!
//! | file | what it holds |
//! |---|---|
//! | `host.rs` | the public handle |
//! | `request.rs` | the calls that it takes, and the results |
//! | `observer.rs` | reports of the host about its work |
//! | `limits.rs`, `error.rs` | what a call may use, and why it fails |
//! | `job.rs` | a call in the host, and its result |
//! | `queue.rs` | the waiting calls, and the choice of the next tenant |
//! | `slot.rs` | one place in the pool: hands calls to its worker, replaces it when it dies |
//! | `program.rs` | the executable of the workers |
//! | `process.rs` | one worker process seen from the host: start, frames, why it ended |
//! | `protocol.rs` | the frames between host and worker |
//! | `reply.rs` | parses and validates the replies of workers |
//! | `worker.rs` | the worker's loop |
//! | `scripts.rs` | the scripts that a worker keeps compiled |
//! | `engine.rs` | QuickJS itself: scripts to bytecode, and one call under the interpreter's limits |
//! | `bytecode.rs` | compiled code, written and evaluated |
//! | `stage.rs` | the runtime of calls, restored before each of them |
//! | `dialects.rs` | the entry functions of the dialects of drivers |
//! | `arguments.rs` | converts an input object to the arguments of each dialect |
//! | `call.rs` | one call in the engine: globals, entry functions, promises, the result |
//! | `values.rs` | values for scripts, made without their globals |
//! | `convert.rs` | converts values, exceptions and texts from QuickJS |
//! | `no_numbers.rs` | removes NaN, infinities and invalid dates from a result |
//! | `console.rs` | the log of a driver, limited |
//! | `prelude/` | `Buffer`, dates and more for drivers, in JavaScript |
//! | `math/` | mathematics to the last digit as in V8 |
//! | `heap.rs` | the runtime's memory, which can be restored to an earlier state |
//! | `built_in.rs`, `cayenne_lpp.rs` | drivers that are part of the hub; independent of the host |
//! | `examples.rs` | examples of drivers; pure, independent of the host |
//! | `schema/` | schemas of drivers; pure, independent of the host |
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
mod observer;
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
pub use console::LINES_LEFT_OUT;
pub use dialects::{DECODERS, ENCODERS, is_ts013};
pub use error::{DriverError, DriverErrorKind};
pub use host::Host;
pub use limits::Limits;
pub use observer::{Observer, PoolState, WorkerEnd};
pub use program::{Program, WORKER_ARGUMENT};
pub use request::{DecodeCall, Decoded, Invoke, Returned, Script};
pub use sandbox::enter as enter_sandbox;
pub use worker::worker_main;
