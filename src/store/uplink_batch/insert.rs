//! Inserts of a batch's rows, in the order in which rows are locked.

use sea_orm::{ActiveValue::Set, DbErr};
use serde_json::Value;

use super::rows::Rows;
use crate::{
    id::DeviceKey,
    store::{
        core::{
            bulk::{self, Replace},
            selectors::Selectors,
            transaction::DatabaseTransaction,
        },
        deliveries::of_events,
        devices::{
            self,
            driver_states::{self, StateOf},
            receptions,
        },
        downlinks::queue,
        entities::device_state,
    },
};

impl Rows {
    /// Inserts all rows in the order of the rows that they refer to, because PostgreSQL locks those. Returns true if
    /// events are to be delivered.
    pub async fn insert(
        mut self,
        transaction: &DatabaseTransaction,
        selectors: &Selectors,
    ) -> Result<bool, DbErr> {
        self.sort();
        self.insert_states(transaction).await?;
        let mut told_of: Vec<i64> = self
            .downlinks
            .iter()
            .map(|(_, news)| news.device.0)
            .collect();
        told_of.dedup();
        devices::rows::hold(transaction, told_of).await?;
        bulk::insert(transaction, self.uplinks, None).await?;
        receptions::add(transaction, self.heard_again).await?;
        let forwarded = of_events::forwarded(&self.events);
        bulk::insert(transaction, self.events, None).await?;
        bulk::insert(transaction, self.table_rows, None).await?;
        let of_events =
            of_events::rows(transaction, forwarded, selectors, &self.ids, self.due_at).await?;
        let has_work = !of_events.is_empty();
        self.deliveries.extend(of_events);
        self.deliveries
            .sort_by_key(|row| row.integration_id.try_as_ref().copied());
        bulk::insert(transaction, self.deliveries, None).await?;
        for (tenant, news) in self.downlinks {
            queue::apply(transaction, tenant, news, self.due_at).await?;
        }
        for (connection, change) in self.health {
            change.apply(transaction, connection).await?;
        }
        // After the health, whose locks serialize writers of one connection.
        self.sightings.write(transaction).await?;
        Ok(has_work)
    }

    fn sort(&mut self) {
        self.uplinks
            .sort_by_key(|row| row.device_key.try_as_ref().copied());
        self.events.sort_by_key(|row| {
            let device = row.device_key.try_as_ref().copied();
            (device, row.connection_id.try_as_ref().copied())
        });
        self.table_rows
            .sort_by_key(|row| row.data_table_id.try_as_ref().copied());
        self.downlinks.sort_by_key(|(_, news)| news.device.0);
    }

    async fn insert_states(&mut self, transaction: &DatabaseTransaction) -> Result<(), DbErr> {
        let states = std::mem::take(&mut self.states)
            .into_iter()
            .map(|(key, (tenant, state))| device_state::ActiveModel {
                tenant_id: Set(tenant.0),
                device_key: Set(key),
                reported: Set(Value::Object(state.reported)),
                desired: Set(Value::Object(state.desired)),
                received_at: Set(state.received_at),
                raw: Set(state.raw),
                is_failing: Set(state.is_failing),
                frames: Set(state.frames.write()),
                newest_at: Set(state.newest_at),
            });
        let replace = Replace {
            key: device_state::Column::DeviceKey,
            columns: vec![
                device_state::Column::Reported,
                device_state::Column::ReceivedAt,
                device_state::Column::Raw,
                device_state::Column::IsFailing,
                device_state::Column::Frames,
                device_state::Column::NewestAt,
            ],
        };
        bulk::insert(transaction, states.collect(), Some(replace)).await?;
        let driver_states = std::mem::take(&mut self.driver_states).into_iter();
        let driver_states = driver_states.map(|(device, (tenant, new))| StateOf {
            tenant,
            device: DeviceKey(device),
            new,
        });
        driver_states::put(transaction, driver_states.collect()).await
    }
}
