//! The bytes against a slow reference: values as a tree, compared by Postgres' rules written down anew. Nothing here uses an `Ord` of the crate.

use super::*;
use crate::{ArrayBuilder, ArrayDimension, JsonbBuf, JsonbView, Row, RowBuilder};
use num_bigint::BigInt;
use proptest::prelude::*;
use proptest::strategy::Union;
use std::cmp::Ordering;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A decimal in parts, or one of the three others.
#[derive(Clone, Debug, PartialEq)]
enum Decimal {
    NegativeInfinity,
    Finite { unscaled: BigInt, scale: u16 },
    Infinity,
    NaN,
}

#[derive(Clone, Debug, PartialEq)]
enum Json {
    Null,
    String(String),
    Number(Decimal),
    Bool(bool),
    Array(Vec<Json>),
    /// In storage order, without duplicates.
    Object(Vec<(String, Json)>),
}

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Null,
    Bool(bool),
    Int2(i16),
    Int4(i32),
    Int8(i64),
    /// Bits, all NaNs one, so that `PartialEq` is identity.
    Float4(u32),
    Float8(u64),
    Numeric(Decimal),
    Text(String),
    Bytea(Vec<u8>),
    Date(i32),
    Time(i64),
    Timestamp(i64),
    TimestampTz(i64),
    Interval(i32, i32, i64),
    Uuid([u8; 16]),
    Jsonb(Json),
    Oid(u32),
    Array(Vec<Value>, Vec<(u32, i32)>),
    Record(Vec<Value>),
}

impl Decimal {
    fn numeric(&self) -> Numeric {
        match self {
            Decimal::NegativeInfinity => Numeric::negative_infinity(),
            Decimal::Infinity => Numeric::infinity(),
            Decimal::NaN => Numeric::nan(),
            Decimal::Finite { unscaled, scale } => Numeric::from_be_bytes(&unscaled.to_signed_bytes_be(), i32::from(*scale)).unwrap(),
        }
    }
    fn from_numeric(numeric: &Numeric) -> Decimal {
        match numeric.to_string().as_str() {
            "NaN" => Decimal::NaN,
            "Infinity" => Decimal::Infinity,
            "-Infinity" => Decimal::NegativeInfinity,
            text => Decimal::Finite { unscaled: text.replace('.', "").parse().unwrap(), scale: numeric.scale() },
        }
    }
    fn compare(&self, other: &Decimal) -> Ordering {
        let class = |decimal: &Decimal| match decimal {
            Decimal::NegativeInfinity => 0,
            Decimal::Finite { .. } => 1,
            Decimal::Infinity => 2,
            Decimal::NaN => 3,
        };
        match (self, other) {
            (Decimal::Finite { unscaled: left, scale: left_scale }, Decimal::Finite { unscaled: right, scale: right_scale }) => {
                let power = |scale: &u16| BigInt::from(10).pow(u32::from(*scale));
                (left * power(right_scale)).cmp(&(right * power(left_scale)))
            }
            _ => class(self).cmp(&class(other)),
        }
    }
}

