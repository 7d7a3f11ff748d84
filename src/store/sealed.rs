//! Columns with sealed values: to check that the keys that open them are available, and to replace the sealing key.
//!
//! A value is replaced only if it is unchanged since it was read, so hubs may run and change values at the same
//! time. A batch is one transaction; completed batches stay even if a later one fails.

use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, Value},
};

use crate::{
    error::Result,
    id::TenantId,
    store::{
        core::{handle::Store, idempotency},
        entities::{
            downlink_setting, idempotency_key, integration, network_connection, scheduled_export,
        },
    },
};

/// Maximum number of rows per transaction.
const BATCH: u64 = 200;

/// Column of sealed values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// Credentials of integrations.
    Integrations,
    /// Credentials of network connections.
    NetworkConnections,
    /// Credentials for sending downlinks.
    DownlinkSettings,
    /// Credentials of scheduled exports.
    ScheduledExports,
    /// Answers to requests with an idempotency key.
    IdempotencyKeys,
}

/// Row with a sealed value and the data that the value is bound to.
pub struct Row {
    /// Tenant of the row.
    pub tenant: TenantId,
    /// Key of the row, as text.
    pub key: String,
    /// Type of its settings; empty if the settings contain the type or there are none.
    pub kind: String,
    /// Settings of the row.
    pub settings: serde_json::Value,
    /// Sealed value.
    pub sealed: Vec<u8>,
}

impl Column {
    /// All columns.
    pub const ALL: [Self; 5] = [
        Self::Integrations,
        Self::NetworkConnections,
        Self::DownlinkSettings,
        Self::ScheduledExports,
        Self::IdempotencyKeys,
    ];

    /// Returns the name of the resource that the values belong to.
    pub fn name(self) -> &'static str {
        match self {
            Self::Integrations => "integrations",
            Self::NetworkConnections => "network connections",
            Self::DownlinkSettings => "downlink settings",
            Self::ScheduledExports => "scheduled exports",
            Self::IdempotencyKeys => "remembered answers",
        }
    }

    /// Returns the table and the column.
    pub fn place(self) -> &'static str {
        match self {
            Self::Integrations => "integrations.secret",
            Self::NetworkConnections => "network_connections.secret",
            Self::DownlinkSettings => "downlink_settings.secret",
            Self::ScheduledExports => "scheduled_exports.secret",
            Self::IdempotencyKeys => "idempotency_keys.answer",
        }
    }
}

#[derive(FromQueryResult)]
struct Credentials {
    tenant_id: i64,
    id: i64,
    kind: String,
    settings: serde_json::Value,
    sealed: Vec<u8>,
}

#[derive(FromQueryResult)]
struct Answer {
    tenant_id: i64,
    id: Vec<u8>,
    sealed: Vec<u8>,
}

impl Credentials {
    fn apart(self) -> (i64, Row) {
        let row = Row {
            tenant: TenantId(self.tenant_id),
            key: self.id.to_string(),
            kind: self.kind,
            settings: self.settings,
            sealed: self.sealed,
        };
        (self.id, row)
    }
}

impl Answer {
    fn apart(self) -> (Vec<u8>, Row) {
        let row = Row {
            tenant: TenantId(self.tenant_id),
            key: idempotency::row(&self.id),
            kind: String::new(),
            settings: serde_json::Value::Null,
            sealed: self.sealed,
        };
        (self.id, row)
    }
}

