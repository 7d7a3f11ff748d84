//! A record of the traffic over an HTTP connection, to find out whether a request was answered.

use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::time::{Duration, Instant};
use tokio_rustls::rustls::{self, AlertDescription};

/// The traffic of one connection. Cheap to clone.
#[derive(Clone)]
pub struct Traffic(Arc<Seen>);

struct Seen {
    since: Instant,
    /// Number of requests that were begun.
    requests: AtomicUsize,
    /// True if bytes have arrived since the last request was begun.
    is_heard: AtomicBool,
    /// Reason why TLS has ended.
    refusal: OnceLock<String>,
}

impl Traffic {
    /// Starts the record of a new connection.
    pub fn new() -> Self {
        Self(Arc::new(Seen {
            since: Instant::now(),
            requests: AtomicUsize::new(0),
            is_heard: AtomicBool::new(true),
            refusal: OnceLock::new(),
        }))
    }

    /// Records that bytes are sent, or fail to be: after a response, they belong to another request.
    pub fn sending(&self) {
        if self.0.is_heard.swap(false, Ordering::Relaxed) {
            self.0.requests.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Records that bytes have arrived.
    pub fn heard(&self) {
        self.0.is_heard.store(true, Ordering::Relaxed);
    }

    /// Records the end of the stream. With TLS 1.3 a server checks the client's certificate when the
    /// handshake is over for the client, and may close the connection before a request is in progress, which
    /// then has no reason of its own.
    pub fn broken(&self, why: &io::Error) {
        if let Some(refusal) = tls_refusal(why) {
            let _ = self.0.refusal.set(refusal);
        }
    }

    /// Returns the reason why TLS has ended the connection, if it has.
    pub fn refusal(&self) -> Option<&str> {
        self.0.refusal.get().map(String::as_str)
    }

    /// Returns true if the last request was not the first one.
    pub fn is_reused(&self) -> bool {
        self.0.requests.load(Ordering::Relaxed) > 1
    }

    /// Returns true if the connection had served a request, and no bytes arrived for the next one: the
    /// server has closed it, most likely before it read that request.
    pub fn is_unanswered(&self) -> bool {
        self.is_reused() && !self.0.is_heard.load(Ordering::Relaxed)
    }

    /// Returns the time since the connection was made.
    pub fn age(&self) -> Duration {
        self.0.since.elapsed()
    }
}

/// Returns the reason why TLS ended a connection, as text; `None` if TLS did not end it.
pub fn tls_refusal(why: &io::Error) -> Option<String> {
    let error = why.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match error {
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "TLS: the server demands a client certificate".to_owned()
        }
        other => format!("the request failed: {other}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_follows_an_answer_can_be_unanswered() {
        let traffic = Traffic::new();
        traffic.sending();
        traffic.sending();
        assert!(!traffic.is_unanswered(), "the first request is no other");
        traffic.heard();
        assert!(!traffic.is_unanswered());
        traffic.sending();
        assert!(traffic.is_unanswered());
        traffic.heard();
        assert!(traffic.is_reused() && !traffic.is_unanswered());
    }

    #[test]
    fn the_first_refusal_of_tls_is_why_a_connection_ended() {
        let traffic = Traffic::new();
        let alert = |what| io::Error::other(rustls::Error::AlertReceived(what));
        traffic.broken(&io::ErrorKind::ConnectionReset.into());
        assert_eq!(traffic.refusal(), None);
        traffic.broken(&alert(AlertDescription::CertificateRequired));
        traffic.broken(&alert(AlertDescription::CertificateExpired));
        let reported = "TLS: the server demands a client certificate";
        assert_eq!(traffic.refusal(), Some(reported));
        let refusal = tls_refusal(&alert(AlertDescription::UnknownCA));
        assert_eq!(
            refusal.unwrap(),
            "the request failed: received fatal alert: UnknownCA"
        );
    }
}
