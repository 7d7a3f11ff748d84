//! Downlinks and the desired state: selects the network connection over which a device is reached, and has
//! its driver encode values.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    clock::Time,
    codec::{
        Codec,
        encode::{Encoded, Encoding, NotEncoded, Values},
    },
    downlink::transport,
    driver::schema::{Column, ColumnKind, Schema},
    error::{Error, Reason, Result},
    hub::Hub,
    id::{ConnectionId, DeviceKey},
    metrics::{self, DownlinkOutcome},
    networks::{self, DownlinkSettings},
    store::{
        Scope,
        core::listing::{Span, Stretch},
        devices::{
            self, Address, Device,
            desired_state::{self, Transfer},
            uplinks,
        },
        downlinks::{self, Downlink, NewDownlink, Origin, Priority, queue},
        live::events::{self, Event, NewEvent, Subject},
        members,
        networks::{self as connections, downlink_settings::Seen},
    },
    uplink::DownlinkRequest,
};

/// A field of the desired state that a device can have.
pub type Configurable = Column;
/// Type of such a field.
pub type ConfigurableKind = ColumnKind;

/// LoRaWAN port if neither client nor driver sets one: the first that is free for applications.
const PORT_DEFAULT: u8 = 1;
/// Maximum number of attempts to queue a downlink whose device or connection is changed at the same time.
const TRIES_MAX: usize = 5;
/// Kind of the event that reports why a desired state was not sent.
pub const NOT_SENT: &str = "desired_state_not_sent";

/// A downlink, as a client requests it.
pub struct RequestedDownlink {
    /// Message to send.
    pub content: Content,
    /// Member of the request that has the message.
    pub field: &'static str,
    /// LoRaWAN port; `None`: the one that the driver sets, or the default.
    pub f_port: Option<u8>,
    /// True if the device is to confirm it; `None`: as the driver says, by default false.
    pub confirmed: Option<bool>,
    /// Priority among the waiting downlinks of the device.
    pub priority: Priority,
    /// Time after which it is no longer sent.
    pub expires_at: Option<Time>,
    /// Network connection to use; `None`: the one that received the device's last uplink.
    pub connection: Option<ConnectionId>,
}

/// The content of a downlink: a payload, or values that the driver encodes.
pub enum Content {
    /// Bytes of the payload.
    Payload(Vec<u8>),
    /// Values for the device's driver to encode.
    Values(Map<String, Value>),
}

/// The state of a device, with the fields and defaults from its driver's schema.
pub struct StateReport {
    /// The device, including its state.
    pub device: Device,
    /// Fields that the desired state can have; `None` if the driver has no schema.
    pub configurable: Option<Vec<Configurable>>,
    /// Default values of these fields, from the schema.
    pub defaults: Map<String, Value>,
    /// Outcome of sending the desired state; `None` if nothing is desired or it was never sent.
    pub last_outcome: Option<SendOutcome>,
}

/// The outcome of sending a desired state to its device.
pub enum SendOutcome {
    /// A downlink carries it.
    Downlink(Box<Downlink>),
    /// No downlink was queued; the event says why.
    NotSent(Event),
}

impl Hub {
    /// Queues a downlink.
    pub async fn queue_downlink(
        &self,
        scope: &Scope,
        codec: &Codec,
        device: &str,
        request: RequestedDownlink,
    ) -> Result<Downlink> {
        for _ in 0..TRIES_MAX {
            if let Some(queued) = self.queue_once(scope, codec, device, &request).await? {
                return Ok(queued);
            }
        }
        Err(being_changed())
    }

    /// Tries once; `None` if the device or its network connection was changed at the same time.
    async fn queue_once(
        &self,
        scope: &Scope,
        codec: &Codec,
        device: &str,
        request: &RequestedDownlink,
    ) -> Result<Option<Downlink>> {
        let device = devices::get(scope, device).await?;
        let address = address(scope, &device, request.connection).await?;
        let (encoded, values) = match &request.content {
            Content::Payload(payload) => (Encoded::bare(payload.clone()), None),
            Content::Values(values) => {
                let encoded = encode(scope, codec, &device, values, request.f_port).await?;
                let encoded = match encoded {
                    Encoding::Done(encoded) => encoded,
                    Encoding::Impossible(why) => {
                        let reason = match &why {
                            NotEncoded::NoEncoder(_) => Reason::WrongState,
                            NotEncoded::Refused(_) => Reason::Invalid,
                        };
                        return Err(Error::of_field(reason, request.field, why));
                    }
                };
                (encoded, Some(Value::Object(values.clone())))
            }
        };
        let (network, seen) = network(scope, &address).await?;
        network
            .check_payload(&encoded.payload)
            .map_err(|rule| Error::field(request.field, rule))?;
        let new = NewDownlink {
            is_pushed: network.is_pushed(),
            priority: request.priority,
            expires_at: request.expires_at,
            ..compose(address, encoded, values, request.f_port, request.confirmed)
        };
        let most = self.config.downlink_queue_max;
        downlinks::insert(scope, &device, new, seen, most).await
    }

