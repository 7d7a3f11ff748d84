//! The server's certificate: the operator's, or one that the hub generates. Either may change while the hub
//! runs: new connections use the new one, and open connections continue.
//!
//! The files are checked every few seconds, and at once on SIGHUP. A pair that cannot be read or does not
//! match is not used: an operator replaces certificate and key one after the other, so there is a moment at
//! which they do not match.

mod health;
mod own;

use std::{
    fs,
    os::unix::fs::MetadataExt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};
use tokio::{signal::unix::Signal, task::spawn_blocking, time::MissedTickBehavior};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        crypto::CryptoProvider,
        server::{ClientHello, ResolvesServerCert},
        sign::CertifiedKey,
    },
};
use tokio_util::sync::CancellationToken;
use x509_cert::{Certificate, der::Decode};

pub use health::Health;

use crate::{clock, config::Config};

/// Interval between two checks of the files.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Days before its expiry at which the hub's own certificate is renewed.
const RENEW_DAYS: i64 = 30;
/// Days before its expiry from which on the hub warns about an operator's certificate.
const WARN_DAYS: i64 = 14;
/// Delay before a retry after a failure, such as a renewal on a full disk.
const AGAIN: Duration = Duration::from_secs(3600);

/// The certificate and key that new connections use.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl Shown {
    fn now(&self) -> Arc<CertifiedKey> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn change(&self, pair: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now())
    }
}

/// The files of a certificate and its key.
struct Files {
    cert: PathBuf,
    key: PathBuf,
}

/// Device, inode, size and times of a file; they differ if the file was replaced or changed.
type Stamp = Option<(u64, u64, u64, (i64, i64), (i64, i64))>;

/// Keeps the certificate of new connections up to date with the files.
pub struct Watch {
    shown: Arc<Shown>,
    files: Files,
    provider: Arc<CryptoProvider>,
    /// Renews the certificate; `None` if it is the operator's.
    own: Option<own::Own>,
    health: Health,
    /// State of the files at the last check.
    seen: (Stamp, Stamp),
    /// State of the files when they were last read.
    read: (Stamp, Stamp),
    renew_at: Instant,
    warn_at: Instant,
}

/// Fails if the operator's certificate and key cannot be used. The error is one line that names the setting.
pub fn check(config: &Config) -> Result<(), String> {
    let (Some(cert), Some(key)) = (&config.tls_cert, &config.tls_key) else {
        return Ok(());
    };
    let (cert, key) = (cert.clone(), key.clone());
    let files = Files { cert, key };
    files
        .read(&rustls::crypto::ring::default_provider())
        .map(drop)
}

/// Returns the TLS acceptor, and the watch that keeps its certificate up to date. The error is one line that
/// names the setting.
pub fn open(config: &Config) -> Result<(TlsAcceptor, Watch), String> {
    let (files, own) = match (&config.tls_cert, &config.tls_key) {
        (Some(cert), Some(key)) => {
            let (cert, key) = (cert.clone(), key.clone());
            (Files { cert, key }, None)
        }
        _ => {
            let own = own::Own::prepare(config)?;
            (own.files(), Some(own))
        }
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let stamps = files.stamps();
    let shown = Arc::new(Shown(RwLock::new(Arc::new(files.read(&provider)?))));
    let mut server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))?
        .with_no_client_auth()
        .with_cert_resolver(shown.clone());
    // In order of preference; HTTP/1.0 is for old clients that offer nothing else.
    server.alpn_protocols = [b"h2".as_slice(), b"http/1.1", b"http/1.0"]
        .map(<[u8]>::to_vec)
        .into();
    let mut watch = Watch {
        shown,
        files,
        provider,
        own,
        health: Health::default(),
        seen: stamps,
        read: stamps,
        renew_at: Instant::now(),
        warn_at: Instant::now(),
    };
    // A certificate that is about to expire is renewed before the first client sees it.
    watch.see_to_its_end();
    Ok((TlsAcceptor::from(Arc::new(server)), watch))
}

impl Files {
    fn read(&self, provider: &CryptoProvider) -> Result<CertifiedKey, String> {
        let Self { cert, key } = self;
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(cert)
            .and_then(Iterator::collect)
            .map_err(|error| format!("setting tls_cert: {}: {error}", cert.display()))?;
        if chain.is_empty() {
            let cert = cert.display();
            return Err(format!(
                "setting tls_cert: {cert}: there is no certificate in PEM"
            ));
        }
        let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| {
            let key = key.display();
            match error {
                pem::Error::NoItemsFound => {
                    format!("setting tls_key: {key}: there is no private key in PEM")
                }
                error => format!("setting tls_key: {key}: {error}"),
            }
        })?;
        CertifiedKey::from_der(chain, key_der, provider)
            .and_then(|pair| pair.end_entity_cert().map(|_| ()).map(|()| pair))
            .map_err(|error| format!("settings tls_cert and tls_key: {error}"))
    }

    fn stamps(&self) -> (Stamp, Stamp) {
        (stamp(&self.cert), stamp(&self.key))
    }
}

