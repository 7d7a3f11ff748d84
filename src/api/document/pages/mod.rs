//! The pages of the API, which need neither a log-in nor access to other servers: the landing page, Swagger UI,
//! Redoc, the guide, and the OpenAPI document in its versions and formats.
//!
//! | file | content |
//! |---|---|
//! | `site.rs` | all pages and assets, by path |
//! | `file.rs` | responses with static files: compression, caching |
//! | `assets.rs` | scripts, styles and images, under URLs that contain a hash |
//! | `layout.rs` | the frame of every page |
//! | `landing.rs`, `swagger_ui.rs`, `redoc.rs`, `guide/` | the pages |

mod assets;
mod file;
pub(super) mod guide;
mod landing;
mod layout;
mod redoc;
mod site;
mod swagger_ui;

use std::sync::{Arc, LazyLock};

use poem::{Endpoint, EndpointExt, Request, Response, Result, Route, get, handler};

use self::{
    file::{Caching, File},
    site::Site,
};
use super::form::{Form, Format, Version};
use crate::{error::Error, threads::Made};

/// Paths of the document, and the form that each has.
const DOCUMENTS: [(&str, Form); 4] = [
    ("/openapi.json", Form(Version::V3_0, Format::Json)),
    ("/openapi.yaml", Form(Version::V3_0, Format::Yaml)),
    ("/openapi-3.1.json", Form(Version::V3_1, Format::Json)),
    ("/openapi-3.1.yaml", Form(Version::V3_1, Format::Yaml)),
];

/// Paths of pages and assets, as routes. The landing page is not among them.
const PAGES: [&str; 8] = [
    "/docs",
    "/docs/",
    "/docs/reference",
    "/docs/reference/",
    "/docs/guide",
    "/docs/guide/",
    "/docs/guide/:chapter",
    "/docs/assets/:name",
];

/// Returns the paths of all pages and documents.
pub fn paths() -> impl Iterator<Item = &'static str> {
    let documents = DOCUMENTS.iter().map(|(path, _)| *path);
    ["/"].into_iter().chain(PAGES).chain(documents)
}

/// Returns the operations together with the pages and the document, which `text` generates.
pub fn routes(
    operations: impl Endpoint + 'static,
    text: impl Fn(Form) -> String + Clone + Send + Sync + 'static,
) -> Route {
    // The router has no route for the root of what is nested at the root.
    let operations = operations
        .map_to_response()
        .around(|operations, request| async move {
            match request.uri().path() {
                "/" => get(page).call(request).await,
                _ => operations.call(request).await,
            }
        });
    let mut route = Route::new().nest_no_strip("/", operations);
    for path in PAGES {
        route = route.at(path, get(page));
    }
    for (path, form) in DOCUMENTS {
        let text = text.clone();
        route = route.at(path, get(Document::new(form, move || text(form))));
    }
    route
}

/// The same in every hub of this process.
static SITE: LazyLock<Made<Site>> = LazyLock::new(Made::default);

#[handler]
async fn page(request: &Request) -> Result<Response> {
    let site = SITE.get("pages", Site::build).await?;
    let path = request.uri().path();
    let file = site.find(path);
    let file = file.ok_or(Error::NoSuchPath)?;
    Ok(file.respond(request))
}

/// The document in one form, which is generated and compressed at the first request.
struct Document {
    make: Arc<dyn Fn() -> File + Send + Sync>,
    file: Made<File>,
}

impl Document {
    fn new(form: Form, text: impl Fn() -> String + Send + Sync + 'static) -> Self {
        let content_type = form.1.media_type();
        let make = move || File::new(content_type, Caching::Revalidated, text());
        Self {
            make: Arc::new(make),
            file: Made::default(),
        }
    }
}

impl Endpoint for Document {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let make = self.make.clone();
        let file = self.file.get("document", move || make()).await?;
        Ok(file.respond(&request))
    }
}
