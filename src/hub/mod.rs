//! The rules: what may be done, by whom, and what goes with it. In the folders of `api` and `store`.
//!
//! Where there is no rule, the endpoint calls the store. Nothing here knows of HTTP or SQL.

use std::{net::IpAddr, sync::Arc};

use serde_json::Value;

use crate::{
    config::Config,
    delivery::Handle,
    driver,
    error::Result,
    id::TenantId,
    live::Live,
    outgoing::Guard,
    secret::{Claim, Credentials, Place, Stored, Vault},
    store::Store,
    uplink::Replays,
};

pub mod access;
pub mod data;
pub mod devices;
pub mod drivers;
pub mod integrations;
pub mod networks;
pub mod removals;
pub mod selectors;
mod trials;

pub use access::caller::{Caller, Identity};
pub use access::throttle::subscriber;

use access::key_uses::KeyUses;
use access::passwords::Passwords;
use access::throttle::Throttle;
use devices::imports::Imports;
use trials::Trials;

/// Names of other tenants' users that the users of a tenant may come across in a quarter of an hour.
const NAME_PROBES_MAX: u32 = 100;

/// Everything that the use cases need.
#[derive(Clone)]
pub struct Hub {
    /// The database.
    pub store: Store,
    /// The settings.
    pub config: Arc<Config>,
    /// Runs drivers.
    pub drivers: driver::Host,
    /// Encrypts secrets.
    pub vault: Vault,
    /// Tells the delivery engine that there is work.
    pub wake: Handle,
    /// Begins imports of devices.
    pub imports: Imports,
    /// Begins replays of stored uplinks.
    pub replays: Replays,
    /// Those who listen to what is recorded.
    pub live: Live,
    /// Decides where requests may go that users ask for.
    guard: Guard,
    passwords: Arc<Passwords>,
    /// Wrong passwords, by folded username and the caller's address.
    guesses: Arc<Throttle<(String, IpAddr)>>,
    /// Names that turned out to be another tenant's, by who asked for them.
    name_probes: Arc<Throttle<TenantId>>,
    key_uses: Arc<KeyUses>,
    trials: Arc<Trials>,
}

impl Hub {
    /// Puts the parts together.
    #[expect(clippy::too_many_arguments, reason = "each is a part")]
    pub fn new(
        store: Store,
        config: Arc<Config>,
        drivers: driver::Host,
        vault: Vault,
        wake: Handle,
        imports: Imports,
        replays: Replays,
        live: Live,
        guard: Guard,
    ) -> Self {
        let passwords = Arc::new(Passwords::new());
        let name_probes = Arc::new(Throttle::new(NAME_PROBES_MAX));
        let guesses = Arc::new(Throttle::new(config.login_failures_max));
        Self {
            store,
            config,
            drivers,
            vault,
            wake,
            imports,
            replays,
            live,
            guard,
            passwords,
            guesses,
            name_probes,
            key_uses: Arc::default(),
            trials: Arc::default(),
        }
    }

    /// Seals the secrets that the settings of a row claim, as the row stores them. `before` is what the
    /// row had for the same type of settings. `check` sees them all where the key of a client certificate
    /// stays: it must belong to the certificate that is named now.
    fn seal(
        &self,
        place: &Place,
        claims: &[Claim],
        settings: &Value,
        before: Option<Stored<'_>>,
        check: impl FnOnce(&Credentials) -> Result<()>,
    ) -> Result<Option<Vec<u8>>> {
        let sealed = self.vault.seal_claims(place, claims, settings, before)?;
        let secret = sealed.write();
        if Claim::keeps_client_key(claims) {
            let secret = secret.as_deref();
            check(
                &self
                    .vault
                    .open_credentials(place, Stored { settings, secret })?,
            )?;
        }
        Ok(secret)
    }
}
