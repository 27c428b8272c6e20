//! What each node says about itself.

use super::scalar::{aggregate, direction, expression, list, order, row};
use super::{Attribute, Description, Names};
use crate::aggregate::Strategy;
use crate::relation::{Access, FrameBound, FrameExclusion, FrameUnits, Id, JoinImplementation, WindowExpression, WindowFrame, WindowFunction};
use crate::{Plan, Scalar, TableFunction};
use repr::CollectionId;

/// More rows of a constant than this are counted, not shown.
const ROWS_SHOWN_MAX: usize = 10;

fn unnamed(name: &'static str, values: Vec<String>) -> Attribute {
    Attribute { name, values, unnamed: true, separator: ", " }
}
fn named(name: &'static str, values: Vec<String>) -> Attribute {
    Attribute { name, values, unnamed: false, separator: ", " }
}
fn columns(columns: &[usize]) -> Vec<String> {
    columns.iter().map(|column| format!("#{column}")).collect()
}
fn name_of(id: CollectionId, names: Names<'_>) -> String {
    names(id).unwrap_or_else(|| id.to_string())
}
fn tuple(scalars: &[Scalar]) -> String {
    format!("({})", list(scalars).join(", "))
}

/// Whether what an operator keeps is described.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// The plan is run once.
    Nothing,
    /// The plan is kept up to date; in a recursion, groups are computed again.
    Shown { in_recursion: bool },
}

/// What an operator keeps between changes, beside the arrangements of the relations it reads. `None`: nothing.
fn kept(plan: &Plan, in_recursion: bool) -> Option<&'static str> {
    match plan {
        Plan::Join { inputs, .. } if inputs.len() < 2 => None,
        Plan::Join { implementation: JoinImplementation::Delta { .. }, .. } => Some("each input by the keys it is met by, unless it is arranged so already; no intermediate result"),
        Plan::Join { inputs, .. } if inputs.len() > 2 => Some("each input by its key, unless it is arranged so already; each intermediate result by the next key"),
        Plan::Join { .. } => Some("each input by its key, unless it is arranged so already"),
        Plan::Reduce { aggregates, .. } if aggregates.is_empty() => Some("one counter and one row per value"),
        Plan::Reduce { aggregates, .. } => {
            let has = |strategy| aggregates.iter().any(|aggregate| aggregate.strategy() == strategy);
            Some(match (has(Strategy::Accumulable), has(Strategy::Extremum), has(Strategy::Recomputed)) {
                (true, false, false) => "one sum and one row per group",
                (false, true, false) if !in_recursion => "each group's values in order, one row per group",
                (true, true, false) if !in_recursion => "one sum, each group's values in order, one row per group",
                _ => "each group's rows, computed again when the group changes, one row per group",
            })
        }
        Plan::TopK { .. } if !in_recursion => Some("each group's rows in order"),
        Plan::TopK { .. } => Some("each group's rows, sorted again when the group changes"),
        Plan::Window { .. } => Some("each partition's rows and results, computed again when the partition changes"),
        Plan::Threshold { .. } => Some("one counter and one row per value"),
        Plan::LetRec { .. } => Some("each binding's rows, with the iterations in which they changed"),
        _ => None,
    }
}

