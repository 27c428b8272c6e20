//! Templates of numbers: `9` and `0` for digits, `.` and `D`, `,` and `G`, signs (`S`, `MI`, `PL`, `SG`, `PR`), `FM`, `TH`, quoted text.

use super::super::lift::{Memo, Table};
use super::super::typed as t;
use super::ordinal;
use repr::{EvalError, Numeric, SqlState};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    /// A digit; `zero` shows leading zeros from here on.
    Digit {
        zero: bool,
    },
    Group,
    Point,
    Sign,
    Minus,
    Plus,
    SignOnly,
    Ordinal {
        upper: bool,
    },
    Plain(char),
}

#[derive(Debug, Default)]
struct Template {
    tokens: Vec<Token>,
    compact: bool,
    /// Negative values stand in angle brackets.
    brackets: bool,
    digits_before: usize,
    digits_after: usize,
    /// Multiplied by ten to this power: the digits behind `V`.
    shift: u32,
}

fn syntax(message: &str) -> EvalError {
    EvalError::new(SqlState(*b"42601"), message)
}

impl Template {
    fn parse(text: &str) -> Result<Template, EvalError> {
        let mut template = Template::default();
        let (mut rest, mut after_point, mut shifted) = (text, false, false);
        while let Some(character) = rest.chars().next() {
            let two = rest.get(..2).map(str::to_ascii_uppercase).unwrap_or_default();
            let (token, length) = match (two.as_str(), character) {
                ("FM", _) => {
                    template.compact = true;
                    rest = &rest[2..];
                    continue;
                }
                ("PR", _) => {
                    template.brackets = true;
                    rest = &rest[2..];
                    continue;
                }
                ("MI", _) => (Token::Minus, 2),
                ("PL", _) => (Token::Plus, 2),
                ("SG", _) => (Token::SignOnly, 2),
                ("TH", _) => (Token::Ordinal { upper: character == 'T' }, 2),
                ("RN", _) => return Err(EvalError::new(SqlState::FEATURE_NOT_SUPPORTED, "roman numerals are not supported by to_char")),
                (_, '9' | '0') => {
                    if shifted {
                        template.shift += 1;
                    }
                    if after_point {
                        template.digits_after += 1
                    } else {
                        template.digits_before += 1
                    }
                    (Token::Digit { zero: character == '0' }, 1)
                }
                (_, '.' | 'D' | 'd') => {
                    if std::mem::replace(&mut after_point, true) {
                        return Err(syntax("multiple decimal points"));
                    }
                    (Token::Point, 1)
                }
                (_, ',' | 'G' | 'g') => (Token::Group, 1),
                (_, 'S' | 's') => (Token::Sign, 1),
                (_, 'V' | 'v') => {
                    shifted = true;
                    rest = &rest[1..];
                    continue;
                }
                (_, 'L' | 'l') => (Token::Plain(' '), 1),
                (_, '"') => {
                    let body = &rest[1..];
                    let end = body.find('"').unwrap_or(body.len());
                    template.tokens.extend(body[..end].chars().map(Token::Plain));
                    rest = body.get(end + 1..).unwrap_or("");
                    continue;
                }
                (_, other) => (Token::Plain(other), other.len_utf8()),
            };
            template.tokens.push(token);
            rest = &rest[length..];
        }
        Ok(template)
    }

    fn write(&self, value: &Numeric, out: &mut String) -> Result<(), EvalError> {
        let scaled = if self.shift > 0 { value.multiply(&Numeric::from(10_i64.pow(self.shift.min(18))))? } else { value.clone() };
        let rounded = scaled.round(self.digits_after as i32);
        let negative = rounded.signum() < 0;
        let text = rounded.absolute().to_string();
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let whole = if whole == "0" && self.digits_before > 0 { "" } else { whole };
        let overflow = whole.len() > self.digits_before;
        let first_zero = self.tokens.iter().take_while(|token| !matches!(token, Token::Point));
        let first_zero = first_zero.filter(|token| matches!(token, Token::Digit { .. })).position(|token| *token == Token::Digit { zero: true });
        let digits = Digits { overflow, whole, fraction, first_zero: first_zero.unwrap_or(usize::MAX), before: self.digits_before };
        // A sign that no token asks for stands before the first digit, its blank where the digits begin.
        let start = self.write_body(&digits, negative, rounded_integer(whole), out);
        let has_sign = self.tokens.iter().any(|token| matches!(token, Token::Sign | Token::Minus | Token::Plus | Token::SignOnly));
        let body_start = start + out[start..].find(|character| character != ' ').unwrap_or(0);
        if self.brackets {
            if negative {
                out.insert(body_start, '<');
                out.push('>');
            } else if !self.compact {
                out.insert(start, ' ');
                out.push(' ');
            }
        } else if !has_sign {
            if negative {
                out.insert(body_start, '-');
            } else if !self.compact {
                out.insert(start, ' ');
            }
        }
        Ok(())
    }

