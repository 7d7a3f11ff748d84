//! Downlinks and the desired state: over which network a device is told something, and what its
//! driver makes of values.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    clock::Time,
    codec::{
        Codec,
        encode::{Encoded, NotEncoded, Values},
    },
    downlink::transport,
    driver::schema::{Column, ColumnKind, Schema},
    error::{Error, Result},
    hub::Hub,
    id::{ConnectionId, DeviceKey},
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
    uplink::Asking,
};

/// Something that can be desired of a device.
pub type Configurable = Column;
/// What it is.
pub type ConfigurableKind = ColumnKind;

/// The port where neither client nor driver names one: the first that LoRaWAN leaves to applications.
const PORT_DEFAULT: u8 = 1;
/// How often a downlink is made again when its device or connection was changed meanwhile.
const TRIES_MAX: usize = 5;
/// The kind of the event that tells why a desired state stays in the hub.
pub const NOT_SENT: &str = "desired_state_not_sent";

/// What to tell a device.
pub struct Wish {
    /// The message.
    pub content: Content,
    /// LoRaWAN port; `None`: the driver's, or the default.
    pub f_port: Option<u8>,
    /// Whether the device is to confirm it; `None`: as the driver says, or not.
    pub confirmed: Option<bool>,
    /// What goes first.
    pub priority: Priority,
    /// When it is no longer worth sending.
    pub expires_at: Option<Time>,
    /// Over which network; `None`: the one that the device was last heard in.
    pub connection: Option<ConnectionId>,
}

/// A message, as it is or still to be encoded.
pub enum Content {
    /// The bytes themselves.
    Payload(Vec<u8>),
    /// Values for the device's driver.
    Values(Map<String, Value>),
}

/// A device's state, and what its driver says of it.
pub struct StateReport {
    /// The device with its state.
    pub device: Device,
    /// What can be desired; `None`: no schema says.
    pub configurable: Option<Vec<Configurable>>,
    /// What the schema says of what can be desired.
    pub defaults: Map<String, Value>,
    /// What became of telling the device; `None`: nothing is desired, or never was it told.
    pub told: Option<Told>,
}

/// What became of telling a device of its desired state.
pub enum Told {
    /// A downlink tells.
    Downlink(Box<Downlink>),
    /// None does; the event says why.
    NotSent(Event),
}

impl Hub {
    /// Queues a downlink.
    pub async fn queue_downlink(
        &self,
        scope: &Scope,
        codec: &Codec,
        device: &str,
        wish: Wish,
    ) -> Result<Downlink> {
        for _ in 0..TRIES_MAX {
            if let Some(queued) = self.queue_once(scope, codec, device, &wish).await? {
                return Ok(queued);
            }
        }
        Err(being_changed())
    }

    /// `None`: the device or its network connection was changed meanwhile.
    async fn queue_once(
        &self,
        scope: &Scope,
        codec: &Codec,
        device: &str,
        wish: &Wish,
    ) -> Result<Option<Downlink>> {
        let device = devices::get(scope, device).await?;
        let address = address(scope, &device, wish.connection).await?;
        let (encoded, values) = match &wish.content {
            Content::Payload(payload) => (Encoded::bare(payload.clone()), None),
            Content::Values(values) => {
                let encoded = encode(scope, codec, &device, values, wish.f_port).await?;
                let encoded = encoded.map_err(|why| Error::field("values", why))?;
                (encoded, Some(Value::Object(values.clone())))
            }
        };
        let (network, seen) = network(scope, &address).await?;
        network.check_payload(&encoded.payload).map_err(|rule| {
            Error::field(
                if values.is_some() {
                    "values"
                } else {
                    "payload_hex"
                },
                rule,
            )
        })?;
        let new = NewDownlink {
            is_pushed: network.is_pushed(),
            priority: wish.priority,
            expires_at: wish.expires_at,
            ..compose(address, encoded, values, wish.f_port, wish.confirmed)
        };
        let most = self.config.downlink_queue_max;
        downlinks::insert(scope, &device, new, seen, most).await
    }

    /// A device's state, and what its driver says of it.
    pub async fn state_report(
        &self,
        scope: &Scope,
        codec: &Codec,
        device: &str,
    ) -> Result<StateReport> {
        let device = devices::get(scope, device).await?;
        let driver = device.provisioned.driver.as_deref();
        let schema = codec.schema(scope, driver).await?;
        let told = match device.state.desired.is_empty() {
            true => None,
            false => told(scope, device.key).await?,
        };
        let nothing = Map::new();
        Ok(StateReport {
            configurable: schema.as_ref().map(|schema| schema.configurable()),
            defaults: schema.map_or_else(Map::new, |schema| schema.with_defaults(&nothing)),
            device,
            told,
        })
    }

    /// Sets what a device should be, and queues what tells the device of it. Where nothing does, the
    /// state is set all the same, and an event tells why.
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

