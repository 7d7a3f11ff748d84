//! Run of a scheduled export.

use sea_orm::entity::prelude::*;

use crate::clock::Time;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "export_runs")]
pub struct Model {
    pub tenant_id: i64,
    #[sea_orm(primary_key)]
    pub id: i64,
    pub created_at: Time,
    pub updated_at: Time,
    pub export_id: i64,
    pub number: i64,
    pub state: String,
    pub cause: String,
    pub after_id: Option<Uuid>,
    pub until_id: Uuid,
    pub window_from: Option<Time>,
    pub window_to: Time,
    pub file_name: String,
    pub file: Json,
    pub row_count: Option<i64>,
    pub byte_count: Option<i64>,
    pub attempts: i32,
    pub round: i32,
    pub error: Option<String>,
    pub due_at: Option<Time>,
    pub finished_at: Option<Time>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl crate::store::core::rows::Owned for Entity {
    const TENANT: Column = Column::TenantId;
}
