//! One subscription: from the broker's message to what is on disk, and back to the broker.
//!
//! Invariant: a message of quality 1 is acknowledged when it has been recorded, or refused or given up for
//! good and counted as such; acknowledgements go in the order in which the messages came. What is not
//! acknowledged the broker keeps, and sends again.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesOrdered};
use rumqttc::{Packet, Publish, QoS, SubAck, SubscribeReasonCode};
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::taking::{Arrived, Taker};
use crate::{
    error::{Error, Result},
    id::TenantId,
    mqtt::{Backoff, Broker, Incoming, Life, Session},
    networks::{self, NetworkSettings},
    outgoing::Guard,
    secret::Vault,
    store::networks::{self as connections, Connection, subscriptions},
};

/// Messages that are worked on at a time; the group commit makes few transactions of them.
const AT_A_TIME_MAX: usize = 64;
/// How long a connection must have held to count as a good one.
const GOOD: Duration = Duration::from_secs(10);

/// How long a connection must be switched off for its broker to forget it.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);

/// Why a subscription ends.
pub enum Ending {
    /// The hub stops, or another one goes on: the broker keeps what comes meanwhile.
    Stopped,
    /// The connection was switched off or deleted: the broker is to forget it, unless it is switched on
    /// again soon.
    Gone(oneshot::Receiver<Waking>),
    /// A client has changed the connection; whoever goes on is told what was subscribed to.
    Changed(oneshot::Sender<Heard>),
}

/// Why a subscription that was switched off is not forgotten.
pub enum Waking {
    /// It is on again; whoever goes on is told what was subscribed to, or learns that it is forgotten.
    On(oneshot::Sender<Heard>),
    /// It may be another hub's by now.
    Left,
}

/// What a subscription was subscribed to.
#[derive(Clone)]
pub struct Heard {
    pub broker: Broker,
    pub filters: Vec<String>,
}

impl Heard {
    /// What a connection asks its broker for; `None`: it has no broker.
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
                .map_err(|broken| Error::Invalid(broken.to_string()))?,
            filters: subscription.filters,
        }))
    }

    /// Which topic the broker refuses, for a person; `None`: none.
    pub fn refusal(&self, answer: &SubAck) -> Option<String> {
        let refused = |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Failure);
        let index = answer.return_codes.iter().position(refused)?;
        let filter = self.filters.get(index).map_or("", String::as_str);
        Some(format!("the broker refuses the topic {filter}"))
    }
}

/// What the subscription before this one was subscribed to, once it has ended.
pub type Former = oneshot::Receiver<Heard>;

/// One subscription.
pub struct Subscription {
    pub taker: Arc<Taker>,
    pub vault: Vault,
    pub guard: Guard,
}

/// How the work over one connection to the broker ended.
enum Broke {
    /// The hub has been told to end it.
    Told,
    /// It broke by itself; in words.
    Error(String),
}

