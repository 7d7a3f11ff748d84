//! The OpenAPI document and pages to browse it, served from the binary without access to the network.

use bytes::Bytes;
use poem::{
    Endpoint, Request, Response, Result, Route, get, handler,
    http::{HeaderValue, header},
    web::Data,
};
use poem_openapi::OpenApiService;

use crate::api::{document::published::Documents, http::edge::IsPublic};

/// Allows a page to load and run only what it contains, and to send requests only to this server. `worker-src
/// blob:` is for Redoc, whose search runs in a worker that the page creates from its own text.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; script-src 'self' 'unsafe-inline'; \
     style-src 'self' 'unsafe-inline'; img-src 'self' data:; worker-src blob:; frame-ancestors 'none'";

/// The empty icon keeps browsers from requesting one that does not exist.
const HEAD: &str = "<title>thingsHub API</title><link rel=\"icon\" href=\"data:,\">";

/// Paths of the document and its pages.
pub const PATHS: [&str; 4] = ["/openapi.json", "/openapi.yaml", "/docs", "/docs/reference"];

/// Adds `/docs`, `/docs/reference`, `/openapi.json` and `/openapi.yaml`.
pub fn routes(route: Route) -> Route {
    route
        .at("/openapi.json", get(openapi_json))
        .at("/openapi.yaml", get(openapi_yaml))
        .at("/docs", get(Page::new(swagger_ui())))
        .at("/docs/reference", get(Page::new(redoc())))
}

#[handler]
fn openapi_json(documents: Data<&Documents>) -> Response {
    document("application/json", documents.json.clone())
}

#[handler]
fn openapi_yaml(documents: Data<&Documents>) -> Response {
    document("application/yaml", documents.yaml.clone())
}

/// Returns a document, which is the same for all clients and needs no authentication.
fn document(content_type: &str, text: Bytes) -> Response {
    public(Response::builder().content_type(content_type).body(text))
}

/// Lets caches keep a response and revalidate it, because other versions of the hub have other pages.
fn public(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response.set_data(IsPublic);
    response
}

struct Page {
    html: Bytes,
}

impl Page {
    fn new(html: String) -> Self {
        Self { html: html.into() }
    }
}

impl Endpoint for Page {
    type Output = Response;

    async fn call(&self, _: Request) -> Result<Response> {
        let mut page = document("text/html; charset=utf-8", self.html.clone());
        page.headers_mut().insert(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(CONTENT_SECURITY_POLICY),
        );
        Ok(page)
    }
}

/// Returns poem-openapi's own Swagger UI page, which contains all its assets, changed to load the published
/// document in place of the generated one.
fn swagger_ui() -> String {
    let placeholder = OpenApiService::new((), "", "");
    placeholder
        .swagger_ui_html()
        .replace(&format!("let spec = {};", placeholder.spec()), "")
        .replace(
            "spec: spec,",
            "url: '/openapi.json', persistAuthorization: true, tryItOutEnabled: true,",
        )
        .replace("<title>Swagger UI</title>", HEAD)
        .replacen(
            "<html charset=\"UTF-8\">",
            "<!doctype html><html lang=\"en\">",
            1,
        )
}

/// Returns poem-openapi's own Redoc page, changed in the same way and without the fonts that it would load.
fn redoc() -> String {
    let placeholder = OpenApiService::new((), "", "");
    placeholder
        .redoc_html()
        .replace(
            "<link href=\"https://fonts.googleapis.com/css?family=Montserrat:300,400,700|Roboto:300,400,700\" rel=\"stylesheet\">",
            "",
        )
        .replace(&format!("let spec = {};", placeholder.spec()), "")
        .replace(
            "Redoc.init(spec, {",
            "Redoc.init('/openapi.json', {theme: {typography: {fontFamily: 'sans-serif', \
             headings: {fontFamily: 'sans-serif'}}},",
        )
        .replace("<title>Redoc</title>", HEAD)
        .replacen("<html>", "<html lang=\"en\">", 1)
        .trim_start()
        .to_owned()
}
