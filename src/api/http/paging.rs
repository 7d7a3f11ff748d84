//! Parameters of paged lists, declared once.
//!
//! The framework declares one parameter for each argument of an endpoint. [`Paging`] is one argument: its
//! declaration is a placeholder that [`spell_out`] replaces with the parameters.

use poem::{Request, RequestBody, Result, http::Uri};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    param::Query,
    registry::{MetaApi, MetaOperationParam, MetaParamIn, MetaSchema, MetaSchemaRef, Registry},
    types::ParseFromParameter,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    page::{Cursor, LIMIT_DEFAULT, Window},
    types::Limit,
};
use crate::error::Error;

/// Type of the placeholder's schema, which no other schema in the document has.
const MARK: &str = "paging";

const LIMIT: &str = "limit";
const CURSOR: &str = "cursor";
const TOTAL: &str = "total";

/// Page of a list that the client requests.
pub struct Paging {
    uri: Uri,
    limit: Option<Limit>,
    cursor: Option<Cursor>,
    total: Option<bool>,
}

impl Paging {
    /// Returns the requested part of the list.
    pub fn window<K: Serialize + DeserializeOwned>(self) -> Result<Window<K>, Error> {
        Window::new(&self.uri, self.limit, self.cursor, self.total)
    }
}

impl<'a> ApiExtractor<'a> for Paging {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];
    const PARAM_IS_REQUIRED: bool = false;
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        <Query<Option<Limit>> as ApiExtractor>::register(registry);
        <Query<Option<Cursor>> as ApiExtractor>::register(registry);
        <Query<Option<bool>> as ApiExtractor>::register(registry);
    }

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Query)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Some(MetaSchemaRef::Inline(Box::new(MetaSchema::new(MARK))))
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> Result<Self> {
        Ok(Self {
            uri: request.uri().clone(),
            limit: read(request, body, LIMIT).await?,
            cursor: read(request, body, CURSOR).await?,
            total: read(request, body, TOTAL).await?,
        })
    }
}

async fn read<T: ParseFromParameter>(
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

/// Returns the declarations with each placeholder replaced by the paging parameters.
pub fn spell_out(mut apis: Vec<MetaApi>) -> Vec<MetaApi> {
    let paths = apis.iter_mut().flat_map(|api| &mut api.paths);
    for operation in paths.flat_map(|path| &mut path.operations) {
        if let Some(at) = operation.params.iter().position(is_mark) {
            operation.params.splice(at..=at, parameters());
        }
    }
    apis
}

fn is_mark(parameter: &MetaOperationParam) -> bool {
    matches!(&parameter.schema, MetaSchemaRef::Inline(schema) if schema.ty == MARK)
}

fn parameters() -> [MetaOperationParam; 3] {
    [
        with_default(
            parameter::<Limit>(LIMIT, "Maximum number of items per page."),
            LIMIT_DEFAULT.into(),
        ),
        parameter::<Cursor>(
            CURSOR,
            "Value of `next_cursor` from the previous page. All parameters except `limit` and `total` must be the same \
             as for that page. Absent: the first page.",
        ),
        with_default(
            parameter::<bool>(
                TOTAL,
                "Whether to return the number of items on all pages as `total`. Counting takes about as long as reading \
                 all items.",
            ),
            false.into(),
        ),
    ]
}

fn with_default(mut parameter: MetaOperationParam, default: Value) -> MetaOperationParam {
    if let MetaSchemaRef::Inline(schema) = &mut parameter.schema {
        schema.default = Some(default);
    }
    parameter
}

fn parameter<T: ParseFromParameter>(name: &str, description: &str) -> MetaOperationParam {
    MetaOperationParam {
        name: name.to_owned(),
        schema: T::schema_ref(),
        in_type: MetaParamIn::Query,
        description: Some(description.to_owned()),
        required: false,
        deprecated: false,
        explode: true,
        style: None,
    }
}
