//! Events of a device about its downlinks.

use crate::{
    error::Result,
    store::{
        core::{scope::Scope, transaction::DatabaseTransaction},
        downlinks::record::Downlink,
        live::events,
    },
};

/// Name of the resource in paths.
pub(in crate::store) const RESOURCE: &str = "downlinks";

/// Records an event about the new state of a downlink.
pub(in crate::store) async fn tell(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    downlink: &Downlink,
    message: &str,
) -> Result<()> {
    let event = downlink.event(message);
    let (device, connection) = (Some(downlink.device), Some(downlink.queued.connection));
    Ok(events::insert(scope, transaction, device, connection, event).await?)
}
