//! Runs one lane for each network connection with queued downlinks.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{sync::Notify, task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use super::lane::{self, Lane};
use crate::{
    config::Config,
    error::{Error, Result},
    id::ConnectionId,
    metrics::Metrics,
    mqtt::Publishers,
    outgoing::{Caller, Guard},
    secret::Vault,
    store::Store,
    supervise::attempted,
};

/// Polling interval for downlinks that another hub on the database has queued and not sent.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Downlink engine.
pub struct Engine {
    store: Store,
    vault: Vault,
    config: Arc<Config>,
    guard: Guard,
    publishers: Publishers,
    metrics: Metrics,
}

impl Engine {
    /// Creates an engine for this store.
    pub fn new(
        store: Store,
        vault: Vault,
        config: Arc<Config>,
        guard: Guard,
        publishers: Publishers,
        metrics: Metrics,
    ) -> Self {
        Self {
            store,
            vault,
            config,
            guard,
            publishers,
            metrics,
        }
    }

    /// Sends until `stop` is cancelled, then waits for the attempts in progress.
    pub async fn run(&self, stop: CancellationToken) -> Result<()> {
        let timeout = Duration::from_secs(self.config.downlink_timeout_s);
        let caller = Caller::new(self.guard.clone(), timeout).map_err(Error::internal)?;
        let mut queued = self.store.queued_downlinks();
        let mut lanes: HashMap<ConnectionId, Arc<Notify>> = HashMap::new();
        let mut running = JoinSet::new();
        while !stop.is_cancelled() {
            queued.mark_unchanged();
            let mut patience = LOOK_EVERY;
            match self.store.connections_with_downlinks().await {
                Err(error) => {
                    tracing::warn!("the downlinks wait for the database: {error}");
                    patience = lane::PAUSE_AFTER_ERROR;
                }
                Ok(found) => {
                    for (tenant, connection) in found {
                        if let Some(lane) = lanes.get(&connection) {
                            lane.notify_one();
                            continue;
                        }
                        let notify = Arc::new(Notify::new());
                        lanes.insert(connection, notify.clone());
                        let lane = Lane {
                            scope: self.store.scope(tenant),
                            connection,
                            caller: caller.of(tenant.0),
                            publishers: self.publishers.of(tenant.0),
                            vault: self.vault.clone(),
                            config: self.config.clone(),
                            metrics: self.metrics.clone(),
                            notify,
                            under_way: lane::UnderWay::default(),
                            stop: stop.clone(),
                        };
                        running.spawn(async move {
                            let running = async {
                                lane.run().await;
                                Ok(())
                            };
                            // A lane that panicked must end here, or its entry would block a new one forever.
                            if attempted("lane of downlinks", running).await.is_err() {
                                sleep(lane::PAUSE_AFTER_ERROR).await;
                            }
                            connection
                        });
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                _ = queued.changed() => {}
                // Downlinks that were queued as the lane ended are found by the next poll.
                Some(ended) = running.join_next(), if !running.is_empty() => {
                    if let Ok(connection) = ended {
                        lanes.remove(&connection);
                    }
                }
                () = sleep(patience) => {}
            }
        }
        while running.join_next().await.is_some() {}
        Ok(())
    }
}
