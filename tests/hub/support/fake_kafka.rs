//! A broker of a test's own that speaks the protocol of Kafka by hand, and as no broker would.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

const METADATA: i16 = 3;
const API_VERSIONS: i16 = 18;
const SASL_HANDSHAKE: i16 = 17;

/// Behaviour of the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Rejects every login mechanism, and names others in a text with a NUL.
    Nul,
    /// Lists more brokers and partitions than a response may.
    TooMuch,
    /// Lists many brokers, none of which exists.
    Much,
    /// Announces a response of 2 GiB.
    Announces,
}

pub struct FakeKafka {
    pub port: u16,
    accepting: JoinHandle<()>,
}

impl FakeKafka {
    pub async fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepting = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                tokio::spawn(async move {
                    while let Ok(length) = client.read_u32().await {
                        let mut request = vec![0; usize::try_from(length).unwrap()];
                        client.read_exact(&mut request).await?;
                        let key = i16::from_be_bytes([request[0], request[1]]);
                        if mood == Mood::Announces && key == METADATA {
                            client.write_i32(i32::MAX).await?;
                            loop {
                                client.write_all(&[0; 65_536]).await?;
                            }
                        }
                        let answer = [&request[4..8], &answer(mood, key)[..]].concat();
                        client.write_u32(answer.len().try_into().unwrap()).await?;
                        client.write_all(&answer).await?;
                    }
                    Ok::<_, std::io::Error>(())
                });
            }
        });
        Self { port, accepting }
    }

    /// A target, as clients of the hub describe it.
    pub fn target(&self) -> Value {
        json!({"type": "kafka", "topic": "iot", "tls": "off",
            "username": "hub", "password": "secret of a test",
            "bootstrap": [format!("127.0.0.1:{}", self.port)]})
    }

    /// Returns the target for a broker without a login.
    pub fn open_target(&self) -> Value {
        json!({"type": "kafka", "topic": "iot", "tls": "off",
            "bootstrap": [format!("127.0.0.1:{}", self.port)]})
    }
}

impl Drop for FakeKafka {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn answer(mood: Mood, key: i16) -> Vec<u8> {
    let mut answer = Vec::new();
    match key {
        API_VERSIONS => {
            answer.extend(0_i16.to_be_bytes());
            answer.extend(2_i32.to_be_bytes());
            for key in [0_i16, METADATA] {
                for number in [key, 0, 9] {
                    answer.extend(number.to_be_bytes());
                }
            }
        }
        SASL_HANDSHAKE => {
            // Unsupported mechanism.
            answer.extend(33_i16.to_be_bytes());
            answer.extend(1_i32.to_be_bytes());
            text(&mut answer, "O\0TH\0ER");
        }
        METADATA => {
            let count = match mood {
                Mood::TooMuch => 20_000,
                _ => 450,
            };
            metadata(&mut answer, count);
        }
        _ => {}
    }
    answer
}

/// Lists as many brokers as partitions, each of which leads one.
fn metadata(answer: &mut Vec<u8>, count: i32) {
    answer.extend(0_i32.to_be_bytes());
    answer.extend(count.to_be_bytes());
    for id in 0..count {
        answer.extend(id.to_be_bytes());
        // No broker listens at this address.
        text(answer, "127.0.0.1");
        answer.extend(1_i32.to_be_bytes());
        text(answer, "");
    }
    text(answer, "cluster");
    answer.extend(0_i32.to_be_bytes());
    answer.extend(1_i32.to_be_bytes());
    answer.extend(0_i16.to_be_bytes());
    text(answer, "iot");
    answer.push(0);
    answer.extend(count.to_be_bytes());
    for partition in 0..count {
        answer.extend(0_i16.to_be_bytes());
        answer.extend(partition.to_be_bytes());
        answer.extend(partition.to_be_bytes());
        answer.extend([0; 8]);
    }
}

fn text(answer: &mut Vec<u8>, text: &str) {
    let length = i16::try_from(text.len()).unwrap();
    answer.extend(length.to_be_bytes());
    answer.extend(text.as_bytes());
}
