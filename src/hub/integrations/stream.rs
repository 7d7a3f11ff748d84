//! Followers of an integration: their permission and the messages that they receive.

use crate::{
    delivery::{self, Payload, Purpose, RenderError},
    error::{Error, Reason, Result},
    hub::{Hub, access::permission},
    id::IntegrationId,
    live::{Listener, Queue},
    metrics::Stream,
    secret,
    store::{
        Scope,
        deliveries::Delivery,
        integrations::{self, Integration, followed},
    },
};

/// Name of the operation in the table of permissions.
const FOLLOW: &str = "follow_integration";
/// Name of the secret that a follower must present.
pub const STREAM_KEY: &str = "stream_key";
/// Type of integrations that can be followed.
pub const WEBSOCKET: &str = "websocket";

/// The credentials of a follower.
#[derive(Clone)]
pub enum Follower {
    /// Token of a session, or an API key.
    Token(String),
    /// The integration's own key.
    Key(String),
}

/// A follower of an integration.
pub struct Following {
    hub: Hub,
    follower: Follower,
    scope: Scope,
    id: IntegrationId,
    revision: i64,
    payload: Payload,
    origin: String,
    queue: Queue,
}

/// Messages that are sent together.
pub struct MessageBatch {
    deliveries: Vec<Delivery>,
    texts: Vec<String>,
}

impl MessageBatch {
    /// Returns the texts of the messages, in order.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(String::as_str)
    }

    /// Returns the mark that identifies the end of these messages: the id of the last one.
    pub fn mark(&self) -> Vec<u8> {
        let last = self.deliveries.last().map(|delivery| delivery.id);
        last.unwrap_or_default().as_bytes().to_vec()
    }
}

impl Hub {
    /// Begins to follow an integration.
    pub async fn follow_integration(
        &self,
        follower: Follower,
        id: IntegrationId,
    ) -> Result<Following> {
        let (scope, listener, integration) = self.followed(&follower, id).await?;
        let payload = Payload::read(&integration.provisioned.payload).map_err(Error::internal)?;
        let place = self
            .live
            .enter(scope.tenant(), listener, Stream::Integration)?;
        let queue = Queue::begin(&self.store, scope.clone(), id, place).await?;
        Ok(Following {
            hub: self.clone(),
            follower,
            scope,
            id,
            revision: integration.revision,
            payload,
            origin: self.config.public_url.clone().unwrap_or_default(),
            queue,
        })
    }

    /// Returns the number of messages that wait for a follower.
    pub async fn waiting_for_followers(
        &self,
        follower: &Follower,
        id: IntegrationId,
    ) -> Result<u64> {
        let (scope, ..) = self.followed(follower, id).await?;
        followed::count_waiting(&scope, id).await
    }

    /// Returns the integration, if it can be followed and this follower may do so.
    async fn followed(
        &self,
        follower: &Follower,
        id: IntegrationId,
    ) -> Result<(Scope, Listener, Integration)> {
        let (scope, listener, integration) = match follower {
            Follower::Token(token) => {
                let caller = self.authenticate(token).await?;
                permission::check(&caller, FOLLOW)?;
                let integration = integrations::get(&caller.scope, id).await?;
                (caller.scope.clone(), caller.listener(), integration)
            }
            Follower::Key(key) => {
                let (scope, integration) = self.by_stream_key(key, id).await?;
                (scope, Listener::Integration(id), integration)
            }
        };
        if integration.provisioned.kind != WEBSOCKET {
            let kind = &integration.provisioned.kind;
            let rule = format!("an integration of the type {kind} cannot be followed");
            return Err(Error::rejected(Reason::WrongState, rule));
        }
        Ok((scope, listener, integration))
    }

    async fn by_stream_key(&self, key: &str, id: IntegrationId) -> Result<(Scope, Integration)> {
        let tenant = self.store.find_tenant_of_integration(id).await?;
        let scope = self.store.scope(tenant.ok_or(Error::Unauthenticated)?);
        let integration = integrations::find(&scope, id).await?;
        let integration = integration.ok_or(Error::Unauthenticated)?;
        let place = delivery::place(scope.tenant(), id.0);
        let stored = integration.provisioned.stored();
        let credentials = self.vault.open_credentials(&place, stored)?;
        // Hashes are compared, so that the time of the comparison reveals nothing of the key.
        let is_right = credentials
            .get(STREAM_KEY)
            .is_some_and(|own| secret::hash_token(own) == secret::hash_token(key));
        if is_right {
            Ok((scope, integration))
        } else {
            Err(Error::Unauthenticated)
        }
    }
}

impl Following {
    /// Waits for the next messages, at least one; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<MessageBatch>> {
        loop {
            let deliveries = match self.queue.next().await? {
                Ok(deliveries) => deliveries,
                Err(error) => return Some(Err(error)),
            };
            // If the integration has changed or the follower has lost the permission, the stream ends; the
            // follower can reconnect.
            match self.hub.followed(&self.follower, self.id).await {
                Ok((.., integration)) if self.is_still(&integration) => {}
                _ => return None,
            }
            match self.put_in_form(deliveries).await {
                Ok(batch) if batch.deliveries.is_empty() => {}
                batch => return Some(batch),
            }
        }
    }

    fn is_still(&self, integration: &Integration) -> bool {
        integration.revision == self.revision
            && integration.provisioned.enabled
            && integration.health.paused_at.is_none()
    }

    /// Settles messages that the follower has received.
    pub async fn settle(&self, batch: MessageBatch) -> Result<()> {
        let messages = batch.deliveries.len();
        self.queue.settle(batch.deliveries).await?;
        let counts = &self.hub.metrics.deliveries;
        counts.count_followed(delivery::FOLLOWED, messages);
        Ok(())
    }

    async fn put_in_form(&self, deliveries: Vec<Delivery>) -> Result<MessageBatch> {
        let mut batch = MessageBatch {
            deliveries: Vec::with_capacity(deliveries.len()),
            texts: Vec::with_capacity(deliveries.len()),
        };
        for delivery in deliveries {
            let renderer = self.hub.wake.renderer(self.scope.tenant());
            let purpose = Purpose::Delivery;
            let made = self
                .payload
                .message(&renderer, &delivery, &self.origin, purpose);
            match made.await {
                Ok(message) => {
                    batch.texts.push(message.body);
                    batch.deliveries.push(delivery);
                }
                Err(RenderError::Never(reason)) => {
                    followed::bury(&self.scope, self.id, vec![delivery], &reason).await?;
                }
                Err(RenderError::NotNow) => {
                    return Err(Error::internal("no thread is available for a template"));
                }
            }
        }
        Ok(batch)
    }
}
