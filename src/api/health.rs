//! Whether the hub lives, and whether it can work.

use poem::Result;
use poem_openapi::{Object, OpenApi};
use serde::Serialize;

use super::{Tag, answer::Found};
use crate::hub::Hub;

/// All is well
#[derive(Object, Serialize)]
struct Health {
    /// Always `ok`; what is not well is answered as an error
    status: String,
}

/// `livez` and `readyz`.
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
    #[oai(path = "/readyz", method = "get", operation_id = "get_readyz")]
    async fn readyz(&self) -> Result<Found<Health>> {
        self.hub.store.check().await?;
        Ok(ok())
    }
}

fn ok() -> Found<Health> {
    Found(Health {
        status: "ok".to_owned(),
    })
}
