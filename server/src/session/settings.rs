//! The settings of one session: values over the table of [`variables`](super::variables), undone by transactions as Postgres undoes them.
//!
//! SET lasts unless its transaction is rolled back; SET LOCAL ends with the transaction either way.

use super::variables::{self, Kind, VARIABLES};
use crate::Error;
use repr::text::TextContext;
use repr::{SqlTimestampTz, TimeZone};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Properties of a transaction, and the settings they begin with.
const TRANSACTION_PROPERTIES: [(&str, &str); 3] = [
    ("transaction_isolation", "default_transaction_isolation"),
    ("transaction_read_only", "default_transaction_read_only"),
    ("transaction_deferrable", "default_transaction_deferrable"),
];

#[derive(Clone, PartialEq, Eq)]
struct Values {
    /// By position in [`VARIABLES`].
    known: Vec<String>,
    /// Names with a dot, which anybody may invent.
    custom: BTreeMap<String, String>,
}

/// The text of a setting by its name in lower case, as `current_setting` asks for it.
pub type Lookup = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What a rollback returns to.
#[derive(Clone)]
pub struct SavedSettings {
    lasting: Arc<Values>,
    current: Arc<Values>,
}

impl SavedSettings {
    /// Isolation level and access mode, as AND CHAIN takes them over.
    pub fn transaction_properties(&self) -> Vec<(&'static str, String)> {
        let value = |name: &str| variables::find(name).and_then(|position| self.current.known.get(position)).cloned();
        TRANSACTION_PROPERTIES.iter().filter_map(|(name, _)| Some((*name, value(name)?))).collect()
    }
}

pub struct Settings {
    /// What is left when the transaction commits.
    lasting: Arc<Values>,
    /// What holds now: `lasting` and what SET LOCAL put over it.
    current: Arc<Values>,
    /// What RESET returns to: the startup packet's values.
    initial: Arc<Values>,
    /// What the client was told.
    told: Arc<Values>,
    /// Counts changes: what was planned under another epoch is planned again.
    epoch: u64,
    text: TextContext,
    search_path: Vec<String>,
    user: String,
    /// Read by every statement, so read out of their text once.
    flags: Flags,
}

#[derive(Clone, Copy, Default)]
struct Flags {
    is_serializable: bool,
    is_read_only: bool,
    /// A new transaction has other properties than the one before.
    defaults_differ: bool,
    statement_timeout: Option<Duration>,
    lock_timeout: Option<Duration>,
}

impl Settings {
    /// From the startup packet. An unknown name is ignored, as poolers send many; a wrong value of a known one is refused.
    pub fn start(startup: &[(String, String)], user: &str) -> Result<Settings, Error> {
        let mut known: Vec<String> = VARIABLES.iter().map(|variable| variable.default.to_string()).collect();
        if let Some(authorization) = variables::find("session_authorization").and_then(|position| known.get_mut(position)) {
            *authorization = user.to_string();
        }
        let values = Arc::new(Values { known, custom: BTreeMap::new() });
        let mut settings = Settings {
            lasting: values.clone(),
            current: values.clone(),
            initial: values.clone(),
            told: values,
            epoch: 0,
            text: TextContext::default(),
            search_path: Vec::new(),
            user: user.to_string(),
            flags: Flags::default(),
        };
        for (name, value) in startup {
            match name.as_str() {
                "user" | "database" | "replication" => {}
                "options" => {
                    for (name, value) in read_options(value) {
                        settings.set_at_start(&name, &value)?;
                    }
                }
                name => settings.set_at_start(name, value)?,
            }
        }
        settings.initial = settings.current.clone();
        settings.told = settings.current.clone();
        settings.derive();
        Ok(settings)
    }

    fn set_at_start(&mut self, name: &str, value: &str) -> Result<(), Error> {
        if variables::find(name).is_none() && !name.contains('.') {
            return Ok(());
        }
        let values = match variables::find(name).map(|position| VARIABLES[position].kind) {
            Some(Kind::Names) => split_names(value),
            _ => vec![value.to_string()],
        };
        self.set(name, Some(&values), false).map_err(|error| Error::fatal(error.sqlstate(), error.to_string()))
    }

