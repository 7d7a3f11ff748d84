//! One subscription: reads messages from a broker, records them and acknowledges them.
//!
//! Invariant: a message with QoS 1 is acknowledged after it was recorded, or was rejected or given up
//! and counted as such. Acknowledgements are sent in the order of the messages. The broker keeps
//! unacknowledged messages and sends them again.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesOrdered};
use rumqttc::{Packet, Publish, QoS, SubAck, SubscribeReasonCode};
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::taking::{BrokerMessage, MessageProcessor};
use crate::{
    error::{Error, Result},
    id::TenantId,
    mqtt::{Backoff, Broker, Incoming, Life, Session},
    networks::{self, NetworkSettings},
    outgoing::Guard,
    secret::Vault,
    store::networks::{self as connections, Connection, subscriptions},
};

/// Maximum number of messages processed concurrently; the group commit combines them into few
/// transactions.
const AT_A_TIME_MAX: usize = 64;
/// Minimum duration of a connection after which the backoff is reset.
const GOOD: Duration = Duration::from_secs(10);

/// Time after which the broker session of a disabled connection is deleted.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);

/// Reason why a subscription ends.
pub enum Ending {
    /// The hub stops, or another one takes over. The broker keeps new messages meanwhile.
    Stopped,
    /// The connection was disabled or deleted. The broker session is deleted unless the connection is
    /// enabled again soon.
    Gone(oneshot::Receiver<Waking>),
    /// A client changed the connection. The sender passes the former topics to the next subscription.
    Changed(oneshot::Sender<Topics>),
}

/// Reason why the broker session of a disabled connection is kept.
pub enum Waking {
    /// The connection is enabled again. The sender passes the former topics to the next subscription, or is
    /// dropped if the session was deleted.
    On(oneshot::Sender<Topics>),
    /// Another hub may have taken the connection over.
    Left,
}

/// Broker and topics of a subscription.
#[derive(Clone)]
pub struct Topics {
    pub broker: Broker,
    pub filters: Vec<String>,
}

impl Topics {
    /// Returns the broker and the topics of a connection; `None` if it has no broker.
    pub fn of(tenant: TenantId, connection: &Connection, vault: &Vault) -> Result<Option<Self>> {
        let provisioned = &connection.provisioned;
        let settings: NetworkSettings =
            serde_json::from_value(provisioned.settings.clone()).map_err(Error::internal)?;
        let Some(subscription) = settings.subscription() else {
            return Ok(None);
        };
        let place = networks::place(tenant, connection.id.0);
        let credentials = vault.open_credentials(&place, provisioned.stored())?;
        Ok(Some(Self {
            broker: subscription
                .broker(&credentials, &client_id(connection))
                .map_err(Error::broken)?,
            filters: subscription.filters,
        }))
    }

    /// Returns a message about the first topic that the broker refused; `None` if it refused none.
    pub fn refusal(&self, answer: &SubAck) -> Option<String> {
        let refused = |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Failure);
        let index = answer.return_codes.iter().position(refused)?;
        let filter = self.filters.get(index).map_or("", String::as_str);
        Some(format!("the broker refuses the topic {filter}"))
    }
}

/// Receives the topics of the previous subscription after it has ended.
pub type Former = oneshot::Receiver<Topics>;

/// One subscription.
pub struct Subscription {
    pub taker: Arc<MessageProcessor>,
    pub vault: Vault,
    pub guard: Guard,
}

/// Reason why work over one connection to the broker ended.
enum Broke {
    /// The hub stopped it.
    Stopped,
    /// It failed, for the given reason.
    Error(String),
}

impl Subscription {
    /// Runs until `end` receives a reason.
    pub async fn run(self: Arc<Self>, end: oneshot::Receiver<Ending>, former: Option<Former>) {
        let stop = CancellationToken::new();
        let (heard, ending) = tokio::join!(self.listen(&stop, former), async {
            // A dropped sender counts as a stop.
            let ending = end.await.unwrap_or(Ending::Stopped);
            stop.cancel();
            ending
        });
        match (ending, heard) {
            (Ending::Gone(waking), heard) => self.rest(waking, heard).await,
            (Ending::Changed(tell), Some(heard)) => {
                let _ = tell.send(heard);
            }
            (Ending::Stopped, _) | (Ending::Changed(_), None) => {}
        }
    }

