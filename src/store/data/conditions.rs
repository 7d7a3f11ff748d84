//! Conditions on the values of rows, in the SQL of both databases.
//!
//! A value is compared with one of its own JSON type only. Without that guard PostgreSQL fails the whole query at the
//! first text that is cast to a number, and SQLite takes texts for 0.

use sea_orm::{
    DbBackend, Value,
    sea_query::{Expr, SimpleExpr},
};
use serde_json::Number;

use super::number::sqlite_path;

/// Condition on the value of a column.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueCondition {
    /// Column: the member of a row's data.
    pub column: String,
    /// Comparison of the value with the operand.
    pub comparison: Comparison,
    /// Operand.
    pub operand: Operand,
}

/// Comparison of two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// They are equal.
    Equal,
    /// They are not equal.
    NotEqual,
    /// The first is less.
    Less,
    /// The first is less or equal.
    AtMost,
    /// The first is greater.
    Greater,
    /// The first is greater or equal.
    AtLeast,
}

/// Value to compare with.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// JSON number.
    Number(Number),
    /// Text. Texts are ordered by their characters' numbers.
    Text(String),
    /// Truth value; only for equality.
    Boolean(bool),
}

impl Comparison {
    fn sql(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
        }
    }
}

impl ValueCondition {
    /// Returns the condition on rows of `data_table_rows`.
    pub(super) fn sql(&self, backend: DbBackend) -> SimpleExpr {
        match backend {
            DbBackend::Postgres => self.on_postgres(),
            _ => self.on_sqlite(),
        }
    }

    fn on_postgres(&self) -> SimpleExpr {
        let text = "(\"data_table_rows\".\"data\" ->> CAST($2 AS text))";
        let (kind, value, operand) = match &self.operand {
            // The operand stays a text up to the server: as a binary number, it would lose digits there.
            Operand::Number(_) => (
                "number",
                format!("CAST({text} AS numeric)"),
                "CAST(CAST($3 AS text) AS numeric)",
            ),
            Operand::Text(_) => (
                "string",
                format!("{text} COLLATE \"C\""),
                "CAST($3 AS text)",
            ),
            Operand::Boolean(_) => ("boolean", text.to_owned(), "CAST($3 AS text)"),
        };
        let comparison = self.comparison.sql();
        let sql = format!(
            "(CASE WHEN jsonb_typeof(\"data_table_rows\".\"data\" -> CAST($1 AS text)) = '{kind}' \
             THEN {value} {comparison} {operand} ELSE FALSE END)"
        );
        let column = || Value::from(self.column.clone());
        Expr::cust_with_values(sql, [column(), column(), self.operand.text().into()])
    }

    fn on_sqlite(&self) -> SimpleExpr {
        let of_type = "json_type(\"data_table_rows\".\"data\", ?)";
        let of_value = "json_extract(\"data_table_rows\".\"data\", ?)";
        let (kinds, value, operand) = match &self.operand {
            // Both numbers are read from text by SQLite, so that equal ones are equal.
            Operand::Number(_) => ("'integer', 'real'", of_value, "json_extract(?, '$')"),
            Operand::Text(_) => ("'text'", of_value, "?"),
            Operand::Boolean(_) => ("'true', 'false'", of_type, "?"),
        };
        let comparison = self.comparison.sql();
        let sql = format!(
            "(CASE WHEN {of_type} IN ({kinds}) THEN {value} {comparison} {operand} ELSE FALSE END)"
        );
        let path = || Value::from(sqlite_path(&self.column));
        Expr::cust_with_values(sql, [path(), path(), self.operand.text().into()])
    }
}

impl Operand {
    fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
            Self::Boolean(value) => value.to_string(),
        }
    }
}
