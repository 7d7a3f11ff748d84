//! The credentials of one resource: named secrets, each sealed separately.
//!
//! The names are not encrypted, so that a view can list them without the key, and a secret that a client
//! omits can be kept as it is.

use std::{collections::BTreeMap, fmt};

use base64::{Engine, engine::general_purpose::STANDARD};

use serde_json::{Value, json};

use super::{
    claim::{Address, Claim, NOWHERE},
    place::{AUTHORIZATION, Place, Slot},
    value,
    vault::{Vault, is_bound_to},
};
use crate::error::{Error, Reason, Result};

/// Named secrets in plain text. They never appear in logs.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials(BTreeMap<String, String>);

impl Credentials {
    /// Adds a secret.
    pub fn with(mut self, name: impl Into<String>, secret: impl Into<String>) -> Self {
        self.0.insert(name.into(), secret.into());
        self
    }

    /// All secrets.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(String::as_str)
    }

    /// Returns the secret with this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The stored parts of a row: its settings and its sealed credentials.
#[derive(Clone, Copy)]
pub struct Stored<'a> {
    /// Settings of the row.
    pub settings: &'a Value,
    /// Sealed credentials in the form in which the row stores them.
    pub secret: Option<&'a [u8]>,
}

/// Named secrets, each sealed separately, in the form in which a row stores them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealedCredentials(BTreeMap<String, Vec<u8>>);

impl SealedCredentials {
    /// Reads the stored form of a row. A single secret of an earlier version gets the name
    /// [`AUTHORIZATION`].
    pub fn read(stored: Option<&[u8]>) -> Self {
        let Some(stored) = stored else {
            return Self::default();
        };
        let named: Option<BTreeMap<String, String>> = serde_json::from_slice(stored).ok();
        let named = named.and_then(|named| {
            let sealed = |(name, text): (String, String)| Some((name, STANDARD.decode(text).ok()?));
            named.into_iter().map(sealed).collect()
        });
        Self(named.unwrap_or_else(|| BTreeMap::from([(AUTHORIZATION.to_owned(), stored.to_vec())])))
    }

    /// Returns the form to store; `None` if there are no secrets.
    pub fn write(&self) -> Option<Vec<u8>> {
        let texts = self
            .0
            .iter()
            .map(|(name, sealed)| (name, STANDARD.encode(sealed)));
        let texts: BTreeMap<_, _> = texts.collect();
        let bytes = json!(texts).to_string().into_bytes();
        (!texts.is_empty()).then_some(bytes)
    }

    /// Returns the names of the secrets in alphabetical order.
    pub fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    /// Returns true if there is a secret with this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

impl Stored<'_> {
    fn slot<'a>(&'a self, place: &'a Place, name: &'a str) -> Slot<'a> {
        Slot {
            place,
            name,
            settings: self.settings,
        }
    }
}

impl Vault {
    /// Seals the secrets that the settings of a row require. An omitted secret is taken over from the stored
    /// ones if its address has not changed; secrets that are no longer required are dropped.
    pub fn seal_claims(
        &self,
        place: &Place,
        claims: &[Claim],
        settings: &Value,
        before: Option<Stored<'_>>,
    ) -> Result<SealedCredentials> {
        let old = SealedCredentials::read(before.and_then(|before| before.secret));
        let is_elsewhere = |claim: &Claim| {
            before.is_some_and(|before| claim.is_sent_elsewhere(settings, before.settings))
        };
        let mut sealed = BTreeMap::new();
        for claim in claims {
            let (name, field) = (&claim.name, &claim.field);
            let slot = Slot {
                place,
                name,
                settings,
            };
            let secret = match (&claim.secret, before.zip(old.0.get(name))) {
                (Some(secret), _) => self.seal(&slot, claim.sent_to, secret)?,
                (None, Some(_)) if is_elsewhere(claim) => {
                    let rule = "is required: the address has changed";
                    return Err(Error::of_field(Reason::Required, field, rule));
                }
                (None, Some((_, stored))) if is_bound_to(stored, claim.sent_to) => stored.clone(),
                // Sealed before values were bound to their row, or for another address.
                (None, Some((before, stored))) => {
                    let secret = self.open_value(&before.slot(place, name), stored);
                    let rule = "is required: the stored one does not open with the hub's keys";
                    let secret =
                        secret.map_err(|_| Error::of_field(Reason::Required, field, rule))?;
                    self.seal(&slot, claim.sent_to, &secret)?
                }
                (None, None) if claim.is_required => {
                    return Err(Error::of_field(Reason::Required, field, "is required"));
                }
                (None, None) => continue,
            };
            sealed.insert(name.clone(), secret);
        }
        Ok(SealedCredentials(sealed))
    }

