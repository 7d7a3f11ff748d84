//! What becomes of a downlink, written down as an event of its device.

use crate::{
    error::Result,
    store::{
        core::{scope::Scope, transaction::DatabaseTransaction},
        downlinks::record::Downlink,
        live::events,
    },
};

/// The resource's name in paths.
pub(in crate::store) const RESOURCE: &str = "downlinks";

/// Writes down that a downlink is in another state.
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
