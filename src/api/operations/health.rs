//! Liveness and readiness probes.

use poem::Result;
use poem_openapi::{Object, OpenApi};
use serde::Serialize;

use crate::{
    api::{http::answer::Found, tag::Tag},
    hub::Hub,
};

/// All is well
#[derive(Object, Serialize)]
struct Health {
    /// Always `ok`; what is not well is answered as an error
    status: String,
}

/// The hub can work, in whole or in part
#[derive(Object, Serialize)]
struct Readiness {
    /// `ok`, or `degraded` while something in `problems` keeps part of the work from being done
    status: String,
    /// Problems that do not keep requests from being served; empty if there are none
    problems: Vec<String>,
}

/// Endpoints `livez` and `readyz`.
pub struct HealthApi {
    pub hub: Hub,
}

#[OpenApi(tag = "Tag::Health")]
impl HealthApi {
    /// Tell that the process lives
    ///
    /// Asks nothing else: restart the process if this fails.
    #[oai(path = "/livez", method = "get", operation_id = "get_livez")]
    async fn livez(&self) -> Found<Health> {
        ok()
    }

    /// Tell that the hub can work
    ///
    /// Reads from the database and writes to it, a little and at most once a second. Fails with 503 while
    /// the database takes no writes, such as when the disk is full, when the database is read-only or
    /// when it cannot be reached; the error says which. Send no requests here meanwhile: what must be
    /// stored is answered with 503, too. The hub goes on by itself when the database takes writes
    /// again, and answers here within seconds in any case.
    ///
    /// Returns 200 with the status `degraded` while no driver worker can be started: requests are served,
    /// and uplinks are recorded without being decoded.
    #[oai(path = "/readyz", method = "get", operation_id = "get_readyz")]
    async fn readyz(&self) -> Result<Found<Readiness>> {
        self.hub.store.check().await?;
        let problems = match self.hub.drivers.is_available() {
            true => Vec::new(),
            false => vec![
                "no driver worker can be started: uplinks are recorded without being decoded"
                    .to_owned(),
            ],
        };
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
