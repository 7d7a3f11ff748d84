//! Drivers: a version is taken only if its script runs, defines something to call, and does what its
//! own examples say.

use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Hub, driver_manifest as manifest};
use crate::{
    driver::{DriverError, DriverErrorKind, Script},
    error::{Error, Result},
    reference::DriverKey,
    store::{
        Scope,
        driver_versions::Content,
        drivers::{self, Driver, Metadata, Release},
    },
};

/// The functions that decode an uplink; a driver needs one of them.
const DECODERS: [&str; 4] = ["decodeUplink", "decode", "Decoder", "Decode"];

/// A version to push, as its author wrote it.
pub struct Source {
    /// JavaScript.
    pub script: String,
    /// What it decodes to.
    pub schema: Option<Value>,
    /// What it must make of which input.
    pub examples: Option<Value>,
    /// The tags that point at it from then on.
    pub tags: Vec<String>,
}

impl Hub {
    /// Checks the versions, adds them and moves the tags: all of it or nothing.
    pub async fn push_driver<S: Serialize + DeserializeOwned>(
        &self,
        scope: &Scope,
        key: &DriverKey,
        metadata: Metadata<S>,
        sources: Vec<Source>,
    ) -> Result<Driver<S>> {
        let mut releases = Vec::with_capacity(sources.len());
        for source in sources {
            releases.push(self.checked(source).await?);
        }
        drivers::push(scope, key, metadata, &releases).await
    }

    async fn checked(&self, source: Source) -> Result<Release> {
        let Source {
            script,
            schema,
            examples,
            tags,
        } = source;
        let script = Arc::new(Script {
            digest: manifest::sha256(&script),
            source: script,
        });
        let functions = self.entry_functions(script.clone()).await?;
        let schema = schema.as_ref().map(manifest::canonical).transpose()?;
        let examples = examples.as_ref().map(manifest::canonical).transpose()?;
        let named = manifest::manifest(&script.digest, schema.as_deref(), examples.as_deref())?;
        Ok(Release {
            version: Content {
                digest: manifest::digest(&named),
                script_digest: script.digest.clone(),
                script: script.source.clone(),
                schema,
                examples,
                functions,
            },
            tags,
        })
    }

    /// Runs the script once, and answers what it defines.
    async fn entry_functions(&self, script: Arc<Script>) -> Result<Vec<String>> {
        let functions = self.drivers.check(script).await;
        let functions = functions.map_err(|error| refused("script", error))?;
        let decodes = |name: &String| DECODERS.contains(&name.as_str());
        if functions.iter().any(decodes) {
            return Ok(functions);
        }
        let rule = format!("must define one of {}", DECODERS.join(", "));
        Err(Error::field("script", rule))
    }
}

/// What a failure of the driver says about a field; what is no fault of the driver is another error.
pub(super) fn refused(field: &str, error: DriverError) -> Error {
    match error.kind {
        DriverErrorKind::Overloaded => Error::overloaded("too many drivers are waiting to run"),
        DriverErrorKind::Crashed => {
            Error::away("the script could not be checked; try again", error)
        }
        _ => Error::field(field, error.at_line()),
    }
}
