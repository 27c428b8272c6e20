//! Input of dates, times and timestamps, as Postgres with `DateStyle = ISO, MDY`.

use super::calendar::{self, days_from_civil, days_in_month, is_valid_date, is_valid_timestamp};
use super::tokens::{Kind, Token, tokenize};
use super::zone::OFFSET_HOURS_MAX;
use super::{Date, MICROS_PER_DAY, MICROS_PER_SECOND, SqlTimestamp, SqlTimestampTz, Time, TimeZone, UNIX_TO_POSTGRES_EPOCH_MICROS};
use crate::{EvalError, SqlState};

const MONTHS: [&str; 12] = ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"];
const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
/// The `DATETIME_FIELD_OVERFLOW` of zone displacements has a code of its own.
const INVALID_TIME_ZONE_DISPLACEMENT: SqlState = SqlState(*b"22009");

/// 1 to 12; whole names, their first three letters, and `sept`.
pub(super) fn month_of(word: &str) -> Option<u32> {
    let position = MONTHS.iter().position(|month| *month == word || (word.len() == 3 && month.starts_with(word)) || (*month == "september" && word == "sept"));
    position.map(|position| position as u32 + 1)
}

pub(super) fn is_weekday(word: &str) -> bool {
    matches!(word, "tues" | "wednes" | "weds" | "thur" | "thurs") || WEEKDAYS.iter().any(|day| *day == word || (word.len() == 3 && day.starts_with(word)))
}

/// Why text is not a date.
enum Refusal {
    Syntax,
    OutOfRange,
    /// A month or day out of range: another `DateStyle` might have meant it.
    MonthOrDay,
    Zone,
    Other(EvalError),
}

impl Refusal {
    fn into_error(self, type_name: &str, text: &str) -> EvalError {
        let out_of_range = || EvalError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("date/time field value out of range: \"{text}\""));
        match self {
            Refusal::Syntax => EvalError::new(SqlState::INVALID_DATETIME_FORMAT, format!("invalid input syntax for type {type_name}: \"{text}\"")),
            Refusal::OutOfRange => out_of_range(),
            Refusal::MonthOrDay => out_of_range().with_hint("Perhaps you need a different \"datestyle\" setting."),
            Refusal::Zone => EvalError::new(INVALID_TIME_ZONE_DISPLACEMENT, format!("time zone displacement out of range: \"{text}\"")),
            Refusal::Other(error) => error,
        }
    }
}

/// A word that stands for a whole value.
#[derive(Clone, Copy, PartialEq)]
enum Special {
    Epoch,
    Infinity,
    NegativeInfinity,
    Now,
    Today,
    Tomorrow,
    Yesterday,
}

#[derive(Clone, Copy, PartialEq)]
enum Half {
    Am,
    Pm,
}

/// What the fields of one value have said so far.
#[derive(Default)]
struct Fields {
    year: Option<i32>,
    month: Option<i32>,
    day: Option<i32>,
    day_of_year: Option<i32>,
    julian_day: Option<i64>,
    month_was_text: bool,
    year_has_two_digits: bool,
    before_christ: bool,
    half: Option<Half>,
    time_micros: Option<i64>,
    zone: Option<TimeZone>,
    special: Option<Special>,
    /// `T` or `J` was seen and says what the next number is.
    pending: Option<char>,
}

fn number<N: std::str::FromStr>(digits: &str) -> Result<N, Refusal> {
    digits.parse().map_err(|_| Refusal::OutOfRange)
}

/// `.123456` in microseconds.
pub(super) fn fraction_micros(digits: &str) -> Option<i64> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if digits.len() <= 6 {
        let value: i64 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
        return Some(value * 10i64.pow(6 - digits.len() as u32));
    }
    Some((format!("0.{digits}").parse::<f64>().ok()? * 1e6).round_ties_even() as i64)
}

/// Hours, minutes and microseconds of `HH:MM[:SS[.ffffff]]`; hours are not bounded here.
pub(super) fn clock_micros(text: &str) -> Option<(i64, i64, i64)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = whole.split(':').map(|part| if part.is_empty() { Some(0) } else { part.parse::<i64>().ok() });
    let (hours, minutes) = (parts.next()??, parts.next()??);
    let seconds = match parts.next() {
        None if !text.contains('.') => 0,
        // `MM:SS.ffffff`.
        None => return Some((0, hours, minutes * MICROS_PER_SECOND + fraction_micros(fraction)?)),
        Some(seconds) => seconds?,
    };
    if parts.next().is_some() || seconds > i64::from(i32::MAX) {
        return None;
    }
    Some((hours, minutes, seconds * MICROS_PER_SECOND + fraction_micros(fraction)?))
}

