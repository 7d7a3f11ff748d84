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
//! Invariant: what was answered with 200 is on disk.

mod decode;
mod ingest;
pub mod native;
pub mod networks;
mod record;
mod routes;
pub mod writer;

use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;

pub use writer::Writer;

use crate::{
    clock,
    delivery::Wake,
    driver,
    error::{Error, Result},
    id::ConnectionId,
    store::{
        Store, members,
        record::{Content, Message, NewEvent, Outcome},
    },
};
use networks::Event;
use routes::{ConnectionRoute, Routes};

/// How often a message is looked up again when its device or a target goes in between.
const TRIES_MAX: usize = 5;

/// The uplink path, ready to run.
#[derive(Clone)]
pub struct UplinkPath {
    routes: Arc<Routes>,
    drivers: driver::Host,
    writer: Writer,
    wake: Wake,
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
    /// It is about a device that nobody provisioned; it is kept as an event of the connection.
    UnknownDevice,
    /// It is no uplink; it is kept as an event.
    Other,
    /// The connection is switched off; nothing was kept.
    Disabled,
}

impl UplinkPath {
    /// Puts the path together.
    pub fn new(store: Store, drivers: driver::Host, writer: Writer, wake: Wake) -> Self {
        Self {
            routes: Arc::new(Routes::new(store)),
            drivers,
            writer,
            wake,
        }
    }

    /// Takes one message. It is on disk when this answers. Why a body could not be read, only who has
    /// the connection's key learns.
    pub async fn receive(
        &self,
        id: ConnectionId,
        key: &str,
        body: Result<Vec<u8>>,
    ) -> Result<Receipt> {
        let mut connection = ingest::authenticate(&self.routes, id, key).await?;
        let body = body?;
        for tries in 0..TRIES_MAX {
            // Whoever changes things all the time must not keep messages out: the second look-up is
            // younger than the message, and good enough.
            let epoch = (tries == 0).then(|| connection.scope.epoch());
            if let Some(receipt) = self.receive_once(&connection, &body, epoch).await? {
                return Ok(receipt);
            }
            connection = ingest::authenticate(&self.routes, id, key).await?;
        }
        Err(Error::overloaded("the device is being changed; try again"))
    }

    /// `None`: what the message was about has gone while it was worked on.
    async fn receive_once(
        &self,
        connection: &ConnectionRoute,
        body: &[u8],
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
        let event = ingest::normalise(connection, body);
        if !connection.enabled {
            return event.map(|_| Some(Receipt::Disabled));
        }
        let event = match event {
            Ok(event) => event,
            Err(refused) => {
                let written = write(Content::Malformed(refused.to_string()));
                return match self.writer.write(written).await? {
                    Outcome::Recorded => Err(refused),
                    Outcome::Gone => Ok(None),
                };
            }
        };
        let (content, receipt, integrations) = match event {
            Event::Uplink(uplink) => match self
                .routes
                .device(connection, &uplink.network_device_id)
                .await?
            {
                Some(device) => {
                    let tenant = connection.scope.tenant();
                    let decoded =
                        decode::decode(&self.drivers, tenant, &device, &uplink, received_at).await;
                    let record = record::compose(device.clone(), uplink, received_at, decoded);
                    let receipt = Receipt::Uplink {
                        uplink_id: record.id,
                        device_id: record.device_id.clone(),
                    };
                    let integrations = record.integrations.clone();
                    (Content::Uplink(Box::new(record)), receipt, integrations)
                }
                None => {
                    let event = unknown_device(&uplink.network_device_id);
                    (
                        Content::UnknownDevice(event),
                        Receipt::UnknownDevice,
                        Vec::new(),
                    )
                }
            },
            Event::Other {
                kind,
                network_device_id,
            } => (
                self.other(connection, &kind, network_device_id).await?,
                Receipt::Other,
                Vec::new(),
            ),
        };
        if self.writer.write(write(content)).await? == Outcome::Gone {
            return Ok(None);
        }
        for integration in integrations {
            self.wake
                .integration(connection.scope.tenant(), integration);
        }
        Ok(Some(receipt))
    }

    async fn other(
        &self,
        connection: &ConnectionRoute,
        kind: &str,
        network_device_id: Option<String>,
    ) -> Result<Content> {
        let device = match &network_device_id {
            Some(id) => self
                .routes
                .device(connection, id)
                .await?
                .map(|device| device.key),
            None => None,
        };
        let event = NewEvent {
            kind: "message",
            message: format!("the network server sent {kind}"),
            details: members(json!({"kind": kind, "network_device_id": network_device_id})),
        };
        Ok(Content::Other(device, event))
    }
}

fn unknown_device(network_device_id: &str) -> NewEvent {
    NewEvent {
        kind: "unknown_device",
        message: format!("no device has the address {network_device_id}"),
        details: members(json!({"network_device_id": network_device_id})),
    }
}
