//! The parser of the grammar that [`super`] documents.
//!
//! A rule that fails for good returns `Cut` with a message; `Backtrack` only ever means that the symbol was
//! not found. Invariant: only the rule `group` recurses, and it counts its depth, so no text can exhaust the
//! stack.

use winnow::combinator::{alt, opt, preceded, separated, terminated};
use winnow::error::{ErrMode, ParserError};
use winnow::prelude::*;
use winnow::stream::{LocatingSlice, Location, Stateful};
use winnow::token::{any as any_character, literal, one_of, take_while};

use super::{Expression, Selector, SelectorError, is_bare, is_keyword};

type Input<'t> = Stateful<LocatingSlice<&'t str>, Used>;
type Parsed<T> = Result<T, ErrMode<Fault>>;

/// Usage of the limits so far.
#[derive(Debug)]
struct Used {
    terms: usize,
    depth: usize,
}

#[derive(Debug)]
struct Fault {
    /// Position in bytes.
    offset: usize,
    message: String,
}

impl Fault {
    fn in_text(self, text: &str) -> SelectorError {
        let before = text.get(..self.offset).unwrap_or(text);
        SelectorError {
            column: before.chars().count() + 1,
            message: self.message,
        }
    }
}

impl ParserError<Input<'_>> for Fault {
    type Inner = Self;

    fn from_input(input: &Input<'_>) -> Self {
        Self {
            offset: input.current_token_start(),
            message: String::new(),
        }
    }

    fn into_inner(self) -> Result<Self::Inner, Self> {
        Ok(self)
    }
}

fn fail<T>(offset: usize, message: impl Into<String>) -> Parsed<T> {
    Err(ErrMode::Cut(Fault {
        offset,
        message: message.into(),
    }))
}

fn expected<T>(input: &Input<'_>, what: &str) -> Parsed<T> {
    let rest: &str = input.input.as_ref();
    let word: String = rest.chars().take_while(|c| is_bare(*c)).take(40).collect();
    let found = match rest.chars().next() {
        None => "the end".to_owned(),
        Some('"') => "a quoted label".to_owned(),
        Some(_) if is_keyword(&word) => {
            format!("the keyword \"{word}\" (a label of that name needs quotes)")
        }
        Some(_) if !word.is_empty() => format!("\"{word}\""),
        Some(other) => format!("\"{}\"", other.escape_debug()),
    };
    fail(
        input.current_token_start(),
        format!("expected {what}, found {found}"),
    )
}

/// Parses a complete text, whose length has been checked.
pub(super) fn read(text: &str) -> Result<Expression, SelectorError> {
    let state = Used { terms: 0, depth: 0 };
    let mut input = Input {
        input: LocatingSlice::new(text),
        state,
    };
    match selector(&mut input) {
        Ok(expression) => Ok(expression),
        Err(ErrMode::Cut(fault) | ErrMode::Backtrack(fault)) => Err(fault.in_text(text)),
        Err(ErrMode::Incomplete(_)) => Err(Fault::from_input(&input).in_text(text)),
    }
}

fn selector(input: &mut Input<'_>) -> Parsed<Expression> {
    space(input)?;
    if input.is_empty() {
        return Ok(Expression::All(Vec::new()));
    }
    let expression = any(input)?;
    if input.is_empty() {
        return Ok(expression);
    }
    expected(input, "\",\", \"and\", \"or\" or the end")
}

fn any(input: &mut Input<'_>) -> Parsed<Expression> {
    let parts = separated(1.., all, keyword("or")).parse_next(input)?;
    Ok(Expression::join(parts, Expression::Any))
}

fn all(input: &mut Input<'_>) -> Parsed<Expression> {
    let parts = separated(1.., not, alt((symbol(","), keyword("and")))).parse_next(input)?;
    Ok(Expression::join(parts, Expression::All))
}

fn not(input: &mut Input<'_>) -> Parsed<Expression> {
    // A loop, because recursion over 4096 `!` would exhaust the stack.
    let mut negative = false;
    while opt(alt((symbol("!"), keyword("not"))))
        .parse_next(input)?
        .is_some()
    {
        negative = !negative;
    }
    let start = input.current_token_start();
    let expression = if opt(symbol("(")).parse_next(input)?.is_some() {
        group(input, start)?
    } else {
        term(input)?
    };
    Ok(if negative {
        expression.negated()
    } else {
        expression
    })
}

fn group(input: &mut Input<'_>, start: usize) -> Parsed<Expression> {
    input.state.depth += 1;
    if input.state.depth > Selector::MAX_DEPTH {
        return fail(
            start,
            format!("at most {} levels of parentheses", Selector::MAX_DEPTH),
        );
    }
    let expression = any(input)?;
    required(symbol(")"), "\",\", \"and\", \"or\" or \")\"").parse_next(input)?;
    input.state.depth -= 1;
    Ok(expression)
}

