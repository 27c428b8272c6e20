//! Text to tokens: places, limits, and the rewritings.
//!
//! Promises: tokens without white space and comments, each with its place in the text; an error in
//! Postgres' words when the text cannot be cut into tokens; a refusal (SQLSTATE 54001) of what nests
//! deeper than [`NESTING_MAX`], before anything recurses.
//!
//! The rewritings, all of them (`rewrite`): forms of Postgres which the grammar library does not read
//! become forms it does read, with the same meaning or with a mark the binder knows.
//!
//! | written | handed to the parser |
//! |---|---|
//! | `TABLE t` where a query may stand | `SELECT * FROM t` |
//! | `... AS OF [AT LEAST] t` after a query | one token no query can contain ([`AS_OF_MARK`]) |
//! | `f(VARIADIC a)` | `f(variadic => a)` |
//! | `ROWS FROM (f(), g())` | a table function named [`ROWS_FROM_FUNCTION`](super::ROWS_FROM_FUNCTION) |
//! | `ORDER BY x USING <` or `>` | `ORDER BY x ASC` or `DESC` |
//! | `TRIM(BOTH FROM x)`, `TRIM(FROM x)` | `TRIM(BOTH ' ' FROM x)` |
//! | `(row).*` | `(row)."*"`, an access to a field named `*` |
//! | `FROM ONLY t`, `UPDATE ONLY t` | without `ONLY`: there is no inheritance |
//! | `FROM ((SELECT ...)) x` | one pair of parentheses |

use std::ops::Range;

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Word};

use super::dialect::TidemarkDialect;
use super::{NESTING_MAX, ParseError, ROWS_FROM_FUNCTION};

/// Stands for `AS OF`. No text produces it: the lexer has no such character outside of literals.
pub(super) const AS_OF_MARK: Token = Token::Char('\u{1}');

/// Where lines begin, to turn the lexer's lines and columns into offsets.
pub(super) struct LineMap<'a> {
    sql: &'a str,
    /// Byte offset and character offset of each line's first character.
    starts: Vec<(usize, usize)>,
    character_count: usize,
}

impl<'a> LineMap<'a> {
    pub(super) fn new(sql: &'a str) -> Self {
        let mut starts = vec![(0, 0)];
        let mut character_count = 0;
        for (byte, character) in sql.char_indices() {
            character_count += 1;
            if character == '\n' {
                starts.push((byte + 1, character_count));
            }
        }
        Self {
            sql,
            starts,
            character_count,
        }
    }

    pub(super) fn char_offset(&self, line: u64, column: u64) -> usize {
        let line = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
        let column = usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX);
        match self.starts.get(line) {
            Some((_, start)) => start.saturating_add(column).min(self.character_count),
            None => self.character_count,
        }
    }

    fn byte_offset(&self, location: Location) -> usize {
        let line = usize::try_from(location.line.saturating_sub(1)).unwrap_or(usize::MAX);
        let column = usize::try_from(location.column.saturating_sub(1)).unwrap_or(usize::MAX);
        let Some((start, _)) = self.starts.get(line) else {
            return self.sql.len();
        };
        let rest = self.sql.get(*start..).unwrap_or_default();
        match rest.char_indices().nth(column) {
            Some((offset, _)) => start + offset,
            None => self.sql.len(),
        }
    }
}

/// One text, cut into tokens.
pub(super) struct Source<'a> {
    sql: &'a str,
    lines: LineMap<'a>,
    tokens: Vec<TokenWithSpan>,
    /// The deepest nesting of any statement.
    depth: usize,
}

impl<'a> Source<'a> {
    pub(super) fn new(sql: &'a str) -> Result<Self, ParseError> {
        let lines = LineMap::new(sql);
        if let Some(at) = sql.find('\0') {
            return Err(syntax_error(sql, at, sql.get(at..).unwrap_or_default()));
        }
        let dialect = TidemarkDialect::new(0);
        let mut tokens = match Tokenizer::new(&dialect, sql).tokenize_with_location() {
            Ok(tokens) => tokens,
            Err(error) => {
                return Err(unterminated(sql).unwrap_or_else(|| {
                    let at = lines.byte_offset(error.location);
                    syntax_error(sql, at, first_word(sql.get(at..).unwrap_or_default()))
                }));
            }
        };
        tokens.retain(|token| !matches!(token.token, Token::Whitespace(_)));
        let mut source = Self {
            sql,
            lines,
            tokens,
            depth: 0,
        };
        source.depth = source.check_nesting()?;
        source.tokens = rewrite(std::mem::take(&mut source.tokens));
        Ok(source)
    }

