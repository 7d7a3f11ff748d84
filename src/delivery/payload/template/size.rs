//! How large a value is, with all that is in it.

use minijinja::{
    Error, ErrorKind, State,
    value::{DynObject, ObjectRepr, Value},
};

/// The largest value that a template may make, or compare: bytes of texts, and those of [`ITEM`].
pub const VALUE_MAX_BYTES: usize = 64 * 1024;
/// What a number, an item or a member counts for.
const ITEM: usize = 4;
/// How deeply lists may lie in lists; JSON that is read nests less.
const DEPTH_MAX: usize = 140;
/// What one unit of fuel pays for, in the engine as here.
const BYTES_PER_FUEL: usize = 64;

/// Gives the value back when it is small enough, and has it paid for. What is only made when it is
/// looked at is made now: once, and not each time.
pub fn bounded(state: &State, value: &Value) -> Result<Value, Error> {
    let mut size = 0;
    // A text is paid for by the engine, as all that a filter takes and gives.
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

/// Gives the value back; the engine has been paid for it by then.
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
