//! Writes of a batch in one transaction, split into smaller ones if a message cannot be written.

use std::{collections::HashMap, time::Duration};

use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use tokio::time::sleep;

use super::{
    message::{Content, Message, Outcome, Recorded},
    rows::{Held, Rows},
};
use crate::{
    batch::Parts,
    store::{
        core::{
            epochs::ReadEpochs, failure, gather::padded, handle::Store, signals::Then,
            transaction::DatabaseTransaction,
        },
        deliveries::enqueue::Queued,
        devices::{driver_states, record::State},
        entities::device_state,
    },
};

/// Maximum number of attempts to write a batch that the database aborts in favor of other transactions.
const TRIES_MAX: u32 = 8;
/// Delay before the next attempt, multiplied by the number of attempts so far.
const MAKE_WAY: Duration = Duration::from_millis(20);

/// Result of one transaction.
struct Written {
    /// Outcome of each message.
    outcomes: Vec<Outcome>,
    /// Deliveries queued by its uplinks.
    queued: Vec<Queued>,
}

impl Store {
    /// Records a batch; messages with the outcome `Recorded` are on disk when this returns. A message that cannot be
    /// written does not affect the others: the batch is halved until that message is alone.
    pub async fn record(&self, messages: &[Message]) -> Recorded {
        let _arriving = self.inner.arrivals.batch();
        let mut recorded = Recorded::default();
        // Parts run one after the other, so that messages stay in order.
        let mut parts = Parts::of(messages);
        while let Some(part) = parts.take() {
            match self.record_together(part).await {
                Ok(written) => {
                    recorded
                        .outcomes
                        .extend(written.outcomes.into_iter().map(Ok));
                    recorded.queued.extend(written.queued);
                }
                Err(error) if !failure::is_of_one_row(&error) => {
                    recorded.refuse(part.len(), &error.into());
                }
                Err(error) => {
                    if parts.halve(part).is_some() {
                        recorded.outcomes.push(match failure::is_dangling(&error) {
                            true => Ok(Outcome::Dangling),
                            false => Err(error.into()),
                        });
                    }
                }
            }
        }
        recorded
    }

    /// Writes messages in one transaction, which is retried a few times if the database aborts it in favor of
    /// another.
    async fn record_together(&self, messages: &[Message]) -> Result<Written, DbErr> {
        let mut tries = 1;
        loop {
            match self.try_record(messages).await {
                Err(error) if failure::is_contention(&error) && tries < TRIES_MAX => {
                    tracing::debug!(tries, "a batch of messages made way: {error}");
                    sleep(MAKE_WAY * tries).await;
                    tries += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn try_record(&self, messages: &[Message]) -> Result<Written, DbErr> {
        // Each attempt is timed separately, because the time limit applies to one transaction.
        let _under_way = self.inner.writability.begin_batch();
        let transaction = self.inner.recorder.begin([Then::News]).await?;
        let written = self.write_batch(&transaction, messages).await;
        transaction.finish(written).await
    }

    async fn write_batch(
        &self,
        transaction: &DatabaseTransaction,
        messages: &[Message],
    ) -> Result<Written, DbErr> {
        let mut held = Held {
            states: lock_states(transaction, messages).await?,
            revisions: driver_states::revisions(transaction, stateful(messages)).await?,
        };
        // After the locks, because acquiring them may have taken time.
        let tenants = messages.iter().map(|message| message.tenant).collect();
        let ReadEpochs { epochs, time } = self.learn_epochs(transaction, tenants).await?;
        let mut rows = Rows::new(self, time);
        let mut outcomes = Vec::with_capacity(messages.len());
        for message in messages {
            let is_current = match epochs.get(&message.tenant).copied().flatten() {
                Some(now) => message.epoch.is_none_or(|looked_up_at| looked_up_at == now),
                None => false,
            };
            outcomes.push(match is_current {
                true => rows.add(message, &mut held),
                false => Outcome::Gone,
            });
        }
        let queued = std::mem::take(&mut rows.queued);
        if rows.insert(transaction, &self.inner.selectors).await? {
            transaction.then(Then::Work);
        }
        Ok(Written { outcomes, queued })
    }
}

/// Locks the states of all devices of the batch, before the devices and in the order of their keys, as changes and
/// deletions of devices do.
async fn lock_states(
    transaction: &DatabaseTransaction,
    messages: &[Message],
) -> Result<HashMap<i64, State>, DbErr> {
    let mut keys: Vec<i64> = messages
        .iter()
        .filter_map(|message| Some(message.content.device()?.0))
        .collect();
    keys.sort_unstable();
    keys.dedup();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let found = device_state::Entity::find()
        .filter(device_state::Column::DeviceKey.is_in(padded(keys)))
        .order_by_asc(device_state::Column::DeviceKey)
        .lock_exclusive()
        .all(transaction)
        .await?;
    let keyed = |state: device_state::Model| (state.device_key, State::from(state));
    Ok(found.into_iter().map(keyed).collect())
}

/// Returns the devices whose messages include a driver state.
fn stateful(messages: &[Message]) -> Vec<i64> {
    messages
        .iter()
        .filter_map(|message| match &message.content {
            Content::Uplink(record) => record.driver_state.as_ref().map(|_| record.device.0),
            _ => None,
        })
        .collect()
}
