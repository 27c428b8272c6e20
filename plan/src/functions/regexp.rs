//! POSIX regular expressions: `~ ~* !~ !~*`, `regexp_*`, `substring(text from pattern)`, SIMILAR TO.
//!
//! Patterns are translated to the `regex` crate, whose matching time is linear. What that engine cannot do (back references, lookaround) is an error
//! that says so; an alternation takes the first branch that matches where Postgres takes the longest match.

use super::lift::{Memo, Shape, Table};
use super::typed as t;
use regex::{Captures, Regex, RegexBuilder};
use repr::{ArrayBuilder, Datum, EvalError, SqlState, Type};

const INVALID_ESCAPE_SEQUENCE: SqlState = SqlState(*b"22025");

/// Options of a match: the letters of Postgres' flags.
#[derive(Clone, Copy, Default)]
struct Options {
    ignore_case: bool,
    global: bool,
    /// `.` and negated classes do not match a newline.
    newline_stops_dot: bool,
    /// `^` and `$` match at every line.
    line_anchors: bool,
    expanded: bool,
    literal: bool,
}

impl Options {
    fn parse(flags: &str) -> Result<Options, EvalError> {
        let mut options = Options::default();
        for flag in flags.chars() {
            match flag {
                'g' => options.global = true,
                'i' => options.ignore_case = true,
                'c' => options.ignore_case = false,
                'n' | 'm' => (options.newline_stops_dot, options.line_anchors) = (true, true),
                'p' => options.newline_stops_dot = true,
                'w' => options.line_anchors = true,
                's' => (options.newline_stops_dot, options.line_anchors) = (false, false),
                'x' => options.expanded = true,
                't' => options.expanded = false,
                'q' => options.literal = true,
                'a' | 'e' | 'b' => {}
                other => {
                    return Err(EvalError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid regular expression option: \"{other}\"")));
                }
            }
        }
        Ok(options)
    }

    fn compile(self, pattern: &str) -> Result<Regex, EvalError> {
        let translated = if self.literal { regex::escape(pattern) } else { translate(pattern) };
        RegexBuilder::new(&translated)
            .case_insensitive(self.ignore_case)
            .dot_matches_new_line(!self.newline_stops_dot)
            .multi_line(self.line_anchors)
            .ignore_whitespace(self.expanded)
            .build()
            .map_err(|error| invalid(pattern, &error))
    }
}

fn invalid(pattern: &str, error: &regex::Error) -> EvalError {
    // The engine's message shows the pattern over several lines; its last line says what is wrong.
    let text = error.to_string();
    let reason = text.lines().last().unwrap_or("invalid pattern").trim_start_matches("error: ").to_string();
    EvalError::new(SqlState::INVALID_REGULAR_EXPRESSION, format!("invalid regular expression: {reason}"))
        .with_detail(format!("The pattern is \"{pattern}\"."))
}

/// Postgres' syntax where it differs from the engine's.
fn translate(pattern: &str) -> String {
    let pattern = pattern.strip_prefix("***:").unwrap_or(pattern);
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    while let Some(character) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("[[:<:]]") {
            out.push_str(r"\b{start}");
            rest = after;
        } else if let Some(after) = rest.strip_prefix("[[:>:]]") {
            out.push_str(r"\b{end}");
            rest = after;
        } else if character == '[' {
            rest = translate_class(&rest[1..], &mut out);
        } else if character == '\\' {
            let mut characters = rest[1..].chars();
            match characters.next() {
                Some('m') => out.push_str(r"\b{start}"),
                Some('M') => out.push_str(r"\b{end}"),
                Some('y') => out.push_str(r"\b"),
                Some('Y') => out.push_str(r"\B"),
                Some('Z') => out.push_str(r"\z"),
                Some('e') => out.push_str(r"\x1b"),
                Some(escaped) => {
                    // The engine refuses escapes of characters that need none.
                    if !(escaped.is_ascii_punctuation() || escaped.is_ascii_alphanumeric()) {
                        out.push(escaped);
                    } else {
                        out.push('\\');
                        out.push(escaped);
                    }
                }
                None => out.push('\\'),
            }
            rest = characters.as_str();
        } else {
            out.push(character);
            rest = &rest[character.len_utf8()..];
        }
    }
    out
}

