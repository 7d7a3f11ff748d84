//! The memory of one call: the C library's allocator with a limit that remembers being reached.
//!
//! QuickJS has a limit of its own, but once it is reached there may be no memory left for the error
//! that says so, and the driver seems to have thrown `null`. So the limit is here, and the call can
//! ask whether memory was refused, and how much it had at most.

use std::cell::Cell;
use std::rc::Rc;

use nix::libc;
use rquickjs::allocator::Allocator;

/// What one call's heap tells of itself, during the call and after it.
#[derive(Default)]
pub struct Usage {
    used_bytes: Cell<usize>,
    peak_bytes: Cell<usize>,
    refused: Cell<bool>,
}

impl Usage {
    /// Whether memory was refused, so that an error may be but the lack of it.
    pub fn refused(&self) -> bool {
        self.refused.get()
    }

    /// The most memory that the call had at a time, its fresh JavaScript runtime included.
    pub fn peak_bytes(&self) -> usize {
        self.peak_bytes.get()
    }

    fn grow(&self, more_bytes: usize) {
        let used_bytes = self.used_bytes.get() + more_bytes;
        self.used_bytes.set(used_bytes);
        self.peak_bytes.set(self.peak_bytes.get().max(used_bytes));
    }

    fn shrink(&self, less_bytes: usize) {
        self.used_bytes.set(self.used_bytes.get() - less_bytes);
    }
}

pub struct Heap {
    limit_bytes: usize,
    usage: Rc<Usage>,
}

impl Heap {
    pub fn new(limit_bytes: usize, usage: Rc<Usage>) -> Self {
        Self { limit_bytes, usage }
    }

    /// Whether so many bytes more are within the limit.
    fn admit(&self, more_bytes: usize) -> bool {
        let admitted = self
            .usage
            .used_bytes
            .get()
            .checked_add(more_bytes)
            .is_some_and(|used_bytes| used_bytes <= self.limit_bytes);
        if !admitted {
            self.usage.refused.set(true);
        }
        admitted
    }

    /// Counts a new allocation; null is the system refusing what the limit admitted.
    fn count(&mut self, memory: *mut libc::c_void) -> *mut u8 {
        if memory.is_null() {
            self.usage.refused.set(true);
        } else {
            // SAFETY: just allocated by the C library.
            self.usage.grow(unsafe { libc::malloc_usable_size(memory) });
        }
        memory.cast()
    }
}

// SAFETY: everything is the C library's own answer (aligned for any type, usable size included), or
// null.
unsafe impl Allocator for Heap {
    fn alloc(&mut self, size: usize) -> *mut u8 {
        if !self.admit(size) {
            return std::ptr::null_mut();
        }
        // SAFETY: malloc takes any size.
        let memory = unsafe { libc::malloc(size) };
        self.count(memory)
    }

    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        if !self.admit(count.saturating_mul(size)) {
            return std::ptr::null_mut();
        }
        // SAFETY: calloc takes any sizes.
        let memory = unsafe { libc::calloc(count, size) };
        self.count(memory)
    }

    unsafe fn dealloc(&mut self, memory: *mut u8) {
        // SAFETY: the caller promises that it came from this allocator and is not used again.
        unsafe {
            self.usage.shrink(libc::malloc_usable_size(memory.cast()));
            libc::free(memory.cast());
        }
    }

    unsafe fn realloc(&mut self, memory: *mut u8, new_size: usize) -> *mut u8 {
        if memory.is_null() {
            return self.alloc(new_size);
        }
        if new_size == 0 {
            // SAFETY: as for `dealloc`, by the caller's promise.
            unsafe { self.dealloc(memory) };
            return std::ptr::null_mut();
        }
        // SAFETY: the caller promises that `memory` came from this allocator. Where realloc fails,
        // the old allocation stays, and stays counted.
        unsafe {
            let old_bytes = libc::malloc_usable_size(memory.cast());
            if new_size > old_bytes && !self.admit(new_size - old_bytes) {
                return std::ptr::null_mut();
            }
            let moved = libc::realloc(memory.cast(), new_size);
            if !moved.is_null() {
                self.usage.shrink(old_bytes);
            }
            self.count(moved)
        }
    }

    unsafe fn usable_size(memory: *mut u8) -> usize {
        // SAFETY: the caller promises that it came from this allocator.
        unsafe { libc::malloc_usable_size(memory.cast()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_and_is_remembered() {
        let usage = Rc::new(Usage::default());
        let refused = || usage.refused.take();
        let mut heap = Heap::new(10_000, Rc::clone(&usage));
        let first = heap.alloc(6_000);
        assert!(!first.is_null() && !refused());
        assert!(heap.alloc(6_000).is_null() && refused());
        assert!(heap.calloc(usize::MAX, 2).is_null() && refused());
        // SAFETY: each pointer came from this heap and is used once.
        unsafe {
            assert!(heap.realloc(first, 20_000).is_null() && refused());
            let moved = heap.realloc(first, 9_000);
            assert!(!moved.is_null() && !refused());
            heap.dealloc(moved);
        }
        assert_eq!(usage.used_bytes.get(), 0);
        assert!((9_000..=10_000).contains(&usage.peak_bytes()));
    }
}
