//! Parameters of paged lists, declared once.

use poem::{Request, RequestBody, Result, http::Uri};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaParamIn, MetaSchemaRef, Registry},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    page::{Cursor, LIMIT_DEFAULT, Window},
    parameters::parameter_group,
    types::Limit,
};
use crate::error::Error;

parameter_group! {
    /// Part of a list.
    struct Part {
        /// Maximum number of items per page. A page ends earlier if its items have more than 4 MiB or 100,000
        /// values.
        limit: Limit = LIMIT_DEFAULT,
        /// Value of `next_cursor` from the previous page. All parameters except `limit` and `total` must be the same as
        /// for that page. Absent: the first page.
        cursor: Cursor,
        /// Whether to return the number of items on all pages as `total`. Counting takes about as long as reading all
        /// items.
        total: bool = false,
    }
}

/// Page of a list that the client requests.
pub struct Paging {
    /// Address of the page, to which that of the next one is alike.
    uri: Uri,
    part: Part,
}

impl Paging {
    /// Returns the requested part of the list.
    pub fn window<K: Serialize + DeserializeOwned>(self) -> Result<Window<K>, Error> {
        let Part {
            limit,
            cursor,
            total,
        } = self.part;
        Window::new(&self.uri, limit, cursor, total)
    }
}

impl<'a> ApiExtractor<'a> for Paging {
    const TYPES: &'static [ApiExtractorType] = Part::TYPES;
    const PARAM_IS_REQUIRED: bool = Part::PARAM_IS_REQUIRED;
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        Part::register(registry);
    }

    fn param_in() -> Option<MetaParamIn> {
        Part::param_in()
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Part::param_schema_ref()
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        options: ExtractParamOptions<()>,
    ) -> Result<Self> {
        Ok(Self {
            uri: request.uri().clone(),
            part: Part::from_request(request, body, options).await?,
        })
    }
}