impl Subscription {
    /// Runs until told to end.
    pub async fn run(self: Arc<Self>, end: oneshot::Receiver<Ending>, former: Option<Former>) {
        let stop = CancellationToken::new();
        let (heard, ending) = tokio::join!(self.listen(&stop, former), async {
            // Whoever forgets a subscription stops it.
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

    /// Lets the broker keep what comes until it is clear that nobody goes on. Who is to go on waits for the
    /// end of this: a session is not forgotten under somebody who uses it.
    async fn rest(&self, mut waking: oneshot::Receiver<Waking>, heard: Option<Heard>) {
        self.taker.note(None).await;
        let Some(heard) = heard else { return };
        let may_go_on = match self.what().await {
            Ok(what) => is_same_session(&what.broker, &heard.broker),
            Err(Error::Unavailable { .. }) => true,
            // It was deleted, or has no broker any more.
            Err(_) => false,
        };
        if may_go_on {
            match timeout(FORGOTTEN_AFTER, &mut waking).await {
                Ok(Ok(Waking::On(tell))) => {
                    let _ = tell.send(heard);
                    return;
                }
                Ok(Ok(Waking::Left)) => return,
                // The hub stops, or nobody has come.
                Ok(Err(_)) | Err(_) => {}
            }
        }
        self.forget(&heard.broker).await;
    }

    async fn listen(
        self: &Arc<Self>,
        stop: &CancellationToken,
        former: Option<Former>,
    ) -> Option<Heard> {
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
                        Broke::Told => break,
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
        // Ended before it began, it has what the one before it had.
        heard.or(former)
    }

    /// Reads the connection's settings and opens its credentials.
    async fn what(&self) -> Result<Heard> {
        let scope = &self.taker.scope;
        let connection = connections::get(scope, self.taker.id).await?;
        Heard::of(scope.tenant(), &connection, &self.vault)?
            .ok_or_else(|| Error::internal("the connection has no broker"))
    }

    async fn connect_and_work(
        self: &Arc<Self>,
        what: &Heard,
        former: &mut Option<Heard>,
        stop: &CancellationToken,
    ) -> Broke {
        let opened = tokio::select! {
            () = stop.cancelled() => return Broke::Told,
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
                Broke::Told
            }
            Err(error) => Broke::Error(error),
        }
    }

    /// Subscribes also where the broker has kept the session: it may have lost the newest part of it in a
    /// restart. Answers what the session was subscribed to before, of which the broker sends once more
    /// what it retains.
    async fn subscribe(
        &self,
        session: &mut Session,
        what: &Heard,
        former: Option<&Heard>,
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

    /// Takes messages until told to stop, which is not before all that came have been recorded.
    async fn work(
        self: &Arc<Self>,
        session: &mut Session,
        what: &Heard,
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
                        Ok(Some(Incoming::Packet(Packet::Publish(publish)))) => Arrived {
                            publish,
                            is_too_large: false,
                        },
                        Ok(Some(Incoming::TooLarge(publish))) => Arrived {
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
                        // A task of its own: while this one waits for the broker, a message that is
                        // half-way must not hold what others need of the database.
                        let (one, stop) = (self.taker.clone(), stop.clone());
                        taking.push_back(tokio::spawn(one.take(arrived, stop)));
                    } else if let Err(error) = acknowledge(session, Some(publish.pkid)).await {
                        break Some(error);
                    }
                }
            }
        };
        // What has been read is recorded in any case; the broker's next copy of it is a duplicate.
        while let Some(taken) = taking.next().await {
            if broke.is_none() {
                acknowledge(session, taken.ok().flatten()).await?;
            }
        }
        broke.map_or(Ok(()), Err)
    }

    /// Lets the broker drop what it keeps for the client.
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

/// `None`: it was not recorded, and the broker is to send it again.
async fn acknowledge(session: &mut Session, packet_id: Option<u16>) -> Result<(), String> {
    match packet_id {
        // Without an id it is of quality 0: nobody waits.
        None | Some(0) => Ok(()),
        Some(packet_id) => session.acknowledge(packet_id).await,
    }
}

/// Whether one of the filters asks for it: the broker may know subscriptions of before.
fn is_one_of(publish: &Publish, filters: &[String]) -> bool {
    let asks =
        |filter: &String| filter.starts_with('$') || rumqttc::matches(&publish.topic, filter);
    filters.iter().any(asks)
}

/// Whether the broker sends it only because it was asked again for what the session was subscribed to:
/// as something new it has come before. What was sent and not acknowledged comes as a duplicate, and
/// may be new.
fn is_repeated(publish: &Publish, known: &[String]) -> bool {
    publish.retain && !publish.dup && is_one_of(publish, known)
}

/// Whether the broker takes the two for one client.
fn is_same_session(one: &Broker, other: &Broker) -> bool {
    one.address() == other.address() && one.client_id() == other.client_id()
}

/// A name that no other connection has, also of another hub at the same broker: 23 letters and digits,
/// which every broker takes.
fn client_id(connection: &Connection) -> String {
    let made = format!(
        "{}/{}",
        connection.id,
        connection.created_at.timestamp_micros()
    );
    let hash = crate::secret::hash_token(&made);
    format!("thingshub{}", hex::encode(&hash[..7]))
}
