//! Parses the responses of brokers. Memory is only allocated for bytes that have arrived, not for announced
//! counts.

use std::collections::HashMap;

use kafka_protocol::{ResponseError, error::ParseResponseErrorCode};
use winnow::{
    Parser, Result,
    binary::{be_i16, be_i32, be_i64, be_u8, length_take},
    combinator::repeat,
    error::ContextError,
    stream::ToUsize,
    token::rest,
};

use super::{leaders::Leaders, settings::Address};

/// The versions of requests and answers: the oldest versions that brokers since Kafka 2.2 and all
/// later ones speak, so that there is one form of each.
pub mod version {
    pub const API_VERSIONS: i16 = 0;
    pub const SASL_HANDSHAKE: i16 = 1;
    pub const SASL_AUTHENTICATE: i16 = 1;
    pub const METADATA: i16 = 4;
    pub const PRODUCE: i16 = 3;
}

/// A request that a broker understands, from one version to another.
#[derive(Debug, PartialEq, Eq)]
pub struct SupportedRequest {
    pub key: i16,
    pub min: i16,
    pub max: i16,
}

/// The answer to a handshake of SASL.
#[derive(Debug)]
pub struct Handshake {
    pub error: Option<ResponseError>,
    pub mechanisms: Vec<String>,
}

/// The answer to a step of SASL.
#[derive(Debug)]
pub struct Authenticated {
    pub error: Option<ResponseError>,
    pub bytes: Vec<u8>,
    /// Life of the login, in milliseconds; 0: without end.
    pub lifetime_ms: i64,
}

/// The broker's account of a topic.
#[derive(Debug, PartialEq, Eq)]
pub struct Metadata {
    pub error: Option<ResponseError>,
    /// The leaders of its partitions.
    pub leaders: Leaders,
}

/// The outcome for each partition of each topic.
pub type Produced = HashMap<String, HashMap<i32, Option<ResponseError>>>;

/// Splits a response into its correlation id and the rest.
pub fn correlated(answer: &[u8]) -> Option<(i32, &[u8])> {
    (be_i32::<_, ContextError>, rest).parse(answer).ok()
}

/// Reads the answer to ApiVersions.
pub fn api_versions(answer: &[u8]) -> Option<(Option<ResponseError>, Vec<SupportedRequest>)> {
    let spoken = (be_i16, be_i16, be_i16).map(|(key, min, max)| SupportedRequest { key, min, max });
    read((error, array(spoken)), answer)
}

/// Reads the answer to SaslHandshake.
pub fn handshake(answer: &[u8]) -> Option<Handshake> {
    let read_all = (error, array(text));
    read(read_all, answer).map(|(error, mechanisms)| Handshake { error, mechanisms })
}

/// Reads the answer to SaslAuthenticate.
pub fn authenticated(answer: &[u8]) -> Option<Authenticated> {
    read((error, text, bytes, be_i64), answer).map(|(error, _, bytes, lifetime_ms)| Authenticated {
        error,
        bytes,
        lifetime_ms,
    })
}

/// Parses the response to Metadata for one topic. Its cost grows linearly with the size of the response.
pub fn metadata(answer: &[u8], topic: &str) -> Option<Metadata> {
    let broker = (be_i32, text, be_i32, text);
    let partition = (error, be_i32, be_i32, array(be_i32), array(be_i32));
    let found = (error, text, be_u8, array(partition));
    let (_, brokers, _, _, topics) =
        read((be_i32, array(broker), text, be_i32, array(found)), answer)?;
    let (error, _, _, mut partitions) = topics.into_iter().find(|found| found.1 == topic)?;
    partitions.sort_by_key(|partition| partition.1);
    // The partition of a key depends on the number of partitions, so there must be no gap.
    let is_whole = partitions
        .iter()
        .map(|partition| partition.1)
        .eq((0..).take(partitions.len()));
    if !is_whole {
        return None;
    }
    // If several brokers have the same id, the first one is used.
    let mut known: HashMap<i32, (&str, i32)> = HashMap::with_capacity(brokers.len());
    for (id, host, port, _) in &brokers {
        known.entry(*id).or_insert((host, *port));
    }
    let leaders = Leaders::of(partitions.iter().map(|partition| partition.2), |id| {
        let (host, port) = known.get(&id)?;
        Address::new(host, u16::try_from(*port).ok()?).ok()
    });
    Some(Metadata { error, leaders })
}

