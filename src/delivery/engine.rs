//! Runs one lane for each integration with queued deliveries.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLockWriteGuard},
    time::Duration,
};

use futures_util::FutureExt;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{MissedTickBehavior, sleep},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use uuid::Uuid;

use super::{
    handle::{Handle, Lanes},
    inbox::Inbox,
    lane::Lane,
    retention,
    settler::Settler,
    targets::Sender,
    under_way::UnderWay,
};
use crate::{
    config::Config,
    error::{Error, Result},
    id::{IntegrationId, TenantId, new_uuid},
    metrics::Metrics,
    mqtt::Publishers,
    outgoing::Guard,
    secret::Vault,
    store::Store,
    supervise::{self, attempted},
    traces::Origins,
};

/// Polling interval for deliveries without a notification, such as those of a hub that failed.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Polling interval if other hubs may queue deliveries for this one.
const LOOK_EVERY_SHARED: Duration = Duration::from_millis(500);
/// Delay before a lane that panicked starts again.
const PAUSE_AFTER_FAULT: Duration = Duration::from_secs(1);
/// Maximum timeout of an attempt that an integration may set.
const TIMEOUT_MAX: Duration = Duration::from_secs(300);

/// The delivery engine.
pub struct Engine {
    woken: mpsc::UnboundedReceiver<(TenantId, IntegrationId)>,
    handle: Handle,
    store: Store,
    /// Id of this hub among those that share the database.
    hub: Uuid,
}

impl Engine {
    /// Creates an engine and its handle.
    pub fn new(
        store: Store,
        vault: Vault,
        config: Arc<Config>,
        guard: Guard,
        publishers: Publishers,
        metrics: Metrics,
    ) -> Result<(Self, Handle)> {
        let (sender, woken) = mpsc::unbounded_channel();
        let handle = Handle {
            woken: sender,
            lanes: Lanes::default(),
            under_way: UnderWay::default(),
            sender: Sender::new(guard, publishers, TIMEOUT_MAX, &config)?,
            vault,
            config,
            metrics,
            origins: Origins::default(),
        };
        let engine = Self {
            woken,
            handle: handle.clone(),
            store,
            hub: new_uuid(),
        };
        Ok((engine, handle))
    }

    /// Delivers until `stop` is cancelled, then waits up to `shutdown_timeout_s` for the attempts in
    /// progress.
    pub async fn run(&mut self, stop: CancellationToken) -> Result<()> {
        // If this is a restart after a panic, the previous lanes no longer exist.
        self.lanes().clear();
        let longest = Duration::from_secs(self.handle.config.shutdown_timeout_s);
        let metrics = self.handle.metrics.clone();
        let (settler, settling) =
            Settler::start(self.store.clone(), stop.clone(), longest, metrics);
        let mut running = JoinSet::new();
        let mut look = tokio::time::interval(match self.store.is_shared() {
            true => LOOK_EVERY_SHARED,
            false => LOOK_EVERY,
        });
        let forgetting = (self.store.clone(), self.handle.config.clone(), stop.clone());
        let forgetting = supervise::spawn("retention", forgetting, |(store, config, stop)| {
            retention::run(store, config, stop).boxed()
        });
        let forgetting = AbortOnDropHandle::new(forgetting);
        let watching = (
            self.store.clone(),
            self.handle.config.clone(),
            self.handle.clone(),
            stop.clone(),
        );
        let watching = supervise::spawn(
            "watch over queues",
            watching,
            |(store, config, handle, stop)| {
                retention::watch_queues(store, config, handle, stop).boxed()
            },
        );
        let watching = AbortOnDropHandle::new(watching);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = running.join_next(), if !running.is_empty() => {
                    if let Ok((tenant, integration)) = ended {
                        self.remove_lane(tenant, integration);
                    }
                }
                Some((tenant, integration)) = self.woken.recv() => {
                    self.start_lane(tenant, integration, &settler, &mut running, &stop);
                }
                () = self.store.has_work() => self.look(&settler, &mut running, &stop).await,
                _ = look.tick() => self.look(&settler, &mut running, &stop).await,
            }
        }
        while running.join_next().await.is_some() {}
        forgetting.await.map_err(Error::internal)?;
        watching.await.map_err(Error::internal)?;
        drop(settler);
        match settling.await.map_err(Error::internal)? {
            0 => Ok(()),
            lost => Err(Error::overloaded(&format!(
                "the results of {lost} deliveries could not be stored; these deliveries are sent \
                 again after the next start"
            ))),
        }
    }

    /// Starts lanes for integrations with queued deliveries, and notifies the lanes that already run.
    async fn look(
        &self,
        settler: &Settler,
        running: &mut JoinSet<(TenantId, IntegrationId)>,
        stop: &CancellationToken,
    ) {
        match self.store.integrations_with_work(self.hub).await {
            Ok(found) => {
                for (tenant, integration) in found {
                    self.start_lane(tenant, integration, settler, running, stop);
                }
            }
            Err(error) => tracing::warn!(
                "the delivery engine waits for the database: {}",
                error.causes()
            ),
        }
    }

    fn start_lane(
        &self,
        tenant: TenantId,
        integration: IntegrationId,
        settler: &Settler,
        running: &mut JoinSet<(TenantId, IntegrationId)>,
        stop: &CancellationToken,
    ) {
        let inbox = Arc::<Inbox>::default();
        {
            let mut lanes = self.lanes();
            if let Some(inbox) = lanes.get(&integration) {
                inbox.note_more();
                return;
            }
            lanes.insert(integration, inbox.clone());
        }
        let lane = Lane {
            scope: self.store.scope(tenant),
            integration,
            hub: self.hub,
            sender: self.handle.sender.clone(),
            vault: self.handle.vault.clone(),
            config: self.handle.config.clone(),
            settler: settler.clone(),
            under_way: self.handle.under_way.clone(),
            inbox,
            metrics: self.handle.metrics.clone(),
            origins: self.handle.origins.clone(),
            stop: stop.clone(),
        };
        running.spawn(async move {
            let running = async {
                lane.run().await;
                Ok(())
            };
            // A lane that panicked must end here, or its entry would block a new one forever.
            if attempted("lane of deliveries", running).await.is_err() {
                tracing::error!(integration.id = integration.0, "a lane broke");
                sleep(PAUSE_AFTER_FAULT).await;
            }
            (tenant, integration)
        });
    }

    fn remove_lane(&self, tenant: TenantId, integration: IntegrationId) {
        let inbox = self.lanes().remove(&integration);
        // If the lane was notified between its last check and its end, it must start again.
        if inbox.is_some_and(|inbox| inbox.notified().now_or_never().is_some()) {
            self.handle.integration(tenant, integration);
        }
    }

    fn lanes(&self) -> RwLockWriteGuard<'_, HashMap<IntegrationId, Arc<Inbox>>> {
        self.handle
            .lanes
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
