//! Hour of a device whose rows have changed since it was rolled up; without a device, an hour whose devices have sums
//! that the sum of all of them lacks.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "rollup_marks")]
pub struct Model {
    pub tenant_id: i64,
    #[sea_orm(primary_key)]
    pub id: i64,
    pub data_table_id: i64,
    pub device_id: String,
    pub hour_s: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl crate::store::core::rows::Owned for Entity {
    const TENANT: Column = Column::TenantId;
}
