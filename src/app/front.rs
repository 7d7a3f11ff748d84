//! The entry point of messages and requests: the listening port, the API behind it, and the subscriptions.

use std::{net::SocketAddr, time::Duration};

use futures_util::FutureExt;
use poem::Endpoint;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_rustls::TlsAcceptor;

use super::foundation::{Foundation, joined};
use crate::{
    api::{
        self, Tasks,
        http::{
            listener::Listener,
            server::{Server, Stopping},
        },
    },
    hub::Hub,
    supervise,
    uplink::{Subscriber, UplinkPath},
};

/// A bound port.
pub struct Port {
    pub(super) listener: TcpListener,
    /// Its address.
    pub address: SocketAddr,
}

/// The running entry point. Its server ends when it is dropped.
pub struct Front<E> {
    stopping: Stopping,
    patience: Duration,
    server: Server<E>,
    tasks: Tasks,
    accepting: JoinHandle<()>,
    subscribing: JoinHandle<()>,
}

impl Port {
    /// Binds the port; an error names the setting.
    pub async fn bind(setting: &str, address: SocketAddr) -> Result<Self, String> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| format!("setting {setting}: {address}: {error}"))?;
        let address = listener
            .local_addr()
            .map_err(|error| format!("setting {setting}: {error}"))?;
        Ok(Self { listener, address })
    }
}

/// Starts to accept messages and requests.
pub fn open(
    foundation: &Foundation,
    hub: Hub,
    uplinks: UplinkPath,
    port: Port,
    tls: TlsAcceptor,
    stopping: Stopping,
) -> Front<impl Endpoint + 'static + use<>> {
    let config = &foundation.config;
    let tasks = Tasks::default();
    let endpoint = api::endpoint(hub, &uplinks, tasks.clone(), stopping.cut.clone());
    let subscriber = Subscriber::new(
        foundation.store.clone(),
        foundation.vault.clone(),
        foundation.guard.clone(),
        uplinks,
    );
    let stop = stopping.begun.clone();
    let subscribing = supervise::spawn("subscriber", subscriber, move |subscriber| {
        subscriber.run(stop.clone()).boxed()
    });
    let server = Server::new(endpoint, tls, port.address, config, stopping.clone());
    let accepting = Listener::new(
        port.listener,
        server.clone(),
        config,
        stopping.begun.clone(),
        foundation.metrics.clone(),
    );
    let accepting = supervise::spawn("acceptor", accepting, |accepting| accepting.run().boxed());
    Front {
        stopping,
        patience: Duration::from_secs(config.shutdown_timeout_s),
        server,
        tasks,
        accepting,
        subscribing,
    }
}

impl<E: Endpoint + 'static> Front<E> {
    /// Stops accepting, and waits for everything that was accepted, including requests whose clients have
    /// gone.
    pub async fn close(self) -> Result<(), String> {
        self.stopping.begun.cancel();
        let _ = self.accepting.await;
        self.server.end(self.patience).await;
        // Drops the server's handles of the writer, which ends once everything is written.
        drop(self.server);
        // Requests whose clients have gone still run to their end.
        self.tasks.end(self.patience).await;
        joined("the subscriptions", self.subscribing).await
    }
}
