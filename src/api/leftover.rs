//! What is left of a request's body when its answer is ready.
//!
//! A request that is refused early leaves its body unread. The connection would be closed then, and
//! a client that still sends, or sends its next request on it, would see a broken connection in
//! place of an answer. So the rest is read, within bounds, before the answer goes.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream::BoxStream};
use poem::{Body, Request};
use tokio::sync::oneshot;

/// Most that is read for nothing; beyond, the connection is closed.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest time for it.
const TIME_MAX: Duration = Duration::from_secs(10);

type Chunks = BoxStream<'static, std::io::Result<Bytes>>;

/// The rest of one request's body.
pub struct Leftover(oneshot::Receiver<Chunks>);

impl Leftover {
    /// Watches the request's body, if it has one.
    pub fn watch(request: &mut Request) -> Option<Self> {
        let headers = request.headers();
        let has_body =
            headers.contains_key("transfer-encoding") || headers.contains_key("content-length");
        if !has_body {
            return None;
        }
        let (rest, left) = oneshot::channel();
        let watched = Watched {
            chunks: Some(request.take_body().into_bytes_stream().boxed()),
            rest: Some(rest),
        };
        request.set_body(Body::from_bytes_stream(watched));
        Some(Self(left))
    }

    /// Reads what nobody has read.
    pub async fn drain(mut self) {
        let Ok(mut chunks) = self.0.try_recv() else {
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
        if drained.await.is_err() {
            tracing::debug!("an unread body did not end in time");
        }
    }
}

struct Watched {
    /// `None` once it has ended.
    chunks: Option<Chunks>,
    rest: Option<oneshot::Sender<Chunks>>,
}

impl Stream for Watched {
    type Item = std::io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(chunks) = &mut self.chunks else {
            return Poll::Ready(None);
        };
        let next = chunks.poll_next_unpin(context);
        if let Poll::Ready(None | Some(Err(_))) = next {
            self.chunks = None;
        }
        next
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let (Some(chunks), Some(rest)) = (self.chunks.take(), self.rest.take()) {
            // Nobody waits when the request itself has ended.
            let _ = rest.send(chunks);
        }
    }
}
