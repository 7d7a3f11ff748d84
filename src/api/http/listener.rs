//! Accepts connections on the hub's one port, within a limit on all connections and a share of it for each
//! address.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use poem::Endpoint;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;

use super::{connection::Place, server::Server};
use crate::{
    config::{Config, Networks},
    hub::subscriber,
    metrics::Metrics,
    shares::Shares,
};

/// Shortest time between two log lines on refused connections.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Accepts connections for a server.
pub struct Listener<E> {
    listener: TcpListener,
    places: Arc<Semaphore>,
    shares: Shares<IpAddr>,
    share_max: usize,
    trusted_proxies: Networks,
    refused: Refused,
    server: Server<E>,
    metrics: Metrics,
    stop: CancellationToken,
}

/// Connections that were refused since the last log line.
#[derive(Default)]
struct Refused {
    count: u64,
    told_at: Option<Instant>,
}

impl<E: Endpoint + 'static> Listener<E> {
    /// Returns a listener that accepts connections until `stop`.
    pub fn new(
        listener: TcpListener,
        server: Server<E>,
        config: &Config,
        stop: CancellationToken,
        metrics: Metrics,
    ) -> Self {
        Self {
            listener,
            places: Arc::new(Semaphore::new(config.connections_max)),
            // Unlimited here, because `places` already bounds all connections and makes further ones wait.
            shares: Shares::new(usize::MAX),
            share_max: config.address_connections_max,
            trusted_proxies: config.trusted_proxies.clone(),
            refused: Refused::default(),
            server,
            metrics,
            stop,
        }
    }

    /// Accepts connections until `stop`.
    pub async fn run(&mut self) {
        let stop = self.stop.clone();
        stop.run_until_cancelled(self.accept_all()).await;
    }

    async fn accept_all(&mut self) {
        loop {
            let Ok(permit) = self.places.clone().acquire_owned().await else {
                return;
            };
            match self.listener.accept().await {
                Ok((stream, remote)) => self.admit(permit, stream, remote),
                Err(error) => self.wait_for_handles(&error).await,
            }
        }
    }

    fn admit(&mut self, permit: OwnedSemaphorePermit, stream: TcpStream, remote: SocketAddr) {
        let address = remote.ip();
        let share = match self.trusted_proxies.contain(address) {
            true => None,
            false => match self.shares.enter([(subscriber(address), self.share_max)]) {
                Ok(share) => Some(share),
                Err(_) => {
                    self.metrics.http.count_refused_connection();
                    return self.refused.note(address);
                }
            },
        };
        let open = self.metrics.http.open_connection();
        let place = Place::new(permit, share, open);
        self.server.serve(stream, remote, place);
    }

    /// Waits a moment, because the hub may be out of file handles until other connections are closed.
    async fn wait_for_handles(&self, error: &io::Error) {
        tracing::warn!("a connection could not be accepted: {error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl Refused {
    /// Counts a refused connection, and logs the count at most once per [`TOLD_EVERY`].
    fn note(&mut self, address: IpAddr) {
        self.count += 1;
        let is_due = |at: Instant| at.elapsed() >= TOLD_EVERY;
        if self.told_at.is_none_or(is_due) {
            tracing::warn!(
                client.address = %address,
                count = self.count,
                "connections were closed: their address has as many as it may (setting address_connections_max)"
            );
            *self = Self {
                count: 0,
                told_at: Some(Instant::now()),
            };
        }
    }
}
