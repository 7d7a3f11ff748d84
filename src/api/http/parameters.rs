//! Groups of query parameters that several operations share, each declared once.
//!
//! The framework declares one parameter for each argument of an endpoint. A group is one argument: its declaration
//! is a placeholder, which contains the parameters of the group and which [`spell_out`] replaces with them.

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
    description: &'static str,
}

impl Declared {
    /// Declares an optional parameter.
    pub fn new<T: Type>(name: &'static str, description: &'static str) -> Self {
        Self {
            name,
            schema: T::schema_ref(),
            description,
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