fn time_of_day(hours: i64, minutes: i64, micros: i64) -> Result<i64, Refusal> {
    if minutes > 59 || micros > 60 * MICROS_PER_SECOND || hours > 24 || (hours == 24 && (minutes > 0 || micros > 0)) {
        return Err(Refusal::OutOfRange);
    }
    Ok((hours * 60 + minutes) * 60 * MICROS_PER_SECOND + micros)
}

impl Fields {
    fn has_date(&self) -> bool {
        self.julian_day.is_some() || (self.year.is_some() && (self.day_of_year.is_some() || (self.month.is_some() && self.day.is_some())))
    }

    fn set_year(&mut self, digits: &str) -> Result<(), Refusal> {
        self.year = Some(number(digits)?);
        self.year_has_two_digits = digits.len() <= 2;
        Ok(())
    }

    /// A number that is one part of a date, whose place depends on what is known already: month, day, year unless it has three digits or more.
    fn date_part(&mut self, digits: &str) -> Result<(), Refusal> {
        let value: i32 = number(digits)?;
        let long = digits.len() >= 3;
        if digits.len() == 3 && self.year.is_some() && self.month.is_none() && self.day.is_none() && (1..=366).contains(&value) {
            self.day_of_year = Some(value);
            return Ok(());
        }
        match (self.year.is_some(), self.month.is_some(), self.day.is_some()) {
            (false, false, false) if long => self.set_year(digits)?,
            (false, false, false) => self.month = Some(value),
            (true, false, false) => self.month = Some(value),
            (false, true, false) if self.month_was_text && long => self.set_year(digits)?,
            (false, true, false) => self.day = Some(value),
            (true, true, false) if self.month_was_text && long && self.year_has_two_digits => {
                // The number taken for the year was the day.
                self.day = self.year;
                self.set_year(digits)?;
            }
            (true, true, false) => self.day = Some(value),
            (false, false, true) => self.month = Some(value),
            (false, true, true) => self.set_year(digits)?,
            (true, true, true) => return self.run_together(digits),
            (true, false, true) => return Err(Refusal::Syntax),
        }
        Ok(())
    }

    /// `20240229`, `240229`, `123456`, `1234`, the last two perhaps with a fraction.
    fn run_together(&mut self, text: &str) -> Result<(), Refusal> {
        let (digits, fraction) = text.split_once('.').map_or((text, None), |(digits, fraction)| (digits, Some(fraction)));
        if fraction.is_none() && !self.has_date() && digits.len() >= 6 {
            if self.month.is_some() || self.day.is_some() || self.year.is_some() {
                return Err(Refusal::Syntax);
            }
            let (year, month_and_day) = digits.split_at(digits.len() - 4);
            let (month, day) = month_and_day.split_at(2);
            self.set_year(year)?;
            (self.month, self.day) = (Some(number(month)?), Some(number(day)?));
            return Ok(());
        }
        self.clock_digits(text)
    }

    /// `123456`, `1234`, perhaps with a fraction: a time.
    fn clock_digits(&mut self, text: &str) -> Result<(), Refusal> {
        self.pending = None;
        let (digits, fraction) = text.split_once('.').map_or((text, None), |(digits, fraction)| (digits, Some(fraction)));
        if self.time_micros.is_none() && (digits.len() == 6 || digits.len() == 4) {
            let part = |from: usize| digits.get(from..from + 2).and_then(|part| part.parse::<i64>().ok());
            let (Some(hours), Some(minutes)) = (part(0), part(2)) else { return Err(Refusal::Syntax) };
            let micros = part(4).unwrap_or(0) * MICROS_PER_SECOND + fraction.map_or(Some(0), fraction_micros).ok_or(Refusal::Syntax)?;
            self.time_micros = Some(time_of_day(hours, minutes, micros)?);
            return Ok(());
        }
        Err(Refusal::Syntax)
    }

