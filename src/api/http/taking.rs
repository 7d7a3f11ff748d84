//! Responses to clients that read slowly.
//!
//! A body is passed to the HTTP library in small pieces, so that little of it is buffered there. Over HTTP/1
//! the socket bounds the time in which a client reads nothing. The streams of HTTP/2 have windows of their own,
//! which a client may keep closed while the connection goes on, so each stream has its own timeout.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use hyper::{
    body::{Body, Frame, SizeHint},
    rt::Executor,
};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::activity::Running;

/// Maximum number of body bytes that are passed on at a time.
const PIECE_BYTES: usize = 16 * 1024;

tokio::task_local! {
    /// Peer of the HTTP/2 stream that the current task serves.
    static PEER: Arc<Peer>;
}

/// Peer of one stream, with the time since when a piece waits to be read; `None` if nothing waits.
#[derive(Default)]
struct Peer(Mutex<Option<Instant>>);

/// Body of a response.
pub struct Taken {
    body: BoxBody<Bytes, io::Error>,
    /// Rest of the current frame.
    rest: Bytes,
    peer: Option<Arc<Peer>>,
    _running: Running,
}

impl Taken {
    /// Returns the body of the response to a request.
    pub fn new(body: BoxBody<Bytes, io::Error>, running: Running) -> Self {
        let peer = PEER.try_with(Clone::clone).ok();
        if let Some(peer) = &peer {
            peer.set(Some(Instant::now()));
        }
        Self {
            body,
            rest: Bytes::new(),
            peer,
            _running: running,
        }
    }

    fn next_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.rest.is_empty() {
            let next = Pin::new(&mut self.body).poll_frame(context);
            match next {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                other => return other,
            }
        }
        let length = self.rest.len().min(PIECE_BYTES);
        let piece = self.rest.split_to(length);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

impl Body for Taken {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let next = self.next_piece(context);
        if let Some(peer) = &self.peer {
            peer.set(next.is_ready().then(Instant::now));
        }
        next
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

impl Peer {
    fn set(&self, since: Option<Instant>) {
        *self.lock() = since;
    }

    /// Restarts the timeout if a piece waits.
    fn restart(&self) {
        let mut since = self.lock();
        *since = since.map(|_| Instant::now());
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a piece has waited for the peer for `patience`.
    async fn fails(&self, patience: Duration) {
        loop {
            let now = Instant::now();
            let since = self.lock().unwrap_or(now);
            if now.duration_since(since) >= patience {
                return;
            }
            sleep_until(since + patience).await;
        }
    }
}

/// Runs the streams of one HTTP/2 connection.
#[derive(Clone)]
pub struct Streams {
    /// Longest time in which a peer may read nothing.
    pub patience: Duration,
    /// The same once the hub stops.
    pub patience_at_stop: Duration,
    /// Cancelled when the hub stops.
    pub stop: CancellationToken,
    /// Cancelled when the connection is closed.
    pub gone: CancellationToken,
}

impl<F> Executor<F> for Streams
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let (streams, peer) = (self.clone(), Arc::<Peer>::default());
        tokio::spawn(PEER.scope(peer.clone(), async move {
            let fails_at_stop = async {
                streams.stop.cancelled().await;
                peer.restart();
                peer.fails(streams.patience_at_stop).await;
            };
            tokio::select! {
                // A stream that is dropped when another branch ends is reset.
                _ = stream => {}
                () = peer.fails(streams.patience) => {}
                () = fails_at_stop => {}
                () = streams.gone.cancelled() => {}
            }
        }));
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};
    use poem::http::Version;

    use super::*;
    use crate::api::http::activity::Activity;

    const PATIENCE: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn a_body_goes_out_in_pieces_and_is_not_copied() {
        let bytes = Bytes::from(vec![7; 2 * PIECE_BYTES + 100]);
        let body = Full::new(bytes.clone()).map_err(|never| match never {});
        let activity = Arc::new(Activity::new(Duration::MAX));
        let running = activity.begin(Version::HTTP_11);
        let mut taken = Taken::new(body.boxed(), running);
        let mut at = 0;
        while at < bytes.len() {
            assert!(!taken.is_end_stream());
            let left = (bytes.len() - at) as u64;
            assert_eq!(taken.size_hint().exact(), Some(left));
            let piece = taken.frame().await.unwrap().unwrap().into_data().unwrap();
            assert!(piece.len() <= PIECE_BYTES);
            assert_eq!(piece.as_ptr(), bytes[at..].as_ptr());
            at += piece.len();
        }
        assert!(taken.is_end_stream());
        assert!(!activity.is_at_rest());
        drop(taken);
        assert!(activity.is_at_rest());
    }

    #[tokio::test]
    async fn a_peer_fails_only_where_something_waits_for_it() {
        let peer = Arc::<Peer>::default();
        let body = Full::new(Bytes::from("text")).map_err(|never| match never {});
        let running = Arc::new(Activity::new(Duration::MAX)).begin(Version::HTTP_2);
        let new = async { Taken::new(body.boxed(), running) };
        let mut taken = PEER.scope(peer.clone(), new).await;
        // The head of the response waits.
        peer.fails(PATIENCE).await;
        // The only piece waits.
        taken.frame().await.unwrap().unwrap();
        peer.fails(PATIENCE).await;
        // Nothing waits, as in an event stream without new events.
        peer.set(None);
        let failed = tokio::time::timeout(5 * PATIENCE, peer.fails(PATIENCE));
        assert!(failed.await.is_err());
    }
}
