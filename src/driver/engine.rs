//! One call in QuickJS: a fresh runtime, the compiled script, the driver's function, its result.
//!
//! A runtime of its own for each call, rather than a context of a shared one, costs some
//! microseconds and leaves nothing to share: no pending jobs, no finalisers, no interned symbols,
//! no garbage, and the memory limit counts this call alone. Scripts are evaluated from bytecode
//! that this very process compiled. The bytecode is without the source text, so that
//! `Function.prototype.toString` shows no body.

use std::cell::Cell;
use std::rc::Rc;

use rquickjs::module::{Module, WriteOptions};
use rquickjs::{Context, Ctx, Object, Runtime, Value, qjs};

use super::call::{self, Output};
use super::console::Console;
use super::convert::{self, exception};
use super::heap::{Heap, Usage};
use super::prelude::{self, PARTS};
use super::protocol::Task;
use super::{DriverError, DriverErrorKind, Limits, sandbox};

/// The driver's name in stack traces; lines are counted from its own first line.
pub const SOURCE_NAME: &str = "driver.js";

/// Compiled code.
pub struct Bytecode(Vec<u8>);

/// A driver's code, by what it is to the engine.
pub enum Program {
    /// A script, as nearly all are.
    Script(Bytecode),
    /// An ECMAScript module.
    Module(Bytecode),
}

/// A driver, compiled.
pub struct Compiled {
    program: Program,
    /// The parts of the prelude that it uses.
    parts: Vec<usize>,
}

impl Compiled {
    pub fn size_bytes(&self) -> usize {
        let (Program::Script(code) | Program::Module(code)) = &self.program;
        code.0.len()
    }
}

pub struct Engine {
    limits: Limits,
    lookup: Bytecode,
    prelude: Vec<Bytecode>,
}

impl Engine {
    pub fn new(limits: Limits) -> Result<Self, DriverError> {
        let lookup = compile(&limits, call::LOOKUP, "lookup")?;
        let prelude = PARTS
            .iter()
            .map(|part| compile(&limits, part.source, part.name))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            limits,
            lookup,
            prelude,
        })
    }

    /// Parses a script. This has no CPU limit of its own: the parser never asks.
    pub fn compile(&self, source: &str) -> Result<Compiled, DriverError> {
        let program = match compile(&self.limits, source, SOURCE_NAME) {
            Ok(code) => Program::Script(code),
            // Only a module can have `export`, and a script may have what a module must not.
            Err(error) if error.kind == DriverErrorKind::Syntax && source.contains("export") => {
                Program::Module(compile_module(&self.limits, source).map_err(|_| error)?)
            }
            Err(error) => return Err(error),
        };
        Ok(Compiled {
            program,
            parts: prelude::parts_for(source),
        })
    }

    /// Runs one call to its end, its runtime's included.
    pub fn run(&self, script: &Compiled, task: &Task) -> Result<Finished, DriverError> {
        let console = Console::new(self.limits.log_lines);
        let clock = CpuClock::start(self.limits.cpu_time_ms);
        let usage = Rc::new(Usage::default());
        let mut result = with_context(&self.limits, &usage, Some(&clock), |ctx| {
            let parts = script
                .parts
                .iter()
                .filter_map(|part| self.prelude.get(*part));
            let code = call::Code {
                prelude: parts.collect(),
                program: &script.program,
                lookup: &self.lookup,
            };
            call::run(&ctx, &self.limits, &code, &console, task)
        });
        let limits = &self.limits;
        if clock.exceeded.get() {
            // Whatever the driver made of being stopped.
            let line = result.err().and_then(|error| error.line);
            let mut error = DriverError::new(DriverErrorKind::CpuTime, "");
            error.line = line;
            result = Err(error);
        }
        if let Err(error) = &mut result {
            error.blame_memory(&usage);
        }
        let logs = console.take();
        match result {
            Ok(output) => Ok(Finished {
                output,
                logs,
                memory_peak_bytes: usage.peak_bytes(),
            }),
            Err(error) => Err(DriverError {
                logs,
                ..name_limit(error, limits)
            }),
        }
    }
}

