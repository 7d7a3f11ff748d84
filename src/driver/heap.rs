//! The memory of one call: the C library's allocator with a limit that remembers being reached.
//!
//! QuickJS has a limit of its own, but once it is reached there may be no memory left for the error
//! that says so, and the driver seems to have thrown `null`. So the limit is here, and the call can
//! ask whether memory was refused.

use std::cell::Cell;
use std::rc::Rc;

use nix::libc;
use rquickjs::allocator::Allocator;

/// Whether a call was refused memory.
pub type Refused = Rc<Cell<bool>>;

/// The most bytes that a call had at once.
pub type Peak = Rc<Cell<usize>>;

pub struct Heap {
    used_bytes: usize,
    limit_bytes: usize,
    refused: Refused,
    peak_bytes: Peak,
}

impl Heap {
    pub fn new(limit_bytes: usize, refused: Refused, peak_bytes: Peak) -> Self {
        Self {
            used_bytes: 0,
            limit_bytes,
            refused,
            peak_bytes,
        }
    }

    /// Whether so many bytes more are within the limit.
    fn admit(&self, more_bytes: usize) -> bool {
        let admitted = self
            .used_bytes
            .checked_add(more_bytes)
            .is_some_and(|used_bytes| used_bytes <= self.limit_bytes);
        if !admitted {
            self.refused.set(true);
        }
        admitted
    }

    /// Counts a new allocation; null is the system refusing what the limit admitted.
    fn count(&mut self, memory: *mut libc::c_void) -> *mut u8 {
        if memory.is_null() {
            self.refused.set(true);
        } else {
            // SAFETY: just allocated by the C library.
            self.used_bytes += unsafe { libc::malloc_usable_size(memory) };
            self.peak_bytes
                .set(self.peak_bytes.get().max(self.used_bytes));
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
            self.used_bytes -= libc::malloc_usable_size(memory.cast());
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
                self.used_bytes -= old_bytes;
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
        let refused = Refused::default();
        let peak_bytes = Peak::default();
        let mut heap = Heap::new(10_000, Rc::clone(&refused), Rc::clone(&peak_bytes));
        let first = heap.alloc(6_000);
        assert!(!first.is_null() && !refused.get());
        assert!(heap.alloc(6_000).is_null() && refused.take());
        assert!(heap.calloc(usize::MAX, 2).is_null() && refused.take());
        // SAFETY: each pointer came from this heap and is used once.
        unsafe {
            assert!(heap.realloc(first, 20_000).is_null() && refused.take());
            let moved = heap.realloc(first, 9_000);
            assert!(!moved.is_null() && !refused.get());
            heap.dealloc(moved);
        }
        assert_eq!(heap.used_bytes, 0);
        assert!((9_000..10_000).contains(&peak_bytes.get()));
    }
}
