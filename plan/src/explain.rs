//! A plan as text and as JSON.
//!
//! Both are rendered from one description of each node, and both are stable: they are golden test data. Columns are positions (`#0`), expressions
//! read like Postgres'. What serves a read (`index`, `lookup`, `range`) stands at the `Get`.

mod describe;
mod scalar;
#[cfg(test)]
mod tests;

pub use scalar::expression;

use crate::Plan;
use repr::CollectionId;

/// How collections and indexes are called; `None` shows the id.
pub type Names<'a> = &'a dyn Fn(CollectionId) -> Option<String>;

/// One node: its operator, what it says about it, and its inputs.
pub(crate) struct Description {
    pub operator: &'static str,
    pub attributes: Vec<Attribute>,
    /// Inputs with the binding they define, if they do.
    pub inputs: Vec<(Option<String>, Description)>,
}

pub(crate) struct Attribute {
    pub name: &'static str,
    pub values: Vec<String>,
    /// The text shows the values alone: the operator says what they are.
    pub unnamed: bool,
    pub separator: &'static str,
}

/// One line per node, inputs indented below.
pub fn text(plan: &Plan, names: Names<'_>) -> String {
    let mut out = String::new();
    write_text(&describe::describe(plan, names, describe::Kept::Nothing), None, 0, &mut out);
    out
}

/// The same as a JSON object: `operator`, the attributes (arrays of strings), `inputs`; a bound input has `binding`.
pub fn json(plan: &Plan, names: Names<'_>) -> String {
    let mut out = String::new();
    write_json(&describe::describe(plan, names, describe::Kept::Nothing), None, &mut out);
    out
}

/// Like [`text`], of a plan that is kept up to date: each operator also says what it `keeps` for that.
pub fn maintained_text(plan: &Plan, names: Names<'_>) -> String {
    let mut out = String::new();
    write_text(&describe::describe(plan, names, describe::Kept::Shown { in_recursion: false }), None, 0, &mut out);
    out
}

/// Like [`json`], of a plan that is kept up to date.
pub fn maintained_json(plan: &Plan, names: Names<'_>) -> String {
    let mut out = String::new();
    write_json(&describe::describe(plan, names, describe::Kept::Shown { in_recursion: false }), None, &mut out);
    out
}

fn write_text(node: &Description, binding: Option<&str>, depth: usize, out: &mut String) {
    out.extend(std::iter::repeat_n("  ", depth));
    if let Some(binding) = binding {
        out.push_str(binding);
        out.push_str(": ");
    }
    out.push_str(node.operator);
    for (position, attribute) in node.attributes.iter().enumerate() {
        out.push_str(if position == 0 { " " } else { "; " });
        if !attribute.unnamed {
            out.push_str(attribute.name);
            out.push_str(if attribute.values.is_empty() { "" } else { ": " });
        }
        out.push_str(&attribute.values.join(attribute.separator));
    }
    out.push('\n');
    for (binding, input) in &node.inputs {
        write_text(input, binding.as_deref(), depth + 1, out);
    }
}

fn write_json(node: &Description, binding: Option<&str>, out: &mut String) {
    out.push_str("{\"operator\":");
    write_json_string(node.operator, out);
    if let Some(binding) = binding {
        out.push_str(",\"binding\":");
        write_json_string(binding, out);
    }
    for attribute in &node.attributes {
        out.push(',');
        write_json_string(attribute.name, out);
        out.push_str(":[");
        for (position, value) in attribute.values.iter().enumerate() {
            if position > 0 {
                out.push(',');
            }
            write_json_string(value, out);
        }
        out.push(']');
    }
    if !node.inputs.is_empty() {
        out.push_str(",\"inputs\":[");
        for (position, (binding, input)) in node.inputs.iter().enumerate() {
            if position > 0 {
                out.push(',');
            }
            write_json(input, binding.as_deref(), out);
        }
        out.push(']');
    }
    out.push('}');
}

fn write_json_string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            character if character < ' ' => out.push_str(&format!("\\u{:04x}", character as u32)),
            character => out.push(character),
        }
    }
    out.push('"');
}
