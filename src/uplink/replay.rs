//! Forwards stored uplinks again, in the background, in chunks that alternate between the replays.
//!
//! The decoded data are those stored at the time, the device is as it is now. A replay pauses while its
//! integration has a large backlog, so that it does not delay new messages. When a hub fails, another
//! one continues its replays.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::native;
use crate::{
    delivery::Handle,
    error::{Error, Result},
    id::{IntegrationId, ReplayId, TenantId},
    jobs::{Starter, Step, Work, Worker},
    networks::{Radio, Uplink, carries_data},
    selector::Selector,
    store::{
        Scope, Store,
        core::jobs::State,
        deliveries::{
            queue,
            replays::{self as replays, NewReplay, Rendered, Replay},
        },
        devices::{
            Device, uplinks,
            walk::{Stored, Walks},
        },
        integrations::{self, policy::EventType},
        networks,
    },
};

/// Number of pending deliveries at which a replay pauses.
const BACKLOG_MAX: u64 = 5_000;
/// Handle that starts replays.
#[derive(Clone)]
pub struct Replays {
    starter: Starter<ReplayId>,
}

/// Worker that runs replays.
pub type Replayer = Worker<Replaying>;

/// Work of replays.
pub struct Replaying {
    wake: Handle,
    walks: Walks<ReplayId>,
}

impl Replays {
    /// Creates a replayer and the handle that starts replays.
    pub fn new(store: Store, wake: Handle) -> (Replayer, Self) {
        let work = Replaying {
            wake,
            walks: Walks::default(),
        };
        let (replayer, starter) = Worker::new(store, work);
        (replayer, Self { starter })
    }

    /// Stores the replay and notifies the replayer.
    pub async fn begin(
        &self,
        scope: &Scope,
        integration: IntegrationId,
        new: NewReplay,
    ) -> Result<Replay> {
        let replay = replays::insert(scope, integration, new).await?;
        self.starter.start(scope, replay.id);
        Ok(replay)
    }
}

impl Work for Replaying {
    type Id = ReplayId;

    const KIND: &'static str = "replay";

    async fn unfinished(store: &Store) -> Result<Vec<(TenantId, ReplayId)>> {
        store.running_replays().await
    }

    async fn give_up(scope: &Scope, id: ReplayId) -> Result<()> {
        replays::give_up(scope, id).await
    }

    fn forget(&mut self, id: ReplayId) {
        self.walks.forget(&id);
    }

    /// Queues the deliveries of a chunk, unless the backlog is large.
    async fn step(&mut self, scope: &Scope, id: ReplayId) -> Result<Step> {
        let Some(replay) = replays::find(scope, id).await? else {
            return Ok(Step::Done);
        };
        let integration = integrations::find(scope, replay.integration).await?;
        let Some(integration) = integration.filter(|_| replay.state == State::Running) else {
            return Ok(Step::Done);
        };
        let backlog = queue::backlog(scope, integration.id).await?;
        if backlog.pending >= BACKLOG_MAX {
            return Ok(Step::Wait);
        }
        let selector =
            Selector::parse(&integration.provisioned.selector).map_err(Error::internal)?;
        let events = integration.provisioned.uplink_events();
        let (stored, last) = self.walks.next(scope, id, &replay.walk()).await?;
        let names = connection_names(scope, &stored).await?;
        let mut rendered = Vec::with_capacity(stored.len());
        for (uplink, device) in &stored {
            if !selector.matches(&device.provisioned.labels) {
                continue;
            }
            let carries_data = carries_data(uplink.f_port, uplink.raw.as_deref());
            let sent = events.iter();
            for event in sent.filter(|event| carries_data || **event != EventType::Data) {
                rendered.push(Rendered {
                    device_id: device.provisioned.id.clone(),
                    uplink_id: uplink.id,
                    event: *event,
                    body: render(uplink, device, &names, *event),
                });
            }
        }
        let ordered = integration.provisioned.delivery.ordered_by_device;
        replays::queue(scope, &replay, ordered, rendered, last).await?;
        self.wake.integration(scope.tenant(), integration.id);
        match last {
            Some(_) => Ok(Step::GoOn),
            None => Ok(Step::Done),
        }
    }
}

async fn connection_names(scope: &Scope, stored: &[Stored]) -> Result<HashMap<i64, String>> {
    let addresses = stored
        .iter()
        .flat_map(|(_, device)| &device.provisioned.connections);
    let mut ids: Vec<i64> = addresses
        .map(|address| address.network_connection_id)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    networks::names(scope, &ids).await
}

fn render(
    stored: &uplinks::Uplink,
    device: &Device,
    names: &HashMap<i64, String>,
    event: EventType,
) -> String {
    let provisioned = &device.provisioned;
    let address = provisioned
        .connections
        .iter()
        .find(|address| address.network_connection_id == stored.connection.0);
    let uplink = Uplink {
        network_device_id: address
            .map(|address| address.network_device_id.clone())
            .unwrap_or_default(),
        f_port: stored.f_port,
        f_cnt: stored.f_cnt,
        payload: stored.raw.clone().map(Into::into),
        time: Some(stored.time),
        radio: radio(&stored.radio),
        ..Uplink::default()
    };
    let connections: Vec<native::Connection<'_>> = provisioned
        .connections
        .iter()
        .map(|address| native::Connection {
            network_connection_id: address.network_connection_id,
            network_connection_name: names
                .get(&address.network_connection_id)
                .map_or("", String::as_str),
            network_device_id: &address.network_device_id,
        })
        .collect();
    let failure = stored.failure.as_ref().map(message).unwrap_or_default();
    let decoded = match (&stored.data, &stored.updates) {
        _ if event == EventType::Raw => native::Decoded::NoDriver,
        (Some(data), Some(updates)) => native::Decoded::Updates(data, updates),
        (Some(data), None) => native::Decoded::Fields(data),
        (None, _) if stored.failure.is_some() => native::Decoded::Failed(failure),
        (None, _) => native::Decoded::NoDriver,
    };
    native::render(&native::Parts {
        uplink: &uplink,
        received_at: stored.received_at,
        device: native::Device {
            id: &provisioned.id,
            name: &provisioned.name,
            driver: provisioned.driver.as_deref().unwrap_or_default(),
            labels: &provisioned.labels,
            desired_state: &device.state.desired,
            reported_state: &device.state.reported,
            connections: &connections,
        },
        decoded,
    })
    .to_string()
}

/// Parses the stored radio metadata; returns defaults if they are no longer readable.
fn radio(stored: &Map<String, Value>) -> Radio {
    serde_json::from_value(Value::Object(stored.clone())).unwrap_or_default()
}

fn message(failure: &Value) -> &str {
    failure["message"].as_str().unwrap_or_default()
}
