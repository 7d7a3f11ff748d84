//! Handles the events of a message: uplinks of devices, uplinks of unknown senders, and notifications
//! of the network.

use serde_json::{Value, json};

use super::{news, path::UplinkPath, receipt::Receipt, route::ConnectionRoute};
use crate::{
    clock::Time,
    error::{Error, Result},
    networks::{News, Uplink},
    store::{
        devices,
        live::events::NewEvent,
        members,
        networks::unknown_devices::Sighting,
        uplink_batch::{Content, Message, Outcome},
    },
};

/// Outcome of automatic provisioning for an unknown sender.
enum Provisioned {
    /// The sender is a device now.
    Yes,
    /// The connection has no rule, or the rule does not match.
    NotMeant,
    /// The device could not be created, for the given reason.
    Failed(String),
}

impl UplinkPath {
    pub(super) async fn receive_uplink(
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
            Provisioned::Yes => Ok(None),
            not_made => {
                let why_not = match not_made {
                    Provisioned::Failed(why) => Some(why),
                    Provisioned::Yes | Provisioned::NotMeant => None,
                };
                let content = unknown_device(uplink, why_not);
                let outcome = self.write(write(content)).await?;
                Ok((outcome == Outcome::Recorded).then_some(Receipt::UnknownDevice))
            }
        }
    }

    pub(super) async fn receive_news(
        &self,
        connection: &ConnectionRoute,
        news: &News,
        body: &Value,
        write: impl Fn(Content) -> Message,
    ) -> Result<Option<Receipt>> {
        let device = news::device(&self.routes, connection, news).await?;
        let event = news::with_body(news::as_event(news), news, body);
        let content = match (device, news::downlink_update(connection.id, device, news)) {
            (_, Some(news)) => Content::Downlink(event, Box::new(news)),
            (device, None) => Content::Other(device, event),
        };
        let outcome = self.write(write(content)).await?;
        Ok((outcome == Outcome::Recorded).then_some(Receipt::Other))
    }

    /// Creates a device for an unknown sender if the connection's rule matches.
    async fn provision(
        &self,
        connection: &ConnectionRoute,
        uplink: &Uplink,
    ) -> Result<Provisioned> {
        let rule = connection.auto_provisioning.as_ref();
        let Some(device) = rule.and_then(|rule| rule.device(connection.id, uplink)) else {
            return Ok(Provisioned::NotMeant);
        };
        match devices::insert(&connection.scope, device).await {
            Ok(_) => Ok(Provisioned::Yes),
            // Invalid: the driver or the connection was deleted in the meantime.
            Err(Error::Rejected { text: why, .. }) => {
                let address = &uplink.network_device_id;
                let found = self.routes.device(connection, address).await?;
                // Another message of the same device may have created it first.
                Ok(match found {
                    Some(_) => Provisioned::Yes,
                    None => Provisioned::Failed(why),
                })
            }
            Err(error) => Err(error),
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