    /// SET name = values; `None` is DEFAULT.
    pub fn set(&mut self, name: &str, values: Option<&[String]>, local: bool) -> Result<(), Error> {
        match variables::find(name) {
            Some(position) => {
                let variable = &VARIABLES[position];
                let value = match values {
                    Some(values) => variable.check(values)?,
                    None if matches!(variable.kind, Kind::Preset) => variable.check(&[String::new()])?,
                    None => self.initial.known[position].clone(),
                };
                self.refuse_unserved(variable.name, &value)?;
                self.change(local, |values| values.known[position].clone_from(&value));
            }
            None if name.contains('.') => {
                let name = name.to_ascii_lowercase();
                let value = values.map(|values| values.join(", "));
                self.change(local, |held| {
                    match &value {
                        Some(value) => held.custom.insert(name.clone(), value.clone()),
                        None => held.custom.remove(&name),
                    };
                });
            }
            None => return Err(variables::unrecognized(name)),
        }
        self.derive();
        Ok(())
    }

    fn refuse_unserved(&self, name: &str, value: &str) -> Result<(), Error> {
        match name {
            "real_time_recency" if value == "on" => Err(Error::unsupported("real_time_recency is not supported yet")
                .with_hint("Reads return what has arrived; a strict serializable read never returns less than any session has seen.")),
            "role" if value != "none" && value != self.user => Err(Error::new("22023", format!("role \"{value}\" does not exist"))),
            _ => Ok(()),
        }
    }

    fn change(&mut self, local: bool, apply: impl Fn(&mut Values)) {
        apply(Arc::make_mut(&mut self.current));
        if !local {
            apply(Arc::make_mut(&mut self.lasting));
        }
    }

    /// RESET ALL.
    pub fn reset_all(&mut self) {
        // What belongs to the transaction stays.
        let keep = |name: &str| variables::find(name).map(|position| (position, self.current.known[position].clone()));
        let kept: Vec<_> = TRANSACTION_PROPERTIES.iter().filter_map(|(name, _)| keep(name)).collect();
        self.lasting = self.initial.clone();
        self.current = self.initial.clone();
        for (position, value) in kept {
            self.change(true, |values| values.known[position].clone_from(&value));
        }
        self.derive();
    }

    /// The value as SHOW prints it.
    pub fn show(&self, name: &str) -> Result<String, Error> {
        match variables::find(name) {
            Some(position) => Ok(VARIABLES[position].shown(&self.current.known[position])),
            None => self.current.custom.get(&name.to_ascii_lowercase()).cloned().ok_or_else(|| variables::unrecognized(name)),
        }
    }

    /// Name, value and description of every setting.
    pub fn all(&self) -> Vec<(String, String, String)> {
        let known = VARIABLES.iter().zip(&self.current.known).map(|(variable, value)| (variable.name.to_string(), variable.shown(value), variable.description.to_string()));
        known.chain(self.current.custom.iter().map(|(name, value)| (name.clone(), value.clone(), String::new()))).collect()
    }

    /// `current_setting`, for as long as a statement is planned.
    pub fn lookup(&self) -> Lookup {
        let values = self.current.clone();
        Arc::new(move |name| match variables::find(name) {
            Some(position) => values.known.get(position).map(|value| VARIABLES[position].shown(value)),
            None => values.custom.get(name).cloned(),
        })
    }

    pub fn reported(&self) -> Vec<(String, String)> {
        let reported = VARIABLES.iter().zip(&self.current.known).filter(|(variable, _)| variable.reported);
        reported.map(|(variable, value)| (variable.name.to_string(), variable.shown(value))).collect()
    }

    /// Reported settings whose value the client does not know yet.
    pub fn take_changed(&mut self) -> Vec<(String, String)> {
        if Arc::ptr_eq(&self.told, &self.current) {
            return Vec::new();
        }
        let pairs = VARIABLES.iter().zip(self.current.known.iter().zip(&self.told.known));
        let changed = pairs.filter(|(variable, (now, before))| variable.reported && now != before);
        let changed = changed.map(|(variable, (now, _))| (variable.name.to_string(), variable.shown(now))).collect();
        self.told = self.current.clone();
        changed
    }

    pub fn save(&self) -> SavedSettings {
        SavedSettings { lasting: self.lasting.clone(), current: self.current.clone() }
    }

    /// ROLLBACK, or ROLLBACK TO SAVEPOINT.
    pub fn restore(&mut self, saved: SavedSettings) {
        if Arc::ptr_eq(&self.lasting, &saved.lasting) && Arc::ptr_eq(&self.current, &saved.current) {
            return;
        }
        self.lasting = saved.lasting;
        self.current = saved.current;
        self.derive();
    }

    /// The transaction ends, committed or (after [`Settings::restore`]) not: what was local to it goes.
    pub fn end_transaction(&mut self) {
        if !Arc::ptr_eq(&self.current, &self.lasting) {
            self.current = self.lasting.clone();
            self.derive();
        }
    }

