//! Uploaded files: their media types, the limit on uploads at the same time, and their documentation.

use std::{
    marker::PhantomData,
    sync::{Arc, Mutex, PoisonError},
};

use mime::Mime;
use poem::{Request, RequestBody, Result};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef},
};

use super::{
    body,
    bounds::BodyBounds,
    caller::Authenticated,
    declaration::FILE_TYPE,
    file_encoding::SAVE_AS_UTF8,
    file_form::{self, FORM_TYPE, File},
};
use crate::{
    error::{Error, Reason},
    hub::Caller,
    id::TenantId,
    live::Listener,
    shares::{self, Full, Shares},
};

/// Media type of Excel workbooks.
const WORKBOOK_TYPE: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
/// Maximum number of files that are received at the same time. Each is in memory in more than one form.
const RECEIVING_MAX: usize = 4;
/// Maximum for one tenant, so that slow uploads of one do not keep out the others.
const RECEIVING_TENANT_MAX: usize = 2;
/// Maximum for one user or API key.
const RECEIVING_USER_MAX: usize = 1;

/// Limits the files that are received at the same time; part of the request's data.
#[derive(Clone)]
pub struct Receiving(Shares<Member>);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Member {
    Tenant(TenantId),
    Sender(Listener),
}

/// A place among the files that are received. The import holds it to its end, even if no client waits any more.
#[derive(Clone)]
pub struct Place(#[expect(dead_code, reason = "it is held")] Arc<shares::Place<Member>>);

/// A place that was taken before the request reached its endpoint; part of the request's extensions.
#[derive(Clone, Default)]
struct Early(Arc<Mutex<Option<Place>>>);

impl Default for Receiving {
    fn default() -> Self {
        Self(Shares::new(RECEIVING_MAX))
    }
}

impl Receiving {
    /// Takes a place for a file of this caller.
    fn enter(&self, caller: &Caller) -> Result<Place, Error> {
        let members = [
            (Member::Sender(caller.listener()), RECEIVING_USER_MAX),
            (Member::Tenant(caller.scope.tenant()), RECEIVING_TENANT_MAX),
        ];
        let place = self.0.enter(members).map_err(|full| {
            Error::overloaded(match full {
                Full::All => "other files are being received; try again",
                Full::Share(Member::Tenant(_)) => {
                    "other files of this tenant are being received; try again"
                }
                Full::Share(Member::Sender(_)) => {
                    "another file of this user or API key is being received; try again"
                }
            })
        })?;
        Ok(Place(Arc::new(place)))
    }
}

/// Takes a place for a request that carries a file, before any of the file is read.
pub fn enter_early(request: &mut Request) -> Result<(), Error> {
    let early = Early(Arc::new(Mutex::new(Some(enter(request)?))));
    request.extensions_mut().insert(early);
    Ok(())
}

/// Returns the place that the request already has, or takes one.
fn enter(request: &Request) -> Result<Place, Error> {
    let early: Option<&Early> = request.extensions().get();
    if let Some(Early(place)) = early
        && let Some(place) = place.lock().unwrap_or_else(PoisonError::into_inner).take()
    {
        return Ok(place);
    }
    let receiving: &Receiving = request
        .data()
        .ok_or_else(|| Error::internal("nothing lets in files to import"))?;
    let caller: &Authenticated = request
        .extensions()
        .get()
        .ok_or_else(|| Error::internal("a file of nobody who was let in"))?;
    receiving.enter(&caller.caller)
}

/// A kind of file that an operation accepts.
pub trait FileKind: Send + Sync {
    /// Description in the OpenAPI document.
    const DESCRIPTION: &'static str;
    /// Usual media types of such files, named in errors.
    const USUAL_TYPES: &'static [&'static str];

    /// True if such a file may have this media type, which is in lower case.
    fn may_be(media_type: &str) -> bool;

    /// Returns the maximum number of bytes of such a file.
    fn max_bytes(bounds: &BodyBounds) -> usize;
}

/// An uploaded file.
pub struct Sent<K> {
    /// Content of the file.
    pub bytes: Vec<u8>,
    /// Media type that the client names.
    pub media_type: Mime,
    /// File name; only forms have one.
    pub name: Option<String>,
    /// Place among the files that are received, to be held by the work on the file.
    pub place: Place,
    _kind: PhantomData<K>,
}

impl<'a, K: FileKind> ApiExtractor<'a> for Sent<K> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest {
            description: Some(K::DESCRIPTION),
            content: vec![content()],
            required: true,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> Result<Self> {
        let media_type = media_type_of::<K>(request)?;
        let place = enter(request)?;
        let bounds = BodyBounds::of(request)?;
        let max_bytes = K::max_bytes(&bounds);
        let file = if media_type.essence_str() == FORM_TYPE {
            let file = file_form::read(bounds, max_bytes, &media_type, body).await?;
            check_type::<K>("the file's Content-Type", &file.media_type)?;
            file
        } else {
            File {
                bytes: body::read_within(bounds, max_bytes, body).await?,
                media_type,
                name: None,
            }
        };
        Ok(Self {
            bytes: file.bytes,
            media_type: file.media_type,
            name: file.name,
            place,
            _kind: PhantomData,
        })
    }
}

fn media_type_of<K: FileKind>(request: &Request) -> Result<Mime, Error> {
    const PLACE: &str = "header Content-Type";
    let told = request.content_type().unwrap_or_default().trim();
    let media_type: Mime = told.parse().map_err(|_| wrong_type::<K>(PLACE))?;
    if media_type.essence_str() != FORM_TYPE {
        check_type::<K>(PLACE, &media_type)?;
    }
    Ok(media_type)
}

/// Refuses media types that such a file cannot have.
fn check_type<K: FileKind>(place: &str, media_type: &Mime) -> Result<(), Error> {
    let essence = media_type.essence_str();
    if essence == FILE_TYPE || K::may_be(essence) {
        return Ok(());
    }
    if essence == WORKBOOK_TYPE {
        let rule = format!("must not be the type of a workbook: {SAVE_AS_UTF8}");
        return Err(Error::of_field(Reason::UnsupportedMediaType, place, rule));
    }
    Err(wrong_type::<K>(place))
}

fn wrong_type<K: FileKind>(place: &str) -> Error {
    let known = [&[FILE_TYPE], K::USUAL_TYPES].concat();
    let rule = format!("must be {} or {FORM_TYPE}", known.join(", "));
    Error::of_field(Reason::UnsupportedMediaType, place, rule)
}

/// Returns the documentation of a file's content.
pub fn content() -> MetaMediaType {
    MetaMediaType {
        content_type: FILE_TYPE,
        schema: MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "binary"))),
    }
}
