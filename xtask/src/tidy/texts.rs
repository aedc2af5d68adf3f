//! Words: paths of machines, stubs, silent permissions, names that the glossary bars, tests that sleep.

use super::Finding;
use super::files::Tree;
use super::source::{Source, has_word};

/// Beginnings of paths that exist on one machine only. Written in pieces, so that this line is not found itself.
const MACHINE_PATHS: &[(&str, &str)] = &[("/wo", "rk/"), ("/ro", "ot/"), ("/fa", "rm/")];

/// Code that is not there yet, or not tried.
const STUBS: &[&str] = &["todo!", "unimplemented!", "#[ignore"];

const ATTRIBUTES: &[&str] = &["#[allow(", "#![allow(", "#[expect(", "#![expect("];

/// Words of a name that say nothing (STYLE 11); the glossary adds its own.
const EMPTY_WORDS: &[&str] = &["manager", "util", "utils", "common", "misc", "helper", "helpers"];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut barred: Vec<String> = EMPTY_WORDS.iter().map(|word| (*word).to_owned()).collect();
    barred.extend(tree.text("GLOSSARY.md").map(barred_words).unwrap_or_default());
    let mut findings = Vec::new();
    for source in &tree.sources {
        findings.extend(machine_paths(&source.path, source.lines.iter().map(String::as_str)));
        findings.extend(permissions(source));
        findings.extend(words(source, &barred));
        findings.extend(sleeping_tests(source));
        findings.extend(empty_tests(source));
    }
    for text in tree.texts.iter().filter(|text| !text.path.contains("/vectors/")) {
        findings.extend(machine_paths(&text.path, text.text.lines()));
    }
    findings
}

fn machine_paths<'a>(path: &str, lines: impl Iterator<Item = &'a str>) -> Vec<Finding> {
    let starts: Vec<String> = MACHINE_PATHS.iter().map(|(a, b)| format!("{a}{b}")).collect();
    let mut findings = Vec::new();
    for (i, line) in lines.enumerate() {
        for start in starts.iter().filter(|start| stands_alone(line, start)) {
            findings.push(finding(path, i + 1, "machine-path", start, "no path of a machine belongs in the product"));
        }
    }
    findings
}

/// True if `start` begins a path here, and is not the middle of one.
fn stands_alone(line: &str, start: &str) -> bool {
    line.match_indices(start).any(|(at, _)| {
        let before = line.get(..at).and_then(|s| s.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || "._-~}/".contains(c))
    })
}

/// `allow` and `expect` need a reason, in the attribute or in a comment beside or above it.
fn permissions(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut above = "";
    for (i, (line, code)) in source.lines.iter().zip(&source.code).enumerate() {
        for word in STUBS.iter().filter(|word| code.contains(**word)) {
            findings.push(finding(&source.path, i + 1, "stub", word, "finish it, or leave it out"));
        }
        let permits = ATTRIBUTES.iter().any(|attribute| code.contains(attribute));
        let reason = line.contains("reason = ") || line.contains("//") || above.starts_with("//");
        let later = source.lines.iter().skip(i + 1).take(4).any(|next| next.trim_start().starts_with("reason = "));
        let open = !code.contains(']');
        if permits && !reason && !(open && later) {
            findings.push(finding(
                &source.path,
                i + 1,
                "allow",
                code.trim(),
                "say why, in a comment or reason = \"...\"",
            ));
        }
        above = line.trim();
    }
    findings
}

/// Names that the glossary bars, as parts of the names that a file declares.
fn words(source: &Source, barred: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, code) in source.body() {
        for name in declared(code) {
            // `get_mut` beside `get` is what Rust's own collections say.
            if name.starts_with("get_") && name != "get_mut" {
                findings.push(finding(&source.path, line, "word", &name, "name the thing, without get_"));
            }
            let parts = parts(&name);
            for word in barred.iter().filter(|word| parts.contains(word)) {
                findings.push(finding(
                    &source.path,
                    line,
                    "word",
                    word,
                    "GLOSSARY.md and STYLE bar this word in a name",
                ));
            }
        }
    }
    findings
}

