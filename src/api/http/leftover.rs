//! Unread rest of a request's body.
//!
//! A request that is refused early leaves its body unread. The connection would then be closed, and a client
//! that still sends, or sends its next request on it, would see a broken connection instead of the response. So
//! the rest is read, within bounds, before the response is sent. When the hub stops, bodies that have not
//! arrived are given up.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt, Stream, StreamExt, future::BoxFuture, stream::BoxStream};
use poem::{Body, Request};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Maximum number of unread bytes that are drained; beyond it, the connection is closed.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest time for draining.
const TIME_MAX: Duration = Duration::from_secs(10);

type Chunks = BoxStream<'static, io::Result<Bytes>>;

/// Unread rest of one request's body.
pub struct UnreadBody {
    left: oneshot::Receiver<Chunks>,
    cut: CancellationToken,
}

/// Mark that the request's body was given up; part of the request's data.
#[derive(Clone, Default)]
pub struct Unsent(Arc<AtomicBool>);

impl Unsent {
    /// True if the body was given up.
    pub fn is_given_up(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl UnreadBody {
    /// Watches the request's body, if it has one, and gives it up at `cut`.
    pub fn watch(request: &mut Request, cut: &CancellationToken) -> Option<Self> {
        let body = request.take_body();
        if body.is_empty() {
            request.set_body(body);
            return None;
        }
        let (rest, left) = oneshot::channel();
        let unsent = Unsent::default();
        let watched = Watched {
            chunks: Some(body.into_bytes_stream().boxed()),
            rest: Some(rest),
            cut: cut.clone().cancelled_owned().boxed(),
            unsent: unsent.clone(),
        };
        request.set_body(Body::from_bytes_stream(watched));
        request.set_data(unsent);
        Some(Self {
            left,
            cut: cut.clone(),
        })
    }

    /// Reads the rest of the body that the endpoint has not read.
    pub async fn drain(mut self) {
        let Ok(mut chunks) = self.left.try_recv() else {
            return;
        };
        let drained = tokio::time::timeout(TIME_MAX, async {
            let mut length = 0;
            while let Some(Ok(chunk)) = chunks.next().await {
                length += chunk.len();
                if length > BYTES_MAX {
                    break;
                }
            }
        });
        let drained = self.cut.run_until_cancelled(drained).await;
        if !matches!(drained, Some(Ok(()))) {
            tracing::debug!("an unread body did not end in time");
        }
    }
}

struct Watched {
    /// `None` at the end of the body.
    chunks: Option<Chunks>,
    rest: Option<oneshot::Sender<Chunks>>,
    cut: BoxFuture<'static, ()>,
    unsent: Unsent,
}

impl Stream for Watched {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(chunks) = &mut this.chunks else {
            return Poll::Ready(None);
        };
        let mut next = chunks.poll_next_unpin(context);
        if next.is_pending() && this.cut.poll_unpin(context).is_ready() {
            this.unsent.0.store(true, Ordering::Relaxed);
            let error = io::Error::other("the hub stops and waits no longer");
            next = Poll::Ready(Some(Err(error)));
        }
        if let Poll::Ready(None | Some(Err(_))) = next {
            this.chunks = None;
        }
        next
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let (Some(chunks), Some(rest)) = (self.chunks.take(), self.rest.take()) {
            // Sending fails if the request itself was dropped; then the rest is not needed.
            let _ = rest.send(chunks);
        }
    }
}
