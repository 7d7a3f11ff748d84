//! Places for listeners, of which each tenant and each listener has a share.

use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    error::{Error, Result},
    id::{ApiKeyId, IntegrationId, TenantId, UserId},
    shares::{self, Full, Shares},
};

/// All listeners of this hub. Cheap to clone.
#[derive(Clone)]
pub struct Live {
    places: Shares<Member>,
    tenant_max: usize,
    listener_max: usize,
    stop: CancellationToken,
}

/// Who listens; each has a share of the places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Listener {
    /// A user, however often logged in.
    User(UserId),
    /// A program.
    ApiKey(ApiKeyId),
    /// Whoever has the integration's own key.
    Integration(IntegrationId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Member {
    Tenant(TenantId),
    Listener(Listener),
}

/// A listener's place; free again when it is dropped.
pub struct Place {
    _place: shares::Place<Member>,
    pub(super) stop: CancellationToken,
}

impl Live {
    /// Room for as many listeners as the settings say, until `stop`.
    pub fn new(config: &Config, stop: CancellationToken) -> Self {
        Self {
            places: Shares::new(config.live_streams_max),
            tenant_max: config.live_streams_tenant_max,
            listener_max: config.live_streams_user_max,
            stop,
        }
    }

    /// A place for one more listener, if there is one.
    pub fn enter(&self, tenant: TenantId, listener: Listener) -> Result<Place> {
        let members = [
            (Member::Listener(listener), self.listener_max),
            (Member::Tenant(tenant), self.tenant_max),
        ];
        let entered = self.places.enter(members);
        let place = entered.map_err(|full| {
            Error::overloaded(match full {
                Full::All => "too many live streams are open (setting live_streams_max)",
                Full::Share(Member::Tenant(_)) => {
                    "too many live streams of this tenant are open (setting live_streams_tenant_max)"
                }
                Full::Share(Member::Listener(_)) => {
                    "too many live streams of this user or key are open (setting live_streams_user_max)"
                }
            })
        })?;
        Ok(Place {
            _place: place,
            stop: self.stop.clone(),
        })
    }
}
