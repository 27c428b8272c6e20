//! Splits date, time and interval text into fields, by Postgres' rules of what belongs together.

/// What the characters of a field say before anyone knows its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Digits, perhaps with one point.
    Number,
    /// Digits and letters joined by `-`, `/` or `.`; also zone names such as `america/new_york`.
    Date,
    /// Digits with colons.
    Time,
    /// A sign and digits, perhaps with colons, points and dashes.
    Signed,
    /// Letters.
    Word,
    /// A sign and letters.
    SignedWord,
}

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// In lower case.
    pub(super) text: String,
}

/// Fields one value has at most.
const TOKENS_MAX: usize = 25;
/// Bytes one value's text has at most.
const TEXT_BYTES_MAX: usize = 128;

/// Words that may stand directly before a digit or a plus; any other word joins what follows it.
fn is_core_word(word: &str) -> bool {
    const CORE: &[&str] = &["t", "j", "jd", "julian", "z", "am", "pm", "ad", "bc", "d", "h", "m", "s", "y", "mm", "epoch", "now", "today", "on", "at"];
    CORE.contains(&word) || super::parse::month_of(word).is_some() || super::parse::is_weekday(word)
}

struct Scanner<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.position).copied()
    }

    fn take_while(&mut self, text: &mut String, accepts: impl Fn(u8) -> bool) {
        while let Some(byte) = self.peek().filter(|byte| accepts(*byte)) {
            text.push(byte.to_ascii_lowercase() as char);
            self.position += 1;
        }
    }

    fn digits(&mut self, text: &mut String) -> Kind {
        self.take_while(text, |byte| byte.is_ascii_digit());
        match self.peek() {
            Some(b':') => {
                self.take_while(text, |byte| byte.is_ascii_digit() || byte == b':' || byte == b'.');
                Kind::Time
            }
            Some(delimiter @ (b'-' | b'/' | b'.')) => {
                text.push(delimiter as char);
                self.position += 1;
                if self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                    let mut kind = if delimiter == b'.' { Kind::Number } else { Kind::Date };
                    self.take_while(text, |byte| byte.is_ascii_digit());
                    if self.peek() == Some(delimiter) {
                        kind = Kind::Date;
                        self.take_while(text, |byte| byte.is_ascii_digit() || byte == delimiter);
                    }
                    kind
                } else if delimiter == b'.' && !self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric()) {
                    Kind::Number
                } else {
                    self.take_while(text, |byte| byte.is_ascii_alphanumeric() || byte == delimiter);
                    Kind::Date
                }
            }
            _ => Kind::Number,
        }
    }

    fn word(&mut self, text: &mut String) -> Kind {
        self.take_while(text, |byte| byte.is_ascii_alphabetic());
        let joined = match self.peek() {
            Some(b'-' | b'/' | b'.') => true,
            Some(byte) if byte == b'+' || byte.is_ascii_digit() => !is_core_word(text),
            _ => false,
        };
        if joined {
            self.take_while(text, |byte| byte.is_ascii_alphanumeric() || b"+-/_.:".contains(&byte));
            return Kind::Date;
        }
        Kind::Word
    }
}

/// The fields of a text; `None` when it holds what no date, time or interval can.
pub(super) fn tokenize(text: &str) -> Option<Vec<Token>> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let mut scanner = Scanner { bytes: text.as_bytes(), position: 0 };
    let mut tokens = Vec::new();
    while let Some(byte) = scanner.peek() {
        if byte.is_ascii_whitespace() || byte == 0x0b {
            scanner.position += 1;
            continue;
        }
        let mut text = String::new();
        let kind = match byte {
            b'0'..=b'9' => scanner.digits(&mut text),
            b'.' => {
                text.push('.');
                scanner.position += 1;
                scanner.take_while(&mut text, |byte| byte.is_ascii_digit());
                Kind::Number
            }
            _ if byte.is_ascii_alphabetic() => scanner.word(&mut text),
            b'+' | b'-' => {
                text.push(byte as char);
                scanner.position += 1;
                while scanner.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
                    scanner.position += 1;
                }
                match scanner.peek() {
                    Some(b'0'..=b'9') => {
                        scanner.take_while(&mut text, |byte| byte.is_ascii_digit() || b":.-".contains(&byte));
                        Kind::Signed
                    }
                    Some(next) if next.is_ascii_alphabetic() => {
                        scanner.take_while(&mut text, |byte| byte.is_ascii_alphabetic());
                        Kind::SignedWord
                    }
                    _ => return None,
                }
            }
            _ if byte.is_ascii_punctuation() => {
                scanner.position += 1;
                continue;
            }
            _ => return None,
        };
        if tokens.len() == TOKENS_MAX {
            return None;
        }
        tokens.push(Token { kind, text });
    }
    Some(tokens)
}
