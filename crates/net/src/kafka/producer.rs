//! Writes records to the topics of one cluster: looks up the leader of the partition, and passes each record
//! to the lane of that broker.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use kafka_protocol::{
    messages::{MetadataRequest, TopicName, metadata_request::MetadataRequestTopic},
    protocol::StrBytes,
};
use moka::sync::Cache;
use tokio::time::{Instant, sleep};

use super::{
    answers::{self, Metadata, version},
    connection::{Connection, unreadable},
    failure::{Failure, Remedy},
    handshake,
    lane::{Entry, Lane},
    leaders::Leaders,
    settings::{Address, Cluster},
};
use crate::outgoing::Guard;

/// Time for which the leaders of a topic's partitions are cached.
const LEADERS_KEPT: Duration = Duration::from_secs(300);
/// Maximum size of the cache of topics, in bytes: enough for several hundred topics, or for a few with
/// thousands of partitions.
const KNOWN_MAX_BYTES: u64 = 256 * 1024;
/// Size in bytes from which on a response is parsed outside the runtime's threads.
const READ_HERE_MAX_BYTES: usize = 16 * 1024;
/// Maximum number of brokers with an open lane.
const LANES_MAX: usize = 100;
/// Lifetime of the idle connection for metadata.
const ASKING_IDLE: Duration = Duration::from_secs(60);
/// Maximum number of lookups of a topic without a leader, such as one that was just created.
const LEADER_ASKED: usize = 3;
const LEADER_WAIT: Duration = Duration::from_millis(250);

/// A record to write.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Topic to write to.
    pub topic: String,
    /// Key, which determines the partition: records with the same key keep their order.
    pub key: Bytes,
    /// The value of the record.
    pub value: Bytes,
    /// Headers of the record.
    pub headers: Vec<(&'static str, Bytes)>,
    /// Timestamp of the record, in milliseconds since 1970.
    pub timestamp: i64,
}

/// A producer for one cluster. Its connections end with it.
pub struct Producer {
    cluster: Arc<Cluster>,
    /// The leaders of each topic's partitions.
    leaders: Cache<String, Arc<Leaders>>,
    lanes: Mutex<HashMap<Address, Lane>>,
    /// The idle connection for metadata, and the time of its last use.
    asking: tokio::sync::Mutex<Option<(Connection, Instant)>>,
}