    /// Keeps the broker session until it is clear that the connection stays disabled, then deletes it. The
    /// next subscription waits for the end of this method, so that no session is deleted while in use.
    async fn rest(&self, mut waking: oneshot::Receiver<Waking>, heard: Option<Topics>) {
        self.taker.note(None).await;
        let Some(heard) = heard else { return };
        let may_go_on = match self.what().await {
            Ok(what) => is_same_session(&what.broker, &heard.broker),
            Err(Error::Unavailable { .. }) => true,
            // The connection was deleted, or has no broker any more.
            Err(_) => false,
        };
        if may_go_on {
            match timeout(FORGOTTEN_AFTER, &mut waking).await {
                Ok(Ok(Waking::On(tell))) => {
                    let _ = tell.send(heard);
                    return;
                }
                Ok(Ok(Waking::Left)) => return,
                // The hub stops, or the connection stayed disabled.
                Ok(Err(_)) | Err(_) => {}
            }
        }
        self.forget(&heard.broker).await;
    }

    async fn listen(
        self: &Arc<Self>,
        stop: &CancellationToken,
        former: Option<Former>,
    ) -> Option<Topics> {
        let mut former = match former {
            Some(former) => former.await.ok(),
            None => None,
        };
        let mut backoff = Backoff::default();
        let mut heard = None;
        while !stop.is_cancelled() {
            let began = Instant::now();
            let error = match self.what().await {
                Ok(what) => {
                    let what = heard.insert(what).clone();
                    match self.connect_and_work(&what, &mut former, stop).await {
                        Broke::Stopped => break,
                        Broke::Error(error) => error,
                    }
                }
                Err(error) => error.causes(),
            };
            tracing::info!(
                network_connection.id = self.taker.id.0,
                "not subscribed: {error}"
            );
            self.taker
                .note(Some(subscriptions::Subscription {
                    connected_since: None,
                    error: Some(error),
                }))
                .await;
            if began.elapsed() > GOOD {
                backoff.reset();
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(backoff.wait()) => {}
            }
        }
        // If this subscription ended before it connected, the previous topics still apply.
        heard.or(former)
    }

    /// Reads the connection's settings and decrypts its credentials.
    async fn what(&self) -> Result<Topics> {
        let scope = &self.taker.scope;
        let connection = connections::get(scope, self.taker.id).await?;
        Topics::of(scope.tenant(), &connection, &self.vault)?
            .ok_or_else(|| Error::internal("the connection has no broker"))
    }

    async fn connect_and_work(
        self: &Arc<Self>,
        what: &Topics,
        former: &mut Option<Topics>,
        stop: &CancellationToken,
    ) -> Broke {
        let opened = tokio::select! {
            () = stop.cancelled() => return Broke::Stopped,
            opened = Session::open(&what.broker, &self.guard, Life::Lasting) => opened,
        };
        let mut session = match opened {
            Ok(session) => session,
            Err(error) => return Broke::Error(error),
        };
        let worked = match self.subscribe(&mut session, what, former.as_ref()).await {
            Ok(known) => {
                if let Some(former) = former.take()
                    && !is_same_session(&former.broker, &what.broker)
                {
                    self.forget(&former.broker).await;
                }
                self.work(&mut session, what, &known, stop).await
            }
            Err(error) => Err(error),
        };
        match worked {
            Ok(()) => {
                session.close().await;
                Broke::Stopped
            }
            Err(error) => Broke::Error(error),
        }
    }

    /// Subscribes even if the broker has kept the session, because a restart may have lost its newest part.
    /// Returns the topics to which the session was subscribed before; the broker sends their retained
    /// messages again.
    async fn subscribe(
        &self,
        session: &mut Session,
        what: &Topics,
        former: Option<&Topics>,
    ) -> Result<Vec<String>, String> {
        session.subscribe(&what.filters, QoS::AtLeastOnce).await?;
        let former = former.filter(|former| is_same_session(&former.broker, &what.broker));
        if let Some(former) = former {
            let is_over = |filter: &&String| !what.filters.contains(*filter);
            let over: Vec<String> = former.filters.iter().filter(is_over).cloned().collect();
            session.unsubscribe(&over).await?;
        }
        if !session.is_resumed {
            return Ok(Vec::new());
        }
        Ok(former.unwrap_or(what).filters.clone())
    }

