//! Connects and logs in: through the guard, with TLS, the password, and the server's greeting.

use std::sync::Arc;

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::{
    authentication::{
        md5_hash,
        sasl::{SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256},
    },
    message::{
        backend::{AuthenticationSaslBody, Message},
        frontend,
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::rustls::ClientConfig;
use url::Host;

use super::{binding, failure::Failure, wire::Wire};
use crate::outgoing::{Guard, HeavyWork, dial};

/// A database on a server, with the user and the password.
pub struct Server {
    /// The server's name or address.
    pub host: Host<String>,
    /// Its port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The user.
    pub username: String,
    /// Password of the user, if there is one.
    pub password: Option<String>,
    /// The configuration of TLS; `None`: the connection is not encrypted.
    pub tls: Option<Arc<ClientConfig>>,
    /// Limits the proofs of passwords.
    pub heavy: HeavyWork,
}

/// A connection that is ready for its first request.
pub async fn open(server: &Server, guard: &Guard) -> Result<Wire, Failure> {
    let socket = dial::connect(guard, &dial::borrowed(&server.host), server.port)
        .await
        .map_err(Failure::wait)?;
    let (mut wire, hash) = match &server.tls {
        None => (Wire::new(Box::new(socket)), None),
        Some(tls) => {
            let socket = ask_for_tls(socket).await?;
            let host = dial::borrowed(&server.host);
            let stream = dial::encrypt(socket, &host, tls.clone()).await;
            let stream = stream.map_err(Failure::wait)?;
            let hash = binding::of(&stream);
            (Wire::new(Box::new(stream)), hash)
        }
    };
    let greeting = [
        ("client_encoding", "UTF8"),
        ("user", server.username.as_str()),
        ("database", server.database.as_str()),
        ("application_name", "thingshub"),
    ];
    say(&mut wire, |bytes| {
        frontend::startup_message(greeting, bytes)
    })
    .await?;
    log_in(&mut wire, server, hash).await?;
    loop {
        match wire.next().await? {
            Message::ReadyForQuery(_) => return Ok(wire),
            Message::BackendKeyData(_) => {}
            Message::ErrorResponse(body) => return Err(Failure::of_server(&body)),
            _ => return Err(Failure::unexpected()),
        }
    }
}

/// Requests TLS. The server must answer with exactly one byte.
async fn ask_for_tls(mut socket: TcpStream) -> Result<TcpStream, Failure> {
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    let asked = async {
        socket.write_all(&request).await?;
        socket.read_u8().await
    };
    match asked.await {
        Ok(b'S') => Ok(socket),
        Ok(_) => Err(Failure::wait("the server does not support TLS")),
        Err(error) => Err(Failure::wait(format!("the connection broke: {error}"))),
    }
}

async fn log_in(wire: &mut Wire, server: &Server, hash: Option<Vec<u8>>) -> Result<(), Failure> {
    let password = || {
        let missing = || Failure::wait("the server asks for a password, and there is none");
        server.password.as_deref().ok_or_else(missing)
    };
    match wire.next().await? {
        Message::AuthenticationOk => return Ok(()),
        Message::AuthenticationCleartextPassword => {
            let password = password()?.as_bytes();
            say(wire, |bytes| frontend::password_message(password, bytes)).await?;
        }
        Message::AuthenticationMd5Password(body) => {
            let (user, password) = (server.username.as_bytes(), password()?.as_bytes());
            let hash = md5_hash(user, password, body.salt());
            say(wire, |bytes| {
                frontend::password_message(hash.as_bytes(), bytes)
            })
            .await?;
        }
        Message::AuthenticationSasl(body) => {
            prove(wire, server, password()?, &body, hash).await?;
        }
        Message::ErrorResponse(body) => return Err(Failure::of_server(&body)),
        _ => {
            return Err(Failure::wait(
                "the server asks for another way to log in than by a password",
            ));
        }
    }
    match wire.next().await? {
        Message::AuthenticationOk => Ok(()),
        Message::ErrorResponse(body) => Err(Failure::of_server(&body)),
        _ => Err(Failure::unexpected()),
    }
}

/// Proves the password by SCRAM (RFC 7677) and has the server prove that it knows it. The server chooses the
/// number of rounds of hashing, up to a limit of postgres-protocol, so this runs outside the runtime's
/// threads.
async fn prove(
    wire: &mut Wire,
    server: &Server,
    password: &str,
    offered: &AuthenticationSaslBody,
    hash: Option<Vec<u8>>,
) -> Result<(), Failure> {
    let (mut is_plain, mut is_plus) = (false, false);
    let mut mechanisms = offered.mechanisms();
    while let Some(mechanism) = mechanisms.next().map_err(|_| Failure::unexpected())? {
        is_plain |= mechanism == SCRAM_SHA_256;
        is_plus |= mechanism == SCRAM_SHA_256_PLUS;
    }
    let is_bound = is_plus && hash.is_some();
    if !is_bound && !is_plain {
        return Err(Failure::wait(
            "the server knows no way to log in by SCRAM-SHA-256",
        ));
    }
    // If both sides support channel binding and the server does not offer it, the message says so, which
    // lets the server notice if somebody has removed its offer.
    let scram = ScramSha256::new(password.as_bytes(), binding::binding(hash, is_bound));
    let mechanism = match is_bound {
        true => SCRAM_SHA_256_PLUS,
        false => SCRAM_SHA_256,
    };
    say(wire, |bytes| {
        frontend::sasl_initial_response(mechanism, scram.message(), bytes)
    })
    .await?;
    let challenge = match wire.next().await? {
        Message::AuthenticationSaslContinue(body) => body,
        Message::ErrorResponse(body) => return Err(Failure::of_server(&body)),
        _ => return Err(Failure::unexpected()),
    };
    let proven = server.heavy.run(move || {
        let mut scram = scram;
        scram.update(challenge.data()).map(|()| scram)
    });
    let proven = proven
        .await
        .ok_or_else(|| Failure::wait("the password cannot be proven now"))?;
    let mut scram = proven.map_err(impossible)?;
    say(wire, |bytes| {
        frontend::sasl_response(scram.message(), bytes)
    })
    .await?;
    match wire.next().await? {
        Message::AuthenticationSaslFinal(body) => scram.finish(body.data()).map_err(impossible),
        Message::ErrorResponse(body) => Err(Failure::of_server(&body)),
        _ => Err(Failure::unexpected()),
    }
}

async fn say(
    wire: &mut Wire,
    write: impl FnOnce(&mut BytesMut) -> std::io::Result<()>,
) -> Result<(), Failure> {
    let mut bytes = BytesMut::new();
    write(&mut bytes).map_err(impossible)?;
    wire.send(&bytes).await
}

#[expect(clippy::needless_pass_by_value, reason = "it is mapped over a result")]
fn impossible(error: std::io::Error) -> Failure {
    Failure::wait(format!("it is not possible to log in: {error}"))
}
