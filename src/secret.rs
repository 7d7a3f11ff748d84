//! Secrets: random tokens, their hashes, and the vault that encrypts what must be read again.

pub mod addresses;
mod claim;
mod credentials;
mod keys;
mod place;
mod redact;
mod tokens;
mod value;
mod vault;

pub use claim::{Address, Claim, NOWHERE, Part};
pub use credentials::{Credentials, SealedCredentials, Stored};
pub use keys::{KeyId, Keys};
pub use place::{AUTHORIZATION, Place, Slot};
pub use redact::Redactor;
pub use tokens::{
    API_KEY_PREFIX, SIGNING_SECRET_PREFIX, TokenHash, hash_token, new_api_key, new_signing_secret,
    new_token,
};
pub use value::{GIVEN_UP, named_key};
pub use vault::Vault;
