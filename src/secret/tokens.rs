//! Random tokens, and the hashes under which they are stored.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use sha2::{Digest, Sha256};

/// SHA-256 of a token, which is stored instead of the token.
pub type TokenHash = [u8; 32];

/// Generates a token, 32 random bytes in padded base64url, and its hash.
pub fn new_token() -> (String, TokenHash) {
    let token = URL_SAFE.encode(rand::random::<[u8; 32]>());
    let hash = hash_token(&token);
    (token, hash)
}

/// Prefix of every API key. It distinguishes keys from session tokens, and makes leaked keys easy to find in
/// other text.
pub const API_KEY_PREFIX: &str = "thk_";

/// Generates an API key, and its hash.
pub fn new_api_key() -> (String, TokenHash) {
    let key = format!("{API_KEY_PREFIX}{}", new_token().0);
    let hash = hash_token(&key);
    (key, hash)
}

/// Prefix of every signing secret of the Standard Webhooks scheme.
pub const SIGNING_SECRET_PREFIX: &str = "whsec_";

/// Generates a signing secret of the Standard Webhooks scheme.
pub fn new_signing_secret() -> String {
    let bytes = STANDARD.encode(rand::random::<[u8; 32]>());
    format!("{SIGNING_SECRET_PREFIX}{bytes}")
}

/// Returns the hash under which a token is stored. A token is random in all its bits, so one round of
/// SHA-256 is enough.
pub fn hash_token(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_32_bytes_in_padded_base64url() {
        let (token, hash) = new_token();
        assert_eq!(token.len(), 44);
        assert!(token.ends_with('='));
        assert_eq!(URL_SAFE.decode(&token).unwrap().len(), 32);
        assert_eq!(hash, hash_token(&token));
    }
}