    /// The properties of a new transaction are the defaults.
    pub fn begin_transaction(&mut self) {
        if !self.flags.defaults_differ {
            return;
        }
        for (name, default) in TRANSACTION_PROPERTIES {
            if let (Some(position), Some(from)) = (variables::find(name), variables::find(default)) {
                let value = self.current.known[from].clone();
                self.change(false, |values| values.known[position].clone_from(&value));
            }
        }
        self.derive();
    }

    fn derive(&mut self) {
        self.epoch += 1;
        let mut path = split_names(self.get("search_path"));
        path.retain(|name| name != "$user");
        if !path.iter().any(|name| name == "pg_catalog") {
            path.insert(0, "pg_catalog".to_string());
        }
        let milliseconds = |name: &str| self.get(name).parse().ok().filter(|millis| *millis > 0).map(Duration::from_millis);
        self.flags = Flags {
            is_serializable: self.get("transaction_isolation") == "serializable",
            is_read_only: self.get("transaction_read_only") == "on",
            defaults_differ: TRANSACTION_PROPERTIES.iter().any(|(name, default)| self.get(name) != self.get(default)),
            statement_timeout: milliseconds("statement_timeout"),
            lock_timeout: milliseconds("lock_timeout"),
        };
        self.text = TextContext {
            time_zone: TimeZone::parse(self.get("TimeZone")).unwrap_or(TimeZone::UTC),
            bytea_hex: self.get("bytea_output") != "escape",
            extra_float_digits: self.get("extra_float_digits").parse().unwrap_or(1),
            now: self.text.now,
        };
        self.search_path = path;
    }

    fn get(&self, name: &str) -> &str {
        variables::find(name).and_then(|position| self.current.known.get(position)).map_or("", String::as_str)
    }
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
    pub fn text(&self) -> &TextContext {
        &self.text
    }
    /// What `now` means from here on: the start of the transaction.
    pub fn set_now(&mut self, now: Option<SqlTimestampTz>) {
        self.text.now = now;
    }
    /// `pg_catalog` included.
    pub fn search_path(&self) -> &[String] {
        &self.search_path
    }
    /// The schema unqualified names are created in.
    pub fn creation_schema(&self) -> Option<&str> {
        self.search_path.iter().map(String::as_str).find(|name| *name != "pg_catalog")
    }
    pub fn time_zone_name(&self) -> &str {
        self.get("TimeZone")
    }
    pub fn application_name(&self) -> &str {
        variables::find("application_name").and_then(|position| self.current.known.get(position)).map_or("", String::as_str)
    }
    pub fn user(&self) -> &str {
        &self.user
    }
    /// Reads may be older than what others were shown.
    pub fn is_serializable(&self) -> bool {
        self.flags.is_serializable
    }
    pub fn is_read_only(&self) -> bool {
        self.flags.is_read_only
    }
    pub fn statement_timeout(&self) -> Option<Duration> {
        self.flags.statement_timeout
    }
    pub fn lock_timeout(&self) -> Option<Duration> {
        self.flags.lock_timeout
    }
}

/// `-c name=value --name=value`, as libpq's `options` has them; a backslash keeps the blank behind it.
fn read_options(options: &str) -> Vec<(String, String)> {
    let mut words = vec![String::new()];
    let mut letters = options.chars();
    while let Some(letter) = letters.next() {
        match (letter, words.last_mut()) {
            ('\\', Some(word)) => word.extend(letters.next()),
            (blank, _) if blank.is_whitespace() => words.push(String::new()),
            (letter, Some(word)) => word.push(letter),
            (_, None) => {}
        }
    }
    let mut found = Vec::new();
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        let assignment = match word.strip_prefix("-c").or_else(|| word.strip_prefix("--")) {
            Some("") => words.next().unwrap_or_default(),
            Some(rest) => rest.to_string(),
            None => continue,
        };
        if let Some((name, value)) = assignment.split_once('=') {
            found.push((name.replace('-', "_"), value.to_string()));
        }
    }
    found
}

