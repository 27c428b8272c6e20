//! COPY's formats, read: bytes in chunks of any size to rows.

use crate::Error;
use crate::execution::CopyFormat;
use repr::text::TextContext;
use repr::{ColumnType, Datum, Row, RowBuilder, binary};

const BAD_COPY_FILE_FORMAT: &str = "22P04";
const BINARY_SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// As much of a line as an error shows.
const LINE_SHOWN_CHARS_MAX: usize = 100;
/// The longest line, or binary row, that is read.
const LINE_BYTES_MAX: usize = 256 << 20;

/// Reads rows of the columns it was made with, in their order.
pub struct CopyParser {
    format: CopyFormat,
    table: String,
    columns: Vec<(String, ColumnType)>,
    text: TextContext,
    buffer: Vec<u8>,
    /// Bytes at the start of `buffer` that are known to hold no end of line, and whether they end within quotes.
    scanned: usize,
    in_quotes: bool,
    line: u64,
    header_open: bool,
    ended: bool,
    builder: RowBuilder,
}

enum Field {
    Null,
    Value(Vec<u8>),
}

impl CopyParser {
    pub fn new(format: CopyFormat, table: &str, columns: Vec<(String, ColumnType)>, text: TextContext) -> CopyParser {
        let header_open = match &format {
            CopyFormat::Text { header, .. } | CopyFormat::Csv { header, .. } => *header,
            // The signature.
            CopyFormat::Binary => true,
        };
        CopyParser {
            format,
            table: table.to_string(),
            columns,
            text,
            buffer: Vec::new(),
            scanned: 0,
            in_quotes: false,
            line: 0,
            header_open,
            ended: false,
            builder: RowBuilder::new(),
        }
    }

    /// Takes a chunk; gives every row that is complete to `row`.
    pub fn push(&mut self, bytes: &[u8], row: &mut dyn FnMut(Row) -> Result<(), Error>) -> Result<(), Error> {
        if self.ended {
            return Ok(());
        }
        self.buffer.extend_from_slice(bytes);
        self.drain(false, row)
    }

    /// The end of the data: a last line may lack its end.
    pub fn finish(&mut self, row: &mut dyn FnMut(Row) -> Result<(), Error>) -> Result<(), Error> {
        if self.ended {
            return Ok(());
        }
        self.drain(true, row)?;
        if self.in_quotes {
            return Err(self.fail("unterminated CSV quoted field"));
        }
        Ok(())
    }

