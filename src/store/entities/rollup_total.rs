//! Sums of the numbers of a column and all devices in an hour.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "rollup_totals")]
pub struct Model {
    pub tenant_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub column_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub hour_s: i64,
    pub numbers: i64,
    pub huge: i64,
    pub total: f64,
    pub mean: f64,
    pub squares: f64,
    pub low: f64,
    pub high: f64,
    pub first_number: f64,
    pub first_us: i64,
    pub first_id: Uuid,
    pub last_number: f64,
    pub last_us: i64,
    pub last_id: Uuid,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl crate::store::core::rows::Owned for Entity {
    const TENANT: Column = Column::TenantId;
}
