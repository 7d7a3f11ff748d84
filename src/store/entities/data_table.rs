//! Data table.

use sea_orm::entity::prelude::*;

use crate::clock::Time;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "data_tables")]
pub struct Model {
    pub tenant_id: i64,
    #[sea_orm(primary_key)]
    pub id: i64,
    pub created_at: Time,
    pub updated_at: Time,
    pub revision: i64,
    pub name: String,
    pub description: String,
    pub selector: String,
    pub columns: Option<Json>,
    pub retention_days: Option<i32>,
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
