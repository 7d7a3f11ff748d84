//! Authentication and authorization of the caller of an operation.

use std::sync::Arc;

use poem::{Request, Result, http::header};
use poem_openapi::{SecurityScheme, auth::Bearer};

use super::{client::Client, declaration::Operation, request_id};
use crate::{
    error::Error,
    hub::{self, Hub, Identity},
    store::{
        Call, Scope,
        access::{stream_keys::Credential, users::User},
    },
};

/// Token of a session, from `POST /api/v3/auth/token`, or an API key.
#[derive(SecurityScheme)]
#[oai(ty = "bearer", rename = "token", checker = "admitted")]
pub struct Caller(pub Authenticated);

/// An authenticated caller and the token of the request.
#[derive(Clone)]
pub struct Authenticated {
    /// The caller.
    pub caller: Arc<hub::Caller>,
    /// The token itself, which is needed to end its session; empty if a stream key stands for it.
    pub token: String,
    /// Credential of the caller: the token, or the one for which the stream key was made.
    pub credential: Credential,
}

/// Admits a request whose token is valid and whose caller may run the operation; fails otherwise.
pub async fn admit(request: &mut Request, operation: &Operation) -> Result<(), Error> {
    let hub: &Hub = request
        .data()
        .ok_or_else(|| Error::internal("the hub is not among the request's data"))?;
    let (token, credential) = match (bearer(request), operation.callers_key(request)) {
        (Some(token), _) => (token.to_owned(), hub::credential_of(token)),
        (None, Some(key)) => (String::new(), hub.owner_of_stream_key(&key).await?),
        (None, None) => return Err(Error::Unauthenticated),
    };
    let caller = hub.caller_with(credential).await?;
    hub::access::permission::check(&caller, operation.id)?;
    operation.check_query(request)?;
    let caller = Arc::new(caller.in_call(Call {
        operation: operation.id,
        user: None,
        api_key: None,
        name: String::new(),
        address: Some(Client::of(request)?.0),
        request_id: request_id::of(request).to_owned(),
        revisions: revisions(request)?,
    }));
    request.extensions_mut().insert(Authenticated {
        caller,
        token,
        credential,
    });
    Ok(())
}

/// Returns the caller whom [`admit`] has admitted.
pub fn of(request: &Request) -> Result<Authenticated, Error> {
    let admitted: Option<&Authenticated> = request.extensions().get();
    admitted.cloned().ok_or(Error::Unauthenticated)
}

fn bearer(request: &Request) -> Option<&str> {
    let (scheme, token) = request.header(header::AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Returns the revisions in `If-Match`; `None` if the header is missing or is `*`.
fn revisions(request: &Request) -> Result<Option<Vec<i64>>, Error> {
    const RULE: &str = "must be an ETag of this resource, such as \"7\", several of them separated by commas, or *";
    let broken = || Error::field("header If-Match", RULE);
    let Some(value) = request.headers().get(header::IF_MATCH) else {
        return Ok(None);
    };
    let value = value.to_str().map_err(|_| broken())?.trim();
    if value == "*" {
        return Ok(None);
    }
    // Quotes are optional, because some clients omit them.
    let tag = |tag: &str| tag.trim().trim_matches('"').parse().ok();
    let tags: Option<Vec<i64>> = value.split(',').map(tag).collect();
    tags.map(Some).ok_or_else(broken)
}

async fn admitted(request: &Request, _: Bearer) -> Result<Authenticated> {
    Ok(of(request)?)
}

impl Caller {
    /// Returns the tenant that the caller belongs to, with the context of this call.
    pub fn scope(&self) -> &Scope {
        &self.0.caller.scope
    }

    /// Returns the user who calls. API keys never get here: the permission table excludes them from the
    /// operations that call this.
    pub fn user(&self) -> Result<&User, Error> {
        match &self.0.caller.identity {
            Identity::User { user, .. } => Ok(user),
            Identity::Key(_) => Err(Error::Forbidden("an API key may not do this".to_owned())),
        }
    }
}
