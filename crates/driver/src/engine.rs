//! One call in QuickJS: a clean [`Stage`], the compiled script, the driver's function, and its result.
//!
//! Scripts are evaluated from bytecode that this process compiled. The bytecode does not contain the source
//! text, so `Function.prototype.toString` shows no body.

use rquickjs::{Ctx, Module, qjs};

use super::bytecode::{self, Bytecode, Program};
use super::call::{self, Output};
use super::convert::{SOURCE_NAME, exception};
use super::error::{DriverError, DriverErrorKind};
use super::limits::Limits;
use super::prelude::{self, PARTS};
use super::protocol::Task;
use super::stage::Stage;

/// The parser's stack, whatever that of a call: it nests as a script does, such as one with a thousand
/// `else if` in a row, and in a debug build each step takes several times as much. Within the worker's own.
const PARSER_STACK_BYTES: usize = 4 << 20;

/// A driver, compiled.
pub struct Compiled {
    program: Program,
    /// The parts of the prelude that it uses.
    parts: Vec<usize>,
}

impl Compiled {
    pub fn size_bytes(&self) -> usize {
        let (Program::Script(code) | Program::Module(code)) = &self.program;
        code.size_bytes()
    }
}

pub struct Engine {
    limits: Limits,
    lookup: Bytecode,
    prelude: Vec<Bytecode>,
    stage: Stage,
}

impl Engine {
    pub fn new(limits: Limits) -> Result<Self, DriverError> {
        let stage = Stage::set_up(&limits)?;
        let own = |source, name| {
            compile(&stage, source, name, PARSER_STACK_BYTES).map_err(|refused| refused.error)
        };
        let lookup = own(call::LOOKUP, "lookup")?;
        let prelude = PARTS
            .iter()
            .map(|part| own(part.source, part.name))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            limits,
            lookup,
            prelude,
            stage,
        })
    }

    /// Parses a script. The engine cannot apply its CPU limit here, because the parser does not check it.
    pub fn compile(&self, source: &str) -> Result<Compiled, DriverError> {
        let program = match compile(&self.stage, source, SOURCE_NAME, PARSER_STACK_BYTES) {
            Ok(code) => Program::Script(code),
            Err(refused) => match self.compile_module(source, &refused) {
                Some(code) => Program::Module(code),
                None => return Err(self.explain(source, refused)),
            },
        };
        Ok(Compiled {
            program,
            parts: prelude::parts_for(source),
        })
    }

    /// Only a module can have `export`, and a script may have what a module must not.
    fn compile_module(&self, source: &str, refused: &Refused) -> Option<Bytecode> {
        let may_be = refused.error.kind == DriverErrorKind::Syntax && source.contains("export");
        may_be.then(|| compile_module(&self.stage, source).ok())?
    }

    /// Why the parser did not take a script. It may say that the syntax is wrong where it had no more stack to
    /// read on, but with less stack that is elsewhere.
    fn explain(&self, source: &str, refused: Refused) -> DriverError {
        let is_too_deep = match refused.error.kind {
            DriverErrorKind::Stack => true,
            DriverErrorKind::Syntax => {
                compile(&self.stage, source, SOURCE_NAME, PARSER_STACK_BYTES * 3 / 4)
                    .is_err_and(|again| again.place != refused.place)
            }
            _ => false,
        };
        if !is_too_deep {
            return name_limit(refused.error, &self.limits);
        }
        let message = format!(
            "the script is nested too deeply: the parser's stack limit of {} KiB reached",
            PARSER_STACK_BYTES >> 10
        );
        DriverError {
            kind: DriverErrorKind::Stack,
            message,
            ..refused.error
        }
    }

    /// Runs one call.
    pub fn run(&self, script: &Compiled, task: &Task) -> Result<Finished, DriverError> {
        let (stage, limits) = (&self.stage, &self.limits);
        stage.clock.start(limits.cpu_time_ms);
        let code = call::Code {
            program: &script.program,
            lookup: &self.lookup,
        };
        let mut result = stage
            .dressed(&script.parts, |part| self.prelude.get(part))
            .and_then(|set| stage.play(&set, |ctx| call::run(ctx, limits, &code, task)));
        if stage.clock.exceeded() {
            // The limit is the cause, whatever exception the driver threw when it was stopped.
            let line = result.err().and_then(|error| error.line);
            let mut error = DriverError::new(DriverErrorKind::CpuTime, "");
            error.line = line;
            result = Err(error);
        }
        let logs = stage.console.take();
        match result {
            Ok(output) => Ok(Finished {
                output,
                logs,
                memory_peak_bytes: stage.memory_peak_bytes(),
            }),
            Err(error) => Err(DriverError {
                logs,
                ..name_limit(error, limits)
            }),
        }
    }
}

/// A completed call.
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

/// A script that the parser rejected.
struct Refused {
    error: DriverError,
    /// Line and column, as the engine writes them.
    place: String,
}

fn compile(
    stage: &Stage,
    source: &str,
    name: &str,
    stack_bytes: usize,
) -> Result<Bytecode, Refused> {
    let mut place = String::new();
    let compiled = stage.play_bare(|ctx| {
        give_parser_stack(ctx, stack_bytes);
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
        let function = unsafe { bytecode::adopt(ctx, function) }.map_err(|_| {
            place = place_of_exception(ctx);
            let error = exception(ctx);
            match error.kind {
                DriverErrorKind::Exception => DriverError {
                    kind: DriverErrorKind::Syntax,
                    ..error
                },
                _ => error,
            }
        })?;
        bytecode::write_function(ctx, &function).ok_or_else(|| DriverError {
            kind: DriverErrorKind::Memory,
            ..exception(ctx)
        })
    });
    compiled.map_err(|error| Refused { error, place })
}

/// The place where the pending exception was made; it stays pending.
fn place_of_exception(ctx: &Ctx<'_>) -> String {
    let thrown = ctx.catch();
    let stack = thrown.as_object().and_then(|error| error.get("stack").ok());
    let _ = ctx.throw(thrown);
    stack.unwrap_or_default()
}

/// Lasts until the runtime is put back, which is before the next call.
fn give_parser_stack(ctx: &Ctx<'_>, stack_bytes: usize) {
    // SAFETY: the context is alive, and the limit lies within the stack of the thread.
    unsafe {
        let runtime = qjs::JS_GetRuntime(ctx.as_raw().as_ptr());
        qjs::JS_SetMaxStackSize(runtime, stack_bytes as _);
    }
}

fn compile_module(stage: &Stage, source: &str) -> Result<Bytecode, DriverError> {
    stage.play_bare(|ctx| {
        give_parser_stack(ctx, PARSER_STACK_BYTES);
        Module::declare(ctx.clone(), SOURCE_NAME, source)
            .and_then(|module| bytecode::write_module(&module))
            .map_err(|_| exception(ctx))
    })
}
