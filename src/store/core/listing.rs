//! Lists: the order, the place to go on behind, the limit and the total, once for every table.
//!
//! A list is ordered by one value and, where that is alike, by the rows' key. A place is both, so that
//! a page neither loses nor repeats a row while others come and go. Behind a place is told by comparing
//! both at once, which an index over both answers without looking at what lies before.

use chrono::{DateTime, Datelike, TimeDelta};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, Iden, ModelTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Select, SelectTwo, Value,
    sea_query::{Expr, ExprTrait, Func, LikeExpr, SimpleExpr},
};
use serde::{Deserialize, Serialize};

use super::reader::Reader;
use crate::{
    clock::{self, Time},
    error::{Error, Result},
    id::first_uuid_at,
    store::core::{page::Page, scope::Scope},
};

/// The years that both databases can compare.
const YEARS: std::ops::Range<i32> = 1..10_000;
/// How far a row's key and its time may lie apart: a message waits for its batch, and clocks are set.
pub(in crate::store) const KEY_SLACK: TimeDelta = TimeDelta::days(1);

/// A place in a list: what the list is ordered by, as text, and the row's key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Place<K = i64>(pub String, pub K);

/// Which part of a list is read.
#[derive(Debug, Clone)]
pub struct Stretch<K = i64> {
    /// Where to go on; `None`: at the start.
    pub after: Option<Place<K>>,
    /// Most rows.
    pub limit: u64,
    /// Whether all rows under the filters are counted.
    pub total: bool,
}

/// From when to when.
#[derive(Debug, Clone, Copy, Default)]
pub struct Span {
    /// At or after this time.
    pub from: Option<Time>,
    /// Before this time.
    pub to: Option<Time>,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sort<B> {
    /// What by.
    pub by: B,
    /// Whether the last comes first.
    pub descending: bool,
}

/// What orders a list of resources; those that are alike stand in the order in which they were made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ResourceOrder {
    /// When they were made.
    #[default]
    Created,
    /// Their name.
    Name,
    /// When they were last changed.
    Updated,
}

/// A table of resources that are listed by name, creation and change.
pub(in crate::store) trait Resource: EntityTrait {
    /// The integer key, in the order of creation.
    const KEY: Self::Column;
    /// What its name is sorted by.
    const NAME: Self::Column;
    /// When it was last changed.
    const UPDATED: Self::Column;
    /// What a search looks into.
    const SEARCHED: &'static [Self::Column];
}

/// What a list is ordered by, in SQL.
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
    /// The start of a list.
    pub fn first(limit: u64) -> Self {
        Self {
            after: None,
            limit,
            total: false,
        }
    }
}

impl Order {
    /// By the key alone.
    pub fn by_key(key: impl Into<SimpleExpr>, descending: bool) -> Self {
        Self {
            value: None,
            key: key.into(),
            descending,
        }
    }

    /// By a text that is not null, then by the key.
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

    /// By a time that is not null, then by the key.
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

    /// The query for the rows of a stretch, and one more: see [`Page::cut`].
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

    /// Rows that do not lie behind a place.
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
        // The value alone once more, for the same reason as behind a place.
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
        // SQLite finds the start in an index by the value alone, and only where it is told apart.
        let value = value.clone();
        Ok(match self.descending {
            true => value.lte(place).and(own.lt(pair)),
            false => value.gte(place).and(own.gt(pair)),
        })
    }
}

impl Kind {
    /// A place's value; the client may have made the place up.
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
    /// The place of a row in a list that is ordered by the key alone.
    pub fn of_key(key: K) -> Self {
        Self(String::new(), key)
    }

    /// The place of a row in a list that is ordered by a time.
    pub fn of_time(time: Time, key: K) -> Self {
        Self(time.to_rfc3339(), key)
    }
}

impl Sort<ResourceOrder> {
    /// The order of a table of resources.
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

    /// A row's place in it.
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

/// A stretch of a table of resources, of those rows that the query leaves.
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
    let total = total(scope, &query, stretch).await?;
    let found = sort
        .order::<E>()
        .of(query, stretch)?
        .all(scope.reader())
        .await?;
    let page = Page::cut(found, stretch.limit, |row| sort.place::<E>(row));
    Ok(page.of(total))
}

/// The same, each row with the one that belongs to it in another table.
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
    let total = total(scope, &query, stretch).await?;
    let query = sort.order::<E>().of(query, stretch)?;
    let found = query.all(scope.reader()).await?;
    let page = Page::cut(found, stretch.limit, |(row, _)| sort.place::<E>(row));
    Ok(page.of(total))
}

impl Span {
    /// Rows in this time, of a table whose keys sort by the time at which they were made: those that lie
    /// far off are left out by the key, whose index is the order of the list.
    pub(in crate::store) fn condition<C: ColumnTrait>(self, at: C, key: C) -> Condition {
        self.of(at)
            .add_option(
                self.from
                    .map(|from| key.gte(first_uuid_at(from - KEY_SLACK))),
            )
            .add_option(self.to.map(|to| key.lt(first_uuid_at(to + KEY_SLACK))))
    }

    /// Rows in this time, whatever their keys say.
    pub(in crate::store) fn of<C: ColumnTrait>(self, at: C) -> Condition {
        Condition::all()
            .add_option(self.from.map(|from| at.gte(from)))
            .add_option(self.to.map(|to| at.lt(to)))
    }
}

/// How many rows the query has in all, where that was asked for.
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

/// Those that hold the text in one of their columns, whatever its case.
pub(in crate::store) fn holding<C: ColumnTrait>(text: &str, columns: &[C]) -> Condition {
    let columns = columns.iter().map(|column| column.into_expr());
    columns.fold(Condition::any(), |any, column| any.add(holds(column, text)))
}

/// Whether a text holds another, whatever its case.
pub(in crate::store) fn holds(column: impl Into<SimpleExpr>, text: &str) -> Condition {
    folded(column, text, |lower, text| {
        lower.like(LikeExpr::new(format!("%{}%", escaped(text))).escape('\\'))
    })
}

/// Whether a text is another, whatever its case.
pub(in crate::store) fn equals(column: impl Into<SimpleExpr>, text: &str) -> Condition {
    folded(column, text, |lower, text| lower.eq(text))
}

/// SQLite lowers the letters of ASCII alone: there, others are found as they are written.
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
