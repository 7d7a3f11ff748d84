//! A server of a test's own that speaks SSH, and SFTP by hand, as no file server would.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use russh::{
    Channel, ChannelId,
    keys::{Algorithm, HashAlg, PrivateKey},
    server::{self, Auth, ChannelOpenHandle, Msg, Session},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

pub const USER: &str = "iot";
pub const USER_PASSWORD: &str = "EXAMPLE-password-of-a-server";

const INIT: u8 = 1;
const VERSION: u8 = 2;
const OPEN: u8 = 3;
const CLOSE: u8 = 4;
const WRITE: u8 = 6;
const LSTAT: u8 = 7;
const REMOVE: u8 = 13;
const RENAME: u8 = 18;
const STATUS: u8 = 101;
const HANDLE: u8 = 102;
const ATTRIBUTES: u8 = 105;

const OK: u32 = 0;
const NO_SUCH_FILE: u32 = 2;
const PERMISSION_DENIED: u32 = 3;
const FAILURE: u32 = 4;

/// Behaviour of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Obeys.
    Obeys,
    /// Obeys, but stores no bytes, and says that it has.
    StoresNothing,
    /// Sends lines without end before it names its version of SSH.
    EndlessBanner,
    /// Names its version of SSH byte by byte.
    Slow,
    /// Announces a packet of SSH of 2 GiB.
    HugeSshPacket,
    /// Takes no bytes for SFTP at all.
    ClosedWindow,
    /// Offers an old version of SFTP.
    OldVersion,
    /// Answers requests that nobody has made.
    WrongIds,
    /// Answers requests that nobody has made, without end.
    EndlessPackets,
    /// Announces a packet of SFTP of 2 GiB.
    HugePacket,
    /// Confirms the opening of a file without a handle.
    NoHandle,
    /// Gives a long handle, which each block would have to repeat.
    LongHandle,
    /// Ends the session when it gets the first bytes.
    Closes,
    /// Repeats the password in an error.
    RepeatsPassword,
    /// Does not rename files.
    NoRename,
    /// Renames a file and ends the session without an answer, once.
    LostRename,
}

/// A server; gone with its handle.
pub struct HostileSftp {
    port: u16,
    host_key: String,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

struct State {
    mood: Mutex<Mood>,
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    connections: AtomicUsize,
    renamed: AtomicUsize,
}

impl HostileSftp {
    pub async fn start(mood: Mood) -> Self {
        let key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap();
        let host_key = key.public_key().fingerprint(HashAlg::Sha256).to_string();
        let mut config = server::Config {
            auth_rejection_time: Duration::ZERO,
            keys: vec![key],
            ..server::Config::default()
        };
        if mood == Mood::ClosedWindow {
            config.window_size = 0;
        }
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            mood: Mutex::new(mood),
            files: Mutex::default(),
            connections: AtomicUsize::new(0),
            renamed: AtomicUsize::new(0),
        });
        let (of_clients, config) = (state.clone(), config.clone());
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (state, config) = (of_clients.clone(), config.clone());
                state.connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    // A client that leaves is no fault of the test.
                    let _ = serve(stream, &state, config).await;
                    state.connections.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        Self {
            port,
            host_key,
            state,
            accepting,
        }
    }

    /// Target of a scheduled export.
    pub fn target(&self) -> Value {
        json!({"type": "sftp", "host": "127.0.0.1", "port": self.port, "username": USER,
            "password": USER_PASSWORD, "host_key": self.host_key})
    }

    /// Behaves differently from now on.
    pub fn turn(&self, mood: Mood) {
        *self.state.mood.lock().unwrap() = mood;
    }

    /// Number of open connections.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Relaxed)
    }

    /// Names and contents of its files.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.state.files.lock().unwrap().clone()
    }
}

impl State {
    fn mood(&self) -> Mood {
        *self.mood.lock().unwrap()
    }
}

impl Drop for HostileSftp {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    state: &Arc<State>,
    config: Arc<server::Config>,
) -> Result<(), russh::Error> {
    match state.mood() {
        Mood::EndlessBanner => loop {
            stream
                .write_all(&[b"welcome ".repeat(20), b"\r\n".to_vec()].concat())
                .await?;
        },
        Mood::Slow => loop {
            for byte in b"SSH-2.0-slow" {
                stream.write_all(&[*byte]).await?;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        },
        Mood::HugeSshPacket => {
            stream.write_all(b"SSH-2.0-huge\r\n").await?;
            stream.write_u32(0x7fff_ffff).await?;
            tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
            Ok(())
        }
        _ => {
            let client = Client {
                state: state.clone(),
                channels: HashMap::new(),
            };
            server::run_stream(config, stream, client).await?.await
        }
    }
}

struct Client {
    state: Arc<State>,
    channels: HashMap<ChannelId, Channel<Msg>>,
}

impl server::Handler for Client {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        Ok(match (user, password) {
            (USER, USER_PASSWORD) => Auth::Accept,
            _ => Auth::reject(),
        })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        _: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let channel = self.channels.remove(&id).unwrap();
        session.channel_success(id)?;
        let state = self.state.clone();
        tokio::spawn(async move {
            let mut stream = channel.into_stream();
            // A client that leaves is no fault of the test.
            let _ = speak(&mut stream, &state).await;
        });
        Ok(())
    }
}

