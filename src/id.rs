//! Typed ids: mixing up two of them does not compile.

use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use uuid::{ContextV7, Timestamp, Uuid};

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
    /// A fill of a data table from stored uplinks.
    FillId,
    /// An import of rows into a data table.
    RowImportId,
    /// An integration.
    IntegrationId,
    /// A replay of stored uplinks into an integration.
    ReplayId,
}

/// A new time-sortable id (UUIDv7) for uplinks, rows, events and deliveries.
pub fn new_uuid() -> Uuid {
    Uuid::now_v7()
}

/// Generator of UUIDv7 ids that sort by their time, with a resolution of a quarter of a microsecond, and by
/// their order within that. If the clock goes backwards, they do not.
pub struct Sequence(Mutex<ContextV7>);

impl Default for Sequence {
    fn default() -> Self {
        Self(Mutex::new(ContextV7::new().with_additional_precision()))
    }
}

impl Sequence {
    /// Returns the next id at this time.
    pub fn next(&self, time: Time) -> Uuid {
        let seconds = u64::try_from(time.timestamp()).unwrap_or(0);
        let at = Timestamp::from_unix(&self.0, seconds, time.timestamp_subsec_nanos());
        Uuid::new_v7(at)
    }
}

/// Returns the time at which an id was generated; `None` if it is not time-based.
pub fn time_of(id: Uuid) -> Option<Time> {
    let (seconds, nanoseconds) = id.get_timestamp()?.to_unix();
    Time::from_timestamp(seconds.try_into().ok()?, nanoseconds)
}

/// The least id that [`new_uuid`] can make at this time.
pub fn first_uuid_at(time: Time) -> Uuid {
    let millis = u64::try_from(time.timestamp_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
}
