//! Typed ids: mixing up two of them does not compile.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Time;

macro_rules! integer_ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

integer_ids! {
    /// A tenant: the owner of every other row.
    TenantId,
    /// A user of a tenant.
    UserId,
    /// A key for programs.
    ApiKeyId,
    /// A network connection.
    ConnectionId,
    /// A device's internal key; clients know the device by its textual id.
    DeviceKey,
    /// An import of devices.
    ImportId,
    /// A driver (`author/name`).
    DriverId,
    /// One immutable version of a driver.
    DriverVersionId,
    /// A data table.
    DataTableId,
    /// An integration.
    IntegrationId,
    /// A replay of stored uplinks into an integration.
    ReplayId,
}

/// A new time-sortable id (UUIDv7) for uplinks, rows, events and deliveries.
pub fn new_uuid() -> Uuid {
    Uuid::now_v7()
}

/// The least id that [`new_uuid`] can make at this time.
pub fn first_uuid_at(time: Time) -> Uuid {
    let millis = u64::try_from(time.timestamp_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
}