    /// The token ranges of the statements, empty ones left out.
    pub(super) fn statements(&self) -> Vec<Range<usize>> {
        let mut chunks = Vec::new();
        let mut start = 0;
        for (index, token) in self.tokens.iter().enumerate() {
            if token.token == Token::SemiColon {
                chunks.push(start..index);
                start = index + 1;
            }
        }
        chunks.push(start..self.tokens.len());
        chunks.retain(|chunk| !chunk.is_empty());
        chunks
    }

    pub(super) fn everything(&self) -> Range<usize> {
        0..self.tokens.len()
    }

    pub(super) fn tokens(&self, chunk: Range<usize>) -> &[TokenWithSpan] {
        self.tokens.get(chunk).unwrap_or_default()
    }

    /// The text from the first token of `chunk` to its last, and its character offset.
    pub(super) fn text_of(&self, chunk: Range<usize>) -> (&'a str, usize) {
        match self.tokens(chunk) {
            [] => ("", 0),
            [only] => self.text_between(only, only),
            [first, .., last] => self.text_between(first, last),
        }
    }

    fn text_between(&self, first: &TokenWithSpan, last: &TokenWithSpan) -> (&'a str, usize) {
        let start = self.lines.byte_offset(first.span.start);
        let end = self.lines.byte_offset(last.span.end);
        let offset = self
            .lines
            .char_offset(first.span.start.line, first.span.start.column);
        (self.sql.get(start..end).unwrap_or_default(), offset)
    }

    /// The index of the token that begins at or after a line and column.
    pub(super) fn token_at(&self, line: u64, column: u64) -> usize {
        self.tokens
            .partition_point(|token| token.span.start < Location::new(line, column))
    }

    /// Postgres' error for a token that cannot stand where it does.
    pub(super) fn error_at(&self, index: usize) -> ParseError {
        match self.tokens.get(index) {
            Some(token) => {
                let at = self.lines.byte_offset(token.span.start);
                let text = self.text_between(token, token).0;
                let text = if text.is_empty() { "as" } else { text };
                syntax_error(self.sql, at, text)
            }
            None => ParseError {
                message: "syntax error at end of input".to_owned(),
                position: Some(self.lines.character_count + 1),
                sqlstate: "42601",
                hint: None,
            },
        }
    }

    /// 1-based character position of a token; past the last one, that of the end.
    pub(super) fn position_of(&self, index: usize) -> usize {
        match self.tokens.get(index) {
            Some(token) => {
                self.lines
                    .char_offset(token.span.start.line, token.span.start.column)
                    + 1
            }
            None => self.lines.character_count + 1,
        }
    }

    /// Refuses what would make a tree deeper than [`NESTING_MAX`]. A level is an open parenthesis or
    /// bracket, or a link of a chain of operators, casts, array marks or set operations, all of which
    /// grow the tree to one side.
    fn check_nesting(&self) -> Result<usize, ParseError> {
        let mut deepest = 0;
        let mut levels = vec![Level::default()];
        let mut depth = 0usize;
        for (index, token) in self.tokens.iter().enumerate() {
            let Some(level) = levels.last_mut() else {
                break;
            };
            let before = level.weight();
            match &token.token {
                Token::SemiColon => {
                    levels = vec![Level::default()];
                    depth = 0;
                    continue;
                }
                Token::LParen | Token::LBracket | Token::LBrace => {
                    level.links += usize::from(token.token == Token::LBracket);
                    depth += level.weight() - before + 1;
                    levels.push(Level::default());
                }
                Token::RParen | Token::RBracket | Token::RBrace => {
                    if levels.len() > 1 {
                        levels.pop();
                        depth = depth.saturating_sub(before + 1);
                    }
                    continue;
                }
                other => {
                    level.take(other);
                    depth = (depth + level.weight()).saturating_sub(before);
                }
            }
            deepest = deepest.max(depth);
            if depth > NESTING_MAX {
                return Err(too_deep(Some(self.position_of(index))));
            }
        }
        Ok(deepest)
    }

    pub(super) fn depth(&self) -> usize {
        self.depth
    }
}

