//! Postgres' binary format of every type, as the wire and COPY BINARY carry it.

use crate::{Datum, EvalError, RowBuilder, Type};

/// Appends the binary format of a datum, without its length. The datum must not be NULL.
pub fn write(_datum: &Datum<'_>, _typ: &Type, _out: &mut bytes::BytesMut) {
    todo!()
}

/// Reads a datum of `typ` and appends it to `out`. Bytes of the wrong length are 22P03.
pub fn read(_bytes: &[u8], _typ: &Type, _out: &mut RowBuilder) -> Result<(), EvalError> {
    todo!()
}
