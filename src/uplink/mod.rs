//! The uplink path: from what a network server posts to what is on disk and on its way.
//!
//! Four steps, one file each:
//!
//! 1. [`ingest`]: who posts (the connection's key), what it says (the network's adapter), whom it is
//!    about (the device);
//! 2. [`decode`]: what the device's driver makes of the payload;
//! 3. [`record`]: the uplink, the device's state, the data tables' rows and the deliveries, written in
//!    one transaction that [`writer`] shares among all who wait;
//! 4. `deliver`: the [`crate::delivery`] engine is told that there is work.
//!
//! [`encode`] goes the other way: what a device's driver makes of values for the device.
//!
//! [`tryout`] and [`redecode`] take step 2 alone: what a driver makes of something, and what it would
//! make of what is stored.
//!
//! The uplinks of a device whose driver keeps a state take [`turns`]; the others do not know of them.
//!
//! Invariant: what was answered with 200 is on disk.

mod auto_provisioning;
mod excerpt;
mod frame;
mod ingest;
pub mod native;
mod news;
pub mod probe;
mod record;
pub mod redecode;
mod replay;
mod route;
mod routes;
mod strangers;
mod subscriber;
mod subscription;
mod taking;
mod turns;
mod weights;
pub mod writer;

use std::sync::Arc;

use chrono::SecondsFormat;
use serde_json::{Value, json};
use uuid::Uuid;

pub use auto_provisioning::Rule;
pub use ingest::Sender;
pub use replay::{Replayer, Replays};
pub use subscriber::Subscriber;
pub use writer::Writer;

use crate::{
    clock::{Plausible, Time},
    codec::{
        Codec,
        version::{DriverRoute, DriverVersion},
    },
    error::{Error, Result},
    id::ConnectionId,
    networks::{Event, News, Uplink},
    reference::DriverKey,
    secret::Vault,
    store::{
        Scope, Store,
        devices::{
            self,
            driver_states::{self, NewState},
        },
        members,
        networks::unknown_devices::Sighting,
        uplink_batch::{Content, Message, NewEvent, Outcome, Record},
    },
};
use ingest::One;
use route::{ConnectionRoute, DeviceRoute};
use routes::Routes;
use strangers::Strangers;
use turns::Turns;

/// How often an uplink is decoded again when another hub was quicker to write the driver's state.
/// Each time, that hub has written an uplink.
const STALE_TRIES_MAX: usize = 100;
/// How often a message is looked up when its device goes, or its tenant changes, in between.
const TRIES_MAX: usize = 5;

/// The uplink path, ready to run.
#[derive(Clone)]
pub struct UplinkPath {
    routes: Arc<Routes>,
    /// What runs drivers.
    pub codec: Codec,
    turns: Arc<Turns>,
    strangers: Arc<Strangers>,
    writer: Writer,
    plausible: Plausible,
}

/// A message as it came in.
#[derive(Debug)]
pub struct Unread {
    /// The body, or the payload over MQTT.
    pub body: Vec<u8>,
    /// The query parameters, in their order, without the ingest key.
    pub query: Vec<(String, String)>,
    /// The topic, over MQTT.
    pub topic: Option<String>,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receipt {
    /// It is an uplink of a device.
    Uplink {
        /// The uplink's id.
        uplink_id: Uuid,
        /// The device's id.
        device_id: String,
    },
    /// It is a copy of an uplink that is on disk.
    Duplicate {
        /// The uplink's id.
        uplink_id: Uuid,
        /// The device's id.
        device_id: String,
    },
    /// It is about a device that nobody provisioned; it is kept as an event of the connection.
    UnknownDevice,
    /// It is no uplink; it is kept as an event.
    Other,
    /// The connection is switched off; nothing was kept.
    Disabled,
}

/// A message that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// What became of it.
    pub receipt: Receipt,
    /// The device that waits for a downlink in the answer.
    pub awaits: Option<Asking>,
}

/// A device that asks for a downlink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    /// The type of its network server.
    pub kind: &'static str,
    /// Its id in the network.
    pub network_device_id: String,
}

impl UplinkPath {
    /// Puts the path together.
    pub fn new(
        store: Store,
        vault: Vault,
        codec: Codec,
        plausible: Plausible,
        writer: Writer,
    ) -> Self {
        Self {
            routes: Arc::new(Routes::new(store, vault, codec.clone())),
            codec,
            turns: Arc::default(),
            strangers: Arc::new(Strangers::new(writer.clone())),
            writer,
            plausible,
        }
    }

    /// The tenant of a connection.
    pub async fn scope_of(&self, id: ConnectionId) -> Result<Option<Scope>> {
        let connection = self.routes.connection(id).await?;
        Ok(connection.map(|connection| connection.scope.clone()))
    }

