//! Servers that close a connection, which they have kept, just as the next request goes out.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::{
    eventually,
    support::{
        database::{Database, on_both_databases},
        messages,
        server::{EUI, Hub},
        sink::Sink,
    },
};

on_both_databases!(
    a_delivery_goes_out_again_at_once_under_its_id,
    a_token_is_asked_for_again_at_once,
    a_downlink_is_handed_over_once,
    an_answer_that_breaks_off_is_a_failure,
);

const TO_HERE: [&str; 6] = [
    "--outgoing-allow",
    "127.0.0.0/8",
    "--delivery-schedule-s",
    "0,0,0",
    "--downlink-schedule-s",
    "0,0,0",
];

/// Serves one request for each connection, which it keeps, and closes it at the next one's first byte.
struct Racing {
    url: String,
    book: Arc<Book>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Book {
    /// Heads and bodies of the requests that were served.
    served: Mutex<Vec<(String, String)>>,
    /// Requests that found their connection closed.
    cut: AtomicUsize,
    connections: AtomicUsize,
}

impl Racing {
    /// Starts a server that answers 200 with this text, and sends `last` as it closes.
    async fn start(answer: &'static str, last: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let book = Arc::new(Book::default());
        let kept = book.clone();
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answer, last, kept.clone()));
            }
        });
        Self { url, book, server }
    }

    /// Requests that it has served. Fails if a message is not as the document describes it.
    fn served(&self) -> Vec<(String, String)> {
        let served = self.book.served.lock().unwrap().clone();
        for (head, body) in &served {
            if head.to_lowercase().contains("webhook-id:") {
                messages::checked(body);
            }
        }
        served
    }

    fn cut(&self) -> usize {
        self.book.cut.load(Ordering::Relaxed)
    }

    fn connections(&self) -> usize {
        self.book.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Racing {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(stream: TcpStream, answer: &str, last: &str, book: Arc<Book>) {
    book.connections.fetch_add(1, Ordering::Relaxed);
    let mut stream = BufReader::new(stream);
    let Some(served) = request(&mut stream).await else {
        return;
    };
    book.served.lock().unwrap().push(served);
    let length = answer.len();
    let text = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         connection: keep-alive\r\n\r\n{answer}"
    );
    if stream.write_all(text.as_bytes()).await.is_err() || stream.read_u8().await.is_err() {
        return;
    }
    book.cut.fetch_add(1, Ordering::Relaxed);
    // A last word reaches only a client whose request was read: else the connection is reset.
    if !last.is_empty() && request(&mut stream).await.is_some() {
        let _ = stream.write_all(last.as_bytes()).await;
    }
}

/// Head and body of a request.
async fn request(stream: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        (stream.read_line(&mut head).await.ok()? > 0).then_some(())?;
    }
    let lower = head.to_lowercase();
    let length = lower
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    Some((lower, String::from_utf8(body).unwrap()))
}

/// An integration's deliveries, once so many have arrived.
async fn delivered(hub: &Hub, integration: &Value, count: usize) -> Vec<Value> {
    let path = format!("integrations/{integration}/deliveries");
    eventually("all is delivered", async || {
        let found = hub.list(&path).await;
        let delivered = found.iter().filter(|found| found["state"] == "delivered");
        (delivered.count() == count).then_some(found)
    })
    .await
}

/// Each was tried once, as far as the hub counts.
fn tried_once(deliveries: &[Value]) {
    for delivery in deliveries {
        assert_eq!(delivery["attempt"], 1, "{delivery}");
        assert_eq!(delivery["last_error"], Value::Null, "{delivery}");
    }
}