/// A bracket expression, after its `[`. The engine gives `[`, `&&`, `--` and `~~` inside brackets a meaning Postgres does not know.
fn translate_class<'p>(pattern: &'p str, out: &mut String) -> &'p str {
    out.push('[');
    let mut rest = pattern;
    if let Some(after) = rest.strip_prefix('^') {
        out.push('^');
        rest = after;
    }
    if let Some(after) = rest.strip_prefix(']') {
        out.push_str(r"\]");
        rest = after;
    }
    while let Some(character) = rest.chars().next() {
        let after = &rest[character.len_utf8()..];
        match character {
            ']' => {
                out.push(']');
                return after;
            }
            '[' if after.starts_with(':') => {
                let end = after.find(":]").map_or(after.len(), |end| end + 2);
                out.push('[');
                out.push_str(&after[..end]);
                rest = &after[end..];
                continue;
            }
            '[' | '&' | '~' => {
                out.push('\\');
                out.push(character);
            }
            '\\' => {
                let mut characters = after.chars();
                out.push('\\');
                out.extend(characters.next());
                rest = characters.as_str();
                continue;
            }
            other => out.push(other),
        }
        rest = after;
    }
    rest
}

/// The pattern and flags compiled last.
#[derive(Default)]
struct Compiled {
    options: Memo<Options>,
    flags: String,
    regex: Memo<Regex>,
}

impl Compiled {
    fn get(&mut self, pattern: &str, flags: &str) -> Result<(&Regex, Options), EvalError> {
        let options = *self.options.get(flags, Options::parse)?;
        if self.flags != flags {
            self.flags = flags.to_string();
            self.regex = Memo::default();
        }
        Ok((self.regex.get(pattern, |pattern| options.compile(pattern))?, options))
    }
}

pub fn register(table: &mut Table) {
    operators(table);
    replacing(table);
    matching(table);
    positions(table);
    similar(table);
}

/// The arguments of the functions that came with Postgres 15: some texts, then whatever is given of start, number, end option, flags and group.
struct Asked<'a> {
    text: &'a str,
    pattern: &'a str,
    /// In bytes; behind the text if there is nothing to search.
    start: usize,
    number: i32,
    flags: &'a str,
}

fn wrong(name: &str, value: i32) -> EvalError {
    EvalError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid value for parameter \"{name}\": {value}"))
}

fn integer(datums: &[Datum<'_>], position: usize, default: i32) -> i32 {
    if let Some(Datum::Int4(value)) = datums.get(position) { *value } else { default }
}

fn string<'d, 'a>(datums: &'d [Datum<'a>], position: usize) -> &'a str {
    if let Some(Datum::Text(text)) = datums.get(position) { text } else { "" }
}

/// The byte of a character counted from 1.
fn start_byte(text: &str, start: i32) -> Result<usize, EvalError> {
    let characters = usize::try_from(start).ok().and_then(|start| start.checked_sub(1)).ok_or_else(|| wrong("start", start))?;
    Ok(text.char_indices().map(|(byte, _)| byte).chain([text.len()]).nth(characters).unwrap_or(text.len() + 1))
}

