//! What every operation does before and after its own work, written once.
//!
//! [`Operations`] wraps a group of endpoints and knows each one's declaration: it lets in who may
//! run it, refuses query parameters and bodies that the document does not name, answers a repeated request as
//! the first time, and turns every failure into the error object.

use std::{collections::HashMap, sync::Arc};

use poem::{Endpoint, EndpointExt, Request, Response, Result, endpoint::BoxEndpoint, http::Method};
use poem_openapi::{
    OpenApi,
    registry::{MetaApi, Registry},
};

use super::{
    bodiless,
    bounds::OwnBound,
    caller::{self, Authenticated},
    declaration::Operation,
    failure, idempotency, paging,
    tasks::Tasks,
};
use crate::{error::Error, id::TenantId};

/// A group of operations with the shared behaviour around each.
pub struct Operations<A> {
    /// The operations.
    pub apis: A,
    /// The bounds on the bodies of those that have bounds of their own.
    pub bounds: &'static [OwnBound],
}

impl<A: OpenApi> OpenApi for Operations<A> {
    fn meta() -> Vec<MetaApi> {
        paging::spell_out(A::meta())
    }

    fn register(registry: &mut Registry) {
        A::register(registry);
    }

    fn add_routes(self, routes: &mut HashMap<String, HashMap<Method, BoxEndpoint<'static>>>) {
        let mut own = HashMap::new();
        self.apis.add_routes(&mut own);
        let mut operations = HashMap::new();
        for path in Self::meta().into_iter().flat_map(|api| api.paths) {
            for meta in &path.operations {
                let operation = Arc::new(Operation::new(&path.path, meta, self.bounds));
                operations.insert((route_of(&path.path), meta.method.clone()), operation);
            }
        }
        for (path, methods) in own {
            for (method, endpoint) in methods {
                let key = (path.clone(), method.clone());
                let operation = operations.get(&key).cloned();
                let operation =
                    operation.unwrap_or_else(|| unreachable!("{key:?} has no declaration"));
                let is_webhook = operation.takes_ingest_key;
                let endpoint = endpoint
                    .around(move |endpoint, request| run(endpoint, request, operation.clone()));
                let endpoint = Arc::new(endpoint.map_to_response());
                if is_webhook {
                    // Some network servers put a slash behind the address that they are given.
                    routes
                        .entry(format!("{path}/"))
                        .or_default()
                        .insert(method.clone(), endpoint.clone().boxed());
                }
                routes
                    .entry(path.clone())
                    .or_default()
                    .insert(method, endpoint.boxed());
            }
        }
    }
}

/// The framework's own spelling of a path: its parameters are numbered there.
fn route_of(path: &str) -> String {
    let mut parameters = 0;
    let parts = path.split('/').map(|part| {
        if !part.starts_with('{') {
            return part.to_owned();
        }
        parameters += 1;
        format!(":param{}", parameters - 1)
    });
    parts.collect::<Vec<_>>().join("/")
}

async fn run(
    endpoint: Arc<BoxEndpoint<'static>>,
    mut request: Request,
    operation: Arc<Operation>,
) -> Result<Response> {
    tracing::Span::current().record("http.operation", operation.id);
    request.extensions_mut().insert(operation.clone());
    if let Err(error) = admit(&mut request, &operation).await {
        return Ok(failure::respond(&error));
    }
    let outcome = match tasks_of(&request, &operation) {
        Some((tasks, tenant)) => tasks
            .run(tenant, change(endpoint, request))
            .await
            .unwrap_or_else(|error| Err(error.into())),
        None => endpoint.call(request).await,
    };
    Ok(match outcome {
        Ok(response) => response,
        Err(error) => failure::respond_any(error, &operation),
    })
}

/// The tasks in which requests run that may change something for a caller, and whose tenant's share they take.
fn tasks_of(request: &Request, operation: &Operation) -> Option<(Tasks, TenantId)> {
    let is_change = operation.takes_token && !request.method().is_safe();
    let tasks: &Tasks = request.data().filter(|_| is_change)?;
    let caller: &Authenticated = request.extensions().get()?;
    Some((tasks.clone(), caller.caller.scope.tenant()))
}

async fn change(endpoint: Arc<BoxEndpoint<'static>>, request: Request) -> Result<Response> {
    match idempotency::is_asked_for(&request) {
        true => idempotency::run(endpoint, request).await,
        false => endpoint.call(request).await,
    }
}

/// Lets a request in that may run the operation and brings nothing that it does not take.
async fn admit(request: &mut Request, operation: &Operation) -> Result<(), Error> {
    if operation.takes_token && !operation.is_opened_by_key(request) {
        caller::admit(request, operation).await?;
    } else if !operation.is_secured || !operation.takes_body {
        operation.check_query(request)?;
    } else {
        // Its endpoint authenticates, and checks the query right after.
    }
    if !operation.takes_body {
        bodiless::check(request).await?;
    }
    Ok(())
}
