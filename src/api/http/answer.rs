//! Responses of operations that succeed.

use std::io;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use poem::{
    Body as PoemBody, IntoResponse, Response,
    http::{HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse,
    registry::{
        MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
    },
    types::Type,
};
use serde::Serialize;

use super::exporting::Place;
use crate::{error::Error, export::pieces::Pieces, store::core::room::Room};

/// Response 200 with a resource or a collection.
pub struct Found<T>(pub T);

/// A resource with a revision number.
pub trait Revised {
    /// Returns the revision, which grows with every change by a client.
    fn revision(&self) -> i64;
}

/// Response 200 with one resource and its `ETag`.
pub struct Single<T>(pub T);

/// Response 201 with the new resource and its `Location`.
pub struct Created<T> {
    /// Path of the new resource.
    pub location: String,
    /// The new resource.
    pub body: T,
}

/// Response 201 with a resource that the hub itself keeps changing, and therefore without an `ETag`.
pub struct Begun<T> {
    /// Path of the new resource.
    pub location: String,
    /// The new resource.
    pub body: T,
}

impl<T: Serialize + Send> IntoResponse for Found<T> {
    fn into_response(self) -> Response {
        json(StatusCode::OK, &self.0)
    }
}

impl<T: Serialize + Revised + Send> IntoResponse for Single<T> {
    fn into_response(self) -> Response {
        with_etag(json(StatusCode::OK, &self.0), &self.0)
    }
}

impl<T: Serialize + Revised + Send> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let response = with_etag(json(StatusCode::CREATED, &self.body), &self.body);
        with_location(response, self.location)
    }
}

impl<T: Serialize + Send> IntoResponse for Begun<T> {
    fn into_response(self) -> Response {
        with_location(json(StatusCode::CREATED, &self.body), self.location)
    }
}

fn with_location(mut response: Response, location: String) -> Response {
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

fn with_etag(mut response: Response, body: &impl Revised) -> Response {
    if let Ok(etag) = HeaderValue::try_from(format!("\"{}\"", body.revision())) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

/// Adds a `Link` to the next page to the response.
pub fn with_link(mut response: Response, next: Option<&str>) -> Response {
    let link = next.and_then(|next| HeaderValue::try_from(format!("<{next}>; rel=\"next\"")).ok());
    if let Some(link) = link {
        response.headers_mut().insert(header::LINK, link);
    }
    response
}

/// Returns a body that is produced piece by piece, as the client reads it. The first piece is produced before
/// the response begins, so that an immediate failure still has a status code. A later failure closes the
/// connection, so that no client takes the truncated body for a complete one. The body keeps its place among all
/// exports to its end.
pub async fn in_pieces(place: Place, mut pieces: impl Pieces) -> Result<PoemBody, Error> {
    let first = pieces.next().await?.unwrap_or_default();
    let begin = (place, pieces);
    let rest = stream::try_unfold(begin, async |(place, mut pieces)| {
        match pieces.next().await {
            Ok(next) => Ok(next.map(|piece| (piece, (place, pieces)))),
            Err(error) => {
                tracing::error!(cause = error.causes(), "a response was cut off");
                Err(io::Error::other(error))
            }
        }
    });
    let all = stream::iter([Ok(first)]).chain(rest);
    let filled = all.try_filter(|piece| std::future::ready(!piece.is_empty()));
    Ok(PoemBody::from_bytes_stream(filled))
}

/// Returns a JSON response.
pub fn json(status: StatusCode, body: &impl Serialize) -> Response {
    json_in(Room::none(), status, body)
}

/// Returns a JSON response that keeps its room until it has been sent.
pub fn json_in(room: Room, status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => Response::builder()
            .status(status)
            .content_type("application/json")
            .body(in_room(room, bytes)),
        Err(error) => super::failure::respond(&Error::internal(error)),
    }
}

/// Returns bytes that keep their room as long as any part of them is held.
pub fn in_room(room: Room, bytes: Vec<u8>) -> Bytes {
    struct Kept {
        bytes: Vec<u8>,
        _room: Room,
    }

    impl AsRef<[u8]> for Kept {
        fn as_ref(&self) -> &[u8] {
            &self.bytes
        }
    }

    Bytes::from_owner(Kept { bytes, _room: room })
}

impl<T: Type> ApiResponse for Found<T> {
    fn meta() -> MetaResponses {
        success(
            200,
            "The request succeeded. The body contains the requested data.",
            "application/json",
            T::schema_ref(),
            vec![],
        )
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: Type> ApiResponse for Single<T> {
    fn meta() -> MetaResponses {
        success(
            200,
            "The request succeeded. The body contains the resource.",
            "application/json",
            T::schema_ref(),
            vec![etag()],
        )
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: Type> ApiResponse for Created<T> {
    fn meta() -> MetaResponses {
        success(
            201,
            "The resource was created. The body contains it.",
            "application/json",
            T::schema_ref(),
            vec![location(), etag()],
        )
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: Type> ApiResponse for Begun<T> {
    fn meta() -> MetaResponses {
        success(
            201,
            "The resource was created and is processed in the background. The body contains it.",
            "application/json",
            T::schema_ref(),
            vec![location()],
        )
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// Returns the documentation of a success response.
pub fn success(
    status: u16,
    description: &'static str,
    content_type: &'static str,
    schema: MetaSchemaRef,
    headers: Vec<MetaHeader>,
) -> MetaResponses {
    MetaResponses {
        responses: vec![MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content: vec![MetaMediaType {
                content_type,
                schema,
            }],
            headers,
        }],
    }
}

/// Returns the documentation of the `Link` to the next page.
pub fn next_link() -> MetaHeader {
    header(
        "Link",
        "Path of the next page, as `<path>; rel=\"next\"`. Absent on the last page.",
        false,
    )
}

fn location() -> MetaHeader {
    header("Location", "Path of the new resource.", true)
}

fn etag() -> MetaHeader {
    header(
        "ETag",
        "Version of the resource. Send it as `If-Match` to change the resource only if it has not been changed since.",
        true,
    )
}

/// Returns the documentation of a response header.
pub fn header(name: &str, description: &str, required: bool) -> MetaHeader {
    MetaHeader {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        required,
        deprecated: false,
        schema: MetaSchemaRef::Inline(Box::new(MetaSchema::new("string"))),
    }
}
