//! Tests of network connections: whether the systems behind them accept the hub's credentials.

use std::time::{Duration, Instant};

use chrono::SecondsFormat;
use serde_json::Value;

use crate::{
    downlink::transport,
    error::{Error, Result},
    hub::Hub,
    id::ConnectionId,
    networks::DownlinkSettings,
    outgoing::{Caller, Guard, Request},
    store::{
        Scope,
        core::listing::{Sort, Stretch},
        devices::list::{self, Filter, SortBy},
        networks::{self, Connection},
    },
    uplink::probe::{self, ProbeResult},
};

/// The result of a test.
pub struct Tested {
    /// Result for the source of uplinks.
    pub uplinks: Check,
    /// Result for the target of downlinks; `None` if there are no downlink settings.
    pub downlinks: Option<Check>,
}

/// The result of one direction.
pub struct Check {
    /// Outcome of the test.
    pub outcome: Outcome,
    /// Duration of the test, in milliseconds.
    pub duration_ms: i64,
}

/// The outcome of a test.
pub enum Outcome {
    /// The system accepts the credentials.
    Passed,
    /// The system rejects the credentials or cannot be reached; the text is the reason, for a person.
    Failed(String),
    /// There is no request that could test the credentials; the text is the reason, for a person.
    Untestable(String),
}

impl Hub {
    /// Tests a connection's credentials against the systems behind it, without changing anything there.
    pub async fn test_connection(&self, scope: &Scope, id: ConnectionId) -> Result<Tested> {
        let connection = networks::get(scope, id).await?;
        let _trial = self.trials.begin(scope.tenant())?;
        let guard = self.guard.of(scope.tenant().0);
        let (uplinks, downlinks) = tokio::join!(
            self.test_uplinks(scope, &connection, &guard),
            self.test_downlinks(scope, &connection, &guard)
        );
        Ok(Tested {
            uplinks: uplinks?,
            downlinks: downlinks?,
        })
    }

    async fn test_uplinks(
        &self,
        scope: &Scope,
        connection: &Connection,
        guard: &Guard,
    ) -> Result<Check> {
        let began = Instant::now();
        let outcome = match probe::broker(scope.tenant(), connection, &self.vault, guard).await? {
            ProbeResult::Passed => Outcome::Passed,
            ProbeResult::Failed(why) => Outcome::Failed(why),
            ProbeResult::NoBroker => Outcome::Untestable(match connection.health.last_message_at {
                None => "the network server calls the hub, and has sent no message yet".to_owned(),
                Some(at) => format!(
                    "the network server calls the hub; its last message arrived at {}",
                    at.to_rfc3339_opts(SecondsFormat::Secs, true)
                ),
            }),
        };
        Ok(Check::ended(outcome, began))
    }

    async fn test_downlinks(
        &self,
        scope: &Scope,
        connection: &Connection,
        guard: &Guard,
    ) -> Result<Option<Check>> {
        let Some(transport) = transport::find(scope, &self.vault, connection).await? else {
            return Ok(None);
        };
        let began = Instant::now();
        if let Some(why) = transport.unopened {
            return Ok(Some(Check::ended(Outcome::Failed(why), began)));
        }
        let device = any_device(scope, connection.id).await?;
        let request = match transport
            .settings
            .probe(&transport.secrets, device.as_deref())
        {
            Ok(request) => request,
            Err(why) => return Ok(Some(Check::ended(Outcome::Untestable(why), began))),
        };
        let timeout = Duration::from_secs(self.config.downlink_timeout_s);
        let caller = Caller::new(guard.clone(), timeout).map_err(Error::internal)?;
        let caller = transport.caller(&caller);
        let outcome = match caller {
            Ok(caller) => ask(&caller, request, &transport.settings).await,
            Err(why) => Err(why),
        };
        let outcome = match outcome {
            Ok(()) => Outcome::Passed,
            Err(why) => Outcome::Failed(why),
        };
        Ok(Some(Check::ended(outcome, began)))
    }
}

impl Check {
    fn ended(outcome: Outcome, began: Instant) -> Self {
        Self {
            outcome,
            duration_ms: i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX),
        }
    }
}

/// Sends the test request to a network server; the error is for a person.
async fn ask(
    caller: &Caller,
    request: Request,
    settings: &DownlinkSettings,
) -> std::result::Result<(), String> {
    let answer = caller.call(request).await;
    match answer.error {
        Some(error) => Err(error),
        None => settings.read_probe(&serde_json::from_slice(&answer.body).unwrap_or(Value::Null)),
    }
}

/// Returns the network's id of one of the connection's devices.
async fn any_device(scope: &Scope, id: ConnectionId) -> Result<Option<String>> {
    let filter = Filter {
        connection: Some(id),
        ..Filter::default()
    };
    let first = Stretch::first(1);
    let sort = Sort {
        by: SortBy::Created,
        descending: false,
    };
    let page = list::list(scope, &filter, sort, &first).await?;
    let device = page.items.into_iter().next();
    let addresses = device
        .into_iter()
        .flat_map(|device| device.provisioned.connections);
    Ok(addresses
        .filter(|address| address.network_connection_id == id.0)
        .map(|address| address.network_device_id)
        .next())
}
