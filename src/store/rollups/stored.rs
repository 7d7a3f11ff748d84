//! Sums in the form in which hours of devices and of all devices are stored.

use uuid::Uuid;

use crate::{
    error::{Error, Result},
    store::data::sums::{Edge, Sums},
};

/// Sums in the form of their columns.
pub(super) struct Stored {
    pub numbers: i64,
    pub huge: i64,
    pub total: f64,
    pub mean: f64,
    pub squares: f64,
    pub low: f64,
    pub high: f64,
    pub first: StoredEdge,
    pub last: StoredEdge,
}

/// First or last number in the form of its columns.
pub(super) struct StoredEdge {
    pub number: f64,
    pub us: i64,
    pub id: Uuid,
}

impl Stored {
    pub fn of(sums: Sums) -> Result<Self> {
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        Ok(Self {
            numbers: count(sums.count),
            huge: count(sums.huge),
            total: sums.sum,
            mean: sums.mean,
            squares: sums.squares,
            low: sums.min.ok_or_else(lacks)?,
            high: sums.max.ok_or_else(lacks)?,
            first: StoredEdge::of(sums.first)?,
            last: StoredEdge::of(sums.last)?,
        })
    }
}

impl StoredEdge {
    fn of(edge: Option<Edge>) -> Result<Self> {
        let edge = edge.ok_or_else(lacks)?;
        Ok(Self {
            number: edge.value,
            us: edge.time.timestamp_micros(),
            id: Uuid::parse_str(&edge.key).map_err(Error::internal)?,
        })
    }
}

/// Makes the row of an entity that has the columns of sums beside those of its key.
macro_rules! row_of_sums {
    ($entity:ident { $($column:ident: $value:expr),+ $(,)? }, $sums:expr) => {{
        let sums: $crate::store::rollups::stored::Stored = $sums;
        $entity::ActiveModel {
            $($column: sea_orm::ActiveValue::Set($value),)+
            numbers: sea_orm::ActiveValue::Set(sums.numbers),
            huge: sea_orm::ActiveValue::Set(sums.huge),
            total: sea_orm::ActiveValue::Set(sums.total),
            mean: sea_orm::ActiveValue::Set(sums.mean),
            squares: sea_orm::ActiveValue::Set(sums.squares),
            low: sea_orm::ActiveValue::Set(sums.low),
            high: sea_orm::ActiveValue::Set(sums.high),
            first_number: sea_orm::ActiveValue::Set(sums.first.number),
            first_us: sea_orm::ActiveValue::Set(sums.first.us),
            first_id: sea_orm::ActiveValue::Set(sums.first.id),
            last_number: sea_orm::ActiveValue::Set(sums.last.number),
            last_us: sea_orm::ActiveValue::Set(sums.last.us),
            last_id: sea_orm::ActiveValue::Set(sums.last.id),
        }
    }};
}

pub(super) use row_of_sums;

/// Returns the error of sums that are not those of at least one number.
pub(super) fn lacks() -> Error {
    Error::internal("sums of an hour lack a value")
}
