//! Size of a value including its content.

use minijinja::{
    Error, ErrorKind, State,
    value::{DynObject, ObjectRepr, Value},
};

/// Maximum size of a value that a template may create or compare, in bytes of text plus [`ITEM`] bytes
/// for each element.
pub const VALUE_MAX_BYTES: usize = 64 * 1024;
/// Bytes counted for a number, an item or a member.
const ITEM: usize = 4;
/// Maximum nesting of lists; parsed JSON is nested less.
const DEPTH_MAX: usize = 140;
/// Number of bytes that one unit of fuel pays for, here and in the engine.
const BYTES_PER_FUEL: usize = 64;

/// Returns the value if it is small enough, and consumes fuel for it. A lazy sequence is evaluated
/// here, once, instead of each time it is read.
pub fn bounded(state: &State, value: &Value) -> Result<Value, Error> {
    let mut size = 0;
    // The engine already consumes fuel for texts that pass through a filter.
    if let Some(text) = value.as_str() {
        add(&mut size, text.len())?;
        return Ok(value.clone());
    }
    let made = match value.as_object() {
        Some(object) if object.repr() == ObjectRepr::Iterable => {
            let mut items = Vec::new();
            for item in value.try_iter()? {
                measure(&item, 1, &mut size)?;
                items.push(item);
            }
            Value::from(items)
        }
        _ => {
            measure(value, 0, &mut size)?;
            value.clone()
        }
    };
    state.consume_fuel((size / BYTES_PER_FUEL) as u64)?;
    Ok(made)
}

/// Returns the value; the engine consumes fuel for it as for any filter.
pub fn paid(value: &Value) -> Value {
    value.clone()
}

fn add(size: &mut usize, bytes: usize) -> Result<(), Error> {
    *size += bytes;
    match *size <= VALUE_MAX_BYTES {
        true => Ok(()),
        false => Err(too_large(format!(
            "a value is larger than {VALUE_MAX_BYTES} bytes"
        ))),
    }
}

fn too_large(what: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::OutOfFuel, what)
}

fn measure(value: &Value, depth: usize, size: &mut usize) -> Result<(), Error> {
    add(size, ITEM)?;
    if let Some(text) = value.as_str() {
        return add(size, text.len());
    }
    if let Some(bytes) = value.as_bytes() {
        return add(size, bytes.len());
    }
    match value.as_object() {
        Some(object) => measure_object(object, depth, size),
        None => Ok(()),
    }
}

fn measure_object(object: &DynObject, depth: usize, size: &mut usize) -> Result<(), Error> {
    if depth > DEPTH_MAX {
        return Err(too_large(format!(
            "a value nests more than {DEPTH_MAX} levels"
        )));
    }
    match object.repr() {
        ObjectRepr::Map => {
            for (key, value) in object.try_iter_pairs().into_iter().flatten() {
                measure(&key, depth + 1, size)?;
                measure(&value, depth + 1, size)?;
            }
            Ok(())
        }
        ObjectRepr::Seq | ObjectRepr::Iterable => {
            for value in object.try_iter().into_iter().flatten() {
                measure(&value, depth + 1, size)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
