//! The JavaScript runtime of a worker: created once, with everything that is the same for every call, and
//! restored to that state before each one.
//!
//! With a runtime of its own, a call shares nothing with others: no pending jobs, no finalisers, no interned
//! symbols, no garbage, and the memory limit counts the call alone. To create one was three quarters of the
//! cost of a call, so all its memory is instead restored, byte by byte, to the state before any driver ran
//! ([`super::heap`]).
//!
//! Invariant: nothing inside the heap owns memory outside of it that was allocated after its image. So all
//! functions that are written in Rust are created before the image, and are also held from outside, so that
//! no driver can free them; and data of a call is copied into the heap.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::rc::Rc;

use rquickjs::object::Property;
use rquickjs::{Context, Ctx, Function, Object, Runtime, Value, qjs};

use super::bytecode::{Bytecode, evaluate};
use super::console::Console;
use super::convert::{self, exception};
use super::error::{DriverError, DriverErrorKind};
use super::heap::{Heap, Image, Source};
use super::limits::Limits;
use super::{prelude, sandbox};

/// Sets with parts of the prelude that are kept, some hundred KiB each; there are few that drivers use.
const SETS_MAX: usize = 8;

/// The runtime, and the images to which it can be restored.
pub struct Stage {
    heap: Rc<Heap>,
    /// Never dropped: they end with the process.
    context: ManuallyDrop<Context>,
    pub clock: Rc<CpuClock>,
    pub console: Rc<Console>,
    /// The functions in Rust, for the parts of the prelude.
    natives: qjs::JSValue,
    bare: Rc<Image>,
    /// By the parts of the prelude that are in them.
    sets: RefCell<HashMap<Vec<usize>, Rc<Image>>>,
}

impl Stage {
    /// Creates a stage with the globals of every driver.
    pub fn set_up(limits: &Limits) -> Result<Self, DriverError> {
        let no_memory = |_| DriverError::new(DriverErrorKind::Memory, "");
        let heap = Heap::new(limits.memory_bytes)
            .map_err(|error| DriverError::new(DriverErrorKind::Memory, error.to_string()))?;
        let (clock, console) = (CpuClock::stopped(), Console::new(limits.log_lines));
        let runtime = Runtime::new_with_alloc(Source(heap.clone())).map_err(no_memory)?;
        // Within the worker's own stack of 8 MiB; QuickJS takes too large a limit for none at all.
        runtime.set_max_stack_size(limits.stack_bytes.clamp(16 << 10, 4 << 20));
        let asked = clock.clone();
        runtime.set_interrupt_handler(Some(Box::new(move || asked.must_stop())));
        let context = Context::full(&runtime).map_err(no_memory)?;
        std::mem::forget(runtime);
        let natives = context.with(|ctx| {
            let natives = furnish(&ctx, &console).map_err(|_| exception(&ctx))?;
            Ok(keep(natives.into_value()))
        })?;
        Ok(Self {
            bare: Rc::new(heap.image()),
            heap,
            context: ManuallyDrop::new(context),
            clock,
            console,
            natives,
            sets: RefCell::default(),
        })
    }

