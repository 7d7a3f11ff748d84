//! Values for scripts, made without their globals, which a driver may have changed.

use rquickjs::{Ctx, Value, qjs};

/// An array of numbers, whatever setters the driver has put on the prototypes.
pub fn byte_array<'js>(ctx: &Ctx<'js>, payload: &[u8]) -> rquickjs::Result<Value<'js>> {
    let length = payload
        .len()
        .try_into()
        .map_err(|_| rquickjs::Error::Unknown)?;
    let numbers: Vec<_> = payload
        .iter()
        .map(|byte| Value::new_int(ctx.clone(), (*byte).into()).as_raw())
        .collect();
    // SAFETY: the array takes over `length` values, which are integers and own nothing.
    unsafe {
        let array = qjs::JS_NewArrayFrom(ctx.as_raw().as_ptr(), length, numbers.as_ptr());
        if qjs::JS_IsException(array) {
            return Err(rquickjs::Error::Exception);
        }
        Ok(Value::from_raw(ctx.clone(), array))
    }
}

/// A `Date`, whatever the driver has made of the global of that name.
pub fn date<'js>(ctx: &Ctx<'js>, epoch_ms: i64) -> rquickjs::Result<Value<'js>> {
    // SAFETY: the context is alive, and the new value is ours.
    unsafe {
        let date = qjs::JS_NewDate(ctx.as_raw().as_ptr(), epoch_ms as f64);
        if qjs::JS_IsException(date) {
            return Err(rquickjs::Error::Exception);
        }
        Ok(Value::from_raw(ctx.clone(), date))
    }
}
