//! Label selectors in SQL: the one translation, for whatever lists or changes devices.

use std::sync::Arc;

use moka::sync::Cache;
use sea_orm::{
    ColumnTrait, Condition,
    sea_query::{Expr, ExprTrait, Func, Query, SelectStatement},
};

use crate::{
    selector::{Expression, Selector},
    store::entities::{device, device_label},
};

/// What is kept ready of selectors, in bytes: of ten thousand as they usually are.
const SELECTORS_MAX_BYTES: u64 = 16 << 20;
/// What a selector takes beside its text, and for each byte of that.
const ENTRY_BYTES: usize = 512;
const PARSED_BYTES: usize = 4;

/// Stored selectors by their text, which means the same for ever.
pub struct Selectors(Cache<String, Arc<Selector>>);

impl Default for Selectors {
    fn default() -> Self {
        let weigh = |text: &String, _: &Arc<Selector>| {
            u32::try_from(ENTRY_BYTES + PARSED_BYTES * text.len()).unwrap_or(u32::MAX)
        };
        Self(
            Cache::builder()
                .max_capacity(SELECTORS_MAX_BYTES)
                .weigher(weigh)
                .build(),
        )
    }
}

impl Selectors {
    /// The selector of this text; `None`: it does not read.
    pub fn read(&self, text: &str) -> Option<Arc<Selector>> {
        if let Some(selector) = self.0.get(text) {
            return Some(selector);
        }
        let selector = Arc::new(Selector::parse(text).ok()?);
        self.0.insert(text.to_owned(), selector.clone());
        Some(selector)
    }
}

/// The devices that a selector picks.
pub fn picked(selector: &Selector) -> Condition {
    condition(selector.expression())
}

fn condition(expression: &Expression) -> Condition {
    match expression {
        Expression::All(parts) => parts
            .iter()
            .fold(Condition::all(), |all, part| all.add(condition(part))),
        Expression::Any(parts) => parts
            .iter()
            .fold(Condition::any(), |any, part| any.add(condition(part))),
        Expression::Not(part) => condition(part).not(),
        Expression::Exists(name) => {
            let own = device_label::Column::Label.eq(name);
            if name.contains('=') {
                return having(own.into());
            }
            // Not LIKE: SQLite's knows no difference between upper and lower case.
            let start = format!("{name}=");
            let length = i32::try_from(start.chars().count()).unwrap_or(i32::MAX);
            let label = Expr::col((device_label::Entity, device_label::Column::Label));
            let with_key = Expr::expr(
                Func::cust("SUBSTR")
                    .arg(label)
                    .arg(Expr::value(1))
                    .arg(Expr::value(length)),
            )
            .eq(start);
            having(Condition::any().add(own).add(with_key))
        }
        Expression::In { key, values } => {
            let labels = values.iter().map(|value| format!("{key}={value}"));
            having(device_label::Column::Label.is_in(labels).into())
        }
    }
}

/// The devices that have a label like this.
fn having(label: Condition) -> Condition {
    let labels: SelectStatement = Query::select()
        .expr(Expr::value(1))
        .from(device_label::Entity)
        .and_where(
            Expr::col((device_label::Entity, device_label::Column::DeviceKey))
                .equals((device::Entity, device::Column::Id)),
        )
        .cond_where(label)
        .to_owned();
    Condition::all().add(Expr::exists(labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_once() {
        let selectors = Selectors::default();
        let read = || selectors.read("site=berlin").unwrap();
        assert!(Arc::ptr_eq(&read(), &read()));
        assert!(selectors.read("a in (").is_none());
    }
}
