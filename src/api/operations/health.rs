//! Liveness and readiness probes.

use poem::Result;
use poem_openapi::{Object, OpenApi};
use serde::Serialize;

use crate::{
    api::{http::answer::Found, tag::Tag},
    hub::Hub,
};

/// Result of the liveness check.
#[derive(Object, Serialize)]
struct Health {
    /// Always `ok`: problems are returned as an error.
    status: String,
}

/// Result of the readiness check.
#[derive(Object, Serialize)]
struct Readiness {
    /// `ok`, or `degraded` while `problems` is not empty.
    status: String,
    /// Problems that affect a part of the hub's work, while requests are still served. Empty if there are none.
    problems: Vec<String>,
}

/// Endpoints `livez` and `readyz`.
pub struct HealthApi {
    pub hub: Hub,
}

#[OpenApi(tag = "Tag::Health")]
impl HealthApi {
    /// Check liveness
    ///
    /// Returns 200 while the process responds to requests. Checks nothing else. Restart the process if this request
    /// fails.
    #[oai(path = "/livez", method = "get", operation_id = "get_livez")]
    async fn livez(&self) -> Found<Health> {
        ok()
    }

    /// Check readiness
    ///
    /// Checks that the hub can read from the database and write to it, at most once per second. Fails with 503 while
    /// the database cannot be written, for instance because the disk is full, the database is read-only or it cannot be
    /// reached; the error text names the reason. Send no requests to this hub in the meantime, because requests that
    /// have to store something fail with 503 as well. The hub recovers by itself when the database can be written
    /// again. This request is always answered within seconds.
    ///
    /// Returns 200 with the status `degraded` while requests are served and `problems` is not empty: no driver worker can
    /// be started, and uplinks are stored without being decoded; the hub's certificate has expired; or the files that
    /// should replace it cannot be used. The texts are for people and can change.
    #[oai(path = "/readyz", method = "get", operation_id = "get_readyz")]
    async fn readyz(&self) -> Result<Found<Readiness>> {
        self.hub.store.check().await?;
        let problems = self.hub.problems();
        let status = match problems.is_empty() {
            true => "ok",
            false => "degraded",
        };
        Ok(Found(Readiness {
            status: status.to_owned(),
            problems,
        }))
    }
}

fn ok() -> Found<Health> {
    Found(Health {
        status: "ok".to_owned(),
    })
}