    /// Returns where the digits begin.
    fn write_body(&self, digits: &Digits<'_>, negative: bool, number: i64, out: &mut String) -> usize {
        let mut start = None;
        let (mut place, mut after_point, mut decimal) = (0, false, 0);
        let last_needed = digits.last_needed(&self.tokens);
        let leading_sign = self
            .tokens
            .iter()
            .position(|token| *token == Token::Sign)
            .is_some_and(|sign| self.tokens.iter().position(|token| matches!(token, Token::Digit { .. })).is_none_or(|digit| sign < digit));
        let mut sign_pending = leading_sign;
        for token in &self.tokens {
            if start.is_none() && matches!(token, Token::Digit { .. } | Token::Point) {
                start = Some(out.len());
            }
            let shown = !after_point && digits.is_shown(place);
            if sign_pending && (shown && matches!(token, Token::Digit { .. }) || *token == Token::Point) {
                out.push(if negative { '-' } else { '+' });
                sign_pending = false;
            }
            match token {
                Token::Digit { .. } if !after_point => {
                    match digits.at(place) {
                        Some(digit) => out.push(digit),
                        None if !self.compact => out.push(' '),
                        None => {}
                    }
                    place += 1;
                }
                Token::Digit { .. } => {
                    if !self.compact || decimal < last_needed {
                        out.push(if digits.overflow { '#' } else { digits.fraction.as_bytes().get(decimal).map_or('0', |&byte| char::from(byte)) });
                    }
                    decimal += 1;
                }
                Token::Group if shown && place > 0 && digits.is_shown(place - 1) => out.push(','),
                Token::Group if self.compact => {}
                Token::Group => out.push(' '),
                Token::Point => {
                    out.push('.');
                    after_point = true;
                }
                Token::Sign if leading_sign => {}
                Token::Sign | Token::SignOnly => out.push(if negative { '-' } else { '+' }),
                Token::Minus if negative => out.push('-'),
                Token::Plus if !negative => out.push('+'),
                Token::Minus | Token::Plus if self.compact => {}
                Token::Minus | Token::Plus => out.push(' '),
                Token::Ordinal { upper } if !negative => {
                    let ending = ordinal(number);
                    out.push_str(&if *upper { ending.to_ascii_uppercase() } else { ending.to_string() });
                }
                Token::Ordinal { .. } => {}
                Token::Plain(character) => out.push(*character),
            }
        }
        start.unwrap_or(out.len())
    }
}

/// The last digits decide the ending of an ordinal number.
fn rounded_integer(whole: &str) -> i64 {
    whole[whole.len().saturating_sub(4)..].parse().unwrap_or(0)
}

struct Digits<'a> {
    overflow: bool,
    whole: &'a str,
    fraction: &'a str,
    first_zero: usize,
    before: usize,
}

impl Digits<'_> {
    /// Whether the digit at a place before the point, counted from the left, is more than a blank.
    fn is_shown(&self, place: usize) -> bool {
        self.overflow || place >= self.first_zero || place + self.whole.len() >= self.before || (self.fraction.is_empty() && place + 1 == self.before)
    }
    fn at(&self, place: usize) -> Option<char> {
        if self.overflow {
            return Some('#');
        }
        if !self.is_shown(place) {
            return None;
        }
        let position = (place + self.whole.len()).checked_sub(self.before);
        Some(position.and_then(|position| self.whole.as_bytes().get(position)).map_or('0', |&byte| char::from(byte)))
    }
    /// How many decimals are shown when trailing zeros are not: up to the last one that is not zero or that a `0` demands.
    fn last_needed(&self, tokens: &[Token]) -> usize {
        let significant = self.fraction.trim_end_matches('0').len();
        let decimals = tokens.iter().skip_while(|token| **token != Token::Point).filter(|token| matches!(token, Token::Digit { .. }));
        let demanded =
            decimals.enumerate().filter(|(_, token)| **token == Token::Digit { zero: true }).last().map_or(0, |(position, _)| position + 1);
        significant.max(demanded)
    }
}

pub fn register(table: &mut Table) {
    const DESCRIPTION: &str = "The number as text, after a template.";
    macro_rules! numbers {
        ($($marker:ident, |$value:ident| $numeric:expr;)*) => {$(
            table.entry::<(t::$marker, t::Text), t::Text>("to_char", DESCRIPTION).writes_with(
                |_| Memo::default(),
                |memo, ($value, template), out| memo.get(template, Template::parse)?.write(&$numeric, out),
            );
        )*};
    }
    numbers! {
        Int4, |value| Numeric::from(value);
        Int8, |value| Numeric::from(value);
        Float4, |value| Numeric::from_f32(value);
        Float8, |value| Numeric::from_f64(value);
        Numeric, |value| Numeric::clone(value);
    }
    table
        .entry::<(t::Text, t::Text), t::Numeric>("to_number", "A number read from a text, after a template.")
        .returns_with(|_| Memo::default(), |memo, (text, template)| read(text, memo.get(template, Template::parse)?));
}

/// Digits, point and sign are taken; groups, blanks and what the template says is plain are passed over.
fn read(text: &str, template: &Template) -> Result<Numeric, EvalError> {
    let mut number = String::new();
    for character in text.trim().chars() {
        match character {
            '0'..='9' | '.' => number.push(character),
            '-' if !number.starts_with('-') => number.insert(0, '-'),
            '<' if template.brackets => number.insert(0, '-'),
            _ => {}
        }
    }
    let read = Numeric::parse(&number).map_err(|_| EvalError::invalid_syntax("numeric", text))?;
    Ok(read.round(template.digits_after as i32))
}
