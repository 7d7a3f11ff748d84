//! Uplinks of devices, decoded and written, in turn where the driver keeps a state.

use std::sync::Arc;

use super::{path::UplinkPath, receipt::Receipt, record, route::DeviceRoute};
use crate::{
    clock::Time,
    codec::version::{DriverRoute, DriverVersion},
    error::{Error, Result},
    networks::Uplink,
    reference::DriverKey,
    store::{
        Scope,
        devices::driver_states::{self, NewState},
        uplink_batch::{Message, Outcome, Record},
    },
};

/// How often an uplink is decoded again when another hub was quicker to write the driver's state.
/// Each time, that hub has written an uplink.
const STALE_TRIES_MAX: usize = 100;

/// What became of an uplink that was to be written.
enum Written {
    /// It is on disk, or a copy of it.
    Yes(Receipt),
    /// Another hub was quicker to write the driver's state.
    Stale,
    /// What it is about has changed or gone.
    No,
}

impl UplinkPath {
    /// Decodes an uplink and writes it. A driver that has only ever returned plain fields needs no
    /// state and no turn; when it returns a state after all, what it returned without its state
    /// counts for nothing, and it is called once more, in turn.
    pub(super) async fn take_uplink(
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
                        return Ok(match self.write_uplink(&message, record).await? {
                            Written::Yes(receipt) => Some(receipt),
                            Written::Stale | Written::No => None,
                        });
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
        message: impl Fn(Record) -> Message,
        record: Record,
    ) -> Result<Written> {
        let device_id = record.device_id.clone();
        match self.write(message(record)).await? {
            Outcome::Uplink(uplink_id) => Ok(Written::Yes(Receipt::Uplink {
                uplink_id,
                device_id,
            })),
            Outcome::Duplicate(uplink_id) => Ok(Written::Yes(Receipt::Duplicate {
                uplink_id,
                device_id,
            })),
            Outcome::Stale => Ok(Written::Stale),
            _ => Ok(Written::No),
        }
    }
}