impl Producer {
    /// Creates a producer, which connects when there is something to write.
    pub fn new(cluster: Cluster) -> Self {
        Self {
            cluster: Arc::new(cluster),
            leaders: Cache::builder()
                .max_capacity(KNOWN_MAX_BYTES)
                .weigher(|topic: &String, leaders: &Arc<Leaders>| {
                    u32::try_from(topic.len() + leaders.size()).unwrap_or(u32::MAX)
                })
                .time_to_live(LEADERS_KEPT)
                .build(),
            lanes: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// Writes a record. Returns once all in-sync replicas have acknowledged it.
    pub async fn write(&self, guard: &Guard, outgoing: Outgoing) -> Result<(), Failure> {
        let topic: Arc<str> = outgoing.topic.as_str().into();
        let mut is_again = false;
        loop {
            let leaders = self.leaders(guard, &topic).await?;
            let partition = partition(&outgoing.key, leaders.partitions());
            let leader = leaders.of_partition(partition);
            let written = match leader {
                None => Err(Failure::ask_again(format!(
                    "partition {partition} of the topic {topic} has no leader"
                ))),
                Some(leader) => {
                    let entry = Entry {
                        topic: topic.clone(),
                        partition: i32::try_from(partition).unwrap_or(i32::MAX),
                        key: outgoing.key.clone(),
                        value: outgoing.value.clone(),
                        headers: outgoing.headers.clone(),
                        timestamp: outgoing.timestamp,
                    };
                    self.lane(guard, leader).write(entry).await
                }
            };
            match written {
                Err(failure) if failure.remedy == Remedy::AskAgain => {
                    self.leaders.invalidate(&*topic);
                    if is_again {
                        return Err(failure);
                    }
                    is_again = true;
                }
                written => return written,
            }
        }
    }

    fn lane(&self, guard: &Guard, address: &Address) -> Lane {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = lanes.get(address) {
            return lane.clone();
        }
        // So many addresses mean that the cluster was moved or its metadata is wrong: drop all lanes and
        // start again.
        if lanes.len() >= LANES_MAX {
            lanes.clear();
        }
        let lane = Lane::start(self.cluster.clone(), guard.clone(), address.clone());
        lanes.insert(address.clone(), lane.clone());
        lane
    }

    /// The leaders of a topic's partitions.
    async fn leaders(&self, guard: &Guard, topic: &str) -> Result<Arc<Leaders>, Failure> {
        let mut asked = 0;
        loop {
            if let Some(leaders) = self.leaders.get(topic) {
                return Ok(leaders);
            }
            let metadata = self.metadata(guard, topic).await?;
            let failure = match metadata.error {
                Some(error) => Failure::of_topic(topic, error),
                None if metadata.leaders.partitions() == 0 => {
                    Failure::wait(format!("the topic {topic} has no partitions"))
                }
                None => {
                    let leaders = Arc::new(metadata.leaders);
                    self.leaders.insert(topic.to_owned(), leaders.clone());
                    return Ok(leaders);
                }
            };
            asked += 1;
            if failure.remedy != Remedy::AskAgain || asked == LEADER_ASKED {
                return Err(failure);
            }
            sleep(LEADER_WAIT).await;
        }
    }

    /// Asks one broker after the other, over the idle connection or a new one.
    async fn metadata(&self, guard: &Guard, topic: &str) -> Result<Metadata, Failure> {
        let mut asking = self.asking.lock().await;
        if let Some((mut connection, used_at)) = asking.take()
            && used_at.elapsed() < ASKING_IDLE
            && !connection.has_ended()
            && let Ok(metadata) = self.ask(&mut connection, topic).await
        {
            *asking = Some((connection, Instant::now()));
            return Ok(metadata);
        }
        let mut failures = Vec::new();
        for address in &self.cluster.bootstrap {
            let asked = async {
                let mut connection = handshake::open(&self.cluster, guard, address).await?;
                let metadata = self.ask(&mut connection, topic).await?;
                Ok::<_, Failure>((connection, metadata))
            };
            match asked.await {
                Ok((connection, metadata)) => {
                    *asking = Some((connection, Instant::now()));
                    return Ok(metadata);
                }
                Err(failure) => failures.push(failure.words),
            }
        }
        Err(Failure::wait(failures.join("; ")))
    }

    async fn ask(&self, connection: &mut Connection, topic: &str) -> Result<Metadata, Failure> {
        let name = TopicName(StrBytes::from_string(topic.to_owned()));
        let topics = vec![MetadataRequestTopic::default().with_name(Some(name))];
        // The broker decides whether the lookup creates the topic, as with Kafka's own producer.
        let request = MetadataRequest::default()
            .with_topics(Some(topics))
            .with_allow_auto_topic_creation(true);
        let answer = connection.ask(version::METADATA, &request).await?;
        let length = answer.len();
        let topic = topic.to_owned();
        let read = move || answers::metadata(&answer, &topic);
        let metadata = match length {
            ..=READ_HERE_MAX_BYTES => read(),
            _ => self.cluster.heavy.run(read).await.flatten(),
        };
        metadata.ok_or_else(unreadable)
    }
}

/// Returns the partition of a key, the same as Kafka's own producer.
fn partition(key: &[u8], partitions: usize) -> usize {
    let hash = murmur2::murmur2(key, murmur2::KAFKA_SEED) & 0x7fff_ffff;
    usize::try_from(hash).unwrap_or(0) % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hashes are those that the tests of Kafka's own client expect.
    #[test]
    fn keys_go_where_the_clients_of_kafka_put_them() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            (
                "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            ("abc", 479_470_107),
        ] {
            let found = murmur2::murmur2(key.as_bytes(), murmur2::KAFKA_SEED);
            assert_eq!(found.cast_signed(), hash, "{key}");
        }
        // Without the sign: 0xc5f2e26c & 0x7fffffff = 1173551340.
        assert_eq!(partition(b"21", 12), 1_173_551_340 % 12);
        assert_eq!(partition(b"", 1), 0);
    }
}
