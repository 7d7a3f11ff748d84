//! One call in the JavaScript engine: the globals of a driver, its entry function, and the result.
//!
//! Runs under the limits of the engine. Every read of a driver's value may run the driver's code, so each
//! step converts a pending exception to the call's error at once.

use rquickjs::context::EvalOptions;
use rquickjs::function::Rest;
use rquickjs::promise::PromiseState;
use rquickjs::{Array, Ctx, Function, Object, Value};

use super::arguments;
use super::bytecode::{Bytecode, Program, evaluate, evaluate_module};
use super::convert::{self, exception, kind_of};
use super::dialects::DECODERS;
use super::error::{DriverError, DriverErrorKind};
use super::limits::Limits;
use super::protocol::{Task, WARNINGS, cut};
use super::values::{byte_array, date};

/// Names of entry functions, the preferred one first.
const ENTRY_NAMES: [&str; 7] = [
    "decodeUplink",
    "decode",
    "encodeDownlink",
    "decodeDownlink",
    "normalizeUplink",
    "Decoder",
    "Decode",
];

/// Finds what a script defined, in the order of `ENTRY_NAMES`, and what it exported. A script,
/// because `const decode = ...` is no property of the global object and only a script sees it.
pub const LOOKUP: &str = "[
    typeof decodeUplink === 'function' ? decodeUplink : undefined,
    typeof decode === 'function' ? decode : undefined,
    typeof encodeDownlink === 'function' ? encodeDownlink : undefined,
    typeof decodeDownlink === 'function' ? decodeDownlink : undefined,
    typeof normalizeUplink === 'function' ? normalizeUplink : undefined,
    typeof Decoder === 'function' ? Decoder : undefined,
    typeof Decode === 'function' ? Decode : undefined,
    typeof module === 'object' && module !== null ? module.exports : undefined,
    typeof exports === 'object' ? exports : undefined,
    typeof driver === 'object' && driver !== null ? driver : undefined,
]";

/// Objects behind the functions in `LOOKUP` that may hold functions: `module.exports`, `exports`,
/// and `driver`, as which a bundler may publish a library.
const EXPORTS: usize = 3;

/// The scripts of a call.
pub struct Code<'a> {
    pub program: &'a Program,
    pub lookup: &'a Bytecode,
}

/// The result of a call.
pub enum Output {
    Decoded {
        json: String,
        /// The new state of the device, from a TS013 driver that gives one.
        new_state: Option<String>,
        warnings: Vec<String>,
        /// The complete returned value, if requested.
        result: Option<String>,
    },
    Returned {
        json: String,
    },
    Checked {
        names: Vec<String>,
    },
}

pub fn run(
    ctx: &Ctx<'_>,
    limits: &Limits,
    code: &Code<'_>,
    task: &Task,
) -> Result<Output, DriverError> {
    // Read before the script runs, so that nothing of it can interfere.
    let state = match task {
        Task::Decode { state, .. } => read_state(ctx, state.as_deref()),
        Task::Check | Task::Call { .. } => Ok(Value::new_undefined(ctx.clone())),
    }
    .map_err(|_| exception(ctx))?;
    let arguments = match task {
        Task::Call {
            function,
            input,
            received_at_ms,
        } => arguments::arguments(ctx, function, input.get(), *received_at_ms)?,
        _ => Vec::new(),
    };
    let exported = evaluate_program(ctx, limits, code.program)?;
    let entries = find_entries(ctx, code.lookup, exported).map_err(|_| exception(ctx))?;
    match task {
        Task::Call { function, .. } => {
            let returned = entries
                .named(ctx, function)?
                .call((Rest(arguments),))
                .map_err(|_| exception(ctx))?;
            let returned = settle(ctx, limits, function, returned)?;
            // As `JSON.stringify` in an array: a value without JSON becomes null.
            let json = convert::json(ctx, &returned)?.unwrap_or_else(|| "null".to_owned());
            within_output(limits, json).map(|json| Output::Returned { json })
        }
        Task::Check => {
            let names = entries
                .functions
                .into_iter()
                .map(|(name, _)| name.to_owned())
                .collect();
            Ok(Output::Checked { names })
        }
        Task::Decode {
            payload,
            f_port,
            received_at_ms,
            state: _,
            whole,
        } => {
            let Some((name, function)) = DECODERS
                .into_iter()
                .find_map(|name| Some((name, entries.get(name)?)))
            else {
                return Err(DriverError::new(
                    DriverErrorKind::NoFunction,
                    "the driver defines no decodeUplink(input) and no decode(payload, port)",
                ));
            };
            let returned = call_decoder(
                ctx,
                name,
                function,
                payload,
                *f_port,
                *received_at_ms,
                state,
            )
            .map_err(|_| exception(ctx))?;
            let returned = settle(ctx, limits, name, returned)?;
            decoded(ctx, limits, name, returned, *whole)
        }
    }
}