    /// The state of a device, with the fields and defaults from its driver's schema.
    pub async fn state_report(
        &self,
        scope: &Scope,
        codec: &Codec,
        device: &str,
    ) -> Result<StateReport> {
        let device = devices::get(scope, device).await?;
        let driver = device.provisioned.driver.as_deref();
        let schema = codec.schema(scope, driver).await?;
        let last_outcome = match device.state.desired.is_empty() {
            true => None,
            false => last_outcome(scope, device.key).await?,
        };
        let nothing = Map::new();
        Ok(StateReport {
            configurable: schema.as_ref().map(|schema| schema.configurable()),
            defaults: schema.map_or_else(Map::new, |schema| schema.with_defaults(&nothing)),
            device,
            last_outcome,
        })
    }

    /// Sets the desired state of a device and queues a downlink that carries it. If no downlink can be
    /// queued, the state is set all the same, and an event reports the reason.
    pub async fn set_desired_state(
        &self,
        scope: &Scope,
        codec: &Codec,
        device: &str,
        desired: Map<String, Value>,
    ) -> Result<()> {
        for _ in 0..TRIES_MAX {
            if self.set_once(scope, codec, device, desired.clone()).await? {
                return Ok(());
            }
        }
        Err(being_changed())
    }

    /// Tries once; false if the device or its network connection was changed at the same time.
    async fn set_once(
        &self,
        scope: &Scope,
        codec: &Codec,
        device: &str,
        desired: Map<String, Value>,
    ) -> Result<bool> {
        let device = devices::get(scope, device).await?;
        let schema = codec
            .schema(scope, device.provisioned.driver.as_deref())
            .await?;
        if let Some(schema) = &schema {
            let checked = schema.check_desired(&desired);
            checked.map_err(|violation| Error::broken(format!("desired.{violation}")))?;
        }
        let transfer = transfer(scope, codec, &device, &desired, schema.as_deref()).await?;
        let most = self.config.downlink_queue_max;
        desired_state::set(scope, &device, desired, transfer, most).await
    }
}

/// Returns the latest outcome of sending the device its desired state.
async fn last_outcome(scope: &Scope, device: DeviceKey) -> Result<Option<SendOutcome>> {
    let downlink = downlinks::find_last(scope, device, Origin::DesiredState).await?;
    let filter = events::Filter {
        kind: Some(NOT_SENT),
        ..events::Filter::default()
    };
    let (subject, last) = (Subject::Device(device), Stretch::first(1));
    let page = events::list(scope, subject, &filter, true, &last).await?;
    Ok(match (downlink, page.items.into_iter().next()) {
        (Some(downlink), Some(event)) if downlink.id < event.id => {
            Some(SendOutcome::NotSent(event))
        }
        (Some(downlink), _) => Some(SendOutcome::Downlink(Box::new(downlink))),
        (None, event) => event.map(SendOutcome::NotSent),
    })
}

/// Prepares the transfer of a desired state: a downlink, or the event that reports why there is none.
async fn transfer(
    scope: &Scope,
    codec: &Codec,
    device: &Device,
    desired: &Map<String, Value>,
    schema: Option<&Schema>,
) -> Result<Transfer> {
    if desired.is_empty() {
        return Ok(Transfer::Nothing);
    }
    let values = match schema {
        Some(schema) => schema.with_defaults(desired),
        None => desired.clone(),
    };
    let encoded = match encode(scope, codec, device, &values, None).await? {
        Encoding::Done(encoded) => encoded,
        Encoding::Impossible(NotEncoded::NoEncoder(why)) => return Ok(not_sent(&why)),
        Encoding::Impossible(NotEncoded::Refused(why)) => {
            let rule = format!("the driver cannot encode it: {why}");
            return Err(Error::field("desired", rule));
        }
    };
    let reached = async {
        let address = address(scope, device, None).await?;
        let (network, seen) = network(scope, &address).await?;
        let fits = network.check_payload(&encoded.payload);
        fits.map_err(|rule| Error::field("payload", rule))?;
        Ok::<_, Error>((address, network, seen))
    };
    match reached.await {
        Ok((address, network, seen)) => {
            let values = Some(Value::Object(values));
            let new = NewDownlink {
                origin: Origin::DesiredState,
                is_pushed: network.is_pushed(),
                ..compose(address, encoded, values, None, None)
            };
            Ok(Transfer::Downlink(Box::new(new), seen))
        }
        Err(error @ Error::Rejected { .. }) => Ok(not_sent(&error.to_string())),
        Err(error) => Err(error),
    }
}

