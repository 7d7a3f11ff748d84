//! Collections in pages: one envelope, one cursor, for every list.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use poem::{
    IntoResponse, Response,
    http::{StatusCode, Uri},
};
use poem_openapi::{
    ApiResponse, Object,
    registry::{MetaResponses, Registry},
    types::{ParseFromJSON, ToJSON, Type},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    answer::{json, next_link, success, with_link},
    types::Limit,
};
use crate::{
    error::Error,
    store,
    text::{Kind, Text},
};

/// Items on a page when the client does not say.
const LIMIT_DEFAULT: u64 = 50;

/// A collection, or a page of it
#[derive(Debug, Object, Serialize)]
pub struct Page<T: ParseFromJSON + ToJSON + Type + Serialize> {
    /// The items, complete
    pub collection: Vec<T>,
    /// Send it as `cursor` for the next page; null at the end
    pub next_cursor: Option<String>,
}

/// 200 with a page.
pub struct Listed<T: ParseFromJSON + ToJSON + Type + Serialize> {
    page: Page<T>,
    next: Option<String>,
}

/// An opaque place in a list.
pub type Cursor = Text<CursorKind>;

/// The rule of [`Cursor`].
#[derive(Clone, Debug, PartialEq)]
pub struct CursorKind;

impl Kind for CursorKind {
    const MIN: usize = 1;
    const MAX: usize = 500;
    const RULE: &'static str = "must be a next_cursor that this list has answered";
    const PATTERN: &'static str = "^[A-Za-z0-9_-]+$";
    const EXAMPLE: &'static str = "eyJsaXN0IjoiZGV2aWNlcyIsImtleSI6NTB9";

    fn admits(text: &str) -> bool {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place<K> {
    list: String,
    key: K,
}

/// What the client asked for.
pub struct Window<K> {
    list: String,
    /// The key to go on after.
    pub after: Option<K>,
    /// Most items.
    pub limit: u64,
}

impl<K: Serialize + DeserializeOwned> Window<K> {
    /// Reads `limit` and `cursor`; `list` names the list, so that a cursor of another one is
    /// refused.
    pub fn new(
        list: impl Into<String>,
        limit: Option<Limit>,
        cursor: Option<Cursor>,
    ) -> Result<Self, Error> {
        let list = list.into();
        let after = match cursor {
            None => None,
            Some(cursor) => {
                let place: Option<Place<K>> = URL_SAFE_NO_PAD
                    .decode(cursor.as_str())
                    .ok()
                    .and_then(|bytes| serde_json::from_slice(&bytes).ok());
                match place {
                    Some(place) if place.list == list => Some(place.key),
                    _ => return Err(Error::field("cursor", CursorKind::RULE)),
                }
            }
        };
        let limit = limit.map_or(LIMIT_DEFAULT, |limit| limit.unsigned_abs());
        Ok(Self { list, after, limit })
    }

    /// The cursor that goes on after `key`.
    pub fn cursor(&self, key: K) -> Result<String, Error> {
        let place = Place {
            list: self.list.clone(),
            key,
        };
        Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(&place).map_err(Error::internal)?))
    }

    /// The answer that holds a page of the store's.
    pub fn answer<S, T>(
        &self,
        page: store::Page<S, K>,
        uri: &Uri,
        view: impl FnMut(S) -> T,
    ) -> Result<Listed<T>, Error>
    where
        T: ParseFromJSON + ToJSON + Type + Serialize,
    {
        let next_cursor = page.next.map(|key| self.cursor(key)).transpose()?;
        let next = next_cursor.as_deref().map(|cursor| next_page(uri, cursor));
        let collection = page.items.into_iter().map(view).collect();
        Ok(Listed {
            page: Page {
                collection,
                next_cursor,
            },
            next,
        })
    }
}

/// The same request with another cursor.
pub fn next_page(uri: &Uri, cursor: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        if name != "cursor" {
            query.append_pair(&name, &value);
        }
    }
    query.append_pair("cursor", cursor);
    format!("{}?{}", uri.path(), query.finish())
}

impl<T: ParseFromJSON + ToJSON + Type + Serialize> IntoResponse for Listed<T> {
    fn into_response(self) -> Response {
        with_link(json(StatusCode::OK, &self.page), self.next.as_deref())
    }
}

impl<T: ParseFromJSON + ToJSON + Type + Serialize> ApiResponse for Listed<T> {
    fn meta() -> MetaResponses {
        let schema = Page::<T>::schema_ref();
        success(
            200,
            "Done; the body holds a page of the collection",
            "application/json",
            schema,
            vec![next_link()],
        )
    }

    fn register(registry: &mut Registry) {
        Page::<T>::register(registry);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::clock::Time;

    fn read<K: Serialize + DeserializeOwned>(list: &str, text: &str) -> Result<Option<K>, String> {
        let cursor = Cursor::new(text)?;
        Window::<K>::new(list, None, Some(cursor))
            .map(|window| window.after)
            .map_err(|error| error.to_string())
    }

    proptest! {
        #[test]
        fn whatever_is_no_cursor_is_refused_and_named(text in "[A-Za-z0-9_-]{1,200}") {
            for outcome in [
                read::<i64>("devices", &text).map(drop),
                read::<(Time, Uuid)>("rows", &text).map(drop),
                read::<(String, i64)>("devices by Id", &text).map(drop),
            ] {
                prop_assert_eq!(outcome, Err(format!("cursor: {}", CursorKind::RULE)));
            }
        }

        #[test]
        fn a_cursor_leads_back_to_its_place_in_its_own_list_alone(name in ".{0,60}", key: i64) {
            let window = Window::new("devices by Id", None, None).unwrap();
            let cursor = window.cursor((name.clone(), key)).unwrap();
            prop_assert_eq!(read("devices by Id", &cursor), Ok(Some((name, key))));
            prop_assert!(read::<(String, i64)>("devices by Name", &cursor).is_err());
        }

        #[test]
        fn a_tampered_cursor_never_panics(key: i64, at in 0_usize..40, with in "[A-Za-z0-9_-]") {
            let window = Window::new("devices", None, None).unwrap();
            let mut cursor = window.cursor(key).unwrap();
            if at < cursor.len() {
                cursor.replace_range(at..=at, &with);
            }
            if let Err(error) = read::<i64>("devices", &cursor) {
                prop_assert!(error.starts_with("cursor: "));
            }
        }
    }
}
