//! Properties of an operation's declaration in the OpenAPI document that are needed to run it.

use std::{collections::HashSet, sync::Arc};

use poem::Request;
use poem_openapi::registry::{MetaOperation, MetaParamIn};

use super::bounds::{BodyMax, OwnBound};
use crate::error::Error;

/// Name of the ingest key as a security scheme and as a query parameter.
pub const INGEST_KEY_PARAMETER: &str = "ingest_key";

/// Name of a stream key as a security scheme and as a query parameter.
pub const STREAM_KEY_PARAMETER: &str = "stream_key";

/// Operations whose stream keys stand for the caller who made them. Elsewhere, a stream key belongs to the resource,
/// and the operation checks it by itself.
const OPENED_FOR_CALLERS: &[&str] = &["follow_events"];

/// Media type of uploaded files. The document lists only this one, because every client generator treats it as
/// a file; the descriptions of the operations name the others.
pub const FILE_TYPE: &str = "application/octet-stream";

/// Declaration of an operation, as far as it is needed to run it.
#[derive(Debug)]
pub struct Operation {
    /// Its `operationId`.
    pub id: &'static str,
    /// Template of its path.
    pub path: Arc<str>,
    /// Size bound of its request body.
    pub body_max: BodyMax,
    path_parameters: Vec<String>,
    query_parameters: HashSet<String>,
    /// True if it takes a request body.
    pub takes_body: bool,
    /// True if the body is a file; few files are received at the same time.
    pub takes_file: bool,
    /// True if it accepts a session's token or an API key.
    pub takes_token: bool,
    /// True if it accepts an ingest key: a webhook for network servers.
    pub takes_ingest_key: bool,
    /// True if it requires authentication of any kind.
    pub is_secured: bool,
}

impl Operation {
    /// Returns the declaration of the operation at a path; `bounds` lists the operations with size bounds of
    /// their own.
    pub fn new(path: &str, meta: &MetaOperation, bounds: &[OwnBound]) -> Self {
        let id = meta.operation_id.unwrap_or_default();
        let own = bounds.iter().find(|own| own.operation == id);
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
            id,
            path: path.into(),
            body_max: own.map_or(BodyMax::USUAL, |own| own.max),
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

    /// Returns the public name of a path parameter, which the framework calls `param<n>`.
    pub fn path_parameter<'a>(&'a self, internal: &'a str) -> &'a str {
        internal
            .strip_prefix("param")
            .and_then(|index| self.path_parameters.get(index.parse::<usize>().ok()?))
            .map_or(internal, String::as_str)
    }

    /// True if the request carries a stream key of the resource in place of a token.
    pub fn is_opened_by_key(&self, request: &Request) -> bool {
        !OPENED_FOR_CALLERS.contains(&self.id) && self.stream_key(request).is_some()
    }

    /// Returns the stream key with which a caller opens a stream without a token.
    pub fn callers_key(&self, request: &Request) -> Option<String> {
        OPENED_FOR_CALLERS
            .contains(&self.id)
            .then(|| self.stream_key(request))?
    }

    fn stream_key(&self, request: &Request) -> Option<String> {
        if !self.query_parameters.contains(STREAM_KEY_PARAMETER) {
            return None;
        }
        let query = request.uri().query().unwrap_or_default();
        url::form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == STREAM_KEY_PARAMETER)
            .map(|(_, key)| key.into_owned())
    }

    /// Refuses undeclared and repeated query parameters.
    pub fn check_query(&self, request: &Request) -> Result<(), Error> {
        let Some(query) = request.uri().query() else {
            return Ok(());
        };
        let mut seen = HashSet::new();
        for (name, _) in url::form_urlencoded::parse(query.as_bytes()) {
            if !self.query_parameters.contains(name.as_ref()) {
                return Err(Error::of_parameter(&shown(&name), "is unknown here"));
            }
            if !seen.insert(name.clone()) {
                return Err(Error::of_parameter(&name, "must not be repeated"));
            }
        }
        Ok(())
    }
}

/// Shortens a name that the client chose and removes control characters, for use in an error.
pub fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(60).collect()
}

/// Returns the operation of a request, from its extensions. The query is checked after the caller, so that a
/// wrong parameter never hides a missing token.
pub fn of(request: &Request) -> Result<&Arc<Operation>, Error> {
    request
        .extensions()
        .get()
        .ok_or_else(|| Error::internal("a request outside of any operation"))
}
