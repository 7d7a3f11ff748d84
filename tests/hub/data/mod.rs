//! Data tables and what stands in them.

mod measurements;
