//! Whether the database takes writes, and if not, why.
//!
//! A write that fails for such a reason begins an outage, and the log has that once. From then on the
//! hub tries a small write of its own every second, so that the outage ends by itself, whether or not
//! anybody has something to write.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sea_orm::{DbBackend, DbErr};
use tokio::{sync::watch, time::Instant};

use super::failure::{self, Outage};

/// The state, of which all that write have a share.
#[derive(Clone)]
pub struct Writability(Arc<Inner>);

struct Inner {
    backend: DbBackend,
    outage: watch::Sender<Option<Outage>>,
    seen: Mutex<Seen>,
    /// Since when a batch of messages is being written.
    batch_since: Mutex<Option<Instant>>,
}

/// A batch of messages that is being written, until it is dropped.
pub struct Batch(Writability);

impl Drop for Batch {
    fn drop(&mut self) {
        *self.0.batch_since() = None;
    }
}

#[derive(Default)]
struct Seen {
    began_at: Option<Instant>,
    failed_at: Option<Instant>,
    /// Connections that were opened before are not used again.
    condemned_at: Option<Instant>,
    /// Connections that were idle by then are tried before they are used.
    session_lost_at: Option<Instant>,
    /// What the log has of this outage.
    logged: Vec<Outage>,
}

impl Writability {
    /// The state of a database that has not failed yet.
    pub fn new(backend: DbBackend) -> Self {
        Self(Arc::new(Inner {
            backend,
            outage: watch::Sender::new(None),
            seen: Mutex::default(),
            batch_since: Mutex::default(),
        }))
    }

    /// Takes note of a write that has failed.
    pub fn note(&self, error: &DbErr) {
        let Some(outage) = Outage::of(error) else {
            return;
        };
        // Whatever SQLite has failed with, a new connection begins with nothing of it. A session with
        // PostgreSQL that is read-only stays so, whatever becomes of the settings, and a connection that
        // has gone silent is seldom the only one.
        let condemns = self.0.backend == DbBackend::Sqlite
            || outage == Outage::ReadOnly
            || failure::is_silence(error);
        if failure::has_lost_session(error) {
            self.note_lost_session();
        }
        let mut seen = self.seen();
        let now = Instant::now();
        if condemns {
            seen.condemned_at = Some(now);
        }
        if !outage.lasts() {
            return;
        }
        seen.failed_at = Some(now);
        seen.began_at.get_or_insert(now);
        self.0.outage.send_replace(Some(outage));
        if !seen.logged.contains(&outage.family()) {
            seen.logged.push(outage.family());
            log(outage, error);
        }
    }

    /// Takes note of connections that do not answer: those that there are now are not used again.
    pub fn note_silence(&self) {
        self.seen().condemned_at = Some(Instant::now());
    }

    /// Takes note of a session that the server, or what is between, has ended: it may not be the only one.
    pub fn note_lost_session(&self) {
        self.seen().session_lost_at = Some(Instant::now());
    }

    /// Whether a connection that has been idle for so long may have ended with others.
    pub fn doubts(&self, idle: Duration) -> bool {
        let lost_at = self.seen().session_lost_at;
        lost_at.is_some_and(|lost_at| lost_at.elapsed() <= idle)
    }

    /// Whether a connection of this age must not be used again.
    pub fn condemns(&self, age: Duration) -> bool {
        let opened_at = Instant::now().checked_sub(age);
        let condemned_at = self.seen().condemned_at;
        matches!((opened_at, condemned_at), (Some(opened), Some(condemned)) if opened <= condemned)
    }

    /// Why nothing can be written, if so.
    pub fn outage(&self) -> Option<Outage> {
        *self.0.outage.borrow()
    }

    /// The reason why nothing can be written, and each change of it.
    pub fn subscribe(&self) -> watch::Receiver<Option<Outage>> {
        self.0.outage.subscribe()
    }

    /// Takes note of a batch of messages that begins.
    pub fn begin_batch(&self) -> Batch {
        *self.batch_since() = Some(Instant::now());
        Batch(self.clone())
    }

    /// How long the batch of messages that is being written has taken by now.
    pub fn batch_takes(&self) -> Duration {
        self.batch_since()
            .map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn batch_since(&self) -> MutexGuard<'_, Option<Instant>> {
        let since = self.0.batch_since.lock();
        since.unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the outage, unless a write has failed since.
    pub fn note_written(&self, since: Instant) {
        let mut seen = self.seen();
        if seen.failed_at.is_some_and(|failed| failed >= since) {
            return;
        }
        if let Some(began_at) = seen.began_at.take() {
            seen.logged.clear();
            self.0.outage.send_replace(None);
            let seconds = began_at.elapsed().as_secs();
            tracing::warn!("the database takes writes again, after {seconds} seconds");
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn log(outage: Outage, error: &DbErr) {
    let advice = match outage {
        Outage::DiskFull | Outage::DiskFault => {
            "make space where the database is, or raise what limits it"
        }
        Outage::ReadOnly => "make the database, or the file system that it is on, writable",
        // It comes and goes with the server; that is no fault of this machine.
        Outage::Away | Outage::Busy => {
            tracing::warn!(cause = %error, "{outage}");
            return;
        }
    };
    tracing::error!(
        cause = %error,
        "{outage}: {advice}; the hub answers 503 meanwhile and goes on by itself"
    );
}
