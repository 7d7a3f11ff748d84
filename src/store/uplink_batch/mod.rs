//! The one transaction that a batch of messages is written in.
//!
//! Messages of several tenants share a batch, so that one flush to disk serves all who wait; every
//! row still carries its own tenant. A message whose device has gone between look-up and write, or whose
//! tenant has gone or been changed meanwhile, on whichever hub, is reported as [`Outcome::Gone`]: the caller
//! looks it up again.
//!
//! Ids are made in the transaction: who follows what is recorded knows by the transactions that are open
//! which ids can still turn up (`live.rs`).
//!
//! Invariant: rows are locked in one order (ARCHITECTURE.md): the states of devices, the devices,
//! connections, data tables, integrations, and the health of connections; of each kind by key.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use chrono::TimeDelta;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde_json::{Map, Value};
use tokio::time::sleep;
use uuid::Uuid;

use super::{
    Store,
    deliveries::enqueue::{self, Queued},
    devices::{self, State},
    entities::{data_table_row, delivery, device_state, event, uplink},
};
use crate::{
    batch::Parts,
    clock::Time,
    error::{Error, Result},
    id::{ConnectionId, DataTableId, DeviceKey, IntegrationId, TenantId},
    store::{
        core::{
            bulk::{self, Replace},
            epochs::Learned,
            failure,
            gather::padded,
            ids::Ids,
            selecting::Selectors,
            shared_clock::Moment,
            signals::Then,
            transaction::DatabaseTransaction,
        },
        deliveries::of_events,
        devices::{
            driver_states::{self, NewState},
            frames::{Known, Mark},
            receptions::{self, HeardAgain},
        },
        downlinks::queue,
        integrations::policy::EventType,
        networks::{
            health_change::HealthChange,
            unknown_devices::{Sighting, Sightings},
        },
    },
};

/// How long a message may be under way within the hub, and how far the clocks of hubs on one database may
/// lie apart: what is newer than a message by no more than that may have overtaken it.
const UNDER_WAY_MAX: TimeDelta = TimeDelta::seconds(10);
/// How often a batch is written that the database ends in favour of other transactions.
const TRIES_MAX: u32 = 8;
/// The wait before it is tried again, once for each time that it was.
const MAKE_WAY: Duration = Duration::from_millis(20);

/// One message to write down.
pub struct Message {
    /// Whose it is.
    pub tenant: TenantId,
    /// Where it came in.
    pub connection: ConnectionId,
    /// When the hub received it.
    pub received_at: Time,
    /// What is wrong with the time that the network server told, where anything is.
    pub odd_time: Option<String>,
    /// The tenant's epoch at which all that it refers to was looked up; `None`: it may be written
    /// even if something has changed since, as long as the tenant is there.
    pub epoch: Option<u64>,
    /// What to write.
    pub content: Content,
}

impl Content {
    /// The device that it is about, where that is known.
    fn device(&self) -> Option<DeviceKey> {
        match self {
            Self::Uplink(record) => Some(record.device),
            Self::Downlink(_, news) => Some(news.device),
            Self::Other(device, _) => *device,
            Self::UnknownDevice(..) | Self::Malformed(_) | Self::Unauthorized(_) => None,
        }
    }
}

/// What a message turned out to be.
pub enum Content {
    /// An uplink of a known device.
    Uplink(Box<Record>),
    /// A well-formed message of a device that nobody provisioned.
    UnknownDevice(Sighting, NewEvent),
    /// A well-formed message that is no uplink.
    Other(Option<DeviceKey>, NewEvent),
    /// What became of a downlink of a device.
    Downlink(NewEvent, Box<queue::News>),
    /// A message that was refused, and why.
    Malformed(String),
    /// So many requests with a wrong ingest key.
    Unauthorized(i64),
}

