//! Publishes messages and waits for the broker's acknowledgements.
//!
//! A publisher connects when there is something to publish and disconnects after a while without messages.
//! It stores nothing: messages that are not acknowledged when the connection breaks have failed, and the
//! caller must retry them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base::supervise::lasting;
use bytes::Bytes;
use futures_util::FutureExt;
use rumqttc::{Packet, Publish, QoS};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    packets::{Incoming, PACKET_MAX_BYTES},
    session::{IN_FLIGHT_MAX, Life, Session, SessionEvent},
    settings::{Broker, quality},
};
use crate::outgoing::Guard;

/// Lifetime of an idle connection.
const IDLE: Duration = Duration::from_secs(60);
/// Lifetime of an unused publisher.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// Maximum time for all brokers to acknowledge messages in flight when the hub stops.
const GOOD_BYE: Duration = Duration::from_secs(5);
/// Maximum number of messages that wait for the connection.
const QUEUE_MAX: usize = 256;

/// A message to publish.
#[derive(Debug, Clone)]
pub struct Publication {
    /// Topic, without wildcards.
    pub topic: String,
    /// The payload.
    pub payload: Bytes,
    /// Quality of service: 0, 1 or 2.
    pub qos: u8,
    /// True if the broker should retain the message for later subscribers.
    pub retain: bool,
}

impl Publication {
    /// Returns the reason why the message can never be published. Checked first, because a packet that the
    /// session rejects ends the connection and fails all messages in flight.
    pub fn check(&self) -> Result<(), String> {
        let (qos, payload) = (quality(self.qos), self.payload.clone());
        let mut publish = Publish::from_bytes(self.topic.as_str(), qos, payload);
        // The message will get an id other than 0, which counts in its size.
        publish.pkid = 1;
        let size = publish.size();
        match size <= PACKET_MAX_BYTES {
            true => Ok(()),
            false => Err(format!(
                "the message is too large for MQTT: {size} bytes, and {PACKET_MAX_BYTES} are the most"
            )),
        }
    }

    /// Creates a JSON message that the broker must acknowledge and does not retain.
    pub fn json(topic: String, message: &serde_json::Value) -> Self {
        Self {
            topic,
            payload: message.to_string().into(),
            qos: 1,
            retain: false,
        }
    }
}

/// A handle of the publisher for one broker. Cheap to clone.
#[derive(Clone)]
pub struct Publisher {
    jobs: mpsc::Sender<Job>,
}

struct Job {
    publication: Publication,
    done: Done,
}

type Done = oneshot::Sender<Result<(), String>>;

impl Publisher {
    /// Publishes one message. Returns once the broker has acknowledged it (quality 1 and 2) or it has been
    /// sent (quality 0). The error is for a person.
    pub async fn publish(&self, publication: Publication, within: Duration) -> Result<(), String> {
        publication.check()?;
        let (done, outcome) = oneshot::channel();
        let stopped = || "the hub is shutting down".to_owned();
        let publish = async {
            let job = Job { publication, done };
            self.jobs.send(job).await.map_err(|_| stopped())?;
            outcome.await.map_err(|_| stopped())?
        };
        timeout(within, publish)
            .await
            .map_err(|_| "no acknowledgement in time".to_owned())?
    }
}

/// All publishers of this hub, one for each purpose.
#[derive(Clone)]
pub struct Publishers {
    guard: Guard,
    kept: Arc<Mutex<HashMap<String, Kept>>>,
    running: TaskTracker,
    stop: CancellationToken,
}

struct Kept {
    broker: Broker,
    publisher: Publisher,
    asked_at: Instant,
}

