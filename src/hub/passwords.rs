//! Password hashing: argon2id, off the async threads, a few at a time.
//!
//! One hash costs 19 MiB and tens of milliseconds of CPU, so that many log-ins at once would starve
//! the hub: they queue here, and beyond a bound they are put off.

use argon2::{Argon2, PasswordHash, PasswordHasher, PasswordVerifier};
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::error::{Error, Result};

/// Hashes under way at a time.
const RUNNING_MAX: usize = 2;
/// Hashes under way or waiting.
const WAITING_MAX: usize = 64;

pub struct Passwords {
    running: Semaphore,
    waiting: Semaphore,
    /// Stands in for the hash of a user who does not exist, so that the answer takes as long.
    decoy: tokio::sync::OnceCell<String>,
}

impl Passwords {
    pub fn new() -> Self {
        Self {
            running: Semaphore::new(RUNNING_MAX),
            waiting: Semaphore::new(WAITING_MAX),
            decoy: tokio::sync::OnceCell::new(),
        }
    }

    /// The PHC string to store.
    pub async fn hash(&self, password: &str) -> Result<String> {
        let password = password.to_owned();
        self.run(move || {
            let hash: PasswordHash = Argon2::default()
                .hash_password(password.as_bytes())
                .map_err(|error| Error::internal(error.to_string()))?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Whether the password has this hash; without a hash it takes as long, and is false.
    pub async fn verify(&self, password: &str, hash: Option<&str>) -> Result<bool> {
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
            .run(move || {
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
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let _place = self
            .waiting
            .try_acquire()
            .map_err(|_| Error::overloaded("too many log-ins at a time"))?;
        let _turn = self.running.acquire().await.map_err(Error::internal)?;
        spawn_blocking(work).await.map_err(Error::internal)?
    }
}