impl Json {
    fn encode(&self) -> JsonbBuf {
        match self {
            Json::Null => JsonbBuf::from_view(&JsonbView::Null),
            Json::Bool(value) => JsonbBuf::from_view(&JsonbView::Bool(*value)),
            Json::Number(number) => JsonbBuf::from_view(&JsonbView::Number(number.numeric())),
            Json::String(text) => JsonbBuf::from_view(&JsonbView::String(text)),
            Json::Array(elements) => {
                let encoded: Vec<_> = elements.iter().map(Json::encode).collect();
                JsonbBuf::from_view(&JsonbView::Array(encoded.iter().map(JsonbBuf::as_ref).collect()))
            }
            Json::Object(members) => {
                let encoded: Vec<_> = members.iter().map(|(key, value)| (key, value.encode())).collect();
                JsonbBuf::from_view(&JsonbView::Object(encoded.iter().map(|(key, value)| (key.as_str(), value.as_ref())).collect()))
            }
        }
    }
    fn decode(jsonb: Jsonb<'_>) -> Json {
        match jsonb.view() {
            JsonbView::Null => Json::Null,
            JsonbView::Bool(value) => Json::Bool(value),
            JsonbView::Number(number) => Json::Number(Decimal::from_numeric(&number)),
            JsonbView::String(text) => Json::String(text.to_string()),
            JsonbView::Array(elements) => Json::Array(elements.into_iter().map(Json::decode).collect()),
            JsonbView::Object(members) => Json::Object(members.into_iter().map(|(key, value)| (key.to_string(), Json::decode(value))).collect()),
        }
    }
    /// `compareJsonbContainers`, which walks both values in step.
    fn compare(&self, other: &Json, top: bool) -> Ordering {
        let rank = |json: &Json| match json {
            Json::Null => 0,
            Json::String(_) => 1,
            Json::Number(_) => 2,
            Json::Bool(_) => 3,
            Json::Array(_) => 4,
            Json::Object(_) => 5,
        };
        let empty = |json: &Json| top && matches!(json, Json::Array(elements) if elements.is_empty());
        match (self, other) {
            // A scalar at the top is an array of one element there, and the empty array has fewer.
            (Json::Array(_), _) if empty(self) && !empty(other) => Ordering::Less,
            (_, Json::Array(_)) if empty(other) && !empty(self) => Ordering::Greater,
            (Json::String(left), Json::String(right)) => left.as_bytes().cmp(right.as_bytes()),
            (Json::Number(left), Json::Number(right)) => left.compare(right),
            (Json::Bool(left), Json::Bool(right)) => left.cmp(right),
            (Json::Array(left), Json::Array(right)) => {
                left.len().cmp(&right.len()).then_with(|| left.iter().zip(right).map(|(left, right)| left.compare(right, false)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal))
            }
            (Json::Object(left), Json::Object(right)) => left.len().cmp(&right.len()).then_with(|| {
                let pairs = left.iter().zip(right);
                let mut orders = pairs.map(|((left_key, left), (right_key, right))| left_key.as_bytes().cmp(right_key.as_bytes()).then_with(|| left.compare(right, false)));
                orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
            }),
            _ => rank(self).cmp(&rank(other)),
        }
    }
}