pub fn describe(plan: &Plan, names: Names<'_>, shown: Kept) -> Description {
    let mut attributes = Vec::new();
    let operator = match plan {
        Plan::Constant { rows: Err(error), .. } => {
            attributes.push(named("error", vec![format!("{} {}", error.code(), error.message())]));
            "Constant"
        }
        Plan::Constant { rows: Ok(rows), types } => {
            let shown = rows.iter().take(ROWS_SHOWN_MAX).map(|(values, diff)| match diff {
                1 => row(values, types),
                diff => format!("{} x {diff}", row(values, types)),
            });
            let mut values: Vec<String> = shown.collect();
            if rows.len() > ROWS_SHOWN_MAX {
                values.push(format!("and {} more", rows.len() - ROWS_SHOWN_MAX));
            }
            attributes.push(unnamed("rows", if values.is_empty() { vec!["no rows".to_string()] } else { values }));
            "Constant"
        }
        Plan::Get { id, access, .. } => {
            let name = match id {
                Id::Global(id) => name_of(*id, names),
                Id::Local(id) => format!("l{}", id.0),
            };
            attributes.push(unnamed("relation", vec![name]));
            describe_access(access, names, &mut attributes);
            "Get"
        }
        Plan::Let { .. } => "Let",
        Plan::LetRec { limit, .. } => {
            attributes.extend(limit.map(|limit| named("limit", vec![limit.to_string()])));
            "LetRec"
        }
        Plan::Project { outputs, .. } => {
            attributes.push(unnamed("columns", columns(outputs)));
            "Project"
        }
        Plan::Map { scalars, .. } => {
            attributes.push(unnamed("expressions", list(scalars)));
            "Map"
        }
        Plan::Filter { predicates, .. } => {
            attributes.push(Attribute { separator: " AND ", ..unnamed("predicates", list(predicates)) });
            "Filter"
        }
        Plan::FlatMap { function, arguments, .. } => {
            attributes.push(unnamed("function", vec![table_function(function, arguments)]));
            "FlatMap"
        }
        Plan::Join { equivalences, implementation, .. } => {
            let classes = equivalences.iter().map(|class| list(class).join(" = ")).collect::<Vec<_>>();
            let on = if classes.is_empty() { vec!["everything".to_string()] } else { classes };
            attributes.push(Attribute { separator: " AND ", ..named("on", on) });
            match implementation {
                JoinImplementation::Undecided => {}
                JoinImplementation::Linear { order } => attributes.push(named("linear", order.iter().map(usize::to_string).collect())),
                JoinImplementation::Delta { orders } => {
                    let path = |(input, order): (usize, &Vec<usize>)| {
                        std::iter::once(&input).chain(order).map(usize::to_string).collect::<Vec<_>>().join(" ")
                    };
                    attributes.push(named("delta", orders.iter().enumerate().map(path).collect()));
                }
            }
            "Join"
        }
        Plan::Reduce { keys, aggregates, append_only, .. } if aggregates.is_empty() => {
            attributes.push(unnamed("keys", list(keys)));
            attributes.extend(append_only.then(|| named("append only", Vec::new())));
            "Distinct"
        }
        Plan::Reduce { keys, aggregates, append_only, .. } => {
            attributes.push(unnamed("aggregates", aggregates.iter().map(aggregate).collect()));
            if !keys.is_empty() {
                attributes.push(named("by", list(keys)));
            }
            attributes.extend(append_only.then(|| named("append only", Vec::new())));
            "Reduce"
        }
        Plan::TopK { group, order, limit, offset, with_ties, append_only, .. } => {
            if !group.is_empty() {
                attributes.push(named("by", columns(group)));
            }
            if !order.is_empty() {
                attributes.push(named("order", order.iter().map(|order| format!("#{}{}", order.column, direction(order.direction))).collect()));
            }
            attributes.extend(
                limit.as_ref().map(|limit| named("limit", vec![format!("{}{}", expression(limit), if *with_ties { " with ties" } else { "" })])),
            );
            if *offset > 0 {
                attributes.push(named("offset", vec![offset.to_string()]));
            }
            attributes.extend(append_only.then(|| named("append only", Vec::new())));
            "TopK"
        }
        Plan::Window { expressions, .. } => {
            attributes.push(unnamed("expressions", expressions.iter().map(window).collect()));
            "Window"
        }
        Plan::Negate { .. } => "Negate",
        Plan::Threshold { .. } => "Threshold",
        Plan::Union { .. } => "Union",
    };
    if let Kept::Shown { in_recursion } = shown {
        attributes.extend(kept(plan, in_recursion).map(|kept| named("keeps", vec![kept.to_string()])));
    }
    // The body of a recursion is outside of it again.
    let recursive = if let Plan::LetRec { bindings, .. } = plan { bindings.len() } else { 0 };
    let mut inputs = Vec::new();
    plan.for_each_child(&mut |child| {
        let below = if inputs.len() < recursive && shown != Kept::Nothing { Kept::Shown { in_recursion: true } } else { shown };
        inputs.push((None, describe(child, names, below)));
    });
    match plan {
        Plan::Let { id, .. } => inputs[0].0 = Some(format!("l{}", id.0)),
        Plan::LetRec { bindings, .. } => {
            for (input, binding) in inputs.iter_mut().zip(bindings) {
                input.0 = Some(format!("l{}", binding.id.0));
            }
        }
        _ => {}
    }
    Description { operator, attributes, inputs }
}

fn describe_access(access: &Access, names: Names<'_>, attributes: &mut Vec<Attribute>) {
    match access {
        Access::Scan => {}
        Access::Lookup { index, keys } => {
            attributes.push(named("index", vec![name_of(*index, names)]));
            attributes.push(named("lookup", keys.iter().map(|key| tuple(key)).collect()));
        }
        Access::Range { index, lower, upper, descending } => {
            attributes.push(named("index", vec![name_of(*index, names)]));
            let bound = |bound: &Option<(Vec<Scalar>, bool)>, operator: &str| {
                bound.as_ref().map(|(values, inclusive)| format!("{operator}{} {}", if *inclusive { "=" } else { "" }, tuple(values)))
            };
            let mut bounds: Vec<String> = bound(lower, ">").into_iter().chain(bound(upper, "<")).collect();
            if bounds.is_empty() {
                bounds.push("everything".to_string());
            }
            attributes.push(named("range", bounds));
            attributes.extend(descending.then(|| named("descending", Vec::new())));
        }
    }
}