/// A call that came to its end.
pub struct Finished {
    pub output: Output,
    pub logs: Vec<String>,
    pub memory_peak_bytes: usize,
}

/// Writes the message of those errors whose cause is a limit.
fn name_limit(mut error: DriverError, limits: &Limits) -> DriverError {
    let reached = match error.kind {
        DriverErrorKind::CpuTime => format!("CPU time limit of {} ms", limits.cpu_time_ms),
        DriverErrorKind::Memory => format!("memory limit of {} KiB", limits.memory_bytes >> 10),
        DriverErrorKind::Stack => format!("stack limit of {} KiB", limits.stack_bytes >> 10),
        _ => return error,
    };
    error.message = match error.line {
        // QuickJS knows positions of calls and of functions, not of every step of a loop.
        Some(line) => format!("{reached} reached near line {line}"),
        None => format!("{reached} reached"),
    };
    error
}

impl DriverError {
    /// An error that says nothing is the lack of memory, where memory was refused.
    fn blame_memory(&mut self, usage: &Usage) {
        if usage.refused() && convert::says_nothing(self) {
            self.kind = DriverErrorKind::Memory;
        }
    }
}

/// When a call must stop, and whether it had to.
struct CpuClock {
    deadline_us: u64,
    exceeded: Cell<bool>,
}

impl CpuClock {
    fn start(cpu_time_ms: u64) -> Rc<Self> {
        let deadline_us = sandbox::cpu_time_us().saturating_add(cpu_time_ms.saturating_mul(1_000));
        Rc::new(Self {
            deadline_us,
            exceeded: Cell::new(false),
        })
    }

    /// True from the deadline on, for ever: `finally` blocks get no second chance.
    fn must_stop(&self) -> bool {
        if !self.exceeded.get() && sandbox::cpu_time_us() >= self.deadline_us {
            self.exceeded.set(true);
        }
        self.exceeded.get()
    }
}

fn with_context<R>(
    limits: &Limits,
    usage: &Rc<Usage>,
    clock: Option<&Rc<CpuClock>>,
    run: impl FnOnce(Ctx<'_>) -> Result<R, DriverError>,
) -> Result<R, DriverError> {
    let no_memory = |_| DriverError::new(DriverErrorKind::Memory, "");
    let heap = Heap::new(limits.memory_bytes, Rc::clone(usage));
    let runtime = Runtime::new_with_alloc(heap).map_err(no_memory)?;
    // Within the worker's own stack of 8 MiB; QuickJS takes too large a limit for none at all.
    runtime.set_max_stack_size(limits.stack_bytes.clamp(16 << 10, 4 << 20));
    if let Some(clock) = clock.cloned() {
        runtime.set_interrupt_handler(Some(Box::new(move || clock.must_stop())));
    }
    let context = Context::full(&runtime).map_err(no_memory)?;
    context.with(run)
}

fn compile(limits: &Limits, source: &str, name: &str) -> Result<Bytecode, DriverError> {
    let usage = Rc::new(Usage::default());
    let compiled = with_context(limits, &usage, None, |ctx| {
        let mut text = Vec::with_capacity(source.len() + 1);
        text.extend_from_slice(source.as_bytes());
        text.push(0);
        let name = std::ffi::CString::new(name)
            .map_err(|error| DriverError::new(DriverErrorKind::Syntax, error.to_string()))?;
        let flags = qjs::JS_EVAL_TYPE_GLOBAL | qjs::JS_EVAL_FLAG_COMPILE_ONLY;
        // SAFETY: `text` is NUL-terminated and outlives the call; the length leaves out the NUL.
        // With COMPILE_ONLY nothing runs, and the value is ours to free.
        let function = unsafe {
            let raw = ctx.as_raw().as_ptr();
            qjs::JS_Eval(
                raw,
                text.as_ptr().cast(),
                source.len() as _,
                name.as_ptr(),
                flags as _,
            )
        };
        // SAFETY: the value was just returned to us by this context.
        let function = unsafe { adopt(&ctx, function) }.map_err(|_| {
            let error = exception(&ctx);
            match error.kind {
                DriverErrorKind::Exception => DriverError {
                    kind: DriverErrorKind::Syntax,
                    ..error
                },
                _ => error,
            }
        })?;
        write_bytecode(&ctx, &function).ok_or_else(|| DriverError {
            kind: DriverErrorKind::Memory,
            ..exception(&ctx)
        })
    });
    compiled.map_err(|mut error| {
        error.blame_memory(&usage);
        name_limit(error, limits)
    })
}

fn compile_module(limits: &Limits, source: &str) -> Result<Bytecode, DriverError> {
    let usage = Rc::new(Usage::default());
    with_context(limits, &usage, None, |ctx| {
        Module::declare(ctx.clone(), SOURCE_NAME, source)
            .and_then(|module| {
                module.write(WriteOptions {
                    strip_source: true,
                    ..WriteOptions::default()
                })
            })
            .map(Bytecode)
            .map_err(|_| exception(&ctx))
    })
}

/// Evaluates a compiled module; gives what it exports, and the promise of its end.
pub fn evaluate_module<'js>(
    ctx: &Ctx<'js>,
    module: &Bytecode,
) -> rquickjs::Result<(Object<'js>, Value<'js>)> {
    // SAFETY: as for `evaluate`: the bytecode is this process's own.
    let module = unsafe { Module::load(ctx.clone(), &module.0) }?;
    let (module, end) = module.eval()?;
    Ok((module.namespace()?, end.into_value()))
}

