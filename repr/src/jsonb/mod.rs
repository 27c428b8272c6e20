//! `jsonb` as bytes whose order is Postgres' order of jsonb values.
//!
//! A value is a kind byte and a payload that delimits itself. Kinds order as Postgres' do: Null < String < Number < Boolean < Array < Object (an empty
//! top-level array sorts below everything, as in Postgres). Arrays and objects start with their number of members; object members are in Postgres' key
//! order (shorter keys first, then bytes), without duplicates: the last one written wins. (Two objects of one size compare key by key in that order,
//! but each key as text: so Postgres does it.)
//!
//! Strings and keys are UTF-8 ended by 0x00, which JSON text cannot hold in Postgres; numbers are `numeric`s with their display scale.
//!
//! The empty array is the one value with two forms: a kind of its own at the top level, an ordinary array inside another value. A [`Jsonb`] is always in
//! its top-level form; the functions that take a member out or put one in convert.

mod parse;
#[cfg(test)]
mod tests;

use crate::encoding::{END, corrupt};
use crate::{EvalError, Numeric, SqlState};
use memchr::memchr;

pub(crate) use parse::check_text;

// On disk: never change one.
const EMPTY_ARRAY_AT_TOP: u8 = 0x01;
const NULL: u8 = 0x02;
const STRING: u8 = 0x03;
const NUMBER: u8 = 0x04;
const FALSE: u8 = 0x05;
const TRUE: u8 = 0x06;
const ARRAY: u8 = 0x07;
const OBJECT: u8 = 0x08;

/// A number of members below this is one byte; from it on, this byte and four more.
const COUNT_LONG: u8 = 0xFF;
/// How deep arrays and objects may stand in one another. (Postgres' limit follows from its stack, some thousands.)
pub(crate) const DEPTH_MAX: usize = 1_000;
/// Of the order-preserving numeric form, the last bytes are its display scale, which equality ignores.
const NUMBER_SCALE_BYTES: usize = 2;

/// A borrowed jsonb value: its encoding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Jsonb<'a>(&'a [u8]);

/// An owned jsonb value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JsonbBuf(Vec<u8>);

/// One level of a value. Strings are borrowed.
pub enum JsonbView<'a> {
    Null,
    Bool(bool),
    Number(Numeric),
    String(&'a str),
    /// The elements in order.
    Array(Vec<Jsonb<'a>>),
    /// The members in Postgres' key order.
    Object(Vec<(&'a str, Jsonb<'a>)>),
}

/// Walks over encoded values. Trusts them, as everything here does but [`check`].
#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        match self.0.split_at_checked(length) {
            Some((taken, rest)) => {
                self.0 = rest;
                taken
            }
            None => corrupt(),
        }
    }
    fn kind(&mut self) -> u8 {
        self.take(1)[0]
    }
    fn count(&mut self) -> usize {
        match self.take(1)[0] {
            COUNT_LONG => self.take(4).iter().fold(0, |count, &byte| count << 8 | usize::from(byte)),
            count => usize::from(count),
        }
    }
    fn text_bytes(&mut self) -> &'a [u8] {
        match memchr(END, self.0) {
            Some(end) => &self.take(end + 1)[..end],
            None => corrupt(),
        }
    }
    fn text(&mut self) -> &'a str {
        std::str::from_utf8(self.text_bytes()).unwrap_or_else(|_| corrupt())
    }
    fn number_bytes(&mut self) -> &'a [u8] {
        self.take(Numeric::skip_ordered(self.0))
    }
    /// The encoding of the next value.
    fn value(&mut self) -> &'a [u8] {
        let start = self.0;
        match self.kind() {
            STRING => {
                self.text_bytes();
            }
            NUMBER => {
                self.number_bytes();
            }
            ARRAY => {
                for _ in 0..self.count() {
                    self.value();
                }
            }
            OBJECT => {
                for _ in 0..self.count() {
                    self.text_bytes();
                    self.value();
                }
            }
            _ => {}
        }
        &start[..start.len() - self.0.len()]
    }
    /// The next value, which is a member, by itself.
    fn member(&mut self) -> Jsonb<'a> {
        match self.value() {
            [ARRAY, 0] => Jsonb(&[EMPTY_ARRAY_AT_TOP]),
            value => Jsonb(value),
        }
    }
}

