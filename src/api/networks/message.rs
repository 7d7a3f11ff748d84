//! Body of a network server's webhook. It is passed on unread, because the connection determines how to read
//! it, and because an unreadable one must still count in the connection's health.

use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaRequest, MetaSchema, MetaSchemaRef},
};

use crate::{
    api::http::{
        body::{check_network_content_type, json_request, read_encoded},
        declaration::{self, INGEST_KEY_PARAMETER},
    },
    error::Error,
    uplink::RawMessage,
};

/// Unread message of a network server, or the reason why it was refused. The reason is only revealed to a
/// sender with the connection's key.
pub struct Message(pub Result<RawMessage, Error>);

impl<'a> ApiExtractor<'a> for Message {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn request_meta() -> Option<MetaRequest> {
        Some(json_request(MetaSchemaRef::Inline(Box::new(MetaSchema {
            description: Some(
                "Message of the network server, in the format of the connection's type: a JSON object, or a list of \
                 objects for a connection of the type `http`.",
            ),
            ..MetaSchema::ANY
        }))))
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(Self(take(request, body).await))
    }
}

async fn take(request: &Request, body: &mut RequestBody) -> Result<RawMessage, Error> {
    declaration::of(request)?.check_query(request)?;
    check_network_content_type(request)?;
    let query = request.uri().query().unwrap_or_default();
    Ok(RawMessage {
        body: read_encoded(request, body, 1).await?,
        query: url::form_urlencoded::parse(query.as_bytes())
            .filter(|(name, _)| name != INGEST_KEY_PARAMETER)
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect(),
        topic: None,
    })
}