/// Runs the driver's own code; a module gives what it exports.
fn evaluate_program<'js>(
    ctx: &Ctx<'js>,
    limits: &Limits,
    program: &Program,
) -> Result<Vec<Object<'js>>, DriverError> {
    let module = match program {
        Program::Script(code) => {
            evaluate(ctx, code).map_err(|_| exception(ctx))?;
            return Ok(Vec::new());
        }
        Program::Module(code) => code,
    };
    let (exports, end) = evaluate_module(ctx, module).map_err(|_| exception(ctx))?;
    settle(ctx, limits, "the module", end)?;
    let default: Value = exports.get("default").map_err(|_| exception(ctx))?;
    let mut exported = vec![exports];
    exported.extend(default.into_object());
    Ok(exported)
}

/// The functions that a script gave.
struct Entries<'js> {
    functions: Vec<(&'static str, Function<'js>)>,
    exports: Vec<Object<'js>>,
}

/// The entry functions that a script gave; a global one comes before an exported one.
fn find_entries<'js>(
    ctx: &Ctx<'js>,
    lookup: &Bytecode,
    mut exports: Vec<Object<'js>>,
) -> rquickjs::Result<Entries<'js>> {
    let found: Array = evaluate(ctx, lookup)?.get()?;
    for index in 0..EXPORTS {
        let value: Value = found.get(ENTRY_NAMES.len() + index)?;
        exports.extend(value.into_object());
    }
    let mut functions = Vec::new();
    for (index, name) in ENTRY_NAMES.into_iter().enumerate() {
        let mut candidate: Value = found.get(index)?;
        for exports in &exports {
            if !candidate.is_function() {
                candidate = exports.get(name)?;
            }
        }
        if let Some(function) = candidate.into_function() {
            functions.push((name, function));
        }
    }
    Ok(Entries { functions, exports })
}

impl<'js> Entries<'js> {
    fn get(&self, wanted: &str) -> Option<&Function<'js>> {
        self.functions
            .iter()
            .find_map(|(name, function)| (*name == wanted).then_some(function))
    }

    /// Any function of the script, by its name.
    fn named(&self, ctx: &Ctx<'js>, name: &str) -> Result<Function<'js>, DriverError> {
        if let Some(function) = self.get(name) {
            return Ok(function.clone());
        }
        let missing = || {
            let message = format!("the driver defines no function {}", cut(name));
            DriverError::new(DriverErrorKind::NoFunction, message)
        };
        if !is_identifier(name) {
            return Err(missing());
        }
        let lookup = format!("typeof {name} === 'function' ? {name} : undefined");
        let mut options = EvalOptions::default();
        options.strict = false;
        // A reserved word is no name of a function.
        let global: Value =
            ctx.eval_with_options(lookup, options)
                .map_err(|_| match exception(ctx) {
                    error if error.message.starts_with("SyntaxError") => missing(),
                    error => error,
                })?;
        if let Some(function) = global.into_function() {
            return Ok(function);
        }
        for exports in &self.exports {
            let exported: Value = exports.get(name).map_err(|_| exception(ctx))?;
            if let Some(function) = exported.into_function() {
                return Ok(function);
            }
        }
        Err(missing())
    }
}

fn is_identifier(name: &str) -> bool {
    let first = name.chars().next();
    first.is_some_and(|c| c.is_alphabetic() || matches!(c, '_' | '$'))
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '$'))
}

fn call_decoder<'js>(
    ctx: &Ctx<'js>,
    name: &str,
    function: &Function<'js>,
    payload: &[u8],
    f_port: Option<u8>,
    received_at_ms: i64,
    state: Value<'js>,
) -> rquickjs::Result<Value<'js>> {
    let bytes = byte_array(ctx, payload)?;
    // ChirpStack's third argument, the device's variables; the hub has none, but scripts read it.
    let variables = Object::new(ctx.clone())?;
    match name {
        "decodeUplink" => {
            let input = Object::new(ctx.clone())?;
            input.set("bytes", bytes)?;
            input.set("fPort", port(ctx, f_port))?;
            input.set("recvTime", date(ctx, received_at_ms)?)?;
            input.set("variables", variables)?;
            input.set("state", state)?;
            function.call((input,))
        }
        "decode" => function.call((bytes, port(ctx, f_port), state)),
        "Decode" => function.call((port(ctx, f_port), bytes, variables)),
        _ => function.call((bytes, port(ctx, f_port), variables)),
    }
}

