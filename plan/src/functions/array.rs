//! Arrays: subscripts, slices, bounds, searching, changing, and the way between arrays and texts.

use super::lift::{Call, Shape, Table};
use super::typed::{self as t, Nullable};
use repr::text::TextContext;
use repr::{Array, ArrayBuilder, ArrayDimension, Datum, EvalError, RowBuilder, SqlState, Type};

/// Dimensions an array can have in Postgres.
const DIMENSIONS_MAX: usize = 6;

pub fn register(table: &mut Table) {
    building(table);
    subscripts(table);
    bounds(table);
    containment(table);
    searching(table);
    changing(table);
    texts(table);
}

fn misused(name: &str) -> EvalError {
    EvalError::new(SqlState::INTERNAL_ERROR, format!("{name} was called with arguments it does not take"))
}

fn push_array(out: &mut RowBuilder, bytes: &[u8]) {
    out.push(Datum::Array(Array::from_encoded(bytes)))
}

/// Equality of elements, NULL equal to NULL.
fn same(scratch: &mut RowBuilder, left: &Datum<'_>, right: &Datum<'_>) -> bool {
    scratch.clear();
    scratch.push_canonical(left.clone());
    let end = scratch.len();
    scratch.push_canonical(right.clone());
    let (left, right) = scratch.as_bytes().split_at(end);
    left == right
}

fn building(table: &mut Table) {
    let shape =
        Shape::new("array_build", "An array of the arguments.", vec![Type::AnyElement], Type::AnyArray).variadic().called_on_null().can_fail();
    table.datums(
        shape,
        |_| ArrayBuilder::new(),
        |builder, datums, out| {
            // ARRAY[...] of arrays is an array of one more dimension.
            if let Some(Datum::Array(first)) = datums.iter().find(|datum| !datum.is_null()) {
                let inner = first.dimensions();
                for datum in datums {
                    match datum {
                        Datum::Array(array) if array.dimensions() == inner => array.elements().for_each(|element| builder.push(element)),
                        _ => {
                            builder.finish();
                            let message = "multidimensional arrays must have array expressions with matching dimensions";
                            return Err(EvalError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message));
                        }
                    }
                }
                let mut dimensions = vec![ArrayDimension { length: datums.len() as u32, lower_bound: 1 }];
                dimensions.extend(inner.iter().copied());
                let bytes = if inner.is_empty() { builder.finish() } else { builder.finish_with(&dimensions) };
                push_array(out, &bytes);
                return Ok(());
            }
            datums.iter().for_each(|datum| builder.push(datum.clone()));
            push_array(out, &builder.finish());
            Ok(())
        },
    );
    table.kernel(
        Shape::new("array_fill", "An array of so many copies of a value.", vec![Type::AnyElement, Type::Array(Box::new(Type::Int4))], Type::AnyArray)
            .called_on_null()
            .can_fail(),
        |_| {
            super::lift::over_datums(false, ArrayBuilder::new(), |builder, datums, out| {
                let [value, Datum::Array(lengths)] = datums else {
                    return Err(EvalError::new(SqlState(*b"22004"), "dimension array or low bound array cannot be null"));
                };
                let mut dimensions = Vec::new();
                for length in lengths.elements() {
                    let Datum::Int4(length) = length else { return Err(EvalError::new(SqlState(*b"22004"), "dimension values cannot be null")) };
                    dimensions.push(ArrayDimension { length: length.max(0) as u32, lower_bound: 1 });
                }
                let count = dimensions.iter().try_fold(1_usize, |product, dimension| product.checked_mul(dimension.length as usize));
                let count = count.filter(|&count| count <= ELEMENTS_MAX && dimensions.len() <= DIMENSIONS_MAX).ok_or_else(too_large)?;
                if dimensions.is_empty() || count == 0 {
                    push_array(out, &builder.finish());
                    return Ok(());
                }
                (0..count).for_each(|_| builder.push(value.clone()));
                push_array(out, &builder.finish_with(&dimensions));
                Ok(())
            })
        },
    );
}

/// Postgres' `MaxArraySize`.
const ELEMENTS_MAX: usize = ((1 << 30) - 1) / 8;

fn too_large() -> EvalError {
    EvalError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("array size exceeds the maximum allowed ({ELEMENTS_MAX})"))
}

