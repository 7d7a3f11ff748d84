//! Replay of stored uplinks into an integration.

use sea_orm::entity::prelude::*;

use crate::clock::Time;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "delivery_replays")]
pub struct Model {
    pub tenant_id: i64,
    #[sea_orm(primary_key)]
    pub id: i64,
    pub created_at: Time,
    pub updated_at: Time,
    pub integration_id: i64,
    pub state: String,
    pub span_from: Time,
    pub span_to: Time,
    pub device_id: Option<String>,
    pub position: Option<Uuid>,
    pub queued: i64,
    pub finished_at: Option<Time>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl crate::store::core::rows::Owned for Entity {
    const TENANT: Column = Column::TenantId;
}