    fn drain(&mut self, at_end: bool, row: &mut dyn FnMut(Row) -> Result<(), Error>) -> Result<(), Error> {
        let buffer = std::mem::take(&mut self.buffer);
        let mut start = 0;
        let result = loop {
            let rest = buffer.get(start..).unwrap_or_default();
            let step = if self.format == CopyFormat::Binary { self.binary_step(rest, at_end) } else { self.line_step(rest, at_end) };
            match step {
                Ok(Some((length, read))) => {
                    start += length;
                    if let Some(read) = read
                        && let Err(error) = row(read)
                    {
                        break Err(self.with_line(error, rest.get(..length).unwrap_or_default()));
                    }
                    if self.ended {
                        break Ok(());
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.buffer = buffer;
        self.buffer.drain(..start.min(self.buffer.len()));
        if self.buffer.len() > LINE_BYTES_MAX {
            return Err(self.fail("line is too long"));
        }
        result
    }

    /// The length of what was read and the row in it, or `None` if more bytes are needed.
    fn line_step(&mut self, rest: &[u8], at_end: bool) -> Result<Option<(usize, Option<Row>)>, Error> {
        let Some((line, length)) = self.next_line(rest, at_end) else { return Ok(None) };
        self.scanned = 0;
        self.line += 1;
        if std::mem::take(&mut self.header_open) {
            return Ok(Some((length, None)));
        }
        if line == b"\\." {
            self.ended = true;
            return Ok(Some((length, None)));
        }
        let line = std::str::from_utf8(line).map_err(|error| {
            let byte = line.get(error.valid_up_to()).copied().unwrap_or_default();
            self.with_context(Error::new("22021", format!("invalid byte sequence for encoding \"UTF8\": 0x{byte:02x}")))
        })?;
        let fields = match &self.format {
            CopyFormat::Csv { delimiter, null, quote, escape, .. } => csv_fields(line.as_bytes(), *delimiter, null.as_bytes(), *quote, *escape),
            CopyFormat::Text { delimiter, null, .. } => text_fields(line.as_bytes(), *delimiter, null.as_bytes()),
            CopyFormat::Binary => Vec::new(),
        };
        self.row_of(fields, line).map(|row| Some((length, Some(row))))
    }

    /// A line without its end, and its length with it. Quoted ends of lines belong to a CSV line.
    fn next_line<'b>(&mut self, rest: &'b [u8], at_end: bool) -> Option<(&'b [u8], usize)> {
        let quotes = match &self.format {
            CopyFormat::Csv { quote, escape, .. } => Some((*quote, *escape)),
            _ => None,
        };
        let mut position = self.scanned;
        while let Some(byte) = rest.get(position) {
            match quotes {
                // An escaped quote within quotes: where both are one character, leaving and entering again comes to the same.
                Some((quote, escape)) if self.in_quotes && *byte == escape && escape != quote => {
                    if rest.get(position + 1).is_none() && !at_end {
                        break;
                    }
                    position += 1;
                }
                Some((quote, _)) if *byte == quote => self.in_quotes = !self.in_quotes,
                // In text, a backslash before an end of line makes it part of the value.
                None if *byte == b'\\' => {
                    if rest.get(position + 1).is_none() && !at_end {
                        break;
                    }
                    position += 1;
                }
                _ if self.in_quotes => {}
                _ if *byte == b'\n' => return Some((rest.get(..position).unwrap_or_default(), position + 1)),
                _ if *byte == b'\r' => {
                    let length = match rest.get(position + 1) {
                        Some(b'\n') => 2,
                        None if !at_end => break,
                        _ => 1,
                    };
                    return Some((rest.get(..position).unwrap_or_default(), position + length));
                }
                _ => {}
            }
            position += 1;
        }
        self.scanned = position.min(rest.len());
        (at_end && !rest.is_empty() && !self.in_quotes).then_some((rest, rest.len()))
    }

    fn row_of(&mut self, fields: Vec<Field>, line: &str) -> Result<Row, Error> {
        if fields.len() > self.columns.len() {
            let error = Error::new(BAD_COPY_FILE_FORMAT, "extra data after last expected column");
            return Err(self.with_line(error, line.as_bytes()));
        }
        let count = fields.len();
        self.builder.clear();
        for (position, field) in fields.into_iter().enumerate() {
            let Some((name, column_type)) = self.columns.get(position) else { continue };
            match field {
                Field::Null => self.builder.push(Datum::Null),
                Field::Value(bytes) => {
                    let text = String::from_utf8(bytes).map_err(|_| self.with_context(Error::new("22021", "invalid byte sequence for encoding \"UTF8\"")))?;
                    if let Err(error) = repr::text::read_column(&text, column_type, &self.text, &mut self.builder) {
                        let context = format!("COPY {}, line {}, column {name}: \"{text}\"", self.table, self.line);
                        return Err(with_context(error.into(), &context));
                    }
                }
            }
        }
        // Only now: a value that cannot be read comes first.
        if let Some((name, _)) = self.columns.get(count) {
            let error = Error::new(BAD_COPY_FILE_FORMAT, format!("missing data for column \"{name}\""));
            return Err(self.with_line(error, line.as_bytes()));
        }
        Ok(self.builder.finish())
    }

    /// As [`CopyParser::with_context`], with the line itself, or its beginning.
    fn with_line(&self, error: Error, line: &[u8]) -> Error {
        if self.format == CopyFormat::Binary {
            return self.with_context(error);
        }
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches(['\n', '\r']);
        let shown: String = line.chars().take(LINE_SHOWN_CHARS_MAX).collect();
        let rest = if shown.len() < line.len() { "..." } else { "" };
        with_context(error, &format!("COPY {}, line {}: \"{shown}{rest}\"", self.table, self.line))
    }

    fn binary_step(&mut self, rest: &[u8], at_end: bool) -> Result<Option<(usize, Option<Row>)>, Error> {
        let incomplete = |parser: &CopyParser| if at_end { Err(parser.fail("unexpected EOF in COPY data")) } else { Ok(None) };
        let integer = |at: usize| rest.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_be_bytes);
        if self.header_open {
            if rest.len() < BINARY_SIGNATURE.len() + 8 {
                return incomplete(self);
            }
            if !rest.starts_with(BINARY_SIGNATURE) {
                return Err(self.fail("COPY file signature not recognized"));
            }
            let (flags, extension) = (integer(11).unwrap_or(0), integer(15).unwrap_or(0));
            if flags >> 16 != 0 {
                return Err(self.fail("unrecognized critical flags in COPY file header"));
            }
            let length = BINARY_SIGNATURE.len() + 8 + usize::try_from(extension).map_err(|_| self.fail("invalid COPY file header (missing length)"))?;
            if rest.len() < length {
                return incomplete(self);
            }
            self.header_open = false;
            return Ok(Some((length, None)));
        }
        // The trailer may be missing: some drivers leave it out, and Postgres does not insist.
        if rest.is_empty() && at_end {
            return Ok(None);
        }
        let Some(count) = rest.get(..2).and_then(|bytes| bytes.try_into().ok()).map(i16::from_be_bytes) else { return incomplete(self) };
        if count == -1 {
            self.ended = true;
            return Ok(Some((2, None)));
        }
        if usize::try_from(count) != Ok(self.columns.len()) {
            self.line += 1;
            let message = format!("row field count is {count}, expected {}", self.columns.len());
            return Err(self.fail(&message));
        }
        let mut position = 2;
        let mut spans = Vec::with_capacity(self.columns.len());
        for _ in 0..self.columns.len() {
            let Some(length) = integer(position) else { return incomplete(self) };
            position += 4;
            match usize::try_from(length) {
                Ok(length) if rest.len() - position < length => return incomplete(self),
                Ok(length) => {
                    spans.push(rest.get(position..position + length));
                    position += length;
                }
                Err(_) if length == -1 => spans.push(None),
                Err(_) => return Err(self.fail("invalid field size")),
            }
        }
        self.line += 1;
        self.builder.clear();
        for (span, (name, column_type)) in spans.into_iter().zip(&self.columns) {
            let read = match span {
                None => {
                    self.builder.push(Datum::Null);
                    Ok(())
                }
                Some(bytes) if column_type.modifier < 0 => binary::read(bytes, &column_type.scalar, &mut self.builder),
                Some(bytes) => {
                    let mut plain = RowBuilder::new();
                    binary::read(bytes, &column_type.scalar, &mut plain).and_then(|()| {
                        let row = plain.finish();
                        repr::text::apply_modifier(row.get(0).unwrap_or(Datum::Null), column_type, false, &mut self.builder)
                    })
                }
            };
            if let Err(error) = read {
                return Err(with_context(error.into(), &format!("COPY {}, line {}, column {name}", self.table, self.line)));
            }
        }
        Ok(Some((position, Some(self.builder.finish()))))
    }

    fn fail(&self, message: &str) -> Error {
        self.with_context(Error::new(BAD_COPY_FILE_FORMAT, message))
    }

    fn with_context(&self, error: Error) -> Error {
        with_context(error, &format!("COPY {}, line {}", self.table, self.line))
    }
}

/// Where in the data it happened; the innermost place is the one that counts.
fn with_context(error: Error, context: &str) -> Error {
    if error.fields().context.is_some() { error } else { error.with_context(context) }
}

fn text_fields(line: &[u8], delimiter: u8, null: &[u8]) -> Vec<Field> {
    let mut fields = Vec::new();
    let mut start = 0;
    let mut position = 0;
    loop {
        match line.get(position) {
            Some(b'\\') => position += 2,
            Some(byte) if *byte != delimiter => position += 1,
            other => {
                let end = position.min(line.len());
                let raw = line.get(start..end).unwrap_or_default();
                fields.push(if raw == null { Field::Null } else { Field::Value(unescape(raw)) });
                if other.is_none() {
                    return fields;
                }
                position += 1;
                start = position;
            }
        }
    }
}

fn unescape(raw: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            value.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'b') => value.push(8),
            Some(b'f') => value.push(12),
            Some(b'n') => value.push(b'\n'),
            Some(b'r') => value.push(b'\r'),
            Some(b't') => value.push(b'\t'),
            Some(b'v') => value.push(11),
            Some(digit @ b'0'..=b'7') => {
                let mut code = u32::from(digit - b'0');
                for _ in 0..2 {
                    let Some(digit) = bytes.next_if(|byte| (b'0'..=b'7').contains(byte)) else { break };
                    code = code * 8 + u32::from(digit - b'0');
                }
                value.push((code & 0xff) as u8);
            }
            Some(b'x') if bytes.peek().is_some_and(u8::is_ascii_hexdigit) => {
                let mut code = 0;
                for _ in 0..2 {
                    let Some(digit) = bytes.next_if(u8::is_ascii_hexdigit) else { break };
                    code = code * 16 + char::from(digit).to_digit(16).unwrap_or(0);
                }
                value.push((code & 0xff) as u8);
            }
            Some(other) => value.push(other),
            None => value.push(b'\\'),
        }
    }
    value
}

