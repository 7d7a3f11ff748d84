//! One connection: requests go out in a row, and each learns what became of it.
//!
//! A task of its own has the connection, so that nobody who gives up leaves half a message behind. What waits
//! while requests are under way goes out together; the server answers in their order.

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

/// Longest time for a connection to be open and somebody logged in.
const OPEN_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest time for a server to take its last words.
const GOOD_BYE: Duration = Duration::from_secs(5);
/// Requests that go out together, and that may wait.
const TOGETHER_MAX: usize = 32;
const WAITING_MAX: usize = 256;

/// A connection, open and logged in. It ends soon after nobody has it any more.
pub struct Session {
    jobs: mpsc::Sender<Job>,
}

struct Job {
    request: Request,
    done: oneshot::Sender<Result<(), Failure>>,
}

impl Session {
    /// Opens a connection to a server that the guard lets pass.
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

    /// Returns whether the connection is still there.
    pub fn is_open(&self) -> bool {
        !self.jobs.is_closed()
    }

    /// Has something done. Who gives up waiting ends the connection: of a server that is silent, nobody else
    /// would hear anything either.
    pub async fn run(&self, request: Request) -> Result<(), Failure> {
        let (done, outcome) = oneshot::channel();
        let lost = || Failure::wait("the connection was closed");
        let job = Job { request, done };
        self.jobs.send(job).await.map_err(|_| lost())?;
        outcome.await.unwrap_or_else(|_| Err(lost()))
    }
}

struct Work {
    /// `None`: it broke.
    wire: Option<Wire>,
    waiting: mpsc::Receiver<Job>,
}

impl Work {
    /// Runs until nobody can ask any more, or the connection breaks.
    async fn run(&mut self) {
        // Taken: begun again after a fault, there is nothing to go on with.
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
                    // It is about the connection, and about no request.
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
        // From here on nobody asks over this connection.
        self.waiting.close();
        while let Ok(job) = self.waiting.try_recv() {
            jobs.push(job);
        }
        for job in jobs {
            // The caller may have given up.
            let _ = job.done.send(Err(broke.clone()));
        }
    }
}

/// Sends requests and tells what became of them. Where the connection breaks, those that are left are without
/// an answer.
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
        let _ = job.done.send(outcome);
    }
    Ok(())
}

fn silent() -> Failure {
    Failure::wait("the server did not answer an earlier request in time")
}

/// The outcome of one request; the outer error: the connection cannot be used any more.
async fn answer(wire: &mut Wire) -> Result<Result<(), Failure>, Failure> {
    let mut refused = None;
    loop {
        let message = match (wire.next().await, refused.take()) {
            (Ok(message), before) => {
                refused = before;
                message
            }
            // It says why before it hangs up; whoever is next learns that it has.
            (Err(_), Some(refusal)) => return Ok(Err(refusal)),
            (Err(failure), None) => return Err(failure),
        };
        match message {
            Message::ReadyForQuery(_) => return Ok(refused.map_or(Ok(()), Err)),
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
