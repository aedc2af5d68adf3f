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
use keys::{CertificateFileError, Contents, KeyError, KeyMaterial, PrivateKey, read_certificates, read_key};

/// A row of `containers/expected.tsv`.
struct Row {
    file: String,
    kind: String,
    password: Option<Secret<String>>,
    expect: String,
    contents: String,
    spki_sha256: String,
    cert_sha256: String,
}

impl Row {
    fn read(line: &str) -> Self {
        let fields: Vec<&str> = line.split('\t').collect();
        Self {
            file: fields[0].to_owned(),
            kind: fields[1].to_owned(),
            password: (fields[2] != "-").then(|| Secret::new(fields[2].replace("(empty)", ""))),
            expect: fields[3].to_owned(),
            contents: fields[4].to_owned(),
            spki_sha256: fields[6].to_owned(),
            cert_sha256: fields[7].to_owned(),
        }
    }
}

/// Why a row that other readers accept is refused by a store of bare keys; found by what the error says.
const REFUSED_FOR_GOOD: [(&str, &str); 4] = [
    ("OpenSSH certificate", "what it allows and until when would be lost: the key beside it is what is imported"),
    ("security token", "FIDO keys are none of the six algorithms"),
    ("ssh-dss needs 160", "a subgroup that SSH can't carry: outside the limit of 1024 bits"),
    ("DSS key of 4096 bits", "outside the limit of 1024 bits"),
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

/// The same RSA key without its restriction to PSS signatures, which the tool that made the list does not keep.
fn plain_rsa(spki: &[u8]) -> Vec<u8> {
    let of_algorithm = 2 + usize::from(spki[5]);
    let body =
        [&b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00"[..], &spki[4 + of_algorithm..]].concat();
    let length = u16::try_from(body.len()).expect("an RSA key");
    [&[0x30, 0x82], &length.to_be_bytes()[..], &body].concat()
}

/// Whether a row is a file of certificates.
fn is_container(row: &Row) -> bool {
    let of_certificates = row.contents.contains("certs:") || row.cert_sha256 != "-";
    of_certificates || row.kind.starts_with("pkcs7") || row.kind.starts_with("pkcs12") || row.kind.starts_with("cert")
}

/// What became of a row, as one word; panics if it is wrong.
fn try_row(row: &Row, folder: &Path) -> &'static str {
    let octets = std::fs::read(folder.join(&row.file)).expect(&row.file);
    if is_container(row) {
        return try_container(row, &octets);
    }
    if row.expect == "reject" {
        assert!(read_certificates(&octets, None, row.password.as_ref()).is_err(), "{} gives certificates", row.file);
    }
    match (row.expect.as_str(), read_key(&octets, None, row.password.as_ref())) {
        ("reject", Ok(key)) => panic!("{} gives {:?}", row.file, key.public()),
        (_, Ok(key)) => {
            if row.spki_sha256 != "-" {
                let spki = key.public().spki_der();
                let listed = if key.public().is_pss_only() { plain_rsa(spki) } else { spki.to_vec() };
                assert_eq!(sha256(&listed), row.spki_sha256, "{}", row.file);
            }
            if let KeyMaterial::Private(key) = key {
                let again = PrivateKey::from_bytes(key.to_bytes().expose()).expect(&row.file);
                assert_eq!(again.public(), key.public(), "{}", row.file);
                assert_eq!(key.ssh_key().is_ok(), !key.public().is_pss_only(), "{}", row.file);
            }
            no_other_password(row, |password| read_key(&octets, None, password).map(drop));
            "loaded"
        }
        ("accept", Err(error)) => {
            let text = error.to_string();
            assert!(REFUSED_FOR_GOOD.iter().any(|(says, _)| text.contains(says)), "{}: {text}", row.file);
            "refused for good"
        }
        (_, Err(error)) => {
            assert!(error.to_string().len() > 20, "{}: {error}", row.file);
            "refused"
        }
    }
}

fn try_container(row: &Row, octets: &[u8]) -> &'static str {
    match (row.expect.as_str(), read_certificates(octets, None, row.password.as_ref())) {
        ("reject", Ok(_)) => panic!("{} gives certificates", row.file),
        (_, Ok(contents)) => {
            check_contents(row, &contents);
            no_other_password(row, |password| match read_certificates(octets, None, password) {
                Ok(_) => Ok(()),
                Err(CertificateFileError::Key(error)) => Err(error),
                Err(other) => panic!("{}: {other}", row.file),
            });
            "loaded"
        }
        ("accept", Err(error)) => panic!("{}: {error}", row.file),
        (_, Err(error)) => {
            assert!(error.to_string().len() > 20, "{}: {error}", row.file);
            "refused"
        }
    }
}

