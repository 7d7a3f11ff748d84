//! Runs drivers: decodes payloads of devices and encodes values for them.
//!
//! | file | contents |
//! |---|---|
//! | `versions.rs`, `version.rs` | cached driver versions, and resolution of references |
//! | `decode.rs`, `output.rs`, `decoded.rs` | one run on a payload, its result, and what is recorded of it |
//! | `encode.rs` | encoding of values for a device |
//! | `tryout.rs` | test runs without side effects |

pub mod decode;
pub mod decoded;
pub mod encode;
pub mod output;
pub mod tryout;
pub mod version;
mod versions;

use std::sync::Arc;

use self::{
    decode::Decoder,
    version::{Decoding, DriverRoute},
    versions::Versions,
};
use crate::{
    clock::Plausible,
    driver,
    error::{Error, Reason, Result},
    store::Scope,
};

/// Entry point for running drivers.
#[derive(Clone)]
pub struct Codec {
    versions: Arc<Versions>,
    /// Decoder that runs a resolved driver.
    pub decoder: Arc<Decoder>,
}

impl Codec {
    /// Creates a codec with an empty cache. A driver may keep `state_bytes_max` bytes of JSON for each
    /// device.
    pub fn new(drivers: driver::Host, state_bytes_max: usize, plausible: Plausible) -> Self {
        Self {
            versions: Arc::default(),
            decoder: Arc::new(Decoder {
                drivers,
                state_bytes_max,
                plausible,
            }),
        }
    }

    /// Resolves a device's driver reference.
    pub async fn driver(&self, scope: &Scope, reference: Option<&str>) -> Result<DriverRoute> {
        self.versions.find(scope, reference).await
    }

    /// Resolves a client's driver reference; fails if there is no such driver.
    pub async fn decoding(&self, scope: &Scope, reference: &str) -> Result<Decoding> {
        let route = self.driver(scope, Some(reference)).await?;
        let missing = || {
            Error::of_field(
                Reason::UnknownReference,
                "driver",
                format!("there is no driver {reference}"),
            )
        };
        route.decoding().ok_or_else(missing)
    }
}
