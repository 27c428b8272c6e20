//! Templates of dates and times, and `to_char` over them.

use super::super::datetime::session_zone;
use super::super::lift::{Memo, Table};
use super::super::typed as t;
use super::ordinal;
use repr::temporal::{self, MICROS_PER_DAY, MICROS_PER_SECOND};
use repr::{EvalError, Interval, SqlTimestamp, TimeZone};
use std::fmt::Write;

pub const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
pub const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
pub const ROMAN_MONTHS: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Hour12,
    Hour24,
    Minute,
    Second,
    Millisecond,
    Microsecond,
    /// So many digits of the second's fraction.
    Fraction(u32),
    SecondOfDay,
    /// With points between the letters, or without.
    Meridiem {
        points: bool,
    },
    YearWithComma,
    /// The last so many digits.
    Year(u32),
    IsoYear(u32),
    Era {
        points: bool,
    },
    MonthName,
    MonthAbbreviation,
    Month,
    DayName,
    DayAbbreviation,
    DayOfYear,
    IsoDayOfYear,
    Day,
    DayOfWeek,
    IsoDayOfWeek,
    WeekOfMonth,
    WeekOfYear,
    IsoWeek,
    Century,
    JulianDay,
    Quarter,
    RomanMonth,
    ZoneName,
    ZoneHours,
    ZoneMinutes,
    ZoneOffset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    Upper,
    Capitalized,
    Lower,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element {
    pub field: Field,
    pub case: Case,
    /// `FM`: without blanks and leading zeros.
    pub compact: bool,
    /// `TH` or `th`: with the ending of an ordinal number.
    pub ordinal: Option<Case>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// Text in quotes or behind a backslash.
    Quoted(char),
    Plain(char),
    Element(Element),
}

/// Longer keywords first, where one starts with another.
const KEYWORDS: [(&str, Field); 56] = [
    ("SSSSS", Field::SecondOfDay),
    ("SSSS", Field::SecondOfDay),
    ("Y,YYY", Field::YearWithComma),
    ("IYYY", Field::IsoYear(4)),
    ("MONTH", Field::MonthName),
    ("HH24", Field::Hour24),
    ("HH12", Field::Hour12),
    ("IDDD", Field::IsoDayOfYear),
    ("YYYY", Field::Year(4)),
    ("A.M.", Field::Meridiem { points: true }),
    ("P.M.", Field::Meridiem { points: true }),
    ("A.D.", Field::Era { points: true }),
    ("B.C.", Field::Era { points: true }),
    ("IYY", Field::IsoYear(3)),
    ("YYY", Field::Year(3)),
    ("DAY", Field::DayName),
    ("DDD", Field::DayOfYear),
    ("MON", Field::MonthAbbreviation),
    ("TZH", Field::ZoneHours),
    ("TZM", Field::ZoneMinutes),
    ("FF1", Field::Fraction(1)),
    ("FF2", Field::Fraction(2)),
    ("FF3", Field::Fraction(3)),
    ("FF4", Field::Fraction(4)),
    ("FF5", Field::Fraction(5)),
    ("FF6", Field::Fraction(6)),
    ("AM", Field::Meridiem { points: false }),
    ("PM", Field::Meridiem { points: false }),
    ("AD", Field::Era { points: false }),
    ("BC", Field::Era { points: false }),
    ("CC", Field::Century),
    ("DD", Field::Day),
    ("DY", Field::DayAbbreviation),
    ("HH", Field::Hour12),
    ("ID", Field::IsoDayOfWeek),
    ("IW", Field::IsoWeek),
    ("IY", Field::IsoYear(2)),
    ("MI", Field::Minute),
    ("MM", Field::Month),
    ("MS", Field::Millisecond),
    ("OF", Field::ZoneOffset),
    ("RM", Field::RomanMonth),
    ("SS", Field::Second),
    ("TZ", Field::ZoneName),
    ("US", Field::Microsecond),
    ("WW", Field::WeekOfYear),
    ("YY", Field::Year(2)),
    ("D", Field::DayOfWeek),
    ("I", Field::IsoYear(1)),
    ("J", Field::JulianDay),
    ("Q", Field::Quarter),
    ("W", Field::WeekOfMonth),
    ("Y", Field::Year(1)),
    ("Month", Field::MonthName),
    ("Day", Field::DayName),
    ("Mon", Field::MonthAbbreviation),
];

