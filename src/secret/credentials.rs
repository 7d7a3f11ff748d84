//! The credentials of one resource: secrets with names, sealed one by one.
//!
//! The names stay readable, so that a view can tell which secrets are there without the key, and so
//! that a secret which is not given again is taken over as it is.

use std::{collections::BTreeMap, fmt};

use base64::{Engine, engine::general_purpose::STANDARD};

use serde_json::Value;

use super::{Claim, KeyId, Vault};
use crate::error::{Error, Result};

/// The name of the one secret that was sealed before secrets had names.
pub const AUTHORIZATION: &str = "authorization";

/// Named secrets, in the clear. They never show in logs.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials(BTreeMap<String, String>);

impl Credentials {
    /// The same with one secret more.
    pub fn with(mut self, name: impl Into<String>, secret: impl Into<String>) -> Self {
        self.0.insert(name.into(), secret.into());
        self
    }

    /// All secrets.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(String::as_str)
    }

    /// The secret of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What is stored of a resource whose settings are changed.
#[derive(Clone, Copy)]
pub struct Stored<'a> {
    /// Its settings.
    pub settings: &'a Value,
    /// Its sealed credentials, as the row has them.
    pub secret: Option<&'a [u8]>,
}

/// Named secrets, each sealed by itself: what a row stores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealedCredentials(BTreeMap<String, Vec<u8>>);

impl SealedCredentials {
    /// Reads what a row stores. A single secret of before counts as [`AUTHORIZATION`].
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

    /// What a row stores; nothing, where there is no secret.
    pub fn write(&self) -> Option<Vec<u8>> {
        let texts = self
            .0
            .iter()
            .map(|(name, sealed)| (name, STANDARD.encode(sealed)));
        let texts: BTreeMap<_, _> = texts.collect();
        let bytes = serde_json::to_vec(&texts).unwrap_or_default();
        (!texts.is_empty()).then_some(bytes)
    }

    /// The names of the secrets, in their order.
    pub fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    /// Whether there is a secret of that name.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

impl Vault {
    /// Seals what the settings claim for a purpose. What is claimed and not given is taken over from what
    /// is stored, as long as it is sent to the same address; what is no longer claimed is dropped.
    pub fn seal_claims(
        &self,
        purpose: &str,
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
            let secret = match (&claim.secret, old.0.get(&claim.name)) {
                (Some(secret), _) => self.seal(&named(purpose, &claim.name), secret)?,
                (None, Some(_)) if is_elsewhere(claim) => {
                    let rule = "is required: the address has changed";
                    return Err(Error::field(&claim.field, rule));
                }
                (None, Some(stored)) => stored.clone(),
                (None, None) if claim.is_required => {
                    return Err(Error::field(&claim.field, "is required"));
                }
                (None, None) => continue,
            };
            sealed.insert(claim.name.clone(), secret);
        }
        Ok(SealedCredentials(sealed))
    }

    /// Seals one secret more beside those that are there, or in the place of the one of its name.
    pub fn seal_one(
        &self,
        purpose: &str,
        name: &str,
        secret: &str,
        mut beside: SealedCredentials,
    ) -> Result<SealedCredentials> {
        let sealed = self.seal(&named(purpose, name), secret)?;
        beside.0.insert(name.to_owned(), sealed);
        Ok(beside)
    }

    /// Seals credentials for a purpose, as a row stores them.
    pub fn seal_credentials(
        &self,
        purpose: &str,
        credentials: &Credentials,
    ) -> Result<Option<Vec<u8>>> {
        let sealed = credentials.0.iter().map(|(name, secret)| {
            let sealed = self.seal(&named(purpose, name), secret)?;
            Ok((name.clone(), sealed))
        });
        Ok(SealedCredentials(sealed.collect::<Result<_>>()?).write())
    }

    /// Opens what a row stores for the same purpose.
    pub fn open_credentials(&self, purpose: &str, stored: Option<&[u8]>) -> Result<Credentials> {
        let sealed = SealedCredentials::read(stored);
        let opened = sealed
            .0
            .iter()
            .map(|(name, sealed)| Ok((name.clone(), self.open_named(purpose, name, sealed)?)));
        Ok(Credentials(opened.collect::<Result<_>>()?))
    }

    fn open_named(&self, purpose: &str, name: &str, sealed: &[u8]) -> Result<String> {
        self.open_secret(&named(purpose, name), sealed)
            // Sealed before secrets had names.
            .or_else(|error| match name {
                AUTHORIZATION => self.open_secret(purpose, sealed),
                _ => Err(error),
            })
    }

