//! What a sealed value is bound to: it opens in the row that it was sealed for, for the address that it
//! was given for, and nowhere else. So who can write to the database, but has no key, cannot have a
//! secret sent to another host or used by another tenant by copying it or by changing a URL.

use serde_json::{Value, json};

use super::claim::{self, Address};
use crate::id::TenantId;

/// The name of the one secret that was sealed before secrets had names.
pub const AUTHORIZATION: &str = "authorization";

/// Sets this use of the key apart from others, and this form of the text from later ones.
const DOMAIN: &str = "thingshub sealed value 2";

/// The row that holds a sealed value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What kind of row it is.
    pub kind: &'static str,
    /// Whose it is.
    pub tenant: TenantId,
    /// What tells it from others of its kind.
    pub row: String,
}

impl Place {
    /// A row by its kind, its tenant and its key.
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
    /// The secret's name; empty where a row has one value without a name.
    pub name: &'a str,
    /// The row's settings, which hold the address.
    pub settings: &'a Value,
}

impl<'a> Slot<'a> {
    /// The only value of a row that is sent nowhere.
    pub fn only(place: &'a Place) -> Self {
        Self {
            place,
            name: "",
            settings: &Value::Null,
        }
    }

    /// What a value is bound to, as text that says each part in one way alone. `None`: the parts of the
    /// address cannot be read.
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

    /// What values were bound to before they were bound to their row.
    pub(super) fn former_bindings(&self) -> Vec<String> {
        let kind = self.place.kind;
        match self.name {
            "" => vec![kind.to_owned()],
            // The one secret of before secrets had names.
            AUTHORIZATION => vec![format!("{kind}.{AUTHORIZATION}"), kind.to_owned()],
            name => vec![format!("{kind}.{name}")],
        }
    }
}

/// An address as a sealed value tells of it: the parts of the settings that it is made of.
pub(super) fn write_address(address: Address) -> Vec<u8> {
    let parts: Vec<(&str, &str)> = address.iter().map(|part| part.named()).collect();
    json!(parts).to_string().into_bytes()
}
