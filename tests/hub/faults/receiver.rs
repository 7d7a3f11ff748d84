//! A receiver that misbehaves below HTTP, where no server library would go.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use crate::support::messages;

/// Reaction to each request, after reading it.
#[derive(Clone, Copy)]
pub enum Then {
    /// Closes the connection.
    Close,
    /// Does nothing more, and keeps the connection.
    Hang,
    /// Repeats this for as long as it is taken.
    Repeat(&'static str),
}

/// The ways in which it receives connections.
#[derive(Clone)]
pub enum Port {
    /// Plain HTTP.
    Plain,
    /// HTTP over TLS.
    Tls(TlsAcceptor),
    /// It takes the connection, and never says a word.
    Mute,
    /// It speaks first, and not TLS.
    Greets,
}

pub struct Broken {
    /// Address, with `localhost` for a name.
    pub url: String,
    requests: Arc<AtomicUsize>,
    said: Arc<AtomicU64>,
    /// Faults of messages, by the document.
    wrong: Arc<Mutex<Vec<String>>>,
    server: Option<JoinHandle<()>>,
    // A port that is bound and does not listen refuses, and nobody else gets it.
    bound: Option<TcpSocket>,
}

impl Broken {
    /// A port where nobody listens.
    pub fn refuses() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = socket.local_addr().unwrap().port();
        let mut refusing = Self::at("http", port);
        refusing.bound = Some(socket);
        refusing
    }

    /// Says `says`, and then does `then`.
    pub async fn start(port: Port, says: &'static str, then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = match port {
            Port::Plain => "http",
            Port::Tls(_) | Port::Mute | Port::Greets => "https",
        };
        let mut broken = Self::at(scheme, listener.local_addr().unwrap().port());
        let (requests, said) = (broken.requests.clone(), broken.said.clone());
        let wrong = broken.wrong.clone();
        let serve = async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = Connection {
                    says,
                    then,
                    requests: requests.clone(),
                    said: said.clone(),
                    wrong: wrong.clone(),
                };
                tokio::spawn(connection.begin(stream, port.clone()));
            }
        };
        broken.server = Some(tokio::spawn(serve));
        broken
    }

    fn at(scheme: &str, port: u16) -> Self {
        Self {
            url: format!("{scheme}://localhost:{port}/hook"),
            requests: Arc::default(),
            said: Arc::default(),
            wrong: Arc::default(),
            server: None,
            bound: None,
        }
    }

    /// The number of requests that came whole.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// The number of bytes of its longest answer.
    pub fn longest_answer(&self) -> u64 {
        self.said.load(Ordering::Relaxed)
    }
}

impl Drop for Broken {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
        if !std::thread::panicking() {
            let wrong = self.wrong.lock().unwrap();
            assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        }
    }
}

struct Connection {
    says: &'static str,
    then: Then,
    requests: Arc<AtomicUsize>,
    said: Arc<AtomicU64>,
    wrong: Arc<Mutex<Vec<String>>>,
}

impl Connection {
    async fn begin(self, stream: TcpStream, port: Port) {
        match port {
            Port::Plain => self.talk(stream).await,
            Port::Tls(acceptor) => {
                match acceptor.accept(stream).into_fallible().await {
                    Ok(stream) => self.talk(stream).await,
                    // A client that does not like the certificate goes, and one whose own is not liked
                    // reads why.
                    Err((_, mut stream)) => until_closed(&mut stream).await,
                }
            }
            Port::Mute => until_closed(&mut { stream }).await,
            Port::Greets => {
                let mut stream = stream;
                let _ = stream.write_all(self.says.as_bytes()).await;
                until_closed(&mut stream).await;
            }
        }
    }

    async fn talk(self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let Some((head, body)) = request(&mut stream).await else {
            return;
        };
        // Others than deliveries are requests for tokens and downlinks.
        if head.contains("webhook-id:") {
            let fault = match serde_json::from_slice(&body) {
                Ok(message) => messages::fault(&message),
                Err(error) => Some(error.to_string()),
            };
            self.wrong.lock().unwrap().extend(fault);
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        if stream.write_all(self.says.as_bytes()).await.is_err() {
            return;
        }
        let _ = stream.flush().await;
        match self.then {
            Then::Close => {
                let _ = stream.shutdown().await;
            }
            Then::Hang => until_closed(&mut stream).await,
            Then::Repeat(more) => {
                let more = more.repeat(64);
                let mut length = 0;
                while stream.write_all(more.as_bytes()).await.is_ok() {
                    length += more.len() as u64;
                    self.said.fetch_max(length, Ordering::Relaxed);
                }
            }
        }
    }
}

/// Reads the head of one request, in lower case, and its body; `None` when the client has gone.
async fn request(stream: &mut (impl AsyncRead + Unpin)) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((head, body))
}

async fn until_closed(stream: &mut (impl AsyncRead + Unpin)) {
    let mut more = [0; 1024];
    while stream.read(&mut more).await.is_ok_and(|length| length > 0) {}
}