    /// The same credentials, each under the current key; `None`: all that open are there already.
    pub fn reseal_credentials(&self, purpose: &str, stored: &[u8]) -> Option<Vec<u8>> {
        let mut credentials = SealedCredentials::read(Some(stored));
        let mut has_changed = false;
        for (name, sealed) in &mut credentials.0 {
            if self.is_current(sealed) {
                continue;
            }
            let secret = self.open_named(purpose, name, sealed);
            if let Ok(new) = secret.and_then(|secret| self.seal(&named(purpose, name), &secret)) {
                *sealed = new;
                has_changed = true;
            }
        }
        credentials.write().filter(|_| has_changed)
    }

    /// The key that opens each of the credentials; `None`: none does.
    pub fn keys_of_credentials(&self, purpose: &str, stored: &[u8]) -> Vec<Option<KeyId>> {
        let credentials = SealedCredentials::read(Some(stored));
        let key = |(name, sealed): (&String, &Vec<u8>)| {
            self.key_of(&named(purpose, name), sealed)
                .or_else(|| self.key_of(purpose, sealed))
        };
        credentials.0.iter().map(key).collect()
    }
}

/// One secret's purpose: it opens under its own name alone.
fn named(purpose: &str, name: &str) -> String {
    format!("{purpose}.{name}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::secret::{Address, NOWHERE, Part};

    fn vault(folder: &tempfile::TempDir) -> Vault {
        Vault::open(&folder.path().join("key"), true).unwrap()
    }

    #[test]
    fn credentials_come_back_by_name_and_show_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let vault = vault(&folder);
        let credentials = Credentials::default()
            .with("password", "hunter2")
            .with("token", "t");
        let stored = vault.seal_credentials("integration", &credentials).unwrap();
        let opened = vault
            .open_credentials("integration", stored.as_deref())
            .unwrap();
        assert_eq!(opened, credentials);
        assert_eq!(format!("{opened:?}"), r#"{"password", "token"}"#);
        let sealed = SealedCredentials::read(stored.as_deref());
        assert!(sealed.has("password") && !sealed.has("hunter2"));
        assert!(vault.open_credentials("other", stored.as_deref()).is_err());
        let none = vault.seal_credentials("integration", &Credentials::default());
        assert_eq!(none.unwrap(), None);
    }

    #[test]
    fn what_is_not_given_again_stays_and_what_is_not_claimed_goes() {
        const ADDRESS: Address = &[Part::at("/url")];
        let folder = tempfile::tempdir().unwrap();
        let vault = vault(&folder);
        let old = Credentials::default()
            .with("kept", "a")
            .with("new", "b")
            .with("gone", "c");
        let old = vault.seal_credentials("x", &old).unwrap();
        let before = Stored {
            settings: &json!({"url": "https://a.example.com/old"}),
            secret: old.as_deref(),
        };
        let claims = [
            Claim::required("kept", "settings.kept", None, ADDRESS),
            Claim::required("new", "settings.new", Some("n".to_owned()), ADDRESS),
            Claim::optional("never", "settings.never", None, ADDRESS),
        ];
        let settings = json!({"url": "https://a.example.com/new"});
        let seal = |settings, before| vault.seal_claims("x", &claims, settings, before);
        let sealed = seal(&settings, Some(before)).unwrap().write();
        let expected = Credentials::default().with("kept", "a").with("new", "n");
        assert_eq!(
            vault.open_credentials("x", sealed.as_deref()).unwrap(),
            expected
        );
        let error = seal(&settings, None).unwrap_err();
        assert_eq!(error.to_string(), "settings.kept: is required");
        let settings = json!({"url": "https://b.example.com/old"});
        let error = seal(&settings, Some(before)).unwrap_err();
        let expected = "settings.kept: is required: the address has changed";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_single_secret_of_before_still_opens() {
        let folder = tempfile::tempdir().unwrap();
        let vault = vault(&folder);
        let stored = vault.seal("integration", "Bearer s3cr3t").unwrap();
        let opened = vault
            .open_credentials("integration", Some(&stored))
            .unwrap();
        assert_eq!(opened.get(AUTHORIZATION), Some("Bearer s3cr3t"));
        let claims = [Claim::optional(AUTHORIZATION, "a", None, NOWHERE)];
        let before = Stored {
            settings: &json!({}),
            secret: Some(&stored),
        };
        let taken_over = vault
            .seal_claims("integration", &claims, &json!({}), Some(before))
            .unwrap()
            .write();
        let again = vault.open_credentials("integration", taken_over.as_deref());
        assert_eq!(again.unwrap(), opened);
    }
}
