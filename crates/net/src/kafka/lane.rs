//! The records for one broker. Records that arrive while a request is in progress are sent together in the
//! next one: this needs no timer, and a partition never has two requests in progress, so its order is kept.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use base::supervise;
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use kafka_protocol::{
    messages::{
        ProduceRequest, TopicName,
        produce_request::{PartitionProduceData, TopicProduceData},
    },
    protocol::StrBytes,
    records::{
        Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE,
        Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
    },
};
use tokio::{
    sync::{mpsc, oneshot},
    time::sleep,
};

use super::{
    answers::{self, Produced, version},
    connection::{Connection, unreadable},
    failure::{Failure, Remedy},
    handshake,
    settings::{Address, Cluster},
};
use crate::outgoing::Guard;

/// Lifetime of an idle connection.
const IDLE: Duration = Duration::from_secs(60);
/// Maximum number of records that wait for the broker.
const QUEUE_MAX: usize = 256;
/// Maximum size of a request with several records, in bytes: well below the default limit of brokers.
const REQUEST_BYTES: usize = 512 * 1024;
/// Maximum time for which a broker waits for its replicas, in milliseconds.
const REPLICAS_MS: i32 = 30_000;
/// Value of `acks` for an acknowledgement by all in-sync replicas.
const ALL: i16 = -1;

/// One record for a partition.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition, one that the broker leads.
    pub partition: i32,
    /// The key, which decides on the partition.
    pub key: Bytes,
    /// The value of the record.
    pub value: Bytes,
    /// Headers of the record.
    pub headers: Vec<(&'static str, Bytes)>,
    /// Timestamp of the record, in milliseconds since 1970.
    pub timestamp: i64,
}

/// A handle of the sender for one broker. Cheap to clone; the connection ends with the last clone.
#[derive(Clone)]
pub struct Lane {
    jobs: mpsc::Sender<Job>,
}

struct Job {
    entry: Entry,
    done: oneshot::Sender<Result<(), Failure>>,
}

impl Lane {
    /// Creates a sender for the broker at this address; it connects when there is something to write.
    pub fn start(cluster: Arc<Cluster>, guard: Guard, address: Address) -> Self {
        let (jobs, waiting) = mpsc::channel(QUEUE_MAX);
        let worker = Worker {
            cluster,
            guard,
            address,
            waiting,
            connection: None,
        };
        supervise::spawn("lane to a Kafka broker", worker, |worker| {
            worker.run().boxed()
        });
        Self { jobs }
    }

    /// Writes a record. Returns once all in-sync replicas have acknowledged it.
    pub async fn write(&self, entry: Entry) -> Result<(), Failure> {
        let (done, outcome) = oneshot::channel();
        let stopped = || Failure::wait("the hub is shutting down");
        self.jobs
            .send(Job { entry, done })
            .await
            .map_err(|_| stopped())?;
        outcome.await.unwrap_or_else(|_| Err(stopped()))
    }
}

struct Worker {
    cluster: Arc<Cluster>,
    guard: Guard,
    address: Address,
    waiting: mpsc::Receiver<Job>,
    connection: Option<Connection>,
}

impl Worker {
    /// Runs until all handles are dropped.
    async fn run(&mut self) {
        while let Some(first) = self.next().await {
            let mut batches = vec![self.batch(first)];
            while let Some(batch) = batches.pop() {
                let again = self.write(batch).await;
                batches.extend(again.into_iter().map(|job| vec![job]));
            }
        }
    }

    /// Waits for the next record; closes the connection if it breaks or is idle for too long.
    async fn next(&mut self) -> Option<Job> {
        if let Some(connection) = &mut self.connection {
            tokio::select! {
                biased;
                () = connection.broken() => {}
                job = self.waiting.recv() => return job,
                () = sleep(IDLE) => {}
            }
            self.connection = None;
        }
        self.waiting.recv().await
    }

    /// Takes the other waiting records that fit into the same request.
    fn batch(&mut self, first: Job) -> Vec<Job> {
        let mut bytes = first.entry.value.len();
        let mut batch = vec![first];
        while bytes < REQUEST_BYTES
            && let Ok(job) = self.waiting.try_recv()
        {
            bytes += job.entry.value.len();
            batch.push(job);
        }
        batch
    }