    /// Returns the set with these parts of the prelude.
    pub fn dressed<'a>(
        &self,
        parts: &[usize],
        code: impl Fn(usize) -> Option<&'a Bytecode>,
    ) -> Result<Rc<Image>, DriverError> {
        if parts.is_empty() {
            return Ok(self.bare.clone());
        }
        if let Some(set) = self.sets.borrow().get(parts) {
            return Ok(set.clone());
        }
        self.play(&self.bare, |ctx| {
            let install = |part: &usize| match code(*part) {
                Some(code) => prelude::install(evaluate(ctx, code)?, &self.natives(ctx)?),
                None => Ok(()),
            };
            let installed: rquickjs::Result<()> = parts.iter().try_for_each(install);
            installed.map_err(|_| exception(ctx))
        })?;
        let set = Rc::new(self.heap.image());
        let mut sets = self.sets.borrow_mut();
        if sets.len() >= SETS_MAX {
            sets.clear();
        }
        sets.insert(parts.to_vec(), set.clone());
        Ok(set)
    }

    /// Runs code that is not a driver's, on the bare set and without a deadline.
    pub fn play_bare<R>(
        &self,
        run: impl FnOnce(&Ctx<'_>) -> Result<R, DriverError>,
    ) -> Result<R, DriverError> {
        self.clock.stop();
        self.play(&self.bare, run)
    }

    /// Restores a set and runs code on it. The result is outside the heap.
    pub fn play<R>(
        &self,
        set: &Image,
        run: impl FnOnce(&Ctx<'_>) -> Result<R, DriverError>,
    ) -> Result<R, DriverError> {
        // SAFETY: the image is of this heap, and was made after all functions in Rust. Whatever the
        // last call held ended with its `with`: no value outlives that.
        unsafe { self.heap.put_back(set) };
        let played = self.context.with(|ctx| {
            // SAFETY: the context is alive. The stack may be another than when the image was made.
            unsafe { qjs::JS_UpdateStackTop(qjs::JS_GetRuntime(ctx.as_raw().as_ptr())) };
            run(&ctx)
        });
        played.map_err(|mut error| {
            // An error that says nothing is the lack of memory, where memory was refused.
            if self.heap.refused() && convert::says_nothing(&error) {
                error.kind = DriverErrorKind::Memory;
            }
            error
        })
    }

    /// Returns the peak memory of the last run, including its set.
    pub fn memory_peak_bytes(&self) -> usize {
        self.heap.peak_bytes()
    }

    fn natives<'js>(&self, ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
        // SAFETY: it is in every image, at the same place, and `keep` holds it there.
        let natives = unsafe {
            let natives = qjs::JS_DupValue(ctx.as_raw().as_ptr(), self.natives);
            Value::from_raw(ctx.clone(), natives)
        };
        natives.get()
    }
}

/// Creates the globals of every driver: `console`, `module` and `exports` for CommonJS modules, and random
/// numbers. Returns the functions for the parts of the prelude.
fn furnish<'js>(ctx: &Ctx<'js>, console: &Rc<Console>) -> rquickjs::Result<Object<'js>> {
    for function in console.install(ctx)? {
        keep(function.into_value());
    }
    let exports = Object::new(ctx.clone())?;
    let module = Object::new(ctx.clone())?;
    module.set("exports", exports.clone())?;
    ctx.globals().set("exports", exports)?;
    ctx.globals().set("module", module)?;
    // The engine's own generator would return the same numbers in every call.
    let random = Function::new(ctx.clone(), rand::random::<f64>)?.with_name("random")?;
    keep(random.clone().into_value());
    let math: Object = ctx.globals().get("Math")?;
    math.prop("random", Property::from(random).writable().configurable())?;
    let natives = prelude::natives(ctx)?;
    for function in natives.values::<Value>() {
        keep(function?);
    }
    Ok(natives)
}

/// Holds a value from outside for ever, so that no driver can free it.
fn keep(value: Value<'_>) -> qjs::JSValue {
    let raw = value.as_raw();
    std::mem::forget(value);
    raw
}

/// The deadline of a call, and whether it was exceeded.
pub struct CpuClock {
    deadline_us: Cell<u64>,
    exceeded: Cell<bool>,
}

impl CpuClock {
    fn stopped() -> Rc<Self> {
        Rc::new(Self {
            deadline_us: Cell::new(u64::MAX),
            exceeded: Cell::new(false),
        })
    }

    fn stop(&self) {
        self.deadline_us.set(u64::MAX);
        self.exceeded.set(false);
    }

    /// Sets the deadline to this time from now.
    pub fn start(&self, cpu_time_ms: u64) {
        let deadline_us = sandbox::cpu_time_us().saturating_add(cpu_time_ms.saturating_mul(1_000));
        self.deadline_us.set(deadline_us);
        self.exceeded.set(false);
    }

    /// Returns true if the deadline was exceeded.
    pub fn exceeded(&self) -> bool {
        self.exceeded.get()
    }

    /// True once the deadline has passed, and from then on always: `finally` blocks get no more time.
    fn must_stop(&self) -> bool {
        if !self.exceeded.get() && sandbox::cpu_time_us() >= self.deadline_us.get() {
            self.exceeded.set(true);
        }
        self.exceeded.get()
    }
}
