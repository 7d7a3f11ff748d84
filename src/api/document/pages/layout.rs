//! The frame of every page: head, and links to the other pages.

use std::fmt::Write;

use html_escape::encode_text;

use super::assets::{Asset, Assets};

/// `Content-Security-Policy` of the pages without scripts.
pub const TEXT_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; \
     frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// Name of the product, as titles show it.
const PRODUCT: &str = "thingsHub";

/// The pages that all pages link to.
const PAGES: [(&str, &str); 4] = [
    ("/", PRODUCT),
    ("/docs", "Try it out"),
    ("/docs/reference", "Reference"),
    ("/docs/guide/", "Guide"),
];

const STYLE: &str = "pages.css";

/// Returns the stylesheet of all pages.
pub fn style() -> Asset {
    Asset::style(STYLE, include_str!("pages.css"))
}

/// A page without its frame.
pub struct Page<'a> {
    /// Title, as plain text.
    pub title: &'a str,
    /// Path among [`PAGES`] that this page is, or belongs to.
    pub place: &'a str,
    /// Further elements of the head, as HTML.
    pub head: &'a str,
    /// Content, as HTML.
    pub body: &'a str,
}

impl Page<'_> {
    /// Returns the page as HTML.
    pub fn html(&self, assets: &Assets) -> String {
        let title = encode_text(self.title);
        let title = match self.place {
            "/" => title.into_owned(),
            _ => format!("{title} - {PRODUCT}"),
        };
        // The empty icon keeps browsers from requesting one that does not exist.
        format!(
            "<!doctype html>\n\
             <html lang=\"en\">\n\
             <head>\n\
             <meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n\
             <link rel=\"icon\" href=\"data:,\">\n\
             {style}\n\
             {head}\n\
             </head>\n\
             <body>\n\
             <nav class=\"site\" aria-label=\"Pages\">{links}</nav>\n\
             {body}\n\
             </body>\n\
             </html>\n",
            style = assets.style(STYLE),
            head = self.head,
            links = self.links(),
            body = self.body,
        )
    }

    fn links(&self) -> String {
        PAGES.iter().fold(String::new(), |mut links, (path, name)| {
            let current = if *path == self.place {
                " aria-current=\"page\""
            } else {
                ""
            };
            let _ = write!(links, "<a href=\"{path}\"{current}>{name}</a>");
            links
        })
    }
}
