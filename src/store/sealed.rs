//! Every column that holds sealed values, for changing the key that they are sealed with.
//!
//! Values are replaced where they still are what was read, so hubs may run and change them
//! meanwhile; a batch is one transaction, and what was done stays done when the next one fails.

use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, TryGetable, Value,
    sea_query::{Expr, ExprTrait},
};

use super::{
    Store,
    entities::{downlink_setting, idempotency_key, integration, network_connection},
};
use crate::error::Result;

/// Rows of one transaction.
const BATCH: u64 = 200;

/// A column of sealed values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// The credentials of integrations.
    Integrations,
    /// The credentials of network connections.
    NetworkConnections,
    /// The credentials that downlinks are sent with.
    DownlinkSettings,
    /// The answers to requests that may be told twice.
    IdempotencyKeys,
}

impl Column {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Integrations,
        Self::NetworkConnections,
        Self::DownlinkSettings,
        Self::IdempotencyKeys,
    ];

    /// What its values belong to.
    pub fn name(self) -> &'static str {
        match self {
            Self::Integrations => "integrations",
            Self::NetworkConnections => "network connections",
            Self::DownlinkSettings => "downlink settings",
            Self::IdempotencyKeys => "remembered answers",
        }
    }
}

impl Store {
    /// Hands every value of a column to `change`, and writes down what it gives in its place.
    /// Answers how many were replaced.
    pub async fn replace_sealed(
        &self,
        column: Column,
        change: impl FnMut(&[u8]) -> Option<Vec<u8>>,
    ) -> Result<u64> {
        match column {
            Column::Integrations => {
                use integration::{Column, Entity};
                self.replace::<Entity, i64>(Column::Id, Column::Secret, change)
                    .await
            }
            Column::NetworkConnections => {
                use network_connection::{Column, Entity};
                self.replace::<Entity, i64>(Column::Id, Column::Secret, change)
                    .await
            }
            Column::DownlinkSettings => {
                use downlink_setting::{Column, Entity};
                self.replace::<Entity, i64>(Column::ConnectionId, Column::Secret, change)
                    .await
            }
            Column::IdempotencyKeys => {
                use idempotency_key::{Column, Entity};
                self.replace::<Entity, Vec<u8>>(Column::KeyHash, Column::Answer, change)
                    .await
            }
        }
    }

    async fn replace<E, K>(
        &self,
        key: E::Column,
        sealed: E::Column,
        mut change: impl FnMut(&[u8]) -> Option<Vec<u8>>,
    ) -> Result<u64>
    where
        E: EntityTrait,
        K: Clone + Into<Value> + TryGetable + Send,
    {
        let mut replaced = 0;
        let mut after: Option<K> = None;
        loop {
            let mut query = E::find()
                .select_only()
                .columns([key, sealed])
                .filter(sealed.is_not_null())
                .order_by_asc(key)
                .limit(BATCH);
            if let Some(after) = after.clone() {
                query = query.filter(key.gt(after));
            }
            let rows: Vec<(K, Vec<u8>)> = query.into_tuple().all(&self.inner.reader).await?;
            let Some((last, _)) = rows.last() else {
                return Ok(replaced);
            };
            after = Some(last.clone());
            let transaction = self.begin().await?;
            for (row, old) in rows {
                if let Some(new) = change(&old) {
                    let written = E::update_many()
                        .col_expr(sealed, Expr::value(new))
                        .filter(key.eq(row))
                        .filter(Expr::col(sealed).eq(old))
                        .exec(&transaction)
                        .await?;
                    replaced += written.rows_affected;
                }
            }
            transaction.commit().await?;
        }
    }
}
