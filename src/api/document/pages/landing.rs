//! The landing page: what this server is, and where everything is.

use super::{assets::Assets, layout::Page};

const BODY: &str = include_str!("landing.html");

/// Returns the page.
pub fn html(assets: &Assets) -> String {
    let body = BODY.replace("{version}", env!("CARGO_PKG_VERSION"));
    Page {
        title: "thingsHub",
        place: "/",
        head: "",
        body: &body,
    }
    .html(assets)
}
