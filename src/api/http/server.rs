//! HTTP server for accepted connections, with bounds on time and memory.
//!
//! poem's own server is not used: it does not bound the streams of a connection or the time for a request head.
//! Every bound that hyper offers is set here, including those whose default would do.

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use poem::{
    Endpoint, Request,
    http::uri::Scheme,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    activity::{Activity, End},
    connection::{Connection, Place},
    taking::{Streams, Taken},
};
use crate::config::Config;

/// Maximum number of bytes that are buffered of a request head, and of a response, over HTTP/1. Larger than the
/// longest URL (64 KiB), so that a URL that is too long can be distinguished from a head that is too long.
const HTTP1_BUFFER_BYTES: usize = 128 * 1024;
const HTTP1_HEADERS_MAX: usize = 100;
/// Maximum number of bytes of a request head over HTTP/2.
const HTTP2_HEAD_BYTES: u32 = 16 * 1024;
/// Maximum number of body bytes that wait to be read, per stream and per connection.
const HTTP2_WINDOW_BYTES: u32 = 256 * 1024;
/// Maximum number of bytes that wait to be sent, per stream.
const HTTP2_SEND_BYTES: usize = 64 * 1024;
const HTTP2_FRAME_BYTES: u32 = 16 * 1024;
/// Maximum number of streams that a client has reset before the hub accepted them.
const HTTP2_RESET_MAX: usize = 20;
/// Maximum number of streams that the hub has reset because of protocol errors of the client.
const HTTP2_FAULTS_MAX: usize = 1024;
/// Interval of the pings that check if an idle HTTP/2 client is still there.
const HTTP2_PING_EVERY: Duration = Duration::from_secs(30);
const HTTP2_PONG_WITHIN: Duration = Duration::from_secs(20);
/// Longest time for a client to close an idle connection after the hub has announced its end.
const HANG_UP_WITHIN: Duration = Duration::from_secs(5);
/// Longest time to wait for clients to send or read when the hub stops.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// An HTTP server. Cheap to clone.
pub struct Server<E>(Arc<Inner<E>>);

struct Inner<E> {
    endpoint: E,
    tls: TlsAcceptor,
    address: SocketAddr,
    bounds: Bounds,
    connections: TaskTracker,
    stopping: Stopping,
}

struct Bounds {
    head_timeout: Duration,
    write_timeout: Duration,
    streams_max: u32,
}

/// Stages of the shutdown.
#[derive(Clone, Default)]
pub struct Stopping {
    /// No new work begins.
    pub begun: CancellationToken,
    /// Requests that have not arrived completely are no longer waited for.
    pub cut: CancellationToken,
    /// All connections are closed.
    over: CancellationToken,
}

impl<E> Clone for Server<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<E: Endpoint + 'static> Server<E> {
    /// Returns a server at this address that accepts requests until the shutdown begins.
    pub fn new(
        endpoint: E,
        tls: TlsAcceptor,
        address: SocketAddr,
        config: &Config,
        stopping: Stopping,
    ) -> Self {
        Self(Arc::new(Inner {
            endpoint,
            tls,
            address,
            bounds: Bounds {
                head_timeout: Duration::from_secs(config.head_timeout_s),
                write_timeout: Duration::from_secs(config.write_timeout_s),
                streams_max: config.connection_streams_max,
            },
            connections: TaskTracker::new(),
            stopping,
        }))
    }

    /// Serves a connection in a new task.
    pub fn serve(&self, stream: TcpStream, remote: SocketAddr, place: Place) {
        let server = self.0.clone();
        let over = self.0.stopping.over.clone();
        let connection =
            over.run_until_cancelled_owned(async move { server.talk(stream, remote, place).await });
        self.0.connections.spawn(connection);
    }

    /// Waits for the connections to end after the shutdown has begun, at most for `within`; closes the
    /// remaining ones.
    pub async fn end(&self, within: Duration) {
        let Inner {
            connections,
            stopping,
            ..
        } = &*self.0;
        connections.close();
        let cut = async {
            sleep(LAST_WORDS).await;
            stopping.cut.cancel();
            connections.wait().await;
        };
        let ended = timeout(within, async {
            tokio::select! {
                () = connections.wait() => {}
                () = cut => {}
            }
        });
        if ended.await.is_err() {
            tracing::warn!("{} connections are closed half way", connections.len());
        }
        stopping.cut.cancel();
        stopping.over.cancel();
        connections.wait().await;
    }
}