/// The length of the value at the start of `bytes`.
pub(crate) fn skip(bytes: &[u8]) -> usize {
    Reader(bytes).value().len()
}

/// As [`skip`] for bytes from outside: `None` unless they start with a value this module could have written.
pub(crate) fn check(bytes: &[u8]) -> Option<usize> {
    if bytes.first() == Some(&EMPTY_ARRAY_AT_TOP) {
        return Some(1);
    }
    if bytes.starts_with(&[ARRAY, 0]) {
        return None;
    }
    Some(bytes.len() - check_value(bytes, 0)?.len())
}

fn check_value(bytes: &[u8], depth: usize) -> Option<&[u8]> {
    let (&kind, rest) = bytes.split_first()?;
    match kind {
        NULL | FALSE | TRUE => Some(rest),
        STRING => check_text_bytes(rest).map(|(_, rest)| rest),
        NUMBER => rest.get(Numeric::check_ordered(rest)?..),
        ARRAY | OBJECT if depth < DEPTH_MAX => {
            let (&count, mut rest) = rest.split_first()?;
            let mut count = u32::from(count);
            if count == u32::from(COUNT_LONG) {
                let (long, after) = rest.split_first_chunk()?;
                (count, rest) = (u32::from_be_bytes(*long), after);
                if count < u32::from(COUNT_LONG) {
                    return None;
                }
            }
            let mut last_key: Option<&[u8]> = None;
            for _ in 0..count {
                if kind == OBJECT {
                    let (key, after) = check_text_bytes(rest)?;
                    if last_key.is_some_and(|last| (last.len(), last) >= (key.len(), key)) {
                        return None;
                    }
                    (last_key, rest) = (Some(key), after);
                }
                rest = check_value(rest, depth + 1)?;
            }
            Some(rest)
        }
        _ => None,
    }
}

