//! Manifests: who imports whom, a reason for each dependency, lints for every crate.

use std::collections::BTreeSet;

use super::Finding;
use super::files::{Text, Tree};

/// The rooms and what each may import. A room may use in its tests whatever its own imports stand on.
pub(crate) const ROOMS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("keys", &["base"]),
    ("model", &["base"]),
    ("db", &["base", "model"]),
    ("channel", &["base", "keys", "model"]),
    ("engine", &["base", "keys", "model", "db"]),
    ("protocols", &["base", "keys", "model", "channel", "engine"]),
    ("admin", &["base", "keys", "model", "db", "engine"]),
    ("gateway", &["base", "keys", "model", "db", "channel", "engine", "protocols", "admin"]),
];

/// Libraries that only some rooms may name, so that each can be replaced behind its door.
const KEPT: &[(&str, &[&str])] = &[
    ("russh", &["channel"]),
    ("sqlx", &["db"]),
    ("pkcs8", &["keys"]),
    ("sec1", &["keys"]),
    ("der", &["keys"]),
    ("spki", &["keys"]),
    ("cryptoki", &["keys"]),
    ("ssh-key", &["keys", "channel"]),
    ("argon2", &["keys"]),
    ("axum", &["gateway"]),
    // The store of objects reaches its server over TLS (docs/decisions/0011).
    ("rustls", &["channel", "engine"]),
    ("tokio-rustls", &["channel"]),
    ("hyper", &["channel"]),
    ("smtp-proto", &["channel"]),
    ("clap", &["gateway"]),
    ("comfy-table", &["gateway"]),
    ("rpassword", &["gateway"]),
];

/// Most dependencies that one comment may explain.
const GROUP_MAX: usize = 4;

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for text in tree.texts.iter().filter(|text| text.path.ends_with("Cargo.toml")) {
        if text.path == "Cargo.toml" {
            findings.extend(reasons(text));
            continue;
        }
        findings.extend(lints(text));
        if let Some(room) = text.path.strip_prefix("crates/").and_then(|p| p.strip_suffix("/Cargo.toml")) {
            findings.extend(imports(text, room));
        }
    }
    findings
}

fn imports(text: &Text, room: &str) -> Vec<Finding> {
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        return vec![finding(text, 1, room, "this room is not in tidy's table: write it there and in ARCHITECTURE.md")];
    };
    let mut findings = Vec::new();
    for (line, section, name) in dependencies(&text.text) {
        let for_tests = section == "dev-dependencies";
        if ROOMS.iter().any(|(other, _)| *other == name) {
            let stands_on = for_tests && allowed.iter().any(|a| imports_of(a).contains(name.as_str()));
            // A room's tests may name the room itself, to have a feature of it.
            let itself = for_tests && name == room;
            if !allowed.contains(&name.as_str()) && !stands_on && !itself {
                findings.push(finding(text, line, &name, &format!("{room} may import {allowed:?} only")));
            }
        }
        let kept = KEPT.iter().find(|(library, _)| *library == name);
        if let Some((_, rooms)) = kept.filter(|(_, rooms)| !for_tests && !rooms.contains(&room)) {
            findings.push(finding(text, line, &name, &format!("only {rooms:?} may name this library")));
        }
    }
    findings
}

fn imports_of(room: &str) -> BTreeSet<&'static str> {
    ROOMS.iter().filter(|(name, _)| *name == room).flat_map(|(_, imports)| imports.iter().copied()).collect()
}

/// Line number, section and name of each dependency of a manifest.
fn dependencies(text: &str) -> Vec<(usize, String, String)> {
    let mut section = String::new();
    let mut found = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        } else if section.ends_with("dependencies") && !line.is_empty() && !line.starts_with('#') {
            let name: String = line.chars().take_while(|c| c.is_alphanumeric() || "-_".contains(*c)).collect();
            found.push((i + 1, section.clone(), name));
        }
    }
    found
}

fn lints(text: &Text) -> Option<Finding> {
    let squeezed: String = text.text.split_whitespace().collect();
    let inherited = squeezed.contains("[lints]workspace=true");
    (!inherited).then(|| finding(text, 1, "lints", "a crate inherits the lints: [lints] workspace = true"))
}

/// Each dependency of the workspace stands under a comment that says why it is there.
fn reasons(text: &Text) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (mut inside, mut explained) = (false, 0_usize);
    for (i, line) in text.text.lines().map(str::trim).enumerate() {
        match line.chars().next() {
            Some('[') => inside = line == "[workspace.dependencies]",
            Some('#') => explained = GROUP_MAX,
            None => explained = 0,
            Some(_) if inside && !line.contains("path = ") => {
                if explained == 0 {
                    let name = line.split([' ', '=', '.']).next().unwrap_or(line);
                    findings.push(finding(text, i + 1, name, "say in a comment above why this dependency is there"));
                }
                explained = explained.saturating_sub(1);
            }
            Some(_) => {}
        }
    }
    findings
}

fn finding(text: &Text, line: usize, found: &str, rule: &str) -> Finding {
    Finding { check: "manifest", file: text.path.clone(), line, found: found.to_owned(), rule: rule.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let mut tree = Tree::default();
        tree.add(path, text);
        check(&tree).into_iter().map(|finding| finding.found).collect()
    }

    #[test]
    fn imports_follow_the_table() {
        let lints = "[lints]\nworkspace = true\n";
        for (room, dependency, expected) in [
            ("db", "[dependencies]\nmodel.workspace = true", vec![]),
            ("db", "[dependencies]\nkeys.workspace = true", vec!["keys"]),
            ("channel", "[dependencies]\nengine = { workspace = true }", vec!["engine"]),
            ("protocols", "[dev-dependencies]\ndb.workspace = true", vec![]),
            ("protocols", "[dependencies]\ndb.workspace = true", vec!["db"]),
            ("protocols", "[dependencies]\nrussh.workspace = true", vec!["russh"]),
            ("keys", "[dev-dependencies]\nengine.workspace = true", vec!["engine"]),
            ("shed", "", vec!["shed"]),
        ] {
            let path = format!("crates/{room}/Cargo.toml");
            assert_eq!(found(&path, &format!("{lints}{dependency}")), expected, "{room}: {dependency}");
        }
    }

    #[test]
    fn every_crate_inherits_the_lints() {
        assert_eq!(found("xtask/Cargo.toml", "[dependencies]\n"), ["lints"]);
        assert_eq!(found("xtask/Cargo.toml", "[lints]\nworkspace = true\n"), Vec::<String>::new());
    }

    #[test]
    fn dependencies_have_reasons() {
        let head = "[workspace.dependencies]\nbase = { path = \"crates/base\" }\n";
        assert_eq!(found("Cargo.toml", &format!("{head}serde = \"1\"\n")), ["serde"]);
        assert_eq!(found("Cargo.toml", &format!("{head}# Why.\nserde = \"1\"\ntoml = \"1\"\n")), Vec::<String>::new());
        assert_eq!(found("Cargo.toml", &format!("{head}# Why.\na = \"1\"\n\nb = \"1\"\n")), ["b"]);
        assert_eq!(found("Cargo.toml", &format!("{head}# Why.\na=1\nb=1\nc=1\nd=1\ne=1\n")), ["e"]);
    }

    #[test]
    fn the_table_has_no_circle() {
        for (at, (room, imports)) in ROOMS.iter().enumerate() {
            for import in *imports {
                let place = ROOMS.iter().position(|(name, _)| name == import);
                assert!(place.is_some_and(|place| place < at), "{room} imports {import}, which must stand before it");
            }
        }
    }
}
