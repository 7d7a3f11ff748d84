//! Rewrites a template so that it measures the values it creates.
//!
//! The engine's fuel counts steps and bytes that are created. It does not count the work of one step on
//! an existing value, such as taking a character of a text, looking up a list in a map, or comparing.
//! Comparing a list that contains another list twice, forty levels deep, would take forever in one
//! step. So every value that is created, compared or taken apart passes through a filter that bounds
//! its size and consumes fuel for it: no step costs more than its fuel.

use minijinja::{
    Error, ErrorKind, Value,
    machinery::{
        Span,
        ast::{
            self, BinOpKind, Call, CallArg, Compare, CompareOp, EmitExpr, EmitRaw, Expr, ForLoop,
            Spanned, Stmt, UnaryOp,
        },
    },
};

/// Filter that bounds the size of a value. Templates cannot name it.
pub const BOUNDED: &str = "=bounded";
/// Filter that consumes fuel for a text, or for the number of items of a list.
pub const PAID: &str = "=paid";

/// Number of bytes that one unit of fuel pays for.
const SHORT_BYTES: usize = 64;
/// Maximum nesting of a template, because processing it recurses.
const DEPTH_MAX: usize = 150;

/// Returns the template with the filters inserted.
pub fn measured<'a>(template: &Stmt<'a>) -> Result<Stmt<'a>, Error> {
    Rewrite { depth: 0 }.statement(template)
}

struct Rewrite {
    depth: usize,
}

fn spanned<T>(node: T, span: Span) -> Spanned<T> {
    Spanned::new(node, span)
}

fn filter<'a>(name: &'a str, value: Option<Expr<'a>>, span: Span) -> Expr<'a> {
    let filter = ast::Filter {
        name,
        expr: value,
        args: Vec::new(),
    };
    Expr::Filter(spanned(filter, span))
}

fn is_bounded(expression: &Expr<'_>) -> bool {
    match expression {
        Expr::Const(constant) => is_short(&constant.value),
        // The result is a boolean.
        Expr::Compare(_) | Expr::Test(_) => true,
        Expr::Filter(filter) => filter.name == BOUNDED,
        _ => false,
    }
}

/// True if the value costs no more than the step that contains it.
fn is_short(value: &Value) -> bool {
    match value.as_str() {
        Some(text) => text.len() <= SHORT_BYTES,
        None => value.as_object().is_none(),
    }
}

