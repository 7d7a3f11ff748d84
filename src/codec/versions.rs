//! The versions of drivers that are kept ready. Of a digest nothing ever changes, so what is kept ready under
//! one counts for every tenant and epoch.

use std::sync::Arc;

use moka::sync::Cache;

use super::version::{DriverRoute, DriverVersion};
use crate::{
    driver::{BUILT_IN_AUTHOR, BuiltIn},
    error::Result,
    reference::{Pick, Reference},
    store::{Scope, drivers::versions},
};

/// What is kept ready, in bytes.
const READY_MAX_BYTES: u64 = 32 << 20;
/// What an entry takes beside its contents.
const ENTRY: usize = 1024;
/// What a schema that is read takes for each byte of its text.
const READ_SCHEMA: usize = 8;

/// The versions that are kept ready.
pub struct Versions {
    /// With what each weighs.
    ready: Cache<String, (u32, Arc<DriverVersion>)>,
}

impl Default for Versions {
    fn default() -> Self {
        Self {
            ready: Cache::builder()
                .max_capacity(READY_MAX_BYTES)
                .weigher(|_, (weight, _): &(u32, Arc<DriverVersion>)| *weight)
                .build(),
        }
    }
}

impl Versions {
    /// What a reference stands for.
    pub async fn find(&self, scope: &Scope, reference: Option<&str>) -> Result<DriverRoute> {
        let Some(reference) = reference else {
            return Ok(DriverRoute::None);
        };
        let missing = || DriverRoute::Missing(reference.to_owned());
        let Some(parsed) = Reference::parse(reference) else {
            return Ok(missing());
        };
        if parsed.key.author == BUILT_IN_AUTHOR {
            let found = BuiltIn::find(&parsed.key.author, &parsed.key.name);
            return Ok(found.map_or_else(missing, DriverRoute::BuiltIn));
        }
        let (key, pick) = (&parsed.key, parsed.pick());
        let Some(digest) = versions::find_digest(scope, key, &pick).await? else {
            return Ok(missing());
        };
        // What a digest stands for never changes, whosever version it is.
        if let Some((_, version)) = self.ready.get(&digest) {
            let driver = parsed.key;
            return Ok(DriverRoute::Version { driver, version });
        }
        let pick = Pick::Digest(digest.clone());
        let Some(found) = versions::find(scope, key, &pick).await? else {
            return Ok(missing());
        };
        let schema = found.content.schema.as_ref().map_or(0, String::len);
        let version = Arc::new(DriverVersion::new(found.content)?);
        let weight = ENTRY + version.script.source.len() + READ_SCHEMA * schema;
        let weight = u32::try_from(weight).unwrap_or(u32::MAX);
        self.ready.insert(digest, (weight, version.clone()));
        let driver = parsed.key;
        Ok(DriverRoute::Version { driver, version })
    }
}
