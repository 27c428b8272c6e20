//! `to_date` and `to_timestamp(text, text)`: moments read after a template.

use super::super::datetime::session_zone;
use super::super::lift::{Memo, Table};
use super::super::typed as t;
use super::moment::{DAYS, Field, MONTHS, ROMAN_MONTHS, Token, parse_template};
use repr::temporal::{self, MICROS_PER_SECOND};
use repr::{Date, EvalError, SqlState, SqlTimestamp, SqlTimestampTz, TimeZone};

/// What a text said.
#[derive(Default)]
struct Parts {
    year: Option<i32>,
    before_christ: bool,
    century: Option<i32>,
    month: Option<i32>,
    day: Option<i32>,
    day_of_year: Option<i32>,
    julian: Option<i32>,
    hour: i32,
    hour12: bool,
    afternoon: Option<bool>,
    minute: i32,
    second: i32,
    micros: i64,
    second_of_day: Option<i32>,
    offset_seconds: Option<i32>,
}

fn invalid(message: String) -> EvalError {
    EvalError::new(SqlState::INVALID_DATETIME_FORMAT, message)
}
fn out_of_range(text: &str) -> EvalError {
    EvalError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("date/time field value out of range: \"{text}\""))
}

/// Takes up to `digits` digits (and a sign).
fn number(rest: &mut &str, digits: usize) -> Result<i32, EvalError> {
    *rest = rest.trim_start();
    let (sign, body) = match rest.strip_prefix('-') {
        Some(body) => (-1, body),
        None => (1, rest.strip_prefix('+').unwrap_or(rest)),
    };
    let length = body.bytes().take(digits).take_while(u8::is_ascii_digit).count();
    let value = body[..length].parse::<i32>().map_err(|_| {
        let found: String = rest.chars().take(digits.min(4)).collect();
        invalid(format!("invalid value \"{found}\" for a field of the template")).with_detail("Value must be an integer.")
    })?;
    *rest = &body[length..];
    Ok(sign * value)
}

/// Takes one of some names, in any case, and returns its position.
fn name(rest: &mut &str, names: &[&str], letters: Option<usize>) -> Result<usize, EvalError> {
    *rest = rest.trim_start();
    let mut found: Option<(usize, usize)> = None;
    for (position, name) in names.iter().enumerate() {
        let name = &name[..letters.unwrap_or(name.len()).min(name.len())];
        let fits = rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        if fits && found.is_none_or(|(_, length)| name.len() > length) {
            found = Some((position, name.len()));
        }
    }
    match found {
        Some((position, length)) => {
            *rest = &rest[length..];
            Ok(position)
        }
        None => {
            let word: String = rest.chars().take(NAME_SHOWN).collect();
            Err(invalid(format!("invalid value \"{word}\" for a name in the template"))
                .with_detail("The given value did not match any of the allowed values for this field."))
        }
    }
}

/// How much of a name that is none an error shows.
const NAME_SHOWN: usize = 9;

fn read(text: &str, tokens: &[Token]) -> Result<Parts, EvalError> {
    let mut parts = Parts::default();
    let mut rest = text.trim_start();
    for (position, token) in tokens.iter().enumerate() {
        if rest.is_empty() {
            break;
        }
        match token {
            Token::Quoted(_) => {
                let mut characters = rest.chars();
                characters.next();
                rest = characters.as_str();
            }
            // A separator stands for any separator; blanks may be more.
            Token::Plain(plain) if plain.is_ascii_alphanumeric() => {
                let mut characters = rest.chars();
                characters.next();
                rest = characters.as_str();
            }
            Token::Plain(_) => {
                let trimmed = rest.trim_start();
                let first_is_sign = trimmed.starts_with(['-', '+'])
                    && matches!(tokens.get(position + 1), Some(Token::Element(element)) if element.field == Field::ZoneHours);
                let mut characters = trimmed.chars();
                match characters.next() {
                    Some(separator) if !separator.is_alphanumeric() && !first_is_sign => rest = characters.as_str(),
                    _ => rest = trimmed,
                }
            }
            Token::Element(element) => {
                let fixed = matches!(tokens.get(position + 1), Some(Token::Element(_)));
                read_field(element.field, fixed, &mut rest, &mut parts)?;
                if element.ordinal.is_some() {
                    rest = rest.get(2..).unwrap_or("");
                }
            }
        }
    }
    Ok(parts)
}

