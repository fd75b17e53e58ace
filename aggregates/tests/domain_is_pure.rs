//! Purity of the domain: it uses no crate that could do I/O and no part of the standard library that reads the
//! environment, the clock or randomness.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Allowed dependencies of the domain. Adding a name is a decision: it must compute and do nothing else.
const PURE_CRATES: &[&str] = &[
    "caseless",
    "chrono",
    "chrono-tz",
    "cqrs-es",
    "idna",
    "regex",
    "rust_iso3166",
    "serde",
    "serde_json",
    "thiserror",
    "unicode-normalization",
    "uuid",
];

/// Words that no line of the domain may contain, with their meanings.
const IMPURE_WORDS: &[(&str, &str)] = &[
    ("fs", "files"),
    ("File", "files"),
    ("net", "network"),
    ("TcpStream", "network"),
    ("UdpSocket", "network"),
    ("env", "environment"),
    ("process", "processes"),
    ("thread", "threads"),
    ("Mutex", "threads"),
    ("SystemTime", "clock"),
    ("Instant", "clock"),
    ("rand", "chance"),
    ("random", "chance"),
    ("getrandom", "chance"),
    ("fastrand", "chance"),
    ("new_v1", "clock"),
    ("now_v1", "clock"),
    ("new_v4", "chance"),
    ("now_v6", "clock"),
    ("now_v7", "clock"),
    ("stdin", "I/O"),
    ("stdout", "I/O"),
    ("stderr", "I/O"),
    ("println", "I/O"),
    ("eprintln", "I/O"),
    ("tokio", "async"),
    ("async_std", "async"),
    ("futures", "async"),
    ("sqlx", "SQL"),
    ("postgres_es", "SQL"),
    ("sqlite_es", "SQL"),
    ("rusqlite", "SQL"),
    ("hyper", "HTTP"),
    ("axum", "HTTP"),
    ("reqwest", "HTTP"),
];

/// The one file that may say `async`: it implements the framework's trait around a synchronous decision.
const ASYNC_ALLOWED_IN: &str = "decide.rs";

#[test]
fn the_domain_depends_on_pure_crates_only() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("manifest");
    let foreign: Vec<_> =
        dependencies(&manifest).into_iter().filter(|name| !PURE_CRATES.contains(&name.as_str())).collect();
    assert!(foreign.is_empty(), "not known to be pure: {foreign:?}");
}

#[test]
fn the_list_of_pure_crates_holds_no_more_than_is_used() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("manifest");
    assert_eq!(dependencies(&manifest), PURE_CRATES.iter().map(ToString::to_string).collect());
}

#[test]
fn the_domain_reads_neither_world_nor_clock_nor_chance() {
    let sources = sources(&root().join("src"));
    assert!(sources.len() > 10, "the sources were not found");
    let impurities: Vec<_> = sources
        .iter()
        .flat_map(|path| {
            let source = fs::read_to_string(path).expect("source");
            impurities(&source, path.ends_with(ASYNC_ALLOWED_IN))
                .into_iter()
                .map(|(line, what)| format!("{}:{line}: {what}", path.display()))
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(impurities.is_empty(), "{impurities:#?}");
}

#[test]
fn dependencies_of_every_kind_but_dev_are_listed() {
    let manifest = r#"
        [package]
        name = "x"
        [dependencies]
        serde.workspace = true
        sqlx = { version = "0.8" } # comment
        "quoted" = "1"
        [dependencies.reqwest]
        version = "0.12"
        [target.'cfg(unix)'.dependencies]
        libc = "0.2"
        [build-dependencies]
        cc = "1"
        [dev-dependencies]
        proptest = "1"
        [features]
        default = []
    "#;
    let names: Vec<_> = dependencies(manifest).into_iter().collect();
    assert_eq!(names, ["cc", "libc", "quoted", "reqwest", "serde", "sqlx"]);
}

#[test]
fn impurities_are_seen_however_they_are_written() {
    for line in [
        "use std::fs;",
        "use std::{collections::BTreeMap, net::IpAddr};",
        "let now = Utc::now();",
        "let today = chrono::Local::now();",
        "let started = std::time::Instant::now();",
        "let at = SystemTime::UNIX_EPOCH;",
        "std::thread::spawn(|| ());",
        "let home = env!(\"HOME\");",
        "AdminId(Uuid::new_v4())",
        "AdminId(uuid::Uuid::now_v7())",
        "let n: u32 = rand::random();",
        "async fn load() {}",
        "load().await",
        "    println!(\"{}\", 1); // said aloud",
        "let quoted = text.split('\"').chain(fs::read(path));",
    ] {
        assert_eq!(impurities(line, false).len().min(1), 1, "{line}");
    }
}

#[test]
fn talk_of_impurity_is_no_impurity() {
    for line in [
        "//! No network, clock, randomness or async code here; Utc::now() neither.",
        "let deterministic = 1; // the clock is read by the caller: Utc::now()",
        "fn verifying(&self, now: DateTime<Utc>) {}",
        "assert_eq!(text, \"std::fs\");",
        "let offset = operand + known_v7;",
    ] {
        assert_eq!(impurities(line, false), vec![], "{line}");
    }
    assert_eq!(impurities("async fn handle() { sink.write().await }", true), vec![]);
    assert_ne!(impurities("tokio::spawn(async {})", true), vec![]);
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Names in all dependency tables except that of tests.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut in_table = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(table) = line.strip_prefix('[') {
            let table = table.trim_end_matches(']');
            let tests_only = table.contains("dev-dependencies");
            in_table = table.ends_with("dependencies") && !tests_only;
            if let Some((_, name)) = table.split_once("dependencies.")
                && !tests_only
            {
                names.insert(name.to_owned());
            }
        } else if in_table && !line.is_empty() && !line.starts_with('#') {
            let name = line.split(['=', '.']).next().unwrap_or_default();
            names.insert(name.trim().trim_matches('"').to_owned());
        }
    }
    names
}

/// Numbers of the lines of `source`, from 1, that reach beyond the domain, with the reason.
fn impurities(source: &str, async_allowed: bool) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    for (line, text) in (1..).zip(source.lines()) {
        let code = code_of(text);
        if code.contains("::now(") {
            found.push((line, "clock"));
        }
        for word in code.split(|c: char| !c.is_alphanumeric() && c != '_') {
            if let Some((_, what)) = IMPURE_WORDS.iter().find(|(impure, _)| *impure == word) {
                found.push((line, *what));
            }
            if !async_allowed && matches!(word, "async" | "await") {
                found.push((line, "async"));
            }
        }
    }
    found
}

/// A line without comments and string literals.
fn code_of(line: &str) -> String {
    let mut code = String::new();
    let line = line.replace("'\"'", "");
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '/' if characters.peek() == Some(&'/') => break,
            '"' => {
                while let Some(inner) = characters.next() {
                    match inner {
                        '\\' => _ = characters.next(),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            _ => code.push(character),
        }
    }
    code
}
