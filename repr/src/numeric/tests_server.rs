//! The answers of a real Postgres 15 (`repr/testdata/regenerate` asks again).

use super::{Numeric, NumericModifier};
use crate::EvalError;

/// What `regenerate` does with answers that are too long to keep.
fn shorten(answer: String) -> String {
    let length = answer.chars().count();
    if length <= 1000 {
        return answer;
    }
    let head: String = answer.chars().take(400).collect();
    let tail: String = answer.chars().skip(length - 400).collect();
    format!("{head}...{length}...{tail}")
}

fn show(result: Result<String, EvalError>) -> String {
    shorten(result.unwrap_or_else(|error| {
        let detail = error.detail().map(|detail| format!(" | {detail}")).unwrap_or_default();
        format!("!{} {}{detail}", error.code(), error.message())
    }))
}

fn compute(operation: &str, left: &str, right: &str) -> Result<String, EvalError> {
    if let Some(modifier) = operation.strip_prefix('(') {
        let (precision, scale) = modifier.trim_end_matches(')').split_once(',').unwrap();
        let modifier = NumericModifier { precision: precision.parse().unwrap(), scale: scale.parse().unwrap() };
        return Ok(Numeric::parse(left)?.apply_modifier(modifier)?.to_string());
    }
    match operation {
        "from_float4" => return Ok(Numeric::from_f32(left.parse().unwrap()).to_string()),
        "from_float8" => return Ok(Numeric::from_f64(left.parse().unwrap()).to_string()),
        _ => {}
    }
    let value = Numeric::parse(left)?;
    let other = || Numeric::parse(right);
    let result = match operation {
        "+" => value.add(&other()?)?,
        "-" if right.is_empty() => value.negate(),
        "-" => value.subtract(&other()?)?,
        "*" => value.multiply(&other()?)?,
        "/" => value.divide(&other()?)?,
        "%" => value.modulo(&other()?)?,
        "^" => value.power(&other()?)?,
        "logbase" => other()?.log(&value)?,
        "log" => value.log(&Numeric::from(10))?,
        "sqrt" => value.sqrt()?,
        "exp" => value.exp()?,
        "ln" => value.ln()?,
        "ceil" => value.ceil(),
        "floor" => value.floor(),
        "abs" => value.absolute(),
        "sign" => value.sign(),
        "trim_scale" => value.canonical(),
        "round" => value.round(right.parse().unwrap()),
        "trunc" => value.truncate(right.parse().unwrap()),
        "int2" => return Ok(value.to_i16()?.to_string()),
        "int4" => return Ok(value.to_i32()?.to_string()),
        "int8" => return Ok(value.to_i64()?.to_string()),
        "float4" => return value.to_f32_checked().map(|value| Numeric::parse(&value.to_string()).unwrap().to_string()),
        "float8" => return value.to_f64_checked().map(|value| Numeric::parse(&value.to_string()).unwrap().to_string()),
        _ => panic!("unknown operation {operation}"),
    };
    Ok(result.to_string())
}

#[test]
fn arithmetic_is_that_of_the_server() {
    let mut failures = Vec::new();
    let cases = include_str!("../../testdata/numeric.tsv");
    for (line, case) in cases.lines().enumerate() {
        let fields: Vec<&str> = case.split('\t').collect();
        let [operation, left, right, expected] = fields.as_slice() else { panic!("line {} has other fields: {case}", line + 1) };
        let mut got = show(compute(operation, left, right));
        let mut expected = expected.to_string();
        if operation.starts_with("float") && !expected.starts_with('!') {
            // The text of floats is tested elsewhere: the values count here.
            (got, expected) = (format!("{:?}", got.parse::<f64>()), format!("{:?}", expected.parse::<f64>()));
        }
        if got != expected {
            failures.push(format!("{operation} {left} {right}:\n    got {got}\n server {expected}"));
        }
    }
    assert!(failures.is_empty(), "{} of {} cases differ:\n{}", failures.len(), cases.lines().count(), failures.join("\n"));
}

#[test]
fn text_is_that_of_the_server() {
    let mut failures = Vec::new();
    for case in include_str!("../../testdata/numeric_text.tsv").lines() {
        let (input, expected) = case.split_once('\t').unwrap();
        let got = show(Numeric::parse(&input.replace("\\t", "\t").replace("\\n", "\n")).map(|value| value.to_string()));
        if got.replace('\t', "\\t").replace('\n', "\\n") != expected {
            failures.push(format!("{input:?}: got {got}, server {expected}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
