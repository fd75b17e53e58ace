//! The rooms of the server as a hierarchy: no two import each other, directly or by way of others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

type Imports = BTreeMap<String, BTreeSet<String>>;

/// The code of a file, without comments and the tests at its end.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn gather(folder: &Path, room: &str, imports: &mut Imports) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            gather(&path, if room.is_empty() { &name } else { room }, imports);
        } else if path.extension().is_some_and(|extension| extension == "rs") && name != "tests" {
            let room = if room.is_empty() { name } else { room.to_owned() };
            let code = code(&path);
            let named = code
                .split("crate::")
                .skip(1)
                .map(|rest| rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>());
            assert!(!code.contains("use crate::{"), "{}: rooms are imported one by one", path.display());
            imports.entry(room).or_default().extend(named);
        }
    }
}

/// Rooms that can be reached from one, itself only by a circle.
fn reached<'a>(from: &'a str, imports: &'a Imports) -> BTreeSet<&'a str> {
    let (mut reached, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(room) = open.pop() {
        let named = imports.get(room).into_iter().flatten().map(String::as_str);
        for next in named.filter(|next| *next != room && imports.contains_key(*next)) {
            if reached.insert(next) {
                open.push(next);
            }
        }
    }
    reached
}

#[test]
fn no_room_imports_one_that_imports_it() {
    let mut imports = Imports::new();
    gather(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut imports);
    assert!(imports.len() > 15 && imports["api"].contains("access"), "{imports:?}");
    for room in imports.keys().filter(|room| !["lib", "main"].contains(&room.as_str())) {
        assert!(!reached(room, &imports).contains(room.as_str()), "{room} is part of a circle: {imports:?}");
    }
    let store = imports["store"].iter().filter(|room| imports.contains_key(*room));
    assert_eq!(
        store.map(String::as_str).collect::<Vec<_>>(),
        ["merkle", "store"],
        "the store knows SQL and the tree alone"
    );
}
