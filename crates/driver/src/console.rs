//! The log of a driver: `console.log` and similar methods, limited in lines and length.

use std::cell::RefCell;
use std::rc::Rc;

use rquickjs::function::{Function, Opt, Rest};
use rquickjs::{Coerced, Ctx, Object, String as JsString, Value};

use super::convert;
use super::protocol::{TEXT_CHARS, cut};

/// Last line of a log from which lines are missing.
pub const LINES_LEFT_OUT: &str = "(further lines were left out)";

/// Methods that log their arguments.
const LOGGING: [&str; 11] = [
    "log",
    "info",
    "warn",
    "error",
    "debug",
    "trace",
    "dir",
    "dirxml",
    "table",
    "group",
    "groupCollapsed",
];

/// Methods that exist but do nothing.
const SILENT: [&str; 7] = [
    "groupEnd",
    "count",
    "countReset",
    "time",
    "timeEnd",
    "timeLog",
    "clear",
];

/// The lines of one call. Lines beyond the limit are dropped, and one last line says so.
pub struct Console {
    lines: RefCell<Vec<String>>,
    lines_max: usize,
}

impl Console {
    pub fn new(lines_max: usize) -> Rc<Self> {
        Rc::new(Self {
            lines: RefCell::default(),
            lines_max,
        })
    }

    /// Defines the global `console`. Returns its functions.
    pub fn install<'js>(self: &Rc<Self>, ctx: &Ctx<'js>) -> rquickjs::Result<[Function<'js>; 3]> {
        let this = Rc::clone(self);
        let log = Function::new(
            ctx.clone(),
            move |ctx: Ctx<'js>, values: Rest<Value<'js>>| this.log(&ctx, &values.0),
        )?;
        let this = Rc::clone(self);
        let assert = Function::new(
            ctx.clone(),
            move |ctx: Ctx<'js>, holds: Opt<Coerced<bool>>, values: Rest<Value<'js>>| {
                if holds.0.is_some_and(|holds| holds.0) {
                    return Ok(());
                }
                let failed = JsString::from_str(ctx.clone(), "Assertion failed")?.into_value();
                this.log(&ctx, &[vec![failed], values.0].concat())
            },
        )?;
        let nothing = Function::new(ctx.clone(), || ())?;
        let console = Object::new(ctx.clone())?;
        for name in LOGGING {
            console.set(name, log.clone())?;
        }
        for name in SILENT {
            console.set(name, nothing.clone())?;
        }
        console.set("assert", assert.clone())?;
        ctx.globals().set("console", console)?;
        Ok([log, assert, nothing])
    }

    pub fn take(&self) -> Vec<String> {
        self.lines.take()
    }

    fn log<'js>(&self, ctx: &Ctx<'js>, values: &[Value<'js>]) -> rquickjs::Result<()> {
        let count = self.lines.borrow().len();
        if count > self.lines_max {
            return Ok(());
        }
        if count == self.lines_max {
            self.lines.borrow_mut().push(LINES_LEFT_OUT.to_owned());
            return Ok(());
        }
        // Formatting a value can run the driver's code, which may log again, so no borrow is held.
        let mut values = values.iter().take(TEXT_CHARS);
        let mut line = String::new();
        if let Some(first) = values.next() {
            line = convert::show(ctx, first)?;
            if first.is_string() && line.contains('%') && values.len() > 0 {
                line = fill(ctx, &line, &mut values)?;
            }
        }
        for value in values {
            line.push(' ');
            line.push_str(&convert::show(ctx, value)?);
        }
        self.lines.borrow_mut().push(cut(&line));
        Ok(())
    }
}

/// Replaces the placeholders of a format (`%s`, `%d` and so on) with values, as long as there are some.
fn fill<'a, 'js: 'a>(
    ctx: &Ctx<'js>,
    format: &str,
    values: &mut impl Iterator<Item = &'a Value<'js>>,
) -> rquickjs::Result<String> {
    let mut filled = String::with_capacity(format.len());
    let mut rest = format.chars().peekable();
    while let Some(character) = rest.next() {
        let place = rest.peek().copied().filter(|_| character == '%');
        match place {
            Some('%') => {
                rest.next();
                filled.push('%');
            }
            Some(kind @ ('s' | 'd' | 'i' | 'f' | 'j' | 'o' | 'O' | 'c')) => {
                let Some(value) = values.next() else {
                    filled.push('%');
                    continue;
                };
                rest.next();
                let shown = convert::show(ctx, value)?;
                match kind {
                    // Styles are for browsers.
                    'c' => {}
                    'd' | 'i' | 'f' if !value.is_number() && !value.is_big_int() => {
                        match shown.trim().parse::<f64>() {
                            Ok(number) if kind == 'i' => {
                                filled.push_str(&number.trunc().to_string())
                            }
                            Ok(number) => filled.push_str(&number.to_string()),
                            Err(_) => filled.push_str("NaN"),
                        }
                    }
                    'i' => filled.push_str(shown.split('.').next().unwrap_or_default()),
                    _ => filled.push_str(&shown),
                }
            }
            _ => filled.push(character),
        }
    }
    Ok(filled)
}
