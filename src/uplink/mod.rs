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
mod decode;
pub mod encode;
mod excerpt;
mod frame;
mod ingest;
pub mod native;
pub mod networks;
mod news;
pub mod probe;
mod record;
pub mod redecode;
mod replay;
mod returned;
mod routes;
mod subscriber;
mod subscription;
mod taking;
pub mod tryout;
mod turns;
pub mod writer;

use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;

pub use auto_provisioning::Rule;
pub use replay::{Replayer, Replays};
pub use returned::Update;
pub use subscriber::Subscriber;
pub use writer::Writer;

use crate::{
    clock::{self, Time},
    driver,
    error::{Error, Result},
    id::ConnectionId,
    reference::DriverKey,
    secret::Vault,
    store::{
        Scope, Store, devices,
        driver_states::{self, NewState},
        members,
        record::{Content, Message, NewEvent, Outcome, Record},
        unknown_devices::Sighting,
    },
};
use decode::Decoder;
use networks::{Event, Uplink};
use routes::{ConnectionRoute, DeviceRoute, DriverRoute, DriverVersion, Routes};
use turns::Turns;

/// How often an uplink is decoded again when another hub was quicker to write the driver's state.
/// Each time, that hub has written an uplink.
const STALE_TRIES_MAX: usize = 100;
/// How often a message is looked up again when its device or a target goes in between.
const TRIES_MAX: usize = 5;

/// The uplink path, ready to run.
#[derive(Clone)]
pub struct UplinkPath {
    routes: Arc<Routes>,
    decoder: Arc<Decoder>,
    turns: Arc<Turns>,
    writer: Writer,
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
        /// Whether the network server takes a downlink in the answer.
        wants_downlink: bool,
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

impl UplinkPath {
    /// Puts the path together. A driver may keep `state_bytes_max` bytes of JSON of a device.
    pub fn new(
        store: Store,
        vault: Vault,
        drivers: driver::Host,
        state_bytes_max: usize,
        writer: Writer,
    ) -> Self {
        Self {
            routes: Arc::new(Routes::new(store, vault)),
            decoder: Arc::new(Decoder {
                drivers,
                state_bytes_max,
            }),
            turns: Arc::default(),
            writer,
        }
    }

    /// The tenant of a connection.
    pub async fn scope_of(&self, id: ConnectionId) -> Result<Option<Scope>> {
        let connection = self.routes.connection(id).await?;
        Ok(connection.map(|connection| connection.scope.clone()))
    }

    /// Takes one message that a network server posts. It is on disk when this answers. Why a message
    /// could not be read, only who has the connection's key learns.
    pub async fn receive(
        &self,
        id: ConnectionId,
        key: &str,
        message: Result<Unread>,
    ) -> Result<Receipt> {
        let connection = ingest::authenticate(&self.routes, id, key).await?;
        self.take(connection, Some(key), message).await
    }

    /// Takes one message that the hub itself has fetched from a network server. It is on disk when
    /// this answers; one that was refused is counted.
    pub async fn receive_fetched(
        &self,
        id: ConnectionId,
        message: Result<Unread>,
    ) -> Result<Receipt> {
        let connection = self.routes.connection(id).await?;
        let connection = connection.ok_or_else(|| Error::missing("network connection", id))?;
        self.take(connection, None, message).await
    }

    /// Takes a message; whoever posts it shows the `key` at each look-up, which may have been changed. One
    /// that broke a rule before it could be read is counted like one that cannot be read.
    async fn take(
        &self,
        mut connection: Arc<ConnectionRoute>,
        key: Option<&str>,
        message: Result<Unread>,
    ) -> Result<Receipt> {
        let message = match message {
            Err(error) if !matches!(error, Error::Invalid(_)) => return Err(error),
            message => message,
        };
        let id = connection.id;
        for tries in 0..TRIES_MAX {
            // Whoever changes things all the time must not keep messages out: the second look-up is
            // younger than the message, and good enough.
            let epoch = (tries == 0).then(|| connection.scope.epoch());
            if let Some(receipt) = self.receive_once(&connection, &message, epoch).await? {
                return Ok(receipt);
            }
            connection = match key {
                Some(key) => ingest::authenticate(&self.routes, id, key).await?,
                None => {
                    let found = self.routes.connection(id).await?;
                    found.ok_or_else(|| Error::missing("network connection", id))?
                }
            };
        }
        Err(Error::overloaded("the device is being changed; try again"))
    }