    /// Processes messages until `stop` is cancelled and all received messages are recorded.
    async fn work(
        self: &Arc<Self>,
        session: &mut Session,
        what: &Topics,
        known: &[String],
        stop: &CancellationToken,
    ) -> Result<(), String> {
        let mut taking: FuturesOrdered<JoinHandle<Option<u16>>> = FuturesOrdered::new();
        let broke = loop {
            tokio::select! {
                () = stop.cancelled() => break None,
                Some(taken) = taking.next(), if !taking.is_empty() => {
                    if let Err(error) = acknowledge(session, taken.ok().flatten()).await {
                        break Some(error);
                    }
                }
                happening = session.wait(), if taking.len() < AT_A_TIME_MAX => {
                    let incoming = match happening {
                        Ok(happening) => session.handle(happening).await,
                        Err(error) => Err(error),
                    };
                    let arrived = match incoming {
                        Ok(Some(Incoming::Packet(Packet::Publish(publish)))) => BrokerMessage {
                            publish,
                            is_too_large: false,
                        },
                        Ok(Some(Incoming::TooLarge(publish))) => BrokerMessage {
                            publish,
                            is_too_large: true,
                        },
                        Ok(Some(Incoming::Packet(Packet::SubAck(answer)))) => {
                            if let Some(refusal) = what.refusal(&answer) {
                                break Some(refusal);
                            }
                            self.taker.note_connected().await;
                            continue;
                        }
                        Ok(_) => continue,
                        Err(error) => break Some(error),
                    };
                    let publish = &arrived.publish;
                    if is_one_of(publish, &what.filters) && !is_repeated(publish, known) {
                        // Spawned as a task because a message in progress may hold database resources that others
                        // need, and must not stall while this loop waits for the broker.
                        let (one, stop) = (self.taker.clone(), stop.clone());
                        taking.push_back(tokio::spawn(one.take(arrived, stop)));
                    } else if let Err(error) = acknowledge(session, Some(publish.pkid)).await {
                        break Some(error);
                    }
                }
            }
        };
        // Received messages are recorded in any case; a copy that the broker sends later is a duplicate.
        while let Some(taken) = taking.next().await {
            if broke.is_none() {
                acknowledge(session, taken.ok().flatten()).await?;
            }
        }
        broke.map_or(Ok(()), Err)
    }

    /// Deletes the session at the broker.
    async fn forget(&self, broker: &Broker) {
        match Session::open(broker, &self.guard, Life::Connection).await {
            Ok(session) => session.close().await,
            Err(error) => tracing::info!(
                network_connection.id = self.taker.id.0,
                "the broker keeps its session: {error}"
            ),
        }
    }
}

/// Acknowledges a message; does nothing for `None`, which was not recorded, so that the broker sends it
/// again.
async fn acknowledge(session: &mut Session, packet_id: Option<u16>) -> Result<(), String> {
    match packet_id {
        // Messages without a packet id have QoS 0 and need no acknowledgement.
        None | Some(0) => Ok(()),
        Some(packet_id) => session.acknowledge(packet_id).await,
    }
}

/// True if one of the filters matches. The broker may still have older subscriptions.
fn is_one_of(publish: &Publish, filters: &[String]) -> bool {
    let asks =
        |filter: &String| filter.starts_with('$') || rumqttc::matches(&publish.topic, filter);
    filters.iter().any(asks)
}

/// True if this is a retained message that the broker sends only because the session subscribed again
/// to a known topic; it was received before. An unacknowledged message comes with the duplicate flag
/// and may be new.
fn is_repeated(publish: &Publish, known: &[String]) -> bool {
    publish.retain && !publish.dup && is_one_of(publish, known)
}

/// True if the broker regards both as the same client.
fn is_same_session(one: &Broker, other: &Broker) -> bool {
    one.address() == other.address() && one.client_id() == other.client_id()
}

/// Returns a client id that is unique among all connections, including those of other hubs at the same
/// broker: 23 letters and digits, which every broker accepts.
fn client_id(connection: &Connection) -> String {
    let made = format!(
        "{}/{}",
        connection.id,
        connection.created_at.timestamp_micros()
    );
    let hash = crate::secret::hash_token(&made);
    format!("thingshub{}", hex::encode(&hash[..7]))
}
