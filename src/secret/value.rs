//! The bytes of a sealed value, of which each version still opens.
//!
//! | version | bytes | bound to |
//! |---|---|---|
//! | 2 | `2`, key id, length and parts of the address, nonce, ciphertext | kind, name, tenant, row, address |
//! | 1 | `1`, key id, nonce, ciphertext | kind, name |
//! | before | nonce, ciphertext | kind, name |
//! | given up | `0` alone | nothing: its key is lost |

use super::keys::{ID_BYTES, KeyId};

/// A value whose key was lost: a client has to give it again.
pub const GIVEN_UP: &[u8] = &[0];
const NAMES_ITS_KEY: u8 = 1;
const IS_BOUND: u8 = 2;

/// A sealed value in its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts<'a> {
    /// Bound to its row and address.
    Bound {
        /// The key that opens it.
        id: KeyId,
        /// The parts of the address, in the settings of the row.
        address: &'a [u8],
        /// Nonce and ciphertext.
        sealed: &'a [u8],
    },
    /// Bound to its kind and name alone.
    Named {
        /// The key that opens it.
        id: KeyId,
        /// Nonce and ciphertext.
        sealed: &'a [u8],
    },
}

/// Reads a value that names its key. One from before keys had ids may look like it by chance: then it
/// names a key that nobody knows.
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

/// The key that a value names; its first 9 bytes are enough to tell.
pub fn named_key(value: &[u8]) -> Option<KeyId> {
    match value.split_first()? {
        (&(NAMES_ITS_KEY | IS_BOUND), rest) => rest.first_chunk().copied().map(KeyId),
        _ => None,
    }
}

/// The parts of the address that a value is bound to.
pub fn address(value: &[u8]) -> Option<&[u8]> {
    match parts(value)? {
        Parts::Bound { address, .. } => Some(address),
        Parts::Named { .. } => None,
    }
}

/// The bytes of a bound value; `None`: the address has too many parts.
pub fn write(id: KeyId, address: &[u8], nonce: &[u8], ciphertext: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(address.len()).ok()?.to_be_bytes();
    Some([&[IS_BOUND], &id.0[..], &length, address, nonce, ciphertext].concat())
}
