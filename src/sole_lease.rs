//! Lease of a job that one of the hubs on a database does for all tenants.
//!
//! The hub that has the lease keeps it until it stops, and another one takes over when the lease of a dead hub has
//! expired.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    error::Result,
    id::{TenantId, new_uuid},
    store::Store,
};

/// Tenant of the lease, which serves all tenants.
const NOBODY: TenantId = TenantId(0);
/// Life of the lease; longer than any chunk of a job.
const LIFE: Duration = Duration::from_secs(30);
/// Interval at which the lease is renewed, and at which a hub without it tries to get it.
const RENEW_EVERY: Duration = Duration::from_secs(5);

/// Lease of a job, and the hub that wants it.
pub struct SoleLease {
    store: Store,
    name: &'static str,
    /// Identifies this hub among those that share the database.
    holder: Uuid,
    is_held: bool,
    renew_at: Instant,
}

impl SoleLease {
    /// Creates the lease of a job, which is not held yet.
    pub fn new(store: Store, name: &'static str) -> Self {
        Self {
            store,
            name,
            holder: new_uuid(),
            is_held: false,
            renew_at: Instant::now(),
        }
    }

    /// Returns true if this hub holds the lease, which is renewed when it is time.
    pub async fn hold(&mut self) -> Result<bool> {
        if Instant::now() < self.renew_at {
            return Ok(self.is_held);
        }
        self.renew_at = Instant::now() + RENEW_EVERY;
        let wanted = vec![(NOBODY, self.name.to_owned())];
        self.is_held = false;
        let held = self.store.hold_leases(self.holder, wanted, LIFE);
        self.is_held = !held.await?.is_empty();
        Ok(self.is_held)
    }

    /// Returns the time of the next renewal.
    pub fn renew_at(&self) -> Instant {
        self.renew_at
    }

    /// Releases the lease, so that another hub can take it at once.
    pub async fn release(&mut self) {
        self.is_held = false;
        let names = vec![self.name.to_owned()];
        if let Err(error) = self.store.release_leases(self.holder, names).await {
            tracing::debug!("leases run out by themselves: {}", error.causes());
        }
    }
}
