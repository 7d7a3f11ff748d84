//! A server of a test's own that speaks PostgreSQL's protocol by hand, and as no server of PostgreSQL would.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

use crate::support::certificates::Authority;

pub const PASSWORD: &str = "pencil";
/// A type that nobody knows, and the first of a chain.
const FIRST_TYPE: u32 = 100_000;
const PARAMETERS: u16 = 2;

/// Behaviour of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Obeys. If asked for a type, it names another one of which this one consists, without end.
    Chain,
    /// Sends an endless greeting.
    EndlessGreeting,
    /// Answers with endless notices.
    EndlessNotices,
    /// Answers with endless rows.
    EndlessRows,
    /// Announces a message of 1,500 MiB and sends it.
    EndlessMessage,
    /// Accepts the login and sends nothing more.
    Silent,
    /// Accepts the connection and sends nothing at all.
    Mute,
    /// Requires SCRAM with this number of rounds of hashing.
    Scram(u32),
    /// Requires the password in plain text.
    Cleartext,
    /// Requires an MD5 hash of the password.
    Md5,
}

pub struct FakePostgres {
    pub port: u16,
    /// The authority of its certificate for `localhost`, where it speaks TLS.
    pub ca: String,
    /// Rows that were inserted.
    pub inserted: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

/// Bytes both ways.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl FakePostgres {
    pub async fn start(mood: Mood) -> Self {
        Self::start_with(mood, false).await
    }

    /// Starts a server that only accepts TLS, and binds proofs of passwords to its certificate.
    pub async fn start_encrypted(mood: Mood) -> Self {
        Self::start_with(mood, true).await
    }

    async fn start_with(mood: Mood, is_encrypted: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let authority = Authority::new();
        let (acceptor, certificate) = authority.identity();
        let inserted = Arc::new(AtomicUsize::new(0));
        let count = inserted.clone();
        let binding = is_encrypted.then(|| Sha256::digest(&certificate).to_vec());
        let accepting = tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let (acceptor, binding, inserted) =
                    (acceptor.clone(), binding.clone(), count.clone());
                tokio::spawn(async move {
                    let stream: Box<dyn Stream> = match binding {
                        None => Box::new(socket),
                        Some(_) => {
                            let mut request = [0; 8];
                            socket.read_exact(&mut request).await.ok()?;
                            socket.write_all(b"S").await.ok()?;
                            Box::new(acceptor.accept(socket).await.ok()?)
                        }
                    };
                    let mut client = Client {
                        stream,
                        mood,
                        binding,
                        inserted,
                        statements: HashMap::new(),
                    };
                    client.serve().await
                });
            }
        });
        Self {
            port,
            ca: authority.pem(),
            inserted,
            accepting,
        }
    }

    /// A target, as clients of the hub describe it.
    pub fn target(&self) -> Value {
        json!({"type": "postgres", "host": "127.0.0.1", "port": self.port, "database": "iot",
            "username": "hub", "password": PASSWORD, "tls": "off", "table": "measurements",
            "columns": [{"name": "port", "pointer": "/f_port"}], "id_column": "id"})
    }
}

impl Drop for FakePostgres {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

struct Client {
    stream: Box<dyn Stream>,
    mood: Mood,
    /// The hash of the certificate that the client sees.
    binding: Option<Vec<u8>>,
    inserted: Arc<AtomicUsize>,
    statements: HashMap<String, String>,
}

impl Client {
    async fn serve(&mut self) -> Option<()> {
        let length = self.stream.read_u32().await.ok()?;
        let mut startup = vec![0; usize::try_from(length).ok()? - 4];
        self.stream.read_exact(&mut startup).await.ok()?;
        if self.mood == Mood::Mute {
            std::future::pending::<()>().await;
        }
        self.let_in().await?;
        if self.mood == Mood::EndlessGreeting {
            for number in 0_u32.. {
                let setting = format!("setting{number}\0value\0");
                self.say(b'S', setting.as_bytes()).await?;
            }
        }
        self.say(b'Z', b"I").await?;
        let mut executed = String::new();
        loop {
            let (kind, body) = self.hear().await?;
            match self.mood {
                Mood::Silent => std::future::pending::<()>().await,
                Mood::EndlessNotices => loop {
                    self.say(b'N', b"SNOTICE\0Mstill at it\0\0").await?;
                },
                Mood::EndlessRows => loop {
                    self.say(b'D', b"\0\0").await?;
                },
                Mood::EndlessMessage => {
                    let head = [&b"N"[..], &1_572_864_000_u32.to_be_bytes()].concat();
                    self.stream.write_all(&head).await.ok()?;
                    loop {
                        self.stream.write_all(&[b'x'; 65_536]).await.ok()?;
                    }
                }
                _ => self.answer(kind, &body, &mut executed).await?,
            }
        }
    }

