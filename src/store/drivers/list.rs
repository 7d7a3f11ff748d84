//! Lists of drivers, with filters and sorting.

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, QueryFilter,
    sea_query::{Expr, SimpleExpr},
};
use serde::de::DeserializeOwned;

use crate::{
    clock::Time,
    error::Result,
    store::{
        core::{
            listing::{self, Order, Place, Sort, Stretch},
            page::Page,
            scope::Scope,
        },
        drivers::{self, Driver},
        entities::driver::{Column, Entity},
    },
};

/// Filter of drivers; all conditions must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Author of the drivers.
    pub author: Option<String>,
    /// Manufacturer of supported devices, ignoring case.
    pub manufacturer: Option<String>,
    /// Model of supported devices, ignoring case; combined with a manufacturer, both must belong to the same device.
    pub model: Option<String>,
    /// Label of the drivers.
    pub label: Option<String>,
    /// Text that the author, name, description, a manufacturer, a model or a label must contain, ignoring case.
    pub search: Option<String>,
}

/// Sort key of a list; equal drivers are ordered by creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortBy {
    /// Time at which the first version was pushed.
    Created,
    /// Name of the driver.
    Name,
    /// Author of the driver.
    Author,
    /// Time of the last change.
    Updated,
}

/// Returns a page of the drivers with their tags. Merges in `beside`, the built-in drivers that match the filter.
pub async fn list<S: DeserializeOwned>(
    scope: &Scope,
    filter: &Filter,
    sort: Sort<SortBy>,
    stretch: &Stretch,
    beside: Vec<Driver<S>>,
) -> Result<Page<Driver<S>, Place>> {
    let backend = scope.reader().get_database_backend();
    let query = scope
        .find::<Entity>()
        .filter(filter.condition(Elements(backend)));
    let total = listing::total(scope, &query, stretch).await?;
    let total = total.map(|total| total + beside.len() as u64);
    let found = sort.order().of(query, stretch)?.all(scope.reader()).await?;
    let mut drivers = drivers::with_tags(scope, scope.reader(), found).await?;
    let after = stretch.after.as_ref().map(|place| sort.rank_of(place));
    for driver in beside {
        let rank = sort.rank(&driver);
        if after
            .as_ref()
            .is_some_and(|after| !sort.is_behind(&rank, after))
        {
            continue;
        }
        let behind = |other: &Driver<S>| sort.is_behind(&sort.rank(other), &rank);
        let place = drivers.iter().position(behind);
        drivers.insert(place.unwrap_or(drivers.len()), driver);
    }
    Ok(Page::cut(drivers, stretch.limit, |driver| sort.place(driver)).of(total))
}

/// Rank in a list: a time in microseconds, a text, and the key.
type Rank = (i64, String, i64);

impl Sort<SortBy> {
    fn order(self) -> Order {
        let (key, down) = (Column::Id.into_expr(), self.descending);
        match self.by {
            SortBy::Created => Order::by_key(key, down),
            SortBy::Name => Order::by_text(Column::Name.into_expr(), key, down),
            SortBy::Author => Order::by_text(Column::Author.into_expr(), key, down),
            SortBy::Updated => Order::by_time(Column::UpdatedAt.into_expr(), key, down),
        }
    }

    fn place<S>(self, driver: &Driver<S>) -> Place {
        let id = driver.id();
        match self.by {
            SortBy::Created => Place::of_key(id),
            SortBy::Name => Place(driver.key.name.clone(), id),
            SortBy::Author => Place(driver.key.author.clone(), id),
            SortBy::Updated => Place::of_time(driver.updated_at, id),
        }
    }

    fn rank<S>(self, driver: &Driver<S>) -> Rank {
        self.rank_of(&self.place(driver))
    }

    /// Returns the rank of a place that a client may have made up; the query rejects invalid ones.
    fn rank_of(self, Place(text, id): &Place) -> Rank {
        match self.by {
            SortBy::Updated => {
                let time = text.parse::<Time>().unwrap_or_default();
                (time.timestamp_micros(), String::new(), *id)
            }
            _ => (0, text.clone(), *id),
        }
    }

    fn is_behind(self, rank: &Rank, other: &Rank) -> bool {
        match self.descending {
            true => rank < other,
            false => rank > other,
        }
    }
}

impl Filter {
    fn condition(&self, elements: Elements) -> Condition {
        let supported = (self.manufacturer.is_some() || self.model.is_some()).then(|| {
            let member = |name, text: &Option<String>| {
                let text = text.as_deref();
                text.map(|text| listing::equals(elements.member(name), text))
            };
            elements.any_supported(
                Condition::all()
                    .add_option(member("manufacturer", &self.manufacturer))
                    .add_option(member("model", &self.model)),
            )
        });
        let label = self.label.as_ref();
        let label = label.map(|label| {
            let is_it = sea_orm::sea_query::ExprTrait::eq(elements.label(), label.as_str());
            elements.any_label(Condition::all().add(is_it))
        });
        let search = self.search.as_ref().map(|text| {
            let columns = [Column::Author, Column::Name, Column::Description];
            let member = |name| listing::holds(elements.member(name), text);
            let supported = Condition::any()
                .add(member("manufacturer"))
                .add(member("model"));
            listing::holding(text, &columns)
                .add(elements.any_supported(supported))
                .add(elements.any_label(listing::holds(elements.label(), text)))
        });
        Condition::all()
            .add_option(self.author.as_ref().map(|author| Column::Author.eq(author)))
            .add_option(supported)
            .add_option(label)
            .add_option(search)
    }
}

/// Elements of a driver's JSON arrays, in the SQL of the database.
#[derive(Clone, Copy)]
struct Elements(DbBackend);

impl Elements {
    /// Returns a member of a supported device.
    fn member(self, name: &str) -> SimpleExpr {
        Expr::cust(match self.0 {
            DbBackend::Postgres => format!("element.value ->> '{name}'"),
            _ => format!("json_extract(element.value, '$.{name}')"),
        })
    }

    fn label(self) -> SimpleExpr {
        Expr::cust("element.value")
    }

    fn any_supported(self, condition: Condition) -> SimpleExpr {
        self.any("jsonb_array_elements", "supports", condition)
    }

    fn any_label(self, condition: Condition) -> SimpleExpr {
        self.any("jsonb_array_elements_text", "labels", condition)
    }

    fn any(self, function: &str, column: &str, condition: Condition) -> SimpleExpr {
        let (function, alias, placeholder) = match self.0 {
            DbBackend::Postgres => (function, "element(value)", "$1"),
            _ => ("json_each", "element", "?"),
        };
        let sql = format!(
            "EXISTS (SELECT 1 FROM {function}(\"drivers\".\"{column}\") AS {alias} WHERE {placeholder})"
        );
        Expr::cust_with_exprs(sql, [condition.into()])
    }
}
