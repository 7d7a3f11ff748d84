//! Fill of a data table from stored uplinks.

use sea_orm::entity::prelude::*;

use crate::clock::Time;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "data_table_fills")]
pub struct Model {
    pub tenant_id: i64,
    #[sea_orm(primary_key)]
    pub id: i64,
    pub created_at: Time,
    pub updated_at: Time,
    pub data_table_id: i64,
    pub state: String,
    pub span_from: Option<Time>,
    pub span_to: Time,
    pub device_id: Option<String>,
    pub position: Option<Uuid>,
    pub uplinks: i64,
    pub rows_added: i64,
    pub finished_at: Option<Time>,
    pub is_replacing: bool,
    pub rows_deleted: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl crate::store::core::rows::Owned for Entity {
    const TENANT: Column = Column::TenantId;
}
