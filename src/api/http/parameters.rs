//! Groups of query parameters that several operations share, each declared once.
//!
//! The framework declares one parameter for each argument of an endpoint. A group is one argument: its declaration
//! is a placeholder, which contains the parameters of the group and which [`spell_out`] replaces with them.
//! [`parameter_group`] declares a group as a struct.

use poem::{Request, RequestBody, Result};
use poem_openapi::{
    ApiExtractor, ExtractParamOptions,
    param::Query,
    registry::{MetaApi, MetaOperationParam, MetaParamIn, MetaSchema, MetaSchemaRef},
    types::{ParseFromParameter, Type},
};
use serde_json::Value;

/// Type of a placeholder's schema, which no other schema in the document has.
const MARK: &str = "parameters";

/// Declaration of one parameter.
pub struct Declared {
    name: &'static str,
    schema: MetaSchemaRef,
    description: String,
}

impl Declared {
    /// Declares an optional parameter; `comment` is its description, in lines.
    pub fn new<T: Type>(name: &'static str, comment: &str) -> Self {
        let lines: Vec<&str> = comment.lines().map(str::trim).collect();
        Self {
            name,
            schema: T::schema_ref(),
            description: lines.join(" "),
        }
    }

    /// Adds the value that an omitted parameter has.
    pub fn or(mut self, default: Value) -> Self {
        if let MetaSchemaRef::Inline(schema) = &mut self.schema {
            schema.default = Some(default);
        }
        self
    }
}

/// Declares a struct whose members are the optional query parameters of a group. The comment of a member is the
/// description of its parameter; a value after `=` is the default that the document names.
macro_rules! parameter_group {
    ($(#[$meta:meta])* $visibility:vis struct $group:ident {
        $($(#[doc = $line:literal])+ $name:ident: $kind:ty $(= $default:expr)?,)+
    }) => {
        $(#[$meta])*
        $visibility struct $group {
            $($(#[doc = $line])+ pub $name: Option<$kind>,)+
        }

        impl<'a> poem_openapi::ApiExtractor<'a> for $group {
            const TYPES: &'static [poem_openapi::ApiExtractorType] =
                &[poem_openapi::ApiExtractorType::Parameter];
            const PARAM_IS_REQUIRED: bool = false;
            type ParamType = ();
            type ParamRawType = ();

            fn register(registry: &mut poem_openapi::registry::Registry) {
                $(<poem_openapi::param::Query<Option<$kind>> as poem_openapi::ApiExtractor>::register(registry);)+
            }

            fn param_in() -> Option<poem_openapi::registry::MetaParamIn> {
                Some(poem_openapi::registry::MetaParamIn::Query)
            }

            fn param_schema_ref() -> Option<poem_openapi::registry::MetaSchemaRef> {
                use $crate::api::http::parameters::{Declared, placeholder};
                Some(placeholder(vec![$(
                    Declared::new::<$kind>(stringify!($name), concat!($($line, "\n"),+))$(.or($default.into()))?,
                )+]))
            }

            async fn from_request(
                request: &'a poem::Request,
                body: &mut poem::RequestBody,
                _: poem_openapi::ExtractParamOptions<()>,
            ) -> poem::Result<Self> {
                Ok(Self {$(
                    $name: $crate::api::http::parameters::read(request, body, stringify!($name)).await?,
                )+})
            }
        }
    };
}
pub(in crate::api) use parameter_group;

/// Returns the schema of a group's placeholder.
pub fn placeholder(parameters: Vec<Declared>) -> MetaSchemaRef {
    let mut mark = MetaSchema::new(MARK);
    for parameter in parameters {
        mark.properties.push((parameter.name, parameter.schema));
        mark.enum_items.push(parameter.description.into());
    }
    MetaSchemaRef::Inline(Box::new(mark))
}

/// Returns the declarations with each placeholder replaced by the parameters of its group.
pub fn spell_out(mut apis: Vec<MetaApi>) -> Vec<MetaApi> {
    let paths = apis.iter_mut().flat_map(|api| &mut api.paths);
    for operation in paths.flat_map(|path| &mut path.operations) {
        let declared = std::mem::take(&mut operation.params);
        operation.params = declared.into_iter().flat_map(members).collect();
    }
    apis
}

fn members(parameter: MetaOperationParam) -> Vec<MetaOperationParam> {
    let schema = match parameter.schema {
        MetaSchemaRef::Inline(schema) if schema.ty == MARK => schema,
        _ => return vec![parameter],
    };
    let members = schema.properties.into_iter().zip(schema.enum_items);
    members
        .map(|((name, schema), description)| MetaOperationParam {
            name: name.to_owned(),
            schema,
            in_type: MetaParamIn::Query,
            description: description.as_str().map(ToOwned::to_owned),
            required: false,
            deprecated: false,
            explode: true,
            style: None,
        })
        .collect()
}

/// Reads an optional parameter of a group.
pub async fn read<T: ParseFromParameter>(
    request: &Request,
    body: &mut RequestBody,
    name: &'static str,
) -> Result<Option<T>> {
    let options = ExtractParamOptions {
        name,
        ignore_case: false,
        default_value: None,
        example_value: None,
        explode: true,
        style: None,
    };
    let Query(value) = Query::<Option<T>>::from_request(request, body, options).await?;
    Ok(value)
}