/// Columns to read from a table.
struct Columns<E: EntityTrait> {
    tenant: E::Column,
    key: E::Column,
    sealed: E::Column,
    /// Additional expressions, with their names in the row.
    more: Vec<(Expr, &'static str)>,
}

/// Expressions of the type and the settings to which credentials belong.
fn described(kind: Expr, settings: Expr) -> Vec<(Expr, &'static str)> {
    vec![(kind, "kind"), (settings, "settings")]
}

impl Store {
    /// Passes every row of a column to `change`, and stores the returned value in place of the sealed one. Returns
    /// the number of replaced values.
    pub async fn replace_sealed(
        &self,
        column: Column,
        change: impl FnMut(&Row) -> Option<Vec<u8>>,
    ) -> Result<u64> {
        match column {
            Column::Integrations => {
                use integration::{Column, Entity};
                let columns = Columns::<Entity> {
                    tenant: Column::TenantId,
                    key: Column::Id,
                    sealed: Column::Secret,
                    more: described(Expr::col(Column::Kind), Expr::col(Column::Settings)),
                };
                self.replace(columns, Credentials::apart, change).await
            }
            Column::NetworkConnections => {
                use network_connection::{Column, Entity};
                let columns = Columns::<Entity> {
                    tenant: Column::TenantId,
                    key: Column::Id,
                    sealed: Column::Secret,
                    more: described(Expr::col(Column::Kind), Expr::col(Column::Settings)),
                };
                self.replace(columns, Credentials::apart, change).await
            }
            Column::DownlinkSettings => {
                use downlink_setting::{Column, Entity};
                let columns = Columns::<Entity> {
                    tenant: Column::TenantId,
                    key: Column::ConnectionId,
                    sealed: Column::Secret,
                    more: described(Expr::val(""), Expr::col(Column::Settings)),
                };
                self.replace(columns, Credentials::apart, change).await
            }
            Column::ScheduledExports => {
                use scheduled_export::{Column, Entity};
                let columns = Columns::<Entity> {
                    tenant: Column::TenantId,
                    key: Column::Id,
                    sealed: Column::Secret,
                    more: described(Expr::col(Column::Kind), Expr::col(Column::Settings)),
                };
                self.replace(columns, Credentials::apart, change).await
            }
            Column::IdempotencyKeys => {
                use idempotency_key::{Column, Entity};
                let columns = Columns::<Entity> {
                    tenant: Column::TenantId,
                    key: Column::KeyHash,
                    sealed: Column::Answer,
                    more: Vec::new(),
                };
                self.replace(columns, Answer::apart, change).await
            }
        }
    }

    /// Returns the distinct first bytes of the stored answers with their counts, which suffice to identify the
    /// sealing keys. Omits expired answers.
    pub async fn starts_of_answers(&self, bytes: u8) -> Result<Vec<(Vec<u8>, i64)>> {
        use idempotency_key::{Column, Entity};
        let start = Expr::cust(format!("substr(answer, 1, {bytes})"));
        Ok(Entity::find()
            .select_only()
            .expr_as(start.clone(), "start")
            .expr_as(Expr::col(Column::KeyHash).count(), "count")
            .filter(Column::Answer.is_not_null())
            .filter(Column::CreatedAt.gte(self.now() - idempotency::REMEMBERED))
            .group_by(start)
            .into_tuple()
            .all(&self.inner.reader)
            .await?)
    }

    async fn replace<E, R, K>(
        &self,
        columns: Columns<E>,
        apart: impl Fn(R) -> (K, Row),
        mut change: impl FnMut(&Row) -> Option<Vec<u8>>,
    ) -> Result<u64>
    where
        E: EntityTrait,
        R: FromQueryResult + Send + Sync,
        K: Clone + Into<Value> + Send,
    {
        let Columns {
            tenant,
            key,
            sealed,
            more,
        } = columns;
        let mut replaced = 0;
        let mut after: Option<K> = None;
        loop {
            let mut query = E::find()
                .select_only()
                .column_as(tenant, "tenant_id")
                .column_as(key, "id")
                .column_as(sealed, "sealed")
                .filter(sealed.is_not_null())
                .order_by_asc(key)
                .limit(BATCH);
            for (expression, name) in &more {
                query = query.expr_as(expression.clone(), *name);
            }
            if let Some(after) = after.clone() {
                query = query.filter(key.gt(after));
            }
            let rows: Vec<R> = query.into_model().all(&self.inner.reader).await?;
            let rows: Vec<(K, Row)> = rows.into_iter().map(&apart).collect();
            let Some((last, _)) = rows.last() else {
                return Ok(replaced);
            };
            after = Some(last.clone());
            let changes: Vec<(K, Row, Vec<u8>)> = rows
                .into_iter()
                .filter_map(|(id, row)| change(&row).map(|new| (id, row, new)))
                .collect();
            if changes.is_empty() {
                continue;
            }
            let transaction = self.begin([]).await?;
            for (id, row, new) in changes {
                let written = E::update_many()
                    .col_expr(sealed, Expr::value(new))
                    .filter(key.eq(id))
                    .filter(Expr::col(sealed).eq(row.sealed))
                    .exec(&transaction)
                    .await?;
                replaced += written.rows_affected;
            }
            transaction.commit().await?;
        }
    }
}