fn integers(datums: &[Datum<'_>]) -> Option<Vec<i32>> {
    datums
        .iter()
        .map(|datum| match datum {
            Datum::Int4(value) => Some(*value),
            _ => None,
        })
        .collect()
}

/// The element at subscripts, one per dimension; `None` outside the array.
fn element<'a>(array: Array<'a>, dimensions: &[ArrayDimension], subscripts: &[i32]) -> Option<Datum<'a>> {
    if dimensions.len() != subscripts.len() || dimensions.is_empty() {
        return None;
    }
    let mut position = 0_usize;
    for (dimension, &subscript) in dimensions.iter().zip(subscripts) {
        let offset = i64::from(subscript) - i64::from(dimension.lower_bound);
        let offset = usize::try_from(offset).ok().filter(|&offset| offset < dimension.length as usize)?;
        position = position * dimension.length as usize + offset;
    }
    array.elements().nth(position)
}

fn subscripts(table: &mut Table) {
    for name in ["array_subscript", "array_element"] {
        let description = "The element at a subscript per dimension; NULL outside the array.";
        let shape = Shape::new(name, description, vec![Type::AnyArray, Type::Int4], Type::AnyElement).variadic().can_be_null();
        table.datums(
            shape,
            |_| (),
            |_, datums, out| match datums {
                [Datum::Array(array), subscripts @ ..] => {
                    let subscripts = integers(subscripts).ok_or_else(|| misused("array_subscript"))?;
                    out.push(element(*array, &array.dimensions(), &subscripts).unwrap_or(Datum::Null));
                    Ok(())
                }
                _ => Err(misused("array_subscript")),
            },
        );
    }
    let description = "A part of an array, given by a lower and an upper bound per dimension; a bound that is NULL is the array's.";
    let shape = Shape::new("array_slice", description, vec![Type::AnyArray, Type::Int4], Type::AnyArray).variadic().called_on_null().can_be_null();
    table.datums(
        shape,
        |_| (ArrayBuilder::new(), Vec::new()),
        |(builder, bounds), datums, out| match datums {
            [Datum::Null, ..] => {
                out.push(Datum::Null);
                Ok(())
            }
            [Datum::Array(array), given @ ..] => {
                bounds.clear();
                for (position, datum) in given.iter().enumerate() {
                    bounds.push(match datum {
                        Datum::Int4(bound) => *bound,
                        _ if position % 2 == 0 => i32::MIN,
                        _ => i32::MAX,
                    });
                }
                push_array(out, &slice(*array, bounds, builder));
                Ok(())
            }
            _ => Err(misused("array_slice")),
        },
    );
}

fn slice(array: Array<'_>, bounds: &[i32], builder: &mut ArrayBuilder) -> Vec<u8> {
    let dimensions = array.dimensions();
    let given = bounds.len() / 2;
    if dimensions.is_empty() || given > dimensions.len() {
        return builder.finish();
    }
    // Per dimension, the offsets that stay. Dimensions without bounds stay whole.
    let mut kept = Vec::new();
    for (number, dimension) in dimensions.iter().enumerate() {
        let whole = (0, i64::from(dimension.length));
        let (start, end) = match bounds.get(number * 2..number * 2 + 2) {
            Some(&[lower, upper]) => {
                let first = i64::from(dimension.lower_bound);
                ((i64::from(lower) - first).max(whole.0), (i64::from(upper) - first + 1).min(whole.1))
            }
            _ => whole,
        };
        if start >= end {
            return builder.finish();
        }
        kept.push((start as usize, end as usize));
    }
    for (position, element) in array.elements().enumerate() {
        let mut rest = position;
        let inside = dimensions.iter().zip(&kept).rev().all(|(dimension, &(start, end))| {
            let offset = rest % dimension.length as usize;
            rest /= dimension.length as usize;
            (start..end).contains(&offset)
        });
        if inside {
            builder.push(element);
        }
    }
    let dimensions: Vec<ArrayDimension> = kept.iter().map(|&(start, end)| ArrayDimension { length: (end - start) as u32, lower_bound: 1 }).collect();
    builder.finish_with(&dimensions)
}