#[derive(Clone, Copy)]
enum Operator {
    Equal,
    In,
}

fn term(input: &mut Input<'_>) -> Parsed<Expression> {
    let start = input.current_token_start();
    let key = label(input, "a label")?;
    if key.is_empty() {
        return fail(start, "a label has at least 1 character");
    }
    let operator = opt(alt((
        symbol("!=").value((Operator::Equal, true)),
        symbol("=").value((Operator::Equal, false)),
        keyword("in").value((Operator::In, false)),
        preceded(keyword("not"), required(keyword("in"), "\"in\"")).value((Operator::In, true)),
    )))
    .parse_next(input)?;
    let Some((operator, negative)) = operator else {
        count_term(input, start)?;
        return Ok(Expression::Exists(key));
    };
    if key.contains('=') {
        return fail(start, "a key cannot contain \"=\"");
    }
    let values = match operator {
        Operator::Equal => vec![value(input, &key)?],
        Operator::In => {
            required(symbol("("), "\"(\"").parse_next(input)?;
            let one = |input: &mut Input<'_>| value(input, &key);
            let values: Vec<String> = separated(1.., one, symbol(",")).parse_next(input)?;
            required(symbol(")"), "\",\" or \")\"").parse_next(input)?;
            values
        }
    };
    let expression = Expression::In { key, values };
    Ok(if negative {
        expression.negated()
    } else {
        expression
    })
}

fn value(input: &mut Input<'_>, key: &str) -> Parsed<String> {
    let start = input.current_token_start();
    let value = label(input, "a value")?;
    if key.chars().count() + 1 + value.chars().count() > Selector::MAX_LABEL_CHARS {
        return too_long(start);
    }
    count_term(input, start)?;
    Ok(value)
}

fn count_term(input: &mut Input<'_>, start: usize) -> Parsed<()> {
    input.state.terms += 1;
    if input.state.terms > Selector::MAX_TERMS {
        return fail(start, format!("at most {} terms", Selector::MAX_TERMS));
    }
    Ok(())
}

fn too_long<T>(start: usize) -> Parsed<T> {
    fail(
        start,
        format!(
            "a label has at most {} characters",
            Selector::MAX_LABEL_CHARS
        ),
    )
}

fn label(input: &mut Input<'_>, what: &str) -> Parsed<String> {
    let start = input.current_token_start();
    let text = if opt(literal("\"")).parse_next(input)?.is_some() {
        quoted(input, start)?
    } else {
        let unreserved = word.verify(|word: &str| !is_keyword(word));
        required(unreserved, what).parse_next(input)?.to_owned()
    };
    if text.chars().count() > Selector::MAX_LABEL_CHARS {
        return too_long(start);
    }
    space(input)?;
    Ok(text)
}

/// Parses the rest of a quoted label after its opening quote, which is at `start`.
fn quoted(input: &mut Input<'_>, start: usize) -> Parsed<String> {
    let mut text = String::new();
    loop {
        let at = input.current_token_start();
        match opt(any_character).parse_next(input)? {
            None => return fail(start, "this quote is not closed"),
            Some('"') => return Ok(text),
            Some('\\') => match opt(one_of(['"', '\\'])).parse_next(input)? {
                Some(escaped) => text.push(escaped),
                None => return fail(at, "\"\\\" must be followed by \"\\\" or a quote"),
            },
            Some(control) if control.is_control() => {
                return fail(at, "a label cannot contain control characters");
            }
            Some(other) => text.push(other),
        }
    }
}

fn word<'t>(input: &mut Input<'t>) -> Parsed<&'t str> {
    take_while(1.., is_bare).parse_next(input)
}

fn keyword<'t>(keyword: &'static str) -> impl Parser<Input<'t>, (), ErrMode<Fault>> {
    let this = word.verify(move |word: &str| word.eq_ignore_ascii_case(keyword));
    terminated(this, space).void()
}

fn symbol<'t>(symbol: &'static str) -> impl Parser<Input<'t>, (), ErrMode<Fault>> {
    terminated(literal(symbol), space).void()
}

fn space(input: &mut Input<'_>) -> Parsed<()> {
    take_while(0.., char::is_whitespace)
        .void()
        .parse_next(input)
}

/// Makes a parser mandatory: if it does not match, parsing fails with a message that says that `what` was
/// expected.
fn required<'t, T>(
    mut parser: impl Parser<Input<'t>, T, ErrMode<Fault>>,
    what: &str,
) -> impl Parser<Input<'t>, T, ErrMode<Fault>> {
    move |input: &mut Input<'t>| match opt(parser.by_ref()).parse_next(input)? {
        Some(output) => Ok(output),
        None => expected(input, what),
    }
}
