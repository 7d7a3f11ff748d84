//! Basics for every part of the hub, in whichever crate: the clock, the supervision of tasks, the priority of
//! threads, and errors with their causes in one line.

mod causes;
pub mod clock;
pub mod priority;
pub mod supervise;

pub use causes::causes;