fn check_text_bytes(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr(END, bytes)?;
    std::str::from_utf8(&bytes[..end]).ok()?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

/// Appends a valid value so that equal values get equal bytes: its numbers in their canonical form.
pub(crate) fn write_canonical(bytes: &[u8], out: &mut Vec<u8>) {
    canonical_value(&mut Reader(bytes), out)
}

fn canonical_value(reader: &mut Reader<'_>, out: &mut Vec<u8>) {
    let start = reader.0;
    let mut header = *reader;
    match header.kind() {
        NUMBER => {
            let number = Numeric::read_ordered(header.number_bytes()).0;
            out.push(NUMBER);
            number.canonical().write_ordered(out);
        }
        kind @ (ARRAY | OBJECT) => {
            let count = header.count();
            out.extend_from_slice(&start[..start.len() - header.0.len()]);
            for _ in 0..count {
                if kind == OBJECT {
                    out.extend_from_slice(header.text_bytes());
                    out.push(END);
                }
                canonical_value(&mut header, out);
            }
        }
        _ => out.extend_from_slice(header_value(start, &mut header)),
    }
    *reader = header;
}

/// The scalar at `start`, whose kind `reader` has consumed already.
fn header_value<'a>(start: &'a [u8], reader: &mut Reader<'a>) -> &'a [u8] {
    *reader = Reader(start);
    reader.value()
}

/// Equality of scalars as SQL sees it: numbers by value.
fn scalars_equal(left: &[u8], right: &[u8]) -> bool {
    match (left, right) {
        ([NUMBER, left @ ..], [NUMBER, right @ ..]) => left.split_last_chunk::<NUMBER_SCALE_BYTES>().map(|parts| parts.0) == right.split_last_chunk::<NUMBER_SCALE_BYTES>().map(|parts| parts.0),
        _ => left == right,
    }
}

fn is_container(value: &[u8]) -> bool {
    matches!(value.first(), Some(&(ARRAY | OBJECT)))
}

/// `@>` between two arrays or two objects; anything else does not contain.
fn container_contains(value: &[u8], other: &[u8]) -> bool {
    let (mut left, mut right) = (Reader(value), Reader(other));
    match (left.kind(), right.kind()) {
        (OBJECT, OBJECT) => {
            let mut left_count = left.count();
            // Both are in one key order, so one walk over each is enough.
            (0..right.count()).all(|_| {
                let key = right.text_bytes();
                let wanted = right.value();
                while left_count > 0 {
                    left_count -= 1;
                    let (candidate, found) = (left.text_bytes(), left.value());
                    if candidate == key {
                        return if is_container(wanted) { container_contains(found, wanted) } else { scalars_equal(found, wanted) };
                    }
                }
                false
            })
        }
        (ARRAY, ARRAY) => {
            let left_count = left.count();
            (0..right.count()).all(|_| {
                let wanted = right.value();
                let mut candidates = left;
                (0..left_count).any(|_| {
                    let candidate = candidates.value();
                    if is_container(wanted) { container_contains(candidate, wanted) } else { scalars_equal(candidate, wanted) }
                })
            })
        }
        _ => false,
    }
}

impl<'a> Jsonb<'a> {
    /// `bytes` must be a valid encoding.
    pub fn from_encoded(bytes: &'a [u8]) -> Jsonb<'a> {
        Jsonb(bytes)
    }
    pub fn as_encoded(self) -> &'a [u8] {
        self.0
    }
    pub fn view(self) -> JsonbView<'a> {
        let mut reader = Reader(self.0);
        match reader.kind() {
            EMPTY_ARRAY_AT_TOP => JsonbView::Array(Vec::new()),
            NULL => JsonbView::Null,
            STRING => JsonbView::String(reader.text()),
            NUMBER => JsonbView::Number(Numeric::read_ordered(reader.0).0),
            FALSE => JsonbView::Bool(false),
            TRUE => JsonbView::Bool(true),
            ARRAY => JsonbView::Array((0..reader.count()).map(|_| reader.member()).collect()),
            OBJECT => JsonbView::Object((0..reader.count()).map(|_| (reader.text(), reader.member())).collect()),
            _ => corrupt(),
        }
    }
    /// Postgres' output text: `{"a": 1, "b": [1, 2]}`.
    pub fn write_text(self, out: &mut String) {
        write_value_text(&mut Reader(self.0), out)
    }
    /// The value of a key; `None` also when this is no object.
    pub fn get_field(self, key: &str) -> Option<Jsonb<'a>> {
        let mut reader = Reader(self.0);
        if reader.kind() != OBJECT {
            return None;
        }
        for _ in 0..reader.count() {
            let candidate = reader.text_bytes();
            if candidate == key.as_bytes() {
                return Some(reader.member());
            }
            if (candidate.len(), candidate) > (key.len(), key.as_bytes()) {
                return None;
            }
            reader.value();
        }
        None
    }
    /// `->` with a number. Negative positions count from the end. `None` for an object; a scalar is to Postgres here an array of itself.
    pub fn get_element(self, position: i64) -> Option<Jsonb<'a>> {
        let mut reader = Reader(self.0);
        match reader.kind() {
            ARRAY => {}
            OBJECT | EMPTY_ARRAY_AT_TOP => return None,
            _ => return (position == 0 || position == -1).then_some(self),
        }
        let count = reader.count() as i64;
        let position = if position < 0 { position.checked_add(count)? } else { position };
        if !(0..count).contains(&position) {
            return None;
        }
        for _ in 0..position {
            reader.value();
        }
        Some(reader.member())
    }
    /// `@>`.
    pub fn contains(self, other: Jsonb<'_>) -> bool {
        let nested = |value: &[u8]| value == [EMPTY_ARRAY_AT_TOP];
        match (nested(self.0), nested(other.0)) {
            (_, true) => nested(self.0) || self.0.first() == Some(&ARRAY),
            (true, false) => false,
            _ if is_container(other.0) => container_contains(self.0, other.0),
            // An array contains a scalar that is one of its elements; this is Postgres' exception to "same structure".
            _ if self.0.first() == Some(&ARRAY) => {
                let mut reader = Reader(&self.0[1..]);
                (0..reader.count()).any(|_| scalars_equal(reader.value(), other.0))
            }
            _ => scalars_equal(self.0, other.0),
        }
    }
    pub fn to_buf(self) -> JsonbBuf {
        JsonbBuf(self.0.to_vec())
    }
}