async fn a_delivery_goes_out_again_at_once_under_its_id(database: Database) {
    const COUNT: usize = 40;
    let late = "HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let (hub, connection) = Hub::with_device(database, &TO_HERE).await;
    for (name, last) in [("silent", ""), ("says so", late)] {
        let receiver = Racing::start("", last).await;
        let body = json!({"name": name, "selector": "",
            "target": {"type": "http", "url": receiver.url}, "delivery": {"concurrency": 2}});
        let id = hub.post("integrations", &body).await.created()["id"].clone();
        for _ in 0..COUNT {
            hub.uplink(&connection, EUI).await;
        }
        let deliveries = delivered(&hub, &id, COUNT).await;
        tried_once(&deliveries);
        // Without a cut connection the test shows nothing.
        assert!(receiver.cut() > 0);
        let served = receiver.served();
        let header = |head: &str, name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::to_owned)
        };
        let ids: HashSet<_> = served
            .iter()
            .map(|(head, _)| header(head, "webhook-id: ").unwrap())
            .collect();
        let bodies: HashSet<&String> = served.iter().map(|(_, body)| body).collect();
        assert_eq!(
            (served.len(), ids.len(), bodies.len()),
            (COUNT, COUNT, COUNT)
        );
        for (head, _) in &served {
            assert_eq!(header(head, "webhook-attempt: ").as_deref(), Some("1"));
        }
        hub.delete(&format!("integrations/{id}")).await.ok();
    }
}

async fn a_token_is_asked_for_again_at_once(database: Database) {
    const COUNT: usize = 10;
    let (hub, connection) = Hub::with_device(database, &TO_HERE).await;
    // Each delivery needs a token of its own.
    let grant = r#"{"access_token": "one", "token_type": "Bearer", "expires_in": 0}"#;
    let giver = Racing::start(grant, "").await;
    let sink = Sink::willing().await;
    let auth = json!({"type": "oauth2_client_credentials", "token_url": giver.url,
        "client_id": "hub", "client_secret": "s3cr3t"});
    let body = json!({"name": "erp", "selector": "",
        "target": {"type": "http", "url": sink.url, "auth": auth}});
    let id = hub.post("integrations", &body).await.created()["id"].clone();
    for count in 1..=COUNT {
        hub.uplink(&connection, EUI).await;
        sink.gets(count).await;
    }
    tried_once(&delivered(&hub, &id, COUNT).await);
    assert_eq!(giver.served().len(), COUNT);
    assert!(giver.cut() > 0);
}

async fn a_downlink_is_handed_over_once(database: Database) {
    const COUNT: usize = 10;
    let (hub, connection) = Hub::with_device(database, &TO_HERE).await;
    let server = Racing::start("{}", "").await;
    let settings = json!({"type": "http", "method": "POST", "url": server.url,
        "body": r#"{"id": "{{downlink_id}}"}"#});
    hub.sends_downlinks(&connection, &settings).await;
    for _ in 0..COUNT {
        let body = json!({"payload_hex": "beef", "f_port": 15});
        let queued = hub.post("devices/d/downlinks", &body).await.created();
        let sent = hub.downlink_gets(&queued, "sent").await;
        assert_eq!(sent["last_error"], Value::Null, "{sent}");
    }
    // Each over a connection of its own, so that none can find it closed.
    let served = server.served();
    let bodies: HashSet<&String> = served.iter().map(|(_, body)| body).collect();
    assert_eq!((served.len(), bodies.len()), (COUNT, COUNT));
    assert_eq!((server.connections(), server.cut()), (COUNT, 0));
}

async fn an_answer_that_breaks_off_is_a_failure(database: Database) {
    let (hub, connection) = Hub::with_device(database, &TO_HERE).await;
    // The request was read, as far as anybody can tell: it counts as an attempt.
    let receiver = Racing::start("", "HTTP/1.1 2").await;
    let body = json!({"name": "erp", "selector": "",
        "target": {"type": "http", "url": receiver.url},
        // A kept connection of each of the others may break once.
        "delivery": {"concurrency": 1, "schedule_s": vec![0; 15]}});
    let id = hub.post("integrations", &body).await.created()["id"].clone();
    for _ in 0..10 {
        hub.uplink(&connection, EUI).await;
    }
    let deliveries = delivered(&hub, &id, 10).await;
    let attempts: u64 = deliveries
        .iter()
        .map(|delivery| delivery["attempt"].as_u64().unwrap())
        .sum();
    assert!(receiver.cut() > 0);
    assert_eq!(attempts, 10 + receiver.cut() as u64);
}
