//! Whether the database takes writes, and if not, why.
//!
//! A write that fails for such a reason begins an outage, and the log has that once. From then on the
//! hub tries a small write of its own every second, so that the outage ends by itself, whether or not
//! anybody has something to write.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rand::RngExt;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, DbBackend, DbErr, EntityTrait, QueryFilter,
    sea_query::OnConflict,
};
use tokio::{
    sync::{Mutex as AsyncMutex, watch},
    time::{Instant, sleep, timeout},
};
use uuid::Uuid;

use super::{
    failure::{self, Outage},
    patience,
    transaction::Writer,
};
use crate::{
    clock,
    error::{Error, Result},
    id::new_uuid,
    store::entities::write_probe,
};

/// How often the database is tried, at most.
const EVERY: Duration = Duration::from_secs(1);
/// How long a try may take.
const TRY_WITHIN: Duration = Duration::from_secs(15);
/// What is written during an outage, in bytes: more than what fits by chance into space that is left.
const FILLER: usize = 64 * 1024;
/// How long the row of a hub that is gone is kept.
const KEPT: chrono::TimeDelta = chrono::TimeDelta::days(1);

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
    fn has_written(&self, since: Instant) {
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

/// When the database was tried, and what came of it.
type Tried = (Instant, Result<()>);

/// Tries small writes.
#[derive(Clone)]
pub struct Probe {
    writer: Writer,
    writability: Writability,
    /// The row of this hub.
    id: Uuid,
    last: Arc<AsyncMutex<Option<Tried>>>,
}

impl Probe {
    /// A probe of this database.
    pub fn new(writer: Writer, writability: Writability) -> Self {
        Self {
            writer,
            writability,
            id: new_uuid(),
            last: Arc::default(),
        }
    }

    /// Watches for outages, and tries until they end.
    pub async fn run(self) {
        let mut outage = self.writability.0.outage.subscribe();
        while outage.wait_for(Option::is_some).await.is_ok() {
            sleep(EVERY).await;
            // The outcome is in the state.
            let _ = self.check().await;
        }
    }

    /// Whether the database takes a write; all that ask within a second get the same answer. The try
    /// goes on when nobody waits for it any more: a transaction is not to be left half way.
    pub async fn check(&self) -> Result<()> {
        let mut last = self.last.clone().lock_owned().await;
        if let Some((at, outcome)) = &*last
            && at.elapsed() < EVERY
        {
            return outcome.as_ref().copied().map_err(Error::echo);
        }
        let probe = self.clone();
        let tried = tokio::spawn(async move {
            let outcome = probe.try_once().await;
            let answer = outcome.as_ref().copied().map_err(Error::echo);
            *last = Some((Instant::now(), outcome));
            answer
        });
        tried.await.map_err(Error::internal)?
    }

    async fn try_once(&self) -> Result<()> {
        let started = Instant::now();
        match timeout(TRY_WITHIN, self.write()).await {
            Ok(Ok(())) => {
                self.writability.has_written(started);
                Ok(())
            }
            Ok(Err(error)) => Err(error.into()),
            Err(_) => {
                let error = patience::silence(TRY_WITHIN);
                self.writability.note(&error);
                Err(error.into())
            }
        }
    }

    /// Writes the row of this hub: for other hubs, too, it stands in nobody's way.
    async fn write(&self) -> Result<(), DbErr> {
        use write_probe::{ActiveModel, Column, Entity};
        let now = clock::now();
        let mut filler = Vec::new();
        if self.writability.outage().is_some() {
            filler.resize(FILLER, 0);
            // What can be compressed takes no space.
            rand::rng().fill(filler.as_mut_slice());
        }
        let transaction = self.writer.begin([]).await?;
        let written = async {
            Entity::insert(ActiveModel {
                id: Set(self.id),
                at: Set(now),
                filler: Set(filler),
            })
            .on_conflict(
                OnConflict::column(Column::Id)
                    .update_columns([Column::At, Column::Filler])
                    .to_owned(),
            )
            .exec_without_returning(&transaction)
            .await?;
            Entity::delete_many()
                .filter(Column::At.lt(now - KEPT))
                .exec(&transaction)
                .await?;
            Ok(())
        }
        .await;
        transaction.finish(written).await
    }

    /// Takes the row of this hub away.
    pub async fn forget(&self) -> Result<(), DbErr> {
        write_probe::Entity::delete_by_id(self.id)
            .exec(&self.writer)
            .await?;
        Ok(())
    }
}
