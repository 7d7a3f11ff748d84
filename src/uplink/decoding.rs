//! Decodes and writes uplinks of devices; those of stateful drivers one after another.

use std::sync::Arc;

use super::{
    path::UplinkPath,
    receipt::Receipt,
    record,
    route::{ConnectionRoute, DeviceRoute},
};
use crate::{
    clock::Time,
    codec::version::{DriverRoute, DriverVersion},
    error::{Error, Result},
    metrics::DecodeOutcome,
    networks::Uplink,
    reference::DriverKey,
    store::{
        devices::driver_states::{self, NewState},
        uplink_batch::{Message, Outcome, Record},
    },
};

/// Maximum number of attempts to decode an uplink when another hub keeps changing the driver state
/// first. Each failed attempt means that another hub has written an uplink.
const STALE_TRIES_MAX: usize = 100;

/// Outcome of writing an uplink.
enum Written {
    /// The uplink, or a copy of it, is on disk.
    Yes(Receipt),
    /// Another hub changed the driver state first.
    Stale,
    /// The device or connection of the uplink has changed or was deleted.
    No,
}

impl UplinkPath {
    /// Decodes and writes an uplink. A driver that has only returned plain fields so far runs without a
    /// state and without a turn. If it returns a state after all, this result is discarded and the driver
    /// runs again with its state, in turn.
    pub(super) async fn take_uplink(
        &self,
        connection: &ConnectionRoute,
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
                    .decode(
                        connection.scope.tenant(),
                        &device.driver,
                        &uplink,
                        received_at,
                        None,
                    )
                    .await?;
                match other {
                    DriverRoute::Version { driver, version } if decoded.new_state.is_some() => {
                        (driver, &**version)
                    }
                    _ => {
                        let record =
                            record::compose(device.clone(), uplink, received_at, decoded, None);
                        let written = self.write_uplink(connection, &message, record).await?;
                        return Ok(match written {
                            Written::Yes(receipt) => Some(receipt),
                            Written::Stale | Written::No => None,
                        });
                    }
                }
            }
        };
        // Boxed because most drivers keep no state and should not pay for the size of this future.
        Box::pin(self.take_turn(connection, &device, stateful, &uplink, received_at, message)).await
    }

    /// Decodes and writes an uplink in turn, for a driver that keeps a state or may start to.
    async fn take_turn(
        &self,
        connection: &ConnectionRoute,
        device: &Arc<DeviceRoute>,
        (driver, version): (&DriverKey, &DriverVersion),
        uplink: &Uplink,
        received_at: Time,
        message: impl Fn(Record) -> Message,
    ) -> Result<Option<Receipt>> {
        let driver = driver.to_string();
        let scope = &connection.scope;
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
            match self.write_uplink(connection, &message, record).await? {
                Written::Yes(receipt) => return Ok(Some(receipt)),
                Written::Stale => {}
                Written::No => return Ok(None),
            }
        }
        Err(Error::overloaded(
            "the device's state is being changed; try again",
        ))
    }

    async fn write_uplink(
        &self,
        connection: &ConnectionRoute,
        message: impl Fn(Record) -> Message,
        record: Record,
    ) -> Result<Written> {
        let device_id = record.device_id.clone();
        let decode = match (&record.failure, &record.data) {
            (Some(_), _) => DecodeOutcome::Failed,
            (None, Some(_)) => DecodeOutcome::Decoded,
            (None, None) => DecodeOutcome::Skipped,
        };
        match self.write(message(record)).await? {
            Outcome::Uplink(uplink_id) => {
                let network = connection.settings.kind();
                self.metrics.uplinks.count_decode(network, decode);
                Ok(Written::Yes(Receipt::Uplink {
                    uplink_id,
                    device_id,
                }))
            }
            Outcome::Duplicate(uplink_id) => Ok(Written::Yes(Receipt::Duplicate {
                uplink_id,
                device_id,
            })),
            Outcome::Stale => Ok(Written::Stale),
            _ => Ok(Written::No),
        }
    }
}
