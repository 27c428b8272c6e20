//! A batch is its rows: random expressions over random rows give the same answers in batches of any size, and as single rows.

use super::context;
use crate::vector::{Step, Transform};
use crate::{CastKind, Scalar};
use repr::{ColumnType, Datum, EvalError, Row, Type};

/// A small deterministic generator (xorshift), so that a seed names a run.
struct Random(u64);
impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }
}

fn input() -> Vec<ColumnType> {
    [Type::Int4, Type::Int4, Type::Text, Type::Bool, Type::Float8, Type::Numeric].map(ColumnType::new).to_vec()
}

fn random_datum(random: &mut Random, scalar: &Type) -> Datum<'static> {
    const TEXTS: [&str; 6] = ["", "1", "-7", "abc", "ä%_", "2147483648"];
    const FLOATS: [f64; 6] = [0.0, -1.5, 2.5, 1e300, f64::NAN, f64::INFINITY];
    match (random.below(5), scalar) {
        (0, _) => Datum::Null,
        (_, Type::Int4) => Datum::Int4([0, 1, -1, 2, 7, i32::MAX, i32::MIN][random.below(7)]),
        (_, Type::Text) => Datum::Text(TEXTS[random.below(TEXTS.len())]),
        (_, Type::Bool) => Datum::Bool(random.below(2) == 0),
        (_, Type::Float8) => Datum::Float8(FLOATS[random.below(FLOATS.len())]),
        _ => Datum::Numeric(repr::Numeric::from_parts([0, 1, -150, 12345][random.below(4)], random.below(4) as u16)),
    }
}

fn random_scalar(random: &mut Random, scalar: &Type, depth: usize) -> Scalar {
    let input = input();
    if depth == 0 || random.below(8) == 0 {
        let columns: Vec<usize> = (0..input.len()).filter(|&column| input[column].scalar == *scalar).collect();
        return match (random.below(3), &columns[..]) {
            (0, _) | (_, []) => Scalar::literal(random_datum(random, scalar), ColumnType::new(scalar.clone())),
            _ => Scalar::Column(columns[random.below(columns.len())]),
        };
    }
    let mut child = |scalar: &Type| random_scalar(random, scalar, depth - 1);
    let pair = |name: &str, a: Scalar, b: Scalar| Scalar::call(name, vec![a, b], &input);
    match scalar {
        Type::Bool => {
            let (a, b) = (child(&Type::Int4), child(&Type::Int4));
            let (text, other) = (child(&Type::Text), child(&Type::Text));
            let (p, q, r) = (child(&Type::Bool), child(&Type::Bool), child(&Type::Bool));
            match random.below(9) {
                0 => pair("<", a, b),
                1 => pair("=", text, other),
                2 => pair("~~", text, other),
                3 => Scalar::And(vec![p, q, r]),
                4 => Scalar::Or(vec![p, q, r]),
                5 => p.not(),
                6 => a.is_null(),
                7 => Scalar::call("is_distinct_from", vec![a, b], &input),
                _ => Scalar::If { condition: Box::new(p), then: Box::new(q), otherwise: Box::new(r) },
            }
        }
        Type::Int4 => {
            let (p, a, b, text) = (child(&Type::Bool), child(&Type::Int4), child(&Type::Int4), child(&Type::Text));
            match random.below(9) {
                0 => pair("+", a, b),
                1 => pair("*", a, b),
                2 => pair("/", a, b),
                3 => pair("%", a, b),
                4 => Scalar::call("length", vec![text], &input),
                5 => Scalar::Coalesce(vec![a, b]),
                6 => Scalar::Cast { input: Box::new(text), kind: CastKind::Explicit, column_type: ColumnType::new(Type::Int4) },
                7 => Scalar::call("least", vec![a, b], &input),
                _ => Scalar::If { condition: Box::new(p), then: Box::new(a), otherwise: Box::new(b) },
            }
        }
        Type::Text => {
            let (p, text, other, number) = (child(&Type::Bool), child(&Type::Text), child(&Type::Text), child(&Type::Int4));
            match random.below(6) {
                0 => pair("||", text, other),
                1 => Scalar::call("upper", vec![text], &input),
                2 => pair("left", text, number),
                3 => Scalar::Coalesce(vec![text, other]),
                4 => Scalar::Cast { input: Box::new(number), kind: CastKind::Explicit, column_type: ColumnType::new(Type::Text) },
                _ => Scalar::If { condition: Box::new(p), then: Box::new(text), otherwise: Box::new(other) },
            }
        }
        other => {
            let (p, a, b) = (child(&Type::Bool), child(other), child(other));
            match random.below(5) {
                0 => pair("+", a, b),
                1 => pair("*", a, b),
                2 => pair("/", a, b),
                3 => Scalar::Coalesce(vec![a, b]),
                _ => Scalar::If { condition: Box::new(p), then: Box::new(a), otherwise: Box::new(b) },
            }
        }
    }
}

/// Emitted rows with their positions, errors as their codes.
fn run(transform: &mut Transform, rows: &[Row], batch_rows: &mut dyn FnMut() -> usize) -> Vec<(usize, Result<Vec<u8>, String>)> {
    let (mut answers, mut start) = (Vec::new(), 0);
    while start < rows.len() {
        let end = (start + batch_rows()).min(rows.len());
        rows[start..end].iter().for_each(|row| transform.push(row.as_bytes()));
        transform.flush(&mut |position, row| {
            answers.push((start + position, row.map(<[u8]>::to_vec).map_err(|error| format!("{} {error}", error.code()))))
        });
        start = end;
    }
    answers
}