    async fn answer(&mut self, kind: u8, body: &[u8], executed: &mut String) -> Option<()> {
        let mut texts = body.split(|byte| *byte == 0);
        let mut text = || String::from_utf8_lossy(texts.next().unwrap_or_default()).into_owned();
        let statement = |name: &str| self.statements.get(name).cloned().unwrap_or_default();
        match kind {
            b'P' => {
                let (name, sql) = (text(), text());
                self.statements.insert(name, sql);
                self.say(b'1', b"").await
            }
            b'D' => {
                let sql = statement(&text()[1..]);
                self.describe(&sql).await
            }
            b'B' => {
                let _portal = text();
                *executed = statement(&text());
                if executed.contains("pg_type") {
                    // The type that is asked for stands at the end, before the form of the results.
                    let id = &body[body.len() - 8..body.len() - 4];
                    let id = u32::from_be_bytes(id.try_into().unwrap());
                    *executed = format!("pg_type {id}");
                }
                self.say(b'2', b"").await
            }
            b'E' => match executed.strip_prefix("pg_type ") {
                Some(id) => {
                    self.domain_over(id.parse::<u32>().unwrap() + 1).await?;
                    self.say(b'C', b"SELECT 1\0").await
                }
                None => {
                    self.inserted.fetch_add(1, Ordering::SeqCst);
                    self.say(b'C', b"INSERT 0 1\0").await
                }
            },
            b'Q' => {
                self.say(b'C', b"DONE\0").await?;
                self.say(b'Z', b"I").await
            }
            b'S' => self.say(b'Z', b"I").await,
            b'X' => None,
            _ => Some(()),
        }
    }

    /// Answers a client that asks for the parameters and columns of a statement.
    async fn describe(&mut self, sql: &str) -> Option<()> {
        if !sql.contains("pg_type") {
            let mut parameters = PARAMETERS.to_be_bytes().to_vec();
            for _ in 0..PARAMETERS {
                parameters.extend(FIRST_TYPE.to_be_bytes());
            }
            self.say(b't', &parameters).await?;
            return self.say(b'n', b"").await;
        }
        let oid = 26_u32.to_be_bytes();
        self.say(b't', &[&[0, 1][..], &oid].concat()).await?;
        // name, "char", oid
        let mut columns = 7_u16.to_be_bytes().to_vec();
        for kind in [19_u32, 18, 26, 26, 26, 19, 26] {
            columns.extend(b"c\0\0\0\0\0\0\0");
            columns.extend(kind.to_be_bytes());
            columns.extend(b"\0\x04\xff\xff\xff\xff\0\x01");
        }
        self.say(b'T', &columns).await
    }

    /// A row of the catalog: a domain over another type.
    async fn domain_over(&mut self, base: u32) -> Option<()> {
        let (base, zero) = (base.to_be_bytes(), 0_u32.to_be_bytes());
        let values: [Option<&[u8]>; 7] = [
            Some(b"t"),
            Some(b"d"),
            Some(&zero),
            None,
            Some(&base),
            Some(b"public"),
            Some(&zero),
        ];
        let mut row = 7_u16.to_be_bytes().to_vec();
        for value in values {
            let length = value.map_or(-1, |value| i32::try_from(value.len()).unwrap());
            row.extend(length.to_be_bytes());
            row.extend(value.unwrap_or_default());
        }
        self.say(b'D', &row).await
    }