impl Publishers {
    /// Starts without publishers.
    pub fn new(guard: Guard) -> Self {
        Self {
            guard,
            kept: Arc::default(),
            running: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Returns a handle whose new publishers belong to the tenant.
    #[must_use]
    pub fn of(&self, tenant: i64) -> Self {
        Self {
            guard: self.guard.of(tenant),
            ..self.clone()
        }
    }

    /// Returns the publisher for this purpose, such as `integration/7`: the same one as long as the broker
    /// is the same.
    pub fn get(&self, purpose: &str, broker: &Broker) -> Publisher {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        kept.retain(|_, kept| now - kept.asked_at < FORGOTTEN);
        if let Some(kept) = kept.get_mut(purpose)
            && kept.broker == *broker
        {
            kept.asked_at = now;
            return kept.publisher.clone();
        }
        let (jobs, waiting) = mpsc::channel(QUEUE_MAX);
        let publisher = Publisher { jobs };
        let worker = Worker {
            broker: named(broker),
            guard: self.guard.clone(),
            waiting,
            stop: self.stop.clone(),
        };
        let publishing = lasting("MQTT publisher", worker, |worker| worker.run().boxed());
        self.running.spawn(publishing);
        let entry = Kept {
            broker: broker.clone(),
            publisher: publisher.clone(),
            asked_at: now,
        };
        kept.insert(purpose.to_owned(), entry);
        publisher
    }

    /// Disconnects from all brokers.
    pub async fn close(&self) {
        self.stop.cancel();
        self.running.close();
        // A broker that acknowledges nothing must not delay the shutdown.
        let _ = timeout(GOOD_BYE, self.running.wait()).await;
    }
}

/// Sets a client id of this process if none is configured: two hubs with the same client id would disconnect
/// each other.
fn named(broker: &Broker) -> Broker {
    if !broker.client_id().is_empty() {
        return broker.clone();
    }
    broker.as_client(&format!(
        "thingshub{}",
        hex::encode(rand::random::<[u8; 7]>())
    ))
}

struct Worker {
    broker: Broker,
    guard: Guard,
    waiting: mpsc::Receiver<Job>,
    stop: CancellationToken,
}

impl Worker {
    /// Runs until all handles are dropped, or the hub stops.
    async fn run(&mut self) {
        loop {
            let first = tokio::select! {
                () = self.stop.cancelled() => return,
                first = self.waiting.recv() => match first {
                    Some(first) => first,
                    None => return,
                },
            };
            match Session::open(&self.broker, &self.guard, Life::Connection).await {
                Ok(session) => self.work(session, first).await,
                Err(error) => {
                    // All messages that wait for the connection fail with it; the next one tries to connect
                    // again.
                    fail(first.done, &error);
                    while let Ok(job) = self.waiting.try_recv() {
                        fail(job.done, &error);
                    }
                }
            }
        }
    }

    /// Publishes over one connection until it breaks or there is nothing more to publish.
    async fn work(&mut self, mut session: Session, first: Job) {
        let mut in_flight = HashMap::new();
        let mut next = Some(first);
        let mut idle_at = Instant::now() + IDLE;
        let mut may_come = true;
        let broke = loop {
            if let Some(job) = next.take() {
                idle_at = Instant::now() + IDLE;
                if let Err(error) = start(&mut session, &mut in_flight, job).await {
                    break Some(error);
                }
                continue;
            }
            let has_room = in_flight.len() < usize::from(IN_FLIGHT_MAX);
            if !has_room && in_flight.values().all(Done::is_closed) {
                break Some("the broker acknowledges nothing".to_owned());
            }
            tokio::select! {
                () = self.stop.cancelled(), if in_flight.is_empty() => break None,
                () = std::future::ready(()), if in_flight.is_empty() && !may_come => break None,
                () = sleep_until(idle_at), if in_flight.is_empty() => break None,
                happening = session.wait() => {
                    if let Err(error) = go_on(&mut session, &mut in_flight, happening).await {
                        break Some(error);
                    }
                }
                job = self.waiting.recv(), if has_room && may_come => match job {
                    Some(job) => next = Some(job),
                    None => may_come = false,
                },
            }
        };
        match broke {
            Some(error) => {
                for done in in_flight.into_values() {
                    fail(done, &error);
                }
            }
            None => session.close().await,
        }
    }
}

async fn start(
    session: &mut Session,
    in_flight: &mut HashMap<u16, Done>,
    job: Job,
) -> Result<(), String> {
    let Publication {
        topic,
        payload,
        qos,
        retain,
    } = job.publication;
    let qos = quality(qos);
    let mut publish = Publish::from_bytes(topic, qos, payload);
    publish.retain = retain;
    if qos == QoS::AtMostOnce {
        let sent = session.publish(publish, 0).await;
        let _ = job.done.send(sent.clone());
        return sent;
    }
    let free = (1..=IN_FLIGHT_MAX).find(|id| !in_flight.contains_key(id));
    let Some(id) = free else {
        fail(job.done, "too many messages are on their way");
        return Ok(());
    };
    in_flight.insert(id, job.done);
    session.publish(publish, id).await
}

async fn go_on(
    session: &mut Session,
    in_flight: &mut HashMap<u16, Done>,
    happening: Result<SessionEvent, String>,
) -> Result<(), String> {
    let acknowledged = match session.handle(happening?).await? {
        Some(Incoming::Packet(Packet::PubAck(packet))) => packet.pkid,
        Some(Incoming::Packet(Packet::PubComp(packet))) => packet.pkid,
        _ => return Ok(()),
    };
    if let Some(done) = in_flight.remove(&acknowledged) {
        // The caller may be gone.
        let _ = done.send(Ok(()));
    }
    Ok(())
}

fn fail(done: Done, error: &str) {
    let _ = done.send(Err(error.to_owned()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_session_takes_is_known_before() {
        let with = |bytes: usize| Publication {
            topic: "a/b".to_owned(),
            payload: vec![b'x'; bytes].into(),
            qos: 1,
            retain: false,
        };
        // The fixed header, the topic with its length, and the packet's number.
        let most = PACKET_MAX_BYTES - 4 - 2 - 3 - 2;
        assert!(with(most).check().is_ok());
        let error = with(most + 1).check().unwrap_err();
        assert!(error.contains("too large"), "{error}");
    }
}
