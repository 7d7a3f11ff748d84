//! What every operation does before and after its own work, written once.
//!
//! [`Operations`] wraps a group of endpoints and knows each one's declaration: it lets in who may
//! run it, refuses query parameters and bodies that the document does not name, answers a repeated request as
//! the first time, and turns every failure into the error object.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use poem::{Endpoint, EndpointExt, Request, Response, Result, endpoint::BoxEndpoint, http::Method};
use poem_openapi::{
    OpenApi,
    registry::{MetaApi, MetaOperation, MetaParamIn, Registry},
};

use super::{
    bodiless,
    caller::{self, Authenticated},
    failure,
    files::FILE_TYPE,
    idempotency,
    tasks::Tasks,
};
use crate::{error::Error, id::TenantId};

/// The ingest key's name as a scheme and as a query parameter.
pub const INGEST_KEY_PARAMETER: &str = "ingest_key";

/// The name of an integration's own key as a scheme and as a query parameter.
pub const STREAM_KEY_PARAMETER: &str = "stream_key";

/// What the document says of an operation, as far as it matters while it runs.
#[derive(Debug)]
pub struct Operation {
    /// Its `operationId`.
    pub id: &'static str,
    path_parameters: Vec<String>,
    query_parameters: HashSet<String>,
    takes_body: bool,
    /// True where the body is a file: few of those are received at a time.
    pub takes_file: bool,
    /// Whether a session's token or an API key opens it.
    pub takes_token: bool,
    /// Whether an ingest key opens it: a webhook of network servers.
    takes_ingest_key: bool,
    is_secured: bool,
}

impl Operation {
    fn new(path: &str, meta: &MetaOperation) -> Self {
        let path_parameters = path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .map(ToOwned::to_owned)
            .collect();
        let mut query_parameters: HashSet<String> = meta
            .params
            .iter()
            .filter(|param| param.in_type == MetaParamIn::Query)
            .map(|param| param.name.clone())
            .collect();
        let schemes = || meta.security.iter().flat_map(|scheme| scheme.keys());
        let takes_ingest_key = schemes().any(|scheme| *scheme == INGEST_KEY_PARAMETER);
        for key in [INGEST_KEY_PARAMETER, STREAM_KEY_PARAMETER] {
            if schemes().any(|scheme| *scheme == key) {
                query_parameters.insert(key.to_owned());
            }
        }
        Self {
            id: meta.operation_id.unwrap_or_default(),
            path_parameters,
            query_parameters,
            takes_body: meta.request.is_some(),
            takes_file: meta
                .request
                .iter()
                .flat_map(|request| &request.content)
                .any(|content| content.content_type == FILE_TYPE),
            takes_token: meta
                .security
                .iter()
                .any(|scheme| scheme.contains_key("token")),
            takes_ingest_key,
            is_secured: !meta.security.is_empty(),
        }
    }

    /// The client's name of a path parameter that the framework calls `param<n>`.
    pub fn path_parameter<'a>(&'a self, internal: &'a str) -> &'a str {
        internal
            .strip_prefix("param")
            .and_then(|index| self.path_parameters.get(index.parse::<usize>().ok()?))
            .map_or(internal, String::as_str)
    }

    /// Whether the ingest key of a network connection opens it.
    pub fn takes_ingest_key(&self) -> bool {
        self.query_parameters.contains(INGEST_KEY_PARAMETER)
    }

    /// Whether the request shows a key of the resource's own in the place of a token.
    fn is_opened_by_key(&self, request: &Request) -> bool {
        let query = request.uri().query().unwrap_or_default();
        self.query_parameters.contains(STREAM_KEY_PARAMETER)
            && url::form_urlencoded::parse(query.as_bytes())
                .any(|(name, _)| name == STREAM_KEY_PARAMETER)
    }

    /// Refuses parameters that the document does not name, and repeated ones.
    pub fn check_query(&self, request: &Request) -> Result<(), Error> {
        let Some(query) = request.uri().query() else {
            return Ok(());
        };
        let mut seen = HashSet::new();
        for (name, _) in url::form_urlencoded::parse(query.as_bytes()) {
            if !self.query_parameters.contains(name.as_ref()) {
                return Err(Error::Invalid(format!(
                    "query parameter \"{}\": is unknown here",
                    shown(&name)
                )));
            }
            if !seen.insert(name.clone()) {
                return Err(Error::Invalid(format!(
                    "query parameter \"{name}\": must not be repeated"
                )));
            }
        }
        Ok(())
    }
}

/// A name that the client made up, fit for an error.
pub fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(60).collect()
}

/// The operation that answers a request, among its extensions. The query is checked after the
/// caller, so that a wrong parameter never hides a missing token.
pub fn of(request: &Request) -> Result<&Arc<Operation>, Error> {
    request
        .extensions()
        .get()
        .ok_or_else(|| Error::internal("a request outside of any operation"))
}

/// A group of operations with the shared behaviour around each.
pub struct Operations<A>(pub A);

impl<A: OpenApi> OpenApi for Operations<A> {
    fn meta() -> Vec<MetaApi> {
        A::meta()
    }

    fn register(registry: &mut Registry) {
        A::register(registry);
    }

    fn add_routes(self, routes: &mut HashMap<String, HashMap<Method, BoxEndpoint<'static>>>) {
        let mut own = HashMap::new();
        self.0.add_routes(&mut own);
        let mut operations = HashMap::new();
        for path in A::meta().into_iter().flat_map(|api| api.paths) {
            for meta in &path.operations {
                let operation = Arc::new(Operation::new(&path.path, meta));
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
