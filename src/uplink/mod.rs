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

mod decode;
pub mod encode;
mod ingest;
pub mod native;
pub mod networks;
mod news;
mod record;
pub mod redecode;
mod returned;
mod routes;
pub mod tryout;
mod turns;
pub mod writer;

use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;

pub use returned::Update;
pub use writer::Writer;

use crate::{
    clock::{self, Time},
    delivery::Wake,
    driver,
    error::{Error, Result},
    id::ConnectionId,
    reference::DriverKey,
    store::{
        Scope, Store,
        driver_states::{self, NewState},
        members,
        record::{Content, Message, NewEvent, Outcome, Record},
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
    wake: Wake,
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
        drivers: driver::Host,
        state_bytes_max: usize,
        writer: Writer,
        wake: Wake,
    ) -> Self {
        Self {
            routes: Arc::new(Routes::new(store)),
            decoder: Arc::new(Decoder {
                drivers,
                state_bytes_max,
            }),
            turns: Arc::default(),
            writer,
            wake,
        }
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
        self.take(connection, message?).await
    }

    /// Takes one message that the hub itself has fetched from a network server. It is on disk when
    /// this answers.
    pub async fn receive_fetched(&self, id: ConnectionId, message: Unread) -> Result<Receipt> {
        let connection = self.routes.connection(id).await?;
        let connection = connection.ok_or_else(|| Error::missing("network connection", id))?;
        self.take(connection, message).await
    }

    async fn take(&self, mut connection: Arc<ConnectionRoute>, message: Unread) -> Result<Receipt> {
        let id = connection.id;
        for tries in 0..TRIES_MAX {
            // Whoever changes things all the time must not keep messages out: the second look-up is
            // younger than the message, and good enough.
            let epoch = (tries == 0).then(|| connection.scope.epoch());
            if let Some(receipt) = self.receive_once(&connection, &message, epoch).await? {
                return Ok(receipt);
            }
            let found = self.routes.connection(id).await?;
            connection = found.ok_or(Error::Unauthenticated)?;
        }
        Err(Error::overloaded("the device is being changed; try again"))
    }

    /// `None`: what the message was about has gone while it was worked on.
    async fn receive_once(
        &self,
        connection: &ConnectionRoute,
        message: &Unread,
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
        let event = ingest::normalise(connection, message);
        if !connection.enabled {
            return event.map(|_| Some(Receipt::Disabled));
        }
        let event = match event {
            Ok(event) => event,
            Err(refused) => {
                let written = write(Content::Malformed(refused.to_string()));
                return match self.writer.write(written).await? {
                    Outcome::Recorded => Err(refused),
                    Outcome::Gone | Outcome::Stale => Ok(None),
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
                None => {
                    let event = unknown_device(&uplink.network_device_id);
                    (Content::UnknownDevice(event), Receipt::UnknownDevice)
                }
            },
            Event::News(news) => {
                let device = match &news.network_device_id {
                    Some(id) => self.routes.device(connection, id).await?,
                    None => None,
                };
                let device = device.map(|device| device.key);
                let content = Content::Other(device, news::as_event(&news));
                (content, Receipt::Other)
            }
        };
        let outcome = self.writer.write(write(content)).await?;
        Ok((outcome == Outcome::Recorded).then_some(receipt))
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
                    .await;
                match other {
                    DriverRoute::Version { driver, version } if decoded.new_state.is_some() => {
                        (driver, &**version)
                    }
                    _ => {
                        let wants_downlink = uplink.wants_downlink;
                        let record =
                            record::compose(device.clone(), uplink, received_at, decoded, None);
                        let written = self.write_uplink(scope, &message, wants_downlink, record);
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
                .await;
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
            match self
                .write_uplink(scope, &message, wants_downlink, record)
                .await?
            {
                Ok(receipt) => return Ok(Some(receipt)),
                Err(Outcome::Stale) => {}
                Err(_) => return Ok(None),
            }
        }
        Err(Error::overloaded(
            "the device's state is being changed; try again",
        ))
    }

    /// Writes an uplink, and tells who wants to hear of it; why not, where it was not written.
    async fn write_uplink(
        &self,
        scope: &Scope,
        message: impl Fn(Record) -> Message,
        wants_downlink: bool,
        record: Record,
    ) -> Result<Result<Receipt, Outcome>> {
        let receipt = Receipt::Uplink {
            uplink_id: record.id,
            device_id: record.device_id.clone(),
            wants_downlink,
        };
        let integrations = record.integrations.clone();
        let outcome = self.writer.write(message(record)).await?;
        if outcome != Outcome::Recorded {
            return Ok(Err(outcome));
        }
        for integration in integrations {
            self.wake.integration(scope.tenant(), integration);
        }
        Ok(Ok(receipt))
    }
}

fn unknown_device(network_device_id: &str) -> NewEvent {
    NewEvent {
        kind: "unknown_device",
        message: format!("no device has the address {network_device_id}"),
        details: members(json!({"network_device_id": network_device_id})),
    }
}