fn table_function(function: &TableFunction, arguments: &[Scalar]) -> String {
    let name = match function {
        TableFunction::GenerateSeries(_) => "generate_series",
        TableFunction::GenerateSubscripts => "generate_subscripts",
        TableFunction::Unnest(_) => "unnest",
        TableFunction::RegexpSplitToTable => "regexp_split_to_table",
        TableFunction::StringToTable => "string_to_table",
        TableFunction::JsonbArrayElements { text: false } => "jsonb_array_elements",
        TableFunction::JsonbArrayElements { text: true } => "jsonb_array_elements_text",
        TableFunction::JsonbEach { text: false } => "jsonb_each",
        TableFunction::JsonbEach { text: true } => "jsonb_each_text",
        TableFunction::JsonbObjectKeys => "jsonb_object_keys",
        TableFunction::Repeat => "repeat",
        TableFunction::AssertOneRow => "assert_one_row",
        TableFunction::WithOrdinality(function) => {
            return format!("{} WITH ORDINALITY", table_function(function, arguments));
        }
    };
    format!("{name}{}", tuple(arguments))
}

fn window(expression: &WindowExpression) -> String {
    let name = match &expression.function {
        WindowFunction::RowNumber => "row_number",
        WindowFunction::Rank => "rank",
        WindowFunction::DenseRank => "dense_rank",
        WindowFunction::PercentRank => "percent_rank",
        WindowFunction::CumeDist => "cume_dist",
        WindowFunction::Ntile => "ntile",
        WindowFunction::Lag => "lag",
        WindowFunction::Lead => "lead",
        WindowFunction::FirstValue => "first_value",
        WindowFunction::LastValue => "last_value",
        WindowFunction::NthValue => "nth_value",
        WindowFunction::Aggregate(_) => "",
    };
    let mut out = match &expression.function {
        WindowFunction::Aggregate(function) => aggregate(function),
        _ => format!("{name}{}", tuple(&expression.arguments)),
    };
    if expression.ignore_nulls {
        out.push_str(" IGNORE NULLS");
    }
    if let Some(filter) = &expression.filter {
        out.push_str(&format!(" FILTER (WHERE {})", super::expression(filter)));
    }
    let mut parts = Vec::new();
    if !expression.partition.is_empty() {
        parts.push(format!("PARTITION BY {}", list(&expression.partition).join(", ")));
    }
    if !expression.order.is_empty() {
        parts.push(format!("ORDER BY {}", order(&expression.order)));
    }
    parts.extend(frame(&expression.frame));
    format!("{out} OVER ({})", parts.join(" "))
}

/// The frame unless it is the one that stands when none is written.
fn frame(frame: &WindowFrame) -> Option<String> {
    let is_default = frame.units == FrameUnits::Range
        && frame.start == FrameBound::UnboundedPreceding
        && frame.end == FrameBound::CurrentRow
        && frame.exclusion == FrameExclusion::NoOthers;
    if is_default {
        return None;
    }
    let units = match frame.units {
        FrameUnits::Rows => "ROWS",
        FrameUnits::Range => "RANGE",
        FrameUnits::Groups => "GROUPS",
    };
    let bound = |bound: &FrameBound| match bound {
        FrameBound::UnboundedPreceding => "UNBOUNDED PRECEDING".to_string(),
        FrameBound::Preceding(offset) => format!("{} PRECEDING", expression(offset)),
        FrameBound::CurrentRow => "CURRENT ROW".to_string(),
        FrameBound::Following(offset) => format!("{} FOLLOWING", expression(offset)),
        FrameBound::UnboundedFollowing => "UNBOUNDED FOLLOWING".to_string(),
    };
    let exclusion = match frame.exclusion {
        FrameExclusion::NoOthers => "",
        FrameExclusion::CurrentRow => " EXCLUDE CURRENT ROW",
        FrameExclusion::Group => " EXCLUDE GROUP",
        FrameExclusion::Ties => " EXCLUDE TIES",
    };
    Some(format!("{units} BETWEEN {} AND {}{exclusion}", bound(&frame.start), bound(&frame.end)))
}
