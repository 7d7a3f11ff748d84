//! Paging of collections: one envelope and one cursor format for every list.

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
use sha2::{Digest, Sha256};

use super::{
    answer::{json_in, next_link, success, with_link},
    types::{Count, Limit},
};
use crate::{
    error::Error,
    store::{
        self,
        core::{
            listing::{Place, Stretch},
            part::Ration,
            room::Room,
        },
    },
    text::{Kind, Text},
};

/// Number of items on a page if the client sets no limit.
pub const LIMIT_DEFAULT: u64 = 50;
/// Number of bytes of the digest by which cursors of different lists are distinguished.
const DIGEST_BYTES: usize = 9;

/// Page of a collection.
#[derive(Debug, Object, Serialize)]
pub struct Page<T: ParseFromJSON + ToJSON + Type + Serialize> {
    /// Items of this page.
    pub collection: Vec<T>,
    /// Cursor of the next page. Repeat the request with this value as `cursor` and all other parameters unchanged. Null
    /// on the last page.
    pub next_cursor: Option<String>,
    /// Number of items on all pages. Null unless the request contains `total=true`.
    pub total: Option<Count>,
}

/// Response 200 with a page.
pub struct Listed<T: ParseFromJSON + ToJSON + Type + Serialize> {
    page: Page<T>,
    next: Option<String>,
    room: Room,
}

/// An opaque position in a list.
pub type Cursor = Text<CursorKind>;

/// Text rule of [`Cursor`].
#[derive(Clone, Debug, PartialEq)]
pub struct CursorKind;

impl Kind for CursorKind {
    const MIN: usize = 1;
    // The position may contain a name of 120 characters, which has up to 480 bytes.
    const MAX: usize = 1000;
    const RULE: &'static str = "must be a next_cursor that this list has answered";
    const PATTERN: &'static str = "^[A-Za-z0-9_-]+$";
    const EXAMPLE: &'static str = "eyJsaXN0IjoiZGV2aWNlcyIsImtleSI6NTB9";

    fn admits(text: &str) -> bool {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    }
}

/// Content of a cursor: a digest of the list that it belongs to, and the position in the list.
#[derive(Serialize, Deserialize)]
struct Mark<K>(String, Place<K>);

/// Link to the next page.
pub struct NextPage {
    /// Cursor of the next page.
    pub cursor: String,
    /// Path of the same request with that cursor.
    pub path: String,
}

/// Part of a list that the client requests.
pub struct Window<K = i64> {
    uri: Uri,
    /// Requested part of the list.
    pub stretch: Stretch<K>,
}

impl<K: Serialize + DeserializeOwned> Window<K> {
    /// Reads `limit`, `cursor` and `total`. Fails if the cursor was issued for another path, order or filter.
    pub fn new(
        uri: &Uri,
        limit: Option<Limit>,
        cursor: Option<Cursor>,
        total: Option<bool>,
    ) -> Result<Self, Error> {
        let after = match cursor {
            None => None,
            Some(cursor) => {
                let mark: Option<Mark<K>> = URL_SAFE_NO_PAD
                    .decode(cursor.as_str())
                    .ok()
                    .and_then(|bytes| serde_json::from_slice(&bytes).ok());
                match mark {
                    Some(Mark(digest, place)) if digest == digest_of(uri, &place)? => Some(place),
                    _ => return Err(Error::field("cursor", CursorKind::RULE)),
                }
            }
        };
        Ok(Self {
            uri: uri.clone(),
            stretch: Stretch {
                after,
                limit: limit.map_or(LIMIT_DEFAULT, |limit| limit.unsigned_abs()),
                total: total.unwrap_or_default(),
                ration: Ration::Page,
            },
        })
    }

    /// Returns the link to the page after `place`.
    pub fn next(&self, place: Place<K>) -> Result<NextPage, Error> {
        let mark = Mark(digest_of(&self.uri, &place)?, place);
        let mark = serde_json::to_vec(&mark).map_err(Error::internal)?;
        let cursor = URL_SAFE_NO_PAD.encode(mark);
        let path = next_page(&self.uri, &cursor);
        Ok(NextPage { cursor, path })
    }

    /// Converts a page of the store to a response.
    pub fn answer<S, T>(
        &self,
        page: store::Page<S, Place<K>>,
        view: impl FnMut(S) -> T,
    ) -> Result<Listed<T>, Error>
    where
        T: ParseFromJSON + ToJSON + Type + Serialize,
    {
        let next = page.next.map(|place| self.next(place)).transpose()?;
        let (next_cursor, next) = next.map(|next| (next.cursor, next.path)).unzip();
        Ok(Listed {
            page: Page {
                collection: page.items.into_iter().map(view).collect(),
                next_cursor,
                total: page.total.map(Count::saturating),
            },
            next,
            room: page.room,
        })
    }
}

