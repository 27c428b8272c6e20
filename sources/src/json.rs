//! A reader of JSON that copies nothing: values are slices of the message.
//!
//! Only what is asked for is read: a nested value is skipped as a slice and looked into later, if at all. Numbers stay text, so that none loses a digit.
//! What is never looked into is checked for balanced brackets only.

use std::borrow::Cow;
use std::fmt;

/// Why a text is not JSON, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JsonError {
    pub at: usize,
    pub expected: &'static str,
}

impl fmt::Display for JsonError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "expected {} at byte {}", self.expected, self.at)
    }
}

type Result<T> = std::result::Result<T, JsonError>;

/// One value; compound ones as their text, brackets included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    Text(JsonText<'a>),
    Array(&'a str),
    Object(&'a str),
}

/// A string as written between its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JsonText<'a> {
    pub raw: &'a str,
    has_escapes: bool,
}

impl<'a> JsonText<'a> {
    /// The characters it stands for. Fails on an escape that is none, and on the character zero, which no text of SQL can hold.
    pub(crate) fn get(self) -> Result<Cow<'a, str>> {
        if self.has_escapes {
            return unescape(self.raw).map(Cow::Owned);
        }
        match memchr::memchr(0, self.raw.as_bytes()) {
            None => Ok(Cow::Borrowed(self.raw)),
            Some(at) => Err(JsonError {
                at,
                expected: "a character other than zero",
            }),
        }
    }

    pub(crate) fn is(self, text: &str) -> bool {
        if self.has_escapes {
            self.get().is_ok_and(|own| own == text)
        } else {
            self.raw == text
        }
    }
}

fn unescape(raw: &str) -> Result<String> {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    let error = |rest: &str, expected| JsonError {
        at: raw.len() - rest.len(),
        expected,
    };
    while let Some(at) = memchr::memchr2(b'\\', 0, rest.as_bytes()) {
        let (plain, tail) = rest.split_at(at);
        out.push_str(plain);
        let mut characters = tail.chars();
        if characters.next() == Some('\0') {
            return Err(error(tail, "a character other than zero"));
        }
        let escaped = match characters.next() {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some(character @ ('"' | '\\' | '/')) => character,
            Some('u') => {
                let first =
                    code_unit(characters.as_str()).ok_or(error(tail, "four hexadecimal digits"))?;
                characters = characters.as_str().get(4..).unwrap_or("").chars();
                let code = match first {
                    0xD800..=0xDBFF => {
                        let second = characters
                            .as_str()
                            .strip_prefix("\\u")
                            .and_then(code_unit)
                            .filter(|second| (0xDC00..=0xDFFF).contains(second))
                            .ok_or(error(tail, "the second half of a surrogate pair"))?;
                        characters = characters.as_str().get(6..).unwrap_or("").chars();
                        0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
                    }
                    _ => first,
                };
                char::from_u32(code)
                    .filter(|character| *character != '\0')
                    .ok_or(error(tail, "a character that text can hold"))?
            }
            _ => return Err(error(tail, "an escape sequence")),
        };
        out.push(escaped);
        rest = characters.as_str();
    }
    out.push_str(rest);
    Ok(out)
}

fn code_unit(text: &str) -> Option<u32> {
    let digits = text.get(..4)?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(digits, 16).ok()
}

