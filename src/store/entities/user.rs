//! User of a tenant.

use sea_orm::entity::prelude::*;

use crate::clock::Time;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    pub tenant_id: i64,
    #[sea_orm(primary_key)]
    pub id: i64,
    pub created_at: Time,
    pub updated_at: Time,
    pub revision: i64,
    pub username: String,
    pub username_folded: String,
    pub full_name: String,
    pub email: String,
    pub country: String,
    pub role: String,
    pub password_hash: String,
    pub last_login_at: Option<Time>,
    pub locked: bool,
    pub is_operator: bool,
    pub username_skeleton: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl crate::store::core::rows::Owned for Entity {
    const TENANT: Column = Column::TenantId;
}

impl crate::store::core::rows::Revised for Model {
    fn revision(&self) -> i64 {
        self.revision
    }
}
