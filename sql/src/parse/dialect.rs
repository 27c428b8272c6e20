//! The Postgres dialect of the grammar library, with what it lacks.
//!
//! Promises: `sqlparser` takes this dialect for its own Postgres one. On top of that it
//! - notes the farthest token any alternative of the grammar reached: the parser backtracks, and
//!   Postgres' error position is the token no alternative could take;
//! - counts the steps of the parse and stops at [`STEPS_PER_TOKEN_MAX`] per token, so that a text
//!   which makes the backtracking parser try exponentially many readings is refused instead;
//! - builds balanced trees of long `AND` and `OR` chains;
//! - reads `BETWEEN SYMMETRIC` and `some_type 'literal'`, which the library does not know.

use std::any::TypeId;
use std::cell::Cell;

use sqlparser::ast::{
    BinaryOperator, DataType, Expr, Ident, ObjectName, TypedString, UnaryOperator,
};
use sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

/// Steps of the parser allowed for each token of a statement before it is refused as too complex.
/// Ordinary statements need fewer than ten.
pub(super) const STEPS_PER_TOKEN_MAX: usize = 200;

/// Chains of `AND` or `OR` up to this long keep the shape they are written in (left-deep).
const BALANCED_CHAIN_LINKS_MIN: usize = 16;

/// `sqlparser`'s Postgres dialect with the additions named at the head of this module.
#[derive(Debug)]
pub(super) struct TidemarkDialect {
    postgres: PostgreSqlDialect,
    farthest: Cell<usize>,
    steps_left: Cell<usize>,
}

impl TidemarkDialect {
    /// A dialect for one statement of `token_count` tokens.
    pub(super) fn new(token_count: usize) -> Self {
        Self {
            postgres: PostgreSqlDialect {},
            farthest: Cell::new(0),
            steps_left: Cell::new((token_count + 10).saturating_mul(STEPS_PER_TOKEN_MAX)),
        }
    }

    /// The greatest token index at which the parser has looked for an expression or an operator.
    pub(super) fn farthest(&self) -> usize {
        self.farthest.get()
    }

    fn note(&self, parser: &Parser) {
        self.farthest.set(self.farthest.get().max(parser.index()));
    }
}

/// Methods that answer exactly what the library's Postgres dialect answers.
macro_rules! as_postgres {
    ($($name:ident),* $(,)?) => {
        $(fn $name(&self) -> bool {
            self.postgres.$name()
        })*
    };
}

impl Dialect for TidemarkDialect {
    // The library asks for the type of the dialect at many places; we are Postgres at all of them.
    fn dialect(&self) -> TypeId {
        TypeId::of::<PostgreSqlDialect>()
    }

    as_postgres!(
        supports_unicode_string_literal,
        supports_filter_during_aggregation,
        supports_group_by_expr,
        allow_extract_custom,
        allow_extract_single_quotes,
        supports_create_index_with_clause,
        supports_explain_with_utility_options,
        supports_listen_notify,
        supports_factorial_operator,
        supports_bitwise_shift_operators,
        supports_comment_on,
        supports_load_extension,
        supports_named_fn_args_with_colon_operator,
        supports_empty_projections,
        supports_nested_comments,
        supports_string_escape_constant,
        supports_numeric_literal_underscores,
        supports_array_typedef_with_brackets,
        supports_geometric_types,
        supports_set_names,
        supports_alter_column_type_using,
        supports_notnull_operator,
        supports_interval_options,
        supports_insert_table_alias,
        supports_create_table_like_parenthesized,
        supports_select_wildcard_with_alias,
        supports_comma_separated_trim,
        supports_xml_expressions,
    );

    // `f(<expression>: value)` would make the parser read every argument twice, and so nested calls
    // exponentially often. Postgres 15 does not have that form.
    fn supports_named_fn_args_with_expr_name(&self) -> bool {
        false
    }

    // Comments do not reach the parser.
    fn supports_comment_optimizer_hint(&self) -> bool {
        false
    }

    // `SELECT (row).*`
    fn supports_select_expr_star(&self) -> bool {
        true
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        self.postgres.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, character: char) -> bool {
        self.postgres.is_delimited_identifier_start(character)
    }

    fn is_identifier_start(&self, character: char) -> bool {
        self.postgres.is_identifier_start(character)
    }

    fn is_identifier_part(&self, character: char) -> bool {
        self.postgres.is_identifier_part(character)
    }

    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        self.postgres.is_reserved_for_identifier(keyword)
    }

    fn is_custom_operator_part(&self, character: char) -> bool {
        self.postgres.is_custom_operator_part(character)
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        self.postgres.prec_value(precedence)
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        self.note(parser);
        self.postgres.get_next_precedence(parser)
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        self.note(parser);
        match self.steps_left.get().checked_sub(1) {
            Some(left) => self.steps_left.set(left),
            None => return Some(Err(ParserError::RecursionLimitExceeded)),
        }
        if let Some(query) = parenthesized_query(parser) {
            return Some(query);
        }
        typed_literal(parser).map(Ok)
    }

    fn parse_infix(
        &self,
        parser: &mut Parser,
        expr: &Expr,
        _precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        match keyword_of(&parser.peek_token_ref().token) {
            keyword @ (Keyword::AND | Keyword::OR) => {
                Some(logical_chain(self, parser, expr, keyword))
            }
            _ => between_symmetric(self, parser, expr),
        }
    }
}