impl Value {
    fn write(&self, out: &mut RowBuilder) {
        self.with_datum(&mut |datum| out.push(datum))
    }
    fn encoded(&self) -> Vec<u8> {
        let mut builder = RowBuilder::new();
        self.write(&mut builder);
        builder.as_bytes().to_vec()
    }
    fn canonical(&self) -> Vec<u8> {
        let mut builder = RowBuilder::new();
        self.with_datum(&mut |datum| builder.push_canonical(datum));
        builder.as_bytes().to_vec()
    }
    fn with_datum(&self, use_datum: &mut dyn FnMut(Datum<'_>)) {
        match self {
            Value::Null => use_datum(Datum::Null),
            Value::Bool(value) => use_datum(Datum::Bool(*value)),
            Value::Int2(value) => use_datum(Datum::Int2(*value)),
            Value::Int4(value) => use_datum(Datum::Int4(*value)),
            Value::Int8(value) => use_datum(Datum::Int8(*value)),
            Value::Float4(bits) => use_datum(Datum::Float4(f32::from_bits(*bits))),
            Value::Float8(bits) => use_datum(Datum::Float8(f64::from_bits(*bits))),
            Value::Numeric(decimal) => use_datum(Datum::Numeric(decimal.numeric())),
            Value::Text(text) => use_datum(Datum::Text(text)),
            Value::Bytea(bytes) => use_datum(Datum::Bytea(bytes.into())),
            Value::Date(value) => use_datum(Datum::Date(Date(*value))),
            Value::Time(value) => use_datum(Datum::Time(Time(*value))),
            Value::Timestamp(value) => use_datum(Datum::Timestamp(SqlTimestamp(*value))),
            Value::TimestampTz(value) => use_datum(Datum::TimestampTz(SqlTimestampTz(*value))),
            Value::Interval(months, days, micros) => use_datum(Datum::Interval(Interval { months: *months, days: *days, micros: *micros })),
            Value::Uuid(bytes) => use_datum(Datum::Uuid(*bytes)),
            Value::Jsonb(json) => use_datum(Datum::Jsonb(json.encode().as_ref())),
            Value::Oid(value) => use_datum(Datum::Oid(*value)),
            Value::Array(elements, dimensions) => {
                let mut builder = ArrayBuilder::new();
                elements.iter().for_each(|element| element.with_datum(&mut |datum| builder.push(datum)));
                let dimensions: Vec<_> = dimensions.iter().map(|&(length, lower_bound)| ArrayDimension { length, lower_bound }).collect();
                use_datum(Datum::Array(Array::from_encoded(&builder.finish_with(&dimensions))))
            }
            Value::Record(fields) => {
                let mut builder = RowBuilder::new();
                fields.iter().for_each(|field| field.write(&mut builder));
                use_datum(Datum::Record(RowRef::new(builder.as_bytes())))
            }
        }
    }
    fn from_datum(datum: Datum<'_>) -> Value {
        match datum {
            Datum::Null => Value::Null,
            Datum::Bool(value) => Value::Bool(value),
            Datum::Int2(value) => Value::Int2(value),
            Datum::Int4(value) => Value::Int4(value),
            Datum::Int8(value) => Value::Int8(value),
            Datum::Float4(value) => Value::Float4(value.to_bits()),
            Datum::Float8(value) => Value::Float8(value.to_bits()),
            Datum::Numeric(value) => Value::Numeric(Decimal::from_numeric(&value)),
            Datum::Text(text) => Value::Text(text.to_string()),
            Datum::Bytea(bytes) => Value::Bytea(bytes.into_owned()),
            Datum::Date(Date(value)) => Value::Date(value),
            Datum::Time(Time(value)) => Value::Time(value),
            Datum::Timestamp(SqlTimestamp(value)) => Value::Timestamp(value),
            Datum::TimestampTz(SqlTimestampTz(value)) => Value::TimestampTz(value),
            Datum::Interval(Interval { months, days, micros }) => Value::Interval(months, days, micros),
            Datum::Uuid(bytes) => Value::Uuid(bytes),
            Datum::Jsonb(value) => Value::Jsonb(Json::decode(value)),
            Datum::Oid(value) => Value::Oid(value),
            Datum::Array(value) => {
                let elements: Vec<_> = value.elements().map(Value::from_datum).collect();
                assert_eq!((value.len(), value.is_empty()), (elements.len(), elements.is_empty()));
                Value::Array(elements, value.dimensions().into_iter().map(|dimension| (dimension.length, dimension.lower_bound)).collect())
            }
            Datum::Record(row) => Value::Record(row.iter().map(Value::from_datum).collect()),
        }
    }
    /// SQL's order of two values of one type, NULL last.
    fn compare(&self, other: &Value) -> Ordering {
        fn floats(left: f64, right: f64) -> Ordering {
            left.partial_cmp(&right).unwrap_or_else(|| left.is_nan().cmp(&right.is_nan()))
        }
        fn lists(left: &[Value], right: &[Value]) -> Ordering {
            left.iter().zip(right).map(|(left, right)| left.compare(right)).find(|order| order.is_ne()).unwrap_or_else(|| left.len().cmp(&right.len()))
        }
        let length = |months: &i32, days: &i32, micros: &i64| (i128::from(*months) * 30 + i128::from(*days)) * 86_400_000_000 + i128::from(*micros);
        match (self, other) {
            (Value::Null, _) | (_, Value::Null) => (*self == Value::Null).cmp(&(*other == Value::Null)),
            (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
            (Value::Int2(left), Value::Int2(right)) => left.cmp(right),
            (Value::Int4(left), Value::Int4(right)) | (Value::Date(left), Value::Date(right)) => left.cmp(right),
            (Value::Int8(left), Value::Int8(right))
            | (Value::Time(left), Value::Time(right))
            | (Value::Timestamp(left), Value::Timestamp(right))
            | (Value::TimestampTz(left), Value::TimestampTz(right)) => left.cmp(right),
            (Value::Float4(left), Value::Float4(right)) => floats(f64::from(f32::from_bits(*left)), f64::from(f32::from_bits(*right))),
            (Value::Float8(left), Value::Float8(right)) => floats(f64::from_bits(*left), f64::from_bits(*right)),
            (Value::Numeric(left), Value::Numeric(right)) => left.compare(right),
            (Value::Text(left), Value::Text(right)) => left.as_bytes().cmp(right.as_bytes()),
            (Value::Bytea(left), Value::Bytea(right)) => left.cmp(right),
            (Value::Interval(months, days, micros), Value::Interval(other_months, other_days, other_micros)) => {
                length(months, days, micros).cmp(&length(other_months, other_days, other_micros))
            }
            (Value::Uuid(left), Value::Uuid(right)) => left.cmp(right),
            (Value::Jsonb(left), Value::Jsonb(right)) => left.compare(right, true),
            (Value::Oid(left), Value::Oid(right)) => left.cmp(right),
            (Value::Array(left, left_dimensions), Value::Array(right, right_dimensions)) => {
                let lengths = |dimensions: &[(u32, i32)]| dimensions.iter().map(|dimension| dimension.0).collect::<Vec<_>>();
                let bounds = |dimensions: &[(u32, i32)]| dimensions.iter().map(|dimension| dimension.1).collect::<Vec<_>>();
                lists(left, right)
                    .then_with(|| left_dimensions.len().cmp(&right_dimensions.len()))
                    .then_with(|| lengths(left_dimensions).cmp(&lengths(right_dimensions)))
                    .then_with(|| bounds(left_dimensions).cmp(&bounds(right_dimensions)))
            }
            (Value::Record(left), Value::Record(right)) => lists(left, right),
            _ => panic!("{self:?} and {other:?} are not of one type"),
        }
    }
    /// Whether bytes order as SQL does without being canonical: not where equal parts with different bytes may stand before others.
    fn is_scalar(&self) -> bool {
        !matches!(self, Value::Jsonb(_) | Value::Array(..) | Value::Record(_))
    }
}

fn decimal() -> BoxedStrategy<Decimal> {
    let finite = |unscaled: BigInt, scale| Decimal::Finite { unscaled, scale };
    prop_oneof![
        1 => Just(Decimal::NaN),
        1 => Just(Decimal::Infinity),
        1 => Just(Decimal::NegativeInfinity),
        // Few values, so that pairs of equal ones with different scales come up.
        8 => (-12i64..12, 0u16..4, 0u16..4).prop_map(move |(value, scale, zeros)| finite(BigInt::from(value) * BigInt::from(10).pow(u32::from(zeros)), scale + zeros)),
        6 => (any::<i64>(), 0u16..30).prop_map(move |(value, scale)| finite(value.into(), scale)),
        3 => (any::<i128>(), 0u16..60).prop_map(move |(value, scale)| finite(value.into(), scale)),
        3 => ("-?[1-9][0-9]{0,80}", 0u16..200).prop_map(move |(digits, scale)| finite(digits.parse().unwrap(), scale)),
        1 => (-99i64..99, 0u32..400).prop_map(move |(value, power)| finite(BigInt::from(value) * BigInt::from(10).pow(power), 0)),
    ]
    .boxed()
}

/// Letters are few and include the lowest character and ones of several bytes, so that prefixes and ties come up.
fn string() -> BoxedStrategy<String> {
    prop_oneof![4 => "[\u{1}a\u{7f}éb\u{10ffff}]{0,6}", 1 => "[^\u{0}]{0,40}"].boxed()
}

fn json() -> BoxedStrategy<Json> {
    let number = decimal().prop_filter("JSON has finite numbers", |number| matches!(number, Decimal::Finite { .. }));
    let scalar = prop_oneof![Just(Json::Null), any::<bool>().prop_map(Json::Bool), number.prop_map(Json::Number), string().prop_map(Json::String)];
    scalar
        .prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
                prop::collection::vec((string(), inner), 0..4).prop_map(|mut members: Vec<(String, Json)>| {
                    members.sort_by(|left, right| (left.0.len(), &left.0).cmp(&(right.0.len(), &right.0)));
                    members.dedup_by(|left, right| left.0 == right.0);
                    Json::Object(members)
                }),
            ]
        })
        .boxed()
}

