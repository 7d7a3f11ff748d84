//! Desired state of a device, and the downlink that transfers it.

use sea_orm::{ActiveValue::Set, ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::{Map, Value, json};

use crate::{
    error::Result,
    id::DeviceKey,
    store::{
        core::{audit::subject, scope::Scope, transaction::DatabaseTransaction},
        devices::{self, rows},
        downlinks::{
            self,
            record::{NewDownlink, Origin, State},
        },
        entities::{device, device_state, downlink},
        live::events::{self, NewEvent},
        networks::seen::Seen,
    },
};

/// Transfer of the desired state to the device.
pub enum Transfer {
    /// Queue this downlink, prepared for its connection at these revisions.
    Downlink(Box<NewDownlink>, Seen),
    /// Nothing can be sent; this event records the reason.
    NotPossible(NewEvent),
    /// Nothing needs to be sent.
    Nothing,
}

/// Sets the desired state, and replaces queued transfers of an older one. The device's queue holds at most `most`
/// downlinks. Returns false if the device, the connection or its settings have changed since the transfer was
/// prepared.
pub async fn set(
    scope: &Scope,
    device: &devices::Device,
    desired: Map<String, Value>,
    transfer: Transfer,
    most: usize,
) -> Result<bool> {
    let (key, id) = (device.key, &device.provisioned.id);
    scope
        .record(async |transaction| {
            // The writer of uplinks also locks states before devices.
            let before = scope
                .find::<device_state::Entity>()
                .filter(device_state::Column::DeviceKey.eq(key.0))
                .lock_exclusive()
                .one(&*transaction)
                .await?;
            let model = rows::lock(scope, &transaction, id).await?;
            if !rows::speaks_as_before(&model, device) {
                return Ok(false);
            }
            if let Transfer::Downlink(new, seen) = &transfer
                && !downlinks::are_as_seen(scope, &transaction, new, *seen).await?
            {
                return Ok(false);
            }
            let before = before.map(|state| state.desired).unwrap_or_default();
            let after = Value::Object(desired);
            write(scope, &transaction, &model, after.clone()).await?;
            scope
                .note_changed(
                    &transaction,
                    subject(devices::RESOURCE, id),
                    &json!({"desired": before}),
                    &json!({"desired": after}),
                )
                .await?;
            take_back(scope, &transaction, key).await?;
            match transfer {
                Transfer::Downlink(new, _) => {
                    downlinks::queue(scope, &transaction, key, *new, most).await?;
                }
                Transfer::NotPossible(event) => {
                    events::insert(scope, &transaction, Some(key), None, event).await?;
                }
                Transfer::Nothing => {}
            }
            Ok(true)
        })
        .await
}

/// Stores the desired state and increments the device's revision, because clients edit this state.
async fn write(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    device: &device::Model,
    desired: Value,
) -> Result<()> {
    scope
        .update::<device_state::Entity>()
        .set(device_state::ActiveModel {
            desired: Set(desired),
            ..Default::default()
        })
        .filter(device_state::Column::DeviceKey.eq(device.id))
        .exec(transaction)
        .await?;
    scope
        .update::<device::Entity>()
        .set(device::ActiveModel {
            revision: Set(device.revision + 1),
            updated_at: Set(scope.now()),
            ..Default::default()
        })
        .filter(device::Column::Id.eq(device.id))
        .exec(transaction)
        .await?;
    Ok(())
}

/// Cancels queued downlinks that transfer an older desired state.
async fn take_back(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    device: DeviceKey,
) -> Result<()> {
    let waiting = scope
        .find::<downlink::Entity>()
        .filter(downlink::Column::DeviceKey.eq(device.0))
        .filter(downlink::Column::State.eq(State::Queued.as_str()))
        .filter(downlink::Column::Origin.eq(Origin::DesiredState.as_str()))
        .filter(downlink::Column::IsSending.eq(false))
        // The order in which others lock the downlinks of several devices.
        .order_by_asc(downlink::Column::Id)
        .lock_exclusive()
        .all(transaction)
        .await?;
    for model in waiting {
        let why = "made way for a newer desired state";
        let downlink = model.try_into()?;
        downlinks::end(scope, transaction, downlink, State::Cancelled, why).await?;
    }
    Ok(())
}
