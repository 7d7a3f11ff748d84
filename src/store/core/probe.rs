//! Probe that checks by small writes whether the database takes writes.

use std::{sync::Arc, time::Duration};

use rand::RngExt;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, QueryFilter, sea_query::OnConflict,
};
use tokio::{
    sync::Mutex as AsyncMutex,
    time::{Instant, sleep, timeout},
};
use uuid::Uuid;

use super::{patience, transaction::Writer, writability::Writability};
use crate::{
    clock,
    error::{Error, Result},
    id::new_uuid,
    store::entities::write_probe,
};

/// Minimum interval between two attempts.
const EVERY: Duration = Duration::from_secs(1);
/// Timeout of an attempt.
const TRY_WITHIN: Duration = Duration::from_secs(15);
/// Bytes written during an outage; more than fits by chance into remaining space.
const FILLER: usize = 64 * 1024;
/// Time for which the row of a stopped hub is kept.
const KEPT: chrono::TimeDelta = chrono::TimeDelta::days(1);

/// Time and outcome of an attempt.
type ProbeAttempt = (Instant, Result<()>);

/// Checks by small writes whether the database takes writes.
#[derive(Clone)]
pub struct Probe {
    writer: Writer,
    writability: Writability,
    /// Identifier of this hub's row.
    id: Uuid,
    last: Arc<AsyncMutex<Option<ProbeAttempt>>>,
}

impl Probe {
    /// Creates a probe of this database.
    pub fn new(writer: Writer, writability: Writability) -> Self {
        Self {
            writer,
            writability,
            id: new_uuid(),
            last: Arc::default(),
        }
    }

    /// Watches for outages and retries until they end.
    pub async fn run(self) {
        let mut outage = self.writability.subscribe();
        while outage.wait_for(Option::is_some).await.is_ok() {
            sleep(EVERY).await;
            // The outcome is kept in `writability`.
            let _ = self.check().await;
        }
    }

    /// Checks that the database takes a write; calls within a second share one outcome. The attempt continues if the
    /// callers stop waiting, because a transaction must not be abandoned half way.
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
                self.writability.note_written(started);
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

    /// Writes this hub's own row, so that hubs do not block each other.
    async fn write(&self) -> Result<(), DbErr> {
        use write_probe::{ActiveModel, Column, Entity};
        let now = clock::now();
        let mut filler = Vec::new();
        if self.writability.outage().is_some() {
            filler.resize(FILLER, 0);
            // Random data, because compressible data would take no space.
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

    /// Deletes this hub's row.
    pub async fn forget(&self) -> Result<(), DbErr> {
        write_probe::Entity::delete_by_id(self.id)
            .exec(&self.writer)
            .await?;
        Ok(())
    }
}
