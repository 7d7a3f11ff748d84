//! The connection with a server, up to the session of SFTP.

use std::{borrow::Cow, sync::Arc, time::Duration};

use russh::{
    Preferred,
    client::{self, AuthResult, Config, Handle, Handler},
    compression,
    keys::{HashAlg, PrivateKeyWithHashAlg, PublicKeyOrCertificate},
};
use russh_sftp::client::{Config as SftpConfig, RawSftpSession};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Host;

use super::{
    settings::{Login, SeenKey, Settings},
    tied::Tied,
};
use crate::outgoing::{Counted, Guard, dial};

/// Maximum number of bytes that a server may send between two packets of ours.
const UNASKED_MAX_BYTES: usize = 256 * 1024;
/// Size of the window for what the server sends: its answers are short.
const WINDOW: u32 = 128 * 1024;
/// Maximum size of a packet of SFTP.
const PACKET_MAX: u32 = 64 * 1024;
/// Number of packets that may wait to be read.
const BUFFERED: usize = 8;
/// Version of SFTP.
const VERSION: u32 = 3;
/// Maximum time for the login.
const LOGIN_MAX: Duration = Duration::from_secs(30);

/// Checks the key of the server.
pub struct Check {
    pinned: Option<String>,
    seen: SeenKey,
}

impl Handler for Check {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else {
            return Ok(false);
        };
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        let is_pinned = self.pinned.as_ref() == Some(&fingerprint);
        self.seen.set(fingerprint);
        Ok(is_pinned)
    }
}

/// A session of SFTP, and the connection that it needs.
pub struct Link {
    pub sftp: RawSftpSession,
    /// True if the server stores a file on its disk on request.
    pub has_fsync: bool,
    /// Held for as long as the session is used: the connection ends with it.
    _connection: Handle<Check>,
    _end: DropGuard,
}

/// Connects to a server and logs in. The error is a text for people.
pub async fn open(guard: &Guard, settings: &Settings, seen: &SeenKey) -> Result<Link, String> {
    let within = settings.timeout.min(LOGIN_MAX);
    let opened = timeout(within, log_in(guard, settings, seen)).await;
    opened.map_err(|_| format!("login: no answer within {} seconds", within.as_secs()))?
}

async fn log_in(guard: &Guard, settings: &Settings, seen: &SeenKey) -> Result<Link, String> {
    let host = Host::parse(&settings.host).map_err(|error| format!("host: {error}"))?;
    let socket = dial::connect(guard, &dial::borrowed(&host), settings.port).await?;
    let token = CancellationToken::new();
    let end = token.clone().drop_guard();
    let socket = Tied::new(Counted::new(socket, UNASKED_MAX_BYTES), &token);
    let check = Check {
        pinned: settings.host_key.clone(),
        seen: seen.clone(),
    };
    let connected = client::connect_stream(Arc::new(config(settings.timeout)), socket, check);
    let mut connection = connected
        .await
        .map_err(|error| refusal(&error, settings, seen))?;
    let user = settings.username.clone();
    let answer = match &settings.login {
        Login::Password(password) => connection.authenticate_password(user, password).await,
        Login::Key(key) => {
            let hash = match key.algorithm().is_rsa() {
                true => connection.best_supported_rsa_hash().await,
                false => Ok(None),
            };
            let hash = hash.map_err(|error| format!("login: {error}"))?.flatten();
            let key = PrivateKeyWithHashAlg::new(key.clone(), hash);
            connection.authenticate_publickey(user, key).await
        }
    };
    match answer.map_err(|error| format!("login: {error}"))? {
        AuthResult::Success => {}
        AuthResult::Failure {
            partial_success: true,
            ..
        } => return Err("login: the server wants a second factor".to_owned()),
        AuthResult::Failure { .. } => {
            let proof = match settings.login {
                Login::Password(_) => "password",
                Login::Key(_) => "private key",
            };
            return Err(format!(
                "login: the server refuses the username or the {proof}"
            ));
        }
    }
    let channel = connection.channel_open_session().await;
    let channel = channel.map_err(|error| format!("SFTP: no channel: {error}"))?;
    let asked = channel.request_subsystem(true, "sftp").await;
    asked.map_err(|error| format!("SFTP: {error}"))?;
    let limits = SftpConfig {
        max_packet_len: PACKET_MAX,
        request_timeout_secs: settings.timeout.as_secs().max(1),
        ..SftpConfig::default()
    };
    let stream = Tied::new(channel.into_stream(), &token);
    let sftp = RawSftpSession::new_with_config(stream, limits);
    let version = sftp.init().await;
    let version = version.map_err(|_| "the server does not offer SFTP".to_owned())?;
    if version.version != VERSION {
        let version = version.version;
        return Err(format!(
            "the server offers version {version} of SFTP, and not {VERSION}"
        ));
    }
    Ok(Link {
        has_fsync: version.extensions.contains_key("fsync@openssh.com"),
        sftp,
        _connection: connection,
        _end: end,
    })
}

fn config(timeout: Duration) -> Config {
    Config {
        window_size: WINDOW,
        channel_buffer_size: BUFFERED,
        preferred: Preferred {
            // A compressed answer could be far larger than the bytes that are counted.
            compression: Cow::Borrowed(&[compression::NONE]),
            ..Preferred::DEFAULT
        },
        inactivity_timeout: Some(timeout * 2),
        ..Config::default()
    }
}

/// Explains why no connection came about.
fn refusal(error: &russh::Error, settings: &Settings, seen: &SeenKey) -> String {
    let russh::Error::UnknownKey = error else {
        return format!("no connection: {error}");
    };
    match (seen.get(), &settings.host_key) {
        (Some(shown), Some(pinned)) => format!(
            "host_key: the key of the server is {shown}, and not {pinned}; no login was attempted"
        ),
        (Some(shown), None) => format!(
            "host_key: is not set, and the key of the server is {shown}; no login was attempted"
        ),
        (None, _) => "host_key: the server has shown a certificate in place of a key".to_owned(),
    }
}
