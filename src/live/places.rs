//! Places for listeners, with limits per tenant and per listener.

use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    error::{Error, Result},
    id::{ApiKeyId, IntegrationId, TenantId, UserId},
    metrics::{Metrics, Open, Stream},
    shares::{self, Full, Shares},
};

/// The listeners of this hub. Cheap to clone.
#[derive(Clone)]
pub struct Live {
    places: Shares<Member>,
    tenant_max: usize,
    listener_max: usize,
    metrics: Metrics,
    stop: CancellationToken,
}

/// A listener; each has a limit of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Listener {
    /// A user, with all of its sessions.
    User(UserId),
    /// A program with an API key.
    ApiKey(ApiKeyId),
    /// All holders of the integration's own key.
    Integration(IntegrationId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Member {
    Tenant(TenantId),
    Listener(Listener),
}

/// A listener's place; released on drop.
pub struct Place {
    _place: shares::Place<Member>,
    /// Counts the stream.
    _open: Open,
    pub(super) stop: CancellationToken,
}

impl Live {
    /// Allows as many listeners as the settings say, until `stop`.
    pub fn new(config: &Config, metrics: Metrics, stop: CancellationToken) -> Self {
        Self {
            places: Shares::new(config.live_streams_max),
            tenant_max: config.live_streams_tenant_max,
            listener_max: config.live_streams_user_max,
            metrics,
            stop,
        }
    }

    /// Takes a place for another listener; fails if none is left.
    pub fn enter(&self, tenant: TenantId, listener: Listener, stream: Stream) -> Result<Place> {
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
            _open: self.metrics.readings.open_stream(stream),
            stop: self.stop.clone(),
        })
    }
}