/// What has been seen at one depth of parentheses.
#[derive(Default)]
struct Level {
    /// Links of the current expression.
    links: usize,
    /// Set operations of the current query.
    set_operations: usize,
    /// `CASE`s not yet ended.
    cases: usize,
    /// `BETWEEN`s whose `AND` has not come.
    betweens: usize,
}

impl Level {
    fn weight(&self) -> usize {
        self.links + self.set_operations + self.cases
    }

    fn take(&mut self, token: &Token) {
        match token {
            Token::Comma => self.links = 0,
            Token::Word(word) if word.quote_style.is_none() => match word.keyword {
                Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT => {
                    self.links = 0;
                    self.set_operations += 1;
                }
                Keyword::CASE => self.cases += 1,
                Keyword::END => self.cases = self.cases.saturating_sub(1),
                Keyword::BETWEEN => {
                    self.betweens += 1;
                    self.links += 1;
                }
                Keyword::AND if self.betweens > 0 => self.betweens -= 1,
                Keyword::AND
                | Keyword::OR
                | Keyword::SELECT
                | Keyword::FROM
                | Keyword::WHERE
                | Keyword::HAVING
                | Keyword::ON
                | Keyword::VALUES
                | Keyword::SET
                | Keyword::WHEN
                | Keyword::THEN
                | Keyword::ELSE => {
                    self.links = 0;
                    self.betweens = 0;
                }
                Keyword::NOT
                | Keyword::IS
                | Keyword::NOTNULL
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::SIMILAR
                | Keyword::IN
                | Keyword::COLLATE
                | Keyword::AT
                | Keyword::OVERLAPS
                | Keyword::OPERATOR
                | Keyword::ARRAY => self.links += 1,
                _ => {}
            },
            Token::Word(_)
            | Token::Number(..)
            | Token::Period
            | Token::SingleQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::Placeholder(_) => {}
            _ => self.links += 1,
        }
    }
}

/// Postgres' error for a statement that nests too deep.
pub(super) fn too_deep(position: Option<usize>) -> ParseError {
    ParseError {
        message: "stack depth limit exceeded".to_owned(),
        position,
        sqlstate: "54001",
        hint: Some(format!(
            "At most {NESTING_MAX} parentheses, operators of one chain or subqueries may be nested. \
             Write a chain of equal operators as a list, an array or a VALUES list."
        )),
    }
}

fn syntax_error(sql: &str, byte: usize, text: &str) -> ParseError {
    located(sql, byte, format!("syntax error at or near \"{text}\""))
}

fn located(sql: &str, byte: usize, message: String) -> ParseError {
    let characters = sql.get(..byte).map_or(0, |before| before.chars().count());
    ParseError {
        message,
        position: Some(characters + 1),
        sqlstate: "42601",
        hint: None,
    }
}

fn first_word(text: &str) -> &str {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

/// Finds the literal, quoted name or comment that is never closed, and says so as Postgres does: with
/// the whole rest of the text.
fn unterminated(sql: &str) -> Option<ParseError> {
    let mut rest = sql;
    let mut previous = ' ';
    while let Some(character) = rest.chars().next() {
        let at = sql.len() - rest.len();
        let near = |what: &str| {
            Some(located(
                sql,
                at,
                format!("unterminated {what} at or near \"{rest}\""),
            ))
        };
        let in_word = previous.is_alphanumeric() || previous == '_' || previous == '$';
        let used = match character {
            '\'' => match quoted_end(rest, '\'', matches!(previous, 'e' | 'E')) {
                Some(used) => used,
                None => {
                    // The prefix belongs to the literal: E'..., B'..., X'...
                    let prefixed = matches!(previous, 'e' | 'E');
                    let start = if prefixed {
                        at - previous.len_utf8()
                    } else {
                        at
                    };
                    let text = sql.get(start..).unwrap_or_default();
                    return Some(located(
                        sql,
                        start,
                        format!("unterminated quoted string at or near \"{text}\""),
                    ));
                }
            },
            '"' => match quoted_end(rest, '"', false) {
                Some(2) => {
                    return Some(located(
                        sql,
                        at,
                        "zero-length delimited identifier at or near \"\"\"\"".to_owned(),
                    ));
                }
                Some(used) => used,
                None => return near("quoted identifier"),
            },
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => match comment_end(rest) {
                Some(used) => used,
                None => return near("/* comment"),
            },
            '$' if !in_word => match dollar_tag(rest) {
                Some(tag) => match rest.get(tag.len()..).and_then(|body| body.find(tag)) {
                    Some(end) => end + 2 * tag.len(),
                    None => return near("dollar-quoted string"),
                },
                None => 1,
            },
            other => other.len_utf8(),
        };
        let (taken, next) = rest.split_at_checked(used)?;
        previous = taken.chars().next_back().unwrap_or(' ');
        rest = next;
    }
    None
}

/// Length of the quoted thing `text` begins with, closing quote included.
fn quoted_end(text: &str, quote: char, backslash_escapes: bool) -> Option<usize> {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if character == '\\' && backslash_escapes {
            characters.next();
        } else if character == quote {
            match characters.peek() {
                Some((_, next)) if *next == quote => {
                    characters.next();
                }
                _ => return Some(at + quote.len_utf8()),
            }
        }
    }
    None
}

