//! Network connections: what network servers send, over HTTP and MQTT.

mod cases;
mod check;
mod copies;
mod hostile_brokers;
mod mapping;
mod messages;
pub mod mqtt;
mod mqtt_downlinks;
mod mqtt_faults;
mod mqtt_refusals;
mod news;
pub mod news_order;
mod refused_messages;
pub mod sigfox_answers;
mod unknown_devices;
mod webhook_forms;
