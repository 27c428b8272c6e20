//! Rules of the house, as tests: each names the sentence of ARCHITECTURE.md it guards.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is a folder of the workspace").to_path_buf()
}

/// Every file git knows with one of the extensions, with its text.
fn files(extensions: &[&str]) -> Vec<(String, String)> {
    let listed = Command::new("git").args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(root()).output().expect("git is there");
    let listed = String::from_utf8(listed.stdout).expect("paths are UTF-8");
    let wanted = |path: &&str| extensions.iter().any(|extension| path.ends_with(extension));
    let read = |path: &str| Some((path.to_string(), std::fs::read_to_string(root().join(path)).ok()?));
    let files: Vec<_> = listed.lines().filter(wanted).filter_map(read).collect();
    assert!(!files.is_empty(), "git lists no files");
    files
}

/// Lines that are code: comments may name anything.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")).map(|(number, line)| (number + 1, line))
}

/// Places where code outside of `allowed` mentions one of the words.
fn mentions(words: &[&str], allowed: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in files(&[".rs"]) {
        if allowed.iter().any(|prefix| path.starts_with(prefix)) {
            continue;
        }
        for (number, line) in code_lines(&text) {
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{path}:{number}: {}", line.trim()));
            }
        }
    }
    found
}

#[test]
fn arrows_between_crates_point_down() {
    let drawing: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::from([
        ("repr", BTreeSet::new()),
        ("plan", BTreeSet::from(["repr"])),
        ("catalog", BTreeSet::from(["repr"])),
        ("storage", BTreeSet::from(["repr"])),
        ("sql", BTreeSet::from(["repr", "plan", "catalog"])),
        ("dataflow", BTreeSet::from(["repr", "plan"])),
        ("sources", BTreeSet::from(["repr", "storage"])),
        ("server", BTreeSet::from(["repr", "plan", "catalog", "sql", "storage", "sources", "dataflow"])),
    ]);
    let output = Command::new(env!("CARGO")).args(["metadata", "--no-deps", "--format-version", "1", "--offline"]).current_dir(root()).output().expect("cargo metadata runs");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let ours: BTreeSet<&str> = metadata["packages"].as_array().expect("packages").iter().filter_map(|package| package["name"].as_str()).collect();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("a name");
        let Some(allowed) = drawing.get(name) else {
            assert!(["tests", "bench"].contains(&name), "{name} is not in the drawing of ARCHITECTURE.md");
            continue;
        };
        let normal = package["dependencies"].as_array().expect("dependencies").iter().filter(|dependency| dependency["kind"].is_null());
        for dependency in normal.filter_map(|dependency| dependency["name"].as_str()).filter(|dependency| ours.contains(dependency)) {
            assert!(allowed.contains(dependency), "the arrow {name} -> {dependency} is not in the drawing of ARCHITECTURE.md");
        }
    }
}

#[test]
fn only_one_module_names_each_library() {
    for (words, allowed) in [
        (&["rdkafka"][..], &["sources/src/kafka/", "tests/", "bench/"][..]),
        (&["use pgwire", "pgwire::messages", "pgwire::api", "pgwire::error"], &["server/src/pgwire/", "tests/"]),
        (&["sqlparser"], &["sql/src/parse/", "tests/"]),
        (&["timely::", "differential_dataflow", "differential_dogs3"], &["dataflow/src/render/", "tests/", "bench/"]),
    ] {
        assert_eq!(mentions(words, allowed), Vec::<String>::new(), "{words:?} outside of {allowed:?}");
    }
}

#[test]
fn only_storage_syncs_files() {
    assert_eq!(mentions(&[".sync_all()", ".sync_data()", "fdatasync(", "fsync("], &["storage/", "tests/"]), Vec::<String>::new());
}

#[test]
fn nothing_is_left_open_in_the_code() {
    assert_eq!(mentions(&["todo!(", "unimplemented!(", "dbg!(", "unsafe {", "#[ignore"], &["tests/tests/tidy.rs"]), Vec::<String>::new());
}

#[test]
fn documents_speak_of_the_product_alone() {
    let mut found = Vec::new();
    for (path, text) in files(&[".rs", ".md", ".toml", "Makefile", ".sh"]) {
        if path == "tests/tests/tidy.rs" {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let lower = line.to_lowercase();
            if ["shared/design", "../shared", "helper agent", "subagent"].iter().any(|word| lower.contains(word)) {
                found.push(format!("{path}:{}: {line}", number + 1));
            }
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn every_module_opens_with_its_promise() {
    let silent: Vec<String> = files(&[".rs"]).into_iter().filter(|(path, text)| path.contains("/src/") && !text.trim_start().starts_with("//!")).map(|(path, _)| path).collect();
    assert_eq!(silent, Vec::<String>::new());
}

#[test]
fn the_map_names_every_folder() {
    let map = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is there");
    for folder in ["repr", "plan", "catalog", "sql", "storage", "sources", "dataflow", "server", "tests", "bench", "docs", "scripts"] {
        assert!(root().join(folder).is_dir(), "{folder}/ is in the map and not in the tree");
        assert!(map.contains(&format!("`{folder}/`")), "{folder}/ is not in ARCHITECTURE.md");
    }
    assert!(map.lines().count() < 300, "the map is longer than one reads in one sitting");
}
