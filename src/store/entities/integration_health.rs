//! Health of an integration, and the hub that delivers for it.

use sea_orm::entity::prelude::*;

use crate::clock::Time;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "integration_health")]
pub struct Model {
    pub tenant_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub integration_id: i64,
    pub delivered: i64,
    pub failed: i64,
    pub dead: i64,
    pub given_up: i64,
    pub last_delivered_at: Option<Time>,
    pub last_failed_at: Option<Time>,
    pub last_status: Option<i32>,
    pub last_error: Option<String>,
    pub failing_since: Option<Time>,
    pub paused_at: Option<Time>,
    pub pause_reason: Option<String>,
    pub holder: Option<Uuid>,
    pub held_until: Option<Time>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::integration::Entity",
        from = "Column::IntegrationId",
        to = "super::integration::Column::Id"
    )]
    Integration,
}

impl Related<super::integration::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Integration.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}

impl crate::store::core::rows::Owned for Entity {
    const TENANT: Column = Column::TenantId;
}