fn float8() -> BoxedStrategy<u64> {
    prop_oneof![
        prop::sample::select(vec![0.0, -0.0, 1.0, -1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, f64::MIN_POSITIVE, f64::MAX, f64::MIN]),
        any::<f64>()
    ]
    .prop_map(|value: f64| if value.is_nan() { f64::NAN.to_bits() & !(1 << 63) } else { value.to_bits() })
    .boxed()
}

fn float4() -> BoxedStrategy<u32> {
    prop_oneof![prop::sample::select(vec![0.0, -0.0, 1.5, -1.5, f32::INFINITY, f32::NEG_INFINITY, f32::NAN]), any::<f32>()]
        .prop_map(|value: f32| if value.is_nan() { f32::NAN.to_bits() & !(1 << 31) } else { value.to_bits() })
        .boxed()
}

fn edges64() -> BoxedStrategy<i64> {
    // Every width, and the places where widths meet.
    let widths = (any::<bool>(), 0u32..63, -2i64..3).prop_map(|(negative, bits, near)| (if negative { -(1i64 << bits) } else { 1 << bits }).saturating_add(near));
    prop_oneof![1 => -3i64..3, 2 => any::<i64>(), 4 => widths, 1 => Just(i64::MIN), 1 => Just(i64::MAX)].boxed()
}

