//! Every column that holds sealed values: for looking whether the keys are there that open them, and
//! for changing the key that they are sealed with.
//!
//! Values are replaced where they still are what was read, so hubs may run and change them
//! meanwhile; a batch is one transaction, and what was done stays done when the next one fails.

use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, Value},
};

use crate::{
    clock,
    error::Result,
    id::TenantId,
    store::{
        core::{handle::Store, idempotency},
        entities::{downlink_setting, idempotency_key, integration, network_connection},
    },
};

/// Rows of one transaction.
const BATCH: u64 = 200;

/// A column of sealed values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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

/// A row with a sealed value, and what that is bound to.
pub struct Row {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its key, as text.
    pub key: String,
    /// The type of its settings, where they have one that stands apart from them.
    pub kind: String,
    /// Its settings.
    pub settings: serde_json::Value,
    /// The sealed value.
    pub sealed: Vec<u8>,
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

/// The columns that one kind of rows is read by.
struct Columns<E: EntityTrait> {
    tenant: E::Column,
    key: E::Column,
    sealed: E::Column,
    /// What else is read, under the names that the row has for it.
    more: Vec<(Expr, &'static str)>,
}

impl Store {
    /// Hands every row of a column to `change`, and writes down what it gives in the place of the
    /// sealed value. Answers how many were replaced.
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
                    more: vec![
                        (Expr::col(Column::Kind), "kind"),
                        (Expr::col(Column::Settings), "settings"),
                    ],
                };
                self.replace(columns, Credentials::apart, change).await
            }
            Column::NetworkConnections => {
                use network_connection::{Column, Entity};
                let columns = Columns::<Entity> {
                    tenant: Column::TenantId,
                    key: Column::Id,
                    sealed: Column::Secret,
                    more: vec![
                        (Expr::col(Column::Kind), "kind"),
                        (Expr::col(Column::Settings), "settings"),
                    ],
                };
                self.replace(columns, Credentials::apart, change).await
            }
            Column::DownlinkSettings => {
                use downlink_setting::{Column, Entity};
                let columns = Columns::<Entity> {
                    tenant: Column::TenantId,
                    key: Column::ConnectionId,
                    sealed: Column::Secret,
                    more: vec![
                        (Expr::val(""), "kind"),
                        (Expr::col(Column::Settings), "settings"),
                    ],
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

    /// The starts of the remembered answers, each once, with how many have it: enough to tell their
    /// keys. Those that are forgotten with the next request are left out.
    pub async fn starts_of_answers(&self, bytes: u8) -> Result<Vec<(Vec<u8>, i64)>> {
        use idempotency_key::{Column, Entity};
        let start = Expr::cust(format!("substr(answer, 1, {bytes})"));
        Ok(Entity::find()
            .select_only()
            .expr_as(start.clone(), "start")
            .expr_as(Expr::col(Column::KeyHash).count(), "count")
            .filter(Column::Answer.is_not_null())
            .filter(Column::CreatedAt.gte(clock::now() - idempotency::REMEMBERED))
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
