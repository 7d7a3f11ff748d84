//! Bulk changes of all devices that match a selector.
//!
//! The devices are processed in the order of their keys, a few hundred per transaction, so that other work waits for
//! one chunk only. Each device has its own entry in the audit log.

use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, QueryFilter, QueryOrder, QuerySelect,
    sea_query::LockType,
};

use crate::{
    error::{Error, Reason, Result},
    id::DeviceKey,
    selector::Selector,
    store::{
        core::{
            audit::{Change, subject},
            bulk,
            json::to_json,
            scope::Scope,
            transaction::DatabaseTransaction,
        },
        devices::{
            record::{Device, RESOURCE},
            rows, selecting,
        },
        entities::{device, device_label},
    },
};

/// Maximum number of devices per transaction.
const CHUNK: u64 = 250;
/// Maximum number of device ids returned as a sample.
const SAMPLE: usize = 20;

/// Change to make to each device.
#[derive(Debug, Clone)]
pub enum Action {
    /// Adds labels; labels that the device has already are not duplicated.
    AddLabels {
        /// Labels to add.
        labels: Vec<String>,
        /// Maximum number of labels that a device may have afterwards.
        most: usize,
    },
    /// Removes labels.
    RemoveLabels(Vec<String>),
    /// Deletes the device.
    Delete,
}

/// Result of a bulk change or its preview.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sum {
    /// Number of devices that match the selector.
    pub matched: u64,
    /// Number of matching devices that the action changes.
    pub changed: u64,
    /// Identifiers of the first matching devices.
    pub sample: Vec<String>,
}

impl Action {
    /// Returns the labels after the action; `None` if it changes nothing.
    fn labels_after(&self, id: &str, before: &[String]) -> Result<Option<Vec<String>>> {
        let mut after = before.to_vec();
        match self {
            Action::AddLabels { labels, most } => {
                for label in labels {
                    if !after.contains(label) {
                        after.push(label.clone());
                    }
                }
                if after.len() > *most {
                    return Err(Error::of_field(
                        Reason::LimitReached,
                        "action.labels",
                        format!("a device has at most {most} labels, and \"{id}\" would have more"),
                    ));
                }
            }
            Action::RemoveLabels(labels) => after.retain(|label| !labels.contains(label)),
            Action::Delete => return Ok(Some(Vec::new())),
        }
        Ok((after != before).then_some(after))
    }
}

/// Returns the expected result of an action. Fails if one of the devices could not be changed.
pub async fn preview(scope: &Scope, selector: &Selector, action: &Action) -> Result<Sum> {
    let mut sum = Sum::default();
    let mut after = 0;
    loop {
        let found: Vec<(i64, String, serde_json::Value)> = scope
            .find::<device::Entity>()
            .filter(device::Column::Id.gt(after))
            .filter(picked(selector))
            .order_by_asc(device::Column::Id)
            .limit(CHUNK * 4)
            .select_only()
            .column(device::Column::Id)
            .column(device::Column::DeviceId)
            .column(device::Column::Labels)
            .into_tuple()
            .all(scope.reader())
            .await?;
        let Some((last, ..)) = found.last() else {
            return Ok(sum);
        };
        after = *last;
        for (_, id, labels) in found {
            let labels: Vec<String> = serde_json::from_value(labels).map_err(Error::internal)?;
            sum.matched += 1;
            if action.labels_after(&id, &labels)?.is_some() {
                sum.changed += 1;
            }
            if sum.sample.len() < SAMPLE {
                sum.sample.push(id);
            }
        }
    }
}

/// Applies the action to all devices that match the selector.
pub async fn run(scope: &Scope, selector: &Selector, action: &Action) -> Result<Sum> {
    // Checked first, so that one invalid device does not leave the change half done.
    preview(scope, selector, action).await?;
    let mut sum = Sum::default();
    let mut after = 0;
    loop {
        let last = scope
            .write(async |transaction| {
                let keys: Vec<i64> = scope
                    .find::<device::Entity>()
                    .filter(device::Column::Id.gt(after))
                    .filter(picked(selector))
                    .order_by_asc(device::Column::Id)
                    .limit(CHUNK)
                    .select_only()
                    .column(device::Column::Id)
                    .into_tuple()
                    .all(&*transaction)
                    .await?;
                let Some(last) = keys.last().copied() else {
                    return Ok(None);
                };
                let found = hold(scope, &transaction, selector, action, keys).await?;
                let part = change(scope, &transaction, found, action).await?;
                Ok(Some((last, part)))
            })
            .await?;
        let Some((last, part)) = last else {
            return Ok(sum);
        };
        after = last;
        sum.matched += part.matched;
        sum.changed += part.changed;
        let room = SAMPLE - sum.sample.len();
        sum.sample.extend(part.sample.into_iter().take(room));
    }
}

/// Locks those of these devices that still match the selector, until the end of the transaction.
async fn hold(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    selector: &Selector,
    action: &Action,
    keys: Vec<i64>,
) -> Result<Vec<device::Model>> {
    let lock = match action {
        Action::Delete => {
            // The writer of uplinks also locks states before devices.
            rows::hold_states(scope, transaction, keys.clone()).await?;
            LockType::Update
        }
        // This lock does not block uplinks.
        Action::AddLabels { .. } | Action::RemoveLabels(_) => LockType::NoKeyUpdate,
    };
    Ok(scope
        .find::<device::Entity>()
        .filter(device::Column::Id.is_in(keys))
        .filter(picked(selector))
        .order_by_asc(device::Column::Id)
        .lock(lock)
        .all(transaction)
        .await?)
}

fn picked(selector: &Selector) -> Condition {
    selecting::picked(selector)
}

async fn change(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    found: Vec<device::Model>,
    action: &Action,
) -> Result<Sum> {
    let now = scope.now();
    let mut sum = Sum::default();
    let (mut keys, mut changes, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    for model in found {
        let (key, revision) = (model.id, model.revision);
        let before = Device::try_from((model, None))?.provisioned;
        sum.matched += 1;
        if sum.sample.len() < SAMPLE {
            sum.sample.push(before.id.clone());
        }
        let Some(labels) = action.labels_after(&before.id, &before.labels)? else {
            continue;
        };
        keys.push(key);
        let mut change = Change {
            subject: subject(RESOURCE, &before.id),
            before: Some(to_json(&before)?),
            after: None,
        };
        if !matches!(action, Action::Delete) {
            let mut after = before;
            after.labels = labels;
            let changed = device::ActiveModel {
                updated_at: Set(now),
                revision: Set(revision + 1),
                labels: Set(after.labels.clone().into()),
                ..Default::default()
            };
            scope
                .update::<device::Entity>()
                .set(changed)
                .filter(device::Column::Id.eq(key))
                .exec(transaction)
                .await?;
            rows.extend(rows::label_rows(scope, DeviceKey(key), &after.labels));
            change.after = Some(to_json(&after)?);
        }
        changes.push(change);
    }
    sum.changed = changes.len() as u64;
    if matches!(action, Action::Delete) {
        rows::bury(scope, transaction, keys).await?;
    } else {
        scope
            .delete::<device_label::Entity>()
            .filter(device_label::Column::DeviceKey.is_in(keys))
            .exec(transaction)
            .await?;
        bulk::insert(transaction, rows, None).await?;
    }
    scope.note_many(transaction, changes).await?;
    Ok(sum)
}
