//! Requests to hubs that may be cut, by clients that may go away: each answer is written down, and held
//! against what must be true of every answer.

use std::time::{Duration, Instant};

use rand::{RngExt, rngs::StdRng};
use reqwest::{Certificate, Client, Method};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::{
    journal::Rule,
    world::{Fault, World},
};
use crate::support::server::Hub;

/// The longest time for a request; a hub bounds it at a third of that (`world::FLAGS`).
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);
/// The longest time for a request that is repeated until somebody answers.
pub const SETTLED_WITHIN: Duration = Duration::from_secs(30);
/// And with hubs that go away meanwhile.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(120);
/// A client that goes away does so within this.
const CUT_WITHIN_US: u64 = 40_000;
/// Text of the answer to a key whose first request the hub takes for unfinished.
const RUNNING: &str = "has not been answered yet";
/// The answer to a request with a key that a killed hub had done.
const LEFT: &str = "was done, but its answer cannot be read any more";
const STATUSES: [u16; 8] = [200, 201, 400, 401, 403, 404, 500, 503];

/// Clients of one hub.
pub struct Clients {
    /// Keeps connections, each for many requests.
    pooled: Client,
    /// A connection for each request: it is closed when the request is cut.
    single: Client,
}

impl Clients {
    pub fn new(hub: &Hub) -> Self {
        let certificate = std::fs::read(hub.certificate()).unwrap();
        let builder = || {
            let certificate = Certificate::from_pem(&certificate).unwrap();
            Client::builder().tls_certs_only([certificate]).no_proxy()
        };
        let single = builder().http1_only().pool_max_idle_per_host(0);
        Self {
            pooled: builder().build().unwrap(),
            single: single.build().unwrap(),
        }
    }
}

/// A request that an actor makes.
#[derive(Clone)]
pub struct Ask {
    hub: usize,
    method: Method,
    path: String,
    token: String,
    headers: Vec<(&'static str, String)>,
    body: Option<String>,
    /// One of this many requests is cut.
    cut_one_in: Option<u32>,
    /// A late execution would do harm: it is cut only where nothing delays it.
    is_harmful_late: bool,
    is_told: bool,
}

impl Ask {
    pub fn new(method: Method, path: impl Into<String>, token: &str) -> Self {
        Self {
            hub: 0,
            method,
            path: path.into(),
            token: token.to_owned(),
            headers: Vec::new(),
            body: None,
            cut_one_in: None,
            is_harmful_late: false,
            is_told: true,
        }
    }

    pub fn get(path: impl Into<String>, token: &str) -> Self {
        Self::new(Method::GET, path, token)
    }

    pub fn post(path: impl Into<String>, token: &str, body: &Value) -> Self {
        Self::new(Method::POST, path, token).json(body)
    }

    pub fn put(path: impl Into<String>, token: &str, body: &Value) -> Self {
        Self::new(Method::PUT, path, token).json(body)
    }

    pub fn delete(path: impl Into<String>, token: &str) -> Self {
        Self::new(Method::DELETE, path, token)
    }

    fn json(self, body: &Value) -> Self {
        self.body(body.to_string(), "application/json")
    }

    pub fn body(mut self, body: String, kind: &str) -> Self {
        self.body = Some(body);
        self.header("Content-Type", kind)
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Names it, so that it may be repeated.
    pub fn keyed(self, key: &str) -> Self {
        self.header("Idempotency-Key", key)
    }

    pub fn to(mut self, hub: usize) -> Self {
        self.hub = hub;
        self
    }

    /// Lets the client go away in one of this many cases.
    pub fn cut_one_in(mut self, count: u32) -> Self {
        self.cut_one_in = Some(count);
        self
    }

    pub fn not_late(mut self) -> Self {
        self.is_harmful_late = true;
        self
    }

    fn uncut(mut self) -> Self {
        self.cut_one_in = None;
        self
    }

    /// Leaves it out of the journal, unless it fails.
    pub fn quietly(mut self) -> Self {
        self.is_told = false;
        self
    }
}

/// Answer of a hub.
#[derive(Clone, Debug)]
pub struct Said {
    pub status: u16,
    pub text: String,
    pub body: Value,
    pub etag: String,
    pub request: String,
    pub begun: Instant,
    pub ended: Instant,
}

impl Said {
    pub fn is_success(&self) -> bool {
        self.status < 300
    }

    /// Returns whether it was done by a hub that was killed before it had answered.
    pub fn is_left(&self) -> bool {
        self.status == 400 && self.text.contains(LEFT)
    }