/// Reads all of `a OR b OR c ...` at once and builds a balanced tree of it, so that a chain of many
/// thousand links (as query builders write) is some twenty levels deep and not thousands.
/// The links keep their order, so what is evaluated before what does not change.
fn logical_chain(
    dialect: &TidemarkDialect,
    parser: &mut Parser,
    first: &Expr,
    keyword: Keyword,
) -> Result<Expr, ParserError> {
    let (op, precedence) = match keyword {
        Keyword::AND => (BinaryOperator::And, Precedence::And),
        _ => (BinaryOperator::Or, Precedence::Or),
    };
    let precedence = dialect.prec_value(precedence);
    let mut links = vec![first.clone()];
    while parser.parse_keyword(keyword) {
        links.push(parser.parse_subexpr(precedence)?);
    }
    if links.len() <= BALANCED_CHAIN_LINKS_MIN {
        let whole = links
            .into_iter()
            .reduce(|left, right| binary(left, &op, right));
        return Ok(whole.unwrap_or_else(|| first.clone()));
    }
    while links.len() > 1 {
        let mut pairs = links.into_iter();
        let mut next = Vec::with_capacity(pairs.len() / 2 + 1);
        while let Some(left) = pairs.next() {
            next.push(match pairs.next() {
                Some(right) => binary(left, &op, right),
                None => left,
            });
        }
        links = next;
    }
    Ok(links.pop().unwrap_or_else(|| first.clone()))
}

fn binary(left: Expr, op: &BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(left),
        op: op.clone(),
        right: Box::new(right),
    }
}

/// After an opening parenthesis: `VALUES ...`, and `(SELECT ...) UNION (SELECT ...)`, which the grammar library takes for an expression that ends after its first parenthesis.
fn parenthesized_query(parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
    if parser.get_current_token().token != Token::LParen {
        return None;
    }
    let is_query = match &parser.peek_token_ref().token {
        Token::LParen => is_set_operation(parser),
        token => keyword_of(token) == Keyword::VALUES,
    };
    is_query.then(|| parser.parse_query().map(Expr::Subquery))
}

/// Whether a parenthesized query comes next and a set operation after it: decided by looking ahead once, since trying to parse would double the work per level of nesting.
fn is_set_operation(parser: &Parser) -> bool {
    let mut depth = 0usize;
    let mut has_query = false;
    for ahead in 0.. {
        match &parser.peek_nth_token_no_skip(ahead).token {
            Token::EOF => return false,
            Token::Whitespace(_) => {}
            Token::LParen => depth += 1,
            Token::RParen if depth > 1 => depth -= 1,
            Token::RParen => depth = 0,
            token if depth == 0 => return matches!(keyword_of(token), Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT),
            token if !has_query => {
                // The first word after the parentheses.
                if !matches!(keyword_of(token), Keyword::SELECT | Keyword::WITH | Keyword::VALUES) {
                    return false;
                }
                has_query = true;
            }
            _ => {}
        }
    }
    false
}

/// `type_name 'literal'` for types the grammar library has no keyword for (`inet '::1'`,
/// `pg_catalog.int4 '3'`). It knows the others itself.
fn typed_literal(parser: &mut Parser) -> Option<Expr> {
    let mut length = 0;
    loop {
        match &parser.peek_nth_token_ref(length).token {
            Token::Word(word)
                if word.quote_style.is_some() || word.keyword == Keyword::NoKeyword => {}
            // After a qualifier any word is a name.
            Token::Word(_) if length > 0 => {}
            _ => return None,
        }
        length += 1;
        match &parser.peek_nth_token_ref(length).token {
            Token::Period => length += 1,
            Token::SingleQuotedString(_) | Token::EscapedStringLiteral(_) => break,
            _ => return None,
        }
    }
    let mut name: Vec<Ident> = Vec::new();
    for _ in 0..length {
        let token = parser.next_token();
        if let Token::Word(word) = token.token {
            name.push(word.into_ident(token.span));
        }
    }
    let value = parser.parse_value().ok()?;
    Some(Expr::TypedString(TypedString {
        data_type: DataType::Custom(ObjectName::from(name), vec![]),
        value,
        uses_odbc_syntax: false,
    }))
}

/// `x [NOT] BETWEEN SYMMETRIC a AND b`, which Postgres' own grammar, too, reads as two `BETWEEN`s.
fn between_symmetric(
    dialect: &TidemarkDialect,
    parser: &mut Parser,
    expr: &Expr,
) -> Option<Result<Expr, ParserError>> {
    let words: usize = match parser
        .peek_tokens_ref::<3>()
        .map(|found| keyword_of(&found.token))
    {
        [Keyword::BETWEEN, Keyword::SYMMETRIC, _] => 2,
        [Keyword::NOT, Keyword::BETWEEN, Keyword::SYMMETRIC] => 3,
        _ => return None,
    };
    for _ in 0..words {
        parser.advance_token();
    }
    let bound = dialect.prec_value(Precedence::Between);
    let bounds = (|| {
        let low = parser.parse_subexpr(bound)?;
        parser.expect_keyword(Keyword::AND)?;
        Ok((low, parser.parse_subexpr(bound)?))
    })();
    let (low, high) = match bounds {
        Ok(bounds) => bounds,
        Err(error) => return Some(Err(error)),
    };
    let between = |low: &Expr, high: &Expr| Expr::Between {
        expr: Box::new(expr.clone()),
        negated: false,
        low: Box::new(low.clone()),
        high: Box::new(high.clone()),
    };
    let either = Expr::Nested(Box::new(Expr::BinaryOp {
        left: Box::new(between(&low, &high)),
        op: BinaryOperator::Or,
        right: Box::new(between(&high, &low)),
    }));
    Some(Ok(if words == 3 {
        Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr: Box::new(either),
        }
    } else {
        either
    }))
}

fn keyword_of(token: &Token) -> Keyword {
    match token {
        Token::Word(word) => word.keyword,
        _ => Keyword::NoKeyword,
    }
}
