//! What a device should be: the desired state, and the downlink that tells the device of it.

use sea_orm::{ActiveValue::Set, ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::{Map, Value, json};

use crate::{
    clock,
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

/// How a device is told of its desired state.
pub enum Transfer {
    /// By a downlink, over a connection that was seen so.
    Downlink(Box<NewDownlink>, Seen),
    /// It is not, as this tells.
    Told(NewEvent),
    /// There is nothing to tell.
    Nothing,
}

/// Sets the desired state, and queues what tells the device of it in the place of what still waits
/// to tell an older one. The queue holds at most `most`. Answers whether it did: device, connection or
/// settings may be others than those by which the transfer was made.
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
            // The state before the device, as the writer of uplinks takes them.
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
                Transfer::Told(event) => {
                    events::insert(scope, &transaction, Some(key), None, event).await?;
                }
                Transfer::Nothing => {}
            }
            Ok(true)
        })
        .await
}

/// The desired state is what people edit of a device: it counts in the device's revision.
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
            updated_at: Set(clock::now()),
            ..Default::default()
        })
        .filter(device::Column::Id.eq(device.id))
        .exec(transaction)
        .await?;
    Ok(())
}

/// What still waits to tell of an older desired state is no longer true.
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
        // As whoever holds those of several devices takes them.
        .order_by_asc(downlink::Column::Id)
        .lock_exclusive()
        .all(transaction)
        .await?;
    for model in waiting {
        let why = "made way for a newer desired state";
        downlinks::end(scope, transaction, model.into(), State::Cancelled, why).await?;
    }
    Ok(())
}
