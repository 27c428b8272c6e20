//! Rows in COPY's text, CSV and binary formats.

use crate::execution::{CopyFormat, ResultColumn};
use crate::pgwire::rows;
use bytes::{BufMut, BytesMut};
use repr::text::TextContext;
use repr::{Datum, Row, Type};

/// Writes CopyData messages, one per row as Postgres does.
pub struct CopyEncoder {
    format: CopyFormat,
    columns: Vec<(String, Type)>,
    text: TextContext,
    value: String,
    line: String,
    /// The binary signature, until it goes out with the first message of data, as clients expect it.
    signature: &'static [u8],
}

/// `PGCOPY`, flags and the length of an extension, which are zero.
const BINARY_SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

impl CopyEncoder {
    pub fn new(columns: &[ResultColumn], format: CopyFormat, text: TextContext) -> CopyEncoder {
        let columns = columns.iter().map(|column| (column.name.clone(), column.column_type.scalar.clone())).collect();
        CopyEncoder { format, columns, text, value: String::new(), line: String::new(), signature: &[] }
    }

    pub fn is_binary(&self) -> bool {
        self.format == CopyFormat::Binary
    }

    /// What comes before the rows: a header line; the binary signature comes with the first row.
    pub fn begin(&mut self, out: &mut BytesMut) {
        match &self.format {
            CopyFormat::Binary => self.signature = BINARY_SIGNATURE,
            CopyFormat::Text { header: true, .. } | CopyFormat::Csv { header: true, .. } => {
                self.line.clear();
                for position in 0..self.columns.len() {
                    let name = self.columns[position].0.clone();
                    self.append(position, Some(&name));
                }
                self.end_line(out);
            }
            CopyFormat::Text { .. } | CopyFormat::Csv { .. } => {}
        }
    }

    pub fn row(&mut self, row: &Row, out: &mut BytesMut) {
        if self.is_binary() {
            let signature = std::mem::take(&mut self.signature);
            put_data(out, |out| {
                out.put_slice(signature);
                out.put_i16(self.columns.len() as i16);
                for (datum, (_, scalar)) in row.iter().zip(&self.columns) {
                    rows::encode_binary(&datum, scalar, out);
                }
            });
            return;
        }
        self.line.clear();
        for (position, datum) in row.iter().enumerate() {
            let mut value = std::mem::take(&mut self.value);
            value.clear();
            let scalar = self.columns.get(position).map_or(&Type::Text, |(_, scalar)| scalar);
            match &datum {
                Datum::Null => self.append(position, None),
                datum => {
                    repr::text::write(datum, scalar, &self.text, &mut value);
                    self.append(position, Some(&value));
                }
            }
            self.value = value;
        }
        self.end_line(out);
    }

    pub fn end(&mut self, out: &mut BytesMut) {
        if self.is_binary() {
            let signature = std::mem::take(&mut self.signature);
            put_data(out, |out| {
                out.put_slice(signature);
                out.put_i16(-1);
            });
        }
    }

    fn append(&mut self, position: usize, value: Option<&str>) {
        match &self.format {
            CopyFormat::Text { delimiter, null, .. } => {
                if position > 0 {
                    self.line.push(char::from(*delimiter));
                }
                match value {
                    None => self.line.push_str(null),
                    Some(value) => escape_text(value, *delimiter, &mut self.line),
                }
            }
            CopyFormat::Csv { delimiter, null, quote, escape, .. } => {
                if position > 0 {
                    self.line.push(char::from(*delimiter));
                }
                match value {
                    None => self.line.push_str(null),
                    Some(value) => quote_csv(value, *delimiter, null, *quote, *escape, self.columns.len() == 1, &mut self.line),
                }
            }
            CopyFormat::Binary => {}
        }
    }

    fn end_line(&mut self, out: &mut BytesMut) {
        self.line.push('\n');
        put_data(out, |out| out.put_slice(self.line.as_bytes()));
    }
}

fn put_data(out: &mut BytesMut, write: impl FnOnce(&mut BytesMut)) {
    out.put_u8(b'd');
    let start = out.len();
    out.put_i32(0);
    write(out);
    let length = (out.len() - start) as i32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

fn escape_text(value: &str, delimiter: u8, out: &mut String) {
    for character in value.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            other if other == char::from(delimiter) => {
                out.push('\\');
                out.push(other);
            }
            other => out.push(other),
        }
    }
}

/// Quotes what could be read back as something else: the NULL text, delimiters, quotes, line ends, and a lone `\.`.
fn quote_csv(value: &str, delimiter: u8, null: &str, quote: u8, escape: u8, alone: bool, out: &mut String) {
    let (delimiter, quote, escape) = (char::from(delimiter), char::from(quote), char::from(escape));
    let needs_quotes = value == null || (alone && value == "\\.") || value.chars().any(|character| matches!(character, '\n' | '\r') || character == delimiter || character == quote);
    if !needs_quotes {
        out.push_str(value);
        return;
    }
    out.push(quote);
    for character in value.chars() {
        if character == quote || character == escape {
            out.push(escape);
        }
        out.push(character);
    }
    out.push(quote);
}
