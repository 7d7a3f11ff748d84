//! One message of a subscription: recorded, or refused or given up for good and counted as such; and
//! what the connection's health tells of it meanwhile.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use rumqttc::Publish;
use tokio::{sync::Mutex, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{path::UplinkPath, receipt::Receipt, receipt::Unread};
use crate::{
    clock,
    error::{Error, Result},
    id::ConnectionId,
    store::{Scope, networks::subscriptions},
};

/// Characters of a topic that the connection's health shows.
const TOPIC_SHOWN_MAX: usize = 200;
/// The wait before a message is tried again when the hub itself cannot take it now.
const AGAIN: Duration = Duration::from_millis(500);
/// How often a message is tried that meets a fault of the hub's own, which another try seldom mends: those
/// behind it are acknowledged after it, and the broker sends only so many ahead.
const FAULTS_MAX: usize = 10;

/// A message that the broker has sent.
pub struct Arrived {
    /// The message, without its payload where that is too large.
    pub publish: Publish,
    /// Whether it was too large for its payload to be kept.
    pub is_too_large: bool,
}

impl Arrived {
    /// The message for the uplink path; why it cannot be read.
    fn read(&self) -> Result<Unread> {
        let Publish { topic, payload, .. } = &self.publish;
        if self.is_too_large {
            let shown: String = topic.chars().take(TOPIC_SHOWN_MAX).collect();
            let rule = format!("the message to {shown} is larger than 1 MiB");
            return Err(Error::Invalid(rule));
        }
        Ok(Unread {
            body: payload.to_vec(),
            query: Vec::new(),
            topic: Some(topic.clone()),
        })
    }
}

/// Takes the messages of one connection.
pub struct Taker {
    /// The tenant.
    pub scope: Scope,
    /// The connection.
    pub id: ConnectionId,
    uplinks: UplinkPath,
    waiting: Mutex<Waiting>,
}

/// The messages that have come and that the hub itself cannot take now.
#[derive(Default)]
struct Waiting {
    count: usize,
    /// Why the first of them waits, for a person.
    why: Option<String>,
}

impl Taker {
    /// One that has taken nothing yet.
    pub fn new(scope: Scope, id: ConnectionId, uplinks: UplinkPath) -> Self {
        Self {
            scope,
            id,
            uplinks,
            waiting: Mutex::default(),
        }
    }

    /// Records a message; answers what to acknowledge. Only for a service that the hub needs is waited: a
    /// message that can never be taken must not block those behind it.
    pub async fn take(self: Arc<Self>, arrived: Arrived, stop: CancellationToken) -> Option<u16> {
        let (mut faults, mut waits) = (0, false);
        let taken = loop {
            let message = match faults < FAULTS_MAX {
                true => arrived.read(),
                false => Err(Error::Invalid(format!(
                    "given up after {FAULTS_MAX} faults inside the hub; its log has them"
                ))),
            };
            let error = match self.record(message).await {
                Ok(Receipt::Disabled) => {
                    // The broker keeps it for a connection that is switched on again soon.
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
                self.wait_begins(&error).await;
            }
            tokio::select! {
                () = stop.cancelled() => break None,
                () = sleep(AGAIN) => {}
            }
        };
        if waits {
            self.wait_ends().await;
        }
        taken
    }

    /// Records a message, or counts it as one that was refused. A panic is a fault like any other: who
    /// waits for the acknowledgement waits for one of a message that was counted.
    async fn record(&self, message: Result<Unread>) -> Result<Receipt> {
        let receiving = self.uplinks.receive_fetched(self.id, message);
        match AssertUnwindSafe(receiving).catch_unwind().await {
            Ok(received) => received.map(|taken| taken.receipt),
            Err(_) => Err(Error::internal("a panic; the log has it")),
        }
    }

    /// One message more waits. The first one's reason is told, and those behind it seldom have another.
    async fn wait_begins(&self, error: &Error) {
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

    async fn wait_ends(&self) {
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

    /// Notes that the broker is heard.
    pub async fn note_connected(&self) {
        let waiting = self.waiting.lock().await;
        self.note(Some(subscriptions::Subscription {
            connected_since: Some(clock::now()),
            error: waiting.why.clone(),
        }))
        .await;
    }

    /// Notes how the broker is heard; `None`: it is no concern any more.
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