fn edges32() -> BoxedStrategy<i32> {
    let widths = (any::<bool>(), 0u32..31, -2i32..3).prop_map(|(negative, bits, near)| (if negative { -(1i32 << bits) } else { 1 << bits }).saturating_add(near));
    prop_oneof![1 => -3i32..3, 2 => any::<i32>(), 4 => widths, 1 => Just(i32::MIN), 1 => Just(i32::MAX)].boxed()
}

fn interval() -> BoxedStrategy<Value> {
    const DAY: i64 = 86_400_000_000;
    prop_oneof![
        (-2i32..3, -31i32..62, prop::sample::select(vec![0, 1, -1, DAY, -DAY, 30 * DAY])).prop_map(|(months, days, micros)| Value::Interval(months, days, micros)),
        (edges32(), edges32(), edges64()).prop_map(|(months, days, micros)| Value::Interval(months, days, micros)),
    ]
    .boxed()
}

fn bytea() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![prop::collection::vec(prop::sample::select(vec![0u8, 1, 0xFE, 0xFF]), 0..5), prop::collection::vec(any::<u8>(), 0..40)].boxed()
}

/// One strategy for each type; values of one strategy are comparable.
fn scalars() -> Vec<BoxedStrategy<Value>> {
    vec![
        any::<bool>().prop_map(Value::Bool).boxed(),
        prop_oneof![-3i16..3, any::<i16>(), -258i16..-253, 253i16..258, Just(i16::MIN), Just(i16::MAX)].prop_map(Value::Int2).boxed(),
        edges32().prop_map(Value::Int4).boxed(),
        edges64().prop_map(Value::Int8).boxed(),
        float4().prop_map(Value::Float4).boxed(),
        float8().prop_map(Value::Float8).boxed(),
        decimal().prop_map(Value::Numeric).boxed(),
        string().prop_map(Value::Text).boxed(),
        bytea().prop_map(Value::Bytea).boxed(),
        edges32().prop_map(Value::Date).boxed(),
        edges64().prop_map(Value::Time).boxed(),
        edges64().prop_map(Value::Timestamp).boxed(),
        edges64().prop_map(Value::TimestampTz).boxed(),
        interval(),
        prop::array::uniform16(prop::sample::select(vec![0u8, 1, 0x7F, 0x80, 0xFF])).prop_map(Value::Uuid).boxed(),
        json().prop_map(Value::Jsonb).boxed(),
        any::<u32>().prop_map(Value::Oid).boxed(),
    ]
    .into_iter()
    .map(|value| prop_oneof![1 => Just(Value::Null), 9 => value].boxed())
    .collect()
}

fn array_of(element: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let bound = || prop_oneof![3 => Just(1i32), 1 => -2i32..3];
    let flat = (prop::collection::vec(element.clone(), 0..4), bound()).prop_map(|(elements, bound)| {
        let dimensions = if elements.is_empty() { vec![] } else { vec![(elements.len() as u32, bound)] };
        Value::Array(elements, dimensions)
    });
    let square = (1u32..3, 1u32..3, bound(), bound()).prop_flat_map(move |(rows, columns, first, second)| {
        prop::collection::vec(element.clone(), (rows * columns) as usize).prop_map(move |elements| Value::Array(elements, vec![(rows, first), (columns, second)]))
    });
    prop_oneof![1 => Just(Value::Null), 5 => flat, 4 => square].boxed()
}

