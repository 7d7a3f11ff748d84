//! The language of conditions on the values of rows.
//!
//! ```text
//! temperature>30, door.open=true, "state of charge"<=20
//! ```
//!
//! ```ebnf
//! filter    = condition , { "," , condition } ;
//! condition = column , ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) , value ;
//! column    = quoted | ( character - ( "=" | "!" | "<" | ">" | "," | '"' ) )+ ;
//! value     = quoted | ( character - ( "," | '"' ) )+ ;
//! quoted    = (* a JSON string *) ;
//! ```
//!
//! White space around columns and values is free. A value without quotes is a number or a truth value if it reads like
//! one and the column is not of the type text; otherwise it is a text.

use serde_json::{Deserializer, Number};

use super::columns::{Column, ColumnType};
use crate::{
    error::Error,
    store::data::conditions::{Comparison, Operand, ValueCondition},
};

/// Maximum number of conditions.
const CONDITIONS_MAX: usize = 16;
/// Comparisons by their signs; those that begin with another's sign come first.
const COMPARISONS: [(&str, Comparison); 6] = [
    ("!=", Comparison::NotEqual),
    ("<=", Comparison::AtMost),
    (">=", Comparison::AtLeast),
    ("=", Comparison::Equal),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
];

/// Column or value of a condition.
enum Word {
    Quoted(String),
    Bare(String),
}

/// Reads the conditions on rows of a table with these columns; `None` for a table that stores all fields.
pub fn read(text: &str, columns: Option<&[Column]>) -> Result<Vec<ValueCondition>, Error> {
    conditions(text, columns).map_err(|rule| Error::field("filter", rule))
}

fn conditions(text: &str, columns: Option<&[Column]>) -> Result<Vec<ValueCondition>, String> {
    let mut conditions = Vec::new();
    let mut rest = text;
    loop {
        let (condition, behind) = condition(rest, columns)?;
        conditions.push(condition);
        if conditions.len() > CONDITIONS_MAX {
            return Err(format!("must have at most {CONDITIONS_MAX} conditions"));
        }
        match behind.strip_prefix(',') {
            Some(behind) => rest = behind,
            None => return Ok(conditions),
        }
    }
}

/// Reads one condition; returns the text behind it, which is empty or begins with a comma.
fn condition<'a>(
    text: &'a str,
    columns: Option<&[Column]>,
) -> Result<(ValueCondition, &'a str), String> {
    let (column, rest) = word(text, &['=', '!', '<', '>', ',', '"'])?
        .ok_or("each condition must begin with a column, such as in temperature>30")?;
    let column = column.text();
    let of_column = |rule: &str| format!("{column}: {rule}");
    let (comparison, rest) = COMPARISONS
        .iter()
        .find_map(|(sign, comparison)| Some((*comparison, rest.strip_prefix(sign)?)))
        .ok_or_else(|| of_column("must be followed by one of =, !=, <, <=, >, >="))?;
    let (value, rest) = word(rest, &[',', '"'])
        .map_err(|rule| of_column(&rule))?
        .ok_or_else(|| of_column("must be compared with a number, a text, true or false"))?;
    if !rest.is_empty() && !rest.starts_with(',') {
        return Err(of_column(
            "its value must be followed by a comma or the end; put texts with a comma or a quote in quotes",
        ));
    }
    let kind = match columns {
        None => ColumnType::Json,
        Some(columns) => {
            let known = columns.iter().find(|known| *known.path == *column);
            let known = known.ok_or_else(|| of_column("must be a column of the data table"))?;
            known.kind
        }
    };
    let operand = operand(value, kind).map_err(&of_column)?;
    let is_order = !matches!(comparison, Comparison::Equal | Comparison::NotEqual);
    if is_order && matches!(operand, Operand::Boolean(_)) {
        return Err(of_column("true and false are compared by = and != only"));
    }
    let condition = ValueCondition {
        column,
        comparison,
        operand,
    };
    Ok((condition, rest))
}

/// Reads a word and the white space around it; `None` if there is none. A word without quotes ends before one of the
/// characters of `ends`.
fn word<'a>(text: &'a str, ends: &[char]) -> Result<Option<(Word, &'a str)>, String> {
    let text = text.trim_start();
    if text.starts_with('"') {
        let mut strings = Deserializer::from_str(text).into_iter::<String>();
        let quoted = strings.next().and_then(Result::ok);
        let quoted = quoted.filter(|quoted| !quoted.contains(char::is_control));
        let quoted =
            quoted.ok_or("a text in quotes must be a JSON string without control characters")?;
        let rest = text.get(strings.byte_offset()..).unwrap_or_default();
        return Ok(Some((Word::Quoted(quoted), rest.trim_start())));
    }
    let (bare, rest) = text.split_at(text.find(ends).unwrap_or(text.len()));
    let bare = bare.trim_end();
    Ok((!bare.is_empty()).then(|| (Word::Bare(bare.to_owned()), rest)))
}

