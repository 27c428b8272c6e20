//! LIKE and ILIKE: `~~`, `!~~`, `~~*`, `!~~*`. `%` is any text, `_` any character, `\` makes the next character plain.

use super::lift::{Memo, Table};
use super::text::lower;
use super::typed as t;
use repr::{EvalError, SqlState};

const INVALID_ESCAPE_SEQUENCE: SqlState = SqlState(*b"22025");

pub fn register(table: &mut Table) {
    for (name, wanted, ignore_case, description) in
        [("~~", true, false, "LIKE."), ("!~~", false, false, "NOT LIKE."), ("~~*", true, true, "ILIKE."), ("!~~*", false, true, "NOT ILIKE.")]
    {
        macro_rules! strings {
            ($($marker:ident)*) => {$(
                table.entry::<(t::$marker, t::Text), t::Bool>(name, description).returns_with(
                    |_| (Memo::default(), String::new()),
                    move |(memo, lowered): &mut (Memo<Pattern>, String), (text, pattern)| {
                        let pattern = memo.get(pattern, |pattern| Ok(Pattern::parse(pattern, ignore_case)))?;
                        let text = if ignore_case {
                            lowered.clear();
                            lowered.extend(text.chars().map(lower));
                            lowered.as_str()
                        } else {
                            text
                        };
                        pattern.matches(text).map(|matches| matches == wanted)
                    },
                );
            )*};
        }
        strings! { Text Name Bpchar }
    }
    table
        .entry::<(t::Text, t::Text), t::Text>("like_escape", "A LIKE pattern with another escape character, rewritten to the usual one.")
        .writes(|(pattern, escape), out| rewrite_escape(pattern, escape, out));
}

/// A compiled pattern. The common shapes need no general matching.
pub(crate) enum Pattern {
    Exactly(String),
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    General(Vec<Token>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    Character(char),
    AnyCharacter,
    AnyText,
    /// An escape character at the end: an error if matching gets there with text left.
    Unfinished,
}

impl Pattern {
    pub fn parse(pattern: &str, ignore_case: bool) -> Pattern {
        let mut tokens = Vec::new();
        let mut characters = pattern.chars();
        while let Some(character) = characters.next() {
            let token = match character {
                '%' => Token::AnyText,
                '_' => Token::AnyCharacter,
                '\\' => characters.next().map_or(Token::Unfinished, Token::Character),
                plain => Token::Character(plain),
            };
            if token != Token::AnyText || tokens.last() != Some(&Token::AnyText) {
                tokens.push(token);
            }
        }
        if ignore_case {
            for token in &mut tokens {
                if let Token::Character(character) = token {
                    *character = lower(*character);
                }
            }
        }
        Pattern::shape(tokens)
    }

    fn shape(tokens: Vec<Token>) -> Pattern {
        let open_start = tokens.first() == Some(&Token::AnyText);
        let open_end = tokens.len() > usize::from(open_start) && tokens.last() == Some(&Token::AnyText);
        let inner = &tokens[usize::from(open_start)..tokens.len() - usize::from(open_end)];
        let plain: Option<String> = inner
            .iter()
            .map(|token| match token {
                Token::Character(character) => Some(*character),
                _ => None,
            })
            .collect();
        match (plain, open_start, open_end) {
            (None, ..) => Pattern::General(tokens),
            (Some(text), false, false) => Pattern::Exactly(text),
            (Some(text), false, true) => Pattern::StartsWith(text),
            (Some(text), true, false) => Pattern::EndsWith(text),
            (Some(text), true, true) => Pattern::Contains(text),
        }
    }

    pub fn matches(&self, text: &str) -> Result<bool, EvalError> {
        Ok(match self {
            Pattern::Exactly(plain) => text == plain,
            Pattern::StartsWith(plain) => text.starts_with(plain.as_str()),
            Pattern::EndsWith(plain) => text.ends_with(plain.as_str()),
            Pattern::Contains(plain) => text.contains(plain.as_str()),
            Pattern::General(tokens) => return matches_general(tokens, text),
        })
    }
}

/// Where a `%` was met, matching starts again one character later when what follows does not fit: only the last `%` has to be remembered.
fn matches_general(tokens: &[Token], text: &str) -> Result<bool, EvalError> {
    let (mut token, mut rest) = (0, text.chars());
    let mut retry: Option<(usize, std::str::Chars<'_>)> = None;
    loop {
        if tokens.get(token) == Some(&Token::AnyText) {
            token += 1;
            retry = Some((token, rest.clone()));
            continue;
        }
        let fits = match (tokens.get(token), rest.next()) {
            (None, None) => return Ok(true),
            (Some(Token::AnyCharacter), Some(_)) => true,
            (Some(Token::Character(wanted)), Some(found)) => *wanted == found,
            (_, None) => return Ok(false),
            (Some(Token::Unfinished), Some(_)) => {
                return Err(EvalError::new(INVALID_ESCAPE_SEQUENCE, "LIKE pattern must not end with escape character"));
            }
            _ => false,
        };
        if fits {
            token += 1;
            continue;
        }
        match &mut retry {
            Some((after, from)) => {
                if from.next().is_none() {
                    return Ok(false);
                }
                token = *after;
                rest = from.clone();
            }
            None => return Ok(false),
        }
    }
}

fn rewrite_escape(pattern: &str, escape: &str, out: &mut String) -> Result<(), EvalError> {
    let mut escapes = escape.chars();
    match (escapes.next(), escapes.next()) {
        // No escape character: backslashes become plain.
        (None, _) => {
            for character in pattern.chars() {
                if character == '\\' {
                    out.push('\\');
                }
                out.push(character);
            }
        }
        (Some('\\'), None) => out.push_str(pattern),
        (Some(escape), None) => {
            let mut characters = pattern.chars();
            while let Some(character) = characters.next() {
                if character == escape {
                    out.push('\\');
                    out.extend(characters.next());
                } else {
                    if character == '\\' {
                        out.push('\\');
                    }
                    out.push(character);
                }
            }
        }
        _ => {
            return Err(EvalError::new(INVALID_ESCAPE_SEQUENCE, "invalid escape string").with_hint("Escape string must be empty or one character."));
        }
    }
    Ok(())
}