    /// Writes a batch and reports the outcomes. Returns the records that must be written one by one: if a
    /// batch is rejected, it is unknown which record caused it.
    async fn write(&mut self, mut batch: Vec<Job>) -> Vec<Job> {
        batch.retain(|job| !job.done.is_closed());
        if batch.is_empty() {
            return batch;
        }
        let (numbers, request) = match request(&batch) {
            Ok(made) => made,
            Err(error) => {
                tell(batch, &Err(Failure::hopeless(error)));
                return Vec::new();
            }
        };
        let answered = match self.exchange(&request).await {
            Ok(answered) => answered,
            Err(failure) => {
                self.connection = None;
                tell(batch, &Err(failure));
                return Vec::new();
            }
        };
        let mut by_partition: BTreeMap<usize, Vec<Job>> = BTreeMap::new();
        for (number, job) in numbers.into_iter().zip(batch) {
            by_partition.entry(number).or_default().push(job);
        }
        let mut again = Vec::new();
        for jobs in by_partition.into_values() {
            let outcome = outcome(&jobs[0].entry, &answered);
            match outcome {
                Err(Failure {
                    remedy: Remedy::None,
                    ..
                }) if jobs.len() > 1 => again.extend(jobs),
                outcome => tell(jobs, &outcome),
            }
        }
        // They were collected from the end; this restores their order.
        again.reverse();
        again
    }

    async fn exchange(&mut self, request: &ProduceRequest) -> Result<Produced, Failure> {
        if self.connection.as_ref().is_some_and(Connection::has_ended) {
            self.connection = None;
        }
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                // Another broker may have become the leader.
                let opened = handshake::open(&self.cluster, &self.guard, &self.address).await;
                none.insert(opened.map_err(|failure| Failure::ask_again(failure.words))?)
            }
        };
        let answer = connection.ask(version::PRODUCE, request).await?;
        answers::produced(&answer).ok_or_else(unreadable)
    }
}

/// Returns the outcome for this entry's partition.
fn outcome(entry: &Entry, answered: &Produced) -> Result<(), Failure> {
    let of_topic = answered.get(&*entry.topic);
    match of_topic.and_then(|partitions| partitions.get(&entry.partition)) {
        None => Err(unreadable()),
        Some(None) => Ok(()),
        Some(Some(error)) => Err(Failure::of_topic(&entry.topic, *error)),
    }
}

/// Sends the outcomes to the callers, some of which may be gone.
fn tell(jobs: Vec<Job>, outcome: &Result<(), Failure>) {
    for job in jobs {
        let _ = job.done.send(outcome.clone());
    }
}

/// Builds a request with these records. Also returns, for each record, the index of its partition in the
/// request.
fn request(batch: &[Job]) -> Result<(Vec<usize>, ProduceRequest), String> {
    let mut partitions: BTreeMap<(&str, i32), Vec<usize>> = BTreeMap::new();
    for (place, job) in batch.iter().enumerate() {
        let partition = (&*job.entry.topic, job.entry.partition);
        partitions.entry(partition).or_default().push(place);
    }
    let mut numbers = vec![0; batch.len()];
    let mut topics: BTreeMap<&str, Vec<PartitionProduceData>> = BTreeMap::new();
    for (number, ((topic, partition), places)) in partitions.into_iter().enumerate() {
        let mut entries = Vec::new();
        for place in places {
            numbers[place] = number;
            entries.push(&batch[place].entry);
        }
        let data = PartitionProduceData::default()
            .with_index(partition)
            .with_records(Some(records(&entries)?));
        topics.entry(topic).or_default().push(data);
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        TopicProduceData::default()
            .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
            .with_partition_data(partitions)
    });
    let request = ProduceRequest::default()
        .with_acks(ALL)
        .with_timeout_ms(REPLICAS_MS)
        .with_topic_data(topics.collect());
    Ok((numbers, request))
}

/// Encodes entries as a batch of records, in version 2 of the format.
fn records(entries: &[&Entry]) -> Result<Bytes, String> {
    let records: Vec<Record> = (0..)
        .zip(entries)
        .map(|(place, entry): (i32, _)| Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            timestamp_type: TimestampType::Creation,
            offset: i64::from(place),
            // Must increase with the offsets: otherwise the encoder splits the records into several batches.
            sequence: NO_SEQUENCE.wrapping_add(place),
            timestamp: entry.timestamp,
            key: Some(entry.key.clone()),
            value: Some(entry.value.clone()),
            headers: entry
                .headers
                .iter()
                .map(|(name, value)| (StrBytes::from_static_str(name), Some(value.clone())))
                .collect(),
        })
        .collect();
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    let mut batch = BytesMut::new();
    RecordBatchEncoder::encode(&mut batch, &records, &options)
        .map_err(|error| error.to_string())?;
    Ok(batch.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_acknowledged_by_all_in_sync_replicas() {
        let job = |partition| Job {
            entry: Entry {
                topic: "iot".into(),
                partition,
                key: Bytes::new(),
                value: Bytes::from_static(b"{}"),
                headers: Vec::new(),
                timestamp: 0,
            },
            done: oneshot::channel().0,
        };
        let (numbers, request) = request(&[job(3), job(1), job(3)]).unwrap();
        // `acks` of the protocol: 0 for none, 1 for the leader alone, -1 for all.
        assert_eq!(request.acks, -1);
        assert_eq!(numbers, [1, 0, 1]);
    }
}