fn not_sent(why: &str) -> Transfer {
    Transfer::NotPossible(NewEvent {
        kind: NOT_SENT,
        message: format!("the desired state was not sent to the device: {why}"),
        details: members(json!({"reason": why})),
    })
}

/// Returns the address at which the device is reached: in the network connection that the client names, else
/// in the one that received its last uplink, else its first address.
async fn address(scope: &Scope, device: &Device, wanted: Option<ConnectionId>) -> Result<Address> {
    const FIELD: &str = "network_connection_id";
    let addresses = &device.provisioned.connections;
    let within = |id: ConnectionId| {
        let found = addresses.iter().find(|at| at.network_connection_id == id.0);
        found.cloned()
    };
    if let Some(id) = wanted {
        let rule = format!("the device has no address in network connection {id}");
        let missing = || Error::of_field(Reason::UnknownReference, FIELD, rule);
        return within(id).ok_or_else(missing);
    }
    let page = uplinks::list(scope, device.key, Span::default(), true, &Stretch::first(1)).await?;
    let heard = page.items.first().and_then(|last| within(last.connection));
    let rule = "the device has no network address";
    heard
        .or_else(|| addresses.first().cloned())
        .ok_or_else(|| Error::of_field(Reason::WrongState, FIELD, rule))
}

/// Returns the downlink settings of the address's network connection, and the revisions at which connection
/// and settings were read.
async fn network(scope: &Scope, address: &Address) -> Result<(DownlinkSettings, Seen)> {
    let id = ConnectionId(address.network_connection_id);
    let connection = connections::get(scope, id).await?;
    let settings = transport::settings(scope, &connection).await?;
    settings.ok_or_else(|| {
        let rule =
            format!("network connection {id} cannot send downlinks: it has no downlink-settings");
        Error::of_field(Reason::WrongState, "network_connection_id", rule)
    })
}

fn being_changed() -> Error {
    Error::overloaded("the device or its network connection is being changed; try again")
}

/// Returns the answer to a message of a device that asks for a downlink: the first waiting downlink, which
/// counts as sent from now on, or an answer without one. A copy of the message gets the same answer as the
/// message. `uplink` is the uplink that the message is, or is a copy of, with its device's id.
pub async fn in_answer(
    scope: &Scope,
    counts: &metrics::Downlinks,
    connection: ConnectionId,
    uplink: Option<(Uuid, &str)>,
    asking: &DownlinkRequest,
) -> Result<Value> {
    if let Some((uplink, device)) = uplink {
        let expired = queue::expire(scope, connection).await?;
        counts.count(DownlinkOutcome::Expired, expired);
        let taken = match devices::get(scope, device).await {
            Ok(device) => queue::take_for_answer(scope, connection, device.key, uplink).await?,
            // The device has just been deleted, with its downlinks. The message is recorded all the same.
            Err(Error::NotFound(_)) => None,
            Err(error) => return Err(error),
        };
        if let Some(taken) = taken {
            counts.count(DownlinkOutcome::Answered, 1);
            let queued = taken.queued;
            let device = &queued.network_device_id;
            return Ok(networks::answer(asking.kind, device, Some(&queued.payload)));
        }
    }
    Ok(networks::answer(
        asking.kind,
        &asking.network_device_id,
        None,
    ))
}

async fn encode(
    scope: &Scope,
    codec: &Codec,
    device: &Device,
    values: &Map<String, Value>,
    f_port: Option<u8>,
) -> Result<Encoding> {
    let driver = device.provisioned.driver.as_deref();
    let values = Values {
        data: values,
        reported: &device.state.reported,
        f_port,
    };
    Ok(match codec.encode(scope, driver, values).await? {
        Encoding::Done(encoded) if encoded.payload.is_empty() => {
            Encoding::Impossible(NotEncoded::Refused("it returned no bytes".to_owned()))
        }
        encoding => encoding,
    })
}

/// Combines the parts of a downlink. Values from the client take precedence over those from the driver.
fn compose(
    address: Address,
    encoded: Encoded,
    values: Option<Value>,
    f_port: Option<u8>,
    confirmed: Option<bool>,
) -> NewDownlink {
    NewDownlink {
        connection: ConnectionId(address.network_connection_id),
        network_device_id: address.network_device_id,
        origin: Origin::Api,
        payload: encoded.payload,
        values,
        f_port: f_port.or(encoded.f_port).unwrap_or(PORT_DEFAULT),
        confirmed: confirmed.or(encoded.confirmed).unwrap_or_default(),
        priority: Priority::Normal,
        expires_at: None,
        is_pushed: true,
    }
}
