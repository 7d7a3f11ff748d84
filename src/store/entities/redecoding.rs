//! Progress of redecoding a device's stored uplinks.

use sea_orm::entity::prelude::*;

use crate::clock::Time;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "redecodings")]
pub struct Model {
    pub tenant_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub device_key: i64,
    pub driver: String,
    pub ts: Time,
    pub uplink_id: Uuid,
    pub is_whole: bool,
    pub state: Option<Json>,
    pub gone: Json,
    pub reported: Json,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl crate::store::core::rows::Owned for Entity {
    const TENANT: Column = Column::TenantId;
}
