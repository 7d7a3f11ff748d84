//! The published document and the order of the steps that create it.

use std::marker::PhantomData;

use bytes::Bytes;
use poem::{endpoint::BoxEndpoint, http::Method};
use poem_openapi::{
    LicenseObject, OpenApi, OpenApiService,
    registry::{MetaApi, Registry},
};
use serde_json::{Value, json};

use super::{
    code_samples, examples, headers, links, recorded::Examples, responses, schemas,
    walk::each_operation,
};
use crate::api::http::paging;

const TITLE: &str = "thingsHub";
const LICENSE_URL: &str = "https://www.apache.org/licenses/LICENSE-2.0";
const DESCRIPTION: &str = "A self-hosted IoT hub: network connections bring in what devices send, drivers \
decode it, data tables keep it, integrations forward it.\n\n\
Log in with `POST /api/v3/auth/token` and send the token as `Authorization: Bearer <token>`. Everything is \
JSON over HTTPS. Eight statuses and no others leave the server; each of 400 and above carries \
`{\"code\": <status>, \"error\": \"<text>\"}`. A method that a path does not take is a 404; \
parameters and members that an operation does not take are a 400, and so is a body where none is taken, but \
an empty one and `{}`. JSON may \
come compressed (`Content-Encoding: gzip` or `deflate`). A URL has less than 64 KiB, a request at most 100 \
headers. (What the library for HTTP/2 answers by itself to more than that is the one exception: a bare 431, or \
the end of the stream.) No cache keeps an answer (`Cache-Control: no-store`).";

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
    /// origin.
    pub fn of<A: OpenApi>(public_url: Option<&str>) -> Self {
        let document = document::<A>(public_url);
        let json = serde_json::to_string_pretty(&document).unwrap_or_default() + "\n";
        let yaml = serde_yaml::to_string(&document).unwrap_or_default();
        Self {
            json: json.into(),
            yaml: yaml.into(),
        }
    }
}

/// Returns the published document as a JSON value.
fn document<A: OpenApi>(public_url: Option<&str>) -> Value {
    let mut document = raw::<A>();
    document["servers"] = json!([{
        "url": public_url.unwrap_or("/"),
        "description": if public_url.is_some() { "This installation" } else { "The origin of this document" },
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
    let recorded = Examples::read();
    examples::add(&mut document, &recorded);
    code_samples::add(&mut document, &recorded);
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
        AllOperations,
        document::walk::{each_object, schema_name},
    };

    #[test]
    fn every_operation_parameter_property_and_status_is_described() {
        let mut document = document::<AllOperations>(None);
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
    fn the_largest_integer_is_the_one_that_the_server_takes() {
        let document = document::<AllOperations>(None);
        let id = &document["components"]["schemas"]["NetworkConnection"]["properties"]["id"];
        assert_eq!(id["maximum"], json!(9_007_199_254_740_991_f64));
        assert!(crate::api::http::types::Id::new(9_007_199_254_740_991).is_ok());
    }

    #[test]
    fn no_step_leaves_a_dangling_reference() {
        let mut document = document::<AllOperations>(None);
        let schemas = document["components"]["schemas"].clone();
        each_object(&mut document, &mut |object| {
            if let Some(name) = object.get("$ref").and_then(schema_name) {
                assert!(schemas.get(name).is_some(), "{name}");
            }
        });
    }
}
