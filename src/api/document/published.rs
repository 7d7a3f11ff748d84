//! The published document and the order of the steps that create it.

use std::marker::PhantomData;

use poem::{endpoint::BoxEndpoint, http::Method};
use poem_openapi::{
    LicenseObject, OpenApi, OpenApiService,
    registry::{MetaApi, Registry},
};
use serde_json::{Value, json};

use super::{
    code_samples, defaults, enums, examples,
    form::{Form, Format, Version},
    guide_links, headers, links, lists,
    recorded::Examples,
    responses, rollup, rules, schemas, security, version_3_1,
    walk::each_operation,
    webhooks,
};
use crate::api::{
    http::{declared_error::DeclaredError, parameters},
    integrations::messages::Messages,
};

const TITLE: &str = "thingsHub";
/// Address that a hub listens at by default.
const ADDRESS_DEFAULT: &str = "127.0.0.1:8443";
/// Server of a document that a hub serves without knowing its own URL.
pub const ORIGIN: &str = "/";
const LICENSE_URL: &str = "https://www.apache.org/licenses/LICENSE-2.0";
const DESCRIPTION: &str = include_str!("description.md");

/// Returns the text of the document of a group of operations, with `public_url` as its server, or the document's
/// own origin. `errors` are those that the resources declare themselves.
pub fn text<A: OpenApi>(
    public_url: Option<&str>,
    errors: &[&[DeclaredError]],
    Form(version, format): Form,
) -> String {
    let mut document = document::<A>(public_url, errors);
    if version == Version::V3_1 {
        version_3_1::convert(&mut document);
    }
    match format {
        Format::Json => serde_json::to_string_pretty(&document).unwrap_or_default() + "\n",
        Format::Yaml => serde_yaml::to_string(&document).unwrap_or_default(),
    }
}

/// Returns the published document as a JSON value.
pub(super) fn document<A: OpenApi>(public_url: Option<&str>, errors: &[&[DeclaredError]]) -> Value {
    let mut document = raw::<A>();
    document["servers"] = servers(public_url);
    rules::spell_out(&mut document);
    responses::link_events(&mut document);
    schemas::drop_noise(&mut document);
    schemas::order_tags(&mut document);
    schemas::rename(&mut document);
    schemas::flatten_unions(&mut document);
    schemas::mark_nullable(&mut document);
    schemas::drop_awkward_defaults(&mut document);
    defaults::declare(&mut document);
    schemas::close_objects(&mut document);
    schemas::write_out_nullable(&mut document);
    schemas::drop_unused(&mut document);
    enums::name_words(&mut document);
    lists::bound(&mut document);
    headers::add(&mut document);
    responses::add_errors(&mut document);
    responses::add_request_id(&mut document);
    declare_open(&mut document);
    rollup::add(&mut document, errors, public_url);
    security::order(&mut document);
    guide_links::add(&mut document, public_url);
    let recorded = Examples::read();
    examples::add(&mut document, &recorded);
    code_samples::add(&mut document, &recorded);
    examples::drop_from_optional_parameters(&mut document);
    links::add(&mut document);
    webhooks::add(&mut document);
    document
}

/// Returns the servers, the most likely one first, because generated clients use that one. A document that a hub
/// serves is about that hub; a document in a file has no origin, so its first server is the one that a hub listens
/// at by default.
fn servers(public_url: Option<&str>) -> Value {
    let origin = json!({"url": "/", "description": "The origin of this document."});
    let address = json!({
        "url": "https://{address}",
        "description": "A hub.",
        "variables": {"address": {
            "default": ADDRESS_DEFAULT,
            "description": "Host and port of the hub.",
        }},
    });
    match public_url {
        None => json!([address, origin]),
        Some(ORIGIN) => json!([origin, address]),
        Some(url) => json!([{"url": url, "description": "This installation."}]),
    }
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
        .webhooks::<Messages>()
        .description(DESCRIPTION)
        .license(LicenseObject::new("Apache-2.0").url(LICENSE_URL));
    serde_json::from_str(&service.spec()).unwrap_or_default()
}

/// Declarations of operations that cannot be run.
struct Declared<A>(PhantomData<A>);

impl<A: OpenApi> OpenApi for Declared<A> {
    fn meta() -> Vec<MetaApi> {
        parameters::spell_out(A::meta())
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
