//! Translation of label selectors to SQL, shared by all lists and changes of devices.

use sea_orm::{
    ColumnTrait, Condition,
    sea_query::{Expr, ExprTrait, Func, Query, SelectStatement},
};

use crate::{
    selector::{Expression, Selector},
    store::entities::{device, device_label},
};

/// Returns the condition for devices that match a selector.
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
            // LIKE is not used because it ignores case in SQLite.
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

/// Returns the condition for devices that have a matching label.
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
