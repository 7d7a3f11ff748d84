//! Rows that a batch of messages creates.

use std::collections::{BTreeMap, HashMap};

use sea_orm::ActiveValue::Set;
use serde_json::Value;

use super::message::{Content, Message, Outcome, Record};
use crate::{
    clock::Time,
    id::{DeviceKey, TenantId},
    store::{
        core::{handle::Store, ids::Ids, shared_clock::Moment},
        deliveries::enqueue::Queued,
        devices::{
            driver_states::NewState,
            frames::{DedupeWindow, Known},
            receptions::RepeatedFrame,
            record::State,
        },
        downlinks::queue::News,
        entities::{data_table_row, delivery, event, uplink},
        live::events::NewEvent,
        networks::{health_change::HealthChange, unknown_devices::Sightings},
    },
};

/// All rows that a batch creates.
pub(super) struct Rows {
    pub uplinks: Vec<uplink::ActiveModel>,
    pub events: Vec<event::ActiveModel>,
    pub table_rows: Vec<data_table_row::ActiveModel>,
    pub deliveries: Vec<delivery::ActiveModel>,
    pub queued: Vec<Queued>,
    pub downlinks: Vec<(TenantId, News)>,
    pub health: BTreeMap<i64, HealthChange>,
    pub states: BTreeMap<i64, (TenantId, State)>,
    pub driver_states: BTreeMap<i64, (TenantId, NewState)>,
    pub sightings: Sightings,
    pub heard_again: Vec<RepeatedFrame>,
    pub dedupe_window_s: u64,
    /// Time of recording, for the detection of copies.
    pub recorded_at: Moment,
    /// Due time of queued deliveries, by the clock that all hubs share.
    pub due_at: Time,
    /// Identifiers of the rows.
    pub ids: Ids,
}

/// State of the batch's devices, updated message by message.
pub(super) struct Held {
    pub states: HashMap<i64, State>,
    /// Revisions of the driver states, of devices that have one.
    pub revisions: HashMap<i64, i64>,
}

impl Rows {
    /// Returns no rows yet, for records made at this time.
    pub fn new(store: &Store, time: Time) -> Self {
        Self {
            uplinks: Vec::new(),
            events: Vec::new(),
            table_rows: Vec::new(),
            deliveries: Vec::new(),
            queued: Vec::new(),
            downlinks: Vec::new(),
            health: BTreeMap::new(),
            states: BTreeMap::new(),
            driver_states: BTreeMap::new(),
            sightings: Sightings::default(),
            heard_again: Vec::new(),
            dedupe_window_s: store.kept::<DedupeWindow>().seconds,
            recorded_at: store.moment(),
            due_at: store.now(),
            ids: store.ids_at(time),
        }
    }

    /// Adds the rows of a message, unless its device was removed or its driver state has changed.
    pub fn add(&mut self, message: &Message, held: &mut Held) -> Outcome {
        let outcome = self.add_content(message, held);
        let is_recorded = matches!(outcome, Outcome::Recorded | Outcome::Uplink(_));
        if let Some(why) = message.odd_time.as_ref().filter(|_| is_recorded) {
            let health = self.health.entry(message.connection.0).or_default();
            health.odd_times += 1;
            health.last_odd_time = Some((message.received_at, why.clone()));
        }
        outcome
    }

    fn add_content(&mut self, message: &Message, held: &mut Held) -> Outcome {
        let is_there = |device: DeviceKey| held.states.contains_key(&device.0);
        if message
            .content
            .device()
            .is_some_and(|device| !is_there(device))
        {
            return Outcome::Gone;
        }
        let health = self.health.entry(message.connection.0).or_default();
        match &message.content {
            Content::Uplink(record) => {
                let Some(state) = held.states.get_mut(&record.device.0) else {
                    return Outcome::Gone;
                };
                let (now, source) = (&self.recorded_at, message.connection);
                let find = |mark| state.frames.find(mark, source, now, self.dedupe_window_s);
                if let Some(first) = record.mark.as_ref().and_then(find) {
                    health.duplicates += 1;
                    health.last_message_at = Some(message.received_at);
                    self.add_copy(message, record, state, first);
                    return Outcome::Duplicate(first.uplink);
                }
                if let Some(new) = &record.driver_state {
                    let revision = held.revisions.entry(record.device.0).or_default();
                    if *revision != new.seen.revision {
                        return Outcome::Stale;
                    }
                    *revision += 1;
                }
                health.uplinks += 1;
                health.last_message_at = Some(message.received_at);
                return Outcome::Uplink(self.add_uplink(message, record, state));
            }
            Content::UnknownDevice(sighting, event) => {
                health.unknown_devices += 1;
                health.last_message_at = Some(message.received_at);
                let whose = (message.tenant, message.connection);
                self.sightings.add(whose, message.received_at, sighting);
                self.add_event(message, None, event);
            }
            Content::Other(device, event) => {
                health.other_messages += 1;
                health.last_message_at = Some(message.received_at);
                self.add_event(message, *device, event);
            }
            Content::Downlink(event, news) => {
                health.other_messages += 1;
                health.last_message_at = Some(message.received_at);
                self.add_event(message, Some(news.device), event);
                self.downlinks.push((message.tenant, (**news).clone()));
            }
            Content::Malformed(why) => {
                health.malformed += 1;
                health.last_error = Some((message.received_at, why.clone()));
            }
            Content::Unauthorized(count) => {
                health.unauthorized += count;
                health.unauthorized_at = Some(message.received_at);
            }
        }
        Outcome::Recorded
    }

    /// Adds information that the first copy did not contain: gateways, and events such as a location.
    fn add_copy(&mut self, message: &Message, record: &Record, state: &mut State, first: Known) {
        self.heard_again
            .extend(RepeatedFrame::new(first.uplink, &record.radio));
        if record.reports.is_empty() || first.has_reports {
            return;
        }
        for event in &record.reports {
            self.add_event(message, Some(record.device), event);
        }
        state.frames.note_reports(first);
        self.states
            .insert(record.device.0, (message.tenant, state.clone()));
    }

    pub fn add_event(&mut self, message: &Message, device: Option<DeviceKey>, event: &NewEvent) {
        self.events.push(event::ActiveModel {
            tenant_id: Set(message.tenant.0),
            id: Set(self.ids.next()),
            kind: Set(event.kind.to_owned()),
            device_key: Set(device.map(|key| key.0)),
            connection_id: Set(Some(message.connection.0)),
            at: Set(message.received_at),
            message: Set(event.message.clone()),
            details: Set(Value::Object(event.details.clone())),
        });
    }
}
