//! `Idempotency-Key`: a repeated POST is executed once and answered as the first time.
//!
//! Only successful responses are stored: a request that failed has changed nothing and may be repeated with the
//! same key. Stored responses are encrypted, because some contain a secret that is shown once.
//!
//! Claiming the key, running the request and storing its response happen in one task (`tasks.rs`), so a broken
//! connection never leaves a key without an outcome.

use std::{
    convert::Infallible,
    panic::{AssertUnwindSafe, resume_unwind},
    sync::Arc,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::FutureExt;
use poem::{
    Endpoint, Request, Response, Result,
    endpoint::BoxEndpoint,
    http::{HeaderName, HeaderValue, Method, StatusCode},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::time::sleep;

use super::{body, caller::Authenticated, declaration, files};
use crate::{
    error::{Error, Reason},
    hub::{self, Hub, Identity},
    id::TenantId,
    secret::{NOWHERE, Place, Slot},
    store::{
        Scope,
        core::idempotency::{self, Known},
    },
};

/// Name of the header.
pub const HEADER: &str = "Idempotency-Key";
/// Longest key, in bytes.
pub const KEY_MAX: usize = 255;
/// Interval and maximum number of attempts to write while the database accepts no writes.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_MAX: u32 = 3600;
/// Response headers that are stored; the others are created anew for each response.
const KEPT: [&str; 3] = ["content-type", "location", "etag"];

/// Returns the storage place of an encrypted response.
pub fn place(tenant: TenantId, row: String) -> Place {
    Place::new("idempotency", tenant, row)
}

#[derive(Serialize, Deserialize)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// True if the client sent an idempotency key with a POST.
pub fn is_asked_for(request: &Request) -> bool {
    request.method() == Method::POST && request.headers().contains_key(HEADER)
}

/// Runs the request unless its key has been used, and returns the stored response otherwise.
pub async fn run(endpoint: Arc<BoxEndpoint<'static>>, mut request: Request) -> Result<Response> {
    let hub: Hub = request
        .data::<Hub>()
        .cloned()
        .ok_or_else(|| Error::internal("the hub is not among the request's data"))?;
    let caller: Authenticated = request
        .extensions()
        .get::<Authenticated>()
        .cloned()
        .ok_or(Error::Unauthenticated)?;
    let key = key_hash(&request, &caller)?;
    let scope = &caller.caller.scope;
    if declaration::of(&request)?.takes_file {
        files::enter_early(&mut request)?;
    }
    let mut told = Sha256::new();
    // Without the host, because one hub may be reachable by several names.
    let path = request.uri().path_and_query();
    told.update(path.map_or("", |path| path.as_str()));
    told.update([0]);
    body::buffer(&mut request, &mut told).await?;
    match idempotency::take(scope, &key, &told.finalize().into()).await? {
        Known::New => {}
        Known::Other => {
            return Err(Error::of_field(
                Reason::IdempotencyKeyReused,
                "header Idempotency-Key",
                "was used for another request before: use a new key",
            )
            .into());
        }
        Known::Unanswered => return Err(answer_is_lost().into()),
        Known::Running => {
            return Err(Error::of_field(
                Reason::IdempotencyKeyPending,
                "header Idempotency-Key",
                "the first request with this key has not been answered yet",
            )
            .into());
        }
        Known::Answered(sealed) => return Ok(replay(&hub, scope, &key, &sealed)?),
    }
    let claimed = hub::Caller {
        scope: scope.on_claim(key),
        ..(*caller.caller).clone()
    };
    request.extensions_mut().insert(Authenticated {
        caller: Arc::new(claimed),
        ..caller.clone()
    });
    let worked = tokio::select! {
        worked = AssertUnwindSafe(endpoint.call(request)).catch_unwind() => worked,
        never = renew(scope, &key) => match never {},
    };
    let outcome = match worked {
        Ok(Ok(response)) if response.status().is_success() => {
            let remembered = remember(&hub, scope, &key, response).await;
            remembered.map_err(poem::Error::from)
        }
        Ok(refused) => refused,
        Err(panic) => {
            note(scope, key, None).await?;
            resume_unwind(panic);
        }
    };
    if !matches!(&outcome, Ok(response) if response.status().is_success()) {
        note(scope, key, None).await?;
    }
    outcome
}

/// Renews the claim on the key while the request runs.
async fn renew(scope: &Scope, key: &[u8; 32]) -> Infallible {
    loop {
        sleep(idempotency::RENEW_EVERY).await;
        if let Err(error) = idempotency::renew(scope, key).await {
            tracing::warn!(
                "the claim on an idempotency key runs out: {}",
                error.causes()
            );
        }
    }
}

/// Returns the error for a key whose request was executed, but whose response cannot be read any more.
fn answer_is_lost() -> Error {
    Error::of_field(
        Reason::IdempotencyKeyPending,
        "header Idempotency-Key",
        "the first request with this key was done, but its answer cannot be read any \
         more: check what it has changed before you use a new key",
    )
}

fn key_hash(request: &Request, caller: &Authenticated) -> Result<[u8; 32], Error> {
    let key = request.headers().get(HEADER).map(HeaderValue::as_bytes);
    let key = key.unwrap_or_default();
    let is_plain = key.iter().all(|byte| (b' '..=b'~').contains(byte));
    if key.is_empty() || key.len() > KEY_MAX || !is_plain {
        let rule = format!("must have 1 to {KEY_MAX} printable ASCII characters");
        return Err(Error::field("header Idempotency-Key", rule));
    }
    let who = match &caller.caller.identity {
        Identity::User { user, .. } => format!("user {}", user.id),
        Identity::Key(key) => format!("key {}", key.id),
    };
    let mut hash = Sha256::new();
    hash.update(who);
    hash.update([0]);
    hash.update(key);
    Ok(hash.finalize().into())
}

async fn remember(
    hub: &Hub,
    scope: &Scope,
    key: &[u8; 32],
    mut response: Response,
) -> Result<Response, Error> {
    let body = response
        .take_body()
        .into_bytes()
        .await
        .map_err(Error::internal)?;
    let kept = |name: &&str| {
        let value = response.headers().get(*name)?.to_str().ok()?;
        Some(((*name).to_owned(), value.to_owned()))
    };
    let answer = Answer {
        status: response.status().as_u16(),
        headers: KEPT.iter().filter_map(kept).collect(),
        body: STANDARD.encode(&body),
    };
    let answer = serde_json::to_string(&answer).map_err(Error::internal)?;
    let place = place(scope.tenant(), idempotency::row(key));
    let sealed = hub.vault.seal(&Slot::only(&place), NOWHERE, &answer)?;
    note(scope, *key, Some(sealed)).await?;
    response.set_body(body);
    Ok(response)
}

/// Stores the outcome of a key: its response, or that there is none. While the database accepts no writes, the
/// request still succeeds and the outcome is written later: otherwise the key would stay claimed until it
/// expires.
async fn note(scope: &Scope, key: [u8; 32], answer: Option<Vec<u8>>) -> Result<(), Error> {
    let written = write(scope, &key, answer.clone()).await;
    if !matches!(written, Err(Error::Unavailable { .. })) {
        return written;
    }
    let scope = scope.clone();
    tokio::spawn(async move {
        for _ in 0..AGAIN_MAX {
            sleep(AGAIN).await;
            match write(&scope, &key, answer.clone()).await {
                Err(Error::Unavailable { .. }) => {}
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!("an idempotency key stays taken: {}", error.causes());
                    return;
                }
            }
        }
    });
    Ok(())
}

async fn write(scope: &Scope, key: &[u8; 32], answer: Option<Vec<u8>>) -> Result<(), Error> {
    match answer {
        Some(answer) => idempotency::answer(scope, key, answer).await,
        None => idempotency::leave(scope, key).await,
    }
}

fn replay(hub: &Hub, scope: &Scope, key: &[u8; 32], sealed: &[u8]) -> Result<Response, Error> {
    let place = place(scope.tenant(), idempotency::row(key));
    let answer = hub.vault.open_value(&Slot::only(&place), sealed);
    let answer = answer.map_err(|error| {
        tracing::warn!("a remembered answer is lost: {}", error.causes());
        answer_is_lost()
    })?;
    let answer: Answer = serde_json::from_str(&answer).map_err(Error::internal)?;
    let body = STANDARD.decode(answer.body).map_err(Error::internal)?;
    let mut response = Response::builder()
        .status(StatusCode::from_u16(answer.status).map_err(Error::internal)?)
        .body(body);
    for (name, value) in answer.headers {
        let name = HeaderName::try_from(name).map_err(Error::internal)?;
        let value = HeaderValue::try_from(value).map_err(Error::internal)?;
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}
