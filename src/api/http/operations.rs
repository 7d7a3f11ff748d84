//! Behaviour that all operations share before and after their own work.
//!
//! [`Operations`] wraps a group of endpoints and knows the declaration of each: it admits authorized callers,
//! refuses undeclared query parameters and bodies, answers a repeated request as the first time, and turns
//! every failure into the error object.

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
    edge::RanOperation,
    failure, idempotency, paging,
    tasks::Tasks,
};
use crate::{error::Error, id::TenantId};

/// A group of operations with the shared behaviour around each.
pub struct Operations<A> {
    /// The operations.
    pub apis: A,
    /// Size bounds of the operations that differ from the usual bound.
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
                    // Some network servers append a slash to the URL that they are configured with.
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

/// Returns the framework's spelling of a path, in which parameters are numbered.
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
    if let Some(ran) = request.data::<RanOperation>() {
        ran.note(operation.id, operation.path.clone());
    }
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

/// Returns the tasks that run a request that may change something for a caller, and the tenant whose share it
/// takes; `None` for other requests.
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

/// Admits a request whose caller may run the operation and that carries only declared parameters and bodies.
async fn admit(request: &mut Request, operation: &Operation) -> Result<(), Error> {
    if operation.takes_token && !operation.is_opened_by_key(request) {
        caller::admit(request, operation).await?;
    } else if !operation.is_secured || !operation.takes_body {
        operation.check_query(request)?;
    } else {
        // The endpoint authenticates by itself, and checks the query right after.
    }
    if !operation.takes_body {
        bodiless::check(request).await?;
    }
    Ok(())
}
