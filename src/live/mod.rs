//! The live stream: what is recorded, told to whoever listens as soon as it is committed.
//!
//! The database is the one source, so it does not matter which hub of several recorded something, a
//! listener that is slow costs no memory, and one that comes back goes on where it was. A listener is
//! told of everything at least once: after a break the last moments may come again, with the same ids.
//!
//! | file | what it holds |
//! |---|---|
//! | `follow.rs` | one listener: what it has been told, and when to look again |
//! | `queue.rs` | one who follows an integration: which of its messages come next |

mod follow;
mod queue;

use tokio_util::sync::CancellationToken;

pub use follow::{Follow, Start};
pub use queue::Queue;

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
    stop: CancellationToken,
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
