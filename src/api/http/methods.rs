//! Methods of each path, for the header `Allow` and for pages of other origins.

use std::{collections::BTreeSet, sync::Arc};

use poem::http::Method;
use poem_openapi::OpenApi;

/// Methods of a path that is not in the table.
const OF_PAGES: &str = "GET, HEAD";

/// Methods of all paths.
#[derive(Clone, Default)]
pub struct Methods(Arc<[Route]>);

#[derive(Clone)]
struct Route {
    /// Segments of the path; `None` for a parameter.
    segments: Vec<Option<String>>,
    /// The methods, separated by commas.
    methods: String,
}

impl Methods {
    /// Returns the methods of a group of operations, and of pages.
    pub fn of<A: OpenApi>(pages: impl Iterator<Item = &'static str>) -> Self {
        let paths = A::meta().into_iter().flat_map(|api| api.paths);
        let routes = paths.map(|path| {
            let methods = path.operations.iter().map(|operation| &operation.method);
            Route::new(&path.path, methods)
        });
        let pages = pages.map(|path| Route::new(path, [Method::GET].iter()));
        Self(routes.chain(pages).collect())
    }

    /// Returns the methods of a path, separated by commas.
    pub fn at(&self, path: &str) -> Option<&str> {
        let matching = self.0.iter().filter(|route| route.matches(path));
        let route = matching.max_by_key(|route| route.fixed())?;
        Some(&route.methods)
    }

    /// Returns the methods of a path that exists. A webhook's path may end with a slash.
    pub fn allowed(&self, path: &str) -> &str {
        let shorter = path.strip_suffix('/').unwrap_or(path);
        let known = self.at(path).or_else(|| self.at(shorter));
        known.unwrap_or(OF_PAGES)
    }
}

impl Route {
    fn new<'a>(path: &str, methods: impl Iterator<Item = &'a Method>) -> Self {
        let segment =
            |segment: &str| (!segment.starts_with([':', '{'])).then(|| segment.to_owned());
        let mut names: BTreeSet<&str> = methods.map(Method::as_str).collect();
        // A path that answers GET answers HEAD, too.
        if names.contains("GET") {
            names.insert("HEAD");
        }
        Self {
            segments: path.split('/').map(segment).collect(),
            methods: names.into_iter().collect::<Vec<_>>().join(", "),
        }
    }

    fn matches(&self, path: &str) -> bool {
        let mut segments = path.split('/');
        let fits = self
            .segments
            .iter()
            .all(|own| match (own, segments.next()) {
                (Some(own), Some(segment)) => own == segment,
                (None, Some(segment)) => !segment.is_empty(),
                (_, None) => false,
            });
        fits && segments.next().is_none()
    }

    /// Orders the routes that match a path: a fixed segment comes before a parameter, as in the router.
    fn fixed(&self) -> Vec<bool> {
        self.segments.iter().map(Option::is_some).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_takes_the_methods_of_its_closest_route() {
        let routes = [
            Route::new("/devices", [Method::GET, Method::POST].iter()),
            Route::new("/devices/:id", [Method::PUT].iter()),
            Route::new("/devices/import", [Method::POST].iter()),
            Route::new("/devices/{id}/labels", [Method::DELETE].iter()),
        ];
        let methods = Methods(routes.into());
        for (path, expected) in [
            ("/devices", Some("GET, HEAD, POST")),
            ("/devices/a", Some("PUT")),
            ("/devices/import", Some("POST")),
            ("/devices/import/labels", Some("DELETE")),
            ("/devices/", None),
            ("/devices//labels", None),
            ("/devices/a/labels/b", None),
            ("/", None),
        ] {
            assert_eq!(methods.at(path), expected, "{path}");
        }
        assert_eq!(methods.allowed("/devices/a/"), "PUT");
        assert_eq!(methods.allowed("/docs"), OF_PAGES);
    }
}
