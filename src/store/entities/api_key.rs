//! API key; only its hash is stored.

use sea_orm::entity::prelude::*;

use crate::clock::Time;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "api_keys")]
pub struct Model {
    pub tenant_id: i64,
    #[sea_orm(primary_key)]
    pub id: i64,
    pub created_at: Time,
    pub updated_at: Time,
    pub name: String,
    pub key_hash: Vec<u8>,
    pub scopes: Json,
    pub expires_at: Option<Time>,
    pub last_used_at: Option<Time>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl crate::store::core::rows::Owned for Entity {
    const TENANT: Column = Column::TenantId;
}

/// Fixed revision, because a key never changes.
impl crate::store::core::rows::Revised for Model {
    fn revision(&self) -> i64 {
        1
    }
}
