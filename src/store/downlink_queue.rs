//! Working the queue of downlinks off.
