//! Uplink of a device, raw and decoded.

use sea_orm::entity::prelude::*;

use crate::clock::Time;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "uplinks")]
pub struct Model {
    pub tenant_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub device_key: i64,
    pub connection_id: i64,
    pub received_at: Time,
    pub ts: Time,
    pub f_port: Option<i32>,
    pub f_cnt: Option<i64>,
    pub raw: Option<Vec<u8>>,
    pub radio: Json,
    pub data: Option<Json>,
    pub updates: Option<Json>,
    pub failure: Option<Json>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::device::Entity",
        from = "Column::DeviceKey",
        to = "super::device::Column::Id"
    )]
    Device,
}

impl ActiveModelBehavior for ActiveModel {}

impl crate::store::core::rows::Owned for Entity {
    const TENANT: Column = Column::TenantId;
}
