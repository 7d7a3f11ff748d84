//! What is recorded, as it is recorded.

mod stream;