/// Answers requests of SFTP until the session ends.
async fn speak(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    state: &State,
) -> io::Result<()> {
    let mut open = String::new();
    loop {
        let length = stream.read_u32().await?;
        let mut packet = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut packet).await?;
        let (kind, mut rest) = (packet[0], &packet[1..]);
        let id = number(&mut rest);
        if kind == INIT {
            let version: u32 = if state.mood() == Mood::OldVersion {
                2
            } else {
                3
            };
            send(stream, VERSION, &version.to_be_bytes()).await?;
            continue;
        }
        let subject = text(&mut rest);
        match (kind, state.mood()) {
            (OPEN, Mood::NoHandle) => status(stream, id, OK, "done").await?,
            (OPEN, Mood::RepeatsPassword) => {
                let words = format!("{USER_PASSWORD} is a fine password");
                status(stream, id, PERMISSION_DENIED, &words).await?;
            }
            (OPEN, mood) => {
                state
                    .files
                    .lock()
                    .unwrap()
                    .insert(subject.clone(), Vec::new());
                open = subject;
                let handle = match mood {
                    Mood::LongHandle => "h".repeat(60_000),
                    _ => "h".to_owned(),
                };
                send(
                    stream,
                    HANDLE,
                    &[&id.to_be_bytes(), &*string(&handle)].concat(),
                )
                .await?;
            }
            (WRITE, Mood::StoresNothing) => status(stream, id, OK, "done").await?,
            (WRITE, Mood::WrongIds) => status(stream, id + 1_000_000, OK, "done").await?,
            (WRITE, Mood::EndlessPackets) => loop {
                status(stream, id + 1_000_000, OK, "done").await?;
            },
            (WRITE, Mood::HugePacket) => {
                stream.write_u32(0x7fff_ffff).await?;
                stream.flush().await?;
            }
            (WRITE, Mood::Closes) => return Ok(()),
            (WRITE, _) => {
                let offset = u64::from(number(&mut rest)) << 32 | u64::from(number(&mut rest));
                let bytes = bytes(&mut rest);
                {
                    let mut files = state.files.lock().unwrap();
                    let file = files.get_mut(&open).unwrap();
                    let begin = usize::try_from(offset).unwrap();
                    file.resize(file.len().max(begin + bytes.len()), 0);
                    file[begin..begin + bytes.len()].copy_from_slice(bytes);
                }
                status(stream, id, OK, "done").await?;
            }
            (CLOSE, _) => status(stream, id, OK, "done").await?,
            (LSTAT, _) => {
                let size = state.files.lock().unwrap().get(&subject).map(Vec::len);
                match size {
                    Some(size) => {
                        let size = u64::try_from(size).unwrap();
                        let attributes = [
                            &id.to_be_bytes()[..],
                            &1_u32.to_be_bytes(),
                            &size.to_be_bytes(),
                        ];
                        send(stream, ATTRIBUTES, &attributes.concat()).await?;
                    }
                    None => status(stream, id, NO_SUCH_FILE, "no such file").await?,
                }
            }
            (REMOVE, _) => {
                let removed = state.files.lock().unwrap().remove(&subject);
                let code = if removed.is_some() { OK } else { NO_SUCH_FILE };
                status(stream, id, code, "").await?;
            }
            (RENAME, Mood::NoRename) => status(stream, id, FAILURE, "not today").await?,
            (RENAME, mood) => {
                {
                    let mut files = state.files.lock().unwrap();
                    let file = files.remove(&subject).unwrap();
                    files.insert(text(&mut rest), file);
                }
                let renamed = state.renamed.fetch_add(1, Ordering::Relaxed);
                if mood == Mood::LostRename && renamed == 0 {
                    return Ok(());
                }
                status(stream, id, OK, "done").await?;
            }
            (other, _) => panic!("request {other}"),
        }
    }
}

async fn status(
    stream: &mut (impl AsyncWrite + Unpin),
    id: u32,
    code: u32,
    words: &str,
) -> io::Result<()> {
    let body = [
        &id.to_be_bytes()[..],
        &code.to_be_bytes(),
        &string(words),
        &string("en"),
    ];
    send(stream, STATUS, &body.concat()).await
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), kind: u8, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len() + 1).unwrap();
    let packet = [&length.to_be_bytes()[..], &[kind], body].concat();
    stream.write_all(&packet).await?;
    stream.flush().await
}

fn string(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap();
    [&length.to_be_bytes()[..], text.as_bytes()].concat()
}

fn number(rest: &mut &[u8]) -> u32 {
    let (number, more) = rest.split_first_chunk().unwrap();
    *rest = more;
    u32::from_be_bytes(*number)
}

fn bytes<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let length = usize::try_from(number(rest)).unwrap();
    let (bytes, more) = rest.split_at(length);
    *rest = more;
    bytes
}

fn text(rest: &mut &[u8]) -> String {
    String::from_utf8(bytes(rest).to_vec()).unwrap()
}
