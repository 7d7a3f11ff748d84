//! Clients that take what they can without a log-in: connections, streams, memory and time.

use std::net::SocketAddr;

use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    net::{TcpSocket, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::client::TlsStream;

use crate::{
    eventually,
    support::{
        database::Database,
        frames::{self, Frames},
        metrics::metric,
        raw,
        server::{Answer, Hub},
    },
};

const MIB: u64 = 1024 * 1024;
/// A path with a large response that needs no log-in.
const LARGE: &str = "/openapi.json";
/// Streams of one connection, as long as no setting says otherwise.
const STREAMS_MAX: u32 = 100;

type Tls = TlsStream<TcpStream>;

/// The hub's memory, without what it shares with others, in bytes.
fn memory(hub: &Hub) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", hub.pid())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib: u64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib * 1024
}

/// Begins the requests of streams that are not taken, as many as one connection may have; returns when all
/// have been answered.
async fn fill(hub: &Hub, path: &str) -> Frames {
    let mut client = Frames::open(hub, 0).await;
    let settings = client.next(frames::SETTINGS).await;
    let streams = settings.setting(frames::MAX_CONCURRENT_STREAMS);
    assert_eq!(streams, Some(STREAMS_MAX));
    for number in 0..STREAMS_MAX {
        client.get(2 * number + 1, path).await;
    }
    for _ in 0..STREAMS_MAX {
        client.next(frames::HEADERS).await;
    }
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_nobody_takes_cost_little_memory() {
    let hub = Hub::start(Database::Sqlite).await;
    let size = hub.request(Method::GET, LARGE).send().await.unwrap();
    assert!(size.bytes().await.unwrap().len() > 500_000);
    let paths = [
        LARGE,
        "/openapi.yaml",
        "/openapi-3.1.json",
        "/openapi-3.1.yaml",
    ];
    for path in paths {
        // Made at the first request.
        hub.request(Method::GET, path).send().await.unwrap();
    }
    let before = memory(&hub);
    let mut clients = Vec::new();
    for path in paths {
        for _ in 0..2 {
            let mut client = fill(&hub, path).await;
            client.get(2 * STREAMS_MAX + 1, "/livez").await;
            let reset = client.next(frames::RST_STREAM).await;
            let expected = (2 * STREAMS_MAX + 1, frames::REFUSED_STREAM);
            assert_eq!((reset.stream, reset.reason()), expected);
            clients.push(client);
        }
    }
    let grown = memory(&hub).saturating_sub(before);
    assert!(grown < 100 * MIB, "{} MiB", grown / MIB);
    hub.get("/livez").await.ok();
}

/// A client that goes on to send what never ends.
struct Slow {
    sending: Box<dyn AsyncWrite + Send + Unpin>,
    answer: JoinHandle<Vec<u8>>,
}

impl Slow {
    async fn begin(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        text: &[u8],
    ) -> Self {
        let (mut reading, mut sending) = split(stream);
        sending.write_all(text).await.unwrap();
        sending.flush().await.unwrap();
        let answer = tokio::spawn(async move {
            let mut answer = Vec::new();
            // The end may come without a word of TLS.
            let _ = reading.read_to_end(&mut answer).await;
            answer
        });
        Self {
            sending: Box::new(sending),
            answer,
        }
    }

    /// Waits until the hub has hung up, and gives what it has said.
    async fn ends(mut self, more: &[u8]) -> String {
        eventually("the connection is closed", async || {
            let _ = self.sending.write_all(more).await;
            let _ = self.sending.flush().await;
            self.answer.is_finished().then_some(())
        })
        .await;
        String::from_utf8(self.answer.await.unwrap()).unwrap()
    }
}

/// A request on a connection that is kept.
async fn ask(stream: &mut Tls) -> String {
    let request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request).await.unwrap();
    stream.flush().await.unwrap();
    let mut answer = String::new();
    while !answer.ends_with('}') {
        answer.push(char::from(stream.read_u8().await.unwrap()));
    }
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_do_not_end_are_not_waited_for() {
    let hub = Hub::start_with(Database::Sqlite, &["--head-timeout-s", "1"]).await;
    let mut kept = raw::open(&hub, &["http/1.1"]).await.unwrap();
    assert!(ask(&mut kept).await.starts_with("HTTP/1.1 200 "));
    let plain = async || TcpStream::connect(&hub.address).await.unwrap();
    let tls = async || raw::open(&hub, &["http/1.1"]).await.unwrap();
    let head = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Long: ";
    let slow: [(Slow, &[u8]); 7] = [
        // Beginnings that are no scheme, no handshake and no request yet.
        (Slow::begin(plain().await, b"").await, b""),
        (Slow::begin(plain().await, b"\x16").await, b""),
        (Slow::begin(plain().await, b"G").await, b""),
        (Slow::begin(plain().await, b"PRI * HTTP/2.0").await, b""),
        (Slow::begin(tls().await, b"GET /livez").await, b""),
        // A head that never ends, and the second request on a connection.
        (Slow::begin(tls().await, head).await, b"a"),
        {
            let mut stream = tls().await;
            ask(&mut stream).await;
            (Slow::begin(stream, head).await, b"a")
        },
    ];
    for (slow, more) in slow {
        assert_eq!(slow.ends(more).await, "");
    }
    // An idle connection may be silent for longer.
    assert!(ask(&mut kept).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_nothing_is_given_up() {
    let flags = ["--write-timeout-s", "1", "--address-connections-max", "3"];
    let hub = Hub::start_with(Database::Sqlite, &flags).await;
    // A stream is given up by itself.
    let mut client = Frames::open(&hub, 0).await;
    client.get(1, LARGE).await;
    let reset = client.next(frames::RST_STREAM).await;
    assert_eq!((reset.stream, reset.reason()), (1, frames::CANCEL));
    client.get(3, "/livez").await;
    client.make_room(3, 1000).await;
    let taken = client.next(frames::DATA).await;
    assert_eq!(taken.stream, 3);

    // A connection goes as a whole. It is the last of the three that this address may have.
    let mut stuck = raw::open(&hub, &["http/1.1"]).await.unwrap();
    let requests = format!("GET {LARGE} HTTP/1.1\r\nHost: localhost\r\n\r\n").repeat(100);
    stuck.write_all(requests.as_bytes()).await.unwrap();
    stuck.flush().await.unwrap();
    let mut next = eventually("its place is free", async || {
        raw::open(&hub, &["http/1.1"]).await.ok()
    })
    .await;
    ask(&mut next).await;
}

/// Asks over plain HTTP, from an address.
async fn ask_from(hub: &Hub, address: &str) -> String {
    let socket = TcpSocket::new_v4().unwrap();
    let from: SocketAddr = format!("{address}:0").parse().unwrap();
    socket.bind(from).unwrap();
    let mut stream = socket.connect(hub.address.parse().unwrap()).await.unwrap();
    let request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut answer = Vec::new();
    // A refused client finds that the hub has hung up by now.
    let _ = stream.write_all(request).await;
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_its_share_of_connections() {
    let flags = ["--address-connections-max", "4"];
    let mut hub = Hub::start_with(Database::Sqlite, &flags).await;
    // The client of the test itself has one.
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(raw::open(&hub, &["http/1.1"]).await.unwrap());
    }
    assert!(raw::open(&hub, &["http/1.1"]).await.is_err());
    assert_eq!(ask_from(&hub, "127.0.0.1").await, "");
    assert!(hub.log().contains("setting address_connections_max"));
    let refused = "thingshub_http_connections_total{outcome=\"refused\"}";
    assert_eq!(metric(&hub, &hub.token, refused).await, 2.0);
    // Other addresses and open connections are not affected.
    let answer = ask_from(&hub, "127.0.0.2").await;
    assert!(answer.contains("use https://"), "{answer}");
    ask(&mut open[0]).await;
    hub.get("/livez").await.ok();
    open.pop();
    eventually("a place is free", async || {
        raw::open(&hub, &["http/1.1"]).await.ok()
    })
    .await;

    // Connections of trusted proxies are not counted.
    drop(open);
    hub.end(Signal::SIGTERM).await;
    let proxied = [&flags[..], &["--trusted-proxies", "127.0.0.1"]].concat();
    hub.start_again_with(&proxied).await;
    let mut open = Vec::new();
    for _ in 0..10 {
        open.push(raw::open(&hub, &["http/1.1"]).await.unwrap());
    }
    for stream in &mut open {
        ask(stream).await;
    }
}

/// A request whose body does not come; returns when the hub waits for it.
async fn half_sent(hub: &Hub, headers: &str) -> Tls {
    let mut stream = raw::open(hub, &["http/1.1"]).await.unwrap();
    let head = format!(
        "POST /api/v3/devices HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n{headers}\r\n{{",
        hub.token
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let mut said = String::new();
    while !said.ends_with("\r\n\r\n") {
        said.push(char::from(stream.read_u8().await.unwrap()));
    }
    assert!(said.starts_with("HTTP/1.1 100 "), "{said}");
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_its_share_of_requests() {
    let flags = [
        "--address-requests-max",
        "2",
        "--trusted-proxies",
        "127.0.0.1",
    ];
    let hub = Hub::start_with(Database::Sqlite, &flags).await;
    let ask = async |client: &str| -> Answer {
        let request = hub.request(Method::GET, "/livez");
        hub.answer(request.header("X-Forwarded-For", client)).await
    };
    let mut half = Vec::new();
    for _ in 0..2 {
        half.push(half_sent(&hub, "X-Forwarded-For: 192.0.2.66\r\n").await);
    }
    let refused = ask("192.0.2.66").await;
    assert!(refused.headers.contains_key("retry-after"));
    let error = refused.refused(503);
    assert!(error.contains("setting address_requests_max"), "{error}");
    ask("192.0.2.67").await.ok();
    // The proxy itself has no share.
    hub.get("/livez").await.ok();
    half.pop();
    eventually("a place is free", async || {
        (ask("192.0.2.66").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_is_slow_holds_the_stop_up() {
    let flags = [
        "--shutdown-timeout-s",
        "3600",
        "--request-timeout-s",
        "3600",
        "--head-timeout-s",
        "3600",
        "--write-timeout-s",
        "3600",
    ];
    let mut hub = Hub::start_with(Database::Sqlite, &flags).await;
    let plain = async || TcpStream::connect(&hub.address).await.unwrap();
    let tls = async || raw::open(&hub, &["http/1.1"]).await.unwrap();
    let mut slow = vec![
        Slow::begin(plain().await, b"").await,
        Slow::begin(plain().await, b"\x16").await,
        Slow::begin(plain().await, b"GET").await,
        Slow::begin(tls().await, b"GET /livez HTTP/1.1\r\n").await,
    ];
    let body = Slow::begin(half_sent(&hub, "").await, b" ").await;
    let _streams = fill(&hub, LARGE).await;
    let mut stuck = raw::open(&hub, &["http/1.1"]).await.unwrap();
    let requests = format!("GET {LARGE} HTTP/1.1\r\nHost: localhost\r\n\r\n").repeat(100);
    stuck.write_all(requests.as_bytes()).await.unwrap();
    stuck.flush().await.unwrap();

    assert!(hub.end(Signal::SIGTERM).await.success());
    let answer = body.ends(b"").await;
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    let text: Value = serde_json::from_str(text).unwrap();
    assert_eq!(
        text,
        json!({"code": 503, "error": "the hub is shutting down"})
    );
    for slow in slow.drain(..) {
        assert_eq!(slow.ends(b"").await, "");
    }
}
