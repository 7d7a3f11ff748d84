//! Redoc, to read. The library comes with poem-openapi; the page, which loads it, is ours.

use poem_openapi::OpenApiService;

use super::{
    assets::{Asset, Assets, between},
    layout::Page,
};

const LIBRARY: &str = "redoc-library.js";
const START: &str = "redoc.js";

/// Returns the scripts of the page. poem-openapi only offers a page that contains the library's.
pub fn assets() -> [Asset; 2] {
    let page = OpenApiService::new((), "", "").redoc_html();
    let script = between(&page, "<script charset=\"UTF-8\">", "</script>");
    [
        Asset::script(LIBRARY, script.to_owned()),
        Asset::script(START, include_str!("redoc.js")),
    ]
}

/// Returns the page.
pub fn html(assets: &Assets) -> String {
    let body = format!(
        "<main id=\"reference\"></main>\n{}\n{}",
        assets.script(LIBRARY),
        assets.script(START),
    );
    Page {
        title: "API reference",
        place: "/docs/reference",
        head: "",
        body: &body,
    }
    .html(assets)
}
