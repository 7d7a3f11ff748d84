//! Machinery that all operations share, below and around the resources.
//!
//! - Outermost layer, and the client behind a request: `edge.rs`, `request_id.rs`, `client.rs`, `host.rs`,
//!   `leftover.rs`, `cross_origin.rs`
//! - The port, with limits on the number, the age and the buffers of connections: `listener.rs`, `server.rs`,
//!   `connection.rs`, `activity.rs`, `taking.rs`, `refusal.rs`
//! - Declaration, dispatch, authentication and errors of operations, and their execution exactly once and to the
//!   end: `declaration.rs`, `declared_error.rs`, `operations.rs`, `methods.rs`, `caller.rs`, `stream_key.rs`,
//!   `failure.rs`, `idempotency.rs`, `tasks.rs`
//! - Requests: `types.rs`, `body.rs`, `json.rs`, `bounds.rs`, `body_room.rs`, `bodiless.rs`, `encoding.rs`, `strict.rs`,
//!   `union.rs`, `files.rs`, `file_form.rs`, `file_encoding.rs`, `sheet_file.rs`, `csv_layout.rs`, `csv_records.rs`
//! - Responses, and objects that several resources share: `answer.rs`, `exporting.rs`, `compression.rs`, `page.rs`,
//!   `parameters.rs`, `paging.rs`, `sort.rs`, `span.rs`, `mirror.rs`, `health_state.rs`, `mqtt_broker.rs`, `server_tls.rs`

pub(super) mod activity;
pub(super) mod answer;
pub(super) mod bodiless;
pub(super) mod body;
pub(super) mod body_room;
pub(super) mod bounds;
pub(super) mod caller;
pub(super) mod client;
pub(super) mod compression;
pub(super) mod connection;
pub(super) mod cross_origin;
pub(super) mod csv_layout;
pub(super) mod csv_records;
pub(super) mod declaration;
pub(super) mod declared_error;
pub(super) mod edge;
pub(super) mod encoding;
pub(super) mod exporting;
pub(super) mod failure;
pub(super) mod file_encoding;
pub(super) mod file_form;
pub(super) mod files;
pub(super) mod health_state;
pub(super) mod host;
pub(super) mod idempotency;
pub(super) mod json;
pub(super) mod leftover;
pub mod listener;
pub(super) mod methods;
pub(super) mod mirror;
pub(super) mod mqtt_broker;
pub(super) mod operations;
pub(super) mod page;
pub(super) mod paging;
pub(super) mod parameters;
pub(super) mod refusal;
pub(super) mod request_id;
pub mod server;
pub(super) mod server_tls;
pub(super) mod sheet_file;
pub(super) mod sort;
pub(super) mod span;
pub(super) mod stream_key;
pub(super) mod strict;
pub(super) mod taking;
pub(super) mod tasks;
pub(super) mod types;
pub(super) mod union;
