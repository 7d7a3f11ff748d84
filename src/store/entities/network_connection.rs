//! Connection to a network server.

use sea_orm::entity::prelude::*;

use crate::clock::Time;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "network_connections")]
pub struct Model {
    pub tenant_id: i64,
    #[sea_orm(primary_key)]
    pub id: i64,
    pub created_at: Time,
    pub updated_at: Time,
    pub revision: i64,
    pub name: String,
    pub kind: String,
    pub settings: Json,
    pub enabled: bool,
    pub ingest_key_hash: Vec<u8>,
    pub secret: Option<Vec<u8>>,
    pub auto_provisioning: Option<Json>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(has_one = "super::connection_health::Entity")]
    Health,
}

impl Related<super::connection_health::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Health.def()
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
