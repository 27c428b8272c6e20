//! SQL's `=` as equality of bytes: what joins and groups need.
//!
//! `Plan::Join` and `Plan::Reduce` compare encodings, in which NULL equals NULL. SQL's `=` is that on canonical keys of one type, without NULLs.

use plan::functions::lookup;
use plan::{CastKind, Function, Scalar};
use repr::{ColumnType, Datum, Type};

/// The name of the function that gives equal values equal bytes.
const CANONICAL: &str = "canonical";

/// `canonical(scalar)` where the type needs it.
pub(crate) fn canonical(scalar: Scalar, column_type: &ColumnType) -> Scalar {
    if !column_type.scalar.needs_canonical_key() {
        return scalar;
    }
    if matches!(&scalar, Scalar::Call { function, .. } if function.0.name == CANONICAL) {
        return scalar;
    }
    match lookup(CANONICAL).first() {
        Some(entry) => Scalar::Call { function: Function(entry), arguments: vec![scalar], column_type: column_type.clone().with_modifier(-1) },
        None => scalar,
    }
}

/// Two operands of `=` as scalars whose bytes are equal exactly when SQL calls the (not NULL) operands equal; `None` if there is no such form.
pub(crate) fn byte_keys(left: Scalar, left_type: &ColumnType, right: Scalar, right_type: &ColumnType) -> Option<(Scalar, Scalar)> {
    if left_type.scalar == right_type.scalar {
        return Some((canonical(left, left_type), canonical(right, right_type)));
    }
    let plain_text = |of: &Type| matches!(of, Type::Text | Type::Varchar | Type::Name);
    if plain_text(&left_type.scalar) && plain_text(&right_type.scalar) {
        return Some((left, right));
    }
    let oid = |of: &Type| matches!(of, Type::Oid | Type::Regclass | Type::Regtype | Type::Regproc | Type::Regnamespace);
    if oid(&left_type.scalar) && oid(&right_type.scalar) {
        return Some((left, right));
    }
    let common = wider(&left_type.scalar, &right_type.scalar)?;
    let widen = |scalar: Scalar, from: &ColumnType| {
        let target = ColumnType::new(common.clone()).nullable(from.nullable);
        let widened = if from.scalar == common { scalar } else { Scalar::Cast { input: Box::new(scalar), kind: CastKind::Implicit, column_type: target.clone() } };
        canonical(widened, &target)
    };
    Some((widen(left, left_type), widen(right, right_type)))
}

/// The type that holds both without loss and without failing.
fn wider(left: &Type, right: &Type) -> Option<Type> {
    let rank = |of: &Type| match of {
        Type::Int2 => Some(1),
        Type::Int4 => Some(2),
        Type::Int8 => Some(3),
        _ => None,
    };
    if let (Some(a), Some(b)) = (rank(left), rank(right)) {
        return Some(if a > b { left.clone() } else { right.clone() });
    }
    match (left, right) {
        (Type::Float4, Type::Float8) | (Type::Float8, Type::Float4) => Some(Type::Float8),
        _ => None,
    }
}

/// The operands, if a scalar is a call of SQL's `=`.
pub(crate) fn equality_operands(scalar: &Scalar) -> Option<(&Scalar, &Scalar)> {
    match scalar {
        Scalar::Call { function, arguments, .. } if function.0.name == "=" => match arguments.as_slice() {
            [left, right] => Some((left, right)),
            _ => None,
        },
        _ => None,
    }
}

pub(crate) fn boolean(value: bool) -> Scalar {
    Scalar::literal(Datum::Bool(value), ColumnType::new(Type::Bool).not_null())
}

pub(crate) fn null(column_type: &ColumnType) -> Scalar {
    Scalar::literal(Datum::Null, column_type.clone().nullable(true))
}
