//! Logs in by SASL.

use std::time::Duration;

use kafka_protocol::{
    messages::{SaslAuthenticateRequest, SaslHandshakeRequest},
    protocol::StrBytes,
};
use rsasl::{
    callback::{Context, Request, SessionCallback, SessionData},
    prelude::{Mechname, SASLClient, SASLConfig, Session, SessionError, State},
    property::{AuthId, Password},
};

use super::{
    answers::{self, version},
    connection::{Connection, unreadable},
    failure::Failure,
    settings::Login,
};
use crate::outgoing::HeavyWork;

/// Maximum number of rounds of hashing that a broker may require; Kafka itself allows up to 16,384.
const ROUNDS_MAX: u32 = 100_000;
/// Maximum number of steps, more than any mechanism has.
const STEPS_MAX: usize = 8;
/// Part of a session's life after which it is renewed.
const LIFE_USED: f64 = 0.85;

/// Logs in. Returns how long the login is valid, if the broker limits it.
pub async fn log_in(
    connection: &mut Connection,
    login: &Login,
    heavy: &HeavyWork,
) -> Result<Option<Duration>, Failure> {
    let name = login.mechanism.name();
    let request = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(name));
    let answer = connection.ask(version::SASL_HANDSHAKE, &request).await?;
    let handshake = answers::handshake(&answer).ok_or_else(unreadable)?;
    if handshake.error.is_some() {
        let known: String = handshake.mechanisms.join(", ").chars().take(100).collect();
        return Err(Failure::wait(format!(
            "the broker does not let log in by {name}; it knows: {known}"
        )));
    }
    let mut session = session(login).map_err(|error| impossible(&error))?;
    let mut heard: Option<Vec<u8>> = None;
    let mut lifetime_ms = 0;
    for _ in 0..STEPS_MAX {
        let stepped = step(session, heard, heavy).await?;
        session = stepped.session;
        if stepped.says.is_empty() && stepped.is_finished {
            return Ok(lifetime(lifetime_ms));
        }
        let request = SaslAuthenticateRequest::default().with_auth_bytes(stepped.says.into());
        let answer = connection.ask(version::SASL_AUTHENTICATE, &request).await?;
        let answer = answers::authenticated(&answer).ok_or_else(unreadable)?;
        if let Some(error) = answer.error {
            return Err(Failure::of_connection(error));
        }
        lifetime_ms = answer.lifetime_ms;
        if stepped.is_finished {
            return Ok(lifetime(lifetime_ms));
        }
        heard = Some(answer.bytes);
    }
    Err(unreadable())
}

fn lifetime(milliseconds: i64) -> Option<Duration> {
    let lifetime = Duration::from_millis(u64::try_from(milliseconds).ok()?);
    (!lifetime.is_zero()).then(|| lifetime.mul_f64(LIFE_USED))
}

/// Username and password for any mechanism.
struct Credentials(Login);

impl SessionCallback for Credentials {
    fn callback(
        &self,
        _session: &SessionData,
        _context: &Context<'_>,
        request: &mut Request<'_>,
    ) -> Result<(), SessionError> {
        request
            .satisfy::<AuthId>(&self.0.username)?
            .satisfy::<Password>(self.0.password.as_bytes())?;
        Ok(())
    }
}

fn session(login: &Login) -> Result<Session, String> {
    let config = SASLConfig::builder()
        .with_defaults()
        .with_callback(Credentials(login.clone()))
        .map_err(|error| error.to_string())?;
    let name =
        Mechname::parse(login.mechanism.name().as_bytes()).map_err(|error| error.to_string())?;
    SASLClient::new(config)
        .start_suggested(&[name])
        .map_err(|error| error.to_string())
}

struct Stepped {
    session: Session,
    says: Vec<u8>,
    is_finished: bool,
}

/// Runs one step outside the runtime's threads, because hashing takes long.
async fn step(
    mut session: Session,
    heard: Option<Vec<u8>>,
    heavy: &HeavyWork,
) -> Result<Stepped, Failure> {
    // The last message of SCRAM contains an error if the proof was wrong (RFC 5802, 7).
    if heard
        .as_deref()
        .is_some_and(|heard| heard.starts_with(b"e="))
    {
        return Err(Failure::login_refused());
    }
    if heard
        .as_deref()
        .and_then(rounds)
        .is_some_and(|rounds| rounds > ROUNDS_MAX)
    {
        return Err(impossible("it asks for too many rounds of hashing"));
    }
    let step = move || {
        let mut says = Vec::new();
        let state = session.step(heard.as_deref(), &mut says)?;
        let is_finished = matches!(state, State::Finished(_));
        Ok(Stepped {
            session,
            says,
            is_finished,
        })
    };
    match heavy.run(step).await {
        Some(Ok(stepped)) => Ok(stepped),
        Some(Err::<_, SessionError>(error)) => Err(impossible(&error.to_string())),
        None => Err(impossible("a step failed")),
    }
}

/// The rounds of hashing that a message of SCRAM asks for (RFC 5802, 5.1).
fn rounds(message: &[u8]) -> Option<u32> {
    let message = std::str::from_utf8(message).ok()?;
    let rounds = message
        .split(',')
        .find_map(|part| part.strip_prefix("i="))?;
    // A number too large for this type exceeds the maximum in any case.
    Some(rounds.parse().unwrap_or(u32::MAX))
}

fn impossible(error: &str) -> Failure {
    Failure::wait(format!("it is not possible to log in: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::settings::Mechanism;

    fn login(mechanism: Mechanism) -> Login {
        Login {
            mechanism,
            username: "user".to_owned(),
            password: "pencil".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_password_goes_over_as_the_standard_has_it() {
        let heavy = HeavyWork::default();
        let first = step(session(&login(Mechanism::Plain)).unwrap(), None, &heavy)
            .await
            .ok()
            .unwrap();
        assert_eq!(first.says, b"\0user\0pencil");
    }

    #[tokio::test]
    async fn a_broker_cannot_ask_for_endless_hashing() {
        for (rounds, is_taken) in [("4096", true), ("100001", false), ("99999999999", false)] {
            let heavy = HeavyWork::default();
            let started = session(&login(Mechanism::ScramSha512)).unwrap();
            let first = step(started, None, &heavy).await.ok().unwrap();
            let says = String::from_utf8(first.says).unwrap();
            let nonce = says.rsplit_once("r=").unwrap().1;
            let message = format!("r={nonce}more,s=QSXCR+Q6sek8bf92,i={rounds}");
            let next = step(first.session, Some(message.into_bytes()), &heavy).await;
            assert_eq!(next.is_ok(), is_taken, "{rounds}");
        }
    }
}