/// Reads values from the front of a text.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str) -> Reader<'a> {
        Reader { text, at: 0 }
    }

    fn error<T>(&self, expected: &'static str) -> Result<T> {
        Err(JsonError {
            at: self.at,
            expected,
        })
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.byte() {
            self.at += 1;
        }
    }

    /// Nothing but space is left.
    pub(crate) fn end(&mut self) -> Result<()> {
        self.skip_space();
        match self.byte() {
            None => Ok(()),
            Some(_) => self.error("the end"),
        }
    }

    /// What follows starts with `text`: steps over it.
    #[inline]
    fn take(&mut self, text: &str) -> bool {
        let starts = self
            .text
            .as_bytes()
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(text.as_bytes()));
        if starts {
            self.at += text.len();
        }
        starts
    }

    /// The next value.
    #[inline]
    pub(crate) fn value(&mut self) -> Result<Token<'a>> {
        self.skip_space();
        let start = self.at;
        match self.byte() {
            Some(b'"') => self.string().map(Token::Text),
            Some(b'{') => {
                self.skip_nested()?;
                Ok(Token::Object(&self.text[start..self.at]))
            }
            Some(b'[') => {
                self.skip_nested()?;
                Ok(Token::Array(&self.text[start..self.at]))
            }
            Some(b'-' | b'0'..=b'9') => self.number().map(Token::Number),
            _ if self.take("null") => Ok(Token::Null),
            _ if self.take("true") => Ok(Token::Bool(true)),
            _ if self.take("false") => Ok(Token::Bool(false)),
            _ => self.error("a JSON value"),
        }
    }

    #[inline]
    fn string(&mut self) -> Result<JsonText<'a>> {
        if self.byte() != Some(b'"') {
            return self.error("a string");
        }
        let start = self.at + 1;
        let mut has_escapes = false;
        let mut at = start;
        loop {
            let rest = self.text.as_bytes().get(at..).unwrap_or(&[]);
            match memchr::memchr2(b'"', b'\\', rest) {
                Some(found) if rest[found] == b'"' => {
                    self.at = at + found + 1;
                    // Quotes are ASCII: both ends are character boundaries.
                    return Ok(JsonText {
                        raw: &self.text[start..at + found],
                        has_escapes,
                    });
                }
                Some(found) => {
                    has_escapes = true;
                    at += found + 2;
                }
                None => return self.error("the end of a string"),
            }
        }
    }

    #[inline]
    fn number(&mut self) -> Result<&'a str> {
        let start = self.at;
        self.take("-");
        if self.take("0") {
            if matches!(self.byte(), Some(b'0'..=b'9')) {
                return self.error("a number without leading zeros");
            }
        } else {
            self.digits()?;
        }
        if self.take(".") {
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
    }

    #[inline]
    fn digits(&mut self) -> Result<()> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.byte() {
            self.at += 1;
        }
        if self.at == start {
            return self.error("a digit");
        }
        Ok(())
    }

    /// Steps over an array or an object by counting brackets.
    fn skip_nested(&mut self) -> Result<()> {
        let bytes = self.text.as_bytes();
        let mut depth = 0usize;
        loop {
            match bytes.get(self.at) {
                Some(b'{' | b'[') => depth += 1,
                Some(b'}' | b']') => {
                    depth -= 1;
                    if depth == 0 {
                        self.at += 1;
                        return Ok(());
                    }
                }
                Some(b'"') => {
                    self.string()?;
                    continue;
                }
                Some(_) => {}
                None => return self.error("a closing bracket"),
            }
            self.at += 1;
        }
    }
}

/// The fields of an object, in their order; a name may repeat.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    reader: Reader<'a>,
    is_first: bool,
}

impl<'a> Fields<'a> {
    /// `text` is a [`Token::Object`]'s, or any text that should be an object.
    pub(crate) fn new(text: &'a str) -> Result<Fields<'a>> {
        let mut reader = Reader::new(text);
        reader.skip_space();
        if !reader.take("{") {
            return reader.error("an object");
        }
        Ok(Fields {
            reader,
            is_first: true,
        })
    }

    /// The next name. After it comes exactly one of `value`, `skip_known`.
    #[inline]
    pub(crate) fn name(&mut self) -> Result<Option<JsonText<'a>>> {
        self.reader.skip_space();
        if self.reader.take("}") {
            return Ok(None);
        }
        if !std::mem::take(&mut self.is_first) {
            if !self.reader.take(",") {
                return self.reader.error("a comma or a closing brace");
            }
            self.reader.skip_space();
        }
        let name = self.reader.string()?;
        self.reader.skip_space();
        if !self.reader.take(":") {
            return self.reader.error("a colon");
        }
        Ok(Some(name))
    }

    #[inline]
    pub(crate) fn value(&mut self) -> Result<Token<'a>> {
        self.reader.value()
    }

    /// Steps over the value if it is an object whose text is known: comparing is much quicker than reading.
    #[inline]
    pub(crate) fn skip_known(&mut self, text: &str) -> bool {
        self.reader.skip_space();
        !text.is_empty() && self.reader.take(text)
    }

    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<(JsonText<'a>, Token<'a>)>> {
        match self.name()? {
            Some(name) => Ok(Some((name, self.value()?))),
            None => Ok(None),
        }
    }

    /// Where the reader stands, for a message that must end with the object.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.reader.end()
    }
}

/// The elements of an array.
#[derive(Clone, Debug)]
pub(crate) struct Elements<'a> {
    reader: Reader<'a>,
    is_first: bool,
}

