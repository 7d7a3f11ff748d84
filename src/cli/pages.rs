//! All pages of a hub's lists; `api --all` prints every item, one per line.

use reqwest::{RequestBuilder, header::HeaderMap};
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use super::{
    connection::{Connection, successful},
    exit::{Failure, Reason},
    output,
};

/// Query parameter of the next page.
const CURSOR: &str = "cursor";

/// A page of a list. Items are kept as raw text: a parser may change the notation of numbers.
#[derive(Deserialize)]
struct Page {
    collection: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

/// Prints the items of all pages, each page as soon as it has arrived.
pub async fn print_all(hub: &Connection, url: Url, headers: &HeaderMap) -> Result<(), Failure> {
    let request = |url| hub.client().get(url).headers(headers.clone());
    each_page(hub, url, request, |items| output::bytes(&lines(items)?)).await
}

/// Calls back with the items of all pages, each page as soon as it has arrived.
pub async fn each_page(
    hub: &Connection,
    mut url: Url,
    request: impl Fn(Url) -> RequestBuilder,
    mut take: impl FnMut(&[Box<RawValue>]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    loop {
        let response = successful(hub.send(request(url.clone())).await?).await?;
        let body = response.bytes().await.map_err(|error| hub.broken(error))?;
        let page: Page = serde_json::from_slice(&body)
            .map_err(|_| Failure::usage("the response of this path is not a list"))?;
        take(&page.collection)?;
        let Some(cursor) = page.next_cursor else {
            return Ok(());
        };
        let next = with_cursor(&url, &cursor);
        if next == url {
            return Err(Failure::new(
                Reason::HubFailed,
                "the hub returned the same page of the list twice",
            ));
        }
        url = next;
    }
}

/// Formats an item as one line, however it was spaced.
pub fn lines(items: &[Box<RawValue>]) -> Result<Vec<u8>, Failure> {
    let mut lines = Vec::new();
    for item in items {
        let text = item.get();
        if text.contains(['\n', '\r']) {
            let value: serde_json::Value =
                serde_json::from_str(text).map_err(|error| error.to_string())?;
            lines.extend_from_slice(value.to_string().as_bytes());
        } else {
            lines.extend_from_slice(text.as_bytes());
        }
        lines.push(b'\n');
    }
    Ok(lines)
}

/// Returns the URL of the same list from another cursor.
fn with_cursor(url: &Url, cursor: &str) -> Url {
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| name != CURSOR)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let mut next = url.clone();
    next.query_pairs_mut()
        .clear()
        .extend_pairs(kept)
        .append_pair(CURSOR, cursor);
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_keeps_what_was_asked() {
        let url = Url::parse("https://hub/api/v3/devices?label=a%3Db%20c&limit=2").unwrap();
        let second = with_cursor(&url, "x");
        let third = with_cursor(&second, "y");
        assert_eq!(second.query(), Some("label=a%3Db+c&limit=2&cursor=x"));
        assert_eq!(third.query(), Some("label=a%3Db+c&limit=2&cursor=y"));
    }

    #[test]
    fn an_item_is_one_line_with_its_numbers_untouched() {
        let page: Page = serde_json::from_str(
            "{\"collection\": [{\"a\": 123456789012345678901234567890, \"b\": 1.10}, {\n\"c\": \"x\\ny\"\n}]}",
        )
        .unwrap();
        assert!(page.next_cursor.is_none());
        let text = String::from_utf8(lines(&page.collection).unwrap()).unwrap();
        assert_eq!(
            text,
            "{\"a\": 123456789012345678901234567890, \"b\": 1.10}\n{\"c\":\"x\\ny\"}\n"
        );
    }
}