/// An uplink with all that follows from it.
pub struct Record {
    /// The device's key.
    pub device: DeviceKey,
    /// The device's id.
    pub device_id: String,
    /// When the network received it.
    pub time: Time,
    /// LoRaWAN port.
    pub f_port: Option<u8>,
    /// LoRaWAN frame counter.
    pub f_cnt: Option<u32>,
    /// What tells it from other frames of the device, where anything does.
    pub mark: Option<Mark>,
    /// Whether it may hold data of the device; one that does not is heard, and no more.
    pub carries_data: bool,
    /// The payload.
    pub raw: Option<Vec<u8>>,
    /// How it was received.
    pub radio: Value,
    /// What the driver made of it.
    pub data: Option<Map<String, Value>>,
    /// The values of each time, where the driver told of several.
    pub updates: Option<Value>,
    /// What the driver keeps of the device from now on.
    pub driver_state: Option<NewState>,
    /// Why the driver made nothing of it.
    pub failure: Option<Value>,
    /// What the driver had to tell, and that the device confirms a downlink.
    pub events: Vec<NewEvent>,
    /// What the network told with it, which a copy may tell first.
    pub told: Vec<NewEvent>,
    /// Whether the device confirms a downlink with it.
    pub acknowledges: bool,
    /// Rows for data tables, each with its time.
    pub rows: Vec<(DataTableId, Time, Value)>,
    /// Who wants to hear of it.
    pub integrations: Vec<Recipient>,
    /// Makes the message for integrations from the device's state after this uplink.
    pub render: Render,
}

/// Makes the message of a type of event from the device's state.
pub type Render = Box<dyn Fn(EventType, &State) -> String + Send + Sync>;

/// An integration that wants to hear of uplinks.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// Which.
    pub integration: IntegrationId,
    /// As what it wants them: [`EventType::Data`], [`EventType::Raw`] or both.
    pub events: Vec<EventType>,
    /// Whether it gets those of a device one after the other.
    pub ordered: bool,
}

/// Something to tell.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Its kind, as in [`super::events::Event`].
    pub kind: &'static str,
    /// For a person.
    pub message: String,
    /// For a program.
    pub details: Map<String, Value>,
}

/// What became of one message of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is on disk.
    Recorded,
    /// It is on disk as the uplink of this id.
    Uplink(Uuid),
    /// It is a copy of a frame that is on disk as the uplink of this id; nothing was written.
    Duplicate(Uuid),
    /// It was looked up before something changed; nothing was written.
    Gone,
    /// It refers to something that is not there, though nothing has told of a change; nothing was written.
    Dangling,
    /// The driver's state of the device is another than the driver has seen; nothing was written.
    Stale,
}

/// What became of a batch.
#[derive(Default)]
pub struct Recorded {
    /// Of each message.
    pub outcomes: Vec<Result<Outcome>>,
    /// What its uplinks have queued for integrations.
    pub queued: Vec<Queued>,
}

impl Recorded {
    /// The next messages were not written.
    fn refuse(&mut self, messages: usize, why: &Error) {
        let refused = std::iter::repeat_with(|| Err(why.echo()));
        self.outcomes.extend(refused.take(messages));
    }
}

struct Rows {
    uplinks: Vec<uplink::ActiveModel>,
    events: Vec<event::ActiveModel>,
    table_rows: Vec<data_table_row::ActiveModel>,
    deliveries: Vec<delivery::ActiveModel>,
    queued: Vec<Queued>,
    downlinks: Vec<(TenantId, queue::News)>,
    health: BTreeMap<i64, HealthChange>,
    states: BTreeMap<i64, (TenantId, State)>,
    driver_states: BTreeMap<i64, (TenantId, NewState)>,
    sightings: Sightings,
    heard_again: Vec<HeardAgain>,
    dedupe_window_s: u64,
    /// When the batch is recorded, to tell copies by.
    recorded_at: Moment,
    /// When what they queue is due, by the clock of all hubs.
    due_at: Time,
    /// Of what is added.
    ids: Ids,
}

impl Store {
    /// Writes a batch; what is `Recorded` is on disk when this answers. A message that cannot be written
    /// keeps none of the others from it: smaller and smaller parts of the batch tell which one it is.
    pub async fn record(&self, messages: &[Message]) -> Recorded {
        let mut recorded = Recorded::default();
        // One after the other: messages stay in their order.
        let mut parts = Parts::of(messages);
        while let Some(part) = parts.take() {
            match self.record_together(part).await {
                Ok((outcomes, queued)) => {
                    recorded.outcomes.extend(outcomes.into_iter().map(Ok));
                    recorded.queued.extend(queued);
                }
                Err(error) if !failure::is_of_one_row(&error) => {
                    recorded.refuse(part.len(), &error.into());
                }
                Err(error) => {
                    if parts.halve(part).is_some() {
                        recorded.outcomes.push(match failure::is_dangling(&error) {
                            true => Ok(Outcome::Dangling),
                            false => Err(error.into()),
                        });
                    }
                }
            }
        }
        recorded
    }

