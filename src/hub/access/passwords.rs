//! Password hashing with argon2id, on dedicated threads, a few at a time.
//!
//! One hash costs 19 MiB and tens of milliseconds of CPU time, so that many logins at once would starve the
//! hub. They are queued here, with a limit per address and tenant, which take turns, and rejected if the queue is
//! full. The threads are not shared with other work, so that logins work whatever else blocks.

use std::net::IpAddr;

use argon2::{Argon2, PasswordHash, PasswordHasher, PasswordVerifier};

use super::{password_rules, throttle::subscriber};
use crate::{
    error::{Error, Result},
    id::TenantId,
    shares::{self, Full, Shares},
    threads::run_apart,
    turns::Turns,
};

/// Maximum number of hashes in progress.
const RUNNING_MAX: usize = 2;
/// Maximum number of hashes in progress for one asker: whoever comes beside a flood finds a free place.
const RUNNING_SHARE: usize = 1;
/// Maximum number of hashes in progress or waiting.
const WAITING_MAX: usize = 64;
/// Maximum number of hashes in progress or waiting for one asker, so that a flood from one address delays
/// others by no more than these.
const SHARE_MAX: usize = 8;

/// The party on whose behalf a hash is computed; each has a limit of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Asker {
    /// A client that is not authenticated yet, by its address.
    Address(IpAddr),
    /// A user of a tenant.
    Tenant(TenantId),
    /// The hub itself.
    Hub,
}

pub struct Passwords {
    running: Turns<Asker>,
    waiting: Shares<Asker>,
    /// Compared if the user does not exist, so that the answer takes as long as for one who does.
    decoy: tokio::sync::OnceCell<String>,
}

/// A place in the queue of hashes.
pub struct Place {
    owner: Asker,
    _place: shares::Place<Asker>,
}

impl Passwords {
    pub fn new() -> Self {
        Self {
            running: Turns::with_share(RUNNING_MAX, RUNNING_SHARE),
            waiting: Shares::new(WAITING_MAX),
            decoy: tokio::sync::OnceCell::new(),
        }
    }

    /// Takes a place in the queue; fails if none is left.
    pub fn place(&self, asker: Asker) -> Result<Place> {
        let (owner, whose) = match asker {
            Asker::Address(address) => (Asker::Address(subscriber(address)), "this address"),
            Asker::Tenant(_) => (asker, "this tenant"),
            Asker::Hub => (asker, "the hub"),
        };
        match self.waiting.enter([(owner, SHARE_MAX)]) {
            Ok(place) => Ok(Place {
                owner,
                _place: place,
            }),
            Err(Full::Share(_)) => {
                let what = format!("too many passwords are being checked for {whose}; try again");
                Err(Error::overloaded(&what))
            }
            Err(Full::All) => Err(Error::overloaded(
                "too many passwords are being checked; try again",
            )),
        }
    }

    /// Hashes a password. Returns the PHC string to store.
    pub async fn hash(&self, password: &str) -> Result<String> {
        self.hash_if(Asker::Hub, password, |_| Ok(())).await
    }

    /// Checks and hashes a new password. Returns the PHC string to store. The check of its strength is slow,
    /// so it runs on the same thread as the hash.
    pub async fn new_hash(
        &self,
        asker: Asker,
        field: &str,
        password: &str,
        username: &str,
    ) -> Result<String> {
        password_rules::check_form(field, password, username)?;
        let (field, username) = (field.to_owned(), username.to_owned());
        let check =
            move |password: &str| password_rules::check_strength(&field, password, &username);
        self.hash_if(asker, password, check).await
    }

    async fn hash_if(
        &self,
        asker: Asker,
        password: &str,
        check: impl FnOnce(&str) -> Result<()> + Send + 'static,
    ) -> Result<String> {
        let password = password.to_owned();
        self.run(self.place(asker)?, move || {
            check(&password)?;
            let hash: PasswordHash = Argon2::default()
                .hash_password(password.as_bytes())
                .map_err(|error| Error::internal(error.to_string()))?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Returns true if the password matches the hash. Without a hash it takes as long and returns false.
    pub async fn verify(&self, place: Place, password: &str, hash: Option<&str>) -> Result<bool> {
        let known = hash.is_some();
        let hash = match hash {
            Some(hash) => hash.to_owned(),
            None => self
                .decoy
                .get_or_try_init(|| self.hash("nobody has this password"))
                .await?
                .clone(),
        };
        let password = password.to_owned();
        let matches = self
            .run(place, move || {
                let hash =
                    PasswordHash::new(&hash).map_err(|error| Error::internal(error.to_string()))?;
                Ok(Argon2::default()
                    .verify_password(password.as_bytes(), &hash)
                    .is_ok())
            })
            .await?;
        Ok(matches && known)
    }

    async fn run<T: Send + 'static>(
        &self,
        place: Place,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let turn = self.running.take(place.owner).await;
        run_apart("password", (place, turn), work).await
    }
}
