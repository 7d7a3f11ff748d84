//! Forwards stored uplinks again, in the background, in chunks that alternate between the replays.
//!
//! The decoded data are those stored at the time, the device is as it is now. A replay pauses while its
//! integration has a large backlog, so that it does not delay new messages. When a hub fails, another
//! one continues its replays.

use std::{collections::HashMap, time::Duration};

use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::native;
use crate::{
    delivery::Handle,
    error::{Error, Result},
    id::{IntegrationId, ReplayId, TenantId},
    jobs::Jobs,
    networks::{Radio, Uplink, carries_data},
    selector::Selector,
    store::{
        Scope, Store,
        deliveries::{
            queue,
            replays::{self as replays, NewReplay, Rendered, Replay, State},
        },
        devices::{
            Device, uplinks,
            walk::{self, Ahead, Stored},
        },
        integrations::{self, policy::EventType},
        networks,
    },
    supervise::attempted,
};

/// Pause when the database is unavailable or all replays wait for their backlog.
const PAUSE: Duration = Duration::from_secs(1);
/// Number of pending deliveries at which a replay pauses.
const BACKLOG_MAX: u64 = 5_000;
/// Maximum number of replays with prefetched uplinks; some of them may run on another hub by now.
const AHEAD_MAX: usize = 32;

/// Handle that starts replays.
#[derive(Clone)]
pub struct Replays {
    begun: mpsc::UnboundedSender<(TenantId, ReplayId)>,
}

/// Worker that runs replays.
pub struct Replayer {
    jobs: Jobs<ReplayId>,
    store: Store,
    wake: Handle,
    /// Prefetched uplinks by replay.
    ahead: HashMap<ReplayId, Ahead>,
}

/// Result of one step.
enum Step {
    GoOn,
    Wait,
    Done,
}

impl Replays {
    /// Stores the replay and notifies the replayer.
    pub async fn begin(
        &self,
        scope: &Scope,
        integration: IntegrationId,
        new: NewReplay,
    ) -> Result<Replay> {
        let replay = replays::insert(scope, integration, new).await?;
        // During shutdown the send fails; the replay then waits in the database.
        let _ = self.begun.send((scope.tenant(), replay.id));
        Ok(replay)
    }
}

impl Replayer {
    /// Creates a replayer and the handle that starts replays.
    pub fn new(store: Store, wake: Handle) -> (Self, Replays) {
        let (sender, begun) = mpsc::unbounded_channel();
        let jobs = Jobs::new("replay", store.clone(), begun);
        let replayer = Self {
            jobs,
            store,
            wake,
            ahead: HashMap::new(),
        };
        (replayer, Replays { begun: sender })
    }

    /// Runs until `stop` is cancelled, and finishes the current chunk first.
    pub async fn run(&mut self, stop: CancellationToken) {
        // Number of consecutive steps that had to wait. If all replays wait, the loop pauses.
        let mut idle = 0;
        let store = self.store.clone();
        let unfinished = || store.running_replays();
        while let Some((tenant, id)) = self.jobs.next(&stop, unfinished).await {
            let scope = self.store.scope(tenant);
            let step = attempted("replay", self.step(&scope, id)).await;
            match step {
                Ok(Step::GoOn | Step::Wait) => self.jobs.went_on(id),
                // After an error, a chunk that was fetched and not queued is read again.
                Ok(Step::Done) | Err(_) => drop(self.ahead.remove(&id)),
            }
            match step {
                Ok(Step::Done) => {
                    self.jobs.end(id).await;
                    continue;
                }
                Ok(Step::GoOn) => idle = 0,
                Ok(Step::Wait) => idle += 1,
                Err(error) => {
                    let cause = error.causes();
                    if !self.jobs.may_pass(id, &error) {
                        tracing::error!(replay.id = id.0, cause, "replay given up");
                        if let Err(error) = replays::give_up(&scope, id).await {
                            tracing::warn!(
                                replay.id = id.0,
                                "it stays unfinished: {}",
                                error.causes()
                            );
                        }
                        self.jobs.end(id).await;
                        continue;
                    }
                    tracing::warn!(replay.id = id.0, cause, "replay waits");
                    idle = self.jobs.waiting() + 1;
                }
            }
            self.jobs.put_back(tenant, id);
            if idle >= self.jobs.waiting() {
                idle = 0;
                pause(&stop).await;
            }
        }
        self.jobs.leave().await;
    }

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
        if self.ahead.len() > AHEAD_MAX {
            self.ahead.clear();
        }
        let ahead = self.ahead.entry(id).or_default();
        let (stored, last) = walk::next(scope, &replay.walk(), ahead).await?;
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

/// Sleeps for [`PAUSE`], or until `stop` is cancelled.
async fn pause(stop: &CancellationToken) {
    let _ = tokio::time::timeout(PAUSE, stop.cancelled()).await;
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