/// `"$user", public`: unquoted names are folded.
pub fn split_names(list: &str) -> Vec<String> {
    let mut names = Vec::new();
    let (mut name, mut quoted, mut was_quoted) = (String::new(), false, false);
    let mut letters = list.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                name.push('"');
            }
            '"' => {
                quoted = !quoted;
                was_quoted = true;
            }
            ',' if !quoted => {
                names.push((std::mem::take(&mut name), std::mem::take(&mut was_quoted)));
            }
            blank if !quoted && blank.is_whitespace() => {}
            letter if quoted => name.push(letter),
            letter => name.push(letter.to_ascii_lowercase()),
        }
    }
    names.push((name, was_quoted));
    names.into_iter().filter(|(name, was_quoted)| !name.is_empty() || *was_quoted).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::start(&[], "tidemark").expect("defaults are valid")
    }
    fn set(settings: &mut Settings, name: &str, value: &str, local: bool) -> Result<(), String> {
        settings.set(name, Some(&[value.to_string()]), local).map_err(|error| format!("{} {error}", error.sqlstate()))
    }

    #[test]
    fn values_are_checked_as_postgres_checks_them() {
        // name, value, what SHOW prints or the error
        let cases: &[(&str, &str, &str)] = &[
            ("statement_timeout", "1500", "1500ms"),
            ("STATEMENT_TIMEOUT", "2min", "2min"),
            ("statement_timeout", "90s", "90s"),
            ("statement_timeout", "0", "0"),
            ("statement_timeout", "-1", "22023 -1 ms is outside the valid range for parameter \"statement_timeout\" (0 .. 2147483647)"),
            ("statement_timeout", "soon", "22023 invalid value for parameter \"statement_timeout\": \"soon\""),
            ("extra_float_digits", "3", "3"),
            ("extra_float_digits", "4", "22023 4 is outside the valid range for parameter \"extra_float_digits\" (-15 .. 3)"),
            ("timezone", "europe/berlin", "Europe/Berlin"),
            ("timezone", "Mars", "22023 invalid value for parameter \"TimeZone\": \"Mars\""),
            ("client_encoding", "utf-8", "UTF8"),
            ("client_encoding", "LATIN1", "22023 invalid value for parameter \"client_encoding\": \"LATIN1\""),
            ("datestyle", "iso", "ISO, MDY"),
            ("datestyle", "german", "0A000 DateStyle \"german\" is not supported"),
            ("jit", "off", "off"),
            ("jit", "maybe", "22023 parameter \"jit\" requires a Boolean value"),
            ("bytea_output", "base64", "22023 invalid value for parameter \"bytea_output\": \"base64\""),
            ("server_version", "9", "55P02 parameter \"server_version\" cannot be changed"),
            ("real_time_recency", "on", "0A000 real_time_recency is not supported yet"),
            ("transaction_isolation", "serializable", "serializable"),
            ("transaction_isolation", "chaos", "22023 invalid value for parameter \"transaction_isolation\": \"chaos\""),
            ("nonsense", "1", "42704 unrecognized configuration parameter \"nonsense\""),
            ("my.own", "x", "x"),
        ];
        for (name, value, expected) in cases {
            let mut settings = settings();
            let got = set(&mut settings, name, value, false).map_or_else(|error| error, |()| settings.show(name).unwrap_or_default());
            assert_eq!(&got, expected, "SET {name} = {value}");
        }
    }

    #[test]
    fn transactions_undo_what_they_set() {
        let mut settings = settings();
        let begin = settings.save();
        set(&mut settings, "application_name", "a", false).expect("valid");
        set(&mut settings, "timezone", "Asia/Tokyo", true).expect("valid");
        assert_eq!(settings.show("timezone").expect("known"), "Asia/Tokyo");
        settings.end_transaction();
        assert_eq!((settings.show("timezone").expect("known").as_str(), settings.show("application_name").expect("known").as_str()), ("UTC", "a"));
        settings.restore(begin);
        settings.end_transaction();
        assert_eq!(settings.show("application_name").expect("known"), "");
    }

    #[test]
    fn the_client_is_told_once_of_each_change() {
        let mut settings = settings();
        assert!(settings.take_changed().is_empty());
        set(&mut settings, "application_name", "a", false).expect("valid");
        set(&mut settings, "extra_float_digits", "2", false).expect("valid");
        assert_eq!(settings.take_changed(), [("application_name".to_string(), "a".to_string())]);
        assert!(settings.take_changed().is_empty());
    }

    #[test]
    fn options_of_the_startup_packet() {
        let startup = [("options".to_string(), "-c statement_timeout=5s --search-path=a,b\\ c -cmy.x=1".to_string()), ("unheard_of".to_string(), "1".to_string())];
        let settings = Settings::start(&startup, "tidemark").expect("valid");
        let shown = ["statement_timeout", "search_path", "my.x"].map(|name| settings.show(name).unwrap_or_default());
        assert_eq!(shown, ["5s", "a, bc", "1"]);
        assert_eq!(settings.search_path(), ["pg_catalog", "a", "bc"]);
    }
}
