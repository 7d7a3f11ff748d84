//! Devices and their state, history and downlinks, and operations on many devices.

pub(super) mod body;
pub(super) mod bulk;
pub(super) mod csv;
pub(super) mod downlinks;
pub(super) mod driver_state;
pub(super) mod errors;
pub(super) mod files;
pub(super) mod history;
pub(super) mod imports;
pub(super) mod labels;
pub(super) mod redecode;
pub(super) mod resource;
pub(super) mod row;
pub(super) mod rows;
pub(super) mod state;
pub(super) mod view;
