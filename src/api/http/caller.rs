//! The caller of an operation, who is let in here or refused.

use std::sync::Arc;

use poem::{Request, Result, http::header};
use poem_openapi::{SecurityScheme, auth::Bearer};

use super::{client::Client, declaration::Operation, request_id};
use crate::{
    error::Error,
    hub::{self, Hub, Identity},
    store::{Call, Scope, access::users::User},
};

/// A session's token, from `POST /api/v3/auth/token`, or an API key
#[derive(SecurityScheme)]
#[oai(ty = "bearer", rename = "token", checker = "admitted")]
pub struct Caller(pub Authenticated);

/// Who calls, with the token that says so.
#[derive(Clone)]
pub struct Authenticated {
    /// Who calls.
    pub caller: Arc<hub::Caller>,
    /// The token itself, to end its session.
    pub token: String,
}

/// Lets a request in if its token is valid and its owner may run the operation.
pub async fn admit(request: &mut Request, operation: &Operation) -> Result<(), Error> {
    let hub: &Hub = request
        .data()
        .ok_or_else(|| Error::internal("the hub is not among the request's data"))?;
    let token = bearer(request).ok_or(Error::Unauthenticated)?.to_owned();
    let caller = hub.authenticate(&token).await?;
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
    request
        .extensions_mut()
        .insert(Authenticated { caller, token });
    Ok(())
}

fn bearer(request: &Request) -> Option<&str> {
    let (scheme, token) = request.header(header::AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The revisions that `If-Match` names; `None` where it names none or any.
fn revisions(request: &Request) -> Result<Option<Vec<i64>>, Error> {
    const RULE: &str = "must be an ETag that this resource has answered, such as \"7\", or *";
    let broken = || Error::field("header If-Match", RULE);
    let Some(value) = request.headers().get(header::IF_MATCH) else {
        return Ok(None);
    };
    let value = value.to_str().map_err(|_| broken())?.trim();
    if value == "*" {
        return Ok(None);
    }
    // Clients that forget the quotes mean the same.
    let tag = |tag: &str| tag.trim().trim_matches('"').parse().ok();
    let tags: Option<Vec<i64>> = value.split(',').map(tag).collect();
    tags.map(Some).ok_or_else(broken)
}

async fn admitted(request: &Request, _: Bearer) -> Result<Authenticated> {
    let admitted: Option<&Authenticated> = request.extensions().get();
    Ok(admitted.cloned().ok_or(Error::Unauthenticated)?)
}

impl Caller {
    /// The caller's tenant, on behalf of this call.
    pub fn scope(&self) -> &Scope {
        &self.0.caller.scope
    }

    /// The user who calls. The table of permissions keeps keys away from where this is asked.
    pub fn user(&self) -> Result<&User, Error> {
        match &self.0.caller.identity {
            Identity::User { user, .. } => Ok(user),
            Identity::Key(_) => Err(Error::Forbidden("an API key may not do this".to_owned())),
        }
    }
}
