//! Key files of other projects, from the folder that `GATEHOUSE_FIXTURES` names. Without it nothing is read, and said so.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "the whole file is a test, helpers too"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use base::{Secret, hex};
use keys::{KeyError, KeyMaterial, PrivateKey, read_key};

/// A row of `containers/expected.tsv`.
struct Row {
    file: String,
    kind: String,
    password: Option<Secret<String>>,
    expect: String,
    spki_sha256: String,
}

impl Row {
    fn read(line: &str) -> Self {
        let fields: Vec<&str> = line.split('\t').collect();
        Self {
            file: fields[0].to_owned(),
            kind: fields[1].to_owned(),
            password: (fields[2] != "-").then(|| Secret::new(fields[2].replace("(empty)", ""))),
            expect: fields[3].to_owned(),
            spki_sha256: fields[6].to_owned(),
        }
    }
}

/// Kinds of container that are refused for now. Not one of them may give a key, and an encrypted key must say so.
const LATER_KINDS: [(&str, &str); 9] = [
    ("pkcs8-enc-pem", "later issue: encrypted PKCS#8"),
    ("trad-enc-pem", "later issue: encrypted traditional PEM"),
    ("pkcs12", "later issue: PKCS#12"),
    ("pkcs7-der", "later issue: PKCS#7"),
    ("pkcs7-pem", "later issue: PKCS#7"),
    ("cert-pem", "later issue: certificates"),
    ("cert-der", "later issue: certificates"),
    ("openssh-cert", "later issue: OpenSSH certificates"),
    ("pem:DSA PARAMETERS", "no key"),
];

/// Files of a known kind that are refused for now.
const LATER_FILES: [(&str, &str); 3] = [
    ("der/ec_private_key_encrypted.der", "later issue: encrypted PKCS#8"),
    ("der/enc-rsa-pkcs8.der", "later issue: encrypted PKCS#8"),
    ("der/enc2-rsa-pkcs8.der", "later issue: encrypted PKCS#8"),
];

/// Why a row that other readers accept is refused by a store of bare keys; found by what the error says.
const REFUSED_FOR_GOOD: [(&str, &str); 4] = [
    ("PSS signatures only", "RSASSA-PSS keys can't sign in SSH (RFC 4055 section 1.2): they come with certificates"),
    ("security token", "FIDO keys are none of the six algorithms"),
    ("ssh-dss needs 160", "a subgroup that SSH can't carry"),
    ("DSS key of 4096 bits", "larger than any DSS key of the standard"),
];

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("GATEHOUSE_FIXTURES").map(|root| Path::new(&root).join("containers"));
    if folder.is_none() {
        println!("GATEHOUSE_FIXTURES is not set: no containers of other projects were read");
    }
    folder
}

fn sha256(octets: &[u8]) -> String {
    hex(digest(&SHA256, octets).as_ref())
}

/// What became of a row, as one word; panics if it is wrong.
fn try_row(row: &Row, folder: &Path) -> &'static str {
    let octets = std::fs::read(folder.join(&row.file)).expect(&row.file);
    let read = read_key(&octets, None, row.password.as_ref());
    let later =
        LATER_KINDS.iter().any(|(kind, _)| *kind == row.kind) || LATER_FILES.iter().any(|(f, _)| *f == row.file);
    match (row.expect.as_str(), read) {
        (_, Ok(key)) if later || row.expect == "reject" => panic!("{} gives {:?}", row.file, key.public()),
        (_, Ok(key)) => {
            if row.spki_sha256 != "-" {
                assert_eq!(sha256(key.public().spki_der()), row.spki_sha256, "{}", row.file);
            }
            if let KeyMaterial::Private(key) = key {
                let again = PrivateKey::from_bytes(key.to_bytes().expose()).expect(&row.file);
                assert_eq!(again.public(), key.public(), "{}", row.file);
                key.ssh_key().expect(&row.file);
            }
            "loaded"
        }
        ("accept", Err(error)) if later => {
            let locked = row.kind.contains("-enc-") || row.kind == "key-der";
            assert_eq!(locked, matches!(error, KeyError::Protected { .. }), "{}: {error}", row.file);
            "later issue"
        }
        ("accept", Err(error)) => {
            let text = error.to_string();
            assert!(REFUSED_FOR_GOOD.iter().any(|(says, _)| text.contains(says)), "{}: {text}", row.file);
            "refused for good"
        }
        (_, Err(_)) => "refused",
    }
}

// KEY-1, KEY-2, KEY-9
#[test]
fn containers_of_other_projects() {
    let Some(folder) = folder() else { return };
    let table = std::fs::read_to_string(folder.join("expected.tsv")).expect("expected.tsv");
    let mut counts = BTreeMap::<(String, &str), usize>::new();
    for row in table.lines().skip(1).map(Row::read) {
        let outcome = try_row(&row, &folder);
        *counts.entry((row.kind, outcome)).or_default() += 1;
    }
    println!("{counts:#?}");
    for kind in ["key-der", "pub-der", "trad-pem", "pkcs8-pem", "pub-pem", "openssh-priv", "openssh-pub"] {
        assert!(counts.contains_key(&(kind.to_owned(), "loaded")), "no {kind} was loaded");
    }
}

// A file of another project is cut at each octet and changed at each octet: the same key or an error, never a panic.
#[test]
fn damaged_containers_of_other_projects() {
    let Some(folder) = folder() else { return };
    for file in [
        "der/dsa.1024.der",
        "der/ec_private_key.der",
        "traditional/dsa.1024.pem",
        "ec/secp256r1-explicit-seed.pem",
        "openssh/ecdsa-nopsw.key",
        "openssh/ed25519-nopsw.key",
    ] {
        let octets = std::fs::read(folder.join(file)).expect(file);
        let own = read_key(&octets, None, None).expect(file);
        for at in 0..octets.len() {
            assert!(read_key(&octets[..at], None, None).is_err() || at + 2 >= octets.len(), "{file} cut at {at}");
            let mut changed = octets.clone();
            changed[at] ^= 0x10;
            if let Ok(key) = read_key(&changed, None, None) {
                assert_eq!(key.public(), own.public(), "{file} changed at {at}");
            }
        }
    }
}