fn csv_fields(line: &[u8], delimiter: u8, null: &[u8], quote: u8, escape: u8) -> Vec<Field> {
    let mut fields = Vec::new();
    let (mut value, mut was_quoted, mut in_quotes) = (Vec::new(), false, false);
    let mut bytes = line.iter().copied().peekable();
    let mut end = |value: &mut Vec<u8>, was_quoted: &mut bool| {
        let value = std::mem::take(value);
        fields.push(if !std::mem::take(was_quoted) && value == null { Field::Null } else { Field::Value(value) });
    };
    while let Some(byte) = bytes.next() {
        if in_quotes {
            let escaped = byte == escape && bytes.peek().is_some_and(|next| *next == quote || *next == escape);
            if escaped {
                value.extend(bytes.next());
            } else if byte == quote {
                in_quotes = false;
            } else {
                value.push(byte);
            }
        } else if byte == quote {
            in_quotes = true;
            was_quoted = true;
        } else if byte == delimiter {
            end(&mut value, &mut was_quoted);
        } else {
            value.push(byte);
        }
    }
    end(&mut value, &mut was_quoted);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use repr::Type;

    fn text() -> CopyFormat {
        CopyFormat::Text { delimiter: b'\t', null: "\\N".to_string(), header: false }
    }
    fn csv(header: bool) -> CopyFormat {
        CopyFormat::Csv { delimiter: b',', null: String::new(), header, quote: b'"', escape: b'"' }
    }

    /// Whatever the chunks, the rows are the same.
    fn read(format: &CopyFormat, data: &[u8]) -> Result<Vec<String>, String> {
        let columns = || vec![("a".to_string(), ColumnType::new(Type::Int4)), ("b".to_string(), ColumnType::new(Type::Text))];
        let mut results = Vec::new();
        for chunk in [1, 2, 3, 7, data.len().max(1)] {
            let mut parser = CopyParser::new(format.clone(), "t", columns(), TextContext::default());
            let mut rows = Vec::new();
            let mut take = |row: Row| {
                rows.push(format!("{row:?}"));
                Ok(())
            };
            let result = data.chunks(chunk).try_for_each(|bytes| parser.push(bytes, &mut take)).and_then(|()| parser.finish(&mut take));
            results.push(result.map(|()| rows).map_err(|error| format!("{} {} | {}", error.sqlstate(), error, error.fields().context.clone().unwrap_or_default())));
        }
        assert!(results.iter().all(|result| *result == results[0]), "{results:?}");
        results.swap_remove(0)
    }

    fn rows(values: &[(Option<i32>, Option<&str>)]) -> Result<Vec<String>, String> {
        let row = |(a, b): &(Option<i32>, Option<&str>)| Row::pack([a.map_or(Datum::Null, Datum::Int4), b.map_or(Datum::Null, Datum::Text)]);
        Ok(values.iter().map(|value| format!("{:?}", row(value))).collect())
    }

    #[test]
    fn text_format() {
        assert_eq!(read(&text(), b"1\tx\n2\t\\N\n\\N\ta\\tb\\\\c\\x41\\101\n"), rows(&[(Some(1), Some("x")), (Some(2), None), (None, Some("a\tb\\cAA"))]));
        assert_eq!(read(&text(), b"1\tx\r\n2\ty\\\nz"), rows(&[(Some(1), Some("x")), (Some(2), Some("y\nz"))]));
        assert_eq!(read(&text(), b"1\tx\n\\.\nwhatever"), rows(&[(Some(1), Some("x"))]));
        assert_eq!(read(&text(), b""), Ok(vec![]));
        assert_eq!(read(&text(), b"1\n"), Err("22P04 missing data for column \"b\" | COPY t, line 1: \"1\"".to_string()));
        assert_eq!(read(&text(), b"1\tx\n1\tx\ty\n"), Err("22P04 extra data after last expected column | COPY t, line 2: \"1\tx\ty\"".to_string()));
        assert_eq!(read(&text(), b"one\tx\n"), Err("22P02 invalid input syntax for type integer: \"one\" | COPY t, line 1, column a: \"one\"".to_string()));
        assert_eq!(read(&text(), b"1\t\xff\n"), Err("22021 invalid byte sequence for encoding \"UTF8\": 0xff | COPY t, line 1".to_string()));
    }

    #[test]
    fn csv_format() {
        assert_eq!(read(&csv(true), b"a,b\n1,\"x, \"\"y\"\"\nz\"\n,\n2,\"\""), rows(&[(Some(1), Some("x, \"y\"\nz")), (None, None), (Some(2), Some(""))]));
        assert_eq!(read(&csv(false), b"1,\"open\n"), Err("22P04 unterminated CSV quoted field | COPY t, line 0".to_string()));
    }

    #[test]
    fn binary_format() {
        let mut data = BINARY_SIGNATURE.to_vec();
        data.extend([0; 8]);
        data.extend([0, 2, 0, 0, 0, 4, 0, 0, 0, 7, 0, 0, 0, 1, b'x']);
        data.extend([0, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        let whole = [data.clone(), vec![0xff, 0xff]].concat();
        assert_eq!(read(&CopyFormat::Binary, &whole), rows(&[(Some(7), Some("x")), (None, None)]));
        assert_eq!(read(&CopyFormat::Binary, &data), rows(&[(Some(7), Some("x")), (None, None)]), "without a trailer");
        assert_eq!(read(&CopyFormat::Binary, &data[..30]), Err("22P04 unexpected EOF in COPY data | COPY t, line 0".to_string()));
    }
}
