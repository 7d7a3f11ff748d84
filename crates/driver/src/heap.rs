//! The memory of the JavaScript runtime: one range of addresses, from which all its allocations come, and
//! which can be restored byte by byte to an earlier state ([`Image`]).
//!
//! This makes a fresh runtime cheap: everything that a call has left behind in the engine's structures is
//! gone, because every byte is as it was before the call. Memory beyond the image is wiped.
//!
//! QuickJS has a memory limit of its own, but once it is reached there may be no memory left for the error,
//! and the driver seems to have thrown `null`. So the limit is enforced here, and the call can find out
//! whether an allocation was refused, and how much memory was in use at most.

use std::alloc::Layout;
use std::cell::Cell;
use std::io;
use std::ptr::NonNull;
use std::rc::Rc;

use nix::libc;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use rlsf::Tlsf;
use rquickjs::allocator::Allocator;

/// The list of free blocks: two-level segregated fit. It is stored in the memory itself, so that it is
/// restored with it.
type Blocks = Tlsf<'static, u32, u16, 26, 16>;

/// Bytes that the allocator uses itself after the last block that was ever allocated, and at the very end.
const MARGIN_BYTES: usize = 64;

/// Alignment of allocations of QuickJS, which fits any type.
const ALIGN: usize = 16;

/// Size from which on it is cheaper to wipe memory by returning it to the kernel.
const WIPE_BYTES_MAX: usize = 256 << 10;

/// The memory and its statistics.
pub struct Heap {
    memory: NonNull<u8>,
    length: usize,
    limit_bytes: usize,
    /// End of the memory that was written to since it was last restored.
    touched: Cell<usize>,
    used_bytes: Cell<usize>,
    peak_bytes: Cell<usize>,
    refused: Cell<bool>,
}

/// The complete content of a heap at some moment.
pub struct Image {
    start: Box<[u8]>,
    end: [u8; MARGIN_BYTES],
    used_bytes: usize,
}

impl Heap {
    /// Creates a heap that lasts as long as the process, because code that runs in it may point anywhere
    /// into it.
    pub fn new(limit_bytes: usize) -> io::Result<Rc<Self>> {
        // Twice the limit, for what lies between the blocks. It is not there before it is used.
        let wanted = limit_bytes
            .checked_mul(2)
            .and_then(|bytes| bytes.checked_next_multiple_of(2 << 20))
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: a new mapping, wherever the kernel likes; nothing else is there.
        let memory = unsafe {
            mmap_anonymous(
                None,
                wanted,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE,
            )?
        };
        let memory: NonNull<u8> = memory.cast();
        let length = wanted.get();
        let first = size_of::<Blocks>().next_multiple_of(MARGIN_BYTES);
        // SAFETY: the mapping is page-aligned, zeroed and ours. The blocks begin behind their list,
        // and end with the mapping.
        unsafe {
            let blocks = memory.cast::<Blocks>();
            blocks.write(Blocks::new());
            let rest = memory.add(first);
            let rest = NonNull::slice_from_raw_parts(rest, length - first);
            (*blocks.as_ptr())
                .insert_free_block_ptr(rest)
                .ok_or(io::ErrorKind::InvalidInput)?;
        }
        Ok(Rc::new(Self {
            memory,
            length,
            limit_bytes,
            touched: Cell::new(first + MARGIN_BYTES),
            used_bytes: Cell::new(0),
            peak_bytes: Cell::new(0),
            refused: Cell::new(false),
        }))
    }

    /// Returns true if an allocation was refused, so that an error may only be the consequence.
    pub fn refused(&self) -> bool {
        self.refused.get()
    }

    /// Returns the peak of memory in use since the last restore, including the restored content.
    pub fn peak_bytes(&self) -> usize {
        self.peak_bytes.get()
    }

    /// Copies the current content to an image.
    pub fn image(&self) -> Image {
        let mut end = [0; MARGIN_BYTES];
        // SAFETY: within the mapping, and nobody writes meanwhile: there is one thread.
        unsafe {
            self.end()
                .copy_to_nonoverlapping(end.as_mut_ptr(), end.len());
            let start = std::slice::from_raw_parts(self.memory.as_ptr(), self.touched.get());
            Image {
                start: start.into(),
                end,
                used_bytes: self.used_bytes.get(),
            }
        }
    }

