//! Processes one message of a subscription until it is recorded, or rejected or given up and counted as
//! such. Meanwhile the connection's health shows the reason for waiting.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use rumqttc::Publish;
use tokio::{sync::Mutex, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{path::UplinkPath, receipt::RawMessage, receipt::Receipt};
use crate::{
    error::{Error, Reason, Result},
    id::ConnectionId,
    store::{Scope, networks::subscriptions},
};

/// Maximum number of characters of a topic shown in the connection's health.
const TOPIC_SHOWN_MAX: usize = 200;
/// Delay before the next attempt when the hub cannot process a message.
const AGAIN: Duration = Duration::from_millis(500);
/// Maximum number of attempts after internal errors, which seldom go away. Later messages are
/// acknowledged only after this one, and the broker sends only a limited number ahead.
const FAULTS_MAX: usize = 10;

/// A message received from the broker.
pub struct BrokerMessage {
    /// The message, without its payload if that is too large.
    pub publish: Publish,
    /// True if the payload was too large to be kept.
    pub is_too_large: bool,
}

impl BrokerMessage {
    /// Returns the message for the uplink path, or the reason why it is invalid.
    fn read(&self) -> Result<RawMessage> {
        let Publish { topic, payload, .. } = &self.publish;
        if self.is_too_large {
            let shown: String = topic.chars().take(TOPIC_SHOWN_MAX).collect();
            let rule = format!("the message to {shown} is larger than 1 MiB");
            return Err(Error::rejected(Reason::TooLarge, rule));
        }
        Ok(RawMessage {
            body: payload.to_vec(),
            query: Vec::new(),
            topic: Some(topic.clone()),
        })
    }
}

/// Processor of the messages of one connection.
pub struct MessageProcessor {
    /// The tenant.
    pub scope: Scope,
    /// The connection.
    pub id: ConnectionId,
    uplinks: UplinkPath,
    waiting: Mutex<Waiting>,
}

/// Messages that were received and cannot be processed now.
#[derive(Default)]
struct Waiting {
    count: usize,
    /// Reason why the first of them waits, for display.
    why: Option<String>,
}

impl MessageProcessor {
    /// Creates a processor for the connection `id`.
    pub fn new(scope: Scope, id: ConnectionId, uplinks: UplinkPath) -> Self {
        Self {
            scope,
            id,
            uplinks,
            waiting: Mutex::default(),
        }
    }

    /// Records a message and returns the packet id to acknowledge. Retries without limit only while a
    /// service is unavailable: a message that can never be processed must not block later ones.
    pub async fn take(
        self: Arc<Self>,
        arrived: BrokerMessage,
        stop: CancellationToken,
    ) -> Option<u16> {
        let (mut faults, mut waits) = (0, false);
        let taken = loop {
            let message = match faults < FAULTS_MAX {
                true => arrived.read(),
                false => Err(Error::broken(format!(
                    "given up after {FAULTS_MAX} faults inside the hub; its log has them"
                ))),
            };
            let error = match self.record(message).await {
                Ok(Receipt::Disabled) => {
                    // Not acknowledged, so that the broker keeps it in case the connection is enabled again soon.
                    tokio::select! {
                        () = stop.cancelled() => break None,
                        () = sleep(AGAIN) => continue,
                    }
                }
                Ok(_) => break Some(arrived.publish.pkid),
                Err(error @ (Error::Unavailable { .. } | Error::Internal(_))) => error,
                Err(error) => {
                    tracing::debug!(
                        network_connection.id = self.id.0,
                        "a message was refused: {error}"
                    );
                    break Some(arrived.publish.pkid);
                }
            };
            let causes = error.causes();
            if matches!(error, Error::Internal(_)) {
                faults += 1;
                if faults == FAULTS_MAX {
                    tracing::error!(
                        network_connection.id = self.id.0,
                        "a message is given up: {causes}"
                    );
                }
                if faults > FAULTS_MAX {
                    tracing::error!(
                        network_connection.id = self.id.0,
                        "a message that was given up is not counted: {causes}"
                    );
                    break Some(arrived.publish.pkid);
                }
            }
            tracing::warn!(
                network_connection.id = self.id.0,
                "a message waits: {causes}"
            );
            if !waits {
                waits = true;
                self.begin_wait(&error).await;
            }
            tokio::select! {
                () = stop.cancelled() => break None,
                () = sleep(AGAIN) => {}
            }
        };
        if waits {
            self.end_wait().await;
        }
        taken
    }

    /// Records a message, or counts it as rejected. A panic is handled like any other internal error, so
    /// that the message is still counted and acknowledged.
    async fn record(&self, message: Result<RawMessage>) -> Result<Receipt> {
        let receiving = self.uplinks.receive_fetched(self.id, message);
        match AssertUnwindSafe(receiving).catch_unwind().await {
            Ok(received) => received.map(|taken| taken.receipt),
            Err(_) => Err(Error::internal("a panic; the log has it")),
        }
    }

    /// Adds a waiting message. Only the reason of the first one is shown; later ones seldom differ.
    async fn begin_wait(&self, error: &Error) {
        let mut waiting = self.waiting.lock().await;
        waiting.count += 1;
        if waiting.count == 1 {
            let why = match error {
                Error::Internal(_) => "a fault inside the hub; its log has it".to_owned(),
                error => error.to_string(),
            };
            waiting.why = Some(format!("a message waits: {why}"));
            self.note_waiting(&waiting).await;
        }
    }

    async fn end_wait(&self) {
        let mut waiting = self.waiting.lock().await;
        waiting.count -= 1;
        if waiting.count == 0 {
            waiting.why = None;
            self.note_waiting(&waiting).await;
        }
    }

    async fn note_waiting(&self, waiting: &Waiting) {
        let why = waiting.why.as_deref();
        self.warn_unless(subscriptions::set_waiting(&self.scope, self.id, why).await);
    }

    /// Stores that the broker is connected.
    pub async fn note_connected(&self) {
        let waiting = self.waiting.lock().await;
        self.note(Some(subscriptions::Subscription {
            connected_since: Some(self.scope.now()),
            error: waiting.why.clone(),
        }))
        .await;
    }

    /// Stores the state of the subscription; `None` removes it.
    pub async fn note(&self, subscription: Option<subscriptions::Subscription>) {
        let subscription = subscription.as_ref();
        self.warn_unless(subscriptions::set_subscription(&self.scope, self.id, subscription).await);
    }

    fn warn_unless(&self, noted: Result<()>) {
        if let Err(error) = noted {
            tracing::warn!(
                network_connection.id = self.id.0,
                "its health was not written down: {error}"
            );
        }
    }
}
