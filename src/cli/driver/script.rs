//! Scripts, read from files, each only once.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use crate::driver::Script;

/// Maximum length of a script that a hub accepts.
pub const SCRIPT_BYTES_MAX: u64 = 1 << 20;

/// Maximum size of the cached scripts, in bytes.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// Scripts by path.
#[derive(Default)]
pub struct Scripts {
    kept: HashMap<String, Result<Arc<Script>, String>>,
    size_bytes: usize,
}

impl Scripts {
    /// Returns the script in a file, or the reason why it cannot be read.
    pub fn get(&mut self, path: &str) -> Result<Arc<Script>, String> {
        if let Some(kept) = self.kept.get(path) {
            return kept.clone();
        }
        let script = read(path).map(Arc::new);
        if self.size_bytes > KEPT_BYTES_MAX {
            self.kept.clear();
            self.size_bytes = 0;
        }
        self.size_bytes += path.len() + script.as_ref().map_or(0, |script| script.source.len());
        self.kept.insert(path.to_owned(), script.clone());
        script
    }
}

/// Reads a script; invalid UTF-8 becomes U+FFFD, as in other engines.
pub fn read(path: &str) -> Result<Script, String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(SCRIPT_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("script {path}: {error}"))?;
    if bytes.len() as u64 > SCRIPT_BYTES_MAX {
        return Err(format!(
            "script {path}: longer than the {SCRIPT_BYTES_MAX} bytes that a driver may have"
        ));
    }
    Ok(Script::new(String::from_utf8_lossy(&bytes).into_owned()))
}
