//! JSON text as Postgres reads it: its grammar, its limits, its errors down to the detail.
//!
//! One recursive descent serves both types: `jsonb` builds a value from it, `json` only wants to know whether the text is right.

use super::{ARRAY, DEPTH_MAX, FALSE, JsonbBuf, NULL, OBJECT, STRING, TRUE, Writer, too_deep, zero_character};
use crate::{EvalError, Numeric, SqlState};
use std::borrow::Cow;

pub(super) fn parse(text: &str) -> Result<JsonbBuf, EvalError> {
    let mut parser = Parser { text, position: 0, token: 0..0, writer: Some(Writer::default()) };
    parser.document()?;
    Ok(parser.writer.unwrap_or_default().finish())
}

/// Checks the text of a `json` value, which is kept as it is written: escapes stay undecoded, so that fewer of them are errors.
pub(crate) fn check_text(text: &str) -> Result<(), EvalError> {
    Parser { text, position: 0, token: 0..0, writer: None }.document()
}

#[derive(Clone, Copy, PartialEq)]
enum Token {
    End,
    String,
    Number,
    True,
    False,
    Null,
    Punctuation(u8),
}

struct Parser<'a> {
    text: &'a str,
    /// Where the next token is looked for.
    position: usize,
    /// The current token's place.
    token: std::ops::Range<usize>,
    /// `None` when only checking.
    writer: Option<Writer>,
}

fn syntax_error(detail: impl Into<String>) -> EvalError {
    EvalError::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type json").with_detail(detail)
}

/// What Postgres takes for part of a word, so that an error shows all of it.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

impl<'a> Parser<'a> {
    fn document(&mut self) -> Result<(), EvalError> {
        let token = self.next()?;
        self.value(token, 0)?;
        match self.next()? {
            Token::End => Ok(()),
            token => Err(self.expected("end of input", token)),
        }
    }

    fn expected(&self, what: &str, found: Token) -> EvalError {
        match found {
            Token::End => syntax_error("The input string ended unexpectedly."),
            _ => syntax_error(format!("Expected {what}, but found \"{}\".", &self.text[self.token.clone()])),
        }
    }

    fn invalid_token(&self, end: usize) -> EvalError {
        // Postgres cuts a token in bytes; a character stays whole here.
        let end = (end..=self.text.len()).find(|end| self.text.is_char_boundary(*end)).unwrap_or(self.text.len());
        syntax_error(format!("Token \"{}\" is invalid.", &self.text[self.token.start..end]))
    }

    fn byte(&self, position: usize) -> Option<u8> {
        self.text.as_bytes().get(position).copied()
    }

    fn next(&mut self) -> Result<Token, EvalError> {
        while matches!(self.byte(self.position), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.position += 1;
        }
        let start = self.position;
        self.token = start..start;
        let token = match self.byte(start) {
            None => Token::End,
            Some(byte @ (b'{' | b'}' | b'[' | b']' | b',' | b':')) => {
                self.position += 1;
                Token::Punctuation(byte)
            }
            Some(b'"') => self.scan_string()?,
            Some(b'-' | b'0'..=b'9') => self.scan_number()?,
            Some(_) => {
                let length = self.text.as_bytes()[start..].iter().position(|byte| !is_word(*byte)).unwrap_or(self.text.len() - start);
                self.position += length;
                match &self.text[start..self.position] {
                    "true" => Token::True,
                    "false" => Token::False,
                    "null" => Token::Null,
                    "" => return Err(self.invalid_token(start + 1)),
                    _ => return Err(self.invalid_token(self.position)),
                }
            }
        };
        self.token.end = self.position;
        Ok(token)
    }

    fn scan_number(&mut self) -> Result<Token, EvalError> {
        let digits = |mut position: usize| {
            while self.byte(position).is_some_and(|byte| byte.is_ascii_digit()) {
                position += 1;
            }
            position
        };
        let mut position = self.position + usize::from(self.byte(self.position) == Some(b'-'));
        let mut valid = true;
        match self.byte(position) {
            Some(b'0') => position += 1,
            Some(b'1'..=b'9') => position = digits(position),
            _ => valid = false,
        }
        if self.byte(position) == Some(b'.') {
            let end = digits(position + 1);
            valid &= end > position + 1;
            position = end;
        }
        if matches!(self.byte(position), Some(b'e' | b'E')) {
            let first = position + 1 + usize::from(matches!(self.byte(position + 1), Some(b'+' | b'-')));
            position = digits(first);
            valid &= position > first;
        }
        while self.byte(position).is_some_and(is_word) {
            position += 1;
            valid = false;
        }
        if !valid {
            return Err(self.invalid_token(position));
        }
        self.position = position;
        Ok(Token::Number)
    }

    /// Finds the end of a string and checks what stands in it, except for the meaning of `\u` escapes.
    fn scan_string(&mut self) -> Result<Token, EvalError> {
        let mut position = self.position + 1;
        loop {
            match self.byte(position) {
                None => return Err(self.invalid_token(position)),
                Some(b'"') => break,
                Some(byte @ 0..0x20) => return Err(syntax_error(format!("Character with value 0x{byte:02x} must be escaped."))),
                Some(b'\\') => match self.byte(position + 1) {
                    None => return Err(self.invalid_token(position + 1)),
                    Some(b'u') => {
                        let wrong = (position + 2..position + 6).find(|digit| !self.byte(*digit).is_some_and(|byte| byte.is_ascii_hexdigit()));
                        match wrong {
                            Some(digit) if digit >= self.text.len() => return Err(self.invalid_token(digit)),
                            Some(_) => return Err(syntax_error("\"\\u\" must be followed by four hexadecimal digits.")),
                            None => {}
                        }
                        position += 6;
                    }
                    Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => position += 2,
                    Some(_) => {
                        let character = self.text[position + 1..].chars().next().unwrap_or('\\');
                        return Err(syntax_error(format!("Escape sequence \"\\{character}\" is invalid.")));
                    }
                },
                Some(_) => position += 1,
            }
        }
        self.position = position + 1;
        Ok(Token::String)
    }

