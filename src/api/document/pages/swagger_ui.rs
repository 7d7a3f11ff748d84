//! Swagger UI, to try operations out. The library comes with poem-openapi; the page, which loads it, is ours.

use poem_openapi::OpenApiService;

use super::{
    assets::{Asset, Assets, between},
    layout::Page,
};

const LIBRARY: &str = "swagger-ui-library.js";
const LIBRARY_STYLE: &str = "swagger-ui-library.css";
const START: &str = "swagger-ui.js";

/// Returns the scripts and the style of the page. poem-openapi only offers a page that contains the library's.
pub fn assets() -> [Asset; 3] {
    let page = OpenApiService::new((), "", "").swagger_ui_html();
    let script = between(&page, "<script charset=\"UTF-8\">", "</script>");
    let style = between(&page, "<style charset=\"UTF-8\">", "</style>");
    [
        Asset::script(LIBRARY, script.to_owned()),
        Asset::style(LIBRARY_STYLE, style.to_owned()),
        Asset::script(START, include_str!("swagger_ui.js")),
    ]
}

/// Returns the page.
pub fn html(assets: &Assets) -> String {
    let body = format!(
        "<main id=\"ui\"></main>\n{}\n{}",
        assets.script(LIBRARY),
        assets.script(START),
    );
    Page {
        title: "Try the API out",
        place: "/docs",
        head: &assets.style(LIBRARY_STYLE),
        body: &body,
    }
    .html(assets)
}
