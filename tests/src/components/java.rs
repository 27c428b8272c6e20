//! How a Java component is run: one JVM over a folder of jars.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::directory::Directory;
use super::installed;
use super::process::Recipe;

/// Small enough for several JVMs beside each other on a test machine; what the tests send is never large.
const HEAP: &str = "-Xmx512m";

/// Everything from INFO on goes to the component's log.
const LOGGING: &str = "\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss.SSS} %-5p %m (%c{1.})%n%throwable
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
";

/// A recipe for the class's `main`, with the jars of a fetched folder. It runs in `directory`, and its arguments follow.
pub(super) fn java(
    name: &str,
    libraries: &str,
    main_class: &str,
    directory: &Directory,
) -> Result<Recipe> {
    let logging = directory.join("log4j2.properties");
    fs::write(&logging, LOGGING)
        .with_context(|| format!("could not write {}", logging.display()))?;
    let recipe = Recipe::new(name, installed::program("java")?, directory.path())
        .argument(HEAP)
        // One core's worth of threads for the collector: the machine also runs the other components.
        .argument("-XX:+UseSerialGC")
        .argument("-Duser.timezone=UTC")
        .argument("-Djava.net.preferIPv4Stack=true")
        .argument(format!("-Dlog4j2.configurationFile={}", logging.display()))
        .argument("-cp")
        .argument(format!("{}/*", installed::fetched(libraries)?.display()))
        .argument(main_class);
    Ok(recipe)
}

/// Writes a properties file into the component's folder. A later pair wins over an earlier one with the same key.
pub(super) fn write_properties(
    directory: &Directory,
    name: &str,
    properties: &[(String, String)],
) -> Result<PathBuf> {
    let path = directory.join(name);
    let mut text = String::new();
    for (key, value) in properties {
        // The format's own escapes: a backslash starts one, and a line ends a value.
        let value = value.replace('\\', "\\\\").replace('\n', "\\n");
        text.push_str(&format!("{key}={value}\n"));
    }
    fs::write(&path, text).with_context(|| format!("could not write {}", path.display()))?;
    Ok(path)
}

/// Owned pairs out of literals and numbers.
pub(super) fn properties<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}