impl<'a> Elements<'a> {
    pub(crate) fn new(text: &'a str) -> Result<Elements<'a>> {
        let mut reader = Reader::new(text);
        reader.skip_space();
        if !reader.take("[") {
            return reader.error("an array");
        }
        Ok(Elements {
            reader,
            is_first: true,
        })
    }

    pub(crate) fn next(&mut self) -> Result<Option<Token<'a>>> {
        self.reader.skip_space();
        if self.reader.take("]") {
            return Ok(None);
        }
        if !std::mem::take(&mut self.is_first) && !self.reader.take(",") {
            return self.reader.error("a comma or a closing bracket");
        }
        self.reader.value().map(Some)
    }
}

/// The field of a name in an object's text.
pub(crate) fn field<'a>(object: &'a str, name: &str) -> Result<Option<Token<'a>>> {
    let mut fields = Fields::new(object)?;
    let mut found = None;
    while let Some((own, value)) = fields.next()? {
        if own.is(name) {
            found = Some(value);
        }
    }
    Ok(found)
}

impl<'a> Token<'a> {
    /// A whole number; connectors write some as text.
    pub(crate) fn integer(self) -> Option<i64> {
        match self {
            Token::Number(digits) => digits.parse().ok(),
            Token::Text(text) => text.raw.parse().ok(),
            _ => None,
        }
    }

    pub(crate) fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Token::Text(text) => text.get().ok(),
            _ => None,
        }
    }

    pub(crate) fn object(self) -> Option<&'a str> {
        match self {
            Token::Object(text) => Some(text),
            _ => None,
        }
    }

    /// What kind of value it is, for messages.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Token::Null => "null",
            Token::Bool(_) => "a boolean",
            Token::Number(_) => "a number",
            Token::Text(_) => "a string",
            Token::Array(_) => "an array",
            Token::Object(_) => "an object",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// Reads everything there is into serde's value.
    fn read(text: &str) -> Result<Value> {
        fn convert(token: Token<'_>) -> Result<Value> {
            Ok(match token {
                Token::Null => Value::Null,
                Token::Bool(value) => Value::Bool(value),
                Token::Number(digits) => {
                    Value::Number(serde_json::from_str(digits).map_err(|_| JsonError {
                        at: 0,
                        expected: "a number",
                    })?)
                }
                Token::Text(text) => Value::String(text.get()?.into_owned()),
                Token::Array(text) => {
                    let mut elements = Elements::new(text)?;
                    let mut out = Vec::new();
                    while let Some(element) = elements.next()? {
                        out.push(convert(element)?);
                    }
                    Value::Array(out)
                }
                Token::Object(text) => {
                    let mut fields = Fields::new(text)?;
                    let mut out = serde_json::Map::new();
                    while let Some((name, value)) = fields.next()? {
                        out.insert(name.get()?.into_owned(), convert(value)?);
                    }
                    Value::Object(out)
                }
            })
        }
        let mut reader = Reader::new(text);
        let value = convert(reader.value()?)?;
        reader.end()?;
        Ok(value)
    }

    #[test]
    fn what_is_not_json_is_refused() {
        let cases = [
            "",
            "{",
            "[",
            "\"",
            "\"\\",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\u0000\"",
            "\"\0\"",
            "01",
            "-",
            "1.",
            "1e",
            ".5",
            "nul",
            "NaN",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "[1,]",
            "[1 2]",
            "{\"a\":1 \"b\":2}",
            "1 2",
            "]",
            "}",
            "{\"a\":[}",
            "\u{feff}1",
        ];
        for text in cases {
            assert!(read(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn escapes_are_their_characters() {
        assert_eq!(
            read(r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00""#),
            Ok(Value::String("\"\\/\u{8}\u{c}\n\r\té😀".to_owned()))
        );
        let name = Fields::new(r#"{"\u0061":1}"#).unwrap().name().unwrap();
        assert!(name.unwrap().is("a"));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[^\0]{0,12}".prop_map(Value::String),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
                prop::collection::btree_map("[^\0]{0,5}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn reads_what_serde_writes(value in any_json()) {
            prop_assert_eq!(read(&value.to_string()).unwrap(), value.clone());
            prop_assert_eq!(read(&serde_json::to_string_pretty(&value).unwrap()).unwrap(), value);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[\\[\\]{}\",:\\\\0-9a-u é-]{0,24}") {
            let own = read(&text);
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                // Raw control characters and zero bytes are the only difference, and the pattern has none.
                prop_assert_eq!(own.ok(), Some(value).filter(|_| !text.contains("\\u0000")));
            }
        }
    }
}
