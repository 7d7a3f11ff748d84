//! A network server's own interface: an HTTP server that keeps what it is asked and answers on cue.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use poem::{
    Request, Response,
    http::{HeaderMap, StatusCode},
};
use serde_json::{Value, json};

use crate::{
    eventually,
    support::{
        http_server::HttpServer,
        server::{Connection, Hub},
    },
};

/// A request of the hub.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    /// The path with the query.
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// An answer: a status and a body; without a status, it never answers.
pub type Cue = (Option<u16>, Value);

#[derive(Default)]
struct Book {
    asked: Vec<Asked>,
    cues: VecDeque<Cue>,
}

pub struct NetworkServer {
    pub url: String,
    book: Arc<Mutex<Book>>,
    _server: HttpServer,
}

impl NetworkServer {
    /// Starts a server that answers with the cues, and then with successes.
    pub async fn start(cues: Vec<Cue>) -> Self {
        let book = Arc::new(Mutex::new(Book {
            asked: Vec::new(),
            cues: cues.into(),
        }));
        let kept = book.clone();
        let server = HttpServer::start(move |request| answer(request, kept.clone())).await;
        Self {
            url: server.url.clone(),
            book,
            _server: server,
        }
    }

    /// Requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.book.lock().unwrap().asked.clone()
    }

    /// Waits for this many requests.
    pub async fn is_asked(&self, count: usize) -> Vec<Asked> {
        eventually("the network server is asked", async || {
            Some(self.asked()).filter(|asked| asked.len() >= count)
        })
        .await
    }
}

async fn answer(mut request: Request, book: Arc<Mutex<Book>>) -> poem::Result<Response> {
    let body = request.take_body().into_string().await.unwrap();
    let (status, body) = {
        let mut book = book.lock().unwrap();
        book.asked.push(Asked {
            method: request.method().to_string(),
            path: request.uri().to_string(),
            headers: request.headers().clone(),
            body,
        });
        book.cues.pop_front().unwrap_or((Some(200), json!({})))
    };
    match status {
        Some(status) => Ok(Response::builder()
            .status(StatusCode::from_u16(status).unwrap())
            .body(body.to_string())),
        None => std::future::pending().await,
    }
}

/// Settings for downlinks that reach nobody.
pub fn to_nowhere() -> Value {
    json!({"type": "http", "method": "POST", "url": "http://nowhere.invalid/"})
}

impl Hub {
    /// Sets how the connection's downlinks are sent.
    pub async fn sends_downlinks(&self, connection: &Connection, settings: &Value) -> Value {
        let path = format!("network-connections/{}/downlink-settings", connection.id);
        self.put(&path, &json!({"settings": settings})).await.ok()
    }

    /// Switches a connection of The Things Stack on or off.
    pub async fn switch(&self, connection: &Connection, name: &str, enabled: bool) {
        let path = format!("network-connections/{}", connection.id);
        let settings = json!({"type": "the_things_stack"});
        let body = json!({"name": name, "enabled": enabled, "settings": settings});
        self.put(&path, &body).await.ok();
    }

    /// A device's downlink, once it is in this state.
    pub async fn downlink_gets(&self, downlink: &Value, state: &str) -> Value {
        let path = format!("devices/d/downlinks/{}", downlink["id"].as_str().unwrap());
        eventually("the downlink is in its state", async || {
            let found = self.get(&path).await.ok();
            (found["state"] == state).then_some(found)
        })
        .await
    }
}