/// Types of every variant, arrays and records included.
fn types() -> Vec<BoxedStrategy<Value>> {
    let scalars = scalars();
    let arrays = scalars.iter().cloned().map(array_of);
    let record = |fields: Vec<BoxedStrategy<Value>>| prop_oneof![1 => Just(Value::Null), 9 => fields.prop_map(Value::Record)].boxed();
    let records = [
        record(vec![]),
        record(vec![scalars[8].clone()]),
        record(vec![scalars[7].clone(), scalars[8].clone()]),
        record(vec![scalars[6].clone(), array_of(scalars[6].clone()), scalars[2].clone()]),
    ];
    let nested = array_of(records[2].clone());
    scalars.iter().cloned().chain(arrays).chain(records.iter().cloned()).chain([nested]).collect()
}

/// `count` values of one type, whichever.
fn values(count: usize) -> impl Strategy<Value = Vec<Value>> {
    Union::new(types().into_iter().map(move |typ| prop::collection::vec(typ, count)))
}

/// Two rows of one schema.
fn rows() -> impl Strategy<Value = (Vec<Value>, Vec<Value>)> {
    prop::collection::vec(values(2), 0..5).prop_map(|columns| columns.into_iter().map(|mut pair| (pair.remove(0), pair.remove(0))).unzip())
}

fn pack(values: &[Value]) -> Row {
    let mut builder = RowBuilder::new();
    values.iter().for_each(|value| value.write(&mut builder));
    builder.finish()
}

fn hash(row: &Row) -> u64 {
    let mut hasher = DefaultHasher::new();
    row.hash(&mut hasher);
    hasher.finish()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn rows_come_back_unchanged((values, _) in rows()) {
        let row = pack(&values);
        prop_assert_eq!(row.iter().map(Value::from_datum).collect::<Vec<_>>(), values.clone());
        prop_assert_eq!(Row::pack(row.iter()), row.clone());
        prop_assert!(RowRef::check(row.as_bytes()).is_ok(), "{:?}", RowRef::check(row.as_bytes()));
        let mut iterator = row.iter();
        for (column, value) in values.iter().enumerate() {
            prop_assert_eq!(row.get(column).map(Value::from_datum), Some(value.clone()));
            let encoded = value.encoded();
            prop_assert_eq!(iterator.next_encoded(), Some(encoded.as_slice()));
        }
        prop_assert!(iterator.next_encoded().is_none() && iterator.next().is_none() && row.get(values.len()).is_none());
        let json = serde_json::to_string(&row).unwrap();
        prop_assert_eq!(serde_json::from_str::<Row>(&json).unwrap(), row);
    }

    #[test]
    fn rows_compare_as_their_bytes((left, right) in rows()) {
        let (left, right) = (pack(&left), pack(&right));
        prop_assert_eq!(left.cmp(&right), left.as_bytes().cmp(right.as_bytes()));
        prop_assert_eq!(left == right, left.as_bytes() == right.as_bytes());
        let copy = Row::from_bytes(left.as_bytes());
        prop_assert!(copy == left && hash(&copy) == hash(&left) && left.clone() == left);
    }

    #[test]
    fn bytes_order_as_values(pair in values(2)) {
        let expected = pair[0].compare(&pair[1]);
        let (left, right) = (pair[0].encoded(), pair[1].encoded());
        if expected.is_ne() && pair[0].is_scalar() && pair[1].is_scalar() {
            prop_assert_eq!(left.cmp(&right), expected);
        }
        prop_assert_eq!(pair[0].canonical().cmp(&pair[1].canonical()), expected, "canonical {:02x?} {:02x?}", pair[0].canonical(), pair[1].canonical());
    }

    #[test]
    fn canonical_forms_are_values_and_stay((values, _) in rows()) {
        for value in &values {
            let once = value.canonical();
            prop_assert!(RowRef::check(&once).is_ok());
            let read = Value::from_datum(read(&once).0);
            prop_assert!(read.compare(value).is_eq());
            prop_assert_eq!(read.canonical(), once);
        }
    }

    #[test]
    fn sort_keys_order_in_every_direction((left, right) in rows(), directions in prop::collection::vec(any::<(bool, bool)>(), 5)) {
        let mut expected = Ordering::Equal;
        let (mut left_key, mut right_key) = (RowBuilder::new(), RowBuilder::new());
        for ((left, right), (descending, nulls_first)) in left.iter().zip(&right).zip(directions) {
            let direction = SortDirection { descending, nulls_first };
            left.with_datum(&mut |datum| left_key.push_sort_key(datum, direction));
            right.with_datum(&mut |datum| right_key.push_sort_key(datum, direction));
            let order = match (*left == Value::Null, *right == Value::Null) {
                (false, false) if descending => right.compare(left),
                (false, false) => left.compare(right),
                (left_null, right_null) if nulls_first => right_null.cmp(&left_null),
                (left_null, right_null) => left_null.cmp(&right_null),
            };
            expected = expected.then(order);
        }
        prop_assert_eq!(left_key.as_bytes().cmp(right_key.as_bytes()), expected);
        prop_assert_eq!(left_key.finish().cmp(&right_key.finish()), expected);
    }

    /// What passes the check can be read; nothing makes the check panic.
    #[test]
    fn any_bytes_are_refused_or_readable(bytes in prop::collection::vec(prop_oneof![0u8..0x20, any::<u8>()], 0..60)) {
        exercise(&bytes);
    }

    #[test]
    fn damaged_rows_are_refused_or_readable((values, _) in rows(), damages in prop::collection::vec((any::<prop::sample::Index>(), 0..3, prop_oneof![0u8..0x20, any::<u8>()]), 1..4)) {
        let mut bytes = pack(&values).as_bytes().to_vec();
        for (place, kind, byte) in damages {
            let place = place.index(bytes.len() + 1);
            match kind {
                0 => bytes.insert(place, byte),
                _ if place == bytes.len() => {}
                1 => bytes[place] = byte,
                _ => {
                    bytes.remove(place);
                }
            }
        }
        exercise(&bytes);
    }
}

