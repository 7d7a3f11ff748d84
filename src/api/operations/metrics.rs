//! Metrics for operators: as an operation, and as the only endpoint of a listener of its own.

use poem::{
    Endpoint, EndpointExt, IntoResponse, Request, Response, Result, Route, endpoint::make, get,
    http::header,
};
use poem_openapi::{
    ApiResponse, OpenApi,
    registry::{MetaResponses, MetaSchema, MetaSchemaRef, Registry},
};

use crate::{
    api::{
        http::{answer::success, caller::Caller, edge::RanOperation, failure},
        tag::Tag,
    },
    hub::Hub,
    metrics::MEDIA_TYPE,
};

/// Name of the operation, also for requests on the listener of its own.
const OPERATION: &str = "get_metrics";
/// Path of the metrics.
const PATH: &str = "/metrics";

/// Response 200 with the text of all metrics.
struct Text(String);

/// Endpoint `metrics`.
pub struct MetricsApi {
    pub hub: Hub,
}

#[OpenApi(tag = "Tag::Health")]
impl MetricsApi {
    /// Get metrics
    ///
    /// Returns the metrics of this hub in Prometheus's text format (version 0.0.4). Only users who manage the
    /// installation may call it. To collect metrics without a token, set `metrics_listen`, which serves them at the
    /// same path on an address of its own.
    ///
    /// The metrics have no identifiers or names of tenants, devices or users.
    #[oai(path = "/metrics", method = "get", operation_id = "get_metrics")]
    async fn metrics(
        &self,
        #[expect(unused_variables, reason = "it must be authorized")] caller: Caller,
    ) -> Result<Text> {
        Ok(Text(self.hub.metrics_text().await?))
    }
}

/// Returns the endpoint of the listener for metrics, which needs no token.
pub fn alone(hub: Hub) -> impl Endpoint + 'static {
    let answer = make(move |request: Request| {
        let hub = hub.clone();
        async move {
            if let Some(ran) = request.data::<RanOperation>() {
                ran.note(OPERATION, PATH.into());
            }
            match hub.metrics_text().await {
                Ok(text) => Text(text).into_response(),
                Err(error) => failure::respond(&error),
            }
        }
    });
    Route::new().at(PATH, get(answer)).map_to_response()
}

impl IntoResponse for Text {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        let media_type = header::HeaderValue::from_static(MEDIA_TYPE);
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, media_type);
        response
    }
}

impl ApiResponse for Text {
    fn meta() -> MetaResponses {
        let schema = MetaSchemaRef::Inline(Box::new(MetaSchema::new("string")));
        let description = "The request succeeded. The body has the metrics.";
        success(200, description, "text/plain", schema, vec![])
    }

    fn register(_: &mut Registry) {}
}