fn bounds(table: &mut Table) {
    fn dimension(array: Array<'_>, number: i32) -> Option<ArrayDimension> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        array.dimensions().get(index).copied()
    }
    table
        .entry::<(t::AnyArray, t::Int4), t::Int4>("array_length", "The length of a dimension; NULL if the array does not have it.")
        .returns(|(array, number)| dimension(array, number).map(|dimension| dimension.length as i32));
    table
        .entry::<(t::AnyArray, t::Int4), t::Int4>("array_lower", "The lower bound of a dimension; NULL if the array does not have it.")
        .returns(|(array, number)| dimension(array, number).map(|dimension| dimension.lower_bound));
    table.entry::<(t::AnyArray, t::Int4), t::Int4>("array_upper", "The upper bound of a dimension; NULL if the array does not have it.").returns(
        |(array, number)| dimension(array, number).map(|dimension| (i64::from(dimension.lower_bound) + i64::from(dimension.length) - 1) as i32),
    );
    table.entry::<(t::AnyArray,), t::Int4>("cardinality", "How many elements.").returns(|(array,)| array.len() as i32);
    table.entry::<(t::AnyArray,), t::Int4>("array_ndims", "How many dimensions; NULL for the empty array.").returns(|(array,)| {
        let dimensions = array.dimensions().len();
        (dimensions > 0).then_some(dimensions as i32)
    });
    table.entry::<(t::AnyArray,), t::Text>("array_dims", "The bounds of the dimensions as text.").writes(|(array,), out: &mut String| {
        let dimensions = array.dimensions();
        for dimension in &dimensions {
            let upper = i64::from(dimension.lower_bound) + i64::from(dimension.length) - 1;
            out.push_str(&format!("[{}:{upper}]", dimension.lower_bound));
        }
        (!dimensions.is_empty()).then_some(())
    });
}

fn containment(table: &mut Table) {
    /// Every element of `part` that is not NULL is one of `whole`; a NULL never is.
    fn contains(scratch: &mut RowBuilder, whole: Array<'_>, part: Array<'_>) -> bool {
        part.elements().all(|wanted| !wanted.is_null() && whole.elements().any(|found| !found.is_null() && same(scratch, &wanted, &found)))
    }
    type Pair = (t::AnyArray, t::AnyArray);
    table
        .entry::<Pair, t::Bool>("@>", "Whether the left array holds every element of the right one.")
        .returns_with(|_| RowBuilder::new(), |scratch, (left, right)| contains(scratch, left, right));
    table
        .entry::<Pair, t::Bool>("<@", "Whether the right array holds every element of the left one.")
        .returns_with(|_| RowBuilder::new(), |scratch, (left, right)| contains(scratch, right, left));
    table.entry::<Pair, t::Bool>("&&", "Whether the arrays share an element.").returns_with(
        |_| RowBuilder::new(),
        |scratch, (left, right)| {
            left.elements().any(|wanted| !wanted.is_null() && right.elements().any(|found| !found.is_null() && same(scratch, &wanted, &found)))
        },
    );
}

fn lower_bound(array: Array<'_>) -> i32 {
    array.dimensions().first().map_or(1, |dimension| dimension.lower_bound)
}

fn one_dimension(array: Array<'_>, what: &str) -> Result<(), EvalError> {
    if array.dimensions().len() > 1 {
        return Err(EvalError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{what} multidimensional arrays is not supported")));
    }
    Ok(())
}

fn searching(table: &mut Table) {
    for arguments in [vec![Type::AnyArray, Type::AnyElement], vec![Type::AnyArray, Type::AnyElement, Type::Int4]] {
        let shape = Shape::new("array_position", "The first subscript of a value; NULL if it is not there.", arguments, Type::Int4)
            .called_on_null()
            .can_fail()
            .can_be_null();
        table.datums(
            shape,
            |_| RowBuilder::new(),
            |scratch, datums, out| {
                let (array, wanted) = match datums {
                    [Datum::Null, ..] => {
                        out.push(Datum::Null);
                        return Ok(());
                    }
                    [Datum::Array(array), wanted, ..] => (*array, wanted),
                    _ => return Err(misused("array_position")),
                };
                one_dimension(array, "searching for elements in")?;
                let first = lower_bound(array);
                let from = match datums.get(2) {
                    None => first,
                    Some(Datum::Int4(from)) => *from,
                    Some(_) => return Err(EvalError::new(SqlState(*b"22004"), "initial position must not be null")),
                };
                let found = array.elements().enumerate().map(|(offset, element)| (first.saturating_add(offset as i32), element));
                let mut found = found.filter(|(subscript, _)| *subscript >= from);
                let subscript = found.find(|(_, element)| same(scratch, wanted, element)).map(|(subscript, _)| subscript);
                out.push(subscript.map_or(Datum::Null, Datum::Int4));
                Ok(())
            },
        );
    }
    let shape =
        Shape::new("array_positions", "Every subscript of a value.", vec![Type::AnyArray, Type::AnyElement], Type::Array(Box::new(Type::Int4)))
            .called_on_null()
            .can_fail()
            .can_be_null();
    table.datums(
        shape,
        |_| (RowBuilder::new(), ArrayBuilder::new()),
        |(scratch, builder), datums, out| match datums {
            [Datum::Array(array), wanted] => {
                one_dimension(*array, "searching for elements in")?;
                let first = lower_bound(*array);
                for (offset, element) in array.elements().enumerate() {
                    if same(scratch, wanted, &element) {
                        builder.push(Datum::Int4(first.saturating_add(offset as i32)));
                    }
                }
                push_array(out, &builder.finish());
                Ok(())
            }
            _ => {
                out.push(Datum::Null);
                Ok(())
            }
        },
    );
}

/// An array argument that may be NULL, which counts as empty.
fn elements_or_none<'a>(datum: &Datum<'a>) -> Option<Array<'a>> {
    match datum {
        Datum::Array(array) => Some(*array),
        _ => None,
    }
}

