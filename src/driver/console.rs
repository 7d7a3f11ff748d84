//! What a driver logs: `console.log` and its siblings, bounded in lines and in length.

use std::cell::RefCell;
use std::rc::Rc;

use rquickjs::function::{Function, Rest};
use rquickjs::{Ctx, Object, Value};

use super::convert;
use super::protocol::cut;

/// The lines of one call. What is beyond the limit is dropped, and one last line says so.
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

    /// Defines the global `console`.
    pub fn install<'js>(self: &Rc<Self>, ctx: &Ctx<'js>) -> rquickjs::Result<()> {
        let this = Rc::clone(self);
        let log = Function::new(
            ctx.clone(),
            move |ctx: Ctx<'js>, values: Rest<Value<'js>>| this.log(&ctx, &values.0),
        )?;
        let console = Object::new(ctx.clone())?;
        for level in ["log", "info", "warn", "error", "debug", "trace"] {
            console.set(level, log.clone())?;
        }
        ctx.globals().set("console", console)
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
            self.lines
                .borrow_mut()
                .push("(further lines were left out)".to_owned());
            return Ok(());
        }
        // Showing a value can run the driver's own code, which may log again: hold no borrow.
        let mut line = String::new();
        for (index, value) in values.iter().enumerate().take(super::protocol::TEXT_CHARS) {
            if index > 0 {
                line.push(' ');
            }
            line.push_str(&convert::show(ctx, value)?);
        }
        self.lines.borrow_mut().push(cut(&line));
        Ok(())
    }
}