fn stamp(file: &Path) -> Stamp {
    let found = fs::metadata(file).ok()?;
    let modified = (found.mtime(), found.mtime_nsec());
    let changed = (found.ctime(), found.ctime_nsec());
    Some((found.dev(), found.ino(), found.len(), modified, changed))
}

impl Watch {
    /// Returns the state of the certificate, which the watch keeps up to date.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Checks the files periodically until `stop`, and at once on each signal from `told`.
    pub async fn run(mut self, mut told: Signal, stop: CancellationToken) {
        let mut tick = tokio::time::interval(LOOK_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_told = tokio::select! {
                () = stop.cancelled() => return,
                Some(()) = told.recv() => true,
                _ = tick.tick() => false,
            };
            let looking = spawn_blocking(move || {
                // A panic caused by the current files must not end the watch: later files may be fine.
                let looked = catch_unwind(AssertUnwindSafe(|| self.look(is_told)));
                (self, looked.is_err())
            });
            match looking.await {
                Ok((back, is_broken)) => {
                    self = back;
                    if is_broken {
                        tracing::error!("the look at the certificate broke");
                    }
                }
                // The runtime is shutting down.
                Err(_) => return,
            }
        }
    }

    /// Reads the files once they have changed and are stable since the last check, so that it is unlikely to
    /// see a new certificate with an old key.
    fn look(&mut self, is_told: bool) {
        let now = self.files.stamps();
        let is_at_rest = now == self.seen;
        self.seen = now;
        if is_told || (is_at_rest && now != self.read) {
            self.reload();
        }
        self.see_to_its_end();
    }

    fn reload(&mut self) {
        // Taken before reading: if the files change meanwhile, they are read again.
        self.read = self.files.stamps();
        let read = self.files.read(&self.provider);
        self.health.note_reload(read.is_ok());
        match read {
            Ok(pair) if pair.cert == self.shown.now().cert => {
                tracing::info!("the certificate is the same as before");
                // The key or the rest of the chain may have changed all the same.
                self.shown.change(pair);
            }
            Ok(pair) => {
                let end = end(&pair).map_or_else(String::new, |end| format!(", valid until {end}"));
                self.shown.change(pair);
                self.warn_at = Instant::now();
                tracing::info!("new connections get the new certificate{end}");
            }
            Err(error) => {
                let end = end(&self.shown.now());
                let end = end.map_or_else(String::new, |end| format!(", valid until {end}"));
                tracing::error!(
                    "the changed certificate files cannot be used: the certificate stays the one of \
                     before{end}: {error}"
                );
            }
        }
    }

    fn is_good_for_long(&self) -> bool {
        end(&self.shown.now()).is_some_and(|end| days_to(end) >= RENEW_DAYS)
    }

    /// Renews the hub's own certificate, or warns about an operator's one, when it is close to its expiry.
    fn see_to_its_end(&mut self) {
        let now = Instant::now();
        let shown = self.shown.now();
        let end = end(&shown);
        self.health.note_end(end);
        let Some(end) = end else { return };
        let days = days_to(end);
        let is_own = parsed(&shown).is_some_and(|certificate| own::is_own(&certificate));
        let own = self.own.as_ref().filter(|_| is_own);
        match own {
            Some(own) if days < RENEW_DAYS && now >= self.renew_at => {
                self.renew_at = now + AGAIN;
                match own.renew() {
                    Ok(()) => {
                        self.reload();
                        self.health.note_end(self::end(&self.shown.now()));
                    }
                    Err(error) => {
                        self.health.note_reload(false);
                        tracing::error!("{error}");
                    }
                }
                if self.is_good_for_long() {
                    self.renew_at = now;
                }
            }
            None if days < WARN_DAYS && now >= self.warn_at => {
                self.warn_at = now + AGAIN * 24;
                tracing::warn!("the certificate ends at {end}: put a new one in its place");
            }
            _ => {}
        }
    }
}

fn days_to(end: clock::Time) -> i64 {
    (end - clock::now()).num_days()
}

/// Returns the expiry of a certificate; `None` if it cannot be parsed.
fn end(pair: &CertifiedKey) -> Option<clock::Time> {
    let seconds = parsed(pair)?.tbs_certificate.validity.not_after;
    let seconds = i64::try_from(seconds.to_unix_duration().as_secs()).ok()?;
    chrono::DateTime::from_timestamp(seconds, 0)
}

fn parsed(pair: &CertifiedKey) -> Option<Certificate> {
    Certificate::from_der(pair.cert.first()?).ok()
}
