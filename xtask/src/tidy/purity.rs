//! Purity: rooms and folders that know no socket, file, clock or random number; and who may read key bytes.

use super::Finding;
use super::files::Tree;
use super::source::{Source, has_word};

/// Rooms that are pure as a whole; every `wire/` folder is pure as well.
const PURE_ROOMS: &[&str] = &["base", "model"];

/// What pure code does not name. `std::net` is allowed for addresses, which are only values.
const IMPURE: &[&str] = &[
    "tokio",
    "async fn",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "ToSocketAddrs",
    "std::fs",
    "File",
    "OpenOptions",
    "SystemTime",
    "Instant",
    "getrandom",
    "rand",
    "std::env",
    "std::process",
    "std::thread",
    "stdin",
    "stdout",
    "stderr",
    "rustix",
    "sqlx",
    "russh",
];

/// Libraries that see the bytes of private keys, and the rooms that may name them.
const KEY_BYTES: &[(&str, &[&str])] =
    &[("pkcs8", &["keys"]), ("sec1", &["keys"]), ("ssh_key", &["keys", "channel"]), ("russh", &["channel"])];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    tree.sources.iter().filter(|source| source.path.starts_with("crates/")).flat_map(check_source).collect()
}

fn check_source(source: &Source) -> Vec<Finding> {
    let room = source.room().unwrap_or_default();
    let pure = PURE_ROOMS.contains(&room) || source.is_wire();
    let mut findings = Vec::new();
    for (line, code) in source.body() {
        let mut tell = |check: &'static str, word: &str, rule: String| {
            findings.push(Finding { check, file: source.path.clone(), line, found: word.to_owned(), rule });
        };
        for word in IMPURE.iter().filter(|word| pure && has_word(code, word)) {
            tell("purity", word, "pure code gets sockets, files, time and random numbers as arguments".to_owned());
        }
        for (word, rooms) in KEY_BYTES.iter().filter(|(word, rooms)| !rooms.contains(&room) && names_crate(code, word))
        {
            tell("key-bytes", word, format!("only {rooms:?} may name it"));
        }
    }
    findings
}

/// True if the line names the crate `word`, as a path or in `use`, and not some field or function of that name.
fn names_crate(code: &str, word: &str) -> bool {
    has_word(code, word) && (code.contains(&format!("{word}::")) || code.trim_start().starts_with("use "))
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
    fn pure_code_names_nothing_impure() {
        for (path, text, expected) in [
            ("crates/model/src/lib.rs", "use std::fs;", vec!["std::fs"]),
            ("crates/model/src/lib.rs", "use std::net::IpAddr; // no tokio", vec![]),
            ("crates/model/src/lib.rs", "fn a() {}\n#[cfg(test)]\nmod tests {\nuse std::fs;\n}", vec![]),
            ("crates/engine/src/lib.rs", "use std::fs;", vec![]),
            ("crates/protocols/src/carriers/sftp/wire/packet.rs", "tokio::spawn(f);", vec!["tokio"]),
            ("crates/base/src/text.rs", "let profile = Profile::new();", vec![]),
            ("xtask/src/main.rs", "use std::fs;", vec![]),
        ] {
            assert_eq!(found(path, text), expected, "{path}: {text}");
        }
    }

    #[test]
    fn key_bytes_stay_in_their_room() {
        for (path, text, expected) in [
            ("crates/keys/src/lib.rs", "use pkcs8::PrivateKeyInfoRef;", vec![]),
            ("crates/channel/src/lib.rs", "use russh::keys;", vec![]),
            ("crates/engine/src/lib.rs", "let k = ssh_key::PrivateKey::random();", vec!["ssh_key"]),
            ("crates/engine/src/lib.rs", "self.ssh_key()", vec![]),
            ("crates/gateway/src/main.rs", "use russh::server;", vec!["russh"]),
        ] {
            assert_eq!(found(path, text), expected, "{path}: {text}");
        }
    }
}
