//! Message to an integration.

use sea_orm::entity::prelude::*;

use crate::clock::Time;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "deliveries")]
pub struct Model {
    pub tenant_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub integration_id: i64,
    pub device_id: String,
    pub subject_id: Uuid,
    pub state: String,
    pub attempt: i32,
    pub due_at: Option<Time>,
    pub body: String,
    pub last_status: Option<i32>,
    pub last_error: Option<String>,
    pub created_at: Time,
    pub updated_at: Time,
    pub kind: String,
    pub ordered: bool,
    pub round_start: i32,
    pub last_answer: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl crate::store::core::rows::Owned for Entity {
    const TENANT: Column = Column::TenantId;
}