    /// Seals one more secret that is never sent. Replaces a stored secret with the same name and keeps the
    /// others.
    pub fn seal_one(
        &self,
        place: &Place,
        name: &str,
        secret: &str,
        stored: Stored<'_>,
    ) -> Result<SealedCredentials> {
        let mut credentials = SealedCredentials::read(stored.secret);
        let sealed = self.seal(&stored.slot(place, name), NOWHERE, secret)?;
        credentials.0.insert(name.to_owned(), sealed);
        Ok(credentials)
    }

    /// Opens the stored credentials of a row.
    pub fn open_credentials(&self, place: &Place, stored: Stored<'_>) -> Result<Credentials> {
        let sealed = SealedCredentials::read(stored.secret);
        let opened = sealed.0.iter().map(|(name, sealed)| {
            let secret = self.open_value(&stored.slot(place, name), sealed)?;
            Ok((name.clone(), secret))
        });
        Ok(Credentials(opened.collect::<Result<_>>()?))
    }

    /// Returns the credentials, each sealed under the current key and bound to its row and address; `None`
    /// if none needs a change. `sent_to` returns the address of a secret by its name.
    pub fn reseal_credentials(
        &self,
        place: &Place,
        stored: Stored<'_>,
        sent_to: impl Fn(&str) -> Address,
    ) -> Option<Vec<u8>> {
        let mut credentials = SealedCredentials::read(stored.secret);
        let mut has_changed = false;
        for (name, sealed) in &mut credentials.0 {
            if let Some(new) = self.reseal(&stored.slot(place, name), sent_to(name), sealed) {
                *sealed = new;
                has_changed = true;
            }
        }
        credentials.write().filter(|_| has_changed)
    }
}

