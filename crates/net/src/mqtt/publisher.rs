//! Publishes, and waits for the broker's acknowledgement.
//!
//! A publisher connects when there is something to publish and hangs up after a while of silence. It
//! keeps nothing: what the broker has not acknowledged when the connection breaks has failed, and
//! whoever asked for it tries again.

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
    session::{Happening, IN_FLIGHT_MAX, Life, Session},
    settings::{Broker, quality},
};
use crate::outgoing::Guard;

/// Life of a connection without anything to publish.
const IDLE: Duration = Duration::from_secs(60);
/// Life of a publisher that nobody asks for.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// Longest time for all brokers to acknowledge what is on its way when the hub stops.
const GOOD_BYE: Duration = Duration::from_secs(5);
/// Publications that wait for the connection.
const QUEUE_MAX: usize = 256;

/// A message to publish.
#[derive(Debug, Clone)]
pub struct Publication {
    /// To where, without wildcards.
    pub topic: String,
    /// The payload.
    pub payload: Bytes,
    /// 0, 1 or 2.
    pub qos: u8,
    /// True if the broker is to keep it for later subscribers.
    pub retain: bool,
}

impl Publication {
    /// Why it can never be published. A packet that the session refuses ends it, and all that is on its
    /// way over it.
    pub fn check(&self) -> Result<(), String> {
        let (qos, payload) = (quality(self.qos), self.payload.clone());
        let mut publish = Publish::from_bytes(self.topic.as_str(), qos, payload);
        // It gets one that is not 0, and that has a size.
        publish.pkid = 1;
        let size = publish.size();
        match size <= PACKET_MAX_BYTES {
            true => Ok(()),
            false => Err(format!(
                "the message is too large for MQTT: {size} bytes, and {PACKET_MAX_BYTES} are the most"
            )),
        }
    }

    /// A message of JSON that the broker is to acknowledge, and not to keep.
    pub fn json(topic: String, message: &serde_json::Value) -> Self {
        Self {
            topic,
            payload: message.to_string().into(),
            qos: 1,
            retain: false,
        }
    }
}

/// A way to publish to one broker. Cheap to clone.
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
    /// Publishes one message. The broker has acknowledged it when this answers, for quality 1 and 2;
    /// for 0 it has been sent. The error is for a person.
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
    /// None yet.
    pub fn new(guard: Guard) -> Self {
        Self {
            guard,
            kept: Arc::default(),
            running: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    /// The same publishers, of which those that begin from here on are the tenant's.
    #[must_use]
    pub fn of(&self, tenant: i64) -> Self {
        Self {
            guard: self.guard.of(tenant),
            ..self.clone()
        }
    }

    /// The publisher for this purpose, such as `integration/7`: the same one as long as the broker
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

    /// Says good-bye to all brokers.
    pub async fn close(&self) {
        self.stop.cancel();
        self.running.close();
        // A broker that acknowledges nothing does not keep the hub from its end.
        let _ = timeout(GOOD_BYE, self.running.wait()).await;
    }
}

/// The broker under a name of this process's own where nobody has chosen one: two hubs under one name
/// would push each other out.
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
    /// Runs until nobody can publish any more, or the hub stops.
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
                    // All that wait for the same connection fail with it; the next one tries again.
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
    happening: Result<Happening, String>,
) -> Result<(), String> {
    let acknowledged = match session.handle(happening?).await? {
        Some(Incoming::Packet(Packet::PubAck(packet))) => packet.pkid,
        Some(Incoming::Packet(Packet::PubComp(packet))) => packet.pkid,
        _ => return Ok(()),
    };
    if let Some(done) = in_flight.remove(&acknowledged) {
        // The caller may have given up.
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