/// Names declared in a line of code.
fn declared(code: &str) -> Vec<String> {
    let words: Vec<&str> = code.split_whitespace().collect();
    let mut names = Vec::new();
    for pair in words.windows(2) {
        if let ["fn" | "struct" | "enum" | "trait" | "mod" | "type" | "const" | "static", name] = pair {
            names.push(name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    names
}

/// The words of `snake_case`, `CamelCase` or `UPPER_CASE`, in lower case.
fn parts(name: &str) -> Vec<String> {
    let mut spaced = String::new();
    let mut before = '_';
    for c in name.chars() {
        if c.is_uppercase() && before.is_lowercase() {
            spaced.push('_');
        }
        spaced.extend(c.to_lowercase());
        before = c;
    }
    spaced.split('_').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// Words in the last column of the glossary's table, `| word | meaning | not |`, each in backquotes.
fn barred_words(glossary: &str) -> Vec<String> {
    let mut words = Vec::new();
    for line in glossary.lines().filter(|line| line.starts_with('|')) {
        let last = line.trim_end_matches(['|', ' ']).rsplit('|').next().unwrap_or_default();
        words.extend(last.split('`').skip(1).step_by(2).map(str::to_lowercase));
    }
    words
}

/// Tests use the test clock or wait for an event.
fn sleeping_tests(source: &Source) -> Vec<Finding> {
    let found = source.tests().filter(|(_, code)| has_word(code, "sleep"));
    found
        .map(|(line, _)| finding(&source.path, line, "test", "sleep", "wait for an event or move the test clock"))
        .collect()
}

/// A test says something: it asserts, or calls what may panic.
fn empty_tests(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (line, code) in source.tests().chain([(usize::MAX, "#[test]")]) {
        let starts = code.contains("#[test]") || code.contains("::test]") || code.contains("::test(");
        if starts {
            let told = open.take().filter(|(_, text)| !TELLS.iter().any(|word| text.contains(word)));
            findings.extend(told.map(|(at, _)| finding(&source.path, at, "test", "nothing", "a test states a fact")));
            open = Some((line, String::new()));
        }
        if let Some((_, text)) = &mut open {
            text.push_str(code);
            text.push('\n');
        }
    }
    findings
}

/// Signs that a test says something; `$` is a test made by a macro.
const TELLS: &[&str] = &["assert", "should_panic", "panic!", "unwrap", "expect", "check", "refuse", "?;", "$"];

fn finding(path: &str, line: usize, check: &'static str, found: &str, rule: &str) -> Finding {
    Finding { check, file: path.to_owned(), line, found: found.to_owned(), rule: rule.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let mut tree = Tree::default();
        tree.add("GLOSSARY.md", "| word | meaning | not |\n|---|---|---|\n| site | a partner | `Peer`, `remote` |\n");
        tree.add(path, text);
        check(&tree).into_iter().map(|finding| finding.found).collect()
    }

    #[test]
    fn paths_of_machines_are_found() {
        let path = |a: &str, b: &str| format!("see {a}{b}x");
        assert_eq!(found("a.md", &path("/wo", "rk/")).len(), 1);
        assert_eq!(found("a.md", &path("network/wo", "rk/")).len(), 0);
        assert_eq!(found("a.rs", &path("/ro", "ot/")).len(), 1);
        assert_eq!(found("x/vectors/a.txt", &path("/ro", "ot/")).len(), 0);
    }

    #[test]
    fn permissions_have_reasons() {
        let allow = format!("#[{}(dead_code)]", "allow");
        assert_eq!(found("a.rs", &format!("{allow}\nfn a() {{}}")).len(), 1);
        assert_eq!(found("a.rs", &format!("// Why.\n{allow}\nfn a() {{}}")).len(), 0);
        assert_eq!(found("a.rs", &format!("#[{}(dead_code, reason = \"x\")]", "allow")).len(), 0);
        assert_eq!(found("a.rs", &format!("{}!()", "todo")).len(), 1);
    }

    #[test]
    fn barred_words_are_found_in_names() {
        for (text, expected) in [
            ("fn get_name() {}", vec!["get_name"]),
            ("fn get_mut() {}", vec![]),
            ("struct KeyManager;", vec!["manager"]),
            ("mod util;", vec!["util"]),
            ("fn peer_name() {}", vec!["peer"]),
            ("let peer = 1; // manager", vec![]),
            ("fn utility() {}", vec![]),
        ] {
            assert_eq!(found("crates/x/src/a.rs", text), expected, "{text}");
        }
    }

    #[test]
    fn tests_state_facts_and_do_not_sleep() {
        let file = |body: &str| format!("fn a() {{}}\n#[cfg(test)]\nmod tests {{\n#[test]\nfn t() {{ {body} }}\n}}\n");
        assert_eq!(found("a.rs", &file("assert_eq!(1, 1);")), Vec::<String>::new());
        assert_eq!(found("a.rs", &file("let _ = 1;")), ["nothing"]);
        assert_eq!(found("a.rs", &file("sleep(d); assert!(x);")), ["sleep"]);
    }
}