/// Reads the answer to Produce.
pub fn produced(answer: &[u8]) -> Option<Produced> {
    let partition = (be_i32, error, be_i64, be_i64);
    let (topics, _) = read((array((text, array(partition))), be_i32), answer)?;
    let mut produced = Produced::new();
    for (topic, partitions) in topics {
        let of_topic = produced.entry(topic).or_default();
        of_topic.extend(partitions.into_iter().map(|found| (found.0, found.1)));
    }
    Some(produced)
}

/// An answer from end to end.
fn read<'a, T>(mut form: impl Parser<&'a [u8], T, ContextError>, answer: &'a [u8]) -> Option<T> {
    form.parse(answer).ok()
}

fn error(input: &mut &[u8]) -> Result<Option<ResponseError>> {
    be_i16.map(|code: i16| code.err()).parse_next(input)
}

/// A count; -1 means that the list is absent.
#[derive(Clone, Copy)]
struct Count(i32);

impl ToUsize for Count {
    fn to_usize(&self) -> usize {
        usize::try_from(self.0).unwrap_or(0)
    }
}

fn array<'a, T>(
    mut element: impl Parser<&'a [u8], T, ContextError>,
) -> impl Parser<&'a [u8], Vec<T>, ContextError> {
    move |input: &mut &'a [u8]| {
        let count = be_i32.map(Count).parse_next(input)?;
        repeat(count.to_usize(), element.by_ref()).parse_next(input)
    }
}

fn text(input: &mut &[u8]) -> Result<String> {
    length_take(be_i16.map(|length| Count(i32::from(length))))
        .map(|bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned())
        .parse_next(input)
}

fn bytes(input: &mut &[u8]) -> Result<Vec<u8>> {
    length_take(be_i32.map(Count))
        .map(<[u8]>::to_vec)
        .parse_next(input)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::{
        messages::{
            BrokerId, MetadataResponse, TopicName,
            metadata_response::{
                MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
            },
        },
        protocol::{Encodable, StrBytes},
    };

    use super::*;

    fn answer(partitions: &[(i32, i32)]) -> BytesMut {
        let broker = MetadataResponseBroker::default()
            .with_node_id(BrokerId(7))
            .with_host(StrBytes::from_static_str("kafka.example.com"))
            .with_port(9092);
        let partitions = partitions.iter().map(|(partition, leader)| {
            MetadataResponsePartition::default()
                .with_partition_index(*partition)
                .with_leader_id(BrokerId(*leader))
        });
        let topic = MetadataResponseTopic::default()
            .with_name(Some(TopicName(StrBytes::from_static_str("iot"))))
            .with_partitions(partitions.collect());
        let answer = MetadataResponse::default()
            .with_brokers(vec![broker])
            .with_topics(vec![topic]);
        let mut bytes = BytesMut::new();
        answer.encode(&mut bytes, version::METADATA).unwrap();
        bytes
    }

    #[test]
    fn leaders_are_found_in_the_order_of_their_partitions() {
        let leader = Address::parse("kafka.example.com:9092").unwrap();
        let read = metadata(&answer(&[(1, -1), (0, 7)]), "iot").unwrap();
        let leaders: Vec<_> = (0..2)
            .map(|place| read.leaders.of_partition(place))
            .collect();
        assert_eq!(leaders, [Some(&leader), None]);
        assert_eq!(metadata(&answer(&[(0, 7), (2, 7)]), "iot"), None, "a gap");
        assert_eq!(metadata(&answer(&[]), "another"), None);
    }

    #[test]
    fn an_answer_that_promises_more_than_it_holds_is_no_answer() {
        let whole = answer(&[(0, 7)]);
        for length in 0..whole.len() {
            assert_eq!(metadata(&whole[..length], "iot"), None, "{length}");
        }
        let endless = [&[0; 4][..], &i32::MAX.to_be_bytes()].concat();
        assert_eq!(metadata(&endless, "iot"), None);
        assert_eq!(produced(&i32::MAX.to_be_bytes()), None);
    }
}