fn one_more_element(array: Option<Array<'_>>, element: &Datum<'_>, at_end: bool, builder: &mut ArrayBuilder) -> Result<Vec<u8>, EvalError> {
    if array.is_some_and(|array| array.dimensions().len() > 1) {
        return Err(EvalError::new(SqlState::DATA_EXCEPTION, "argument must be empty or one-dimensional array"));
    }
    if !at_end {
        builder.push(element.clone());
    }
    let count = array.map_or(0, Array::len) + 1;
    if let Some(array) = array {
        array.elements().for_each(|element| builder.push(element));
    }
    if at_end {
        builder.push(element.clone());
    }
    // A prepended element does not move the lower bound of the result.
    let lower_bound = array.map_or(1, lower_bound);
    Ok(builder.finish_with(&[ArrayDimension { length: count as u32, lower_bound }]))
}

fn concatenate(left: Array<'_>, right: Array<'_>, builder: &mut ArrayBuilder) -> Result<Vec<u8>, EvalError> {
    let (left_dimensions, right_dimensions) = (left.dimensions(), right.dimensions());
    if left_dimensions.is_empty() {
        return Ok(right.as_encoded().to_vec());
    }
    if right_dimensions.is_empty() {
        return Ok(left.as_encoded().to_vec());
    }
    // Arrays of one shape lie side by side; an array of one dimension less is one more element of the other.
    let incompatible = || EvalError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, "cannot concatenate incompatible arrays");
    let (mut dimensions, inner, added) = match (left_dimensions.len(), right_dimensions.len()) {
        (a, b) if a == b => (left_dimensions.clone(), &right_dimensions[1..], right_dimensions[0].length),
        (a, b) if a == b + 1 => (left_dimensions.clone(), &right_dimensions[..], 1),
        (a, b) if a + 1 == b => (right_dimensions.clone(), &left_dimensions[..], 1),
        _ => return Err(incompatible()),
    };
    let lengths = |dimensions: &[ArrayDimension]| dimensions.iter().map(|dimension| dimension.length).collect::<Vec<_>>();
    if lengths(&dimensions[1..]) != lengths(inner) {
        return Err(incompatible());
    }
    dimensions[0].length += added;
    left.elements().chain(right.elements()).for_each(|element| builder.push(element));
    Ok(builder.finish_with(&dimensions))
}