/// The field a template starts with, how its letters are written, and how long its keyword is.
fn keyword(template: &str) -> Option<(Field, Case, usize)> {
    for (keyword, field) in KEYWORDS {
        let Some(start) = template.get(..keyword.len()).filter(|start| start.eq_ignore_ascii_case(keyword)) else { continue };
        let letters: Vec<char> = start.chars().filter(|character| character.is_ascii_alphabetic()).collect();
        let case = match letters.split_first() {
            Some((first, _)) if first.is_ascii_lowercase() => Case::Lower,
            Some((_, rest)) if !rest.is_empty() && rest.iter().all(char::is_ascii_lowercase) => Case::Capitalized,
            _ => Case::Upper,
        };
        return Some((field, case, keyword.len()));
    }
    None
}

/// A template as a list of tokens. Whatever is no keyword is plain text.
pub fn parse_template(template: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = template;
    while let Some(character) = rest.chars().next() {
        if character == '"' {
            rest = &rest[1..];
            while let Some(quoted) = rest.chars().next() {
                rest = &rest[quoted.len_utf8()..];
                match quoted {
                    '"' => break,
                    '\\' => {
                        let mut characters = rest.chars();
                        tokens.extend(characters.next().map(Token::Quoted));
                        rest = characters.as_str();
                    }
                    other => tokens.push(Token::Quoted(other)),
                }
            }
            continue;
        }
        let compact = rest.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("FM") || start.eq_ignore_ascii_case("TM"));
        let body = if compact { &rest[2..] } else { rest };
        if let Some((field, case, length)) = keyword(body) {
            rest = &body[length..];
            let ordinal = match rest.get(..2) {
                Some("TH") => Some(Case::Upper),
                Some("th") => Some(Case::Lower),
                _ => None,
            };
            rest = &rest[if ordinal.is_some() { 2 } else { 0 }..];
            tokens.push(Token::Element(Element { field, case, compact, ordinal }));
            continue;
        }
        if compact {
            rest = body;
            continue;
        }
        let escaped = rest[1..].starts_with('"') && character == '\\';
        let taken = if escaped { '"' } else { character };
        rest = &rest[if escaped { 2 } else { character.len_utf8() }..];
        tokens.push(Token::Plain(taken));
    }
    tokens
}

/// What a template shows.
struct Moment {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    /// Days since 2000-01-01; intervals have none.
    days: Option<i64>,
    zone: Option<(TimeZone, i32)>,
}

impl Moment {
    fn of_timestamp(local: SqlTimestamp, zone: Option<(TimeZone, i32)>) -> Moment {
        let (days, micros) = (local.0.div_euclid(MICROS_PER_DAY), local.0.rem_euclid(MICROS_PER_DAY));
        let civil = temporal::civil_from_days(days);
        Moment { days: Some(days), zone, ..Moment::of_parts(i64::from(civil.year), i64::from(civil.month), i64::from(civil.day), micros) }
    }
    fn of_interval(interval: Interval) -> Moment {
        Moment::of_parts(i64::from(interval.months / 12), i64::from(interval.months % 12), i64::from(interval.days), interval.micros)
    }
    fn of_parts(year: i64, month: i64, day: i64, micros: i64) -> Moment {
        let seconds = micros / MICROS_PER_SECOND;
        Moment {
            year,
            month,
            day,
            hour: seconds / 3600,
            minute: seconds / 60 % 60,
            second: seconds % 60,
            micros: micros % MICROS_PER_SECOND,
            days: None,
            zone: None,
        }
    }
    fn day_of_week(&self) -> usize {
        // 2000-01-01 was a Saturday.
        (self.days.unwrap_or(0) + 6).rem_euclid(7) as usize
    }
    fn day_of_year(&self) -> i64 {
        self.days.map_or(0, |days| days - temporal::days_from_civil(self.year as i32, 1, 1) + 1)
    }
    fn iso_week(&self) -> (i64, i64) {
        let (year, week) = temporal::iso_week(self.days.unwrap_or(0));
        (i64::from(year), i64::from(week))
    }
    /// Years before Christ are shown by their number.
    fn shown_year(&self, year: i64) -> i64 {
        if self.days.is_some() && year <= 0 { 1 - year } else { year }
    }
}

