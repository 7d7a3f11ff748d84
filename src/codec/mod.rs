//! What a device's driver makes of what the device sends, and of values for it.

pub(crate) mod decode;
pub mod encode;
pub(crate) mod output;
pub mod tryout;
