//! How the rows of a relation lie in an arrangement, and how they come out again.

use plan::{Function, Scalar};
use repr::{ColumnType, RowRef};
use smallvec::SmallVec;

/// An arrangement's key and value in terms of the relation's columns.
///
/// When the key consists of plain columns, the value holds the other ones only (each column is stored once); otherwise the value is the whole row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    pub types: Vec<ColumnType>,
    /// Scalars over the relation's columns, canonical where their type needs it.
    pub key: Vec<Scalar>,
    /// The columns of the value, in order.
    pub value: Vec<usize>,
}

/// The canonical form of a key scalar: what differs between values SQL calls equal is taken out.
pub fn canonical(scalar: Scalar, types: &[ColumnType]) -> Scalar {
    let column_type = scalar.column_type(types);
    if !column_type.scalar.needs_canonical_key() || is_canonical(&scalar) {
        return scalar;
    }
    match plan::functions::lookup("canonical").first() {
        Some(entry) => Scalar::Call { function: Function(entry), arguments: vec![scalar], column_type },
        None => scalar,
    }
}

fn is_canonical(scalar: &Scalar) -> bool {
    matches!(scalar, Scalar::Call { function, .. } if function.0.name == "canonical")
}

/// A join or group key as two plans may write it: `canonical` is taken away where it changes nothing.
pub fn normalize(scalar: &Scalar, types: &[ColumnType]) -> Scalar {
    match scalar {
        Scalar::Call { arguments, .. } if is_canonical(scalar) => match arguments.first() {
            Some(argument) if !argument.column_type(types).scalar.needs_canonical_key() => argument.clone(),
            _ => scalar.clone(),
        },
        scalar => scalar.clone(),
    }
}

impl Shape {
    /// Keyed by these scalars as they are.
    pub fn new(types: Vec<ColumnType>, key: Vec<Scalar>) -> Shape {
        let mut columns: Vec<usize> = key.iter().filter_map(as_column).collect();
        columns.sort_unstable();
        columns.dedup();
        let thinned = columns.len() == key.len();
        let value = (0..types.len()).filter(|column| !thinned || columns.binary_search(column).is_err()).collect();
        Shape { types, key, value }
    }
    /// Keyed by the canonical values of columns.
    pub fn by_columns(types: Vec<ColumnType>, key: &[usize]) -> Shape {
        let key = key.iter().map(|&column| canonical(Scalar::Column(column), &types)).collect();
        Shape::new(types, key)
    }
    pub fn arity(&self) -> usize {
        self.types.len()
    }
    /// The columns the key is made of, if each part is a column or its canonical form.
    pub fn key_columns(&self) -> Option<Vec<usize>> {
        let column = |scalar: &Scalar| match scalar {
            Scalar::Call { arguments, .. } if is_canonical(scalar) => arguments.first().and_then(as_column),
            scalar => as_column(scalar),
        };
        self.key.iter().map(column).collect()
    }
    /// The columns of key and value, one after the other: what positions in [`Shape::positions`] count.
    pub fn stored_types(&self) -> Vec<ColumnType> {
        let key = self.key.iter().map(|scalar| scalar.column_type(&self.types));
        key.chain(self.value.iter().map(|&column| self.types[column].clone())).collect()
    }
    /// Where each column of the relation is among the stored ones.
    pub fn positions(&self) -> Vec<usize> {
        let position = |column: usize| match self.value.binary_search(&column) {
            Ok(position) => self.key.len() + position,
            // Columns are missing from the value only if the key has them.
            Err(_) => self.key.iter().position(|scalar| as_column(scalar) == Some(column)).unwrap_or_default(),
        };
        (0..self.arity()).map(position).collect()
    }
    /// Puts rows together again.
    pub fn reassembly(&self) -> Reassembly {
        let positions = self.positions();
        if self.value.len() == self.arity() {
            Reassembly::Value
        } else if positions.iter().enumerate().all(|(column, &position)| column == position) {
            Reassembly::Concatenate
        } else {
            Reassembly::Permute { key: self.key.len(), positions }
        }
    }
}

fn as_column(scalar: &Scalar) -> Option<usize> {
    match scalar {
        Scalar::Column(column) => Some(*column),
        _ => None,
    }
}

/// Makes whole rows of keys and values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reassembly {
    /// The value is the row.
    Value,
    /// The key, then the value.
    Concatenate,
    /// Column by column.
    Permute { key: usize, positions: Vec<usize> },
}

impl Reassembly {
    /// The whole row; `buffer` is where it is put together if it must be.
    #[inline]
    pub fn row<'a>(&self, key: &'a [u8], value: &'a [u8], buffer: &'a mut Vec<u8>) -> &'a [u8] {
        match self {
            Reassembly::Value => return value,
            Reassembly::Concatenate => {
                buffer.clear();
                buffer.extend_from_slice(key);
                buffer.extend_from_slice(value);
            }
            Reassembly::Permute { key: key_arity, positions } => {
                let mut datums: SmallVec<[&[u8]; 16]> = SmallVec::new();
                for (part, arity) in [(key, *key_arity), (value, positions.len() - key_arity)] {
                    let mut iter = RowRef::new(part).iter();
                    datums.extend((0..arity).filter_map(|_| iter.next_encoded()));
                }
                buffer.clear();
                for &position in positions {
                    buffer.extend_from_slice(datums.get(position).copied().unwrap_or_default());
                }
            }
        }
        buffer
    }
}

/// Splits an encoded row after `columns` datums.
#[inline]
pub fn split(row: &[u8], columns: usize) -> (&[u8], &[u8]) {
    let mut iter = RowRef::new(row).iter();
    for _ in 0..columns {
        iter.next_encoded();
    }
    row.split_at(row.len() - iter.rest().len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use repr::{Datum, Row, Type};

    #[test]
    fn rows_come_back_from_any_key() {
        let types = vec![ColumnType::new(Type::Int4); 4];
        let row = Row::pack((0..4).map(Datum::Int4));
        let keys: [&[usize]; 8] = [&[], &[0], &[0, 1], &[3], &[2, 1], &[0, 1, 2, 3], &[3, 2, 1, 0], &[1, 1]];
        for key in keys {
            let shape = Shape::by_columns(types.clone(), key);
            let part = |columns: &[usize]| Row::pack(columns.iter().filter_map(|&column| row.get(column)));
            let (stored_key, value) = (part(key), part(&shape.value));
            let mut buffer = Vec::new();
            assert_eq!(shape.reassembly().row(stored_key.as_bytes(), value.as_bytes(), &mut buffer), row.as_bytes(), "{key:?}");
            let stored = [stored_key.as_bytes(), value.as_bytes()].concat();
            assert_eq!(split(&stored, key.len()), (stored_key.as_bytes(), value.as_bytes()), "{key:?}");
        }
    }
}