fn read_state<'js>(ctx: &Ctx<'js>, json: Option<&str>) -> rquickjs::Result<Value<'js>> {
    match json {
        Some(json) => ctx.json_parse(json),
        None => Object::new(ctx.clone()).map(Object::into_value),
    }
}

fn port<'js>(ctx: &Ctx<'js>, f_port: Option<u8>) -> Value<'js> {
    match f_port {
        Some(f_port) => Value::new_int(ctx.clone(), f_port.into()),
        None => Value::new_null(ctx.clone()),
    }
}

/// Waits for a promise by running its jobs, within their limit.
fn settle<'js>(
    ctx: &Ctx<'js>,
    limits: &Limits,
    name: &str,
    returned: Value<'js>,
) -> Result<Value<'js>, DriverError> {
    let Some(promise) = returned.as_promise().cloned() else {
        return Ok(returned);
    };
    let mut jobs_run = 0;
    while promise.state() == PromiseState::Pending {
        if jobs_run == limits.pending_jobs {
            return Err(DriverError::new(
                DriverErrorKind::PendingJobs,
                format!("limit of {} promise jobs reached", limits.pending_jobs),
            ));
        }
        if !ctx.execute_pending_job() {
            return Err(DriverError::new(
                DriverErrorKind::BadResult,
                format!("{name} returned a promise that nothing will ever settle"),
            ));
        }
        jobs_run += 1;
    }
    match promise.result::<Value>() {
        Some(Ok(value)) => Ok(value),
        _ => Err(exception(ctx)),
    }
}

fn decoded<'js>(
    ctx: &Ctx<'js>,
    limits: &Limits,
    name: &str,
    returned: Value<'js>,
    whole: bool,
) -> Result<Output, DriverError> {
    if name != "decodeUplink" {
        let json = json_object(ctx, limits, name, &returned)?;
        return Ok(Output::Decoded {
            result: whole.then(|| json.clone()),
            json,
            new_state: None,
            warnings: Vec::new(),
        });
    }
    let Some(result) = returned
        .as_object()
        .filter(|_| kind_of(&returned) == "an object")
    else {
        return Err(DriverError::new(
            DriverErrorKind::BadResult,
            format!(
                "decodeUplink returned {} instead of an object",
                kind_of(&returned)
            ),
        ));
    };
    let errors = convert::texts(ctx, result, "errors").map_err(|_| exception(ctx))?;
    if !errors.is_empty() {
        let message = cut(&errors.join("; "));
        return Err(DriverError::new(DriverErrorKind::Exception, message));
    }
    let mut warnings = convert::texts(ctx, result, "warnings").map_err(|_| exception(ctx))?;
    warnings.truncate(WARNINGS);
    let data: Value = result.get("data").map_err(|_| exception(ctx))?;
    let json = json_object(ctx, limits, "decodeUplink's data", &data)?;
    let new_state: Value = result.get("new_state").map_err(|_| exception(ctx))?;
    let new_state = match new_state.is_undefined() || new_state.is_null() {
        true => None,
        false => Some(json_object(
            ctx,
            limits,
            "decodeUplink's new_state",
            &new_state,
        )?),
    };
    // Last, and without failing: a caller that requests the complete value must get the same data as one
    // that does not.
    let result = match whole {
        true => convert::json(ctx, &returned).ok().flatten(),
        false => None,
    };
    let result = result.map(convert::replace_unpaired_surrogates);
    Ok(Output::Decoded {
        json,
        new_state,
        warnings,
        result: result.filter(|json| json.len() <= limits.output_bytes),
    })
}

/// The JSON of an object, within the output limit.
fn json_object<'js>(
    ctx: &Ctx<'js>,
    limits: &Limits,
    what: &str,
    value: &Value<'js>,
) -> Result<String, DriverError> {
    let bad = |got: &str| {
        let verb = match what.contains(' ') {
            true => "is",
            false => "returned",
        };
        let message = format!("{what} {verb} {got} instead of an object");
        DriverError::new(DriverErrorKind::BadResult, message)
    };
    if kind_of(value) != "an object" {
        return Err(bad(kind_of(value)));
    }
    let json =
        convert::json_with_marks(ctx, value)?.ok_or_else(|| bad("undefined, by its toJSON,"))?;
    let json = convert::replace_unpaired_surrogates(json);
    if !json.starts_with('{') {
        return Err(bad("something else, by its toJSON,"));
    }
    within_output(limits, json)
}

fn within_output(limits: &Limits, json: String) -> Result<String, DriverError> {
    if json.len() > limits.output_bytes {
        return Err(DriverError::new(
            DriverErrorKind::Output,
            format!(
                "the result has {} bytes of JSON; the limit is {}",
                json.len(),
                limits.output_bytes
            ),
        ));
    }
    Ok(json)
}
