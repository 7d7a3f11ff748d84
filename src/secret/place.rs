//! The binding of sealed values: a value only opens in the row and for the address for which it was sealed.
//! So somebody who can write to the database, but has no key, cannot have a secret sent to another host or
//! used by another tenant by copying it or by changing a URL.

use serde_json::{Value, json};

use super::claim::{self, Address};
use crate::id::TenantId;

/// Name given to the single secret of a row that was sealed before secrets had names.
pub const AUTHORIZATION: &str = "authorization";

/// Separates this use of the key from others, and this version of the binding from later ones.
const DOMAIN: &str = "thingshub sealed value 2";

/// The row that holds a sealed value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Kind of the row.
    pub kind: &'static str,
    /// Tenant that owns the row.
    pub tenant: TenantId,
    /// Key of the row, unique within its kind.
    pub row: String,
}

impl Place {
    /// Identifies a row by its kind, its tenant and its key.
    pub fn new(kind: &'static str, tenant: TenantId, row: impl ToString) -> Self {
        let row = row.to_string();
        Self { kind, tenant, row }
    }
}

/// One of the secrets of a row.
#[derive(Clone, Copy)]
pub struct Slot<'a> {
    /// The row.
    pub place: &'a Place,
    /// Name of the secret; empty if the row has a single value without a name.
    pub name: &'a str,
    /// Settings of the row, which contain the address.
    pub settings: &'a Value,
}

impl<'a> Slot<'a> {
    /// The single value of a row, which is never sent.
    pub fn only(place: &'a Place) -> Self {
        Self {
            place,
            name: "",
            settings: &Value::Null,
        }
    }

    /// Returns the additional data to which a value is bound; the length before each part makes it
    /// unambiguous. `None` if the parts of the address cannot be parsed.
    pub(super) fn binding(&self, address: &[u8]) -> Option<Vec<u8>> {
        let parts: Vec<(String, String)> = serde_json::from_slice(address).ok()?;
        let tenant = self.place.tenant.0.to_string();
        let mut texts = vec![DOMAIN.as_bytes(), self.place.kind.as_bytes()];
        texts.extend([self.name.as_bytes(), tenant.as_bytes()]);
        texts.extend([self.place.row.as_bytes(), address]);
        let sent_to: Vec<String> = parts
            .iter()
            .map(|(pointer, default)| claim::read_part(self.settings, pointer, default))
            .collect();
        texts.extend(sent_to.iter().map(String::as_bytes));
        let with_length = |text: &[u8]| [&(text.len() as u64).to_be_bytes()[..], text].concat();
        Some(texts.into_iter().flat_map(with_length).collect())
    }

    /// Returns the bindings of values that were sealed before values were bound to their row.
    pub(super) fn former_bindings(&self) -> Vec<String> {
        let kind = self.place.kind;
        match self.name {
            "" => vec![kind.to_owned()],
            // The secret of a row from before secrets had names.
            AUTHORIZATION => vec![format!("{kind}.{AUTHORIZATION}"), kind.to_owned()],
            name => vec![format!("{kind}.{name}")],
        }
    }
}

/// Encodes an address as sealed values contain it: the pointers and defaults of its parts.
pub(super) fn write_address(address: Address) -> Vec<u8> {
    let parts: Vec<(&str, &str)> = address.iter().map(|part| part.named()).collect();
    json!(parts).to_string().into_bytes()
}
