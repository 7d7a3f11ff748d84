//! Health of a network connection.

use sea_orm::entity::prelude::*;

use crate::clock::Time;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "connection_health")]
pub struct Model {
    pub tenant_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub connection_id: i64,
    pub uplinks: i64,
    pub unknown_devices: i64,
    pub other_messages: i64,
    pub malformed: i64,
    pub duplicates: i64,
    pub last_message_at: Option<Time>,
    pub last_error_at: Option<Time>,
    pub last_error: Option<String>,
    pub connected: Option<bool>,
    pub connected_since: Option<Time>,
    pub connection_error: Option<String>,
    pub recent_hour: i64,
    pub recent_taken: i64,
    pub recent_refused: i64,
    pub before_taken: i64,
    pub before_refused: i64,
    pub odd_times: i64,
    pub last_odd_time: Option<String>,
    pub last_odd_time_at: Option<Time>,
    pub unauthorized: i64,
    pub unauthorized_at: Option<Time>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::network_connection::Entity",
        from = "Column::ConnectionId",
        to = "super::network_connection::Column::Id"
    )]
    Connection,
}

impl Related<super::network_connection::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Connection.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}

impl crate::store::core::rows::Owned for Entity {
    const TENANT: Column = Column::TenantId;
}
