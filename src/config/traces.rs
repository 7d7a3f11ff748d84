//! Types of the settings of traces.

use hyper::header::{HeaderName, HeaderValue};
use url::Url;

use super::values::{Shown, Value};

/// True for a URL of a server, to which paths can be appended.
pub fn is_base_url(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        is_http && !has_credentials && url.query().is_none() && url.fragment().is_none()
    })
}

/// Headers that never show in logs, written `name=value, name=value`.
#[derive(Clone, Default)]
pub struct Headers(pub Vec<(String, String)>);

impl std::fmt::Debug for Headers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Value for Headers {
    fn read(text: &str) -> Result<Self, String> {
        let parts = text.split(',').filter(|part| !part.trim().is_empty());
        let headers: Option<_> = parts.map(header).collect();
        // The rule must not show the value, which is a secret.
        headers
            .map(Self)
            .ok_or_else(|| "must be name=value, comma-separated".to_owned())
    }

    fn show(&self) -> Shown {
        match self.0.is_empty() {
            true => Shown::Unset,
            false => Shown::Hidden,
        }
    }
}

fn header(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    HeaderName::from_bytes(name.as_bytes()).ok()?;
    HeaderValue::from_str(value).ok()?;
    Some((name.to_owned(), value.to_owned()))
}

/// A share, from 0.0 to 1.0.
#[derive(Debug, Clone, Copy)]
pub struct Ratio(pub f64);

impl Value for Ratio {
    fn read(text: &str) -> Result<Self, String> {
        let ratio = text.trim().parse().ok();
        let ratio = ratio.filter(|ratio| (0.0..=1.0).contains(ratio));
        ratio
            .map(Self)
            .ok_or_else(|| format!("must be a number from 0.0 to 1.0, not \"{text}\""))
    }

    fn show(&self) -> Shown {
        Shown::Number(format!("{:?}", self.0))
    }
}
