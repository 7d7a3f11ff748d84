//! Numbers in stored JSON, as an expression of SQL that never fails: a text, an object or a missing field is no
//! number. PostgreSQL would fail the whole query on a text, and SQLite would count it as 0.

use sea_orm::{
    DbBackend,
    sea_query::{CaseStatement, Expr, ExprTrait, Func, SimpleExpr},
};

/// Maximum number of parts of a path that may be the index of an array: each doubles the places that are looked at.
const INDEXES_MAX: usize = 3;

/// Path of a field in the decoded data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberPath {
    text: String,
    /// False if only the field of this name is meant.
    is_nested: bool,
}

impl NumberPath {
    /// Checks a path; the error is the broken rule.
    pub fn new(text: &str) -> Result<Self, String> {
        match has_few_indexes(text) {
            true => Ok(Self::of_column(text)),
            false => Err(format!("must have at most {INDEXES_MAX} indexes of arrays")),
        }
    }

    /// Returns the path of a data table's column. Its rows have a field of this name, so that it can have more indexes
    /// than can be looked up.
    pub fn of_column(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            is_nested: text.contains('.') && has_few_indexes(text),
        }
    }

    /// Returns the path as the client wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the number at this path of the column `data`; null if it is none. A field whose own name contains dots
    /// takes precedence over a path.
    pub(super) fn number(&self, backend: DbBackend) -> SimpleExpr {
        match backend {
            DbBackend::Postgres => self.of_postgres(),
            _ => self.of_sqlite(),
        }
    }

    fn of_postgres(&self) -> SimpleExpr {
        let at = |parts: &[&str]| {
            let start = Func::cust("jsonb_extract_path").arg(data());
            parts
                .iter()
                .fold(start, |call, part| call.arg(Expr::value(*part)))
        };
        let parts: Vec<&str> = self.text.split('.').collect();
        // PostgreSQL counts negative indexes from the end of an array; the hub has none.
        let is_plain = !parts.iter().any(|part| is_signed(part));
        let value: SimpleExpr = match self.is_nested && is_plain {
            true => Func::coalesce([at(&[&self.text]), at(&parts)]).into(),
            false => at(&[&self.text]).into(),
        };
        let kind = Func::cust("jsonb_typeof").arg(value.clone());
        CaseStatement::new()
            .case(Expr::expr(kind).eq("number"), value.cast_as("float8"))
            .into()
    }

    fn of_sqlite(&self) -> SimpleExpr {
        let mut case = CaseStatement::new();
        for path in self.places() {
            let kind = || Expr::expr(Func::cust("json_type").arg(data()).arg(path.as_str()));
            let value = Func::cust("json_extract").arg(data()).arg(path.as_str());
            case = case
                .case(
                    kind().is_in(["integer", "real"]),
                    Expr::expr(value).cast_as("REAL"),
                )
                .case(kind().is_not_null(), Expr::cust("NULL"));
        }
        case.into()
    }

    /// Returns the places at which the field may be, in the order in which they are looked at, as SQLite writes them.
    /// It does not find out itself whether a number is an index or a name.
    fn places(&self) -> Vec<String> {
        let own = sqlite_path(&self.text);
        if !self.is_nested {
            return vec![own];
        }
        let mut nested = vec!["$".to_owned()];
        for (place, part) in self.text.split('.').enumerate() {
            let name = serde_json::Value::from(part);
            let named = nested.iter().map(|path| format!("{path}.{name}"));
            // The data themselves are an object.
            let indexed = index(part).filter(|_| place > 0).into_iter();
            let indexed =
                indexed.flat_map(|index| nested.iter().map(move |path| format!("{path}[{index}]")));
            nested = named.chain(indexed).collect();
        }
        [own].into_iter().chain(nested).collect()
    }
}

/// Returns SQLite's path of a member, whose name it reads as a JSON text.
pub(super) fn sqlite_path(name: &str) -> String {
    format!("$.{}", serde_json::Value::from(name))
}

fn data() -> SimpleExpr {
    Expr::cust("data")
}

fn has_few_indexes(path: &str) -> bool {
    let indexes = path.split('.').filter(|part| index(part).is_some());
    indexes.count() <= INDEXES_MAX
}

/// Returns the index that this part of a path may be.
fn index(part: &str) -> Option<u32> {
    part.parse().ok().filter(|_| !is_signed(part))
}

fn is_signed(part: &str) -> bool {
    part.starts_with(['-', '+', ' '])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_in_a_path_is_a_name_or_an_index() {
        let places = |path| NumberPath::new(path).unwrap().places();
        assert_eq!(places("temperature"), ["$.\"temperature\""]);
        assert_eq!(
            places("probes.0.t"),
            [
                "$.\"probes.0.t\"",
                "$.\"probes\".\"0\".\"t\"",
                "$.\"probes\"[0].\"t\""
            ]
        );
        assert_eq!(places("0.-1"), ["$.\"0.-1\"", "$.\"0\".\"-1\""]);
        assert_eq!(places("a\"b"), ["$.\"a\\\"b\""]);
    }

    #[test]
    fn paths_with_too_many_indexes_are_refused_unless_they_name_a_column() {
        let many = "a.1.2.3.4";
        assert!(NumberPath::new("a.1.b.2.c.3").is_ok());
        assert!(NumberPath::new(many).is_err());
        assert_eq!(NumberPath::of_column(many).places(), ["$.\"a.1.2.3.4\""]);
    }
}
