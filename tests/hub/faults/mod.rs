//! What goes wrong around a hub: receivers that misbehave, and hubs that are killed.

pub mod certificates;
mod fillings;
mod kills;
pub mod load;
pub mod receiver;
mod receivers;
mod siege;
mod stress;
mod takeover;