fn changing(table: &mut Table) {
    for name in ["array_append", "||"] {
        let shape = Shape::new(name, "The array with one more element at its end.", vec![Type::AnyArray, Type::AnyElement], Type::AnyArray)
            .called_on_null()
            .can_fail();
        table.datums(
            shape,
            |_| ArrayBuilder::new(),
            |builder, datums, out| match datums {
                [array, element] => {
                    push_array(out, &one_more_element(elements_or_none(array), element, true, builder)?);
                    Ok(())
                }
                _ => Err(misused("array_append")),
            },
        );
    }
    for name in ["array_prepend", "||"] {
        let shape = Shape::new(name, "The array with one more element at its start.", vec![Type::AnyElement, Type::AnyArray], Type::AnyArray)
            .called_on_null()
            .can_fail();
        table.datums(
            shape,
            |_| ArrayBuilder::new(),
            |builder, datums, out| match datums {
                [element, array] => {
                    push_array(out, &one_more_element(elements_or_none(array), element, false, builder)?);
                    Ok(())
                }
                _ => Err(misused("array_prepend")),
            },
        );
    }
    for name in ["array_cat", "||"] {
        let shape = Shape::new(name, "Both arrays, one after the other.", vec![Type::AnyArray, Type::AnyArray], Type::AnyArray)
            .called_on_null()
            .can_fail()
            .can_be_null();
        table.datums(
            shape,
            |_| ArrayBuilder::new(),
            |builder, datums, out| {
                match datums {
                    [Datum::Array(left), Datum::Array(right)] => push_array(out, &concatenate(*left, *right, builder)?),
                    [Datum::Null, other] | [other, Datum::Null] => out.push(other.clone()),
                    _ => return Err(misused("array_cat")),
                }
                Ok(())
            },
        );
    }
    let shape =
        Shape::new("array_remove", "The array without the elements equal to a value.", vec![Type::AnyArray, Type::AnyElement], Type::AnyArray)
            .called_on_null()
            .can_fail()
            .can_be_null();
    table.datums(
        shape,
        |_| (RowBuilder::new(), ArrayBuilder::new()),
        |(scratch, builder), datums, out| {
            let [Datum::Array(array), removed] = datums else {
                out.push(Datum::Null);
                return Ok(());
            };
            one_dimension(*array, "removing elements from")?;
            array.elements().filter(|element| !same(scratch, element, removed)).for_each(|element| builder.push(element));
            push_array(out, &builder.finish());
            Ok(())
        },
    );
    let shape = Shape::new(
        "array_replace",
        "The array with elements equal to a value replaced.",
        vec![Type::AnyArray, Type::AnyElement, Type::AnyElement],
        Type::AnyArray,
    )
    .called_on_null()
    .can_be_null();
    table.datums(
        shape,
        |_| (RowBuilder::new(), ArrayBuilder::new()),
        |(scratch, builder), datums, out| {
            let [Datum::Array(array), from, to] = datums else {
                out.push(Datum::Null);
                return Ok(());
            };
            for element in array.elements() {
                builder.push(if same(scratch, &element, from) { to.clone() } else { element });
            }
            push_array(out, &builder.finish_with(&array.dimensions()));
            Ok(())
        },
    );
}

/// What writing elements as text needs.
fn element_writer(call: &Call<'_>) -> (Type, TextContext, String) {
    let element = call.arguments.first().and_then(|array| array.scalar.element()).cloned().unwrap_or(Type::Text);
    (element, call.context.text.clone(), String::new())
}

fn texts(table: &mut Table) {
    for arguments in [vec![Type::AnyArray, Type::Text], vec![Type::AnyArray, Type::Text, Type::Text]] {
        let shape = Shape::new(
            "array_to_string",
            "The texts of the elements with a delimiter; NULL elements left out or written as given.",
            arguments,
            Type::Text,
        )
        .called_on_null()
        .can_be_null();
        table.datums(shape, element_writer, |(scalar, context, buffer), datums, out| {
            let (Some(Datum::Array(array)), Some(Datum::Text(delimiter))) = (datums.first(), datums.get(1)) else {
                out.push(Datum::Null);
                return Ok(());
            };
            buffer.clear();
            let mut first = true;
            for element in array.elements() {
                let null_text = match (&element, datums.get(2)) {
                    (Datum::Null, Some(Datum::Text(text))) => Some(*text),
                    (Datum::Null, _) => continue,
                    _ => None,
                };
                if !std::mem::take(&mut first) {
                    buffer.push_str(delimiter);
                }
                match null_text {
                    Some(text) => buffer.push_str(text),
                    None => repr::text::write(&element, scalar, context, buffer),
                }
            }
            out.push(Datum::Text(buffer));
            Ok(())
        });
    }
    fn split(text: Option<&str>, delimiter: Option<&str>, null: Option<&str>) -> Option<Vec<u8>> {
        let text = text?;
        let mut builder = ArrayBuilder::new();
        let mut push = |piece: &str| builder.push(if null == Some(piece) { Datum::Null } else { Datum::Text(piece) });
        match delimiter {
            _ if text.is_empty() => {}
            None => text.chars().for_each(|character| push(character.encode_utf8(&mut [0; 4]))),
            Some("") => push(text),
            Some(delimiter) => text.split(delimiter).for_each(push),
        }
        Some(builder.finish())
    }
    let description = "The pieces of a text between delimiters; NULL as delimiter splits it into characters.";
    table
        .entry::<(Nullable<t::Text>, Nullable<t::Text>), t::TextArray>("string_to_array", description)
        .returns(|(text, delimiter)| split(text, delimiter, None));
    table
        .entry::<(Nullable<t::Text>, Nullable<t::Text>, Nullable<t::Text>), t::TextArray>("string_to_array", description)
        .returns(|(text, delimiter, null)| split(text, delimiter, null));
}
