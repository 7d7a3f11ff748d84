//! Drivers: a version is taken only if its script runs and defines something to call.

use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::Hub;
use crate::{
    driver::{BUILT_IN_AUTHOR, DriverErrorKind, Script},
    error::{Error, Result},
    store::{
        Scope,
        drivers::{self, Content, Driver, DriverKey, Metadata},
    },
};

/// The functions that decode an uplink; a driver needs one of them.
const DECODERS: [&str; 4] = ["decodeUplink", "decode", "Decoder", "Decode"];

impl Hub {
    /// Checks the script, adds it as a version and moves the tags.
    pub async fn push_driver<S: Serialize + DeserializeOwned>(
        &self,
        scope: &Scope,
        key: &DriverKey,
        metadata: Metadata<S>,
        script: String,
        tags: &[String],
    ) -> Result<Driver<S>> {
        if key.author == BUILT_IN_AUTHOR {
            return Err(Error::field(
                "author",
                format!("is kept for drivers that are part of the hub: {BUILT_IN_AUTHOR}"),
            ));
        }
        let digest = hex::encode(Sha256::digest(script.as_bytes()));
        let checked = Arc::new(Script {
            digest: digest.clone(),
            source: script.clone(),
        });
        let functions = self
            .drivers
            .check(scope.tenant().0, checked)
            .await
            .map_err(|error| match error.kind {
                DriverErrorKind::Overloaded => {
                    Error::overloaded("too many drivers are waiting to run")
                }
                DriverErrorKind::Crashed => {
                    Error::away("the script could not be checked; try again", error)
                }
                _ => Error::field("script", error.at_line()),
            })?;
        if !functions
            .iter()
            .any(|name| DECODERS.contains(&name.as_str()))
        {
            return Err(Error::field(
                "script",
                format!("must define one of {}", DECODERS.join(", ")),
            ));
        }
        drivers::push(
            scope,
            key,
            metadata,
            Content {
                digest,
                script,
                functions,
            },
            tags,
        )
        .await
    }
}
