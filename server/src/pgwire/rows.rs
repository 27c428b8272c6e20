//! Rows and their description on the wire; parameters from it.

use crate::Error;
use crate::execution::ResultColumn;
use bytes::{BufMut, Bytes, BytesMut};
use repr::text::TextContext;
use repr::{ColumnType, Datum, Row, RowBuilder, Type};

/// Text and binary, as format codes have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Binary,
}

/// One format per column from a message's list: none means text, one means all.
pub fn formats(codes: &[i16], count: usize) -> Result<Vec<Format>, Error> {
    let format = |code: i16| match code {
        0 => Ok(Format::Text),
        1 => Ok(Format::Binary),
        other => Err(Error::new("22023", format!("unsupported format code: {other}"))),
    };
    match codes {
        [] => Ok(vec![Format::Text; count]),
        [one] => Ok(vec![format(*one)?; count]),
        many if many.len() == count => many.iter().map(|code| format(*code)).collect(),
        many => Err(Error::new("08P01", format!("bind message has {} result formats but query has {count} columns", many.len()))),
    }
}

/// Appends RowDescription. Written here rather than through the codec, whose size limit a table of 1,600 columns exceeds.
pub fn describe(columns: &[ResultColumn], formats: &[Format], out: &mut BytesMut) {
    out.put_u8(b'T');
    let start = out.len();
    out.put_i32(0);
    out.put_i16(columns.len() as i16);
    for (position, column) in columns.iter().enumerate() {
        out.put_slice(column.name.as_bytes());
        out.put_u8(0);
        out.put_u32(column.table_oid);
        out.put_i16(column.column_number);
        out.put_u32(wire_oid(&column.column_type.scalar));
        out.put_i16(column.column_type.scalar.length());
        out.put_i32(column.column_type.modifier);
        out.put_i16(i16::from(formats.get(position) == Some(&Format::Binary)));
    }
    patch_length(out, start);
}

/// A column of undecided type is shown as text, as Postgres does.
pub fn wire_oid(scalar: &Type) -> u32 {
    match scalar {
        Type::Unknown => Type::Text.oid(),
        known => known.oid(),
    }
}

/// Appends ParameterDescription.
pub fn describe_parameters(types: &[Type], out: &mut BytesMut) {
    out.put_u8(b't');
    let start = out.len();
    out.put_i32(0);
    out.put_i16(types.len() as i16);
    for parameter in types {
        out.put_u32(wire_oid(parameter));
    }
    patch_length(out, start);
}

fn patch_length(out: &mut BytesMut, start: usize) {
    let length = (out.len() - start) as i32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// Encodes rows of one result. Buffers are used again from row to row.
pub struct RowEncoder {
    types: Vec<(Type, Format)>,
    text: TextContext,
    scratch: String,
}

impl RowEncoder {
    pub fn new(columns: &[ResultColumn], formats: &[Format], text: TextContext) -> RowEncoder {
        let types = columns.iter().zip(formats).map(|(column, format)| (column.column_type.scalar.clone(), *format)).collect();
        RowEncoder { types, text, scratch: String::new() }
    }

    /// Appends one DataRow.
    pub fn encode(&mut self, row: &Row, out: &mut BytesMut) {
        out.put_u8(b'D');
        let start = out.len();
        out.put_i32(0);
        out.put_i16(self.types.len() as i16);
        let mut datums = row.iter();
        for (column_type, format) in &self.types {
            // A row shorter than its description would be a defect; NULLs keep the protocol whole.
            let datum = datums.next().unwrap_or(Datum::Null);
            debug_assert!(row.iter().count() == self.types.len());
            encode_value(&datum, column_type, *format, &self.text, &mut self.scratch, out);
        }
        patch_length(out, start);
    }
}

/// Appends length and bytes of one value.
fn encode_value(datum: &Datum<'_>, column_type: &Type, format: Format, text: &TextContext, scratch: &mut String, out: &mut BytesMut) {
    if datum.is_null() {
        out.put_i32(-1);
        return;
    }
    let start = out.len();
    out.put_i32(0);
    match (format, datum) {
        (Format::Text, Datum::Text(value)) => out.put_slice(value.as_bytes()),
        (Format::Text, datum) => {
            scratch.clear();
            repr::text::write(datum, column_type, text, scratch);
            out.put_slice(scratch.as_bytes());
        }
        (Format::Binary, datum) => repr::binary::write(datum, column_type, out),
    }
    let length = (out.len() - start - 4) as i32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// Appends one value in COPY BINARY's form, which is the wire's.
pub fn encode_binary(datum: &Datum<'_>, column_type: &Type, out: &mut BytesMut) {
    encode_value(datum, column_type, Format::Binary, &TextContext::default(), &mut String::new(), out);
}

/// The parameters of a Bind message.
pub struct Parameters<'a> {
    pub values: &'a [Option<Bytes>],
    pub codes: &'a [i16],
    pub types: &'a [Type],
    pub statement: &'a str,
    pub portal: &'a str,
}

impl Parameters<'_> {
    /// The row of their values.
    pub fn decode(&self, text: &TextContext) -> Result<Row, Error> {
        let Parameters { values, codes, types, statement, portal } = self;
        if codes.len() > 1 && codes.len() != values.len() {
            return Err(Error::new("08P01", format!("bind message has {} parameter formats but {} parameters", codes.len(), values.len())));
        }
        if values.len() != types.len() {
            return Err(Error::new(
                "08P01",
                format!("bind message supplies {} parameters, but prepared statement \"{statement}\" requires {}", values.len(), types.len()),
            ));
        }
        let formats = formats(codes, values.len())?;
        let mut row = RowBuilder::new();
        for (position, ((value, parameter), format)) in values.iter().zip(*types).zip(formats).enumerate() {
            let scalar = match parameter {
                Type::Unknown => &Type::Text,
                known => known,
            };
            let Some(bytes) = value else {
                row.push(Datum::Null);
                continue;
            };
            let number = position + 1;
            let name = if portal.is_empty() { format!("unnamed portal parameter ${number}") } else { format!("portal \"{portal}\" parameter ${number}") };
            match format {
                Format::Binary => repr::binary::read(bytes, scalar, &mut row).map_err(|error| {
                    let error = Error::from(error);
                    // Postgres says which one in the message itself.
                    let error = if error.sqlstate() == "22P03" { Error::new("22P03", format!("incorrect binary data format in bind parameter {number}")) } else { error };
                    error.with_context(name)
                })?,
                Format::Text => std::str::from_utf8(bytes)
                    .ok()
                    .filter(|value| !value.contains('\0'))
                    .ok_or_else(|| Error::new("22021", "invalid byte sequence for encoding \"UTF8\""))
                    .and_then(|value| Ok(repr::text::read(value, scalar, text, &mut row)?))
                    // Values are not shown: logs of clients keep what they are sent.
                    .map_err(|error| error.with_context(format!("{name} = '...'")))?,
            }
        }
        Ok(row.finish())
    }
}

/// The type of a column nobody described: everything is text.
pub fn text_column(name: &str) -> ResultColumn {
    ResultColumn { name: name.to_string(), column_type: ColumnType::new(Type::Text), table_oid: 0, column_number: 0 }
}
