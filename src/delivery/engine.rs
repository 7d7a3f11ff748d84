//! Keeps one lane for each integration that has work.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    lane::{self, Lane},
    targets::Sender,
};
use crate::{
    config::Config,
    error::Result,
    id::{IntegrationId, TenantId},
    outgoing::Guard,
    secret::Vault,
    store::Store,
};

/// Tells the engine that an integration has work, or has changed.
#[derive(Clone)]
pub struct Wake {
    woken: mpsc::UnboundedSender<(TenantId, IntegrationId)>,
}

impl Wake {
    /// Wakes the integration's lane.
    pub fn integration(&self, tenant: TenantId, integration: IntegrationId) {
        // Without an engine, as in the last moments of a shutdown, the queue waits in the database.
        let _ = self.woken.send((tenant, integration));
    }
}

/// The delivery engine.
pub struct Engine {
    woken: mpsc::UnboundedReceiver<(TenantId, IntegrationId)>,
    store: Store,
    vault: Vault,
    config: Arc<Config>,
}

impl Engine {
    /// An engine and the handle that wakes it.
    pub fn new(store: Store, vault: Vault, config: Arc<Config>) -> (Self, Wake) {
        let (sender, woken) = mpsc::unbounded_channel();
        (
            Self {
                woken,
                store,
                vault,
                config,
            },
            Wake { woken: sender },
        )
    }

    /// Delivers until `stop`, then lets what is under way come to its end.
    pub async fn run(mut self, stop: CancellationToken) -> Result<()> {
        let guard = Guard::new(self.config.outgoing_allow.clone());
        let timeout = Duration::from_secs(self.config.delivery_timeout_s);
        let sender = Sender::new(guard, timeout, &self.config)?;
        let mut lanes: HashMap<IntegrationId, Arc<Notify>> = HashMap::new();
        let mut running = JoinSet::new();
        let mut starting = self.integrations_at_start(&stop).await;
        loop {
            let (tenant, integration) = match starting.pop() {
                Some(first) => first,
                None => tokio::select! {
                    () = stop.cancelled() => break,
                    Some(ended) = running.join_next(), if !running.is_empty() => {
                        let Ok((tenant, integration)) = ended else { continue };
                        let notify = lanes.remove(&integration);
                        // Woken between its last look and its end: it must look once more.
                        if notify.is_some_and(|notify| notify.notified().now_or_never().is_some()) {
                            starting.push((tenant, integration));
                        }
                        continue;
                    }
                    woken = self.woken.recv() => match woken {
                        Some(woken) => woken,
                        None => break,
                    },
                },
            };
            if let Some(lane) = lanes.get(&integration) {
                lane.notify_one();
                continue;
            }
            let notify = Arc::new(Notify::new());
            lanes.insert(integration, notify.clone());
            let lane = Lane {
                scope: self.store.scope(tenant),
                integration,
                sender: sender.clone(),
                vault: self.vault.clone(),
                config: self.config.clone(),
                notify,
                stop: stop.clone(),
            };
            running.spawn(async move {
                lane.run().await;
                (tenant, integration)
            });
        }
        while running.join_next().await.is_some() {}
        Ok(())
    }

    /// Work that a former process has left.
    async fn integrations_at_start(
        &self,
        stop: &CancellationToken,
    ) -> Vec<(TenantId, IntegrationId)> {
        loop {
            match self.store.enabled_integrations().await {
                Ok(found) => return found,
                Err(error) => tracing::warn!("the delivery engine waits for the database: {error}"),
            }
            tokio::select! {
                () = stop.cancelled() => return Vec::new(),
                () = tokio::time::sleep(lane::PAUSE_AFTER_ERROR) => {}
            }
        }
    }
}
