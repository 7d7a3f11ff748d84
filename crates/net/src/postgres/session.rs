//! One connection: requests are pipelined, and each gets its outcome.
//!
//! A separate task owns the connection, so that a caller that gives up does not leave half a message behind.
//! Requests that wait while others are in progress are sent together; the server answers in their order.

use std::time::Duration;

use base::supervise;
use bytes::BytesMut;
use futures_util::FutureExt;
use postgres_protocol::message::{backend::Message, frontend};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{
    failure::Failure,
    login::{self, Server},
    request::Request,
    wire::Wire,
};
use crate::outgoing::Guard;

/// Maximum time to connect and log in.
const OPEN_TIMEOUT: Duration = Duration::from_secs(15);
/// Maximum time to close the connection.
const GOOD_BYE: Duration = Duration::from_secs(5);
/// Maximum number of requests that are sent together, and that may wait.
const TOGETHER_MAX: usize = 32;
const WAITING_MAX: usize = 256;

/// A connection that is logged in. It ends soon after the last handle is dropped.
pub struct Session {
    jobs: mpsc::Sender<Job>,
}

struct Job {
    request: Request,
    done: oneshot::Sender<Result<(), Failure>>,
}

impl Session {
    /// Connects to a server that the guard allows.
    pub async fn open(server: &Server, guard: &Guard) -> Result<Self, Failure> {
        let opened = timeout(OPEN_TIMEOUT, login::open(server, guard)).await;
        let wire = opened.map_err(|_| Failure::wait("nobody was let in in time"))??;
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        let work = Work {
            wire: Some(wire),
            waiting,
        };
        supervise::spawn("connection to a PostgreSQL server", work, |work| {
            work.run().boxed()
        });
        Ok(Self { jobs })
    }

    /// Returns true if the connection is still open.
    pub fn is_open(&self) -> bool {
        !self.jobs.is_closed()
    }

    /// Sends a request and waits for its outcome. A caller that gives up ends the connection: if the server
    /// is silent, other requests would get no answer either.
    pub async fn run(&self, request: Request) -> Result<(), Failure> {
        let (done, outcome) = oneshot::channel();
        let lost = || Failure::wait("the connection was closed");
        let job = Job { request, done };
        self.jobs.send(job).await.map_err(|_| lost())?;
        outcome.await.unwrap_or_else(|_| Err(lost()))
    }
}

struct Work {
    /// Returns `None` if the connection broke.
    wire: Option<Wire>,
    waiting: mpsc::Receiver<Job>,
}

impl Work {
    /// Runs until all handles are dropped, or the connection breaks.
    async fn run(&mut self) {
        // Taken, because after a panic and a restart the connection cannot be used again.
        let Some(mut wire) = self.wire.take() else {
            self.waiting.close();
            return;
        };
        let mut jobs = Vec::new();
        let broke = loop {
            tokio::select! {
                biased;
                taken = self.waiting.recv_many(&mut jobs, TOGETHER_MAX) => if taken == 0 {
                    let _ = timeout(GOOD_BYE, say_good_bye(&mut wire)).await;
                    return;
                },
                unasked = wire.next() => break match unasked {
                    // The message concerns the connection, not a request.
                    Ok(Message::ErrorResponse(body)) => {
                        Failure::wait(Failure::of_server(&body).words)
                    }
                    Ok(_) => Failure::unexpected(),
                    Err(failure) => failure,
                },
            }
            if let Err(failure) = exchange(&mut wire, &mut jobs).await {
                break failure;
            }
        };
        // No requests are accepted from here on.
        self.waiting.close();
        while let Ok(job) = self.waiting.try_recv() {
            jobs.push(job);
        }
        for job in jobs {
            // The caller may be gone.
            let _ = job.done.send(Err(broke.clone()));
        }
    }
}

/// Sends requests and reports their outcomes. If the connection breaks, the remaining ones get no outcome.
async fn exchange(wire: &mut Wire, jobs: &mut Vec<Job>) -> Result<(), Failure> {
    jobs.retain(|job| !job.done.is_closed());
    let mut bytes = BytesMut::new();
    for job in &*jobs {
        bytes.extend_from_slice(job.request.bytes());
    }
    let Some(first) = jobs.first_mut() else {
        return Ok(());
    };
    tokio::select! {
        sent = wire.send(&bytes) => sent?,
        () = first.done.closed() => return Err(silent()),
    }
    while let Some(job) = jobs.first_mut() {
        wire.listen_anew();
        let outcome = tokio::select! {
            outcome = answer(wire) => outcome?,
            () = job.done.closed() => return Err(silent()),
        };
        let job = jobs.remove(0);
        let _ = job.done.send(outcome.into());
    }
    Ok(())
}

fn silent() -> Failure {
    Failure::wait("the server did not answer an earlier request in time")
}

/// Outcome of one request.
enum Reply {
    Done,
    Refused(Failure),
}

impl From<Reply> for Result<(), Failure> {
    fn from(reply: Reply) -> Self {
        match reply {
            Reply::Done => Ok(()),
            Reply::Refused(failure) => Err(failure),
        }
    }
}

/// Reads the outcome of one request. An error means that the connection cannot be used any more.
async fn answer(wire: &mut Wire) -> Result<Reply, Failure> {
    let mut refused = None;
    loop {
        let message = match (wire.next().await, refused.take()) {
            (Ok(message), before) => {
                refused = before;
                message
            }
            // The server sends the reason before it closes the connection; the next request notices the end.
            (Err(_), Some(refusal)) => return Ok(Reply::Refused(refusal)),
            (Err(failure), None) => return Err(failure),
        };
        match message {
            Message::ReadyForQuery(_) => return Ok(refused.map_or(Reply::Done, Reply::Refused)),
            Message::ErrorResponse(body) => {
                refused.get_or_insert_with(|| Failure::of_server(&body));
            }
            Message::ParseComplete
            | Message::BindComplete
            | Message::NoData
            | Message::RowDescription(_)
            | Message::DataRow(_)
            | Message::CommandComplete(_)
            | Message::EmptyQueryResponse => {}
            _ => return Err(Failure::unexpected()),
        }
    }
}

async fn say_good_bye(wire: &mut Wire) {
    let mut bytes = BytesMut::new();
    frontend::terminate(&mut bytes);
    if wire.send(&bytes).await.is_ok() {
        wire.close().await;
    }
}
