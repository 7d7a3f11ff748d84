//! What goes wrong around a hub: receivers that misbehave, and hubs that are killed.

mod certificates;
mod kills;
mod load;
mod receiver;
mod receivers;
mod takeover;