    fn is_running(&self) -> bool {
        self.status == 400 && self.text.contains(RUNNING)
    }
}

/// The reason why there is no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// The hub was not there.
    NotSent,
    /// The request may or may not have been executed.
    InDoubt,
}

impl World {
    /// Asks once.
    pub async fn ask(&self, chance: &mut StdRng, ask: Ask) -> Result<Said, Unanswered> {
        let is_delayed = ask.is_harmful_late && self.is_harmed();
        let cut_one_in = ask.cut_one_in.filter(|_| self.cuts && !is_delayed);
        let is_cut = cut_one_in.is_some_and(|count| chance.random_range(0..count) == 0);
        let cut = is_cut.then(|| Duration::from_micros(chance.random_range(0..CUT_WITHIN_US)));
        let closes = is_cut && chance.random_range(0..2) == 0;
        let request = format!("stress-{:08}", self.next_number());
        let member = &self.members[ask.hub];
        let what = format!("{} {} {} [{request}]", member.name, ask.method, ask.path);
        let address = member.hub.try_read().map(|hub| hub.address.clone());
        let Ok(address) = address else {
            // The hub is restarting.
            sleep(Duration::from_millis(20)).await;
            return Err(Unanswered::NotSent);
        };
        let client = match closes {
            true => &member.clients.single,
            false => &member.clients.pooled,
        };
        let path = match ask.path.strip_prefix('/') {
            Some(path) => path.to_owned(),
            None => format!("api/v3/{}", ask.path),
        };
        let mut sent = client
            .request(ask.method, format!("https://{address}/{path}"))
            .header("X-Request-Id", &request);
        if !ask.token.is_empty() {
            sent = sent.bearer_auth(&ask.token);
        }
        for (name, value) in &ask.headers {
            sent = sent.header(*name, value);
        }
        if let Some(body) = ask.body {
            sent = sent.body(body);
        }
        let begun = Instant::now();
        let answer = async {
            let response = sent.send().await?;
            let (status, etag) = (response.status().as_u16(), etag(&response));
            Ok::<_, reqwest::Error>((status, etag, response.text().await?))
        };
        let (status, etag, text) = match timeout(cut.unwrap_or(ANSWERED_WITHIN), answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                self.journal.note(format!("{what}: no answer: {error}"));
                return Err(match error.is_connect() {
                    true => Unanswered::NotSent,
                    false => Unanswered::InDoubt,
                });
            }
            Err(_) if is_cut => {
                self.journal.note(format!("{what}: cut after {cut:?}"));
                return Err(Unanswered::InDoubt);
            }
            Err(_) => {
                let within = format!("{what}: not within {ANSWERED_WITHIN:?}");
                self.journal.broken(Rule::Answered, within);
                return Err(Unanswered::InDoubt);
            }
        };
        let ended = Instant::now();
        if ask.is_told || status >= 400 {
            let took = (ended - begun).as_millis();
            let more = if status >= 400 { &*text } else { "" };
            let line = format!("{what}: {status} in {took} ms {more}");
            self.journal.note(line);
        }
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        let is_known = STATUSES.contains(&status);
        self.journal
            .hold(Rule::NoFault, is_known && status != 500, || {
                format!("{what}: {status} {text}")
            });
        if status >= 500 {
            self.faults.lock().unwrap().push(Fault {
                hub: ask.hub,
                request: request.clone(),
                reason: body["error"].as_str().unwrap_or_default().to_owned(),
                what: format!("{what}: {status} {text}"),
            });
        }
        Ok(Said {
            status,
            body,
            text,
            etag,
            request,
            begun,
            ended,
        })
    }

    /// Asks any hub until one has answered for good, and repeats the same request until then; `None`:
    /// none has, which breaks a rule.
    pub async fn settle(&self, chance: &mut StdRng, ask: Ask) -> Option<Said> {
        let mut ask = ask;
        let began = Instant::now();
        let mut since = began;
        let mut last;
        let mut is_running = false;
        loop {
            let hub = self.any_hub(chance);
            match self.ask(chance, ask.clone().to(hub)).await {
                Ok(said) if said.status < 500 && !said.is_running() => return Some(said),
                Ok(said) => {
                    is_running = said.is_running();
                    last = said.text;
                }
                Err(why) => {
                    // A hub that is gone leaves the key claimed for a while once more.
                    if matches!(why, Unanswered::InDoubt) {
                        since = Instant::now();
                    }
                    last = format!("{why:?}");
                }
            }
            if since.elapsed() > SETTLED_WITHIN || began.elapsed() > GIVEN_UP_AFTER {
                let rule = match is_running {
                    true => Rule::Repeatable,
                    false => Rule::Answered,
                };
                let what = format!("{} {}", ask.method, ask.path);
                let what = format!("{what}, repeated for {:?}: {last}", began.elapsed());
                self.journal.broken(rule, what);
                return None;
            }
            ask = ask.uncut();
            sleep(Duration::from_millis(chance.random_range(20..200))).await;
        }
    }

    /// Sends a request whose outcome must be a success unless it is unknown.
    pub async fn succeed(&self, chance: &mut StdRng, ask: Ask) -> Option<Said> {
        let what = format!("{} {}", ask.method, ask.path);
        let said = self.settle(chance, ask).await?;
        let is_success = said.is_success();
        self.journal
            .hold(Rule::Given, is_success || said.is_left(), || {
                format!("{what} [{}]: {} {}", said.request, said.status, said.text)
            });
        is_success.then_some(said)
    }

    /// All items of a list.
    pub async fn pages(&self, chance: &mut StdRng, token: &str, path: &str) -> Vec<Value> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        let and = if path.contains('?') { '&' } else { '?' };
        loop {
            let ask = Ask::get(format!("{path}{and}limit=500{cursor}"), token).quietly();
            let page = self.succeed(chance, ask).await;
            let page = page.unwrap_or_else(|| panic!("{path} cannot be read")).body;
            items.extend(page["collection"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }

    pub fn any_hub(&self, chance: &mut StdRng) -> usize {
        chance.random_range(0..self.members.len())
    }
}

fn etag(response: &reqwest::Response) -> String {
    let etag = response.headers().get("etag");
    let etag = etag.and_then(|etag| etag.to_str().ok());
    etag.unwrap_or_default().to_owned()
}