fn exercise(bytes: &[u8]) {
    match RowRef::check(bytes) {
        Err(error) => assert_eq!(error.code(), SqlState::DATA_CORRUPTED),
        Ok(row) => {
            let mut lengths = 0;
            let mut encoded = row.iter();
            for datum in row.iter() {
                let encoded = encoded.next_encoded().unwrap();
                lengths += encoded.len();
                // Nothing has a second encoding.
                assert_eq!(Value::from_datum(datum.clone()).encoded(), encoded, "{datum:?}");
                let (mut canonical, mut key) = (Vec::new(), RowBuilder::new());
                write_canonical(&datum, &mut canonical);
                key.push_sort_key(datum.clone(), SortDirection { descending: true, nulls_first: true });
                assert!(check_row(&canonical).is_ok());
                let _ = format!("{datum:?}");
            }
            assert_eq!(lengths, bytes.len());
        }
    }
}

#[test]
fn rows_of_every_length_around_the_edges_of_the_inline_form() {
    // Bytea that differ only in how many zeros they end with are the worst case for padding.
    let rows: Vec<Row> = (0..40).map(|zeros| Row::pack([Datum::Oid(0), Datum::Bytea(Cow::Owned(vec![0; zeros]))])).collect();
    let mut raw: Vec<Row> = (0..=48).map(|length| Row::from_bytes(&vec![0; length])).collect();
    assert!(rows.is_sorted_by(|left, right| left < right));
    assert!(raw.is_sorted_by(|left, right| left < right));
    for (length, row) in raw.iter().enumerate() {
        assert_eq!(row.as_bytes().len(), length);
        assert_eq!(row.heap_bytes(), if length > 23 { length } else { 0 });
    }
    raw.dedup();
    assert_eq!(raw.len(), 49);
}

#[test]
fn damage_is_located() {
    let mut bytes = Row::pack([Datum::Int4(1), Datum::Text("abc")]).as_bytes().to_vec();
    bytes[3] = 0xFF;
    let error = RowRef::check(&bytes).unwrap_err();
    assert_eq!(error.detail(), Some("At byte 2 of 7: text is not UTF-8."));
    assert!(RowRef::check(&[END]).is_err());
    assert!(RowRef::check(&[RECORD; 10_000]).is_err());
}

#[test]
#[should_panic(expected = "zero byte")]
fn text_with_a_zero_byte_is_refused() {
    Row::pack([Datum::Text("a\0b")]);
}