const CASES: u64 = 400;
const ROWS: usize = 40;

#[test]
fn a_batch_is_its_rows() {
    let first_seed = std::env::var("TIDEMARK_SEED").ok().map(|seed| seed.parse().expect("TIDEMARK_SEED is a number"));
    let seeds = first_seed.map_or(1..=CASES, |seed: u64| seed..=seed);
    for seed in seeds {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let input = input();
        let types = [Type::Int4, Type::Text, Type::Bool, Type::Float8, Type::Numeric];
        let scalars: Vec<Scalar> = (0..3).map(|_| random_scalar(&mut random, &types[random_index(seed)], 3)).collect();
        let predicate = random_scalar(&mut random, &Type::Bool, 2);
        let rows: Vec<Row> =
            (0..ROWS).map(|_| Row::pack(input.iter().map(|column| random_datum(&mut random, &column.scalar)).collect::<Vec<_>>())).collect();
        let steps = [Step::Map(scalars.clone()), Step::Filter(vec![predicate.clone()])];
        let outputs = [6, 0, 7, 8, 1, 2];
        let mut transform = Transform::new(&input, &steps, &outputs, &context());
        let single = run(&mut transform, &rows, &mut || 1);
        for size in [2, 7, ROWS] {
            let batched = run(&mut transform, &rows, &mut || size);
            assert_eq!(
                batched, single,
                "seed {seed} (TIDEMARK_SEED={seed} cargo test -p plan --lib a_batch_is_its_rows), batches of {size}: {steps:?}"
            );
        }
        let sizes = run(&mut transform, &rows, &mut || 1 + random.below(9));
        assert_eq!(sizes, single, "seed {seed}, batches of random sizes");
        // Folding changes no answer.
        let folded = [Step::Map(scalars.iter().map(|scalar| scalar.fold(&context())).collect()), Step::Filter(vec![predicate.fold(&context())])];
        let mut transform = Transform::new(&input, &folded, &outputs, &context());
        assert_eq!(run(&mut transform, &rows, &mut || ROWS), single, "seed {seed}: folded {folded:?} from {steps:?}");
        // What cannot fail does not, what is not nullable is not NULL.
        for (number, scalar) in scalars.iter().enumerate() {
            let mut transform = Transform::new(&input, &[Step::Map(vec![scalar.clone()])], &[6], &context());
            let column_type = scalar.column_type(&input);
            for (position, answer) in run(&mut transform, &rows, &mut || ROWS) {
                let expected =
                    reference(scalar, &rows[position]).map(|row| row.as_bytes().to_vec()).map_err(|error| format!("{} {error}", error.code()));
                assert_eq!(answer, expected, "seed {seed}: scalar {number} over {:?}: {scalar:?}", rows[position]);
                assert!(answer.is_ok() || scalar.can_fail_over(&input), "seed {seed}: scalar {number} failed: {scalar:?}");
                let is_null = answer.is_ok_and(|bytes| repr::RowRef::new(&bytes).iter().next().is_some_and(|datum| datum.is_null()));
                assert!(!is_null || column_type.nullable, "seed {seed}: scalar {number} is NULL: {scalar:?}");
            }
        }
    }
}

/// One row, by the book: what the branches mean is spelled out here, calls are left to the table.
fn reference(scalar: &Scalar, row: &Row) -> Result<Row, EvalError> {
    let input = input();
    let truth = |row: Row| match row.iter().next() {
        Some(Datum::Bool(value)) => Some(value),
        _ => None,
    };
    let connective = |children: &[Scalar], decisive: bool| {
        let mut null = false;
        for child in children {
            match truth(reference(child, row)?) {
                Some(value) if value == decisive => return Ok(Row::pack([Datum::Bool(decisive)])),
                Some(_) => {}
                None => null = true,
            }
        }
        Ok(Row::pack([if null { Datum::Null } else { Datum::Bool(!decisive) }]))
    };
    let literal = |child: &Scalar| Ok::<_, EvalError>(Scalar::Literal(reference(child, row)?, child.column_type(&input)));
    let called = match scalar {
        Scalar::Column(column) => return Ok(Row::pack(row.iter().nth(*column))),
        Scalar::And(children) => return connective(children, false),
        Scalar::Or(children) => return connective(children, true),
        Scalar::If { condition, then, otherwise } => {
            return reference(if truth(reference(condition, row)?) == Some(true) { then } else { otherwise }, row);
        }
        Scalar::Coalesce(children) => {
            for child in children {
                let value = reference(child, row)?;
                if value.iter().next().is_some_and(|datum| !datum.is_null()) {
                    return Ok(value);
                }
            }
            return Ok(Row::pack([Datum::Null]));
        }
        Scalar::Call { function, arguments, column_type } => Scalar::Call {
            function: *function,
            arguments: arguments.iter().map(literal).collect::<Result<_, _>>()?,
            column_type: column_type.clone(),
        },
        Scalar::Cast { input, kind, column_type } => Scalar::Cast { input: Box::new(literal(input)?), kind: *kind, column_type: column_type.clone() },
        other => other.clone(),
    };
    crate::vector::evaluate_constant(&called, &context())
}

fn random_index(seed: u64) -> usize {
    (seed % 5) as usize
}
