//! Reasons of the errors that tests receive. They are held against the document when all tests have run
//! (`scripts/check-reasons`): each must be listed for its operation, and each listed one must have been received.

use std::{
    collections::HashSet,
    fs::{File, create_dir_all},
    io::Write,
    path::Path,
    sync::{LazyLock, Mutex},
};

use reqwest::header::HeaderMap;

/// Statuses of the reasons that do not say all by their status.
const WORDS: [(&str, u16); 30] = [
    ("malformed", 400),
    ("plain_http", 400),
    ("unsupported_media_type", 400),
    ("too_large", 400),
    ("body_timeout", 400),
    ("unexpected_body", 400),
    ("unknown_parameter", 400),
    ("unknown_member", 400),
    ("required", 400),
    ("invalid", 400),
    ("unknown_reference", 400),
    ("already_exists", 400),
    ("in_use", 400),
    ("stale_revision", 400),
    ("wrong_state", 400),
    ("limit_reached", 400),
    ("idempotency_key_reused", 400),
    ("idempotency_key_pending", 400),
    ("bad_credentials", 400),
    ("unauthenticated", 401),
    ("expired", 401),
    ("forbidden", 403),
    ("no_such_path", 404),
    ("method_not_allowed", 404),
    ("not_found", 404),
    ("internal", 500),
    ("unavailable", 503),
    ("overloaded", 503),
    ("throttled", 503),
    ("shutting_down", 503),
];

/// Reasons that this process has received, with the file that keeps it: the method, the path, and the reason.
static RECEIVED: LazyLock<Mutex<(HashSet<String>, File)>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reasons");
    create_dir_all(&folder).unwrap();
    let name = format!("tests-{}.tsv", std::process::id());
    let file = File::options()
        .create(true)
        .append(true)
        .open(folder.join(name));
    Mutex::new((HashSet::new(), file.unwrap()))
});

/// Holds the headers of an error against the contract, and keeps its reason.
pub fn note(method: &str, path: &str, status: u16, headers: &HeaderMap, text: &str) {
    let what = format!("{method} {path}: {status} {text}");
    let reason = headers
        .get("x-error-reason")
        .unwrap_or_else(|| panic!("{what}"));
    let reason = reason.to_str().unwrap();
    assert!(WORDS.contains(&(reason, status)), "{what}: {reason}");
    let allow = headers.contains_key("allow");
    assert_eq!(allow, reason == "method_not_allowed", "{what}: {headers:?}");
    if let Some(field) = headers.get("x-error-field") {
        let field = field.to_str().unwrap();
        assert!(status == 400 && text.contains(field), "{what}: {field}");
    }
    let line = format!("{method}\t{path}\t{reason}\n");
    let (received, file) = &mut *RECEIVED.lock().unwrap();
    if received.insert(line.clone()) {
        file.write_all(line.as_bytes()).unwrap();
    }
}
