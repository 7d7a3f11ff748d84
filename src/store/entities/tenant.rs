//! Tenant, which owns all other rows.

use sea_orm::entity::prelude::*;

use crate::clock::Time;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "tenants")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub name: String,
    pub created_at: Time,
    pub updated_at: Time,
    pub revision: i64,
    pub epoch: i64,
    pub removed_at: Option<Time>,
    pub retention_days: Option<i32>,
    pub last_revision: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// A tenant's row belongs to the tenant itself.
impl crate::store::core::rows::Owned for Entity {
    const TENANT: Column = Column::Id;
}

impl crate::store::core::rows::Revised for Model {
    fn revision(&self) -> i64 {
        self.revision
    }
}