    /// Takes what a network server posts. It is on disk when this answers. Why a message could not be
    /// read, only who has the connection's key learns.
    pub async fn receive(
        &self,
        id: ConnectionId,
        sender: Sender<'_>,
        message: Result<Unread>,
    ) -> Result<Taken> {
        let connection = ingest::authenticate(&self.routes, &self.strangers, id, sender).await?;
        self.take(connection, Some(sender), message).await
    }

    /// Takes one message that the hub itself has fetched from a network server. It is on disk when
    /// this answers; one that was refused is counted.
    pub async fn receive_fetched(
        &self,
        id: ConnectionId,
        message: Result<Unread>,
    ) -> Result<Taken> {
        let connection = self.routes.connection(id).await?;
        let connection = connection.ok_or_else(|| Error::missing("network connection", id))?;
        self.take(connection, None, message).await
    }

    /// Takes what came in, which may be several messages: all that can be taken are, and the answer is
    /// that to the first, or the first refusal. What broke a rule before it could be read is counted
    /// like a message that cannot be read.
    async fn take(
        &self,
        mut connection: Arc<ConnectionRoute>,
        sender: Option<Sender<'_>>,
        message: Result<Unread>,
    ) -> Result<Taken> {
        let read = match message {
            Ok(around) => {
                let bodies = self.read(&mut connection, sender, &around).await;
                bodies.map(|bodies| (around, bodies))
            }
            Err(error) => Err(error),
        };
        let (around, bodies) = match read {
            Ok(read) => read,
            Err(refused @ Error::Invalid(_)) => {
                return self.take_one(connection, sender, Err(&refused)).await;
            }
            Err(error) => return Err(error),
        };
        let mut answer = None;
        for body in &bodies {
            let one = One {
                body,
                around: &around,
            };
            let taken = self.take_one(connection.clone(), sender, Ok(one)).await;
            match (&answer, taken) {
                // Whoever sends it all again sends what is recorded already as well.
                (_, Err(error)) if !matches!(error, Error::Invalid(_)) => return Err(error),
                (None | Some(Ok(_)), Err(refused)) => answer = Some(Err(refused)),
                (None, taken) => answer = Some(taken),
                (Some(_), _) => {}
            }
        }
        answer.unwrap_or_else(|| Err(Error::field("body", "must hold a message")))
    }

    /// The messages that came in. Nothing is refused by settings that another hub may have changed.
    async fn read(
        &self,
        connection: &mut Arc<ConnectionRoute>,
        sender: Option<Sender<'_>>,
        around: &Unread,
    ) -> Result<Vec<Value>> {
        let read = ingest::read(connection, around);
        if !matches!(read, Err(Error::Invalid(_))) || self.routes.is_current(connection).await? {
            return read;
        }
        *connection = self.look_up_again(connection.id, sender).await?;
        ingest::read(connection, around)
    }

    /// Takes one message; whoever posts it shows the key at each look-up, which may have been changed.
    async fn take_one(
        &self,
        mut connection: Arc<ConnectionRoute>,
        sender: Option<Sender<'_>>,
        message: Result<One<'_>, &Error>,
    ) -> Result<Taken> {
        let id = connection.id;
        for tries in 0..TRIES_MAX {
            // Whoever changes things all the time must not keep messages out: the second look-up is
            // younger than the message, and good enough.
            let epoch = (tries == 0).then_some(connection.epoch);
            if let Some(taken) = self.receive_once(&connection, message, epoch).await? {
                return Ok(taken);
            }
            connection = self.look_up_again(id, sender).await?;
        }
        Err(Error::overloaded("the device is being changed; try again"))
    }

    async fn look_up_again(
        &self,
        id: ConnectionId,
        sender: Option<Sender<'_>>,
    ) -> Result<Arc<ConnectionRoute>> {
        match sender {
            Some(sender) => ingest::authenticate(&self.routes, &self.strangers, id, sender).await,
            None => {
                let found = self.routes.connection(id).await?;
                found.ok_or_else(|| Error::missing("network connection", id))
            }
        }
    }

