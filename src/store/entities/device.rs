//! Device, as configured.

use sea_orm::entity::prelude::*;

use crate::clock::Time;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "devices")]
pub struct Model {
    pub tenant_id: i64,
    #[sea_orm(primary_key)]
    pub id: i64,
    pub created_at: Time,
    pub updated_at: Time,
    pub revision: i64,
    pub device_id: String,
    pub name: Option<String>,
    pub description: String,
    pub driver: Option<String>,
    pub metadata: Json,
    pub labels: Json,
    pub connections: Json,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(has_one = "super::device_state::Entity")]
    State,
}

impl Related<super::device_state::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::State.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}

impl crate::store::core::rows::Owned for Entity {
    const TENANT: Column = Column::TenantId;
}

impl crate::store::core::rows::Revised for Model {
    fn revision(&self) -> i64 {
        self.revision
    }
}
