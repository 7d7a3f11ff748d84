//! The driver host against real worker processes: decoders as vendors write them, and scripts that
//! do their worst. After each of those the next good call must work.

mod forged;
mod hostile;
mod hostile_catalogue;
mod isolation;
mod monstrous_scripts;
mod reports;
mod results;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use thingshub::driver::{
    DecodeCall, Decoded, DriverError, DriverErrorKind, Host, Limits, Program, Script,
};

const GOOD: &str =
    "function decode(payload, port) { return { sum: payload[0] + payload[1], port } }";

fn program() -> Program {
    Program::open(env!("CARGO_BIN_EXE_thingshub").as_ref()).expect("it is built")
}

pub async fn host(limits: Limits) -> Host {
    Host::start(program(), limits).await.expect("workers start")
}

/// One worker, so that all calls of a test run in the same one.
pub fn one_worker() -> Limits {
    Limits {
        workers: 1,
        ..Limits::default()
    }
}

pub fn script(source: &str) -> Arc<Script> {
    let digest = hex::encode(Sha256::digest(source));
    Arc::new(Script {
        digest,
        source: source.to_owned(),
    })
}

fn call(source: &str, payload: &[u8], f_port: Option<u8>) -> DecodeCall {
    DecodeCall {
        tenant: 1,
        script: script(source),
        payload: payload.to_vec().into(),
        f_port,
        state: None,
        whole: false,
        received_at: "2026-03-01T12:30:00.250Z"
            .parse::<DateTime<Utc>>()
            .expect("a time"),
    }
}

async fn decode(host: &Host, source: &str) -> Result<Decoded, DriverError> {
    host.decode(call(source, &[1, 2, 3], Some(7))).await
}

async fn data(host: &Host, source: &str) -> Value {
    match decode(host, source).await {
        Ok(decoded) => decoded.data.into(),
        Err(error) => panic!("{error:?} from {source}"),
    }
}

async fn fails(host: &Host, source: &str) -> DriverError {
    match decode(host, source).await {
        Ok(decoded) => panic!("{decoded:?} from {source}"),
        Err(error) => error,
    }
}

async fn assert_still_works(host: &Host, after: &str) {
    match decode(host, GOOD).await {
        Ok(decoded) => assert_eq!(Value::from(decoded.data), json!({"sum": 3, "port": 7})),
        Err(error) => panic!("{error:?} after {after}"),
    }
}

/// Statements as the body of a `decode`.
fn body(statements: &str) -> String {
    format!("function decode(payload, port) {{ {statements} }}")
}
