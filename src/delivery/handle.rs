//! Handle through which other modules notify and query the delivery engine.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use tokio::sync::mpsc;
use tracing::Instrument;
use uuid::Uuid;

use super::{
    attempt,
    inbox::Inbox,
    payload::Renderer,
    rules::Rules,
    targets::{Answer, Sender},
    under_way::UnderWay,
};
use crate::{
    config::Config,
    error::Result,
    id::{IntegrationId, TenantId},
    metrics::Metrics,
    secret::Vault,
    store::{
        deliveries::{Delivery, enqueue::Queued},
        integrations::Integration,
    },
    traces::{self, Origins},
};

/// Inboxes of the running lanes.
pub(super) type Lanes = Arc<RwLock<HashMap<IntegrationId, Arc<Inbox>>>>;

/// Handle of the delivery engine.
#[derive(Clone)]
pub struct Handle {
    pub(super) woken: mpsc::UnboundedSender<(TenantId, IntegrationId)>,
    pub(super) lanes: Lanes,
    pub(super) under_way: UnderWay,
    pub(super) sender: Sender,
    pub(super) vault: Vault,
    pub(super) config: Arc<Config>,
    pub(super) metrics: Metrics,
    /// Traces of the uplinks that deliveries are about.
    pub origins: Origins,
}

impl Handle {
    /// Notifies the engine that an integration has new deliveries or has changed.
    pub fn integration(&self, tenant: TenantId, integration: IntegrationId) {
        match self.inbox(integration) {
            Some(inbox) => inbox.note_change(),
            None => self.start(tenant, integration),
        }
    }

    /// Passes on deliveries that have just been committed.
    pub fn queued(&self, queued: Vec<Queued>) {
        let mut integrations: HashMap<_, Vec<_>> = HashMap::new();
        for Queued {
            tenant,
            integration,
            delivery,
        } in queued
        {
            let deliveries = integrations.entry((tenant, integration)).or_default();
            deliveries.push(delivery);
        }
        for ((tenant, integration), deliveries) in integrations {
            match self.inbox(integration) {
                Some(inbox) => inbox.hand_over(deliveries),
                None => self.start(tenant, integration),
            }
        }
    }

    fn inbox(&self, integration: IntegrationId) -> Option<Arc<Inbox>> {
        let lanes = self.lanes.read().unwrap_or_else(PoisonError::into_inner);
        lanes.get(&integration).cloned()
    }

    fn start(&self, tenant: TenantId, integration: IntegrationId) {
        // Without an engine, such as during shutdown, the queue waits in the database.
        let _ = self.woken.send((tenant, integration));
    }

    /// Returns the ids of the deliveries that this hub is sending.
    pub fn under_way(&self) -> Vec<Uuid> {
        self.under_way.ids()
    }

    /// Returns the number of deliveries that this hub is sending.
    pub fn under_way_count(&self) -> usize {
        self.under_way.count()
    }

    /// Returns the renderer for a tenant's templates.
    pub fn renderer(&self, tenant: TenantId) -> Renderer {
        self.sender.renderers.of(tenant)
    }

    /// Sends one message in the same way as a delivery, without queueing it.
    pub async fn try_out(
        &self,
        tenant: TenantId,
        integration: &Integration,
        delivery: &Delivery,
    ) -> Result<Answer> {
        let target = self.sender.target(tenant, integration, &self.vault)?;
        let rules = Rules::of(&self.config, &integration.provisioned.delivery);
        let sending = target.try_out(&self.sender, delivery);
        let answering = attempt::answer(sending, rules.timeout);
        let attempt = traces::Attempt {
            owner: integration.id.0,
            kind: target.kind(),
            id: delivery.id,
            number: delivery.attempt,
        };
        let span = traces::delivery(&attempt, &self.origins, delivery.subject_id);
        let answer = answering.instrument(span.clone()).await;
        answer.trace(&span);
        Ok(answer)
    }
}
