//! What goes wrong around a hub: receivers that misbehave, and hubs that are killed.

mod certificates;
mod fillings;
mod kills;
pub mod load;
mod receiver;
mod receivers;
mod takeover;
