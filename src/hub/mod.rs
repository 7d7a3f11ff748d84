//! The business rules: permissions, validation and side effects of each use case. Divided into the same
//! areas as `api` and `store`.
//!
//! An endpoint without a rule calls the store directly. This layer knows neither HTTP nor SQL.

use std::{net::IpAddr, sync::Arc};

use serde_json::Value;

use crate::{
    config::Config,
    delivery::Handle,
    driver,
    error::{Error, Result},
    id::TenantId,
    live::Live,
    metrics::Metrics,
    outgoing::Guard,
    secret::{Claim, Credentials, Place, Stored, Vault},
    store::Store,
    tls,
    uplink::{Fills, Replays},
};

pub mod access;
pub mod data;
pub mod devices;
pub mod drivers;
pub mod integrations;
pub mod monitor;
pub mod networks;
pub mod removals;
pub mod selectors;
mod trials;

pub use access::caller::{Caller, Identity, credential_of};
pub use access::throttle::subscriber;

use access::key_uses::KeyUses;
use access::passwords::Passwords;
use access::throttle::Throttle;
use data::charts::Charts;
use data::imports::RowImports;
use devices::imports::Imports;
use trials::Trials;

/// Maximum number of names of other tenants' users that a tenant may discover within 15 minutes.
const NAME_PROBES_MAX: u32 = 100;

/// The dependencies of all use cases.
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
    /// Notifies the delivery engine of new work.
    pub wake: Handle,
    /// Begins imports of devices.
    pub imports: Imports,
    /// Begins imports of rows into data tables.
    pub row_imports: RowImports,
    /// Begins replays of stored uplinks.
    pub replays: Replays,
    /// Begins fills of data tables.
    pub fills: Fills,
    /// Listeners of live streams.
    pub live: Live,
    /// Metrics for operators.
    pub metrics: Metrics,
    /// State of the certificate.
    certificate: tls::Health,
    /// Restricts the targets of connections that the hub makes for users.
    guard: Guard,
    passwords: Arc<Passwords>,
    /// Wrong passwords, by folded username and the caller's address.
    guesses: Arc<Throttle<(String, IpAddr)>>,
    /// Names that turned out to be taken by another tenant, by the tenant that tried them.
    name_probes: Arc<Throttle<TenantId>>,
    key_uses: Arc<KeyUses>,
    trials: Arc<Trials>,
    charts: Arc<Charts>,
}

impl Hub {
    /// Builds the hub from its parts.
    #[expect(clippy::too_many_arguments, reason = "each is a part")]
    pub fn new(
        store: Store,
        config: Arc<Config>,
        drivers: driver::Host,
        vault: Vault,
        wake: Handle,
        imports: Imports,
        row_imports: RowImports,
        replays: Replays,
        fills: Fills,
        live: Live,
        guard: Guard,
        metrics: Metrics,
        certificate: tls::Health,
    ) -> Self {
        let passwords = Arc::new(Passwords::new());
        let name_probes = Arc::new(Throttle::new(NAME_PROBES_MAX));
        let guesses = Arc::new(Throttle::new(config.login_failures_max));
        let hub = Self {
            store,
            config,
            drivers,
            vault,
            wake,
            imports,
            row_imports,
            replays,
            fills,
            live,
            metrics,
            certificate,
            guard,
            passwords,
            guesses,
            name_probes,
            key_uses: Arc::default(),
            trials: Arc::default(),
            charts: Arc::default(),
        };
        hub.describe();
        hub
    }

    /// Refuses hosts that the hub may not reach, as far as this is known without a look-up of names. Each host has the
    /// name of its field.
    fn check_hosts(&self, hosts: &[(String, String)]) -> Result<()> {
        for (field, host) in hosts {
            let checked = self.guard.check_host(host);
            checked.map_err(|refusal| Error::field(field, refusal))?;
        }
        Ok(())
    }

    /// Seals the secrets that the settings of a row require, in the form in which the row stores them.
    /// `before` is the stored state, if it has the same type of settings. `check` is called with all secrets
    /// if a stored key of a client certificate is kept: it must match the certificate that is sent now.
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