/// Length of the block comment `text` begins with; they nest.
fn comment_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(pair) = bytes.get(at..at + 2) {
        match pair {
            b"/*" => {
                depth += 1;
                at += 2;
            }
            b"*/" => {
                depth = depth.saturating_sub(1);
                at += 2;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => at += 1,
        }
    }
    None
}

/// The `$tag$` that `text` begins with.
fn dollar_tag(text: &str) -> Option<&str> {
    let body = text.get(1..)?;
    let end = body.find('$')?;
    let tag = body.get(..end)?;
    let begins_well = tag
        .chars()
        .next()
        .is_none_or(|first| first.is_alphabetic() || first == '_');
    let goes_on_well = tag
        .chars()
        .all(|character| character.is_alphanumeric() || character == '_');
    (begins_well && goes_on_well).then(|| text.get(..end + 2))?
}

/// Applies the rewritings listed at the head of this module.
fn rewrite(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let redundant = redundant_parentheses(&tokens);
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len() + 8);
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let keyword = keyword(Some(token));
        let next = keyword_at(&tokens, at + 1);
        let before = keyword_before(&out);
        let put = |out: &mut Vec<TokenWithSpan>, new: Token| {
            out.push(TokenWithSpan::new(new, token.span));
        };
        match keyword {
            _ if redundant.contains(&at) => {}
            Keyword::TABLE if may_begin_query(&out, &tokens, at) => {
                put(&mut out, Token::make_keyword("SELECT"));
                put(&mut out, Token::Mul);
                put(&mut out, Token::make_keyword("FROM"));
            }
            Keyword::AS if next == Keyword::OF && begins_moment(tokens.get(at + 2)) => {
                put(&mut out, AS_OF_MARK);
                at += 1;
            }
            Keyword::VARIADIC
                if matches!(last(&out), Some(Token::LParen | Token::Comma))
                    && begins_value(tokens.get(at + 1)) =>
            {
                out.push(token.clone());
                put(&mut out, Token::RArrow);
            }
            Keyword::ROWS
                if next == Keyword::FROM
                    && is(tokens.get(at + 2), &Token::LParen)
                    && (before == Keyword::FROM
                        || before == Keyword::JOIN
                        || before == Keyword::LATERAL
                        || matches!(last(&out), Some(Token::Comma))) =>
            {
                put(&mut out, Token::make_word(ROWS_FROM_FUNCTION, Some('"')));
                at += 1;
            }
            Keyword::USING if is(tokens.get(at + 1), &Token::Lt) => {
                put(&mut out, Token::make_keyword("ASC"));
                at += 1;
            }
            Keyword::USING if is(tokens.get(at + 1), &Token::Gt) => {
                put(&mut out, Token::make_keyword("DESC"));
                at += 1;
            }
            Keyword::FROM
                if matches!(before, Keyword::BOTH | Keyword::LEADING | Keyword::TRAILING) =>
            {
                put(&mut out, Token::SingleQuotedString(" ".to_owned()));
                out.push(token.clone());
            }
            Keyword::FROM
                if matches!(last(&out), Some(Token::LParen))
                    && keyword_at(&out, out.len().wrapping_sub(2)) == Keyword::TRIM =>
            {
                put(&mut out, Token::make_keyword("BOTH"));
                put(&mut out, Token::SingleQuotedString(" ".to_owned()));
                out.push(token.clone());
            }
            _ if token.token == Token::Mul
                && matches!(last(&out), Some(Token::Period))
                && is(before_last(&out), &Token::RParen) =>
            {
                put(&mut out, Token::make_word("*", Some('"')));
            }
            Keyword::ONLY
                if matches!(before, Keyword::FROM | Keyword::JOIN | Keyword::UPDATE)
                    || matches!(last(&out), Some(Token::Comma)) => {}
            _ => out.push(token.clone()),
        }
        at += 1;
    }
    out
}

