//! Shapes: sizes of files, the one layout of protocol folders, where a protocol's name may occur, vectors of decoders.

use std::collections::BTreeSet;

use super::Finding;
use super::files::Tree;
use super::source::Source;

/// Lines of a file before its tests.
const FILE_LINES_MAX: usize = 500;

/// Lines of a file that holds only tests.
const TEST_LINES_MAX: usize = 900;

const CARRIERS: &str = "crates/protocols/src/carriers/";

/// What every protocol folder has: each row one place, in any of its forms.
const CARRIER_PARTS: &[&[&str]] = &[
    &["mod.rs"],
    &["settings.rs"],
    &["wire/"],
    &["server.rs", "server/"],
    &["client.rs", "client/"],
    &["replies.rs"],
    &["vectors/"],
];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<Finding> = tree.sources.iter().filter_map(size).collect();
    for protocol in carriers(tree) {
        findings.extend(folder(tree, &protocol));
        findings.extend(tree.sources.iter().flat_map(|source| names(source, &protocol)));
    }
    findings.extend(tree.sources.iter().filter_map(|source| vectors(tree, source)));
    findings
}

fn size(source: &Source) -> Option<Finding> {
    let (lines, max) = match source.body {
        0 => (source.lines.len(), TEST_LINES_MAX),
        body => (body, FILE_LINES_MAX),
    };
    let rule = format!("at most {max} lines: is this still one room?");
    (lines > max).then(|| finding("size", &source.path, lines, "lines", rule))
}

/// The protocols that have a folder.
fn carriers(tree: &Tree) -> BTreeSet<String> {
    let folders = tree.paths().filter_map(|path| path.strip_prefix(CARRIERS)?.split_once('/'));
    folders.map(|(name, _)| name.to_owned()).collect()
}

fn folder(tree: &Tree, protocol: &str) -> Vec<Finding> {
    let root = format!("{CARRIERS}{protocol}/");
    let there = |part: &&&str| {
        let whole = format!("{root}{part}");
        tree.paths().any(|path| if part.ends_with('/') { path.starts_with(&whole) } else { path == whole })
    };
    let missing = CARRIER_PARTS.iter().filter(|forms| !forms.iter().any(|part| there(&part)));
    missing
        .map(|forms| {
            finding("carrier", &root, 1, &forms.join(" or "), "every protocol folder has this part".to_owned())
        })
        .collect()
}

/// Where protocols are registered.
const REGISTERED: &[&str] = &["crates/protocols/src/lib.rs", "crates/protocols/src/carriers/mod.rs"];

/// A protocol's name in code outside its own folder (in names, not in texts, comments and tests).
fn names(source: &Source, protocol: &str) -> Vec<Finding> {
    let at_home = source.path.starts_with(&format!("{CARRIERS}{protocol}/"));
    if at_home || REGISTERED.contains(&source.path.as_str()) || !source.path.starts_with("crates/") {
        return Vec::new();
    }
    let rule = "a protocol is named in its folder and its registration line only".to_owned();
    let found = source.body().filter(|(_, code)| words(code).any(|word| word == protocol));
    found.map(|(line, _)| finding("protocol-name", &source.path, line, protocol, rule.clone())).collect()
}

/// The words of identifiers, in lower case: `SftpClient`, `sftp_client` and `SFTP_CLIENT` have the same two. So a protocol
/// whose name ends another's, or begins some other word, is not taken for it.
fn words(code: &str) -> impl Iterator<Item = String> {
    let mut all = vec![String::new()];
    let mut before = ' ';
    for c in code.chars() {
        let begins = c.is_uppercase() && !before.is_uppercase();
        if let (true, Some(word)) = (c.is_alphanumeric() && !begins, all.last_mut()) {
            word.extend(c.to_lowercase());
        } else if c.is_alphanumeric() {
            all.push(c.to_lowercase().collect());
        } else {
            all.push(String::new());
        }
        before = c;
    }
    all.into_iter().filter(|word| !word.is_empty())
}

/// A file of wire code with a decoder is tried with vectors.
fn vectors(tree: &Tree, source: &Source) -> Option<Finding> {
    let (root, _) = source.path.split_once("/wire/")?;
    let decodes = source.body().any(|(_, code)| code.contains("fn decode"));
    let (folder, name) = source.path.rsplit_once('/')?;
    let own = format!("{root}/vectors/{}.txt", name.trim_end_matches(".rs"));
    let tests = format!("{folder}/tests.rs");
    let has_file = tree.paths().any(|path| path == own);
    let named_by = |path: &str| tree.source(path).is_some_and(|s| s.lines.iter().any(|line| line.contains("vectors/")));
    let rule = "a decoder has a vector file: vectors/<name of this file>.txt, or one that its tests name".to_owned();
    let bare = decodes && !has_file && !named_by(&source.path) && !named_by(&tests);
    bare.then(|| finding("vectors", &source.path, 1, "decode", rule))
}

fn finding(check: &'static str, file: &str, line: usize, found: &str, rule: String) -> Finding {
    Finding { check, file: file.to_owned(), line, found: found.to_owned(), rule }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let mut tree = Tree::default();
        files.iter().for_each(|(path, text)| tree.add(path, text));
        check(&tree).into_iter().map(|finding| format!("{} {}", finding.check, finding.found)).collect()
    }

    #[test]
    fn files_have_a_size() {
        let long = "x\n".repeat(501);
        assert_eq!(found(&[("crates/x/src/lib.rs", &long)]), ["size lines"]);
        assert_eq!(found(&[("crates/x/src/lib.rs", &"x\n".repeat(500))]), Vec::<String>::new());
        assert_eq!(found(&[("crates/x/tests/a.rs", &long)]), Vec::<String>::new());
    }

    #[test]
    fn protocol_folders_are_alike() {
        let root = "crates/protocols/src/carriers/xftp/";
        let all: Vec<String> =
            ["mod.rs", "settings.rs", "wire/a.rs", "server.rs", "client/mod.rs", "replies.rs", "vectors/a.txt"]
                .iter()
                .map(|part| format!("{root}{part}"))
                .collect();
        let files: Vec<(&str, &str)> = all.iter().map(|path| (path.as_str(), "fn decode() {}")).collect();
        assert_eq!(found(&files), Vec::<String>::new());
        assert_eq!(found(files.get(1..).unwrap()), ["carrier mod.rs"]);
        let without_vectors = files.split_last().unwrap().1;
        assert_eq!(found(without_vectors), ["carrier vectors/", "vectors decode"]);
    }

    #[test]
    fn protocol_names_stay_at_home() {
        let home = ("crates/protocols/src/carriers/xftp/mod.rs", "struct Xftp;");
        let names = |text| found(&[home, ("crates/engine/src/a.rs", text)]).contains(&"protocol-name xftp".to_owned());
        assert!(names("fn is_xftp() {}"));
        assert!(names("enum P { Xftp }"));
        assert!(names("struct XftpClient;") && names("const XFTP_OUT: u8 = 1;"));
        assert!(!names("enum P { AxftpClient, XftPolicy, Oxftp }"));
        assert!(!names("// xftp\nlet a = \"xftp\";"));
        assert!(!names("fn a() {}\n#[cfg(test)]\nmod tests {\nfn xftp() {}\n}"));
    }
}
