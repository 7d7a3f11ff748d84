//! The parts that tests are made of: hubs, databases, brokers and servers of a test's own.

pub mod answer;
pub mod apart;
pub mod broker;
pub mod certificates;
pub mod cluster;
pub mod collector;
pub mod database;
pub mod disk;
pub mod exports;
pub mod fake_broker;
pub mod fake_kafka;
pub mod fake_postgres;
pub mod frames;
pub mod http_server;
pub mod kafka;
pub mod messages;
pub mod network_server;
pub mod ports;
pub mod raw;
pub mod reasons;
pub mod rows;
pub mod s3_server;
pub mod server;
pub mod sftp_server;
pub mod sink;
pub mod steps;