fn write_value_text(reader: &mut Reader<'_>, out: &mut String) {
    match reader.kind() {
        EMPTY_ARRAY_AT_TOP => out.push_str("[]"),
        NULL => out.push_str("null"),
        FALSE => out.push_str("false"),
        TRUE => out.push_str("true"),
        STRING => write_string_text(reader.text(), out),
        NUMBER => {
            let number = Numeric::read_ordered(reader.number_bytes()).0;
            // Writing to a string does not fail.
            let _ = std::fmt::Write::write_fmt(out, format_args!("{number}"));
        }
        kind @ (ARRAY | OBJECT) => {
            out.push(if kind == ARRAY { '[' } else { '{' });
            for member in 0..reader.count() {
                if member > 0 {
                    out.push_str(", ");
                }
                if kind == OBJECT {
                    write_string_text(reader.text(), out);
                    out.push_str(": ");
                }
                write_value_text(reader, out);
            }
            out.push(if kind == ARRAY { ']' } else { '}' });
        }
        _ => corrupt(),
    }
}

/// A text as a JSON string, with its quotes and Postgres' choice of escapes.
pub fn write_string_text(text: &str, out: &mut String) {
    out.push('"');
    let mut plain = 0;
    for (position, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            0x08 => "\\b",
            0x0C => "\\f",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x00..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[plain..position]);
        out.push_str(escape);
        if escape.is_empty() {
            let _ = std::fmt::Write::write_fmt(out, format_args!("\\u{byte:04x}"));
        }
        plain = position + 1;
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

/// Writes values. Members of a container are written after its header, whose count is filled in when they are known.
#[derive(Default)]
struct Writer {
    out: Vec<u8>,
    /// The members of the objects being written, innermost last.
    members: Vec<Member>,
}

/// Where a member of an object stands in the output.
#[derive(Clone, Copy)]
struct Member {
    start: usize,
    key_end: usize,
    end: usize,
}

impl Writer {
    fn kind(&mut self, kind: u8) {
        self.out.push(kind);
    }
    fn text(&mut self, text: &str) -> Result<(), EvalError> {
        if memchr(END, text.as_bytes()).is_some() {
            return Err(zero_character());
        }
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(END);
        Ok(())
    }
    fn number(&mut self, number: &Numeric) {
        self.out.push(NUMBER);
        number.write_ordered(&mut self.out);
    }
    /// Opens an array or object and returns where its count belongs.
    fn open(&mut self, kind: u8) -> usize {
        self.out.extend_from_slice(&[kind, 0]);
        self.out.len() - 1
    }
    fn close_array(&mut self, opened: usize, count: usize) {
        match u8::try_from(count) {
            Ok(short) if short < COUNT_LONG => self.out[opened] = short,
            _ => {
                // A value of 4 billion members is longer than any message that could bring it.
                let count = u32::try_from(count).expect("a jsonb container has fewer than 2^32 members");
                self.out[opened] = COUNT_LONG;
                self.out.splice(opened + 1..opened + 1, count.to_be_bytes());
            }
        }
    }
    /// Begins a member of an object with its key.
    fn key(&mut self, key: &str) -> Result<Member, EvalError> {
        let start = self.out.len();
        self.text(key)?;
        Ok(Member { start, key_end: self.out.len() - 1, end: 0 })
    }
    /// Ends a member whose value has been written.
    fn end_member(&mut self, member: Member) {
        self.members.push(Member { end: self.out.len(), ..member });
    }
    /// Closes an object whose members are those from `first_member` on: puts them into key order, of equal keys the last one.
    fn close_object(&mut self, opened: usize, first_member: usize) {
        let out = &self.out;
        let key = |member: &Member| (member.key_end - member.start, &out[member.start..member.key_end]);
        let mut count = self.members.len() - first_member;
        let members = &mut self.members[first_member..];
        if !members.is_sorted_by(|left, right| key(left) < key(right)) {
            // Later members first among equal keys, so that the first of each stays.
            members.sort_unstable_by(|left, right| key(left).cmp(&key(right)).then(right.start.cmp(&left.start)));
            let mut ordered = Vec::with_capacity(out.len() - opened);
            count = 0;
            for (position, member) in members.iter().enumerate() {
                if position == 0 || key(&members[position - 1]) != key(member) {
                    ordered.extend_from_slice(&out[member.start..member.end]);
                    count += 1;
                }
            }
            self.out.truncate(opened + 1);
            self.out.extend_from_slice(&ordered);
        }
        self.members.truncate(first_member);
        self.close_array(opened, count);
    }
    /// A value that is a member of another one.
    fn member_value(&mut self, value: Jsonb<'_>) {
        match value.0 {
            [EMPTY_ARRAY_AT_TOP] => self.out.extend_from_slice(&[ARRAY, 0]),
            value => self.out.extend_from_slice(value),
        }
    }
    fn serde_value(&mut self, value: &serde_json::Value, depth: usize) -> Result<(), EvalError> {
        use serde_json::Value;
        if depth > DEPTH_MAX {
            return Err(too_deep());
        }
        match value {
            Value::Null => self.kind(NULL),
            Value::Bool(value) => self.kind(if *value { TRUE } else { FALSE }),
            Value::Number(number) => {
                let number = Numeric::parse(&number.to_string())?;
                self.number(&number);
            }
            Value::String(text) => {
                self.kind(STRING);
                self.text(text)?;
            }
            Value::Array(elements) => {
                let opened = self.open(ARRAY);
                for element in elements {
                    self.serde_value(element, depth + 1)?;
                }
                self.close_array(opened, elements.len());
            }
            Value::Object(fields) => {
                let (opened, first_member) = (self.open(OBJECT), self.members.len());
                for (key, value) in fields {
                    let member = self.key(key)?;
                    self.serde_value(value, depth + 1)?;
                    self.end_member(member);
                }
                self.close_object(opened, first_member);
            }
        }
        Ok(())
    }
    fn finish(mut self) -> JsonbBuf {
        if self.out == [ARRAY, 0] {
            self.out = vec![EMPTY_ARRAY_AT_TOP];
        }
        JsonbBuf(self.out)
    }
}

fn zero_character() -> EvalError {
    EvalError::new(SqlState::UNTRANSLATABLE_CHARACTER, "unsupported Unicode escape sequence").with_detail("\\u0000 cannot be converted to text.")
}

/// Postgres' error when its stack is used up; the hint names our limit, since nobody can raise it.
fn too_deep() -> EvalError {
    EvalError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded").with_hint(format!("JSON values may be nested up to {DEPTH_MAX} levels deep."))
}

impl JsonbBuf {
    /// Parses JSON text with Postgres' errors (22P02; `\u0000` is 22P05).
    pub fn parse(text: &str) -> Result<JsonbBuf, EvalError> {
        parse::parse(text)
    }
    /// Object members may come in any order; of equal keys the last one stays. Panics if a string holds a zero character, or where members were nested
    /// in one another beyond the limit that parsing has.
    pub fn from_view(view: &JsonbView<'_>) -> JsonbBuf {
        let mut writer = Writer::default();
        let checked = "a jsonb string has no zero character";
        match view {
            JsonbView::Null => writer.kind(NULL),
            JsonbView::Bool(value) => writer.kind(if *value { TRUE } else { FALSE }),
            JsonbView::Number(number) => writer.number(number),
            JsonbView::String(text) => {
                writer.kind(STRING);
                writer.text(text).expect(checked);
            }
            JsonbView::Array(elements) => {
                let opened = writer.open(ARRAY);
                elements.iter().for_each(|element| writer.member_value(*element));
                writer.close_array(opened, elements.len());
            }
            JsonbView::Object(fields) => {
                let opened = writer.open(OBJECT);
                for (key, value) in fields {
                    let member = writer.key(key).expect(checked);
                    writer.member_value(*value);
                    writer.end_member(member);
                }
                writer.close_object(opened, 0);
            }
        }
        writer.finish()
    }
    pub fn from_serde(value: &serde_json::Value) -> Result<JsonbBuf, EvalError> {
        let mut writer = Writer::default();
        writer.serde_value(value, 0)?;
        Ok(writer.finish())
    }
    pub fn as_ref(&self) -> Jsonb<'_> {
        Jsonb(&self.0)
    }
}

impl std::fmt::Debug for Jsonb<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        self.write_text(&mut text);
        formatter.write_str(&text)
    }
}
impl std::fmt::Debug for JsonbBuf {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_ref().fmt(formatter)
    }
}
