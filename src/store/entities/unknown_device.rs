//! Unknown device: it sends without being provisioned.

use sea_orm::entity::prelude::*;

use crate::clock::Time;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "unknown_devices")]
pub struct Model {
    pub tenant_id: i64,
    #[sea_orm(primary_key)]
    pub id: i64,
    pub connection_id: i64,
    pub network_device_id: String,
    pub first_seen_at: Time,
    pub last_seen_at: Time,
    pub messages: i64,
    pub f_port: Option<i32>,
    pub raw: Option<Vec<u8>>,
    pub name: Option<String>,
    pub application: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl crate::store::core::rows::Owned for Entity {
    const TENANT: Column = Column::TenantId;
}
