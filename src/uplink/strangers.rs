//! Counts requests with a wrong ingest key in the health of their connection, and logs them.
//!
//! A sender without a key must not be able to cause many writes, so both are bounded: the requests
//! within a second are one write for each connection, and a minute has at most a few log lines.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures_util::FutureExt;

use super::{route::ConnectionRoute, writer::Writer};
use crate::{
    clock::Time,
    id::{ConnectionId, TenantId},
    store::uplink_batch::{Content, Message},
    supervise,
};

/// Time for which requests are collected before they are counted.
const GATHERED: Duration = Duration::from_secs(1);
/// Minimum interval between two log lines about the same connection.
const QUIET: Duration = Duration::from_secs(60);
/// Maximum number of log lines in that interval, each for another connection.
const LINES_MAX: usize = 10;

/// Counter of requests with a wrong ingest key.
pub struct WrongKeys {
    writer: Writer,
    noted: Mutex<Noted>,
}

#[derive(Default)]
struct Noted {
    /// Counts by connection, and when the last request came; existing connections only, so the size is bounded.
    counts: HashMap<ConnectionId, (TenantId, Time, i64)>,
    is_gathering: bool,
    lines: Lines,
}

/// Connections logged within the last [`QUIET`].
#[derive(Default)]
struct Lines {
    since: Option<Instant>,
    reported: Vec<ConnectionId>,
    left_out: u64,
}

impl WrongKeys {
    /// Creates a counter that writes with `writer`.
    pub fn new(writer: Writer) -> Self {
        Self {
            writer,
            noted: Mutex::default(),
        }
    }

    /// Counts one request to a connection, which may not exist.
    pub fn note(
        self: &Arc<Self>,
        id: ConnectionId,
        connection: Option<&ConnectionRoute>,
        address: Option<IpAddr>,
    ) {
        let mut noted = self.noted();
        if let Some(left_out) = noted.lines.admit(id, Instant::now()) {
            tracing::warn!(
                network_connection.id = id.0,
                client.address = address.map(|address| address.to_string()),
                left_out,
                "a request with a wrong ingest key was refused"
            );
        }
        let Some(connection) = connection else {
            return;
        };
        let (tenant, now) = (connection.scope.tenant(), connection.scope.now());
        let (_, last, count) = noted.counts.entry(id).or_insert((tenant, now, 0));
        (*last, *count) = (now, count.saturating_add(1));
        if !std::mem::replace(&mut noted.is_gathering, true) {
            supervise::spawn("count of wrong keys", self.clone(), |strangers| {
                strangers.clone().write_counts().boxed()
            });
        }
    }

    /// Writes the collected counts until there are no more.
    async fn write_counts(self: Arc<Self>) {
        loop {
            tokio::time::sleep(GATHERED).await;
            let counts = {
                let mut noted = self.noted();
                noted.is_gathering = !noted.counts.is_empty();
                std::mem::take(&mut noted.counts)
            };
            if counts.is_empty() {
                return;
            }
            for (connection, (tenant, received_at, count)) in counts {
                let written = self.writer.write(Message {
                    tenant,
                    connection,
                    received_at,
                    odd_time: None,
                    epoch: None,
                    content: Content::Unauthorized(count),
                });
                if let Err(error) = written.await {
                    tracing::warn!(
                        network_connection.id = connection.0,
                        count,
                        "requests with a wrong ingest key were not counted: {error}"
                    );
                }
            }
        }
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    /// Returns the number of suppressed lines if a line for this connection may be logged, otherwise
    /// `None`.
    fn admit(&mut self, id: ConnectionId, now: Instant) -> Option<u64> {
        if self.since.is_none_or(|since| now - since >= QUIET) {
            self.since = Some(now);
            self.reported.clear();
        }
        if self.reported.contains(&id) || self.reported.len() >= LINES_MAX {
            self.left_out += 1;
            return None;
        }
        self.reported.push(id);
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_a_few_lines() {
        let mut lines = Lines::default();
        let start = Instant::now();
        assert_eq!(lines.admit(ConnectionId(1), start), Some(0));
        for _ in 0..5 {
            assert_eq!(lines.admit(ConnectionId(1), start), None);
        }
        let admitted = (0..100).filter_map(|id| lines.admit(ConnectionId(1000 + id), start));
        let reported: Vec<u64> = admitted.collect();
        assert_eq!(reported.len(), LINES_MAX - 1);
        assert_eq!(reported[0], 5);
        assert_eq!(lines.admit(ConnectionId(1), start + QUIET), Some(91));
    }
}
