//! Lists: order, cursor, limit and total, shared by all tables.
//!
//! A list is ordered by one value and, among equal values, by the rows' key. A cursor contains both, so pages
//! neither lose nor repeat a row while rows come and go. Rows after a cursor are found by comparing both at once,
//! which an index over both answers without reading earlier rows.

use chrono::{DateTime, Datelike, TimeDelta};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, Iden, ModelTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Select, SelectTwo, Value,
    sea_query::{Expr, ExprTrait, Func, LikeExpr, SimpleExpr},
};
use serde::{Deserialize, Serialize};

use super::{
    part::{Ration, RowOf, Rows},
    reader::Reader,
    room::Room,
};
use crate::{
    clock::{self, Time},
    error::{Error, Result},
    id::first_uuid_at,
    store::core::{page::Page, scope::Scope},
};

/// Range of years that both databases can compare.
const YEARS: std::ops::Range<i32> = 1..10_000;
/// Maximum difference between a row's key and its time: a message waits for its batch, and clocks are set.
pub(in crate::store) const KEY_SLACK: TimeDelta = TimeDelta::days(1);

/// Place in a list: the sort value as text, and the row's key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Place<K = i64>(pub String, pub K);

/// Requested section of a list.
#[derive(Debug, Clone)]
pub struct Stretch<K = i64> {
    /// Place after which the section starts; `None` for the start of the list.
    pub after: Option<Place<K>>,
    /// Maximum number of rows.
    pub limit: u64,
    /// True to count all rows that match the filters.
    pub total: bool,
    /// Size of the section.
    pub ration: Ration,
}

/// Period of time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Span {
    /// Start of the period, inclusive.
    pub from: Option<Time>,
    /// End of the period, exclusive.
    pub to: Option<Time>,
}

/// Order of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sort<B> {
    /// Sort key.
    pub by: B,
    /// True for descending order.
    pub descending: bool,
}

/// Sort key of a list of resources; equal ones are ordered by creation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ResourceOrder {
    /// Time of creation.
    #[default]
    Created,
    /// Name of the resource.
    Name,
    /// Time of the last change.
    Updated,
}

/// Table of resources that are listed by name, creation and change.
pub(in crate::store) trait Resource: EntityTrait {
    /// Integer key, in the order of creation.
    const KEY: Self::Column;
    /// Column that the order by name uses.
    const NAME: Self::Column;
    /// Column with the time of the last change.
    const UPDATED: Self::Column;
    /// Columns that a search looks in.
    const SEARCHED: &'static [Self::Column];
}

/// Order of a list, in SQL.
pub(in crate::store) struct Order {
    value: Option<(SimpleExpr, Kind)>,
    key: SimpleExpr,
    descending: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Time,
}

impl<K> Stretch<K> {
    /// Returns the first rows of a list, for the hub itself.
    pub fn first(limit: u64) -> Self {
        Self {
            after: None,
            limit,
            total: false,
            ration: Ration::Whole,
        }
    }

    /// Returns the rows after a place, for work that goes on with the next ones.
    pub fn step(after: Option<Place<K>>, limit: u64) -> Self {
        Self {
            after,
            ration: Ration::Step,
            ..Self::first(limit)
        }
    }
}

impl Order {
    /// Orders by the key alone.
    pub fn by_key(key: impl Into<SimpleExpr>, descending: bool) -> Self {
        Self {
            value: None,
            key: key.into(),
            descending,
        }
    }

    /// Orders by a text that is not null, then by the key.
    pub fn by_text(
        value: impl Into<SimpleExpr>,
        key: impl Into<SimpleExpr>,
        descending: bool,
    ) -> Self {
        Self {
            value: Some((value.into(), Kind::Text)),
            ..Self::by_key(key, descending)
        }
    }

    /// Orders by a time that is not null, then by the key.
    pub fn by_time(
        value: impl Into<SimpleExpr>,
        key: impl Into<SimpleExpr>,
        descending: bool,
    ) -> Self {
        Self {
            value: Some((value.into(), Kind::Time)),
            ..Self::by_key(key, descending)
        }
    }

    /// Returns the query for the rows of a section plus one more, which [`Page::cut`] needs.
    pub fn of<Q, K>(&self, query: Q, stretch: &Stretch<K>) -> Result<Q>
    where
        Q: QueryFilter + QueryOrder + QuerySelect,
        K: Clone + Into<Value>,
    {
        let mut query = query;
        if let Some(place) = &stretch.after {
            query = QueryFilter::filter(query, self.behind(place)?);
        }
        let order = match self.descending {
            true => sea_orm::Order::Desc,
            false => sea_orm::Order::Asc,
        };
        if let Some((value, _)) = &self.value {
            query = query.order_by(value.clone(), order.clone());
        }
        Ok(query
            .order_by(self.key.clone(), order)
            .limit(stretch.limit.saturating_add(1)))
    }