fn bounded(expression: Expr<'_>) -> Expr<'_> {
    if is_bounded(&expression) {
        return expression;
    }
    let span = expression.span();
    filter(BOUNDED, Some(expression), span)
}

impl Rewrite {
    /// Descends one level.
    fn nested<T>(&mut self, then: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.depth == DEPTH_MAX {
            let rule = format!("the template has more than {DEPTH_MAX} nested levels");
            return Err(Error::new(ErrorKind::SyntaxError, rule));
        }
        self.depth += 1;
        let done = then(self);
        self.depth -= 1;
        done
    }

    fn statements<'a>(&mut self, statements: &[Stmt<'a>]) -> Result<Vec<Stmt<'a>>, Error> {
        let each = statements.iter().map(|statement| self.statement(statement));
        each.collect()
    }

    fn statement<'a>(&mut self, statement: &Stmt<'a>) -> Result<Stmt<'a>, Error> {
        self.nested(|at| at.statement_here(statement))
    }

    fn statement_here<'a>(&mut self, statement: &Stmt<'a>) -> Result<Stmt<'a>, Error> {
        Ok(match statement {
            Stmt::Template(node) => {
                let children = self.statements(&node.children)?;
                Stmt::Template(spanned(ast::Template { children }, node.span()))
            }
            Stmt::EmitRaw(node) => Stmt::EmitRaw(spanned(EmitRaw { raw: node.raw }, node.span())),
            Stmt::EmitExpr(node) => {
                let expr = match &node.expr {
                    // The engine recognises the recursive call of a loop by this form.
                    Expr::Call(call) => Expr::Call(self.call(call)?),
                    other => self.expression(other)?,
                };
                Stmt::EmitExpr(spanned(EmitExpr { expr }, node.span()))
            }
            Stmt::ForLoop(node) => self.for_loop(node)?,
            Stmt::IfCond(node) => {
                let new = ast::IfCond {
                    expr: self.expression(&node.expr)?,
                    true_body: self.statements(&node.true_body)?,
                    false_body: self.statements(&node.false_body)?,
                };
                Stmt::IfCond(spanned(new, node.span()))
            }
            Stmt::WithBlock(node) => self.with_block(node)?,
            Stmt::Set(node) => {
                let new = ast::Set {
                    target: self.place(&node.target)?,
                    expr: self.expression(&node.expr)?,
                };
                Stmt::Set(spanned(new, node.span()))
            }
            Stmt::SetBlock(node) => self.set_block(node)?,
            Stmt::AutoEscape(node) => {
                let new = ast::AutoEscape {
                    enabled: self.expression(&node.enabled)?,
                    body: self.statements(&node.body)?,
                };
                Stmt::AutoEscape(spanned(new, node.span()))
            }
            Stmt::FilterBlock(node) => {
                let new = ast::FilterBlock {
                    filter: self.expression(&node.filter)?,
                    filter_span: node.filter_span,
                    body: self.statements(&node.body)?,
                };
                Stmt::FilterBlock(spanned(new, node.span()))
            }
            Stmt::Do(node) => {
                let call = self.call(&node.call)?;
                Stmt::Do(spanned(ast::Do { call }, node.span()))
            }
        })
    }

    fn for_loop<'a>(&mut self, node: &Spanned<ForLoop<'a>>) -> Result<Stmt<'a>, Error> {
        let new = ForLoop {
            target: self.place(&node.target)?,
            iter: self.bounded(&node.iter)?,
            filter_expr: self.optional(node.filter_expr.as_ref())?,
            recursive: node.recursive,
            body: self.statements(&node.body)?,
            else_body: self.statements(&node.else_body)?,
        };
        Ok(Stmt::ForLoop(spanned(new, node.span())))
    }

    fn with_block<'a>(&mut self, node: &Spanned<ast::WithBlock<'a>>) -> Result<Stmt<'a>, Error> {
        let assignments = node.assignments.iter();
        let assignments: Result<_, Error> = assignments
            .map(|(place, value)| Ok((self.place(place)?, self.expression(value)?)))
            .collect();
        let new = ast::WithBlock {
            assignments: assignments?,
            body: self.statements(&node.body)?,
        };
        Ok(Stmt::WithBlock(spanned(new, node.span())))
    }

    fn set_block<'a>(&mut self, node: &Spanned<ast::SetBlock<'a>>) -> Result<Stmt<'a>, Error> {
        let filter = match &node.filter {
            Some(chain) => self.expression(chain)?,
            None => filter(BOUNDED, None, node.span()),
        };
        let new = ast::SetBlock {
            target: self.place(&node.target)?,
            filter: Some(filter),
            body: self.statements(&node.body)?,
        };
        Ok(Stmt::SetBlock(spanned(new, node.span())))
    }

    fn bounded<'a>(&mut self, expression: &Expr<'a>) -> Result<Expr<'a>, Error> {
        Ok(bounded(self.expression(expression)?))
    }

    fn optional<'a>(&mut self, value: Option<&Expr<'a>>) -> Result<Option<Expr<'a>>, Error> {
        value.map(|value| self.expression(value)).transpose()
    }

    fn all_bounded<'a>(&mut self, expressions: &[Expr<'a>]) -> Result<Vec<Expr<'a>>, Error> {
        expressions.iter().map(|each| self.bounded(each)).collect()
    }

    fn all<'a>(&mut self, expressions: &[Expr<'a>]) -> Result<Vec<Expr<'a>>, Error> {
        let each = expressions.iter().map(|each| self.expression(each));
        each.collect()
    }

    fn expression<'a>(&mut self, expression: &Expr<'a>) -> Result<Expr<'a>, Error> {
        self.nested(|at| at.expression_here(expression))
    }

    fn expression_here<'a>(&mut self, expression: &Expr<'a>) -> Result<Expr<'a>, Error> {
        Ok(match expression {
            Expr::Var(node) => Expr::Var(spanned(ast::Var { id: node.id }, node.span())),
            Expr::Const(node) => {
                let value = node.value.clone();
                Expr::Const(spanned(ast::Const { value }, node.span()))
            }
            Expr::Slice(node) => self.slice(node)?,
            Expr::UnaryOp(node) => {
                let new = UnaryOp {
                    op: match node.op {
                        ast::UnaryOpKind::Not => ast::UnaryOpKind::Not,
                        ast::UnaryOpKind::Neg => ast::UnaryOpKind::Neg,
                    },
                    expr: self.expression(&node.expr)?,
                };
                Expr::UnaryOp(spanned(new, node.span()))
            }
            Expr::BinOp(node) => self.operation(node)?,
            Expr::Compare(node) => self.comparison(node)?,
            Expr::IfExpr(node) => {
                let new = ast::IfExpr {
                    test_expr: self.expression(&node.test_expr)?,
                    true_expr: self.expression(&node.true_expr)?,
                    false_expr: self.optional(node.false_expr.as_ref())?,
                };
                Expr::IfExpr(spanned(new, node.span()))
            }
            Expr::Filter(node) => self.filtered(node)?,
            Expr::Test(node) => {
                let new = ast::Test {
                    name: node.name,
                    expr: self.bounded(&node.expr)?,
                    args: self.arguments(&node.args)?,
                };
                Expr::Test(spanned(new, node.span()))
            }
            Expr::GetAttr(node) => {
                let (expr, name) = (self.expression(&node.expr)?, node.name);
                Expr::GetAttr(spanned(ast::GetAttr { expr, name }, node.span()))
            }
            Expr::GetItem(node) => self.item(node)?,
            Expr::Call(node) => bounded(Expr::Call(self.call(node)?)),
            Expr::List(node) => {
                let items = self.all(&node.items)?;
                bounded(Expr::List(spanned(ast::List { items }, node.span())))
            }
            Expr::Tuple(node) => {
                let items = self.all(&node.items)?;
                bounded(Expr::Tuple(spanned(ast::Tuple { items }, node.span())))
            }
            Expr::Map(node) => {
                let new = ast::Map {
                    keys: self.all_bounded(&node.keys)?,
                    values: self.all(&node.values)?,
                };
                bounded(Expr::Map(spanned(new, node.span())))
            }
        })
    }

    fn slice<'a>(&mut self, node: &Spanned<ast::Slice<'a>>) -> Result<Expr<'a>, Error> {
        let new = ast::Slice {
            expr: self.paid(&node.expr)?,
            start: self.optional(node.start.as_ref())?,
            stop: self.optional(node.stop.as_ref())?,
            step: self.optional(node.step.as_ref())?,
        };
        Ok(bounded(Expr::Slice(spanned(new, node.span()))))
    }

    fn comparison<'a>(&mut self, node: &Spanned<Compare<'a>>) -> Result<Expr<'a>, Error> {
        let ops = node.ops.iter().map(|operand| {
            let (op, expr) = (operand.op, self.bounded(&operand.expr)?);
            Ok(CompareOp { op, expr })
        });
        let ops = ops.collect::<Result<_, Error>>()?;
        let expr = self.bounded(&node.expr)?;
        Ok(Expr::Compare(spanned(Compare { expr, ops }, node.span())))
    }

    fn filtered<'a>(&mut self, node: &Spanned<ast::Filter<'a>>) -> Result<Expr<'a>, Error> {
        let value = match &node.expr {
            Some(value) => self.bounded(value)?,
            // The value is the output of a block.
            None => filter(BOUNDED, None, node.span()),
        };
        let new = ast::Filter {
            name: node.name,
            expr: Some(value),
            args: self.arguments(&node.args)?,
        };
        Ok(bounded(Expr::Filter(spanned(new, node.span()))))
    }

    fn item<'a>(&mut self, node: &Spanned<ast::GetItem<'a>>) -> Result<Expr<'a>, Error> {
        // A short constant name can only be looked up in a map, which is cheap.
        let is_name = matches!(&node.subscript_expr,
            Expr::Const(name) if name.value.as_str().is_some() && is_short(&name.value));
        let new = ast::GetItem {
            expr: match is_name {
                true => self.expression(&node.expr)?,
                false => self.paid(&node.expr)?,
            },
            subscript_expr: self.bounded(&node.subscript_expr)?,
        };
        Ok(Expr::GetItem(spanned(new, node.span())))
    }

    fn operation<'a>(&mut self, node: &Spanned<ast::BinOp<'a>>) -> Result<Expr<'a>, Error> {
        let is_choice = matches!(node.op, BinOpKind::ScAnd | BinOpKind::ScOr);
        let (left, right) = match is_choice {
            true => (self.expression(&node.left)?, self.expression(&node.right)?),
            false => (self.bounded(&node.left)?, self.bounded(&node.right)?),
        };
        let op = node.op;
        let made = Expr::BinOp(spanned(ast::BinOp { op, left, right }, node.span()));
        Ok(if is_choice { made } else { bounded(made) })
    }

    fn paid<'a>(&mut self, expression: &Expr<'a>) -> Result<Expr<'a>, Error> {
        let expression = self.expression(expression)?;
        let span = expression.span();
        Ok(filter(PAID, Some(expression), span))
    }

    fn call<'a>(&mut self, node: &Spanned<Call<'a>>) -> Result<Spanned<Call<'a>>, Error> {
        let new = Call {
            expr: self.expression(&node.expr)?,
            args: self.arguments(&node.args)?,
        };
        Ok(spanned(new, node.span()))
    }

    fn arguments<'a>(&mut self, arguments: &[CallArg<'a>]) -> Result<Vec<CallArg<'a>>, Error> {
        let each = arguments.iter().map(|argument| {
            Ok(match argument {
                CallArg::Pos(value) => CallArg::Pos(self.bounded(value)?),
                CallArg::Kwarg(name, value) => CallArg::Kwarg(name, self.bounded(value)?),
                CallArg::PosSplat(value) => CallArg::PosSplat(self.bounded(value)?),
                CallArg::KwargSplat(value) => CallArg::KwargSplat(self.bounded(value)?),
            })
        });
        each.collect()
    }

    /// Copies the target of an assignment, which consists of names.
    fn place<'a>(&mut self, place: &Expr<'a>) -> Result<Expr<'a>, Error> {
        let places = |at: &mut Self, items: &[Expr<'a>]| -> Result<Vec<_>, Error> {
            items.iter().map(|item| at.place(item)).collect()
        };
        self.nested(|at| match place {
            Expr::List(node) => {
                let items = places(at, &node.items)?;
                Ok(Expr::List(spanned(ast::List { items }, node.span())))
            }
            Expr::Tuple(node) => {
                let items = places(at, &node.items)?;
                Ok(Expr::Tuple(spanned(ast::Tuple { items }, node.span())))
            }
            other => at.expression_here(other),
        })
    }
}
