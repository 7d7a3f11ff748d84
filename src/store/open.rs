//! Opening of the database, and assembly of its handle.

use std::{
    sync::{Arc, RwLock},
    time::Duration,
};

use sea_orm::{DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect, entity::ColumnTrait};
use uuid::Uuid;

use crate::{
    config::Config,
    error::{Error, Result},
    id::first_uuid_at,
    store::{
        access::identity,
        core::{
            arrivals::Arrivals,
            connect::{self, Purpose},
            epochs, file,
            handle::{Inner, Store},
            ids::Sequences,
            kept::Kept,
            listing::KEY_SLACK,
            migrating,
            patience::{Bounds, Patience},
            probe::Probe,
            reader::Reader,
            room::Rooms,
            selectors::Selectors,
            shared_clock::SharedClock,
            signals::Signals,
            starting,
            transaction::Writer,
            writability::Writability,
        },
        devices::{self, frames},
        entities::{delivery, event, uplink},
        live,
    },
};

impl Store {
    /// Connects and brings the schema up to date. The caller holds the [`Lock`].
    pub async fn open(config: &Config) -> Result<Self> {
        starting::persist(config, async || Self::open_once(config).await).await
    }

    async fn open_once(config: &Config) -> Result<Self> {
        let url = config.database_url();
        if let Some(file) = file::path(&url) {
            file::prepare(&file).map_err(Error::internal)?;
        }
        migrating::up(&url, Duration::from_secs(config.database_timeout_s)).await?;
        let store = Self::connect(config, &url, Purpose::Write).await?;
        if let Err(error) = store.recall_clock_steps().await {
            tracing::warn!("steps of the clock are not known: {}", error.causes());
        }
        store.go_on_from_stored_ids().await?;
        if !store.is_shared()
            && let Err(error) = store.free_claims().await
        {
            tracing::warn!("idempotency keys stay claimed: {}", error.causes());
        }
        Ok(store)
    }

    /// Connects to a database that hubs may be using. Does not change the schema; fails if it is older than this
    /// program.
    pub async fn open_beside(config: &Config) -> Result<Self> {
        let url = config.database_url();
        if let Some(file) = file::path(&url) {
            // SQLite would create an empty file.
            std::fs::metadata(file).map_err(Error::internal)?;
        }
        let store = Self::connect(config, &url, Purpose::Write).await?;
        let applied = migrating::usable(store.inner.writer.pool()).await?;
        match applied.len() == migrating::known().len() {
            true => Ok(store),
            false => Err(Error::internal(
                "the schema is older than this program: stop the hub, run `thingshub migrate` first",
            )),
        }
    }

    async fn connect(config: &Config, url: &str, purpose: Purpose) -> Result<Self> {
        let writability = Writability::new(connect::backend(url));
        let bounds = Bounds::of(config);
        let is_file = connect::backend(url) == DbBackend::Sqlite;
        let (writer, reader) = if is_file {
            let open = async |connections, purpose| {
                connect::sqlite(url, connections, purpose, &writability).await
            };
            (
                open(1, purpose).await?,
                open(connect::readers(config), Purpose::Read).await?,
            )
        } else {
            let connections = config.database_connections;
            let pool = connect::postgres(url, connections, &writability, Some(bounds)).await?;
            (pool.clone(), pool)
        };
        let patience = match is_file {
            true => Patience::ENDLESS,
            false => Patience::long(bounds),
        };
        let signals = Arc::new(Signals::default());
        let writer = Writer::new(writer, writability.clone(), patience, signals.clone());
        let reader = Reader::new(reader, writability.clone(), patience);
        let short = |patience: Patience| patience.short(bounds);
        let (recorder, gatherer) = (writer.within(short), reader.within(short));
        let probe = Probe::new(recorder.clone(), writability.clone());
        let store = Self {
            inner: Arc::new(Inner {
                kept: Kept::default()
                    .with(Rooms::default())
                    .with(devices::gather(gatherer.clone()))
                    .with(identity::gather(gatherer.clone()))
                    .with(identity::gather_keys(gatherer.clone()))
                    .with(live::gather(gatherer.clone()))
                    .with(frames::DedupeWindow::of(config)),
                stored_epochs: epochs::gather(gatherer),
                epochs: RwLock::default(),
                selectors: Selectors::default(),
                signals,
                writability,
                probe,
                leases: writer.within(|patience| patience.leases(bounds)),
                recorder,
                writer,
                reader,
                clock: SharedClock::default(),
                sequences: Sequences::default(),
                arrivals: Arrivals::default(),
            }),
        };
        store.read_time().await?;
        Ok(store)
    }

    /// Continues ids from the greatest stored one, if this is the only hub. Ids too far ahead are ignored, because
    /// they come from a wrong clock. Hubs that share a database use its time; one that continued from another value
    /// would be ahead of the others.
    async fn go_on_from_stored_ids(&self) -> Result<()> {
        if self.is_shared() {
            return Ok(());
        }
        let below = first_uuid_at(self.now() + KEY_SLACK);
        let sequences = &self.inner.sequences;
        let stored = [
            greatest::<uplink::Entity>(self, uplink::Column::Id, below).await?,
            greatest::<event::Entity>(self, event::Column::Id, below).await?,
            greatest::<delivery::Entity>(self, delivery::Column::Id, below).await?,
        ];
        for greatest in stored.into_iter().flatten() {
            sequences.go_on_from(greatest);
        }
        Ok(())
    }
}

/// Returns the greatest id of a table below this one.
async fn greatest<E: EntityTrait>(
    store: &Store,
    id: E::Column,
    below: Uuid,
) -> Result<Option<Uuid>> {
    let found = E::find()
        .select_only()
        .column(id)
        .filter(id.lt(below))
        .order_by_desc(id)
        .limit(1);
    Ok(found.into_tuple().one(&store.inner.reader).await?)
}
