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

/// Outcome of a credential test.
#[derive(Enum, Clone, Copy, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum CredentialOutcome {
    /// The other system accepts the credentials.
    Passed,
    /// The other system rejects the credentials or cannot be reached.
    Failed,
    /// The hub cannot test the credentials without sending a message.
    Untestable,
}

/// Result of testing one direction of a network connection.
#[derive(Object, Serialize)]
struct CredentialCheck {
    /// Outcome of the test.
    outcome: CredentialOutcome,
    /// Reason why the test failed or is impossible; null if it passed.
    reason: Option<String>,
    /// Duration of the test, in milliseconds.
    duration_ms: Count,
}

/// Result of testing a network connection.
#[derive(Object, Serialize)]
struct NetworkConnectionTest {
    /// Result for uplinks: whether the broker accepts the hub's credentials and its subscription. `untestable` if the
    /// network server calls the hub.
    uplinks: CredentialCheck,
    /// Result for downlinks; null if the connection cannot send downlinks, because it has no downlink settings.
    downlinks: Option<CredentialCheck>,
}

/// Endpoint of `network-connections/{id}/test`.
pub struct ConnectionTestApi {
    pub hub: Hub,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::NetworkConnections")]
impl ConnectionTestApi {
    /// Test a network connection
    ///
    /// Tests the stored credentials against the other systems and returns the result for uplinks and downlinks. For
    /// uplinks, the hub connects to the connection's broker with a second client id, subscribes and disconnects. For
    /// downlinks, it sends the network server a request that changes nothing. The test sends no message to a device and
    /// does not affect the connection's health.
    ///
    /// A failed test is a successful response with the outcome `failed`. The operation fails with 503 while four tests
    /// of the tenant are running.
    #[oai(
        path = "/network-connections/:id/test",
        method = "post",
        operation_id = "test_network_connection"
    )]
    async fn test(
        &self,
        caller: Caller,
        /// Unique identifier of the network connection.
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