fn check_contents(row: &Row, contents: &Contents) {
    if let Some((_, count)) = row.contents.split_once("certs:") {
        assert_eq!(contents.certificates.len().to_string(), count, "{}", row.file);
    }
    assert!(!row.contents.contains("key:none") || contents.keys.is_empty(), "{}", row.file);
    assert!(!row.contents.contains("key:ec") || contents.keys.len() == 1, "{}", row.file);
    if row.cert_sha256 != "-" {
        let all: Vec<String> = contents.certificates.iter().map(|found| sha256(&found.der)).collect();
        assert!(all.contains(&row.cert_sha256), "{}", row.file);
    }
    // Where either answer will do, the list has the key as a tool wrote it anew, not as it stands in the file.
    if row.spki_sha256 != "-" && row.expect == "accept" {
        let keys = contents.keys.iter().map(|found| sha256(found.key.public().spki_der()));
        let all: Vec<String> = contents.certificates.iter().map(|found| spki_sha256(&found.der)).chain(keys).collect();
        assert!(all.contains(&row.spki_sha256), "{}: {all:?}", row.file);
    }
}

/// Hash of the SubjectPublicKeyInfo: the field of the signed part behind serial number, algorithm, two names and dates.
fn spki_sha256(certificate: &[u8]) -> String {
    let signed = &certificate[head(certificate).0..];
    let mut rest = &signed[head(signed).0..];
    let before = if rest[0] == 0xa0 { 6 } else { 5 };
    for _ in 0..before {
        let (head, len) = head(rest);
        rest = &rest[head + len..];
    }
    let (head, len) = head(rest);
    sha256(&rest[..head + len])
}

/// Octets of tag and length, and of what follows.
fn head(der: &[u8]) -> (usize, usize) {
    match der[1] {
        short @ ..0x80 => (2, usize::from(short)),
        long => {
            let octets = usize::from(long & 0x7f);
            (2 + octets, der[2..2 + octets].iter().fold(0, |n, o| n << 8 | usize::from(*o)))
        }
    }
}

/// A password that is not the right one opens nothing that needs one, and the error says which it was.
fn no_other_password(row: &Row, open: impl Fn(Option<&Secret<String>>) -> Result<(), KeyError>) {
    let Some(right) = &row.password else { return };
    if open(None).is_ok() {
        return;
    }
    for wrong in ["", "x", &format!("{}x", right.expose()), &right.expose().to_uppercase()] {
        if wrong != right.expose() {
            assert_eq!(open(Some(&Secret::new(wrong.to_owned()))).err(), Some(KeyError::PasswordWrong), "{}", row.file);
        }
    }
}

// CERT-15, KEY-1, KEY-2, KEY-9
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
    for kind in [
        "key-der",
        "pub-der",
        "trad-pem",
        "trad-enc-pem",
        "pkcs8-pem",
        "pkcs8-enc-pem",
        "pub-pem",
        "openssh-priv",
        "openssh-pub",
        "pkcs12",
        "pkcs7-der",
        "pkcs7-pem",
        "cert-pem",
        "cert-der",
    ] {
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