    /// Answers whether it did: the device or its network connection may have been changed meanwhile.
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
            checked.map_err(|violation| Error::Invalid(format!("desired.{violation}")))?;
        }
        let transfer = transfer(scope, codec, &device, &desired, schema.as_deref()).await?;
        let most = self.config.downlink_queue_max;
        desired_state::set(scope, &device, desired, transfer, most).await
    }
}

/// What became last of telling the device of its desired state.
async fn told(scope: &Scope, device: DeviceKey) -> Result<Option<Told>> {
    let downlink = downlinks::find_last(scope, device, Origin::DesiredState).await?;
    let filter = events::Filter {
        kind: Some(NOT_SENT),
        ..events::Filter::default()
    };
    let (subject, last) = (Subject::Device(device), Stretch::first(1));
    let page = events::list(scope, subject, &filter, true, &last).await?;
    Ok(match (downlink, page.items.into_iter().next()) {
        (Some(downlink), Some(event)) if downlink.id < event.id => Some(Told::NotSent(event)),
        (Some(downlink), _) => Some(Told::Downlink(Box::new(downlink))),
        (None, event) => event.map(Told::NotSent),
    })
}

/// How the device is told of a desired state.
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
        Ok(encoded) => encoded,
        Err(NotEncoded::NoEncoder(why)) => return Ok(not_sent(&why)),
        Err(NotEncoded::Refused(why)) => {
            let rule = format!("the driver does not encode it: {why}");
            return Err(Error::field("desired", rule));
        }
    };
    let reached = async {
        let address = address(scope, device, None).await?;
        let (network, seen) = network(scope, &address).await?;
        let fits = network.check_payload(&encoded.payload);
        fits.map_err(|rule| Error::field("payload", rule))?;
        Ok((address, network, seen))
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
        Err(Error::Invalid(why)) => Ok(not_sent(&why)),
        Err(error) => Err(error),
    }
}

fn not_sent(why: &str) -> Transfer {
    Transfer::Told(NewEvent {
        kind: NOT_SENT,
        message: format!("the device is not told of its desired state: {why}"),
        details: members(json!({"reason": why})),
    })
}

/// The address at which the device is reached: in the network that the client names, or in which it
/// was last heard, or in its first one.
async fn address(scope: &Scope, device: &Device, wanted: Option<ConnectionId>) -> Result<Address> {
    const FIELD: &str = "network_connection_id";
    let addresses = &device.provisioned.connections;
    let within = |id: ConnectionId| {
        let found = addresses.iter().find(|at| at.network_connection_id == id.0);
        found.cloned()
    };
    if let Some(id) = wanted {
        let rule = format!("the device has no address in network connection {id}");
        return within(id).ok_or_else(|| Error::field(FIELD, rule));
    }
    let page = uplinks::list(scope, device.key, Span::default(), true, &Stretch::first(1)).await?;
    let heard = page.items.first().and_then(|last| within(last.connection));
    let rule = "the device has no address in any network";
    heard
        .or_else(|| addresses.first().cloned())
        .ok_or_else(|| Error::field(FIELD, rule))
}

/// What takes the downlinks of the network that the address is in, and what that was read from.
async fn network(scope: &Scope, address: &Address) -> Result<(DownlinkSettings, Seen)> {
    let id = ConnectionId(address.network_connection_id);
    let connection = connections::get(scope, id).await?;
    let settings = transport::settings(scope, &connection).await?;
    settings.ok_or_else(|| {
        let rule = format!("network connection {id} sends no downlinks: set its downlink-settings");
        Error::field("network_connection_id", rule)
    })
}

fn being_changed() -> Error {
    Error::overloaded("the device or its network connection is being changed; try again")
}

/// The answer to a message of a device that asks for a downlink: the first that waits, which counts
/// as sent from then on; else that there is none. A copy of the message gets what the message got.
/// `uplink`: the uplink that the message is, or is a copy of, with its device's id.
pub async fn in_answer(
    scope: &Scope,
    connection: ConnectionId,
    uplink: Option<(Uuid, &str)>,
    asking: &Asking,
) -> Result<Value> {
    if let Some((uplink, device)) = uplink {
        let key = devices::get(scope, device).await?.key;
        let taken = queue::take_for_answer(scope, connection, key, uplink).await?;
        if let Some(taken) = taken {
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
) -> Result<Result<Encoded, NotEncoded>> {
    let driver = device.provisioned.driver.as_deref();
    let values = Values {
        data: values,
        reported: &device.state.reported,
        f_port,
    };
    let encoded = codec.encode(scope, driver, values).await?;
    Ok(
        encoded.and_then(|encoded| match encoded.payload.is_empty() {
            true => Err(NotEncoded::Refused("it makes no bytes of it".to_owned())),
            false => Ok(encoded),
        }),
    )
}

/// What the client says goes before what the driver says.
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
