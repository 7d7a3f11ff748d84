//! The listener for metrics: an address of its own, without tokens, for monitoring systems.
//!
//! It serves HTTPS with the hub's certificate, and plain HTTP only where nobody can listen in between: on a loopback
//! address, or where the operator says so.

use std::time::Duration;

use futures_util::FutureExt;
use poem::Endpoint;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::{
    foundation::{Foundation, joined},
    front::Port,
};
use crate::{
    api::{
        self,
        http::{
            listener::Listener,
            server::{Server, Stopping},
        },
    },
    config::Config,
    hub::Hub,
    supervise,
};

/// Maximum number of connections: a few monitoring systems.
const CONNECTIONS_MAX: usize = 32;

/// Name of the setting, for errors.
const SETTING: &str = "metrics_listen";

/// The running listener. Its server ends when it is dropped.
pub struct MetricsPort<E> {
    server: Server<E>,
    stopping: Stopping,
    patience: Duration,
    accepting: JoinHandle<()>,
}

/// Binds the port if the setting names one.
pub async fn bind(config: &Config) -> Result<Option<Port>, String> {
    match config.metrics_listen {
        Some(address) => Ok(Some(Port::bind(SETTING, address).await?)),
        None => Ok(None),
    }
}

/// Starts to accept requests.
pub fn open(
    foundation: &Foundation,
    hub: Hub,
    port: Port,
    tls: TlsAcceptor,
) -> MetricsPort<impl Endpoint + 'static + use<>> {
    let stopping = Stopping::default();
    let config = Config {
        connections_max: CONNECTIONS_MAX.min(foundation.config.connections_max),
        ..Config::clone(&foundation.config)
    };
    let allows_plain = config.metrics_plain_http || port.address.ip().is_loopback();
    let endpoint = api::metrics_endpoint(hub, allows_plain, stopping.cut.clone());
    let server = Server::new(endpoint, tls, port.address, &config, stopping.clone());
    let accepting = Listener::new(
        port.listener,
        server.clone(),
        &config,
        stopping.begun.clone(),
        foundation.metrics.clone(),
    );
    let accepting = supervise::spawn("acceptor of metrics", accepting, |accepting| {
        accepting.run().boxed()
    });
    let scheme = match allows_plain {
        true => "http",
        false => "https",
    };
    tracing::info!("metrics are served on {scheme}://{}/metrics", port.address);
    MetricsPort {
        server,
        stopping,
        patience: Duration::from_secs(config.shutdown_timeout_s),
        accepting,
    }
}

impl<E: Endpoint + 'static> MetricsPort<E> {
    /// Stops accepting and waits for the requests in progress.
    pub async fn close(self) -> Result<(), String> {
        self.stopping.begun.cancel();
        let accepting = joined("the acceptor of metrics", self.accepting).await;
        self.server.end(self.patience).await;
        accepting
    }
}
