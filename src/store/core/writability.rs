//! State of the database with regard to writes: available, or the reason of an outage.
//!
//! A write that fails for a lasting reason begins an outage, which is logged once. From then on the hub attempts a
//! small write every second, so the outage ends by itself, even if nothing else is written.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sea_orm::{DbBackend, DbErr};
use tokio::{sync::watch, time::Instant};

use super::failure::{self, Outage};

/// State, shared by all writers.
#[derive(Clone)]
pub struct Writability(Arc<Inner>);

struct Inner {
    backend: DbBackend,
    outage: watch::Sender<Option<Outage>>,
    seen: Mutex<Seen>,
    /// Number of outages so far.
    outages: AtomicU64,
    /// Start of the current batch of messages.
    batch_since: Mutex<Option<Instant>>,
}

/// Batch of messages in progress; ends when dropped.
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
    /// Connections opened before this time are not reused.
    condemned_at: Option<Instant>,
    /// Connections idle since before this time are tested before use.
    session_lost_at: Option<Instant>,
    /// Outages that were logged since the outage began.
    logged: Vec<Outage>,
}

impl Writability {
    /// Returns the state of a database that has not failed yet.
    pub fn new(backend: DbBackend) -> Self {
        Self(Arc::new(Inner {
            backend,
            outage: watch::Sender::new(None),
            seen: Mutex::default(),
            outages: AtomicU64::default(),
            batch_since: Mutex::default(),
        }))
    }

    /// Records a failed write.
    pub fn note(&self, error: &DbErr) {
        let Some(outage) = Outage::of(error) else {
            return;
        };
        // Replacing the connection clears any failed state of SQLite. A PostgreSQL session that is read-only stays
        // so even when the settings change, and a silent connection is seldom the only one.
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
        if seen.began_at.is_none() {
            seen.began_at = Some(now);
            self.0.outages.fetch_add(1, Ordering::Relaxed);
        }
        self.0.outage.send_replace(Some(outage));
        if !seen.logged.contains(&outage.family()) {
            seen.logged.push(outage.family());
            log(outage, error);
        }
    }

    /// Records that connections do not answer: no current connection is reused.
    pub fn note_silence(&self) {
        self.seen().condemned_at = Some(Instant::now());
    }

    /// Records that the server or a proxy has ended a session: others may have ended, too.
    pub fn note_lost_session(&self) {
        self.seen().session_lost_at = Some(Instant::now());
    }

    /// True if a connection that has been idle this long may have been lost with others.
    pub fn doubts(&self, idle: Duration) -> bool {
        let lost_at = self.seen().session_lost_at;
        lost_at.is_some_and(|lost_at| lost_at.elapsed() <= idle)
    }

    /// True if a connection of this age must not be reused.
    pub fn condemns(&self, age: Duration) -> bool {
        let opened_at = Instant::now().checked_sub(age);
        let condemned_at = self.seen().condemned_at;
        matches!((opened_at, condemned_at), (Some(opened), Some(condemned)) if opened <= condemned)
    }

    /// Returns the current outage of writes, if any.
    pub fn outage(&self) -> Option<Outage> {
        *self.0.outage.borrow()
    }

    /// Returns the number of outages so far.
    pub fn outages(&self) -> u64 {
        self.0.outages.load(Ordering::Relaxed)
    }

    /// Subscribes to the current outage and its changes.
    pub fn subscribe(&self) -> watch::Receiver<Option<Outage>> {
        self.0.outage.subscribe()
    }

    /// Records the start of a batch of messages.
    pub fn begin_batch(&self) -> Batch {
        *self.batch_since() = Some(Instant::now());
        Batch(self.clone())
    }

    /// Returns the time that the current batch of messages has taken; zero if there is none.
    pub fn batch_takes(&self) -> Duration {
        self.batch_since()
            .map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn batch_since(&self) -> MutexGuard<'_, Option<Instant>> {
        let since = self.0.batch_since.lock();
        since.unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the outage, unless a write has failed since `since`.
    pub fn note_written(&self, since: Instant) {
        let mut seen = self.seen();
        if seen.failed_at.is_some_and(|failed| failed >= since) {
            return;
        }
        if let Some(began_at) = seen.began_at.take() {
            // Sessions of PostgreSQL that were opened after the last failed write are read-only, too.
            if seen.logged.contains(&Outage::ReadOnly.family()) {
                seen.condemned_at = Some(Instant::now());
            }
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
        // The outage comes and goes with the server, and nothing on this machine needs fixing.
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
