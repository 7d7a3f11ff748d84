//! Devices, many at once or one, and their downlinks.

mod bulk;
mod desired_state;
mod downlink_forms;
mod downlink_sending;
mod downlink_statuses;
mod downlink_templates;
mod downlinks;
mod exports;
mod histories;
pub mod importing;
mod interleaved_downlinks;
mod labels;
mod lists;
mod refused;
mod sheets;
mod uploads;
