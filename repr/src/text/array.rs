//! Text of arrays: `{1,NULL,"a b"}`, `{{1,2},{3,4}}`, `[0:1]={1,2}`.

use super::{TextContext, is_space};
use crate::array::DIMENSIONS_MAX;
use crate::{Array, ArrayBuilder, ArrayDimension, Datum, EvalError, RowBuilder, SqlState, Type};
use std::fmt::Write;

/// Elements one array has at most.
const ELEMENTS_MAX: usize = 134_217_727;

pub(super) fn write(array: Array<'_>, element: &Type, context: &TextContext, out: &mut String) {
    let dimensions = array.dimensions();
    if dimensions.is_empty() {
        return out.push_str("{}");
    }
    if dimensions.iter().any(|dimension| dimension.lower_bound != 1) {
        for dimension in &dimensions {
            let upper = i64::from(dimension.lower_bound) + i64::from(dimension.length) - 1;
            let _ = write!(out, "[{}:{upper}]", dimension.lower_bound);
        }
        out.push('=');
    }
    let mut elements = array.elements();
    write_level(&dimensions, &mut elements, element, context, out);
}

fn write_level<'a>(dimensions: &[ArrayDimension], elements: &mut impl Iterator<Item = Datum<'a>>, element: &Type, context: &TextContext, out: &mut String) {
    let Some((dimension, inner)) = dimensions.split_first() else { return };
    out.push('{');
    for position in 0..dimension.length {
        if position > 0 {
            out.push(',');
        }
        if !inner.is_empty() {
            write_level(inner, elements, element, context, out);
            continue;
        }
        match elements.next() {
            None | Some(Datum::Null) => out.push_str("NULL"),
            Some(datum) => {
                let start = out.len();
                super::write(&datum, element, context, out);
                if !matches!(datum, Datum::Bool(_) | Datum::Int2(_) | Datum::Int4(_) | Datum::Int8(_)) && needs_quotes(&out[start..]) {
                    quote(start, out);
                }
            }
        }
    }
    out.push('}');
}

fn needs_quotes(text: &str) -> bool {
    text.is_empty() || text.eq_ignore_ascii_case("null") || text.bytes().any(|byte| matches!(byte, b'"' | b'\\' | b'{' | b'}' | b',') || is_space(byte))
}

/// Puts what stands in `out` from `start` into quotes.
fn quote(start: usize, out: &mut String) {
    let text = out.split_off(start);
    out.push('"');
    for letter in text.chars() {
        if matches!(letter, '"' | '\\') {
            out.push('\\');
        }
        out.push(letter);
    }
    out.push('"');
}

struct Reader<'a> {
    text: &'a str,
    position: usize,
    element: &'a Type,
    context: &'a TextContext,
    builder: ArrayBuilder,
    scratch: RowBuilder,
    count: usize,
    /// The lengths found so far, outermost first.
    lengths: Vec<u32>,
    /// Set when the first array without elements inside is reached: deeper nesting is then an error.
    depth: Option<usize>,
}

