//! Import of rows into a data table.

use sea_orm::entity::prelude::*;

use crate::clock::Time;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "data_table_imports")]
pub struct Model {
    pub tenant_id: i64,
    #[sea_orm(primary_key)]
    pub id: i64,
    pub created_at: Time,
    pub updated_at: Time,
    pub data_table_id: i64,
    pub state: String,
    pub format: String,
    pub encoding: String,
    pub delimiter: Option<String>,
    pub rows_total: i64,
    pub added: i64,
    pub skipped: i64,
    pub failed: i64,
    pub finished_at: Option<Time>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl crate::store::core::rows::Owned for Entity {
    const TENANT: Column = Column::TenantId;
}
