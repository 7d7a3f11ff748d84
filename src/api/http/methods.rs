//! Methods of each path, for the header `Allow`.

use std::{collections::BTreeSet, sync::Arc};

use poem::http::Method;
use poem_openapi::OpenApi;

/// Methods of a path without operations: a page or a document.
const OF_PAGES: &str = "GET, HEAD";

/// Methods of the paths that have operations.
#[derive(Clone, Default)]
pub struct Methods(Arc<[(Vec<Part>, String)]>);

/// Segment of a path; `None` for a parameter.
type Part = Option<String>;

impl Methods {
    /// Returns the methods of a group of operations.
    pub fn of<A: OpenApi>() -> Self {
        let paths = A::meta().into_iter().flat_map(|api| api.paths);
        let known = paths.map(|path| {
            let methods = path.operations.iter().map(|operation| &operation.method);
            (parts(&path.path), listed(methods))
        });
        Self(known.collect())
    }

    /// Returns the methods of a request's path, separated by commas.
    pub fn allowed(&self, path: &str) -> String {
        let path = path.strip_suffix('/').unwrap_or(path);
        let asked: Vec<&str> = path.split('/').collect();
        let matches = |parts: &[Part]| {
            parts.len() == asked.len()
                && parts
                    .iter()
                    .zip(&asked)
                    .all(|(part, asked)| part.as_ref().is_none_or(|part| part == asked))
        };
        // `users/me` is more specific than `users/{id}`.
        let found = self.0.iter().filter(|(parts, _)| matches(parts));
        let found = found.max_by_key(|(parts, _)| parts.iter().flatten().count());
        found.map_or(OF_PAGES.to_owned(), |(_, methods)| methods.clone())
    }
}

fn parts(path: &str) -> Vec<Part> {
    let part = |part: &str| (!part.starts_with([':', '{'])).then(|| part.to_owned());
    path.split('/').map(part).collect()
}

/// A path that answers GET answers HEAD, too.
fn listed<'a>(methods: impl Iterator<Item = &'a Method>) -> String {
    let mut names: BTreeSet<&str> = methods.map(Method::as_str).collect();
    if names.contains("GET") {
        names.insert("HEAD");
    }
    names.into_iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_path_counts() {
        let known = [
            (parts("/api/v3/users/:id"), "DELETE, GET".to_owned()),
            (parts("/api/v3/users/me"), "GET".to_owned()),
        ];
        let methods = Methods(known.into());
        assert_eq!(methods.allowed("/api/v3/users/7"), "DELETE, GET");
        assert_eq!(methods.allowed("/api/v3/users/me/"), "GET");
        assert_eq!(methods.allowed("/docs"), OF_PAGES);
    }
}