impl Reader<'_> {
    fn malformed(&self, detail: impl Into<String>) -> EvalError {
        EvalError::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("malformed array literal: \"{}\"", self.text)).with_detail(detail)
    }

    fn mismatch(&self) -> EvalError {
        self.malformed("Multidimensional arrays must have sub-arrays with matching dimensions.")
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    fn skip_spaces(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.position += 1;
        }
    }

    fn integer(&mut self) -> Option<i32> {
        let start = self.position;
        if matches!(self.peek(), Some(b'-' | b'+')) {
            self.position += 1;
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.position += 1;
        }
        self.text.get(start..self.position)?.parse().ok()
    }

    /// `[0:1][3]=`: lower bounds and lengths.
    fn dimensions(&mut self) -> Result<Vec<ArrayDimension>, EvalError> {
        let mut dimensions = Vec::new();
        loop {
            self.skip_spaces();
            if self.peek() != Some(b'[') {
                break;
            }
            self.position += 1;
            if dimensions.len() == DIMENSIONS_MAX {
                return Err(too_many_dimensions(dimensions.len() + 1));
            }
            let explicit = || "\"[\" must introduce explicitly-specified array dimensions.";
            let first = self.integer().ok_or_else(|| self.malformed(explicit()))?;
            let (lower, upper) = if self.peek() == Some(b':') {
                self.position += 1;
                (first, self.integer().ok_or_else(|| self.malformed("Missing array dimension value."))?)
            } else {
                (1, first)
            };
            if self.peek() != Some(b']') {
                return Err(self.malformed("Missing \"]\" after array dimensions."));
            }
            self.position += 1;
            if upper < lower {
                return Err(EvalError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, "upper bound cannot be less than lower bound"));
            }
            let length = u32::try_from(i64::from(upper) - i64::from(lower) + 1).ok().filter(|length| (*length as usize) <= ELEMENTS_MAX);
            dimensions.push(ArrayDimension { length: length.ok_or_else(too_large)?, lower_bound: lower });
        }
        if !dimensions.is_empty() {
            if self.peek() != Some(b'=') {
                return Err(self.malformed("Missing \"=\" after array dimensions."));
            }
            self.position += 1;
            self.skip_spaces();
        }
        Ok(dimensions)
    }

    /// One pair of braces at a depth (0 is the outermost), whose opening brace is next.
    fn braces(&mut self, depth: usize) -> Result<(), EvalError> {
        if depth == DIMENSIONS_MAX {
            return Err(too_many_dimensions(depth + 1));
        }
        self.position += 1;
        let mut length = 0u32;
        loop {
            self.skip_spaces();
            match self.peek() {
                None => return Err(self.malformed("Unexpected end of input.")),
                Some(b'}') if length == 0 && depth == 0 => {
                    // Only the whole array may be empty.
                    self.position += 1;
                    break;
                }
                Some(b'}' | b',') => return Err(self.malformed(format!("Unexpected \"{}\" character.", self.peek().unwrap_or(b',') as char))),
                Some(b'{') => {
                    if self.depth.is_some_and(|known| depth + 1 >= known) {
                        return Err(self.mismatch());
                    }
                    self.braces(depth + 1)?;
                }
                Some(_) => {
                    if *self.depth.get_or_insert(depth + 1) != depth + 1 {
                        return Err(self.mismatch());
                    }
                    self.item()?;
                }
            }
            length += 1;
            self.skip_spaces();
            match self.peek() {
                Some(b',') => self.position += 1,
                Some(b'}') => {
                    self.position += 1;
                    break;
                }
                Some(b'{') => return Err(self.malformed("Unexpected \"{\" character.")),
                Some(_) => return Err(self.malformed("Unexpected array element.")),
                None => return Err(self.malformed("Unexpected end of input.")),
            }
        }
        if self.lengths.len() <= depth {
            self.lengths.resize(depth + 1, u32::MAX);
        }
        match self.lengths[depth] {
            u32::MAX => self.lengths[depth] = length,
            known if known == length => {}
            _ => return Err(self.mismatch()),
        }
        Ok(())
    }

    /// One element, quoted or not.
    fn item(&mut self) -> Result<(), EvalError> {
        let mut text = String::new();
        let quoted = self.peek() == Some(b'"');
        let mut escaped = false;
        if quoted {
            self.position += 1;
        }
        // The end of the last character that is not a trailing blank.
        let mut end = 0;
        loop {
            let Some(letter) = self.text[self.position..].chars().next() else { return Err(self.malformed("Unexpected end of input.")) };
            match letter {
                '\\' => {
                    self.position += 1;
                    let Some(letter) = self.text[self.position..].chars().next() else { return Err(self.malformed("Unexpected end of input.")) };
                    self.position += letter.len_utf8();
                    text.push(letter);
                    escaped = true;
                    end = text.len();
                    continue;
                }
                '"' if quoted => {
                    self.position += 1;
                    end = text.len();
                    break;
                }
                '"' => return Err(self.malformed("Unexpected array element.")),
                ',' | '}' if !quoted => break,
                '{' if !quoted => return Err(self.malformed("Unexpected \"{\" character.")),
                _ => {}
            }
            self.position += letter.len_utf8();
            text.push(letter);
            if quoted || !u8::try_from(letter).is_ok_and(is_space) {
                end = text.len();
            }
        }
        text.truncate(end);
        self.count += 1;
        if self.count > ELEMENTS_MAX {
            return Err(too_large());
        }
        if !quoted && !escaped && text.eq_ignore_ascii_case("null") {
            self.builder.push(Datum::Null);
            return Ok(());
        }
        self.scratch.clear();
        super::read(&text, self.element, self.context, &mut self.scratch)?;
        self.builder.push_encoded(self.scratch.as_bytes());
        Ok(())
    }
}

fn too_many_dimensions(count: usize) -> EvalError {
    EvalError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("number of array dimensions ({count}) exceeds the maximum allowed ({DIMENSIONS_MAX})"))
}

fn too_large() -> EvalError {
    EvalError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("array size exceeds the maximum allowed ({ELEMENTS_MAX})"))
}

pub(super) fn read(text: &str, element: &Type, context: &TextContext, out: &mut RowBuilder) -> Result<(), EvalError> {
    let mut reader = Reader {
        text,
        position: 0,
        element,
        context,
        builder: ArrayBuilder::new(),
        scratch: RowBuilder::new(),
        count: 0,
        lengths: Vec::new(),
        depth: None,
    };
    let stated = reader.dimensions()?;
    if reader.peek() != Some(b'{') {
        let detail = if stated.is_empty() { "Array value must start with \"{\" or dimension information." } else { "Array contents must start with \"{\"." };
        return Err(reader.malformed(detail));
    }
    reader.braces(0)?;
    reader.skip_spaces();
    if reader.peek().is_some() {
        return Err(reader.malformed("Junk after closing right brace."));
    }
    let found: Vec<ArrayDimension> =
        if reader.count == 0 { Vec::new() } else { reader.lengths.iter().map(|length| ArrayDimension { length: *length, lower_bound: 1 }).collect() };
    let lengths = |dimensions: &[ArrayDimension]| dimensions.iter().map(|dimension| dimension.length).collect::<Vec<_>>();
    if !stated.is_empty() && lengths(&stated) != lengths(&found) {
        return Err(reader.malformed("Specified array dimensions do not match array contents."));
    }
    let encoded = reader.builder.finish_with(if stated.is_empty() { &found } else { &stated });
    out.push(Datum::Array(Array::from_encoded(&encoded)));
    Ok(())
}
