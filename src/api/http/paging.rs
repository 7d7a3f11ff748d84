//! Parameters of paged lists, declared once.

use poem::{Request, RequestBody, Result, http::Uri};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    param::Query,
    registry::{MetaParamIn, MetaSchemaRef, Registry},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    page::{Cursor, LIMIT_DEFAULT, Window},
    parameters::{Declared, placeholder, read},
    types::Limit,
};
use crate::error::Error;

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
        Some(placeholder(vec![
            Declared::new::<Limit>(LIMIT, "Maximum number of items per page.")
                .or(LIMIT_DEFAULT.into()),
            Declared::new::<Cursor>(
                CURSOR,
                "Value of `next_cursor` from the previous page. All parameters except `limit` and `total` must be the \
                 same as for that page. Absent: the first page.",
            ),
            Declared::new::<bool>(
                TOTAL,
                "Whether to return the number of items on all pages as `total`. Counting takes about as long as \
                 reading all items.",
            )
            .or(false.into()),
        ]))
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
