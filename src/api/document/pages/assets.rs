//! Scripts, styles and images. The URL of each contains a hash of its content, so that clients may keep it for
//! ever and still get the new one after an update of the hub.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::file::{Caching, File};

/// Digits of the hash in a URL.
const HASH_DIGITS: usize = 16;

/// The assets of all pages.
pub struct Assets(Vec<Asset>);

/// A script, a style or an image.
pub struct Asset {
    name: &'static str,
    url: String,
    file: File,
}

impl Assets {
    /// Returns these assets.
    pub fn new(assets: impl IntoIterator<Item = Asset>) -> Self {
        Self(assets.into_iter().collect())
    }

    /// Returns the URL of an asset; `None` if there is no asset with this name.
    pub fn url(&self, name: &str) -> Option<&str> {
        let asset = self.0.iter().find(|asset| asset.name == name)?;
        Some(&asset.url)
    }

    /// Returns an element that loads a stylesheet.
    pub fn style(&self, name: &str) -> String {
        let url = self.url(name).unwrap_or_default();
        format!("<link rel=\"stylesheet\" href=\"{url}\">")
    }

    /// Returns an element that loads a script.
    pub fn script(&self, name: &str) -> String {
        let url = self.url(name).unwrap_or_default();
        format!("<script src=\"{url}\"></script>")
    }

    /// Returns the files by path.
    pub fn into_files(self) -> impl Iterator<Item = (String, File)> {
        self.0.into_iter().map(|asset| (asset.url, asset.file))
    }
}

impl Asset {
    /// Returns a script.
    pub fn script(name: &'static str, text: impl Into<Bytes>) -> Self {
        Self::new(name, "text/javascript; charset=utf-8", text)
    }

    /// Returns a stylesheet.
    pub fn style(name: &'static str, text: impl Into<Bytes>) -> Self {
        Self::new(name, "text/css; charset=utf-8", text)
    }

    /// Returns a picture of pixels.
    pub fn png(name: &'static str, image: &'static [u8]) -> Self {
        Self::new(name, "image/png", image)
    }

    /// Returns a drawing.
    pub fn svg(name: &'static str, drawing: &'static str) -> Self {
        Self::new(name, "image/svg+xml", drawing)
    }

    fn new(name: &'static str, content_type: &'static str, content: impl Into<Bytes>) -> Self {
        let content = content.into();
        let mut hash = hex::encode(Sha256::digest(&content));
        hash.truncate(HASH_DIGITS);
        let file_name = name.rsplit('/').next().unwrap_or(name);
        let (stem, extension) = file_name.rsplit_once('.').unwrap_or((file_name, ""));
        Self {
            name,
            url: format!("/docs/assets/{stem}-{hash}.{extension}"),
            file: File::new(content_type, Caching::Immutable, content),
        }
    }
}

/// Returns the text between two marks; empty if they are not there.
pub fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    let rest = text.split_once(begin).map_or("", |(_, rest)| rest);
    rest.split_once(end).map_or("", |(found, _)| found)
}