/// Returns the digest that binds a cursor to its position and to the path, order and filters of its list. It
/// protects clients from mistakes, not the store, which accepts any position.
fn digest_of<K: Serialize>(uri: &Uri, place: &Place<K>) -> Result<String, Error> {
    let query = uri.query().unwrap_or_default();
    let mut parameters: Vec<_> = url::form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| !matches!(name.as_ref(), "cursor" | "limit" | "total"))
        .collect();
    parameters.sort();
    let bound = serde_json::to_vec(&(uri.path(), parameters, place)).map_err(Error::internal)?;
    Ok(URL_SAFE_NO_PAD.encode(&Sha256::digest(bound)[..DIGEST_BYTES]))
}

/// Returns the path of the same request with another cursor.
fn next_page(uri: &Uri, cursor: &str) -> String {
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
        let response = json_in(self.room, StatusCode::OK, &self.page);
        with_link(response, self.next.as_deref())
    }
}

impl<T: ParseFromJSON + ToJSON + Type + Serialize> ApiResponse for Listed<T> {
    fn meta() -> MetaResponses {
        let schema = Page::<T>::schema_ref();
        success(
            200,
            "The request succeeded. The body contains a page of the collection.",
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

    fn read<K: Serialize + DeserializeOwned>(
        uri: &Uri,
        text: &str,
    ) -> Result<Option<Place<K>>, String> {
        let cursor = Cursor::new(text).map_err(|rule| format!("cursor: {rule}"))?;
        Window::<K>::new(uri, None, Some(cursor), None)
            .map(|window| window.stretch.after)
            .map_err(|error| error.to_string())
    }

    fn uri(text: &str) -> Uri {
        text.parse().unwrap()
    }

    fn cursor<K: Serialize + DeserializeOwned>(uri: &Uri, place: Place<K>) -> String {
        let window = Window::new(uri, None, None, None).unwrap();
        window.next(place).unwrap().cursor
    }

    #[test]
    fn a_cursor_goes_with_the_order_and_the_filters_and_no_other_parameter() {
        let place = || Place("a".to_owned(), 7_i64);
        let given = cursor(
            &uri("/devices?q=a%20b&sort=name&limit=2&total=true"),
            place(),
        );
        for same in [
            "/devices?sort=name&q=a+b",
            "/devices?limit=9&sort=name&cursor=old&q=a%20b",
        ] {
            assert_eq!(read(&uri(same), &given), Ok(Some(place())), "{same}");
        }
        for other in [
            "/devices",
            "/devices?sort=name",
            "/devices?sort=-name&q=a+b",
            "/devices?sort=name&q=a",
            "/devices?sort=name&q=a+b&silent_for_s=1",
            "/drivers?sort=name&q=a+b",
        ] {
            assert!(read::<i64>(&uri(other), &given).is_err(), "{other}");
        }
    }

    #[test]
    fn the_pattern_agrees_with_the_check() {
        crate::text::agreement::check::<CursorKind>();
    }

    proptest! {
        #[test]
        fn whatever_is_no_cursor_is_refused_and_named(text in "[A-Za-z0-9_-]{1,200}") {
            let uri = uri("/devices?sort=id");
            let refused = Err(format!("cursor: {}", CursorKind::RULE));
            prop_assert_eq!(read::<i64>(&uri, &text).map(drop), refused.clone());
            prop_assert_eq!(read::<Uuid>(&uri, &text).map(drop), refused);
        }

        #[test]
        fn survives_any_json(place in "\\PC{0,40}", key: i64, digest in "[ -~]{0,12}") {
            let uri = uri("/devices");
            for text in [
                serde_json::to_string(&(&digest, (&place, key))).unwrap(),
                serde_json::to_string(&(&place, key)).unwrap(),
                format!("[{digest}"),
                place.clone(),
            ] {
                let text = URL_SAFE_NO_PAD.encode(text);
                let error = read::<i64>(&uri, &text).unwrap_err();
                prop_assert!(error.starts_with("cursor: "), "{}", error);
            }
        }

        #[test]
        fn a_cursor_leads_back_to_its_place(name in ".{0,120}", key: i64) {
            let uri = uri("/devices?sort=id");
            let place = Place(name, key);
            let given = cursor(&uri, place.clone());
            prop_assume!(given.len() <= CursorKind::MAX);
            prop_assert_eq!(read(&uri, &given), Ok(Some(place)));
        }

        #[test]
        fn a_tampered_cursor_is_refused(key: i64, at in 0_usize..60, with in "[A-Za-z0-9_-]") {
            let uri = uri("/devices");
            let whole = cursor(&uri, Place::of_key(key));
            let mut given = whole.clone();
            if at < given.len() {
                given.replace_range(at..=at, &with);
            }
            match read::<i64>(&uri, &given) {
                Ok(place) => prop_assert_eq!(place, Some(Place::of_key(key))),
                Err(error) => prop_assert!(error.starts_with("cursor: ")),
            }
        }
    }
}
