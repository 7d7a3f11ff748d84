//! The worker's loop: read a batch, run its calls one after another, answer each when it is over.
//!
//! Frames come and go over one socket, which the host hands over as standard input. The worker
//! ends when the host closes it, and after [`CALLS_MAX`] calls, so that nothing can leak for ever.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::process::ExitCode;

use serde_json::value::RawValue;

use super::call::Output;
use super::engine::{Compiled, Engine, Finished};
use super::error::{DriverError, DriverErrorKind};
use super::protocol::{self, Batch, Call, Hello, Outcome, Ready, Reply};
use super::sandbox::{self, CpuTimer};
use super::scripts::Scripts;

/// CPU time beyond a call's limit before the kernel steps in: the interpreter notices its limit
/// itself, unless it is in native code.
const KERNEL_GRACE_MS: u64 = 50;

/// The time to compile a script, in times of that for a call: 1 MiB parses in about 100 ms, and
/// only the first call pays.
const COMPILE_FACTOR: u64 = 4;

/// Calls after which a worker makes room for a new one.
const CALLS_MAX: u64 = 100_000;

/// Niceness of a worker: on a busy machine it gets a tenth of the processor time that one of the hub's own
/// threads gets.
const NICENESS: i32 = 10;

/// The last of the descriptors that the host hands over.
const STANDARD_ERROR: u32 = 2;

/// Runs a driver worker until its host closes the socket. The host starts it; nobody else should.
pub fn worker_main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve() -> io::Result<()> {
    // Before anything is opened here: what the hub has inherited itself without a mark to close it
    // would take the numbers between the socket and its copy, and stay.
    sandbox::close_above(STANDARD_ERROR)?;
    let mut socket = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let Some(hello) = protocol::read_frame(&mut socket)? else {
        return Ok(());
    };
    let Hello { limits } = protocol::parse(&hello)?;

    let call_ms = limits.cpu_time_ms.saturating_add(KERNEL_GRACE_MS);
    let compile_ms = limits
        .cpu_time_ms
        .saturating_mul(COMPILE_FACTOR)
        .saturating_add(KERNEL_GRACE_MS);
    let mut timer = CpuTimer::new()?;
    let keep_fd = socket.as_raw_fd().try_into().map_err(io::Error::other)?;
    let memory_bytes = limits.memory_bytes;
    let engine = Engine::new(limits).map_err(io::Error::other)?;
    // Time zones are read from files, once: before files are out of reach.
    let warm_up = engine.compile("function decode() { return { t: new Date(0).toString() } }");
    let warm_up = warm_up.map_err(io::Error::other)?;
    let task = protocol::Task::Decode {
        payload: Default::default(),
        f_port: None,
        received_at_ms: 0,
        state: None,
        whole: false,
    };
    engine.run(&warm_up, &task).map_err(io::Error::other)?;

    // Drivers are written by users: what serves other requests goes first. If the system refuses, drivers run
    // at normal priority.
    let _ = rustix::process::nice(NICENESS);
    let missing = sandbox::enter(memory_bytes, keep_fd);
    let ready = Ready {
        version: protocol::VERSION.to_owned(),
        missing,
        worker_cpu_time_us: sandbox::cpu_time_us(),
    };
    protocol::write_frame(&mut socket, &ready)?;

    let mut scripts = Scripts::default();
    let mut calls = 0;
    while let Some(body) = protocol::read_frame(&mut socket)? {
        let batch: Batch = protocol::parse(&body)?;
        for call in &batch.calls {
            let mut script = scripts.find(&call.digest);
            if let (None, Some(source)) = (&script, call.source.as_deref()) {
                timer.arm(compile_ms)?;
                script =
                    Some(scripts.compile(call.tenant, &call.digest, || engine.compile(source)));
            }
            let outcome = match script {
                None => Outcome::NeedScript,
                Some(Err(error)) => Outcome::Failed(error),
                Some(Ok(script)) => {
                    // Until the next call sets it anew: the rest of this one takes next to nothing.
                    timer.arm(call_ms)?;
                    run(&engine, &script, call)
                }
            };
            calls += 1;
            let reply = Reply {
                outcome,
                worker_cpu_time_us: sandbox::cpu_time_us(),
                retiring: calls >= CALLS_MAX,
            };
            protocol::write_frame(&mut socket, &reply)?;
            if reply.retiring {
                return Ok(());
            }
        }
        timer.disarm()?;
    }
    Ok(())
}

fn run(engine: &Engine, script: &Compiled, call: &Call<'_>) -> Outcome {
    let started_us = sandbox::cpu_time_us();
    let Finished {
        output,
        logs,
        memory_peak_bytes,
    } = match engine.run(script, &call.task) {
        Ok(finished) => finished,
        Err(error) => return Outcome::Failed(error),
    };
    let cpu_time_us = sandbox::cpu_time_us().saturating_sub(started_us);
    let no_json = |error: serde_json::Error, logs| {
        Outcome::Failed(DriverError {
            kind: DriverErrorKind::BadResult,
            message: format!("the result is no JSON: {error}"),
            line: None,
            logs,
            cpu_time_us: 0,
        })
    };
    match output {
        Output::Checked { names } => Outcome::Checked { names },
        Output::Decoded {
            json,
            new_state,
            warnings,
            result,
        } => match RawValue::from_string(json) {
            Ok(data) => Outcome::Decoded {
                data,
                new_state: new_state.and_then(|json| RawValue::from_string(json).ok()),
                warnings,
                result: result.and_then(|json| RawValue::from_string(json).ok()),
                logs,
                cpu_time_us,
                memory_peak_bytes,
            },
            Err(error) => no_json(error, logs),
        },
        Output::Returned { json } => match RawValue::from_string(json) {
            Ok(result) => Outcome::Returned {
                result,
                logs,
                cpu_time_us,
                memory_peak_bytes,
            },
            Err(error) => no_json(error, logs),
        },
    }
}