    fn word(&mut self, word: &str) -> Result<(), Refusal> {
        let special = match word {
            "epoch" => Some(Special::Epoch),
            "infinity" => Some(Special::Infinity),
            "-infinity" => Some(Special::NegativeInfinity),
            "now" => Some(Special::Now),
            "today" => Some(Special::Today),
            "tomorrow" => Some(Special::Tomorrow),
            "yesterday" => Some(Special::Yesterday),
            _ => None,
        };
        if special.is_some() {
            if self.special.is_some() || self.has_date() {
                return Err(Refusal::Syntax);
            }
            self.special = special;
            return Ok(());
        }
        if let Some(month) = month_of(word) {
            // `2024 Feb`: a number taken for the month was the day.
            if let (Some(earlier), false, None) = (self.month, self.month_was_text, self.day) {
                self.day = Some(earlier);
            } else if self.month.is_some() {
                return Err(Refusal::Syntax);
            }
            (self.month, self.month_was_text) = (Some(month as i32), true);
            return Ok(());
        }
        match word {
            "am" if self.half.is_none() => self.half = Some(Half::Am),
            "pm" if self.half.is_none() => self.half = Some(Half::Pm),
            "bc" => self.before_christ = true,
            "ad" | "at" | "on" => {}
            "allballs" if self.time_micros.is_none() => (self.time_micros, self.zone) = (Some(0), Some(TimeZone::UTC)),
            "t" => self.pending = Some('t'),
            "j" | "jd" | "julian" => self.pending = Some('j'),
            _ if is_weekday(word) => {}
            _ if self.zone.is_none() => {
                let zone = if matches!(word, "z" | "zulu") { Some(TimeZone::UTC) } else { TimeZone::lookup(word) };
                self.zone = Some(zone.ok_or(Refusal::Syntax)?);
            }
            // `EST DST` and the like are not understood.
            _ => return Err(Refusal::Syntax),
        }
        Ok(())
    }

    /// `+02`, `-0530`, `+01:23:45`.
    fn offset(&mut self, text: &str) -> Result<(), Refusal> {
        if self.zone.is_some() {
            return Err(Refusal::Syntax);
        }
        let (sign, digits) = if let Some(digits) = text.strip_prefix('-') { (-1, digits) } else { (1, text.trim_start_matches('+')) };
        let mut parts = digits.split(':');
        let first = parts.next().unwrap_or_default();
        let next = |part: Option<&str>| part.map_or(Ok(0), |part| part.parse::<i32>().map_err(|_| Refusal::Syntax));
        let (mut hours, mut minutes, mut seconds) = (first.parse::<i32>().map_err(|_| Refusal::Syntax)?, next(parts.next())?, next(parts.next())?);
        if parts.next().is_some() {
            return Err(Refusal::Syntax);
        }
        if !digits.contains(':') && digits.len() > 4 {
            (hours, minutes, seconds) = (hours / 10_000, hours / 100 % 100, hours % 100);
        } else if !digits.contains(':') && digits.len() > 2 {
            (hours, minutes) = (hours / 100, hours % 100);
        }
        if hours > OFFSET_HOURS_MAX || minutes > 59 || seconds > 59 {
            return Err(Refusal::Zone);
        }
        self.zone = Some(TimeZone::Fixed(sign * (hours * 3600 + minutes * 60 + seconds)));
        Ok(())
    }

    /// `2024-02-29`, `1/8/1999`, `5-Jan-2024`, `jan-05-2024`.
    fn date(&mut self, text: &str) -> Result<(), Refusal> {
        if self.has_date() || self.special.is_some() {
            // A second one can only be a zone such as `america/new_york`, or a time with its zone run together.
            let digits = text.find(|byte: char| !byte.is_ascii_digit() && byte != '.').unwrap_or(text.len());
            if digits > 0 {
                self.run_together(&text[..digits])?;
                return self.offset(&text[digits..]);
            }
            let zone = TimeZone::lookup(text).ok_or_else(|| Refusal::Other(EvalError::new(SqlState::INVALID_PARAMETER_VALUE, format!("time zone \"{text}\" not recognized"))))?;
            return if self.zone.replace(zone).is_some() { Err(Refusal::Syntax) } else { Ok(()) };
        }
        // After a time only a date in words is taken.
        if self.time_micros.is_some() {
            return Err(Refusal::Syntax);
        }
        let parts: Vec<&str> = text.split(|byte: char| !byte.is_ascii_alphanumeric()).filter(|part| !part.is_empty()).collect();
        if parts.len() > 3 {
            return Err(Refusal::Syntax);
        }
        for word in parts.iter().filter(|part| part.starts_with(|byte: char| byte.is_ascii_alphabetic())) {
            if self.month_was_text {
                return Err(Refusal::Syntax);
            }
            (self.month, self.month_was_text) = (Some(month_of(word).ok_or(Refusal::Syntax)? as i32), true);
        }
        for digits in parts.iter().filter(|part| part.starts_with(|byte: char| byte.is_ascii_digit())) {
            if !digits.bytes().all(|byte| byte.is_ascii_digit()) || self.has_date() {
                return Err(Refusal::Syntax);
            }
            self.date_part(digits)?;
        }
        if self.has_date() { Ok(()) } else { Err(Refusal::Syntax) }
    }