    /// `None`: what the message was about has gone while it was worked on.
    async fn receive_once(
        &self,
        connection: &ConnectionRoute,
        message: Result<One<'_>, &Error>,
        epoch: Option<u64>,
    ) -> Result<Option<Taken>> {
        let received_at = connection.scope.now();
        let mut read = match message {
            Ok(one) => ingest::normalise(connection, one).map(|event| (event, one.body)),
            Err(refused) => Err(refused.echo()),
        };
        let odd_time = match &mut read {
            Ok((Event::Uplink(uplink), _)) => self.doubt_time(uplink, received_at),
            _ => None,
        };
        let awaits = match &read {
            Ok((Event::Uplink(uplink), _)) if uplink.wants_downlink => Some(Asking {
                kind: connection.settings.kind(),
                network_device_id: uplink.network_device_id.clone(),
            }),
            _ => None,
        };
        let answer = |receipt| Taken { receipt, awaits };
        if !connection.enabled {
            // Another hub may have switched it on.
            if epoch.is_some() && !self.routes.is_current(connection).await? {
                return Ok(None);
            }
            return read.map(|_| Some(answer(Receipt::Disabled)));
        }
        let write = |content| Message {
            tenant: connection.scope.tenant(),
            connection: connection.id,
            received_at,
            odd_time: odd_time.clone(),
            epoch,
            content,
        };
        let receipt = match read {
            Ok((Event::Uplink(uplink), _)) => {
                self.receive_uplink(connection, *uplink, received_at, write)
                    .await?
            }
            Ok((Event::News(news), body)) => {
                self.receive_news(connection, &news, body, write).await?
            }
            Err(refused) => {
                let written = write(Content::Malformed(refused.to_string()));
                return match self.write(written).await? {
                    Outcome::Recorded => Err(refused),
                    _ => Ok(None),
                };
            }
        };
        Ok(receipt.map(answer))
    }

    /// Writes a message. One that refers to what is not there was looked up in what was kept wrongly: that is
    /// dropped, for the message to be looked up again. After that, it is a fault.
    async fn write(&self, message: Message) -> Result<Outcome> {
        let (tenant, looked_up_at) = (message.tenant, message.epoch);
        let outcome = self.writer.write(message).await?;
        match (outcome, looked_up_at) {
            (Outcome::Dangling, None) => Err(Error::internal(
                "a message refers to what is not there, though it was just looked up",
            )),
            (Outcome::Dangling | Outcome::Gone, Some(epoch)) => {
                self.routes.doubt(tenant, epoch);
                Ok(outcome)
            }
            _ => Ok(outcome),
        }
    }

    /// Takes the network's time from an uplink where it cannot be true: the hub's own counts, and what
    /// was told is kept beside it. Answers what is wrong with it.
    fn doubt_time(&self, uplink: &mut Uplink, now: Time) -> Option<String> {
        if let Some(told) = &uplink.radio.reported_time {
            return Some(format!("the network's time {told:?} cannot be read"));
        }
        let time = uplink.time?;
        let doubt = self.plausible.doubt(time, now)?;
        let told = time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        uplink.time = None;
        uplink.radio.reported_time = Some(told.clone());
        Some(format!("the network's time {told} {doubt}"))
    }

    async fn receive_uplink(
        &self,
        connection: &ConnectionRoute,
        uplink: Uplink,
        received_at: Time,
        write: impl Fn(Content) -> Message,
    ) -> Result<Option<Receipt>> {
        let found = self
            .routes
            .device(connection, &uplink.network_device_id)
            .await?;
        if let Some(device) = found {
            let message = |record| write(Content::Uplink(Box::new(record)));
            return self
                .take_uplink(&connection.scope, device, uplink, received_at, message)
                .await;
        }
        match self.provision(connection, &uplink).await? {
            Ok(()) => Ok(None),
            Err(why_not) => {
                let content = unknown_device(uplink, why_not);
                let outcome = self.write(write(content)).await?;
                Ok((outcome == Outcome::Recorded).then_some(Receipt::UnknownDevice))
            }
        }
    }

    async fn receive_news(
        &self,
        connection: &ConnectionRoute,
        news: &News,
        body: &Value,
        write: impl Fn(Content) -> Message,
    ) -> Result<Option<Receipt>> {
        let device = news::device(&self.routes, connection, news).await?;
        let event = news::with_body(news::as_event(news), news, body);
        let content = match (device, news::of_downlink_of(connection.id, device, news)) {
            (_, Some(news)) => Content::Downlink(event, Box::new(news)),
            (device, None) => Content::Other(device, event),
        };
        let outcome = self.write(write(content)).await?;
        Ok((outcome == Outcome::Recorded).then_some(Receipt::Other))
    }

