//! Step that orders the security schemes.

use serde_json::Value;

/// Scheme that people and programs use. All others belong to network connections and integrations.
const FIRST: &str = "token";

/// Puts the scheme that nearly all operations use first, because the dialogs of documentation pages follow the
/// order of the document. The framework sorts the schemes by name.
pub fn order(document: &mut Value) {
    let schemes = document["components"]["securitySchemes"].as_object_mut();
    let Some(schemes) = schemes else {
        return;
    };
    if let Some(first) = schemes.shift_remove(FIRST) {
        schemes.shift_insert(0, FIRST.to_owned(), first);
    }
}
