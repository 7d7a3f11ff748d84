//! The binary form of sealed values; values of every earlier version can still be opened.
//!
//! | version | bytes | bound to |
//! |---|---|---|
//! | 2 | `2`, key id, length and parts of the address, nonce, ciphertext | kind, name, tenant, row, address |
//! | 1 | `1`, key id, nonce, ciphertext | kind, name |
//! | before | nonce, ciphertext | kind, name |
//! | given up | `0` alone | nothing: its key is lost |

use super::keys::{ID_BYTES, KeyId};

/// Stored instead of a value whose key was lost: a client must send the secret again.
pub const GIVEN_UP: &[u8] = &[0];
const NAMES_ITS_KEY: u8 = 1;
const IS_BOUND: u8 = 2;

/// A sealed value, split into its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts<'a> {
    /// Bound to its row and its address.
    Bound {
        /// Id of the key that opens the value.
        id: KeyId,
        /// Encoded parts of the address, as pointers into the row's settings.
        address: &'a [u8],
        /// Nonce and ciphertext.
        sealed: &'a [u8],
    },
    /// Bound only to its kind and its name.
    Named {
        /// Id of the key that opens the value.
        id: KeyId,
        /// Nonce and ciphertext.
        sealed: &'a [u8],
    },
}

/// Parses a value with a key id. A value from before keys had ids may look like one by chance: then its id
/// belongs to no known key.
pub fn parts(value: &[u8]) -> Option<Parts<'_>> {
    let (version, rest) = value.split_first()?;
    let (id, rest) = rest.split_first_chunk::<ID_BYTES>()?;
    let id = KeyId(*id);
    match *version {
        NAMES_ITS_KEY => Some(Parts::Named { id, sealed: rest }),
        IS_BOUND => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            let (address, sealed) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
            Some(Parts::Bound {
                id,
                address,
                sealed,
            })
        }
        _ => None,
    }
}

/// Returns the key id in a value; its first 9 bytes are enough.
pub fn named_key(value: &[u8]) -> Option<KeyId> {
    match value.split_first()? {
        (&(NAMES_ITS_KEY | IS_BOUND), rest) => rest.first_chunk().copied().map(KeyId),
        _ => None,
    }
}

/// Returns the encoded parts of the address to which a value is bound.
pub fn address(value: &[u8]) -> Option<&[u8]> {
    match parts(value)? {
        Parts::Bound { address, .. } => Some(address),
        Parts::Named { .. } => None,
    }
}

/// Encodes a bound value; `None` if its address is too long.
pub fn write(id: KeyId, address: &[u8], nonce: &[u8], ciphertext: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(address.len()).ok()?.to_be_bytes();
    Some([&[IS_BOUND], &id.0[..], &length, address, nonce, ciphertext].concat())
}
