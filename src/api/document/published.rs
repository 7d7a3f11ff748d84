//! The published document and the order of the steps that create it.

use std::marker::PhantomData;

use bytes::Bytes;
use poem::{endpoint::BoxEndpoint, http::Method};
use poem_openapi::{
    LicenseObject, OpenApi, OpenApiService,
    registry::{MetaApi, Registry},
};
use serde_json::{Value, json};

use super::{examples, headers, links, responses, rollup, schemas, walk::each_operation};
use crate::api::http::{declared_error::DeclaredError, paging};

const TITLE: &str = "thingsHub";
const LICENSE_URL: &str = "https://www.apache.org/licenses/LICENSE-2.0";
const DESCRIPTION: &str = "A self-hosted IoT hub. Network connections receive the messages of devices, drivers \
decode them, data tables store the data, and integrations forward it.\n\n\
Log in with `POST /api/v3/auth/token`, and send the token as `Authorization: Bearer <token>`. All requests use \
HTTPS. Bodies are JSON in UTF-8, unless an operation names another media type. JSON in requests may be compressed \
(`Content-Encoding: gzip` or `deflate`).\n\n\
Every response has one of eight status codes: 200, 201, 400, 401, 403, 404, 500 or 503; the handshake of a WebSocket \
is answered with 101. The body of every response of 400 or above is \
`{\"code\": <status code>, \"error\": \"<text>\"}`. A method that a path does not support is answered with 404. \
Unknown query parameters and unknown fields are rejected with 400, and so is a body where an operation takes none, \
unless it is empty or `{}`.\n\n\
A URL must have less than 64 KiB, and a request at most 100 headers. The head of an HTTP/2 request must have at most \
16 KiB: the HTTP library itself answers a larger one with 431 without a body, or ends the stream or the connection. \
Responses must not be cached (`Cache-Control: no-store`).";

/// The published document in both formats.
#[derive(Clone)]
pub struct Documents {
    /// The document as JSON.
    pub json: Bytes,
    /// The document as YAML.
    pub yaml: Bytes,
}

impl Documents {
    /// Returns the document of a group of operations, with `public_url` as its server, or the document's own
    /// origin. `errors` are those that the resources declare themselves.
    pub fn of<A: OpenApi>(public_url: Option<&str>, errors: &[&[DeclaredError]]) -> Self {
        let document = document::<A>(public_url, errors);
        let json = serde_json::to_string_pretty(&document).unwrap_or_default() + "\n";
        let yaml = serde_yaml::to_string(&document).unwrap_or_default();
        Self {
            json: json.into(),
            yaml: yaml.into(),
        }
    }
}

/// Returns the published document as a JSON value.
fn document<A: OpenApi>(public_url: Option<&str>, errors: &[&[DeclaredError]]) -> Value {
    let mut document = raw::<A>();
    document["servers"] = json!([{
        "url": public_url.unwrap_or("/"),
        "description": if public_url.is_some() { "This installation." } else { "The origin of this document." },
    }]);
    schemas::drop_noise(&mut document);
    schemas::order_tags(&mut document);
    schemas::rename(&mut document);
    schemas::flatten_unions(&mut document);
    schemas::mark_nullable(&mut document);
    schemas::drop_awkward_defaults(&mut document);
    schemas::close_objects(&mut document);
    schemas::write_out_nullable(&mut document);
    schemas::drop_unused(&mut document);
    headers::add(&mut document);
    responses::add_errors(&mut document);
    responses::add_request_id(&mut document);
    declare_open(&mut document);
    rollup::add(&mut document, errors);
    examples::add(&mut document);
    examples::drop_from_optional_parameters(&mut document);
    links::add(&mut document);
    document
}

/// Declares that operations without a token need none. The framework leaves out `security` there, which could
/// be taken for an oversight.
fn declare_open(document: &mut Value) {
    each_operation(document, |_, _, operation| {
        if operation.get("security").is_none() {
            operation["security"] = json!([]);
        }
    });
}

fn raw<A: OpenApi>() -> Value {
    let service = OpenApiService::new(Declared::<A>(PhantomData), TITLE, env!("CARGO_PKG_VERSION"))
        .description(DESCRIPTION)
        .license(LicenseObject::new("Apache-2.0").url(LICENSE_URL));
    serde_json::from_str(&service.spec()).unwrap_or_default()
}

/// Declarations of operations that cannot be run.
struct Declared<A>(PhantomData<A>);

impl<A: OpenApi> OpenApi for Declared<A> {
    fn meta() -> Vec<MetaApi> {
        paging::spell_out(A::meta())
    }

    fn register(registry: &mut Registry) {
        A::register(registry);
    }

    fn add_routes(
        self,
        _: &mut std::collections::HashMap<
            String,
            std::collections::HashMap<Method, BoxEndpoint<'static>>,
        >,
    ) {
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{
        AllOperations, ERRORS,
        document::walk::{each_object, schema_name},
    };

    #[test]
    fn every_operation_parameter_property_and_status_is_described() {
        let mut document = document::<AllOperations>(None, ERRORS);
        let shared = document["components"]["parameters"].clone();
        let mut bare = Vec::new();
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            for (property, schema) in schema["properties"].as_object().into_iter().flatten() {
                let is_tag = schema["enum"]
                    .as_array()
                    .is_some_and(|values| values.len() == 1);
                if schema["description"].as_str().is_none_or(str::is_empty) && !is_tag {
                    bare.push(format!("{name}.{property}"));
                }
            }
        }
        each_operation(&mut document, |path, method, operation| {
            for key in ["operationId", "summary", "description"] {
                if operation[key].as_str().is_none_or(str::is_empty) {
                    bare.push(format!("{method} {path}: {key}"));
                }
            }
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let name = parameter["$ref"]
                    .as_str()
                    .and_then(|at| at.rsplit('/').next());
                let parameter = name.map_or(parameter, |name| &shared[name]);
                if parameter["description"].as_str().is_none_or(str::is_empty) {
                    bare.push(format!("{method} {path}: {}", parameter["name"]));
                }
            }
            for status in ["400", "500", "503"] {
                assert!(
                    operation["responses"][status].is_object(),
                    "{method} {path} {status}"
                );
            }
        });
        assert_eq!(bare, Vec::<String>::new());
    }

    #[test]
    fn errors_are_declared_for_operations_that_exist() {
        let mut document = document::<AllOperations>(None, ERRORS);
        let mut known = Vec::new();
        each_operation(&mut document, |_, _, operation| {
            known.extend(operation["operationId"].as_str().map(ToOwned::to_owned));
        });
        for error in ERRORS.iter().copied().flatten() {
            for name in error.operations {
                assert!(known.iter().any(|known| known == name), "{name}");
            }
            assert!(
                !error.operations.is_empty() && error.cause.ends_with('.'),
                "{error:?}"
            );
        }
    }

    #[test]
    fn the_largest_integer_is_the_one_that_the_server_takes() {
        let document = document::<AllOperations>(None, ERRORS);
        let id = &document["components"]["schemas"]["NetworkConnection"]["properties"]["id"];
        assert_eq!(id["maximum"], json!(9_007_199_254_740_991_f64));
        assert!(crate::api::http::types::Id::new(9_007_199_254_740_991).is_ok());
    }

    #[test]
    fn no_step_leaves_a_dangling_reference() {
        let mut document = document::<AllOperations>(None, ERRORS);
        let schemas = document["components"]["schemas"].clone();
        each_object(&mut document, &mut |object| {
            if let Some(name) = object.get("$ref").and_then(schema_name) {
                assert!(schemas.get(name).is_some(), "{name}");
            }
        });
    }
}
