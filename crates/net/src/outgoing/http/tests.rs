//! Connections that are kept, closed and replaced, against servers that answer by hand.

use std::sync::Mutex;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};

use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const LAST: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const LATE: &str = "HTTP/1.1 408 Late\r\nConnection: Close\r\ncontent-length: 0\r\n\r\n";

/// A server that answers the requests of each connection with these texts, and closes it at the next
/// one's first byte, or behind a text that is no answer.
struct Server {
    url: Url,
    /// The connection of each request.
    asked: Arc<Mutex<Vec<usize>>>,
    /// The connections that the client has closed.
    closed: mpsc::UnboundedReceiver<usize>,
}

impl Server {
    async fn start(connections: &'static [&'static [&'static str]]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let book = asked.clone();
        let (closing, closed) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            for (index, answers) in connections.iter().enumerate() {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (book, closing) = (book.clone(), closing.clone());
                tokio::spawn(async move {
                    for answer in *answers {
                        let mut head = Vec::new();
                        while !head.ends_with(b"\r\n\r\n") {
                            let Ok(byte) = stream.read_u8().await else {
                                return;
                            };
                            head.push(byte);
                        }
                        book.lock().unwrap().push(index);
                        stream.write_all(answer.as_bytes()).await.unwrap();
                        if !answer.ends_with("\r\n\r\n") {
                            return;
                        }
                    }
                    if stream.read_u8().await.is_err() {
                        let _ = closing.send(index);
                    }
                });
            }
        });
        Self {
            url: url.parse().unwrap(),
            asked,
            closed,
        }
    }

    /// Asks; the status or the error.
    async fn ask(&self, client: &Client) -> Result<u16, String> {
        let answer = client
            .send(Method::POST, &self.url, HeaderMap::new(), "")
            .await?;
        let status = answer.status.as_u16();
        answer.beginning(Duration::from_secs(1)).await;
        // The connection goes back to the others by a task of its own.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        Ok(status)
    }

    fn asked(&self) -> Vec<usize> {
        self.asked.lock().unwrap().clone()
    }
}

fn guard() -> Guard {
    Guard::new(vec!["127.0.0.0/8".parse().unwrap()])
}

fn keeping() -> Client {
    Client::new(guard(), Duration::from_secs(5)).unwrap()
}

fn keeping_for(idle: Duration, total: Duration) -> Client {
    let life = Life { idle, total };
    Client { life, ..keeping() }.keeping()
}

/// As docs/integrations.md says.
#[test]
fn connections_are_kept_for_4_seconds_without_a_request_and_a_minute_in_total() {
    let life = keeping().life;
    assert_eq!((life.idle.as_secs(), life.total.as_secs()), (4, 60));
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed() {
    let mut server = Server::start(&[&[OK]]).await;
    let client = keeping_for(Duration::from_millis(20), Duration::from_secs(60));
    assert_eq!(server.ask(&client).await, Ok(200));
    assert_eq!(server.closed.recv().await, Some(0));
}

#[tokio::test]
async fn an_old_connection_is_used_no_more() {
    let server = Server::start(&[&[OK, OK], &[OK, OK]]).await;
    let client = keeping_for(Duration::from_secs(60), Duration::ZERO);
    assert_eq!(server.ask(&client).await, Ok(200));
    assert_eq!(server.ask(&client).await, Ok(200));
    assert_eq!(server.asked(), [0, 1]);
    let young = keeping_for(Duration::from_secs(60), Duration::from_secs(60));
    let server = Server::start(&[&[OK, OK], &[OK, OK]]).await;
    assert_eq!(server.ask(&young).await, Ok(200));
    assert_eq!(server.ask(&young).await, Ok(200));
    assert_eq!(server.asked(), [0, 0]);
}

#[tokio::test]
async fn a_connection_that_was_closed_is_replaced_at_once() {
    let server = Server::start(&[&[OK, OK], &[OK]]).await;
    let client = keeping();
    for _ in 0..3 {
        assert_eq!(server.ask(&client).await, Ok(200));
    }
    assert_eq!(server.asked(), [0, 0, 1]);
}

#[tokio::test]
async fn a_request_goes_out_twice_at_most() {
    let server = Server::start(&[&[OK], &[], &[OK]]).await;
    let client = keeping();
    assert_eq!(server.ask(&client).await, Ok(200));
    assert!(server.ask(&client).await.is_err());
    assert_eq!(server.asked(), [0]);
}

#[tokio::test]
async fn a_new_connection_that_is_closed_is_a_failure() {
    let server = Server::start(&[&[], &[OK]]).await;
    assert!(server.ask(&keeping()).await.is_err());
    assert_eq!(server.asked(), [0; 0]);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_a_failure() {
    let server = Server::start(&[&[OK, "HTTP/1.1 2"], &[OK]]).await;
    let client = keeping();
    assert_eq!(server.ask(&client).await, Ok(200));
    assert!(server.ask(&client).await.is_err());
    assert_eq!(server.asked(), [0, 0]);
}

#[tokio::test]
async fn a_timeout_that_closes_a_kept_connection_is_no_answer() {
    let server = Server::start(&[&[OK, LATE], &[LATE]]).await;
    let client = keeping();
    assert_eq!(server.ask(&client).await, Ok(200));
    // The first of a connection is one.
    assert_eq!(server.ask(&client).await, Ok(408));
    assert_eq!(server.asked(), [0, 0, 1]);
}

#[tokio::test]
async fn a_server_may_keep_no_connection() {
    let server = Server::start(&[&[LAST, OK], &[LAST]]).await;
    let client = keeping();
    for _ in 0..2 {
        assert_eq!(server.ask(&client).await, Ok(200));
    }
    assert_eq!(server.asked(), [0, 1]);
}

#[tokio::test]
async fn a_single_request_has_a_connection_of_its_own() {
    let server = Server::start(&[&[OK, OK], &[OK], &[]]).await;
    let client = Client::for_single_requests(guard(), Duration::from_secs(5)).unwrap();
    for _ in 0..2 {
        assert_eq!(server.ask(&client).await, Ok(200));
    }
    assert_eq!(server.asked(), [0, 1]);
    assert!(server.ask(&client).await.is_err());
}
