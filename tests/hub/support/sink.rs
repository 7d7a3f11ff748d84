//! A receiver of an integration: an HTTP server that keeps what it gets and fails on cue.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    time::Instant,
};

use futures_util::{StreamExt, stream};
use poem::{
    Body, IntoResponse, Request, Response,
    http::{HeaderMap, StatusCode},
};
use serde_json::Value;
use tokio::sync::Notify;

use crate::{
    eventually,
    support::{http_server::HttpServer, messages},
};

/// The kinds of answers.
#[derive(Clone, Copy)]
pub enum Cue {
    /// Answers with this status.
    Status(u16),
    /// Answers with this status and JSON.
    Json(u16, &'static str),
    /// Answers with 200 and a body that has no end.
    Endless,
    /// Answers with this status, this many seconds in `Retry-After`, and a text.
    After(u16, u32),
    /// Answers with this status and this `Location`.
    Redirect(u16, &'static str),
    /// With 200, after [`Sink::go_on`].
    Wait,
    /// Never answers.
    Hang,
}

/// A message of the hub.
#[derive(Clone)]
pub struct Received {
    pub method: String,
    pub headers: HeaderMap,
    pub text: String,
    /// The text, where it is JSON.
    pub body: Value,
    pub at: Instant,
    /// The status that it is answered with at once.
    pub status: Option<u16>,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

#[derive(Default)]
struct Book {
    received: Vec<Received>,
    cues: VecDeque<Cue>,
    /// True if messages are made by a template, and so of no described form.
    is_templated: bool,
    /// Faults of messages, by the document.
    faults: Vec<String>,
}

pub struct Sink {
    pub url: String,
    book: Arc<Mutex<Book>>,
    go_on: Arc<Notify>,
    _server: HttpServer,
}

impl Sink {
    /// A sink that answers with the cues, and then with `always`.
    pub async fn start(cues: &[Cue], always: Cue) -> Self {
        let book = Arc::new(Mutex::new(Book {
            received: Vec::new(),
            cues: cues.iter().copied().collect(),
            ..Book::default()
        }));
        // Ports are used again: another test's hub may still call the one that was here before.
        let path = format!("/hook/{}", uuid::Uuid::now_v7());
        let go_on = Arc::new(Notify::new());
        let (kept, told, own) = (book.clone(), go_on.clone(), path.clone());
        let server = HttpServer::start(move |request: Request| {
            let is_ours = request.uri().path() == own;
            let (book, go_on) = (kept.clone(), told.clone());
            async move {
                if is_ours {
                    answer(request, book, go_on, always).await
                } else {
                    Ok(StatusCode::GONE.into_response())
                }
            }
        });
        let server = server.await;
        Self {
            url: format!("{}{path}", server.url),
            book,
            go_on,
            _server: server,
        }
    }

    /// Lets one request go on that waits.
    pub fn go_on(&self) {
        self.go_on.notify_one();
    }

    /// A sink that takes everything.
    pub async fn willing() -> Self {
        Self::start(&[], Cue::Status(200)).await
    }

    /// Expects messages that a template makes, in any form.
    pub fn of_templates(self) -> Self {
        lock(&self.book).is_templated = true;
        self
    }

    /// Requests so far. Fails if a message is not as the document describes it.
    pub fn received(&self) -> Vec<Received> {
        let (received, faults) = {
            let book = lock(&self.book);
            (book.received.clone(), book.faults.clone())
        };
        assert!(faults.is_empty(), "{}", faults.join("\n"));
        received
    }

    /// Waits for this many messages.
    pub async fn gets(&self, count: usize) -> Vec<Received> {
        eventually("the sink gets its messages", async || {
            Some(self.received()).filter(|received| received.len() >= count)
        })
        .await
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.received();
        }
    }
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap()
}

async fn answer(
    mut request: Request,
    book: Arc<Mutex<Book>>,
    go_on: Arc<Notify>,
    always: Cue,
) -> poem::Result<Response> {
    let body = request.take_body().into_vec().await.unwrap();
    let cue = {
        let mut book = lock(&book);
        let cue = book.cues.pop_front().unwrap_or(always);
        let text = String::from_utf8(body).unwrap();
        // Others than deliveries are requests for tokens and downlinks.
        if request.headers().contains_key("webhook-id") {
            let fault = messages::fault_of_request(request.headers(), &text, book.is_templated);
            book.faults.extend(fault);
        }
        book.received.push(Received {
            method: request.method().to_string(),
            headers: request.headers().clone(),
            body: serde_json::from_str(&text).unwrap_or_default(),
            text,
            at: Instant::now(),
            status: match cue {
                Cue::Status(status) => Some(status),
                _ => None,
            },
        });
        cue
    };
    match cue {
        Cue::Status(status) => Ok(Response::builder()
            .status(StatusCode::from_u16(status).unwrap())
            .finish()),
        Cue::Json(status, text) => Ok(Response::builder()
            .status(StatusCode::from_u16(status).unwrap())
            .content_type("application/json")
            .body(text)),
        Cue::Endless => {
            let chunk = || async { Ok::<_, std::io::Error>(vec![b'x'; 64 * 1024]) };
            Ok(Body::from_bytes_stream(stream::repeat_with(chunk).then(|chunk| chunk)).into())
        }
        Cue::After(status, seconds) => Ok(Response::builder()
            .status(StatusCode::from_u16(status).unwrap())
            .header("Retry-After", seconds.to_string())
            .body("come back later")),
        Cue::Redirect(status, location) => Ok(Response::builder()
            .status(StatusCode::from_u16(status).unwrap())
            .header("location", location)
            .finish()),
        Cue::Wait => {
            go_on.notified().await;
            Ok(StatusCode::OK.into_response())
        }
        Cue::Hang => std::future::pending().await,
    }
}