/// `fixed`: the next field follows at once, so this one has its full width and no more.
fn read_field(field: Field, fixed: bool, rest: &mut &str, parts: &mut Parts) -> Result<(), EvalError> {
    /// A number of any length.
    const ANY: usize = 9;
    match field {
        Field::Hour12 => {
            parts.hour = number(rest, 2)?;
            parts.hour12 = true;
            if !(1..=12).contains(&parts.hour) {
                let error = invalid(format!("hour \"{}\" is invalid for the 12-hour clock", parts.hour));
                return Err(error.with_hint("Use the 24-hour clock, or give an hour between 1 and 12."));
            }
        }
        Field::Hour24 => parts.hour = number(rest, 2)?,
        Field::Minute => parts.minute = number(rest, 2)?,
        Field::Second => parts.second = number(rest, 2)?,
        Field::Millisecond => parts.micros += fraction(rest, 3)?,
        Field::Microsecond => parts.micros += fraction(rest, 6)?,
        Field::Fraction(digits) => parts.micros += fraction(rest, digits as usize)?,
        Field::SecondOfDay => parts.second_of_day = Some(number(rest, 5)?),
        Field::Meridiem { .. } => parts.afternoon = Some(name(rest, &["A.M.", "P.M.", "AM", "PM"], None)? % 2 == 1),
        Field::Era { .. } => parts.before_christ = name(rest, &["A.D.", "B.C.", "AD", "BC"], None)? % 2 == 1,
        Field::Year(4) | Field::IsoYear(4) => parts.year = Some(number(rest, if fixed { 4 } else { ANY })?),
        Field::Year(digits) | Field::IsoYear(digits) => {
            let before = rest.trim_start().len();
            let year = number(rest, if fixed { digits as usize } else { ANY })?;
            parts.year = Some(if before - rest.len() <= 3 && year >= 0 { nearest_year(year) } else { year });
        }
        Field::YearWithComma => {
            let thousands = number(rest, ANY)?;
            *rest = rest.strip_prefix(',').unwrap_or(rest);
            parts.year = Some(thousands.saturating_mul(1000).saturating_add(number(rest, 3)?));
        }
        Field::MonthName => parts.month = Some(name(rest, &MONTHS, None)? as i32 + 1),
        Field::MonthAbbreviation => parts.month = Some(name(rest, &MONTHS, Some(3))? as i32 + 1),
        Field::RomanMonth => parts.month = Some(name(rest, &ROMAN_MONTHS, None)? as i32 + 1),
        Field::Month => parts.month = Some(number(rest, 2)?),
        Field::Day => parts.day = Some(number(rest, 2)?),
        Field::DayOfYear => parts.day_of_year = Some(number(rest, 3)?),
        Field::JulianDay => parts.julian = Some(number(rest, ANY)?),
        Field::Century => parts.century = Some(number(rest, 2)?),
        // Read, but they do not decide the day.
        Field::DayName => _ = name(rest, &DAYS, None)?,
        Field::DayAbbreviation => _ = name(rest, &DAYS, Some(3))?,
        Field::DayOfWeek | Field::IsoDayOfWeek | Field::WeekOfMonth | Field::Quarter => _ = number(rest, 1)?,
        Field::WeekOfYear | Field::IsoWeek => _ = number(rest, 2)?,
        Field::IsoDayOfYear => _ = number(rest, 3)?,
        Field::ZoneHours => parts.offset_seconds = Some(number(rest, 2)?.saturating_mul(3600)),
        Field::ZoneMinutes => {
            let hours = parts.offset_seconds.unwrap_or(0);
            let minutes = number(rest, 2)?.saturating_mul(60);
            parts.offset_seconds = Some(if hours < 0 { hours - minutes } else { hours + minutes });
        }
        Field::ZoneName | Field::ZoneOffset => {
            let message = "formatting field \"TZ\" or \"OF\" is only supported in to_char";
            return Err(EvalError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
        }
    }
    Ok(())
}

/// Digits behind the point as microseconds.
fn fraction(rest: &mut &str, digits: usize) -> Result<i64, EvalError> {
    let length = rest.bytes().take(digits).take_while(u8::is_ascii_digit).count();
    let value = i64::from(number(rest, digits)?);
    Ok(value * 10_i64.pow(6_u32.saturating_sub(length as u32)))
}

/// Years of less than four digits lie nearest to 2020.
fn nearest_year(year: i32) -> i32 {
    match year {
        0..70 => year + 2000,
        70..100 => year + 1900,
        100..520 => year + 2000,
        520..1000 => year + 1000,
        other => other,
    }
}

impl Parts {
    fn date(&self, text: &str) -> Result<Date, EvalError> {
        if let Some(julian) = self.julian {
            return temporal::check_date(Date(julian.saturating_sub(2_451_545)));
        }
        let mut year = match (self.year, self.century) {
            (Some(year), _) => year,
            (None, Some(century)) => (century - 1).saturating_mul(100) + 1,
            (None, None) => -1,
        };
        // A template without a year means the year before the first one.
        if self.before_christ && year > 0 {
            year = -year;
        }
        if year == 0 {
            year = -1;
        }
        if let Some(day_of_year) = self.day_of_year {
            let first = temporal::make_date(year, 1, 1)?;
            let civil_year = if year < 0 { year + 1 } else { year };
            let length = if temporal::is_leap_year(civil_year) { 366 } else { 365 };
            if !(1..=length).contains(&day_of_year) {
                return Err(out_of_range(text));
            }
            return temporal::date_add_days(first, day_of_year - 1);
        }
        temporal::make_date(year, self.month.unwrap_or(1), self.day.unwrap_or(1)).map_err(|_| out_of_range(text))
    }

    fn timestamp(&self, text: &str) -> Result<SqlTimestamp, EvalError> {
        let hour = match (self.hour12, self.afternoon) {
            (_, Some(true)) if self.hour < 12 => self.hour + 12,
            (_, Some(false)) if self.hour == 12 => 0,
            (true, None) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let seconds = match self.second_of_day {
            Some(seconds) if (0..86_400).contains(&seconds) => i64::from(seconds),
            None if (0..24).contains(&hour) && (0..60).contains(&self.minute) && (0..60).contains(&self.second) => {
                i64::from(hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second)
            }
            _ => return Err(out_of_range(text)),
        };
        let midnight = temporal::date_to_timestamp(self.date(text)?)?;
        temporal::check_timestamp(SqlTimestamp(midnight.0.saturating_add(seconds * MICROS_PER_SECOND + self.micros)))
    }

    fn instant(&self, text: &str, zone: TimeZone) -> Result<SqlTimestampTz, EvalError> {
        self.offset_seconds.map_or(zone, TimeZone::Fixed).to_instant(self.timestamp(text)?)
    }
}

pub fn register(table: &mut Table) {
    table.entry::<(t::Text, t::Text), t::Date>("to_date", "A date read from a text, after a template.").returns_with(
        |_| Memo::default(),
        |memo: &mut Memo<Vec<Token>>, (text, template)| read(text, memo.get(template, |template| Ok(parse_template(template)))?)?.date(text),
    );
    table.entry::<(t::Text, t::Text), t::TimestampTz>("to_timestamp", "An instant read from a text, after a template.").returns_with(
        |call| (session_zone(call), Memo::default()),
        |(zone, memo): &mut (TimeZone, Memo<Vec<Token>>), (text, template)| {
            read(text, memo.get(template, |template| Ok(parse_template(template)))?)?.instant(text, *zone)
        },
    );
}
