//! Scheduled export of a data table.

use sea_orm::entity::prelude::*;

use crate::clock::Time;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "scheduled_exports")]
pub struct Model {
    pub tenant_id: i64,
    #[sea_orm(primary_key)]
    pub id: i64,
    pub created_at: Time,
    pub updated_at: Time,
    pub revision: i64,
    pub data_table_id: i64,
    pub name: String,
    pub enabled: bool,
    pub include_existing_rows: bool,
    pub file: Json,
    pub schedule: String,
    pub timezone: String,
    pub kind: String,
    pub settings: Json,
    pub secret: Option<Vec<u8>>,
    pub next_run_at: Option<Time>,
    pub position: Option<Uuid>,
    pub runs: i64,
    pub last_success_at: Option<Time>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl crate::store::core::rows::Owned for Entity {
    const TENANT: Column = Column::TenantId;
}

impl crate::store::core::rows::Revised for Model {
    fn revision(&self) -> i64 {
        self.revision
    }
}
