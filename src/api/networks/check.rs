//! Tests of the credentials with which network connections reach other systems.

use poem::Result;
use poem_openapi::{Enum, Object, OpenApi, param::Path};
use serde::Serialize;

use crate::{
    api::{
        http::{
            answer::Found,
            caller::Caller,
            types::{Count, Id},
        },
        tag::Tag,
    },
    hub::{
        Hub,
        networks::check::{Check, Outcome},
    },
    id::ConnectionId,
};

/// What the other side said, in a word
#[derive(Enum, Clone, Copy, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum CredentialOutcome {
    /// It takes the credentials
    Passed,
    /// It does not, or cannot be reached
    Failed,
    /// There is nothing that it could be asked without sending a message
    Untestable,
}

/// What came of one side of a test
#[derive(Object, Serialize)]
struct CredentialCheck {
    /// What the other side said, in a word
    outcome: CredentialOutcome,
    /// Why it failed, or cannot be tested; null: it passed
    reason: Option<String>,
    /// How long it took, in milliseconds
    duration_ms: Count,
}

/// What came of a test of a network connection
#[derive(Object, Serialize)]
struct NetworkConnectionTest {
    /// What the hub hears over: a broker lets it in and lets it subscribe
    uplinks: CredentialCheck,
    /// What it sends over; null: the connection has no downlink settings
    downlinks: Option<CredentialCheck>,
}

/// Endpoint of `network-connections/{id}/test`.
pub struct ConnectionTestApi {
    pub hub: Hub,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::NetworkConnections")]
impl ConnectionTestApi {
    /// Test a network connection's credentials
    ///
    /// Subscribes at the connection's broker as another client and leaves again, and asks the network
    /// server that takes the downlinks something harmless. Nothing is sent to a device, and the
    /// connection's health stays as it is.
    #[oai(
        path = "/network-connections/:id/test",
        method = "post",
        operation_id = "test_network_connection"
    )]
    async fn test(
        &self,
        caller: Caller,
        /// The network connection's id
        id: Path<Id>,
    ) -> Result<Found<NetworkConnectionTest>> {
        let id = ConnectionId(**id);
        let tested = self.hub.test_connection(caller.scope(), id).await?;
        Ok(Found(NetworkConnectionTest {
            uplinks: tested.uplinks.into(),
            downlinks: tested.downlinks.map(CredentialCheck::from),
        }))
    }
}

impl From<Check> for CredentialCheck {
    fn from(check: Check) -> Self {
        let (outcome, reason) = match check.outcome {
            Outcome::Passed => (CredentialOutcome::Passed, None),
            Outcome::Failed(why) => (CredentialOutcome::Failed, Some(why)),
            Outcome::Untestable(why) => (CredentialOutcome::Untestable, Some(why)),
        };
        Self {
            outcome,
            reason,
            duration_ms: Count::saturating(check.duration_ms),
        }
    }
}
