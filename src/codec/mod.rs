//! What runs a device's driver: what it makes of what the device sends, and of values for it.
//!
//! | file | what it holds |
//! |---|---|
//! | `versions.rs`, `version.rs` | the versions of drivers that are kept ready, and what a reference stands for |
//! | `decode.rs`, `output.rs` | one run over a payload, and what it returned |
//! | `encode.rs` | what a driver makes of values for a device |
//! | `tryout.rs` | a run of which nothing is kept |

pub mod decode;
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
    error::{Error, Result},
    store::Scope,
};

/// What runs drivers.
#[derive(Clone)]
pub struct Codec {
    versions: Arc<Versions>,
    /// What decodes with a driver that is found.
    pub decoder: Arc<Decoder>,
}

impl Codec {
    /// One that keeps nothing ready yet. A driver may keep `state_bytes_max` bytes of JSON of a device.
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

    /// What a device's reference stands for.
    pub async fn driver(&self, scope: &Scope, reference: Option<&str>) -> Result<DriverRoute> {
        self.versions.find(scope, reference).await
    }

    /// What a client's reference stands for.
    pub async fn decoding(&self, scope: &Scope, reference: &str) -> Result<Decoding> {
        let route = self.driver(scope, Some(reference)).await?;
        let missing = || Error::field("driver", format!("there is no driver {reference}"));
        route.decoding().ok_or_else(missing)
    }
}