fn refuse_global(name: &str, options: Options) -> Result<(), EvalError> {
    if options.global {
        let message = format!("{name}() does not support the \"global\" option");
        return Err(EvalError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    Ok(())
}

impl Compiled {
    /// The first and the last byte of the asked match, or of one of its groups.
    fn find(&mut self, name: &str, asked: &Asked<'_>, group: i32) -> Result<Option<(usize, usize)>, EvalError> {
        if asked.number < 1 {
            return Err(wrong("n", asked.number));
        }
        let group = usize::try_from(group).map_err(|_| wrong("subexpr", group))?;
        let (regex, options) = self.get(asked.pattern, asked.flags)?;
        refuse_global(name, options)?;
        let (mut found, mut number) = (None, 0);
        each_match(regex, asked.text, asked.start, &mut |captures| {
            number += 1;
            if number == asked.number {
                found = captures.get(group).map(|found| (found.start(), found.end()));
            }
            number < asked.number
        });
        Ok(found)
    }
}

fn positions(table: &mut Table) {
    let all = [Type::Text, Type::Text, Type::Int4, Type::Int4, Type::Int4, Type::Text, Type::Int4];
    let count = "How often the regular expression matches; from a character on, with flags.";
    let arguments = [Type::Text, Type::Text, Type::Int4, Type::Text];
    for length in 2..=arguments.len() {
        let shape = Shape::new("regexp_count", count, arguments[..length].to_vec(), Type::Int4).can_fail();
        table.datums(shape, |_| Compiled::default(), |compiled, datums, out| {
            let (text, pattern) = (string(datums, 0), string(datums, 1));
            let start = start_byte(text, integer(datums, 2, 1))?;
            let (regex, options) = compiled.get(pattern, string(datums, 3))?;
            refuse_global("regexp_count", options)?;
            let mut found = 0;
            each_match(regex, text, start, &mut |_| {
                found += 1;
                true
            });
            out.push(Datum::Int4(found));
            Ok(())
        });
    }
    let description = "Where the match of a number starts (or, with the end option 1, what follows it starts), 0 if nowhere: text, pattern, start, number, end option, flags, group.";
    for length in 2..=all.len() {
        let shape = Shape::new("regexp_instr", description, all[..length].to_vec(), Type::Int4).can_fail();
        table.datums(shape, |_| Compiled::default(), |compiled, datums, out| {
            let text = string(datums, 0);
            let start = start_byte(text, integer(datums, 2, 1))?;
            let asked = Asked { text, pattern: string(datums, 1), start, number: integer(datums, 3, 1), flags: string(datums, 5) };
            let end_option = integer(datums, 4, 0);
            if asked.number < 1 {
                return Err(wrong("n", asked.number));
            }
            if !(0..=1).contains(&end_option) {
                return Err(wrong("endoption", end_option));
            }
            let found = compiled.find("regexp_instr", &asked, integer(datums, 6, 0))?;
            let position = found.map_or(0, |(start, end)| text[..if end_option == 1 { end } else { start }].chars().count() as i32 + 1);
            out.push(Datum::Int4(position));
            Ok(())
        });
    }
    let description = "The match of a number, or one of its groups: text, pattern, start, number, flags, group.";
    let arguments: Vec<Type> = all.iter().take(4).chain(&all[5..]).cloned().collect();
    for length in 2..=arguments.len() {
        let shape = Shape::new("regexp_substr", description, arguments[..length].to_vec(), Type::Text).can_fail().can_be_null();
        table.datums(shape, |_| Compiled::default(), |compiled, datums, out| {
            let text = string(datums, 0);
            let start = start_byte(text, integer(datums, 2, 1))?;
            let asked = Asked { text, pattern: string(datums, 1), start, number: integer(datums, 3, 1), flags: string(datums, 4) };
            let found = compiled.find("regexp_substr", &asked, integer(datums, 5, 0))?;
            out.push(found.map_or(Datum::Null, |(start, end)| Datum::Text(&text[start..end])));
            Ok(())
        });
    }
    let description = "The match of a number replaced, 0 for all: text, pattern, replacement, start, number, flags.";
    let arguments = [Type::Text, Type::Text, Type::Text, Type::Int4, Type::Int4, Type::Text];
    for length in 4..=arguments.len() {
        let shape = Shape::new("regexp_replace", description, arguments[..length].to_vec(), Type::Text).can_fail();
        table.datums(shape, |_| (Compiled::default(), String::new()), |(compiled, buffer), datums, out| {
            let text = string(datums, 0);
            let start = start_byte(text, integer(datums, 3, 1))?;
            let number = integer(datums, 4, 1);
            if number < 0 {
                return Err(wrong("n", number));
            }
            let (regex, _) = compiled.get(string(datums, 1), string(datums, 5))?;
            buffer.clear();
            replace_from(regex, start, number, text, string(datums, 2), buffer);
            out.push(Datum::Text(buffer));
            Ok(())
        });
    }
}

fn operators(table: &mut Table) {
    for (name, wanted, flags, description) in [
        ("~", true, "", "Whether the text matches the regular expression."),
        ("!~", false, "", "Whether the text does not match the regular expression."),
        ("~*", true, "i", "Whether the text matches the regular expression, in any case."),
        ("!~*", false, "i", "Whether the text does not match the regular expression, in any case."),
    ] {
        macro_rules! strings {
            ($($marker:ident)*) => {$(
                table.entry::<(t::$marker, t::Text), t::Bool>(name, description).returns_with(
                    |_| Compiled::default(),
                    move |compiled, (text, pattern)| compiled.get(pattern, flags).map(|(regex, _)| regex.is_match(text) == wanted),
                );
            )*};
        }
        strings! { Text Name Bpchar }
    }
    table
        .entry::<(t::Text, t::Text), t::Bool>("regexp_like", "Whether the text matches the regular expression.")
        .returns_with(|_| Compiled::default(), |compiled, (text, pattern)| compiled.get(pattern, "").map(|(regex, _)| regex.is_match(text)));
    table.entry::<(t::Text, t::Text, t::Text), t::Bool>("regexp_like", "Whether the text matches the regular expression, with flags.").returns_with(
        |_| Compiled::default(),
        |compiled, (text, pattern, flags)| compiled.get(pattern, flags).map(|(regex, _)| regex.is_match(text)),
    );
}

fn replacing(table: &mut Table) {
    table
        .entry::<(t::Text, t::Text, t::Text), t::Text>("regexp_replace", "The first match replaced; `\\1` and `\\&` stand for parts of the match.")
        .writes_with(
            |_| Compiled::default(),
            |compiled, (text, pattern, new), out| compiled.get(pattern, "").map(|(regex, _)| replace(regex, false, text, new, out)),
        );
    table
        .entry::<(t::Text, t::Text, t::Text, t::Text), t::Text>("regexp_replace", "Matches replaced; the flag `g` replaces all of them.")
        .writes_with(
            |_| Compiled::default(),
            |compiled, (text, pattern, new, flags), out| {
                compiled.get(pattern, flags).map(|(regex, options)| replace(regex, options.global, text, new, out))
            },
        );
}

/// Visits the matches from a byte on, until `visit` returns false. As in Postgres, an empty match directly behind a match counts, so the engine's own
/// iteration does not serve.
pub(crate) fn each_match(regex: &Regex, text: &str, start: usize, visit: &mut dyn FnMut(&Captures<'_>) -> bool) {
    let mut from = start;
    while from <= text.len()
        && let Some(captures) = regex.captures_at(text, from)
    {
        let Some(whole) = captures.get(0) else { break };
        if !visit(&captures) {
            break;
        }
        let next = text[whole.end()..].chars().next();
        from = if whole.is_empty() { whole.end() + next.map_or(1, char::len_utf8) } else { whole.end() };
    }
}

fn replace(regex: &Regex, all: bool, text: &str, new: &str, out: &mut String) {
    replace_from(regex, 0, if all { 0 } else { 1 }, text, new, out)
}

/// Replaces the match of a number (counted from 1; 0: all of them) among those from a byte on.
fn replace_from(regex: &Regex, start: usize, wanted: i32, text: &str, new: &str, out: &mut String) {
    let (mut copied, mut number) = (0, 0);
    each_match(regex, text, start, &mut |captures| {
        number += 1;
        if let Some(whole) = captures.get(0)
            && (wanted == 0 || wanted == number)
        {
            out.push_str(&text[copied..whole.start()]);
            write_replacement(new, captures, out);
            copied = whole.end();
        }
        wanted == 0 || number < wanted
    });
    out.push_str(&text[copied..]);
}

fn write_replacement(new: &str, captures: &Captures<'_>, out: &mut String) {
    let mut characters = new.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        match characters.next() {
            Some('&') => out.push_str(captures.get(0).map_or("", |whole| whole.as_str())),
            Some(digit @ '1'..='9') => out.push_str(captures.get(digit as usize - '0' as usize).map_or("", |group| group.as_str())),
            Some('\\') => out.push('\\'),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
            None => out.push('\\'),
        }
    }
}

/// The groups of a match as a text array; the whole match if the pattern has no group.
pub(crate) fn groups(captures: &Captures<'_>) -> Vec<u8> {
    let mut builder = ArrayBuilder::new();
    let first = usize::from(captures.len() > 1);
    for group in captures.iter().skip(first) {
        builder.push(group.map_or(Datum::Null, |group| Datum::Text(group.as_str())));
    }
    builder.finish()
}

/// What `substring(text from pattern)` takes: the first group, else the whole match.
fn piece(regex: &Regex, text: &str, out: &mut String) -> Option<()> {
    let captures = regex.captures(text)?;
    out.push_str(captures.get(usize::from(captures.len() > 1))?.as_str());
    Some(())
}

fn split(regex: &Regex, text: &str) -> Vec<u8> {
    let mut builder = ArrayBuilder::new();
    let mut start = 0;
    for found in regex.find_iter(text) {
        // A match of nothing at the ends separates nothing.
        if found.is_empty() && (found.start() == 0 || found.end() == text.len()) {
            continue;
        }
        builder.push(Datum::Text(&text[start..found.start()]));
        start = found.end();
    }
    builder.push(Datum::Text(&text[start..]));
    builder.finish()
}

fn matching(table: &mut Table) {
    table.entry::<(t::Text, t::Text), t::TextArray>("regexp_match", "The groups of the first match.").returns_with(
        |_| Compiled::default(),
        |compiled, (text, pattern)| compiled.get(pattern, "").map(|(regex, _)| regex.captures(text).map(|captures| groups(&captures))),
    );
    table.entry::<(t::Text, t::Text, t::Text), t::TextArray>("regexp_match", "The groups of the first match, with flags.").returns_with(
        |_| Compiled::default(),
        |compiled, (text, pattern, flags)| {
            let (regex, options) = compiled.get(pattern, flags)?;
            refuse_global("regexp_match", options).map_err(|error| error.with_hint("Use the regexp_matches function instead."))?;
            Ok::<_, EvalError>(regex.captures(text).map(|captures| groups(&captures)))
        },
    );
    let description = "The part of the text that the regular expression (its first group) matches.";
    table.entry::<(t::Text, t::Text), t::Text>("substring", description).writes_with(
        |_| Compiled::default(),
        |compiled, (text, pattern), out| compiled.get(pattern, "").map(|(regex, _)| piece(regex, text, out)),
    );
    table
        .entry::<(t::Text, t::Text), t::TextArray>("regexp_split_to_array", "The pieces between the matches.")
        .returns_with(|_| Compiled::default(), |compiled, (text, pattern)| compiled.get(pattern, "").map(|(regex, _)| split(regex, text)));
    table
        .entry::<(t::Text, t::Text, t::Text), t::TextArray>("regexp_split_to_array", "The pieces between the matches, with flags.")
        .returns_with(|_| Compiled::default(), |compiled, (text, pattern, flags)| compiled.get(pattern, flags).map(|(regex, _)| split(regex, text)));
}

/// SIMILAR TO is a match of the regular expression its pattern is rewritten to.
fn similar(table: &mut Table) {
    table
        .entry::<(t::Text,), t::Text>("similar_to_escape", "A SIMILAR TO pattern as a regular expression.")
        .writes(|(pattern,), out| rewrite_similar(pattern, Some('\\'), out));
    table.entry::<(t::Text, t::Text), t::Text>("similar_to_escape", "A SIMILAR TO pattern with an escape character as a regular expression.").writes(
        |(pattern, escape), out| {
            let mut characters = escape.chars();
            match (characters.next(), characters.next()) {
                (escape, None) => {
                    rewrite_similar(pattern, escape, out);
                    Ok(())
                }
                _ => Err(EvalError::new(INVALID_ESCAPE_SEQUENCE, "invalid escape string").with_hint("Escape string must be empty or one character.")),
            }
        },
    );
}

fn rewrite_similar(pattern: &str, escape: Option<char>, out: &mut String) {
    out.push_str("^(?:");
    let mut in_class = false;
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        if Some(character) == escape {
            if let Some(next) = characters.next() {
                out.push('\\');
                out.push(next);
            }
            continue;
        }
        match character {
            _ if in_class => {
                in_class = character != ']';
                if character == '\\' {
                    out.push('\\');
                }
                out.push(character);
            }
            '[' => {
                in_class = true;
                out.push('[');
            }
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            '(' => out.push_str("(?:"),
            '\\' | '.' | '^' | '$' => {
                out.push('\\');
                out.push(character);
            }
            other => out.push(other),
        }
    }
    out.push_str(")$");
}