fn write_bytecode(ctx: &Ctx<'_>, function: &Value<'_>) -> Option<Bytecode> {
    let flags = qjs::JS_WRITE_OBJ_BYTECODE | qjs::JS_WRITE_OBJ_STRIP_SOURCE;
    let mut length = 0;
    let raw = ctx.as_raw().as_ptr();
    // SAFETY: the function is alive and of this context; the buffer is QuickJS's, copied and freed.
    unsafe {
        let bytes = qjs::JS_WriteObject(raw, &mut length, function.as_raw(), flags as _);
        if bytes.is_null() {
            return None;
        }
        let copy = std::slice::from_raw_parts(bytes, usize::try_from(length).unwrap_or(0)).to_vec();
        qjs::js_free(raw, bytes.cast());
        Some(Bytecode(copy))
    }
}

/// Evaluates a compiled script in the global scope.
pub fn evaluate<'js>(ctx: &Ctx<'js>, script: &Bytecode) -> rquickjs::Result<Value<'js>> {
    let flags = qjs::JS_READ_OBJ_BYTECODE;
    let raw = ctx.as_raw().as_ptr();
    // SAFETY: reading bytecode is only safe from a trusted writer: it is `write_bytecode` of this
    // process and this QuickJS, and it never leaves the process. `JS_EvalFunction` takes ownership
    // of the function; an exception value owns nothing.
    unsafe {
        let function = qjs::JS_ReadObject(raw, script.0.as_ptr(), script.0.len() as _, flags as _);
        if qjs::JS_IsException(function) {
            return Err(rquickjs::Error::Exception);
        }
        adopt(ctx, qjs::JS_EvalFunction(raw, function))
    }
}

/// Takes ownership of a value that QuickJS returned.
///
/// # Safety
/// `value` must come from `ctx` and not be freed elsewhere.
unsafe fn adopt<'js>(ctx: &Ctx<'js>, value: qjs::JSValue) -> rquickjs::Result<Value<'js>> {
    // SAFETY: as the caller promised.
    unsafe {
        if qjs::JS_IsException(value) {
            return Err(rquickjs::Error::Exception);
        }
        Ok(Value::from_raw(ctx.clone(), value))
    }
}
