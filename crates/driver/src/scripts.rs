//! The cache of compiled scripts in a worker.
//!
//! The key is the digest. Scripts that do not parse are cached too, so that a broken driver is not parsed
//! again for every uplink. If the cache is full, the tenant that uses most of it loses the scripts that it
//! has not used for longest, so nobody loses a script because of tenants that use less than their share.

use std::collections::HashMap;
use std::rc::Rc;

use super::engine::Compiled;
use super::error::{DriverError, DriverErrorKind};

/// Maximum number of compiled scripts in a worker.
const CACHE_BYTES: usize = 8 << 20;

/// Memory of an entry without its code, in bytes.
const ENTRY_BYTES: usize = 1024;

/// Compiled scripts.
pub struct Scripts<T = Compiled> {
    kept: HashMap<String, Kept<T>>,
    /// Bytes used by each tenant.
    sizes: HashMap<i64, usize>,
    size_bytes: usize,
    uses: u64,
}

struct Kept<T> {
    script: Result<Rc<T>, DriverError>,
    /// Tenant for which it was compiled.
    tenant: i64,
    size_bytes: usize,
    last_use: u64,
}

/// A value with a size.
pub trait Size {
    /// Size in bytes.
    fn size_bytes(&self) -> usize;
}

impl Size for Compiled {
    fn size_bytes(&self) -> usize {
        Compiled::size_bytes(self)
    }
}

impl<T> Default for Scripts<T> {
    fn default() -> Self {
        Self {
            kept: HashMap::new(),
            sizes: HashMap::new(),
            size_bytes: 0,
            uses: 0,
        }
    }
}

impl<T: Size> Scripts<T> {
    /// Returns the compiled script with this digest; `None` if the host must send its source.
    pub fn find(&mut self, digest: &str) -> Option<Result<Rc<T>, DriverError>> {
        self.uses += 1;
        let kept = self.kept.get_mut(digest)?;
        kept.last_use = self.uses;
        Some(kept.script.clone())
    }

    /// Compiles a script for this tenant, and keeps it.
    pub fn compile(
        &mut self,
        tenant: i64,
        digest: &str,
        compile: impl FnOnce() -> Result<T, DriverError>,
    ) -> Result<Rc<T>, DriverError> {
        let script = compile().map(Rc::new);
        let failure = script.as_ref().err();
        if failure.is_none_or(|error| error.kind == DriverErrorKind::Syntax) {
            self.keep(tenant, digest, script.clone());
        }
        script
    }

    fn keep(&mut self, tenant: i64, digest: &str, script: Result<Rc<T>, DriverError>) {
        self.drop_script(digest);
        let size_bytes = ENTRY_BYTES + script.as_ref().map_or(0, |script| script.size_bytes());
        self.size_bytes += size_bytes;
        *self.sizes.entry(tenant).or_default() += size_bytes;
        let kept = Kept {
            script,
            tenant,
            size_bytes,
            last_use: self.uses,
        };
        self.kept.insert(digest.to_owned(), kept);
        while self.size_bytes > CACHE_BYTES {
            let Some(oldest) = self.oldest_of_largest() else {
                return;
            };
            self.drop_script(&oldest);
        }
    }

    /// Returns the script to evict next.
    fn oldest_of_largest(&self) -> Option<String> {
        let (largest, _) = self
            .sizes
            .iter()
            .max_by_key(|(_, size_bytes)| **size_bytes)?;
        let theirs = self.kept.iter().filter(|(_, kept)| kept.tenant == *largest);
        let (digest, _) = theirs.min_by_key(|(_, kept)| kept.last_use)?;
        Some(digest.clone())
    }

    fn drop_script(&mut self, digest: &str) {
        let Some(kept) = self.kept.remove(digest) else {
            return;
        };
        self.size_bytes -= kept.size_bytes;
        if let Some(size_bytes) = self.sizes.get_mut(&kept.tenant) {
            *size_bytes -= kept.size_bytes;
            if *size_bytes == 0 {
                self.sizes.remove(&kept.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Code(usize);

    impl Size for Code {
        fn size_bytes(&self) -> usize {
            self.0
        }
    }

    fn compile(scripts: &mut Scripts<Code>, tenant: i64, digest: &str, size_bytes: usize) {
        if scripts.find(digest).is_none() {
            let compiled = scripts.compile(tenant, digest, || Ok(Code(size_bytes)));
            compiled.unwrap();
        }
    }

    #[test]
    fn a_tenant_with_many_scripts_loses_its_own() {
        let mut scripts = Scripts::default();
        compile(&mut scripts, 1, "small", 10_000);
        for round in 0..1_000 {
            compile(&mut scripts, 2, &format!("large {round}"), 100_000);
        }
        assert!(
            scripts.find("small").is_some(),
            "it was used before all others"
        );
        assert!(scripts.find("large 999").is_some());
        assert!(scripts.find("large 0").is_none());
        assert!(scripts.size_bytes <= CACHE_BYTES);
    }

    #[test]
    fn a_script_larger_than_all_room_keeps_none_but_its_own_tenant_out() {
        let mut scripts = Scripts::default();
        compile(&mut scripts, 1, "small", 10_000);
        compile(&mut scripts, 2, "huge", CACHE_BYTES + 1);
        assert!(scripts.find("huge").is_none());
        assert!(scripts.find("small").is_some());
        let left = scripts.sizes.values().sum::<usize>();
        assert_eq!(left, scripts.size_bytes);
    }
}