    /// Restores the content of the image.
    ///
    /// # Safety
    /// The image is of this heap. Nobody holds anything that was allocated since it was made, and
    /// nothing outside the heap that was made since belongs to what is inside.
    pub unsafe fn put_back(&self, image: &Image) {
        let Image {
            start,
            end,
            used_bytes,
        } = image;
        let touched = self.touched.replace(start.len());
        // SAFETY: within the mapping; the caller holds nothing that is overwritten.
        unsafe {
            let memory = self.memory.as_ptr();
            memory.copy_from_nonoverlapping(start.as_ptr(), start.len());
            self.end().copy_from_nonoverlapping(end.as_ptr(), end.len());
            if touched > start.len() {
                wipe(memory.add(start.len()), touched - start.len());
            }
        }
        self.used_bytes.set(*used_bytes);
        self.peak_bytes.set(*used_bytes);
        self.refused.set(false);
    }

    fn end(&self) -> *mut u8 {
        // SAFETY: the mapping is far longer.
        unsafe { self.memory.add(self.length - MARGIN_BYTES).as_ptr() }
    }

    /// Runs with exclusive access to the list of blocks.
    fn blocks<R>(&self, run: impl FnOnce(&mut Blocks) -> R) -> R {
        // SAFETY: made in `new`, and lent here alone; `run` never comes back here.
        run(unsafe { &mut *self.memory.cast::<Blocks>().as_ptr() })
    }

    /// Returns true if this number of bytes more is within the limit.
    fn admit(&self, more_bytes: usize) -> bool {
        let used_bytes = self.used_bytes.get().checked_add(more_bytes);
        let admitted = used_bytes.is_some_and(|used_bytes| used_bytes <= self.limit_bytes);
        if !admitted {
            self.refused.set(true);
        }
        admitted
    }

    /// Counts a new allocation. `None`: there is no free block although the limit allowed it.
    fn count(&self, memory: Option<NonNull<u8>>) -> *mut u8 {
        let Some(memory) = memory else {
            self.refused.set(true);
            return std::ptr::null_mut();
        };
        // SAFETY: just allocated here.
        let size = unsafe { size_of_block(memory) };
        let used_bytes = self.used_bytes.get() + size;
        self.used_bytes.set(used_bytes);
        self.peak_bytes.set(self.peak_bytes.get().max(used_bytes));
        let end = memory.addr().get() + size - self.memory.addr().get();
        // The very end is kept apart.
        let end = (end + MARGIN_BYTES).min(self.length - MARGIN_BYTES);
        self.touched.set(self.touched.get().max(end));
        memory.as_ptr()
    }

    fn uncount(&self, bytes: usize) {
        self.used_bytes.set(self.used_bytes.get() - bytes);
    }
}

/// # Safety
/// The block came from a heap and is not freed yet.
unsafe fn size_of_block(memory: NonNull<u8>) -> usize {
    // SAFETY: as the caller promised.
    unsafe { Blocks::allocation_usable_size(memory) }
}

/// # Safety
/// The bytes are within a heap's mapping, and nobody's.
unsafe fn wipe(start: *mut u8, length: usize) {
    const PAGE: usize = 4096;
    let until_page = start.align_offset(PAGE).min(length);
    let pages = (length - until_page) / PAGE * PAGE;
    // SAFETY: as the caller promised. Pages that are given back read as zeros; where the kernel does
    // not take them, they are written over.
    unsafe {
        let first = start.add(until_page);
        let given_back =
            pages > WIPE_BYTES_MAX && libc::madvise(first.cast(), pages, libc::MADV_DONTNEED) == 0;
        if given_back {
            start.write_bytes(0, until_page);
            first.add(pages).write_bytes(0, length - until_page - pages);
        } else {
            start.write_bytes(0, length);
        }
    }
}

fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size.max(1), ALIGN).ok()
}

/// The heap as an allocator for QuickJS.
pub struct Source(pub Rc<Heap>);

