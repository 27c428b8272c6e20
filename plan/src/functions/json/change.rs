//! Changing `jsonb`: `||`, `-`, `#-`, `jsonb_set`, `jsonb_insert`, `jsonb_strip_nulls`.

use super::super::lift::Table;
use super::super::typed as t;
use super::{array, invalid, object, path_texts};
use repr::{Array, Datum, EvalError, Jsonb, JsonbBuf, JsonbView, SqlState};

pub fn register(table: &mut Table) {
    type Pair = (t::Jsonb, t::Jsonb);
    table
        .entry::<Pair, t::Jsonb>("||", "Objects merged, arrays and other values one after the other.")
        .returns(|(left, right)| concatenate(left, right));
    table
        .entry::<(t::Jsonb, t::Text), t::Jsonb>("-", "The object without a key, or the array without a string.")
        .returns(|(value, key)| remove(value, |name| name == key));
    table
        .entry::<(t::Jsonb, t::TextArray), t::Jsonb>("-", "The object without some keys, or the array without some strings.")
        .returns(|(value, keys)| remove(value, |name| keys.elements().any(|key| matches!(key, Datum::Text(key) if key == name))));
    table.entry::<(t::Jsonb, t::Int4), t::Jsonb>("-", "The array without an element, counted from 0, or from the end if negative.").returns(
        |(value, position)| match value.view() {
            JsonbView::Array(mut elements) => {
                if let Some(position) = array_position(i64::from(position), elements.len()) {
                    elements.remove(position);
                }
                Ok(array(elements))
            }
            JsonbView::Object(_) => Err(invalid("cannot delete from object using integer index")),
            _ => Err(invalid("cannot delete from scalar")),
        },
    );
    for name in ["#-", "jsonb_delete_path"] {
        table.entry::<(t::Jsonb, t::TextArray), t::Jsonb>(name, "The value without what is at a path.").returns(|(value, path)| delete(value, path));
    }
    let description = "The value with what is at a path replaced, or added if it is missing.";
    table.entry::<(t::Jsonb, t::TextArray, t::Jsonb), t::Jsonb>("jsonb_set", description).returns(|(value, path, new)| set(value, path, new, true));
    table
        .entry::<(t::Jsonb, t::TextArray, t::Jsonb, t::Bool), t::Jsonb>("jsonb_set", description)
        .returns(|(value, path, new, create)| set(value, path, new, create));
    let description = "The value with a new one added at a path.";
    table
        .entry::<(t::Jsonb, t::TextArray, t::Jsonb), t::Jsonb>("jsonb_insert", description)
        .returns(|(value, path, new)| insert(value, path, new, false));
    table
        .entry::<(t::Jsonb, t::TextArray, t::Jsonb, t::Bool), t::Jsonb>("jsonb_insert", description)
        .returns(|(value, path, new, after)| insert(value, path, new, after));
    table
        .entry::<(t::Jsonb,), t::Jsonb>("jsonb_strip_nulls", "The value without the members of objects that are null.")
        .returns(|(value,)| strip_nulls(value));
}

fn array_position(position: i64, length: usize) -> Option<usize> {
    let position = if position < 0 { position + length as i64 } else { position };
    usize::try_from(position).ok().filter(|&position| position < length)
}

fn concatenate(left: Jsonb<'_>, right: Jsonb<'_>) -> JsonbBuf {
    match (left.view(), right.view()) {
        (JsonbView::Object(mut members), JsonbView::Object(more)) => {
            members.extend(more);
            object(members)
        }
        (JsonbView::Array(mut elements), JsonbView::Array(more)) => {
            elements.extend(more);
            array(elements)
        }
        (JsonbView::Array(mut elements), _) => {
            elements.push(right);
            array(elements)
        }
        (_, JsonbView::Array(more)) => array(std::iter::once(left).chain(more).collect()),
        _ => array(vec![left, right]),
    }
}

fn remove(value: Jsonb<'_>, is_removed: impl Fn(&str) -> bool) -> Result<JsonbBuf, EvalError> {
    match value.view() {
        JsonbView::Object(mut members) => {
            members.retain(|(key, _)| !is_removed(key));
            Ok(object(members))
        }
        JsonbView::Array(mut elements) => {
            elements.retain(|element| !matches!(element.view(), JsonbView::String(text) if is_removed(text)));
            Ok(array(elements))
        }
        _ => Err(invalid("cannot delete from scalar")),
    }
}

fn refuse_scalar(value: Jsonb<'_>, message: &str) -> Result<(), EvalError> {
    match value.view() {
        JsonbView::Array(_) | JsonbView::Object(_) => Ok(()),
        _ => Err(invalid(message)),
    }
}