    fn number(&mut self, text: &str) -> Result<(), Refusal> {
        match self.pending.take() {
            Some('j') => {
                let (days, fraction) = text.split_once('.').unwrap_or((text, ""));
                self.julian_day = Some(number::<i64>(days)?);
                if !fraction.is_empty() {
                    let part: f64 = format!("0.{fraction}").parse().map_err(|_| Refusal::Syntax)?;
                    self.time_micros = Some((part * MICROS_PER_DAY as f64) as i64);
                }
                return Ok(());
            }
            Some(_) => return self.clock_digits(text),
            None => {}
        }
        match text.find('.') {
            Some(_) if self.year.is_none() && self.month.is_none() && self.day.is_none() => self.date(text),
            Some(_) => self.run_together(text),
            None if text.len() > 4 => self.run_together(text),
            None => self.date_part(text),
        }
    }

    fn read(tokens: &[Token], time_only: bool) -> Result<Fields, Refusal> {
        let mut fields = Fields::default();
        for token in tokens {
            let text = token.text.as_str();
            match token.kind {
                Kind::Word | Kind::SignedWord => fields.word(text)?,
                Kind::Date => fields.date(text)?,
                Kind::Time => {
                    let (hours, minutes, micros) = clock_micros(text).ok_or(Refusal::Syntax)?;
                    if fields.time_micros.is_some() {
                        return Err(Refusal::Syntax);
                    }
                    fields.pending = None;
                    fields.time_micros = Some(time_of_day(hours, minutes, micros)?);
                }
                Kind::Signed if fields.time_micros.is_some() || time_only || fields.has_date() => fields.offset(text)?,
                Kind::Signed => return Err(Refusal::Syntax),
                Kind::Number if time_only && !fields.has_date() && fields.time_micros.is_none() => {
                    let whole = text.find('.').unwrap_or(text.len());
                    if whole == 4 || whole == 6 { fields.clock_digits(text)? } else { fields.number(text)? }
                }
                Kind::Number => fields.number(text)?,
            }
        }
        if fields.pending.is_some() {
            return Err(Refusal::Syntax);
        }
        fields.apply_half()?;
        Ok(fields)
    }

    fn apply_half(&mut self) -> Result<(), Refusal> {
        const HOUR: i64 = 3600 * MICROS_PER_SECOND;
        let (Some(half), Some(micros)) = (self.half, self.time_micros) else { return Ok(()) };
        let hours = micros / HOUR;
        if hours > 12 {
            return Err(Refusal::OutOfRange);
        }
        let shift = match half {
            Half::Am if hours == 12 => -12,
            Half::Pm if hours != 12 => 12,
            _ => 0,
        };
        self.time_micros = Some(micros + shift * HOUR);
        Ok(())
    }

    /// Days from 2000-01-01, checked to be a day of the calendar.
    fn days(&self) -> Result<i64, Refusal> {
        if let Some(day) = self.julian_day {
            return Ok(day - i64::from(calendar::EPOCH_JULIAN_DAY));
        }
        if !self.has_date() {
            return Err(Refusal::Syntax);
        }
        let mut year = self.year.unwrap_or(0);
        if self.before_christ {
            if year <= 0 {
                return Err(Refusal::OutOfRange);
            }
            year = 1 - year;
        } else if self.year_has_two_digits {
            year += if year < 70 { 2000 } else { 1900 };
        } else if year <= 0 {
            return Err(Refusal::OutOfRange);
        }
        if let Some(day) = self.day_of_year {
            return Ok(days_from_civil(year, 1, 1) + i64::from(day) - 1);
        }
        let (month, day) = (self.month.unwrap_or(0), self.day.unwrap_or(0));
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(Refusal::MonthOrDay);
        }
        let (month, day) = (month as u32, day as u32);
        if day > days_in_month(year, month) {
            return Err(Refusal::OutOfRange);
        }
        Ok(days_from_civil(year, month, day))
    }
}

fn read(text: &str, time_only: bool) -> Result<Fields, Refusal> {
    let tokens = tokenize(text).ok_or(Refusal::Syntax)?;
    if tokens.is_empty() {
        return Err(Refusal::Syntax);
    }
    Fields::read(&tokens, time_only)
}