    async fn let_in(&mut self) -> Option<()> {
        match self.mood {
            Mood::Scram(rounds) => self.scram(rounds).await?,
            Mood::Cleartext => {
                self.say(b'R', &3_u32.to_be_bytes()).await?;
                let (_, said) = self.hear().await?;
                if said != format!("{PASSWORD}\0").as_bytes() {
                    return self.refuse().await;
                }
            }
            Mood::Md5 => {
                self.say(b'R', &[&5_u32.to_be_bytes()[..], b"salt"].concat())
                    .await?;
                let (_, said) = self.hear().await?;
                // md5(md5("pencil" + "hub") + "salt")
                if said != b"md51187d1cff6d834f50cf4508af9db70ca\0" {
                    return self.refuse().await;
                }
            }
            _ => {}
        }
        self.say(b'R', &0_u32.to_be_bytes()).await
    }

    /// The server's side of RFC 5802.
    async fn scram(&mut self, rounds: u32) -> Option<()> {
        let mut offer = 10_u32.to_be_bytes().to_vec();
        if self.binding.is_some() {
            offer.extend(b"SCRAM-SHA-256-PLUS\0");
        }
        offer.extend(b"SCRAM-SHA-256\0\0");
        self.say(b'R', &offer).await?;
        let (_, said) = self.hear().await?;
        // The mechanism, and behind its NUL a length of four bytes.
        let end = said.iter().position(|byte| *byte == 0)? + 5;
        let first = String::from_utf8(said[end..].to_vec()).ok()?;
        let (header, bare) = first.split_at(first.find("n=")?);
        let nonce = first.split_once(",r=")?.1;
        let salt = b"salt";
        let challenge = format!("r={nonce}more,s={},i={rounds}", STANDARD.encode(salt));
        let mut next = 11_u32.to_be_bytes().to_vec();
        next.extend(challenge.as_bytes());
        self.say(b'R', &next).await?;
        let (_, said) = self.hear().await?;
        let last = String::from_utf8(said).ok()?;
        let (without_proof, proof) = last.rsplit_once(",p=")?;
        let binding = self.binding.clone().unwrap_or_default();
        let bound = STANDARD.encode([header.as_bytes(), &binding[..]].concat());
        let salted = salted(PASSWORD.as_bytes(), salt, rounds);
        let client_key = mac(&salted, b"Client Key");
        let signed = format!("{bare},{challenge},{without_proof}");
        let signature = mac(&Sha256::digest(&client_key), signed.as_bytes());
        let expected: Vec<u8> = client_key
            .iter()
            .zip(signature)
            .map(|(a, b)| a ^ b)
            .collect();
        let expected = STANDARD.encode(expected);
        if proof != expected || !without_proof.starts_with(&format!("c={bound},")) {
            return self.refuse().await;
        }
        let verifier = mac(&mac(&salted, b"Server Key"), signed.as_bytes());
        let mut end = 12_u32.to_be_bytes().to_vec();
        end.extend(format!("v={}", STANDARD.encode(verifier)).as_bytes());
        self.say(b'R', &end).await
    }

    async fn refuse(&mut self) -> Option<()> {
        let words = b"SFATAL\0C28P01\0Mpassword authentication failed\0\0";
        self.say(b'E', words).await?;
        None
    }

    async fn say(&mut self, kind: u8, body: &[u8]) -> Option<()> {
        let length = u32::try_from(body.len() + 4).unwrap();
        let message = [&[kind][..], &length.to_be_bytes(), body].concat();
        self.stream.write_all(&message).await.ok()?;
        self.stream.flush().await.ok()
    }

    async fn hear(&mut self) -> Option<(u8, Vec<u8>)> {
        let kind = self.stream.read_u8().await.ok()?;
        let length = usize::try_from(self.stream.read_u32().await.ok()?).ok()?;
        let mut body = vec![0; length - 4];
        self.stream.read_exact(&mut body).await.ok()?;
        Some((kind, body))
    }
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn salted(password: &[u8], salt: &[u8], rounds: u32) -> Vec<u8> {
    let mut last = mac(password, &[salt, &1_u32.to_be_bytes()].concat());
    let mut all = last.clone();
    for _ in 1..rounds {
        last = mac(password, &last);
        for (sum, byte) in all.iter_mut().zip(&last) {
            *sum ^= byte;
        }
    }
    all
}
