//! Writes a batch in one transaction, and in smaller and smaller ones where a message of it cannot be written.

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
            epochs::Learned, failure, gather::padded, handle::Store, signals::Then,
            transaction::DatabaseTransaction,
        },
        deliveries::enqueue::Queued,
        devices::{driver_states, record::State},
        entities::device_state,
    },
};

/// How often a batch is written that the database ends in favour of other transactions.
const TRIES_MAX: u32 = 8;
/// The wait before it is tried again, once for each time that it was.
const MAKE_WAY: Duration = Duration::from_millis(20);

/// What one transaction has written.
struct Written {
    /// What became of each message.
    outcomes: Vec<Outcome>,
    /// What its uplinks have queued for integrations.
    queued: Vec<Queued>,
}

impl Store {
    /// Writes a batch; what is `Recorded` is on disk when this answers. A message that cannot be written
    /// keeps none of the others from it: smaller and smaller parts of the batch tell which one it is.
    pub async fn record(&self, messages: &[Message]) -> Recorded {
        let mut recorded = Recorded::default();
        // One after the other: messages stay in their order.
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

    /// Writes messages in one transaction, which is repeated a few times where the database has ended it
    /// in favour of another.
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
        // Each try by itself: what must not take long is one transaction.
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
        // Behind the locks, for which it may have waited.
        let tenants = messages.iter().map(|message| message.tenant).collect();
        let Learned { epochs, time } = self.learn_epochs(transaction, tenants).await?;
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

/// The states of all devices of the batch, locked before the devices and in the order of their keys, as whoever
/// changes or deletes devices locks them.
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

/// The devices whose drivers keep a state with their message.
fn stateful(messages: &[Message]) -> Vec<i64> {
    messages
        .iter()
        .filter_map(|message| match &message.content {
            Content::Uplink(record) => record.driver_state.as_ref().map(|_| record.device.0),
            _ => None,
        })
        .collect()
}