impl SealedCredentials {
    /// Calls `look` for each of a row's credentials and returns the results.
    pub fn each<T>(
        place: &Place,
        stored: Stored<'_>,
        look: impl Fn(&Slot<'_>, &[u8]) -> T,
    ) -> Vec<T> {
        let credentials = Self::read(stored.secret);
        let found = |(name, sealed): (&String, &Vec<u8>)| look(&stored.slot(place, name), sealed);
        credentials.0.iter().map(found).collect()
    }

    /// Returns the credentials of a row with those given up for which `is_lost` is true; `None` if there are
    /// none.
    pub fn give_up(
        place: &Place,
        stored: Stored<'_>,
        is_lost: impl Fn(&Slot<'_>, &[u8]) -> bool,
    ) -> Option<Vec<u8>> {
        let mut credentials = Self::read(stored.secret);
        let mut has_changed = false;
        for (name, sealed) in &mut credentials.0 {
            if is_lost(&stored.slot(place, name), sealed) {
                *sealed = value::GIVEN_UP.to_vec();
                has_changed = true;
            }
        }
        credentials.write().filter(|_| has_changed)
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::{id::TenantId, secret::Part};

    const ADDRESS: Address = &[Part::at("/url")];

    fn vault(folder: &tempfile::TempDir) -> Vault {
        Vault::open(&folder.path().join("key"), true).unwrap()
    }

    fn place(row: i64) -> Place {
        Place::new("integration", TenantId(1), row)
    }

    fn given(name: &str, secret: &str) -> Claim {
        Claim::required(name, name, Some(secret.to_owned()), ADDRESS)
    }

    fn stored<'a>(settings: &'a Value, secret: &'a Option<Vec<u8>>) -> Stored<'a> {
        let secret = secret.as_deref();
        Stored { settings, secret }
    }

    #[test]
    fn credentials_come_back_by_name_and_show_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let vault = vault(&folder);
        let settings = json!({"url": "https://a.example.com"});
        let claims = [given("password", "hunter2"), given("token", "t")];
        let sealed = vault.seal_claims(&place(1), &claims, &settings, None);
        let sealed = sealed.unwrap();
        assert!(sealed.has("password") && !sealed.has("hunter2"));
        let sealed = sealed.write();
        let opened = vault.open_credentials(&place(1), stored(&settings, &sealed));
        let opened = opened.unwrap();
        let expected = Credentials::default()
            .with("password", "hunter2")
            .with("token", "t");
        assert_eq!(opened, expected);
        assert_eq!(format!("{opened:?}"), r#"{"password", "token"}"#);
        let none = vault.seal_claims(&place(1), &[], &settings, None).unwrap();
        assert_eq!(none.write(), None);
    }

    #[test]
    fn a_secret_opens_in_its_row_for_its_address_alone() {
        let folder = tempfile::tempdir().unwrap();
        let vault = vault(&folder);
        let settings = json!({"url": "https://a.example.com/in"});
        let sealed = vault.seal_claims(&place(1), &[given("t", "s")], &settings, None);
        let sealed = sealed.unwrap().write();
        let opens = |place: &Place, settings: &Value, sealed| {
            vault
                .open_credentials(place, stored(settings, sealed))
                .is_ok()
        };
        assert!(opens(&place(1), &settings, &sealed));
        let same = json!({"url": "https://A.example.com:443/other"});
        assert!(opens(&place(1), &same, &sealed));
        let elsewhere = json!({"url": "https://evil.example/in"});
        assert!(!opens(&place(1), &elsewhere, &sealed));
        assert!(!opens(&place(2), &settings, &sealed));
        let of_another = Place::new("integration", TenantId(2), 1);
        assert!(!opens(&of_another, &settings, &sealed));
        let of_another = Place::new("downlink", TenantId(1), 1);
        assert!(!opens(&of_another, &settings, &sealed));
        // Under another name, in the same row.
        let text = String::from_utf8(sealed.clone().unwrap()).unwrap();
        let renamed = Some(text.replacen("\"t\"", "\"u\"", 1).into_bytes());
        assert!(!opens(&place(1), &settings, &renamed));
    }

    #[test]
    fn what_is_not_given_again_stays_and_what_is_not_claimed_goes() {
        let folder = tempfile::tempdir().unwrap();
        let vault = vault(&folder);
        let was = json!({"url": "https://a.example.com/old"});
        let old = [given("kept", "a"), given("new", "b"), given("gone", "c")];
        let old = vault.seal_claims(&place(1), &old, &was, None).unwrap();
        let old = old.write();
        let claims = [
            Claim::required("kept", "settings.kept", None, ADDRESS),
            Claim::required("new", "settings.new", Some("n".to_owned()), ADDRESS),
            Claim::optional("never", "settings.never", None, ADDRESS),
        ];
        let seal = |settings, before| vault.seal_claims(&place(1), &claims, settings, before);
        let settings = json!({"url": "https://a.example.com/new"});
        let before = stored(&was, &old);
        let sealed = seal(&settings, Some(before)).unwrap().write();
        let expected = Credentials::default().with("kept", "a").with("new", "n");
        let opened = vault.open_credentials(&place(1), stored(&settings, &sealed));
        assert_eq!(opened.unwrap(), expected);
        let error = seal(&settings, None).unwrap_err();
        assert_eq!(error.to_string(), "settings.kept: is required");
        let settings = json!({"url": "https://b.example.com/old"});
        let error = seal(&settings, Some(before)).unwrap_err();
        let expected = "settings.kept: is required: the address has changed";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_single_secret_of_before_opens_and_is_bound_by_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let vault = vault(&folder);
        let old = Some(vault.seal_unbound("integration", "Bearer s3cr3t"));
        let settings = json!({"url": "https://a.example.com"});
        let opened = vault.open_credentials(&place(1), stored(&settings, &old));
        let opened = opened.unwrap();
        assert_eq!(opened.get(AUTHORIZATION), Some("Bearer s3cr3t"));
        let claims = [Claim::optional(AUTHORIZATION, "a", None, ADDRESS)];
        let before = Some(stored(&settings, &old));
        let taken_over = vault.seal_claims(&place(1), &claims, &settings, before);
        let taken_over = taken_over.unwrap().write();
        let again = vault.open_credentials(&place(1), stored(&settings, &taken_over));
        assert_eq!(again.unwrap(), opened);
        let in_another = vault.open_credentials(&place(2), stored(&settings, &taken_over));
        assert!(in_another.is_err());
    }
}
