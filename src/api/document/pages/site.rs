//! All pages and assets, by path.

use std::collections::BTreeMap;

use super::{
    assets::Assets,
    file::File,
    guide, landing,
    layout::{self, TEXT_POLICY},
    redoc, swagger_ui,
};

/// `Content-Security-Policy` of the pages that run scripts: only the hub's own, and requests only to the hub.
/// `worker-src blob:` is for Redoc, whose search runs in a worker that the script creates from its own text.
const SCRIPT_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     worker-src blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// Every page and asset, compressed.
pub struct Site {
    files: BTreeMap<String, File>,
}

impl Site {
    /// Renders and compresses everything.
    pub fn build() -> Self {
        let scripts = swagger_ui::assets().into_iter().chain(redoc::assets());
        let others = [layout::style()].into_iter().chain(guide::images());
        let assets = Assets::new(scripts.chain(others));
        let text = |html: String| File::page(TEXT_POLICY, html);
        let script = |html: String| File::page(SCRIPT_POLICY, html);
        let mut files = BTreeMap::from([
            (String::new(), text(landing::html(&assets))),
            ("/docs".to_owned(), script(swagger_ui::html(&assets))),
            ("/docs/reference".to_owned(), script(redoc::html(&assets))),
        ]);
        for (path, html) in guide::pages(&assets) {
            files.insert(path, text(html));
        }
        files.extend(assets.into_files());
        Self { files }
    }

    /// Returns what has this path, with or without a slash at its end.
    pub fn find(&self, path: &str) -> Option<&File> {
        self.files.get(path.strip_suffix('/').unwrap_or(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The libraries are cut out of poem-openapi's pages, whose form may change with its version.
    #[test]
    fn the_libraries_are_found() {
        let site = Site::build();
        for (stem, files, bytes_min) in [
            ("swagger-ui-library-", 2, 100_000),
            ("redoc-library-", 1, 500_000),
        ] {
            let prefix = format!("/docs/assets/{stem}");
            let found = site
                .files
                .iter()
                .filter(|(path, _)| path.starts_with(&prefix));
            let sizes: Vec<_> = found.map(|(_, file)| file.size()).collect();
            assert_eq!(sizes.len(), files, "{stem}");
            assert!(sizes.iter().all(|bytes| *bytes > bytes_min), "{sizes:?}");
        }
    }
}