    /// The characters of the current token, a string.
    fn string(&self) -> Result<Cow<'a, str>, EvalError> {
        let inside = &self.text[self.token.start + 1..self.token.end - 1];
        if !inside.contains('\\') {
            return Ok(Cow::Borrowed(inside));
        }
        let mut decoded = String::with_capacity(inside.len());
        let mut characters = inside.chars();
        let mut high_surrogate: Option<u32> = None;
        let lone = || syntax_error("Unicode low surrogate must follow a high surrogate.");
        while let Some(character) = characters.next() {
            let escaped = if character == '\\' { characters.next() } else { None };
            if escaped == Some('u') {
                let digits = &characters.as_str()[..4];
                characters = characters.as_str()[4..].chars();
                let unit = u32::from_str_radix(digits, 16).map_err(|_| syntax_error("\"\\u\" must be followed by four hexadecimal digits."))?;
                match (unit, high_surrogate) {
                    (0xD800..=0xDBFF, Some(_)) => return Err(syntax_error("Unicode high surrogate must not follow a high surrogate.")),
                    (0xD800..=0xDBFF, None) => high_surrogate = Some(unit),
                    (0xDC00..=0xDFFF, Some(high)) => {
                        let code = 0x1_0000 + ((high - 0xD800) << 10) + (unit - 0xDC00);
                        decoded.push(char::from_u32(code).ok_or_else(lone)?);
                        high_surrogate = None;
                    }
                    (0xDC00..=0xDFFF, None) | (_, Some(_)) => return Err(lone()),
                    (0, None) => return Err(zero_character()),
                    (unit, None) => decoded.push(char::from_u32(unit).ok_or_else(lone)?),
                }
                continue;
            }
            if high_surrogate.is_some() {
                return Err(lone());
            }
            decoded.push(match escaped {
                None => character,
                Some('b') => '\u{8}',
                Some('f') => '\u{c}',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some(itself) => itself,
            });
        }
        if high_surrogate.is_some() { Err(lone()) } else { Ok(Cow::Owned(decoded)) }
    }

    /// Reads the value that begins with `token`.
    fn value(&mut self, token: Token, depth: usize) -> Result<(), EvalError> {
        match token {
            Token::Punctuation(b'{' | b'[') if depth >= DEPTH_MAX => Err(too_deep()),
            Token::Punctuation(b'{') => self.object(depth),
            Token::Punctuation(b'[') => self.array(depth),
            Token::End | Token::Punctuation(_) => Err(self.expected("JSON value", token)),
            _ => self.scalar(token),
        }
    }

    fn scalar(&mut self, token: Token) -> Result<(), EvalError> {
        if self.writer.is_none() {
            return Ok(());
        }
        let text = if token == Token::String { self.string()? } else { Cow::Borrowed(&self.text[self.token.clone()]) };
        let Some(writer) = &mut self.writer else { return Ok(()) };
        match token {
            Token::String => {
                writer.kind(STRING);
                writer.text(&text)?;
            }
            Token::Number => writer.number(&Numeric::parse(&text)?),
            Token::True => writer.kind(TRUE),
            Token::False => writer.kind(FALSE),
            _ => writer.kind(NULL),
        }
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Result<(), EvalError> {
        let opened = self.writer.as_mut().map(|writer| writer.open(ARRAY));
        let mut count = 0;
        let mut token = self.next()?;
        if token != Token::Punctuation(b']') {
            loop {
                self.value(token, depth + 1)?;
                count += 1;
                match self.next()? {
                    Token::Punctuation(b',') => token = self.next()?,
                    Token::Punctuation(b']') => break,
                    token => return Err(self.expected("\",\" or \"]\"", token)),
                }
            }
        }
        if let (Some(writer), Some(opened)) = (&mut self.writer, opened) {
            writer.close_array(opened, count);
        }
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<(), EvalError> {
        let opened = self.writer.as_mut().map(|writer| (writer.open(OBJECT), writer.members.len()));
        let mut first = true;
        let mut token = self.next()?;
        if token != Token::Punctuation(b'}') {
            loop {
                if token != Token::String {
                    return Err(self.expected(if first { "string or \"}\"" } else { "string" }, token));
                }
                first = false;
                let member = match self.writer.is_some() {
                    true => {
                        let key = self.string()?;
                        self.writer.as_mut().map(|writer| writer.key(&key)).transpose()?
                    }
                    false => None,
                };
                match self.next()? {
                    Token::Punctuation(b':') => {}
                    token => return Err(self.expected("\":\"", token)),
                }
                let value = self.next()?;
                self.value(value, depth + 1)?;
                if let (Some(writer), Some(member)) = (&mut self.writer, member) {
                    writer.end_member(member);
                }
                match self.next()? {
                    Token::Punctuation(b',') => token = self.next()?,
                    Token::Punctuation(b'}') => break,
                    token => return Err(self.expected("\",\" or \"}\"", token)),
                }
            }
        }
        if let (Some(writer), Some((opened, first_member))) = (&mut self.writer, opened) {
            writer.close_object(opened, first_member);
        }
        Ok(())
    }
}