/// Returns the value to compare a column of this type with.
fn operand(value: Word, kind: ColumnType) -> Result<Operand, &'static str> {
    match (kind, value) {
        (ColumnType::Text, value) => Ok(Operand::Text(value.text())),
        (ColumnType::Number, value) => match value.operand() {
            operand @ Operand::Number(_) => Ok(operand),
            _ => Err("must be compared with a number"),
        },
        (ColumnType::Boolean, value) => match value.operand() {
            operand @ Operand::Boolean(_) => Ok(operand),
            _ => Err("must be compared with true or false"),
        },
        (ColumnType::Json, value) => Ok(value.operand()),
    }
}

impl Word {
    fn text(self) -> String {
        match self {
            Self::Quoted(text) | Self::Bare(text) => text,
        }
    }

    fn operand(self) -> Operand {
        match self {
            Self::Quoted(text) => Operand::Text(text),
            Self::Bare(text) => match (text.as_str(), serde_json::from_str::<Number>(&text)) {
                ("true", _) => Operand::Boolean(true),
                ("false", _) => Operand::Boolean(false),
                (_, Ok(number)) => Operand::Number(number),
                (_, Err(_)) => Operand::Text(text),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn columns() -> Vec<Column> {
        serde_json::from_value(json!([
            {"path": "t", "type": "number"},
            {"path": "state", "type": "text"},
            {"path": "door.open", "type": "boolean"},
            {"path": "any", "type": "json"},
        ]))
        .unwrap()
    }

    fn number(text: &str) -> Operand {
        Operand::Number(serde_json::from_str(text).unwrap())
    }

    fn text(text: &str) -> Operand {
        Operand::Text(text.to_owned())
    }

    #[test]
    fn conditions_are_columns_signs_and_values() {
        use Comparison::{AtLeast, AtMost, Equal, Greater, Less, NotEqual};
        for (filter, expected) in [
            ("t>30", vec![("t", Greater, number("30"))]),
            (" t >= -1.5e2 ", vec![("t", AtLeast, number("-150.0"))]),
            (
                "t<30,state=open,door.open!=true",
                vec![
                    ("t", Less, number("30")),
                    ("state", Equal, text("open")),
                    ("door.open", NotEqual, Operand::Boolean(true)),
                ],
            ),
            ("state<=12", vec![("state", AtMost, text("12"))]),
            ("state=true", vec![("state", Equal, text("true"))]),
            ("state=a = b", vec![("state", Equal, text("a = b"))]),
            (
                r#" "state" = "a, \"b\"" , t=1"#,
                vec![
                    ("state", Equal, text("a, \"b\"")),
                    ("t", Equal, number("1")),
                ],
            ),
            ("any=12", vec![("any", Equal, number("12"))]),
            ("any=\"12\"", vec![("any", Equal, text("12"))]),
            ("any=2026-03-02", vec![("any", Equal, text("2026-03-02"))]),
            ("any=\"\"", vec![("any", Equal, text(""))]),
        ] {
            let expected: Vec<ValueCondition> = expected
                .into_iter()
                .map(|(column, comparison, operand)| ValueCondition {
                    column: column.to_owned(),
                    comparison,
                    operand,
                })
                .collect();
            let found = conditions(filter, Some(&columns()));
            assert_eq!(found, Ok(expected), "{filter}");
        }
        assert!(conditions("anything=1", None).is_ok());
    }

    #[test]
    fn an_error_names_the_column_and_the_rule() {
        for (filter, expected) in [
            (" ", "each condition must begin with a column"),
            (">30", "each condition must begin with a column"),
            ("t>30,", "each condition must begin with a column"),
            ("t", "t: must be followed by one of"),
            ("t!30", "t: must be followed by one of"),
            ("t>", "t: must be compared with a number, a text"),
            ("t>,state=a", "t: must be compared with a number, a text"),
            ("t=\"30\"", "t: must be compared with a number"),
            ("t=warm", "t: must be compared with a number"),
            ("t=1e400", "t: must be compared with a number"),
            ("t=>30", "t: must be compared with a number"),
            ("t=NaN", "t: must be compared with a number"),
            (
                "door.open=1",
                "door.open: must be compared with true or false",
            ),
            (
                "door.open>true",
                "door.open: true and false are compared by",
            ),
            ("any<false", "any: true and false are compared by"),
            ("state=\"a\" b", "state: its value must be followed by"),
            ("state=a\"b\"", "state: its value must be followed by"),
            ("state=\"a", "state: a text in quotes must be"),
            ("state=\"\\u0000\"", "state: a text in quotes must be"),
            ("\"state=a", "a text in quotes must be"),
            (
                "humidity<10",
                "humidity: must be a column of the data table",
            ),
        ] {
            let error = conditions(filter, Some(&columns())).unwrap_err();
            assert!(error.starts_with(expected), "{filter}: {error}");
        }
        let many = vec!["t>1"; CONDITIONS_MAX + 1].join(",");
        let error = conditions(&many, None).unwrap_err();
        assert_eq!(error, "must have at most 16 conditions");
        assert!(conditions(&vec!["t>1"; CONDITIONS_MAX].join(","), None).is_ok());
    }
}