    /// Makes a device of an unknown sender where the connection's rule says so; why not, where it was
    /// meant and could not be made.
    async fn provision(
        &self,
        connection: &ConnectionRoute,
        uplink: &Uplink,
    ) -> Result<Result<(), Option<String>>> {
        let rule = connection.auto_provisioning.as_ref();
        let Some(device) = rule.and_then(|rule| rule.device(connection.id, uplink)) else {
            return Ok(Err(None));
        };
        match devices::insert(&connection.scope, device).await {
            Ok(_) => Ok(Ok(())),
            // Invalid: its driver or its connection has gone.
            Err(Error::Conflict(why) | Error::Invalid(why)) => {
                let address = &uplink.network_device_id;
                let found = self.routes.device(connection, address).await?;
                // Another message of the device was quicker.
                Ok(found.map(|_| ()).ok_or(Some(why)))
            }
            Err(error) => Err(error),
        }
    }

    /// Decodes an uplink and writes it. A driver that has only ever returned plain fields needs no
    /// state and no turn; when it returns a state after all, what it returned without its state
    /// counts for nothing, and it is called once more, in turn.
    async fn take_uplink(
        &self,
        scope: &Scope,
        device: Arc<DeviceRoute>,
        uplink: Uplink,
        received_at: Time,
        message: impl Fn(Record) -> Message,
    ) -> Result<Option<Receipt>> {
        let stateful = match &device.driver {
            DriverRoute::Version { driver, version }
                if !version.nature.is_plain() && uplink.carries_data() =>
            {
                (driver, &**version)
            }
            other => {
                let decoded = self
                    .codec
                    .decoder
                    .decode(scope.tenant(), &device.driver, &uplink, received_at, None)
                    .await?;
                match other {
                    DriverRoute::Version { driver, version } if decoded.new_state.is_some() => {
                        (driver, &**version)
                    }
                    _ => {
                        let record =
                            record::compose(device.clone(), uplink, received_at, decoded, None);
                        return Ok(self.write_uplink(&message, record).await?.ok());
                    }
                }
            }
        };
        // On the heap, because most drivers keep no state and need no room for it.
        Box::pin(self.take_turn(scope, &device, stateful, &uplink, received_at, message)).await
    }

    /// The same for a driver that keeps a state, or may.
    async fn take_turn(
        &self,
        scope: &Scope,
        device: &Arc<DeviceRoute>,
        (driver, version): (&DriverKey, &DriverVersion),
        uplink: &Uplink,
        received_at: Time,
        message: impl Fn(Record) -> Message,
    ) -> Result<Option<Receipt>> {
        let driver = driver.to_string();
        let _turn = self.turns.take(device.key).await;
        for _ in 0..STALE_TRIES_MAX {
            let seen = driver_states::find(scope, device.key, &driver).await?;
            let decoded = self
                .codec
                .decoder
                .decode(
                    scope.tenant(),
                    &device.driver,
                    uplink,
                    received_at,
                    Some(&seen.state),
                )
                .await?;
            if decoded.data.is_some() {
                version.nature.learn(decoded.new_state.is_some());
            }
            let new_state = decoded.new_state.clone().map(|state| NewState {
                driver: driver.clone(),
                seen,
                state,
            });
            let (device, uplink) = (device.clone(), uplink.clone());
            let record = record::compose(device, uplink, received_at, decoded, new_state);
            match self.write_uplink(&message, record).await? {
                Ok(receipt) => return Ok(Some(receipt)),
                Err(Outcome::Stale) => {}
                Err(_) => return Ok(None),
            }
        }
        Err(Error::overloaded(
            "the device's state is being changed; try again",
        ))
    }

    /// Writes an uplink; why not, where it was not written.
    async fn write_uplink(
        &self,
        message: impl Fn(Record) -> Message,
        record: Record,
    ) -> Result<Result<Receipt, Outcome>> {
        let device_id = record.device_id.clone();
        match self.write(message(record)).await? {
            Outcome::Uplink(uplink_id) => Ok(Ok(Receipt::Uplink {
                uplink_id,
                device_id,
            })),
            Outcome::Duplicate(uplink_id) => Ok(Ok(Receipt::Duplicate {
                uplink_id,
                device_id,
            })),
            outcome => Ok(Err(outcome)),
        }
    }
}

fn unknown_device(uplink: Uplink, why_not: Option<String>) -> Content {
    let address = &uplink.network_device_id;
    let mut details = members(json!({"network_device_id": address}));
    let mut message = format!("no device has the address {address}");
    if let Some(why_not) = why_not {
        message = format!("{message}, and none could be made: {why_not}");
        details.insert("reason".to_owned(), why_not.into());
    }
    let event = NewEvent {
        kind: "unknown_device",
        message,
        details,
    };
    let sighting = Sighting {
        f_port: uplink.f_port,
        raw: uplink.payload.map(|payload| payload.to_vec()),
        name: uplink.names.device,
        application: uplink.names.application,
        network_device_id: uplink.network_device_id,
    };
    Content::UnknownDevice(sighting, event)
}