/// Both tokens of each pair of parentheses that stands directly around another pair around a query,
/// where one pair is enough.
fn redundant_parentheses(tokens: &[TokenWithSpan]) -> std::collections::HashSet<usize> {
    let mut redundant = std::collections::HashSet::new();
    let mut open: Vec<usize> = Vec::new();
    // The parenthesis closed by the token before this one.
    let mut closed_before: Option<usize> = None;
    for (at, token) in tokens.iter().enumerate() {
        let mut closed = None;
        match token.token {
            Token::LParen => open.push(at),
            Token::RParen => {
                closed = open.pop();
                if let (Some(outer), Some(inner)) = (closed, closed_before)
                    && inner == outer + 1
                    && matches!(
                        innermost_keyword(tokens, inner),
                        Keyword::SELECT | Keyword::VALUES | Keyword::WITH | Keyword::TABLE
                    )
                    && (is(before(tokens, outer), &Token::LParen)
                        || matches!(
                            keyword(before(tokens, outer)),
                            Keyword::FROM | Keyword::JOIN | Keyword::LATERAL
                        )
                        || is(before(tokens, outer), &Token::Comma))
                {
                    redundant.insert(outer);
                    redundant.insert(at);
                }
            }
            _ => {}
        }
        closed_before = closed;
    }
    redundant
}

fn innermost_keyword(tokens: &[TokenWithSpan], mut at: usize) -> Keyword {
    while is(tokens.get(at), &Token::LParen) {
        at += 1;
    }
    keyword_at(tokens, at)
}

fn before(tokens: &[TokenWithSpan], at: usize) -> Option<&TokenWithSpan> {
    at.checked_sub(1).and_then(|at| tokens.get(at))
}

fn last(tokens: &[TokenWithSpan]) -> Option<&Token> {
    tokens.last().map(|token| &token.token)
}

fn before_last(out: &[TokenWithSpan]) -> Option<&TokenWithSpan> {
    before(out, out.len().saturating_sub(1))
}

fn is(token: Option<&TokenWithSpan>, wanted: &Token) -> bool {
    token.is_some_and(|token| token.token == *wanted)
}

fn keyword(token: Option<&TokenWithSpan>) -> Keyword {
    match token.map(|token| &token.token) {
        Some(Token::Word(Word {
            quote_style: None,
            keyword,
            ..
        })) => *keyword,
        _ => Keyword::NoKeyword,
    }
}

fn keyword_at(tokens: &[TokenWithSpan], at: usize) -> Keyword {
    keyword(tokens.get(at))
}

fn keyword_before(out: &[TokenWithSpan]) -> Keyword {
    keyword(out.last())
}

/// Whether `TABLE` here begins a query: `TABLE t`, not `CREATE TABLE` and not a column called "table".
fn may_begin_query(out: &[TokenWithSpan], tokens: &[TokenWithSpan], at: usize) -> bool {
    let names = matches!(
        tokens.get(at + 1).map(|token| &token.token),
        Some(Token::Word(word)) if word.keyword != Keyword::FROM
    );
    let begins = match last(out) {
        None | Some(Token::SemiColon | Token::LParen) => true,
        Some(Token::RParen) => false,
        _ => matches!(
            keyword_before(out),
            Keyword::UNION
                | Keyword::EXCEPT
                | Keyword::INTERSECT
                | Keyword::ALL
                | Keyword::AS
                | Keyword::FOR
        ),
    };
    names && begins
}

/// Whether a token can begin the moment of `AS OF`; if not, `of` was an alias.
fn begins_moment(token: Option<&TokenWithSpan>) -> bool {
    match token.map(|token| &token.token) {
        Some(Token::Word(word)) => matches!(
            word.keyword,
            Keyword::NoKeyword | Keyword::AT | Keyword::CAST | Keyword::TIMESTAMP
        ),
        Some(
            Token::Number(..)
            | Token::Placeholder(_)
            | Token::SingleQuotedString(_)
            | Token::LParen
            | Token::Minus,
        ) => true,
        _ => false,
    }
}

fn begins_value(token: Option<&TokenWithSpan>) -> bool {
    !matches!(
        token.map(|token| &token.token),
        None | Some(Token::Comma | Token::RParen | Token::RArrow | Token::Eq | Token::Period)
    )
}