    /// `None`: what the message was about has gone while it was worked on.
    async fn receive_once(
        &self,
        connection: &ConnectionRoute,
        message: &Result<Unread>,
        epoch: Option<u64>,
    ) -> Result<Option<Receipt>> {
        let received_at = clock::now();
        let write = |content| Message {
            tenant: connection.scope.tenant(),
            connection: connection.id,
            received_at,
            epoch,
            content,
        };
        let read = match message {
            Ok(message) => ingest::normalise(connection, message),
            Err(refused) => Err(refused.echo()),
        };
        if !connection.enabled {
            return read.map(|_| Some(Receipt::Disabled));
        }
        let (event, body) = match read {
            Ok(read) => read,
            Err(refused) => {
                let written = write(Content::Malformed(refused.to_string()));
                return match self.writer.write(written).await? {
                    Outcome::Recorded => Err(refused),
                    _ => Ok(None),
                };
            }
        };
        let (content, receipt) = match event {
            Event::Uplink(uplink) => match self
                .routes
                .device(connection, &uplink.network_device_id)
                .await?
            {
                Some(device) => {
                    let message = |record| write(Content::Uplink(Box::new(record)));
                    return self
                        .take_uplink(&connection.scope, device, uplink, received_at, message)
                        .await;
                }
                None => match self.provision(connection, &uplink).await? {
                    Ok(()) => return Ok(None),
                    Err(why_not) => (unknown_device(uplink, why_not), Receipt::UnknownDevice),
                },
            },
            Event::News(news) => {
                let device = news::device(&self.routes, connection, &news).await?;
                let event = news::with_body(news::as_event(&news), &news, &body);
                let content = match (device, news::of_downlink_of(connection.id, device, &news)) {
                    (_, Some(news)) => Content::Downlink(event, Box::new(news)),
                    (device, None) => Content::Other(device, event),
                };
                (content, Receipt::Other)
            }
        };
        let outcome = self.writer.write(write(content)).await?;
        Ok((outcome == Outcome::Recorded).then_some(receipt))
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
            Err(Error::Conflict(why)) => {
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
            DriverRoute::Version { driver, version } if !version.nature.is_plain() => {
                (driver, &**version)
            }
            other => {
                let decoded = self
                    .decoder
                    .decode(scope.tenant(), &device, &uplink, received_at, None)
                    .await?;
                match other {
                    DriverRoute::Version { driver, version } if decoded.new_state.is_some() => {
                        (driver, &**version)
                    }
                    _ => {
                        let wants_downlink = uplink.wants_downlink;
                        let record =
                            record::compose(device.clone(), uplink, received_at, decoded, None);
                        let written = self.write_uplink(&message, wants_downlink, record);
                        let written = written.await?;
                        return Ok(written.ok());
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
        let wants_downlink = uplink.wants_downlink;
        let _turn = self.turns.take(device.key).await;
        for _ in 0..STALE_TRIES_MAX {
            let seen = driver_states::find(scope, device.key, &driver).await?;
            let decoded = self
                .decoder
                .decode(
                    scope.tenant(),
                    device,
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
            match self.write_uplink(&message, wants_downlink, record).await? {
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
        wants_downlink: bool,
        record: Record,
    ) -> Result<Result<Receipt, Outcome>> {
        let receipt = Receipt::Uplink {
            uplink_id: record.id,
            device_id: record.device_id.clone(),
            wants_downlink,
        };
        let device_id = record.device_id.clone();
        match self.writer.write(message(record)).await? {
            Outcome::Recorded => Ok(Ok(receipt)),
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
