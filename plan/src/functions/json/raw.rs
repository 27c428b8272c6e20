//! `json` as the text it is: parts are found without changing a byte of them.

use repr::JsonbBuf;
use repr::{EvalError, JsonbView};
use std::borrow::Cow;

/// A value within a valid JSON text, without blanks around it.
#[derive(Clone, Copy)]
pub struct Raw<'a>(&'a str);

/// What a value is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];

impl<'a> Raw<'a> {
    /// The text of a value of type `json`, which was checked when it became one.
    pub fn new(text: &'a str) -> Raw<'a> {
        Raw(text.trim_matches(BLANKS))
    }
    pub fn as_str(self) -> &'a str {
        self.0
    }
    pub fn kind(self) -> Kind {
        match self.0.as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') | None => Kind::Null,
            _ => Kind::Number,
        }
    }
    /// The elements of an array in their order; nothing for other values.
    pub fn elements(self) -> Parts<'a> {
        Parts(if self.kind() == Kind::Array { &self.0[1..] } else { "" })
    }
    /// The members of an object as they are written, repeated keys included; nothing for other values.
    pub fn members(self) -> impl Iterator<Item = (Raw<'a>, Raw<'a>)> {
        let mut parts = Parts(if self.kind() == Kind::Object { &self.0[1..] } else { "" });
        std::iter::from_fn(move || Some((parts.next()?, parts.next()?)))
    }
    /// The member of a key: of several the last.
    pub fn member(self, key: &str) -> Result<Option<Raw<'a>>, EvalError> {
        let mut found = None;
        for (name, value) in self.members() {
            if name.unquoted()? == key {
                found = Some(value);
            }
        }
        Ok(found)
    }
    /// The element at a position, counted from the end if negative.
    pub fn element(self, position: i64) -> Option<Raw<'a>> {
        let position = if position < 0 { position + self.elements().count() as i64 } else { position };
        self.elements().nth(usize::try_from(position).ok()?)
    }
    /// One step of a path.
    pub fn step(self, step: &str) -> Result<Option<Raw<'a>>, EvalError> {
        match self.kind() {
            Kind::Object => self.member(step),
            Kind::Array => Ok(step.trim_start_matches(BLANKS).parse().ok().and_then(|position: i32| self.element(i64::from(position)))),
            _ => Ok(None),
        }
    }
    /// A string's text; other values as they are written.
    pub fn unquoted(self) -> Result<Cow<'a, str>, EvalError> {
        let Some(inner) = self.0.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return Ok(Cow::Borrowed(self.0)) };
        if !inner.contains('\\') {
            return Ok(Cow::Borrowed(inner));
        }
        match JsonbBuf::parse(self.0)?.as_ref().view() {
            JsonbView::String(text) => Ok(Cow::Owned(text.to_string())),
            _ => Ok(Cow::Borrowed(inner)),
        }
    }
}

/// Values with commas or colons between them, up to a closing bracket.
pub struct Parts<'a>(&'a str);

impl<'a> Iterator for Parts<'a> {
    type Item = Raw<'a>;
    fn next(&mut self) -> Option<Raw<'a>> {
        let rest = self.0.trim_start_matches(|character| BLANKS.contains(&character) || character == ',' || character == ':');
        if rest.is_empty() || rest.starts_with([']', '}']) {
            self.0 = "";
            return None;
        }
        let (value, after) = rest.split_at(length(rest));
        self.0 = after;
        Some(Raw(value))
    }
}

/// How long the value at the start of a text is.
fn length(text: &str) -> usize {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for (position, byte) in text.bytes().enumerate() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    in_string = false;
                    if depth == 0 {
                        return position + 1;
                    }
                }
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' if depth == 0 => return position,
            b']' | b'}' => {
                depth -= 1;
                if depth == 0 {
                    return position + 1;
                }
            }
            b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => return position,
            _ => {}
        }
    }
    text.len()
}
