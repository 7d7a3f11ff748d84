//! A proxy between a hub and its database that can go silent: no byte passes, and no connection ends.

use std::sync::Arc;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// Connections are numbered in their order.
#[derive(Clone, Copy, Default)]
struct State {
    accepted: u64,
    /// Connections up to this number pass no bytes.
    silent_to: u64,
    /// Connections up to this number are closed.
    closed_to: u64,
}

pub struct Proxy {
    /// The URL of the database, through here.
    pub url: String,
    state: Arc<watch::Sender<State>>,
    server: JoinHandle<()>,
}

impl Proxy {
    /// Stands before the database with this URL.
    pub async fn start(url: &str) -> Self {
        let mut through = url::Url::parse(url).unwrap();
        let behind = format!(
            "{}:{}",
            through.host_str().unwrap(),
            through.port().unwrap_or(5432)
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        through.set_host(Some("127.0.0.1")).unwrap();
        through
            .set_port(Some(listener.local_addr().unwrap().port()))
            .unwrap();
        let state = Arc::new(watch::Sender::new(State::default()));
        let shared = state.clone();
        let server = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                shared.send_modify(|state| state.accepted += 1);
                let (number, seen) = (shared.borrow().accepted, shared.subscribe());
                let behind = behind.clone();
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(behind).await {
                        pass(client, server, number, seen).await;
                    }
                });
            }
        });
        Self {
            url: through.into(),
            state,
            server,
        }
    }

    /// Lets nothing pass, also of connections that are still to come.
    pub fn fall_silent(&self) {
        self.state.send_modify(|state| state.silent_to = u64::MAX);
    }

    /// Lets everything pass again, with what has waited.
    pub fn speak(&self) {
        self.state.send_modify(|state| state.silent_to = 0);
    }

    /// Forgets the connections that there are, as a router does: they go silent and never speak again.
    pub fn forget(&self) {
        self.state
            .send_modify(|state| state.silent_to = state.accepted);
    }

    /// Closes the connections that were forgotten.
    pub fn close_forgotten(&self) {
        self.state.send_modify(|state| {
            state.closed_to = state.silent_to;
            state.silent_to = 0;
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Passes both directions until one ends or the connection is closed.
async fn pass(client: TcpStream, server: TcpStream, number: u64, seen: watch::Receiver<State>) {
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut seen_closed = seen.clone();
    let closed = async {
        let _ = seen_closed
            .wait_for(|state| number <= state.closed_to)
            .await;
    };
    tokio::select! {
        () = copy(from_client, to_server, number, seen.clone()) => {}
        () = copy(from_server, to_client, number, seen) => {}
        () = closed => {}
    }
}

async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    number: u64,
    mut seen: watch::Receiver<State>,
) {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let length = from.read(&mut bytes).await.unwrap_or_default();
        // The end of a connection is as silent as its bytes.
        let is_open = seen
            .wait_for(|state| number > state.silent_to)
            .await
            .is_ok();
        if !is_open || length == 0 || to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}
