//! Downlink to a device.

use sea_orm::entity::prelude::*;

use crate::clock::Time;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "downlinks")]
pub struct Model {
    pub tenant_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub device_key: i64,
    pub connection_id: i64,
    pub network_device_id: String,
    pub origin: String,
    pub state: String,
    pub payload: Vec<u8>,
    pub content: Option<Json>,
    pub f_port: i32,
    pub confirmed: bool,
    pub priority: i32,
    pub attempt: i32,
    pub due_at: Option<Time>,
    pub is_sending: bool,
    pub expires_at: Option<Time>,
    pub sent_at: Option<Time>,
    pub transmitted_at: Option<Time>,
    pub network_reference: Option<String>,
    pub f_cnt_down: Option<i64>,
    pub last_status: Option<i32>,
    pub last_error: Option<String>,
    pub answered_uplink_id: Option<Uuid>,
    pub created_at: Time,
    pub updated_at: Time,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl crate::store::core::rows::Owned for Entity {
    const TENANT: Column = Column::TenantId;
}