fn push_name(name: &str, element: &Element, width: usize, out: &mut String) {
    match element.case {
        Case::Upper => out.push_str(&name.to_ascii_uppercase()),
        Case::Capitalized => out.push_str(name),
        Case::Lower => out.push_str(&name.to_ascii_lowercase()),
    }
    if !element.compact {
        out.extend(std::iter::repeat_n(' ', width.saturating_sub(name.len())));
    }
}

fn push_number(number: i64, element: &Element, width: usize, out: &mut String) {
    let sign = if number < 0 { "-" } else { "" };
    let width = if element.compact { 0 } else { width };
    let _ = write!(out, "{sign}{:0width$}", number.unsigned_abs());
    match element.ordinal {
        Some(Case::Lower) => out.push_str(ordinal(number)),
        Some(_) => out.push_str(&ordinal(number).to_ascii_uppercase()),
        None => {}
    }
}

/// The longest month or day name.
const NAME_WIDTH: usize = 9;

fn push_element(moment: &Moment, element: &Element, out: &mut String) {
    let month = usize::try_from(moment.month - 1).ok();
    let name_of = |names: &[&'static str]| month.and_then(|month| names.get(month).copied()).unwrap_or("");
    let last_digits = |year: i64, digits: u32| if digits >= 4 { year } else { year % 10_i64.pow(digits) };
    match element.field {
        Field::Hour12 => push_number(if moment.hour % 12 == 0 { 12 } else { moment.hour % 12 }, element, 2, out),
        Field::Hour24 => push_number(moment.hour, element, 2, out),
        Field::Minute => push_number(moment.minute, element, 2, out),
        Field::Second => push_number(moment.second, element, 2, out),
        Field::Millisecond => push_number(moment.micros / 1000, element, 3, out),
        Field::Microsecond => push_number(moment.micros, element, 6, out),
        Field::Fraction(digits) => push_number(moment.micros / 10_i64.pow(6 - digits.min(6)), element, digits as usize, out),
        Field::SecondOfDay => push_number(moment.hour * 3600 + moment.minute * 60 + moment.second, element, 0, out),
        Field::Meridiem { points } => {
            let text = match (moment.hour % 24 >= 12, points) {
                (true, true) => "P.M.",
                (true, false) => "PM",
                (false, true) => "A.M.",
                (false, false) => "AM",
            };
            push_name(text, &Element { case: if element.case == Case::Lower { Case::Lower } else { Case::Upper }, ..*element }, 0, out);
        }
        Field::YearWithComma => {
            let year = moment.shown_year(moment.year);
            let _ = write!(out, "{},{:03}", year / 1000, year % 1000);
        }
        Field::Year(digits) => push_number(last_digits(moment.shown_year(moment.year), digits), element, digits as usize, out),
        Field::IsoYear(digits) => push_number(last_digits(moment.shown_year(moment.iso_week().0), digits), element, digits as usize, out),
        Field::Era { points } => {
            let text = match (moment.year <= 0, points) {
                (true, true) => "B.C.",
                (true, false) => "BC",
                (false, true) => "A.D.",
                (false, false) => "AD",
            };
            push_name(text, &Element { case: if element.case == Case::Lower { Case::Lower } else { Case::Upper }, ..*element }, 0, out);
        }
        Field::MonthName => push_name(name_of(&MONTHS), element, NAME_WIDTH, out),
        Field::MonthAbbreviation => push_name(name_of(&MONTHS).get(..3).unwrap_or(""), element, 0, out),
        Field::Month => push_number(moment.month, element, 2, out),
        Field::DayName => push_name(DAYS[moment.day_of_week()], element, NAME_WIDTH, out),
        Field::DayAbbreviation => push_name(&DAYS[moment.day_of_week()][..3], element, 0, out),
        Field::DayOfYear => push_number(moment.day_of_year(), element, 3, out),
        Field::IsoDayOfYear => {
            let day = (moment.day_of_week() as i64 + 6) % 7 + 1;
            push_number((moment.iso_week().1 - 1) * 7 + day, element, 3, out);
        }
        Field::Day => push_number(moment.day, element, 2, out),
        Field::DayOfWeek => push_number(moment.day_of_week() as i64 + 1, element, 0, out),
        Field::IsoDayOfWeek => push_number((moment.day_of_week() as i64 + 6) % 7 + 1, element, 0, out),
        Field::WeekOfMonth => push_number((moment.day - 1) / 7 + 1, element, 0, out),
        Field::WeekOfYear => push_number((moment.day_of_year() - 1) / 7 + 1, element, 2, out),
        Field::IsoWeek => push_number(moment.iso_week().1, element, 2, out),
        Field::Century => {
            let century = if moment.year > 0 { (moment.year - 1) / 100 + 1 } else { moment.year / 100 - 1 };
            push_number(century, element, 2, out)
        }
        // 2000-01-01 was the Julian day 2451545.
        Field::JulianDay => push_number(moment.days.unwrap_or(0) + 2_451_545, element, 0, out),
        Field::Quarter => push_number((moment.month - 1) / 3 + 1, element, 0, out),
        Field::RomanMonth => {
            let name = name_of(&ROMAN_MONTHS);
            push_name(name, &Element { case: if element.case == Case::Lower { Case::Lower } else { Case::Upper }, ..*element }, 4, out)
        }
        Field::ZoneName => {
            if let Some((zone, offset)) = moment.zone {
                push_zone_name(zone, offset, element.case, out)
            }
        }
        Field::ZoneHours | Field::ZoneMinutes | Field::ZoneOffset => {
            let offset = moment.zone.map_or(0, |(_, offset)| offset);
            push_offset(offset, element.field, out)
        }
    }
}

/// UTC is `UTC`; other zones are shown by their distance from it.
fn push_zone_name(zone: TimeZone, offset: i32, case: Case, out: &mut String) {
    let mut name = zone.name();
    if name.contains('/') || offset != 0 {
        name.clear();
        push_offset(offset, Field::ZoneOffset, &mut name);
    }
    out.push_str(&if case == Case::Lower { name.to_ascii_lowercase() } else { name });
}

fn push_offset(offset: i32, field: Field, out: &mut String) {
    let sign = if offset < 0 { '-' } else { '+' };
    let (hours, minutes) = (offset.unsigned_abs() / 3600, offset.unsigned_abs() / 60 % 60);
    let _ = match field {
        Field::ZoneHours => write!(out, "{sign}{hours:02}"),
        Field::ZoneMinutes => write!(out, "{minutes:02}"),
        _ if minutes != 0 => write!(out, "{sign}{hours:02}:{minutes:02}"),
        _ => write!(out, "{sign}{hours:02}"),
    };
}

fn show(moment: &Moment, tokens: &[Token], out: &mut String) {
    for token in tokens {
        match token {
            Token::Quoted(character) | Token::Plain(character) => out.push(*character),
            Token::Element(element) => push_element(moment, element, out),
        }
    }
}

fn template<'m>(memo: &'m mut Memo<Vec<Token>>, text: &str) -> Result<&'m Vec<Token>, EvalError> {
    memo.get(text, |text| Ok(parse_template(text)))
}

pub fn register(table: &mut Table) {
    const DESCRIPTION: &str = "The value as text, after a template.";
    table.entry::<(t::Timestamp, t::Text), t::Text>("to_char", DESCRIPTION).writes_with(
        |_| Memo::default(),
        |memo, (local, text), out| {
            let tokens = template(memo, text)?;
            Ok::<_, EvalError>(local.is_finite().then(|| show(&Moment::of_timestamp(local, None), tokens, out)))
        },
    );
    table.entry::<(t::TimestampTz, t::Text), t::Text>("to_char", DESCRIPTION).writes_with(
        |call| (session_zone(call), Memo::default()),
        |(zone, memo), (instant, text), out| {
            let tokens = template(memo, text)?;
            let moment = instant.is_finite().then(|| Moment::of_timestamp(zone.to_local(instant), Some((*zone, zone.offset_at(instant)))));
            Ok::<_, EvalError>(moment.map(|moment| show(&moment, tokens, out)))
        },
    );
    table.entry::<(t::Interval, t::Text), t::Text>("to_char", DESCRIPTION).writes_with(
        |_| Memo::default(),
        |memo, (interval, text), out| template(memo, text).map(|tokens| show(&Moment::of_interval(interval), tokens, out)),
    );
}