/// The local moment a special word means, given the instant of `now`.
fn special_moment(special: Special, now: Option<SqlTimestampTz>, zone: TimeZone) -> Result<SqlTimestamp, Refusal> {
    let local = || now.map(|now| zone.to_local(now)).ok_or(Refusal::Syntax);
    let midnight = |days: i64| local().map(|local| SqlTimestamp((local.0.div_euclid(MICROS_PER_DAY) + days) * MICROS_PER_DAY));
    match special {
        Special::Epoch => Ok(SqlTimestamp(-UNIX_TO_POSTGRES_EPOCH_MICROS)),
        Special::Infinity => Ok(SqlTimestamp::INFINITY),
        Special::NegativeInfinity => Ok(SqlTimestamp::NEGATIVE_INFINITY),
        Special::Now => local(),
        Special::Today => midnight(0),
        Special::Tomorrow => midnight(1),
        Special::Yesterday => midnight(-1),
    }
}

/// Reads a `date`. A time in the text is ignored. `now` is what the words `now` and `today` refer to; without it they are refused.
pub fn parse_date(text: &str, now: Option<SqlTimestampTz>, zone: TimeZone) -> Result<Date, EvalError> {
    let days = (|| {
        let fields = read(text, false)?;
        match fields.special {
            Some(Special::Infinity) => return Ok(Date::INFINITY),
            Some(Special::NegativeInfinity) => return Ok(Date::NEGATIVE_INFINITY),
            Some(special) => return Ok(Date(special_moment(special, now, zone)?.0.div_euclid(MICROS_PER_DAY) as i32)),
            None => {}
        }
        let days = fields.days()?;
        let out_of_range = || Refusal::Other(EvalError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("date out of range: \"{text}\"")));
        if is_valid_date(days) { Ok(Date(days as i32)) } else { Err(out_of_range()) }
    })();
    days.map_err(|refusal: Refusal| refusal.into_error("date", text))
}

/// Reads a `time`. A zone in the text is ignored.
pub fn parse_time(text: &str, now: Option<SqlTimestampTz>, zone: TimeZone) -> Result<Time, EvalError> {
    let micros = (|| {
        let fields = read(text, true)?;
        match (fields.special, fields.time_micros) {
            (Some(Special::Now), None) => Ok(special_moment(Special::Now, now, zone)?.0.rem_euclid(MICROS_PER_DAY)),
            (None, Some(micros)) => {
                if fields.has_date() {
                    fields.days()?;
                }
                Ok(micros)
            }
            _ => Err(Refusal::Syntax),
        }
    })();
    micros.map(Time).map_err(|refusal| refusal.into_error("time", text))
}

fn parse_moment(text: &str, type_name: &str, now: Option<SqlTimestampTz>, zone: TimeZone) -> Result<(SqlTimestamp, Option<TimeZone>), EvalError> {
    let moment = (|| {
        let fields = read(text, false)?;
        if let Some(special) = fields.special {
            // The epoch is an instant; the others are taken from the local clock.
            let moment = special_moment(special, now, zone)?;
            let moment = match (special, fields.time_micros) {
                (Special::Today | Special::Tomorrow | Special::Yesterday, Some(micros)) => SqlTimestamp(moment.0 + micros),
                (_, Some(_)) => return Err(Refusal::Syntax),
                (_, None) => moment,
            };
            return Ok((moment, if special == Special::Epoch { Some(TimeZone::UTC) } else { fields.zone }));
        }
        let out_of_range = || Refusal::Other(EvalError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("timestamp out of range: \"{text}\"")));
        let micros = fields.days()?.checked_mul(MICROS_PER_DAY).and_then(|micros| micros.checked_add(fields.time_micros.unwrap_or(0)));
        Ok((SqlTimestamp(micros.ok_or_else(out_of_range)?), fields.zone))
    })();
    moment.map_err(|refusal: Refusal| refusal.into_error(type_name, text))
}

/// Reads a `timestamp`. A zone in the text is ignored.
pub fn parse_timestamp(text: &str, now: Option<SqlTimestampTz>, zone: TimeZone) -> Result<SqlTimestamp, EvalError> {
    let (moment, _) = parse_moment(text, "timestamp", now, zone)?;
    if moment.is_finite() && !is_valid_timestamp(moment.0) {
        return Err(EvalError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("timestamp out of range: \"{text}\"")));
    }
    Ok(moment)
}

/// Reads a `timestamp with time zone`; text without a zone is local time in `zone`.
pub fn parse_timestamptz(text: &str, now: Option<SqlTimestampTz>, zone: TimeZone) -> Result<SqlTimestampTz, EvalError> {
    let (moment, own_zone) = parse_moment(text, "timestamp with time zone", now, zone)?;
    let out_of_range = |_| EvalError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("timestamp out of range: \"{text}\""));
    own_zone.unwrap_or(zone).to_instant(moment).map_err(out_of_range)
}
