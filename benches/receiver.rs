//! A receiver of integrations for benchmarks: counts what it gets, and how long each took to come.
//!
//! `receiver` prints its URL. `POST /to/<name>` is taken and counted, `POST /fails/<name>` answered
//! with 500 and `POST /hangs/<name>` never. The frame counter of a message is the time at which it was
//! sent, in microseconds, as `uplinks.lua` makes it, and no two uplinks have the same. `GET /to/<name>`
//! lists what came since the last `DELETE /to/<name>`, with times in microseconds since 1970, and how
//! many different uplinks have come since the start (`distinct`).

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use poem::{
    IntoResponse, Request, Response, Server, endpoint,
    http::{Method, StatusCode},
    listener::{Acceptor, Listener, TcpListener},
    web::Json,
};
use serde_json::json;

/// `f_cnt_up` in a message of the hub, `f_cnt` in one of a network server.
const COUNTER: &str = "\"f_cnt";

/// Messages that came on one path.
#[derive(Default)]
struct Came {
    last_us: u64,
    took_us: Vec<u32>,
    counters: HashSet<u32>,
}

type Book = Arc<Mutex<HashMap<String, Came>>>;

#[tokio::main]
async fn main() -> Result<(), std::io::Error> {
    let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await?;
    for address in acceptor.local_addr() {
        println!("{}", address.to_string().replace("socket", "http"));
    }
    let book = Book::default();
    let answer = endpoint::make(move |request: Request| {
        let book = book.clone();
        async move { answer(request, book).await }
    });
    Server::new_with_acceptor(acceptor).run(answer).await
}

async fn answer(mut request: Request, book: Book) -> poem::Result<Response> {
    let body = request.take_body().into_string().await?;
    let path = request.uri().path().to_owned();
    match *request.method() {
        Method::POST if path.starts_with("/fails/") => {
            Ok(StatusCode::INTERNAL_SERVER_ERROR.into_response())
        }
        Method::POST if path.starts_with("/hangs/") => std::future::pending().await,
        Method::POST => {
            take(&book, path, &body);
            Ok(StatusCode::OK.into_response())
        }
        Method::DELETE => {
            let mut book = lock(&book);
            let came = book.entry(path).or_default();
            came.took_us.clear();
            came.last_us = 0;
            Ok(StatusCode::OK.into_response())
        }
        _ => Ok(report(&book, &path).into_response()),
    }
}

fn take(book: &Book, path: String, body: &str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_micros() as u64);
    let sent: Option<u64> = body
        .split_once(COUNTER)
        .and_then(|(_, rest)| rest.split_once(':'))
        .map(|(_, rest)| rest.trim_start())
        .and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next())
        .and_then(|digits| digits.parse().ok());
    let Some(sent) = sent.map(|sent| sent as u32) else {
        return;
    };
    let mut book = lock(book);
    let came = book.entry(path).or_default();
    came.last_us = now;
    came.counters.insert(sent);
    // Both wrap around after 71 minutes, their difference does not.
    came.took_us.push((now as u32).wrapping_sub(sent));
}

fn report(book: &Book, path: &str) -> Json<serde_json::Value> {
    let mut book = lock(book);
    let came = book.entry(path.to_owned()).or_default();
    let mut sorted = came.took_us.clone();
    sorted.sort_unstable();
    let quantile = |part: f64| {
        let index = (sorted.len() as f64 * part) as usize;
        let us = sorted.get(index.min(sorted.len().saturating_sub(1)));
        us.map_or(0.0, |us| f64::from(*us) / 1000.0)
    };
    Json(json!({
        "count": sorted.len(),
        "distinct": came.counters.len(),
        "last_us": came.last_us,
        "p50_ms": quantile(0.5),
        "p99_ms": quantile(0.99),
    }))
}

fn lock(book: &Book) -> std::sync::MutexGuard<'_, HashMap<String, Came>> {
    book.lock().unwrap_or_else(|e| e.into_inner())
}