    /// Returns the condition for rows up to and including a place.
    pub fn up_to<K: Clone + Into<Value>>(&self, place: &Place<K>) -> Result<SimpleExpr> {
        let Place(text, key) = place;
        let key = Expr::value(key.clone());
        let Some((value, kind)) = &self.value else {
            return Ok(match self.descending {
                true => self.key.clone().gte(key),
                false => self.key.clone().lte(key),
            });
        };
        let place = kind.read(text)?;
        let own = Expr::tuple([value.clone(), self.key.clone()]);
        let pair = Expr::tuple([place.clone(), key]);
        // SQLite needs the separate condition on the value, as in `behind`.
        let value = value.clone();
        Ok(match self.descending {
            true => value.gte(place).and(own.gte(pair)),
            false => value.lte(place).and(own.lte(pair)),
        })
    }

    fn behind<K: Clone + Into<Value>>(&self, Place(text, key): &Place<K>) -> Result<SimpleExpr> {
        let key = Expr::value(key.clone());
        let Some((value, kind)) = &self.value else {
            return Ok(match self.descending {
                true => self.key.clone().lt(key),
                false => self.key.clone().gt(key),
            });
        };
        let place = kind.read(text)?;
        let own = Expr::tuple([value.clone(), self.key.clone()]);
        let pair = Expr::tuple([place.clone(), key]);
        // SQLite seeks in an index only by a separate condition on the value.
        let value = value.clone();
        Ok(match self.descending {
            true => value.lte(place).and(own.lt(pair)),
            false => value.gte(place).and(own.gt(pair)),
        })
    }
}

impl Kind {
    /// Parses the value of a place; a client may have sent anything.
    fn read(self, text: &str) -> Result<SimpleExpr> {
        let read = match self {
            Kind::Text => Some(text)
                .filter(|text| !text.contains('\0'))
                .map(|text| Expr::value(text.to_owned())),
            Kind::Time => DateTime::parse_from_rfc3339(text)
                .ok()
                .map(|time| clock::cut(time.to_utc()))
                .filter(|time| YEARS.contains(&time.year()))
                .map(Expr::value),
        };
        read.ok_or_else(|| {
            Error::field(
                "cursor",
                "must be a next_cursor that this list has answered",
            )
        })
    }
}

impl<K> Place<K> {
    /// Returns the place of a row in a list ordered by the key alone.
    pub fn of_key(key: K) -> Self {
        Self(String::new(), key)
    }

    /// Returns the place of a row in a list ordered by a time.
    pub fn of_time(time: Time, key: K) -> Self {
        Self(time.to_rfc3339(), key)
    }
}

impl Sort<ResourceOrder> {
    /// Returns the order of a table of resources.
    pub(in crate::store) fn order<E: Resource>(self) -> Order {
        let column = |column: E::Column| column.into_expr();
        match self.by {
            ResourceOrder::Created => Order::by_key(column(E::KEY), self.descending),
            ResourceOrder::Name => Order::by_text(column(E::NAME), column(E::KEY), self.descending),
            ResourceOrder::Updated => {
                Order::by_time(column(E::UPDATED), column(E::KEY), self.descending)
            }
        }
    }

    /// Returns a row's place in this order.
    pub(in crate::store) fn place<E: Resource>(self, row: &E::Model) -> Place
    where
        E::Model: ModelTrait<Entity = E>,
    {
        let text = match self.by {
            ResourceOrder::Created => String::new(),
            ResourceOrder::Name => text_of(row.get(E::NAME)),
            ResourceOrder::Updated => text_of(row.get(E::UPDATED)),
        };
        let key = match row.get(E::KEY) {
            Value::BigInt(Some(key)) => key,
            other => unreachable!("{} is no integer key: {other:?}", E::KEY.to_string()),
        };
        Place(text, key)
    }
}

fn text_of(value: Value) -> String {
    match value {
        Value::String(Some(text)) => text.to_string(),
        Value::ChronoDateTimeUtc(Some(time)) => time.to_rfc3339(),
        _ => String::new(),
    }
}

/// Reads a section of the rows that the query selects. It ends at its limit or its size, whichever comes first.
pub(in crate::store) async fn section<'db, Q, K>(
    scope: &'db Scope,
    query: Q,
    order: &Order,
    stretch: &Stretch<K>,
    place: impl Fn(&RowOf<Q>) -> Place<K>,
) -> Result<Page<RowOf<Q>, Place<K>>>
where
    Q: Rows + PaginatorTrait<'db, Reader>,
    K: Clone + Into<Value>,
{
    let total = total(scope, &query, stretch).await?;
    let query = order.of(query, stretch)?;
    let part = scope.reader().first_rows(query, stretch.ration).await?;
    let room = match stretch.ration {
        Ration::Page => scope.room(part.size)?,
        Ration::Whole | Ration::Step => Room::none(),
    };
    let limit = match part.is_cut {
        // The last row is the one beyond the section, as it is for a section that ends at its limit.
        true => part.rows.len().saturating_sub(1) as u64,
        false => stretch.limit,
    };
    let page = Page::cut(part.rows, limit, place);
    Ok(Page {
        total,
        room,
        ..page
    })
}

