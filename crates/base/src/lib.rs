//! The few things that every part of the hub stands on, whichever crate it is in: the clock, the watch over
//! tasks, and an error with its causes in one line.

mod causes;
pub mod clock;
pub mod supervise;

pub use causes::causes;