    /// Writes messages in one transaction, which is repeated a few times where the database has ended it
    /// in favour of another.
    async fn record_together(
        &self,
        messages: &[Message],
    ) -> Result<(Vec<Outcome>, Vec<Queued>), DbErr> {
        let mut tries = 1;
        loop {
            match self.try_record(messages).await {
                Err(error) if failure::is_contention(&error) && tries < TRIES_MAX => {
                    tracing::debug!(tries, "a batch of messages made way: {error}");
                    sleep(MAKE_WAY * tries).await;
                    tries += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn try_record(&self, messages: &[Message]) -> Result<(Vec<Outcome>, Vec<Queued>), DbErr> {
        // Each try by itself: what must not take long is one transaction.
        let _under_way = self.inner.writability.begin_batch();
        let transaction = self.inner.recorder.begin([Then::News]).await?;
        let written = self.write_batch(&transaction, messages).await;
        transaction.finish(written).await
    }

    async fn write_batch(
        &self,
        transaction: &DatabaseTransaction,
        messages: &[Message],
    ) -> Result<(Vec<Outcome>, Vec<Queued>), DbErr> {
        let mut held = Held {
            states: lock_states(transaction, messages).await?,
            revisions: driver_states::revisions(transaction, stateful(messages)).await?,
        };
        // Behind the locks, for which it may have waited.
        let tenants = messages.iter().map(|message| message.tenant).collect();
        let Learned { epochs, time } = self.learn_epochs(transaction, tenants).await?;
        let mut rows = Rows::new(self, time);
        let mut outcomes = Vec::with_capacity(messages.len());
        for message in messages {
            let is_current = match epochs.get(&message.tenant).copied().flatten() {
                Some(now) => message.epoch.is_none_or(|looked_up_at| looked_up_at == now),
                None => false,
            };
            outcomes.push(match is_current {
                true => rows.add(message, &mut held),
                false => Outcome::Gone,
            });
        }
        let queued = std::mem::take(&mut rows.queued);
        if rows.insert(transaction, &self.inner.selectors).await? {
            transaction.then(Then::Work);
        }
        Ok((outcomes, queued))
    }
}

/// The states of all devices of the batch, locked before the devices and in the order of their keys, as whoever
/// changes or deletes devices locks them.
async fn lock_states(
    transaction: &DatabaseTransaction,
    messages: &[Message],
) -> Result<HashMap<i64, State>, DbErr> {
    let mut keys: Vec<i64> = messages
        .iter()
        .filter_map(|message| Some(message.content.device()?.0))
        .collect();
    keys.sort_unstable();
    keys.dedup();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let found = device_state::Entity::find()
        .filter(device_state::Column::DeviceKey.is_in(padded(keys)))
        .order_by_asc(device_state::Column::DeviceKey)
        .lock_exclusive()
        .all(transaction)
        .await?;
    let keyed = |state: device_state::Model| (state.device_key, State::from(state));
    Ok(found.into_iter().map(keyed).collect())
}

/// The devices whose drivers keep a state with their message.
fn stateful(messages: &[Message]) -> Vec<i64> {
    messages
        .iter()
        .filter_map(|message| match &message.content {
            Content::Uplink(record) => record.driver_state.as_ref().map(|_| record.device.0),
            _ => None,
        })
        .collect()
}

/// What the batch's devices are, as message after message makes them.
struct Held {
    states: HashMap<i64, State>,
    /// Of the drivers' states, of those devices that have one.
    revisions: HashMap<i64, i64>,
}

impl Rows {
    /// None yet, of what is recorded at this time.
    fn new(store: &Store, time: Time) -> Self {
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
            dedupe_window_s: store.inner.dedupe_window_s,
            recorded_at: store.moment(),
            due_at: store.now(),
            ids: store.ids_at(time),
        }
    }

    /// Adds what the message makes, unless its device has gone or its driver's state has changed.
    fn add(&mut self, message: &Message, held: &mut Held) -> Outcome {
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

    /// Adds what a copy tells and the first one did not: gateways, and events such as a location.
    fn add_copy(&mut self, message: &Message, record: &Record, state: &mut State, first: Known) {
        self.heard_again
            .extend(HeardAgain::new(first.uplink, &record.radio));
        if record.told.is_empty() || first.has_told {
            return;
        }
        for event in &record.told {
            self.add_event(message, Some(record.device), event);
        }
        state.frames.note_told(first);
        self.states
            .insert(record.device.0, (message.tenant, state.clone()));
    }

    /// Adds an uplink; answers its id.
    fn add_uplink(&mut self, message: &Message, record: &Record, state: &mut State) -> Uuid {
        let id = self.ids.next();
        if let Some(mark) = &record.mark {
            let has_told = !record.told.is_empty();
            let source = message.connection;
            let at = self.recorded_at.time();
            state.frames.push(mark, source, id, has_told, at);
        }
        // A clock that is ahead must not keep out what comes after it: neither the network's, nor the
        // hub's own as it once was.
        let at = Ord::min(record.time, message.received_at);
        let credible = message.received_at + UNDER_WAY_MAX;
        let newest = state.newest_at.filter(|newest| *newest <= credible);
        let is_late = newest.is_some_and(|newest| at < newest);
        match &record.data {
            // What is newer stays; what nothing newer has told is news all the same.
            Some(data) if is_late => {
                for (name, value) in data {
                    let entry = state.reported.entry(name.as_str());
                    entry.or_insert_with(|| value.clone());
                }
            }
            Some(data) => state.reported.extend(data.clone()),
            None => {}
        }
        if let Some(new) = &record.driver_state {
            // What the driver no longer keeps is no longer reported.
            let kept = |name: &String| new.state.contains_key(name) || in_data(record, name);
            let gone = new.seen.state.keys().filter(|name| !kept(name));
            for name in gone {
                state.reported.shift_remove(name);
            }
            state.reported.extend(new.state.clone());
            self.driver_states
                .insert(record.device.0, (message.tenant, new.clone()));
        }
        if !is_late {
            state.received_at = Some(message.received_at);
            state.raw.clone_from(&record.raw);
        }
        // A frame without data is heard; it makes no data late, and says nothing of the driver.
        if !is_late && record.carries_data {
            state.newest_at = Some(at);
            state.is_failing = record.failure.is_some();
        }
        self.states
            .insert(record.device.0, (message.tenant, state.clone()));
        self.uplinks.push(uplink::ActiveModel {
            tenant_id: Set(message.tenant.0),
            id: Set(id),
            device_key: Set(record.device.0),
            connection_id: Set(message.connection.0),
            received_at: Set(message.received_at),
            ts: Set(record.time),
            f_port: Set(record.f_port.map(i32::from)),
            f_cnt: Set(record.f_cnt.map(i64::from)),
            raw: Set(record.raw.clone()),
            radio: Set(record.radio.clone()),
            data: Set(record.data.clone().map(Value::Object)),
            updates: Set(record.updates.clone()),
            failure: Set(record.failure.clone()),
        });
        for event in record.events.iter().chain(&record.told) {
            self.add_event(message, Some(record.device), event);
        }
        if record.acknowledges {
            let news = queue::News::of_acknowledgement(record.device, message.connection);
            self.downlinks.push((message.tenant, news));
        }
        for (table, time, data) in &record.rows {
            self.table_rows.push(data_table_row::ActiveModel {
                tenant_id: Set(message.tenant.0),
                id: Set(self.ids.next()),
                data_table_id: Set(table.0),
                device_id: Set(record.device_id.clone()),
                ts: Set(*time),
                data: Set(data.clone()),
                uplink_id: Set(Some(id)),
            });
        }
        if record.integrations.is_empty() {
            return id;
        }
        for event in [EventType::Data, EventType::Raw] {
            if event == EventType::Data && !record.carries_data {
                continue;
            }
            let wants = |recipient: &&Recipient| recipient.events.contains(&event);
            let mut recipients = record.integrations.iter().filter(wants).peekable();
            if recipients.peek().is_none() {
                continue;
            }
            let body = (record.render)(event, state);
            let subject = enqueue::Subject {
                tenant: message.tenant,
                device_id: &record.device_id,
                id,
                kind: event,
                body: &body,
                at: self.due_at,
            };
            for recipient in recipients {
                let (row, queued) = enqueue::row(self.ids.next(), &subject, recipient);
                self.deliveries.push(row);
                self.queued.push(queued);
            }
        }
        id
    }

    fn add_event(&mut self, message: &Message, device: Option<DeviceKey>, event: &NewEvent) {
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

    /// Writes all rows, in the order of what they refer to, for PostgreSQL locks that; answers whether
    /// events are to be delivered.
    async fn insert(
        mut self,
        transaction: &DatabaseTransaction,
        selectors: &Selectors,
    ) -> Result<bool, DbErr> {
        self.sort();
        self.insert_states(transaction).await?;
        let mut told_of: Vec<i64> = self
            .downlinks
            .iter()
            .map(|(_, news)| news.device.0)
            .collect();
        told_of.dedup();
        devices::hold(transaction, told_of).await?;
        bulk::insert(transaction, self.uplinks, None).await?;
        receptions::add(transaction, self.heard_again).await?;
        let told = of_events::told(&self.events);
        bulk::insert(transaction, self.events, None).await?;
        bulk::insert(transaction, self.table_rows, None).await?;
        let of_events =
            of_events::rows(transaction, told, selectors, &self.ids, self.due_at).await?;
        let has_work = !of_events.is_empty();
        self.deliveries.extend(of_events);
        self.deliveries
            .sort_by_key(|row| row.integration_id.try_as_ref().copied());
        bulk::insert(transaction, self.deliveries, None).await?;
        for (tenant, news) in self.downlinks {
            queue::apply(transaction, tenant, news).await?;
        }
        for (connection, change) in self.health {
            change.apply(transaction, connection).await?;
        }
        // Behind the health, which those who write of one connection take in turn.
        self.sightings.write(transaction).await?;
        Ok(has_work)
    }

    fn sort(&mut self) {
        self.uplinks
            .sort_by_key(|row| row.device_key.try_as_ref().copied());
        self.events.sort_by_key(|row| {
            let device = row.device_key.try_as_ref().copied();
            (device, row.connection_id.try_as_ref().copied())
        });
        self.table_rows
            .sort_by_key(|row| row.data_table_id.try_as_ref().copied());
        self.downlinks.sort_by_key(|(_, news)| news.device.0);
    }

    async fn insert_states(&mut self, transaction: &DatabaseTransaction) -> Result<(), DbErr> {
        let states = std::mem::take(&mut self.states)
            .into_iter()
            .map(|(key, (tenant, state))| device_state::ActiveModel {
                tenant_id: Set(tenant.0),
                device_key: Set(key),
                reported: Set(Value::Object(state.reported)),
                desired: Set(Value::Object(state.desired)),
                received_at: Set(state.received_at),
                raw: Set(state.raw),
                is_failing: Set(state.is_failing),
                frames: Set(state.frames.write()),
                newest_at: Set(state.newest_at),
            });
        let replace = Replace {
            key: device_state::Column::DeviceKey,
            columns: vec![
                device_state::Column::Reported,
                device_state::Column::ReceivedAt,
                device_state::Column::Raw,
                device_state::Column::IsFailing,
                device_state::Column::Frames,
                device_state::Column::NewestAt,
            ],
        };
        bulk::insert(transaction, states.collect(), Some(replace)).await?;
        let driver_states = std::mem::take(&mut self.driver_states).into_iter();
        let driver_states =
            driver_states.map(|(device, (tenant, new))| (tenant, DeviceKey(device), new));
        driver_states::put(transaction, driver_states.collect()).await
    }
}

fn in_data(record: &Record, name: &str) -> bool {
    record
        .data
        .as_ref()
        .is_some_and(|data| data.contains_key(name))
}