/// Reads a section of the resources that the query selects.
pub(in crate::store) async fn resources<E>(
    scope: &Scope,
    query: Select<E>,
    sort: Sort<ResourceOrder>,
    stretch: &Stretch,
) -> Result<Page<E::Model, Place>>
where
    E: Resource,
    E::Model: ModelTrait<Entity = E> + Send + Sync,
{
    let (order, place) = (sort.order::<E>(), |row: &_| sort.place::<E>(row));
    section(scope, query, &order, stretch, place).await
}

/// Reads a section like [`resources`], each row with its related row of another table.
pub(in crate::store) async fn resources_with<E, R>(
    scope: &Scope,
    query: SelectTwo<E, R>,
    sort: Sort<ResourceOrder>,
    stretch: &Stretch,
) -> Result<Page<(E::Model, Option<R::Model>), Place>>
where
    E: Resource,
    E::Model: ModelTrait<Entity = E> + Send + Sync,
    R: EntityTrait,
    R::Model: Send + Sync,
{
    let (order, place) = (sort.order::<E>(), |(row, _): &_| sort.place::<E>(row));
    section(scope, query, &order, stretch, place).await
}

impl Span {
    /// Returns the condition for rows in the period, of a table whose keys sort by creation time. Rows far outside
    /// are excluded by the key, whose index is the order of the list.
    pub(in crate::store) fn condition<C: ColumnTrait>(self, at: C, key: C) -> Condition {
        self.of(at)
            .add_option(
                self.from
                    .map(|from| key.gte(first_uuid_at(from - KEY_SLACK))),
            )
            .add_option(self.to.map(|to| key.lt(first_uuid_at(to + KEY_SLACK))))
    }

    /// Returns the condition for rows in the period, by their time alone.
    pub(in crate::store) fn of<C: ColumnTrait>(self, at: C) -> Condition {
        Condition::all()
            .add_option(self.from.map(|from| at.gte(from)))
            .add_option(self.to.map(|to| at.lt(to)))
    }
}

/// Counts all rows of the query if the total was requested.
pub(in crate::store) async fn total<'db, Q, K>(
    scope: &'db Scope,
    query: &Q,
    stretch: &Stretch<K>,
) -> Result<Option<u64>>
where
    Q: Clone + PaginatorTrait<'db, Reader> + Send,
{
    Ok(match stretch.total {
        true => Some(query.clone().count(scope.reader()).await?),
        false => None,
    })
}

/// Returns the condition that one of the columns contains the text, ignoring case.
pub(in crate::store) fn holding<C: ColumnTrait>(text: &str, columns: &[C]) -> Condition {
    let columns = columns.iter().map(|column| column.into_expr());
    columns.fold(Condition::any(), |any, column| any.add(holds(column, text)))
}

/// Returns the condition that a column contains a text, ignoring case.
pub(in crate::store) fn holds(column: impl Into<SimpleExpr>, text: &str) -> Condition {
    folded(column, text, |lower, text| {
        lower.like(LikeExpr::new(format!("%{}%", escaped(text))).escape('\\'))
    })
}

/// Returns the condition that a column equals a text, ignoring case.
pub(in crate::store) fn equals(column: impl Into<SimpleExpr>, text: &str) -> Condition {
    folded(column, text, |lower, text| lower.eq(text))
}

/// Also tries the text with only its ASCII letters lowered, because SQLite's `lower` leaves all others unchanged.
fn folded(
    column: impl Into<SimpleExpr>,
    text: &str,
    test: impl Fn(SimpleExpr, &str) -> SimpleExpr,
) -> Condition {
    let lower: SimpleExpr = Func::lower(column.into()).into();
    let (all, ascii) = (text.to_lowercase(), text.to_ascii_lowercase());
    let folded = Condition::any().add(test(lower.clone(), &all));
    match all == ascii {
        true => folded,
        false => folded.add(test(lower, &ascii)),
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_")
}

#[cfg(test)]
mod tests {
    use sea_orm::{DbBackend, QueryTrait};

    use super::*;
    use crate::store::entities::event;

    #[test]
    fn keys_may_be_a_day_away_from_a_period() {
        let (from, to) = ("2026-11-10T00:00:00Z", "2026-11-20T00:00:00Z");
        let span = Span {
            from: from.parse().ok(),
            to: to.parse().ok(),
        };
        let condition = span.condition(event::Column::At, event::Column::Id);
        let query = event::Entity::find()
            .filter(condition)
            .build(DbBackend::Sqlite);
        let values = query.values.unwrap().0;
        for day in ["2026-11-09T00:00:00Z", "2026-11-21T00:00:00Z"] {
            let key = Value::from(first_uuid_at(day.parse().unwrap()));
            assert!(values.contains(&key), "{day}: {values:?}");
        }
    }
}
