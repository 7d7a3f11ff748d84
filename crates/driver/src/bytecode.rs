//! Compiled code: serialization as bytecode, and evaluation.
//!
//! Invariant: the bytecode is made by this process and never leaves it, because QuickJS trusts it without
//! checks.

use rquickjs::module::{Module, WriteOptions};
use rquickjs::{Ctx, Object, Value, qjs};

/// Compiled code.
pub struct Bytecode(Vec<u8>);

impl Bytecode {
    /// Length in bytes.
    pub fn size_bytes(&self) -> usize {
        self.0.len()
    }
}

/// A driver's code, by its kind in the engine.
pub enum Program {
    /// A script, as nearly all are.
    Script(Bytecode),
    /// An ECMAScript module.
    Module(Bytecode),
}

/// The bytecode of a module that was compiled.
pub fn write_module(module: &Module<'_>) -> rquickjs::Result<Bytecode> {
    let options = WriteOptions {
        strip_source: true,
        ..WriteOptions::default()
    };
    module.write(options).map(Bytecode)
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

/// The bytecode of a function that was compiled; `None` where there is no memory for it.
pub fn write_function(ctx: &Ctx<'_>, function: &Value<'_>) -> Option<Bytecode> {
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
    // SAFETY: reading bytecode is only safe from a trusted writer: it is [`write_function`] of this
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
pub unsafe fn adopt<'js>(ctx: &Ctx<'js>, value: qjs::JSValue) -> rquickjs::Result<Value<'js>> {
    // SAFETY: as the caller promised.
    unsafe {
        if qjs::JS_IsException(value) {
            return Err(rquickjs::Error::Exception);
        }
        Ok(Value::from_raw(ctx.clone(), value))
    }
}