// SAFETY: everything is the block list's own answer (aligned for any type, usable size included), or
// null.
unsafe impl Allocator for Source {
    fn alloc(&mut self, size: usize) -> *mut u8 {
        let Self(heap) = self;
        match layout(size) {
            Some(layout) if heap.admit(size) => {
                heap.count(heap.blocks(|blocks| blocks.allocate(layout)))
            }
            Some(_) => std::ptr::null_mut(),
            None => heap.count(None),
        }
    }

    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        let size = count.saturating_mul(size);
        let memory = self.alloc(size);
        if !memory.is_null() {
            // SAFETY: just allocated, with this size.
            unsafe { memory.write_bytes(0, size) };
        }
        memory
    }

    unsafe fn dealloc(&mut self, memory: *mut u8) {
        let Self(heap) = self;
        let Some(memory) = NonNull::new(memory) else {
            return;
        };
        // SAFETY: the caller promises that it came from this allocator and is not used again.
        unsafe {
            heap.uncount(size_of_block(memory));
            heap.blocks(|blocks| blocks.deallocate(memory, ALIGN));
        }
    }

    unsafe fn realloc(&mut self, memory: *mut u8, new_size: usize) -> *mut u8 {
        let Some(block) = NonNull::new(memory) else {
            return self.alloc(new_size);
        };
        if new_size == 0 {
            // SAFETY: as for `dealloc`, by the caller's promise.
            unsafe { self.dealloc(memory) };
            return std::ptr::null_mut();
        }
        let Self(heap) = self;
        // SAFETY: the caller promises that `memory` came from this allocator. Where there is no room,
        // the old block stays, and stays counted.
        unsafe {
            let old_bytes = size_of_block(block);
            let is_admitted = new_size <= old_bytes || heap.admit(new_size - old_bytes);
            let Some(layout) = layout(new_size).filter(|_| is_admitted) else {
                return std::ptr::null_mut();
            };
            let moved = heap.blocks(|blocks| blocks.reallocate(block, layout));
            if moved.is_some() {
                heap.uncount(old_bytes);
            }
            heap.count(moved)
        }
    }

    unsafe fn usable_size(memory: *mut u8) -> usize {
        // SAFETY: the caller promises that it came from this allocator.
        NonNull::new(memory).map_or(0, |memory| unsafe { size_of_block(memory) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_and_is_remembered() {
        let heap = Heap::new(10_000).unwrap();
        let refused = || heap.refused.take();
        let mut source = Source(heap.clone());
        let first = source.alloc(6_000);
        assert!(!first.is_null() && !refused());
        assert!(source.alloc(6_000).is_null() && refused());
        assert!(source.calloc(usize::MAX, 2).is_null() && refused());
        // SAFETY: each pointer came from this heap and is used once.
        unsafe {
            assert!(source.realloc(first, 20_000).is_null() && refused());
            let moved = source.realloc(first, 9_000);
            assert!(!moved.is_null() && !refused());
            source.dealloc(moved);
        }
        assert_eq!(heap.used_bytes.get(), 0);
        assert!((9_000..=10_000).contains(&heap.peak_bytes()));
    }

    /// All of the mapping, to the last byte.
    fn whole(heap: &Heap) -> Vec<u8> {
        // SAFETY: the mapping is that long, and nobody writes meanwhile.
        unsafe { std::slice::from_raw_parts(heap.memory.as_ptr(), heap.length) }.to_vec()
    }

    #[test]
    fn nothing_of_what_came_after_an_image_is_left() {
        let heap = Heap::new(4 << 20).unwrap();
        let mut source = Source(heap.clone());
        // SAFETY: each pointer came from this heap, is written within its size and freed once.
        unsafe {
            let kept = source.calloc(1, 100);
            let freed = source.alloc(5_000);
            source.alloc(300).write_bytes(7, 300);
            source.dealloc(freed);
            let (image, before) = (heap.image(), whole(&heap));
            // A little, which is written over, and much, which is given back to the kernel.
            for sizes in [[10, 2_000, 700], [1 << 20, 60, 2 << 20]] {
                let blocks = sizes.map(|size| (source.alloc(size), size));
                for (block, size) in blocks {
                    assert!(!block.is_null());
                    block.write_bytes(0xAA, size);
                }
                source.dealloc(blocks[1].0);
                kept.write_bytes(9, 100);
                source.dealloc(kept);
                heap.put_back(&image);
                assert!(whole(&heap) == before);
                assert_eq!(heap.used_bytes.get(), image.used_bytes);
            }
        }
    }
}