impl<E: Endpoint + 'static> Inner<E> {
    async fn talk(self: Arc<Self>, stream: TcpStream, remote: SocketAddr, place: Place) {
        let activity = Arc::new(Activity::new(self.bounds.head_timeout));
        let patience = self.bounds.write_timeout;
        let opening = Connection::open(stream, &self.tls, patience, &activity, place);
        let opening = timeout(self.bounds.head_timeout, opening);
        let opened = self.stopping.begun.run_until_cancelled(opening).await;
        let Some(Ok(Ok((connection, scheme)))) = opened else {
            return;
        };
        let gone = CancellationToken::new();
        let _gone = gone.clone().drop_guard();
        let builder = self.builder(gone);
        let (server, served) = (self.clone(), activity.clone());
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let running = served.begin(request.version());
            let (server, scheme) = (server.clone(), scheme.clone());
            async move {
                let response = server.answer(request, remote, scheme).await;
                Ok::<_, Infallible>(response.map(|body| Taken::new(body, running)))
            }
        });
        let io = TokioIo::new(connection);
        let mut talk = pin!(builder.serve_connection_with_upgrades(io, service));
        let end = tokio::select! {
            _ = &mut talk => return,
            end = activity.end() => Some(end),
            () = self.stopping.begun.cancelled() => None,
        };
        match end {
            Some(End::Late) => {
                tracing::debug!(client.address = %remote.ip(), "the head of a request came too slowly");
            }
            Some(End::Idle) => {
                talk.as_mut().graceful_shutdown();
                let _ = timeout(HANG_UP_WITHIN, talk).await;
            }
            None => {
                talk.as_mut().graceful_shutdown();
                tokio::select! {
                    _ = talk => {}
                    () = at_rest(&activity) => {}
                }
            }
        }
    }

    async fn answer(
        &self,
        request: hyper::Request<Incoming>,
        remote: SocketAddr,
        scheme: Scheme,
    ) -> hyper::Response<BoxBody<Bytes, io::Error>> {
        let (local, remote) = (LocalAddr(self.address.into()), RemoteAddr(remote.into()));
        let request = Request::from((request, local, remote, scheme));
        self.endpoint.get_response(request).await.into()
    }

    fn builder(&self, gone: CancellationToken) -> Builder<Streams> {
        let bounds = &self.bounds;
        let mut builder = Builder::new(Streams {
            patience: bounds.write_timeout,
            patience_at_stop: LAST_WORDS,
            stop: self.stopping.begun.clone(),
            gone,
        });
        builder
            .http1()
            .timer(TokioTimer::new())
            // Hyper's own timeout is off: [`Activity`] also distinguishes a late head from an idle connection.
            .header_read_timeout(None::<Duration>)
            .max_headers(HTTP1_HEADERS_MAX)
            .max_buf_size(HTTP1_BUFFER_BYTES);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(bounds.streams_max)
            .max_pending_accept_reset_streams(HTTP2_RESET_MAX)
            .max_local_error_reset_streams(HTTP2_FAULTS_MAX)
            .initial_stream_window_size(HTTP2_WINDOW_BYTES)
            .initial_connection_window_size(HTTP2_WINDOW_BYTES)
            .max_frame_size(HTTP2_FRAME_BYTES)
            .max_header_list_size(HTTP2_HEAD_BYTES)
            .max_send_buf_size(HTTP2_SEND_BYTES)
            .keep_alive_interval(HTTP2_PING_EVERY)
            .keep_alive_timeout(HTTP2_PONG_WITHIN);
        builder
    }
}

/// Waits until a connection needs no more work of the hub, checking every [`LAST_WORDS`].
async fn at_rest(activity: &Activity) {
    loop {
        sleep(LAST_WORDS).await;
        if activity.is_at_rest() {
            return;
        }
    }
}