pub fn set(value: Jsonb<'_>, path: Array<'_>, new: Jsonb<'_>, create: bool) -> Result<JsonbBuf, EvalError> {
    refuse_scalar(value, "cannot set path in scalar")?;
    change(value, &path_texts(path)?, 1, Edit::Set { new, create })
}

pub fn delete(value: Jsonb<'_>, path: Array<'_>) -> Result<JsonbBuf, EvalError> {
    refuse_scalar(value, "cannot delete path in scalar")?;
    change(value, &path_texts(path)?, 1, Edit::Delete)
}

fn insert(value: Jsonb<'_>, path: Array<'_>, new: Jsonb<'_>, after: bool) -> Result<JsonbBuf, EvalError> {
    refuse_scalar(value, "cannot set path in scalar")?;
    change(value, &path_texts(path)?, 1, Edit::Insert { new, after })
}

/// What is done at the end of a path.
#[derive(Clone, Copy)]
enum Edit<'a> {
    Delete,
    Set { new: Jsonb<'a>, create: bool },
    Insert { new: Jsonb<'a>, after: bool },
}

/// `depth` counts the path's steps for messages.
fn change(value: Jsonb<'_>, path: &[&str], depth: usize, edit: Edit<'_>) -> Result<JsonbBuf, EvalError> {
    let Some((step, deeper)) = path.split_first() else { return Ok(value.to_buf()) };
    match value.view() {
        JsonbView::Object(members) => change_object(members, step, deeper, depth, edit),
        JsonbView::Array(elements) => change_array(elements, step, deeper, depth, edit),
        _ => Ok(value.to_buf()),
    }
}

fn change_object(members: Vec<(&str, Jsonb<'_>)>, key: &str, deeper: &[&str], depth: usize, edit: Edit<'_>) -> Result<JsonbBuf, EvalError> {
    let changed;
    let mut members: Vec<(&str, Jsonb<'_>)> = members;
    let found = members.iter().position(|(name, _)| *name == key);
    match (found, deeper.is_empty(), edit) {
        (Some(position), false, _) => {
            changed = change(members[position].1, deeper, depth + 1, edit)?;
            members[position].1 = changed.as_ref();
        }
        (Some(position), true, Edit::Delete) => {
            members.remove(position);
        }
        (Some(position), true, Edit::Set { new, .. }) => {
            members[position].1 = new;
        }
        (Some(_), true, Edit::Insert { .. }) => {
            let error = invalid("cannot replace existing key");
            return Err(error.with_hint("Try using the function jsonb_set to replace key value."));
        }
        (None, true, Edit::Set { new, create: true } | Edit::Insert { new, .. }) => {
            members.push((key, new));
            return Ok(object(members));
        }
        (None, ..) => {}
    }
    Ok(object(members))
}

fn change_array(elements: Vec<Jsonb<'_>>, step: &str, deeper: &[&str], depth: usize, edit: Edit<'_>) -> Result<JsonbBuf, EvalError> {
    let position: i64 = step.parse::<i32>().map(i64::from).map_err(|_| {
        let message = format!("path element at position {depth} is not an integer: \"{step}\"");
        EvalError::new(SqlState::INVALID_TEXT_REPRESENTATION, message)
    })?;
    let changed;
    let mut elements: Vec<Jsonb<'_>> = elements;
    let found = array_position(position, elements.len());
    match (found, deeper.is_empty(), edit) {
        (Some(found), false, _) => {
            changed = change(elements[found], deeper, depth + 1, edit)?;
            elements[found] = changed.as_ref();
        }
        (Some(found), true, Edit::Delete) => {
            elements.remove(found);
        }
        (Some(found), true, Edit::Set { new, .. }) => {
            elements[found] = new;
        }
        (Some(found), true, Edit::Insert { new, after }) => {
            elements.insert(found + usize::from(after), new);
        }
        // Beyond an end, the new element goes to that end.
        (None, true, Edit::Set { new, create: true } | Edit::Insert { new, .. }) => {
            let end = if position < 0 { 0 } else { elements.len() };
            elements.insert(end, new);
        }
        (None, ..) => {}
    }
    Ok(array(elements))
}

fn strip_nulls(value: Jsonb<'_>) -> JsonbBuf {
    match value.view() {
        JsonbView::Object(members) => {
            let kept: Vec<(&str, JsonbBuf)> = members
                .into_iter()
                .filter(|(_, member)| !matches!(member.view(), JsonbView::Null))
                .map(|(key, member)| (key, strip_nulls(member)))
                .collect();
            object(kept.iter().map(|(key, member)| (*key, member.as_ref())).collect())
        }
        JsonbView::Array(elements) => {
            let elements: Vec<JsonbBuf> = elements.into_iter().map(strip_nulls).collect();
            array(elements.iter().map(JsonbBuf::as_ref).collect())
        }
        _ => value.to_buf(),
    }
}
