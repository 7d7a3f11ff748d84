//! The program as a client of a hub, and its commands that need none.

mod commands;
mod config_command;
mod driver_command;
mod driver_registry_command;
mod users_command;
