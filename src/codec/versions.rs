//! Cache of driver versions. The content of a digest never changes, so an entry is valid for every
//! tenant and epoch.

use std::sync::Arc;

use moka::sync::Cache;

use super::version::{DriverRoute, DriverVersion};
use crate::{
    driver::{BUILT_IN_AUTHOR, BuiltIn},
    error::Result,
    reference::{Pick, Reference},
    store::{Scope, drivers::versions},
};

/// Capacity of the cache in bytes.
const READY_MAX_BYTES: u64 = 32 << 20;
/// Fixed size of an entry in bytes.
const ENTRY: usize = 1024;
/// Bytes of a parsed schema for each byte of its text.
const READ_SCHEMA: usize = 8;

/// Cached driver versions.
pub struct Versions {
    /// Versions by digest, each with its size in bytes.
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
    /// Resolves a driver reference.
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
        // The content of a digest never changes, whichever driver it belongs to.
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
