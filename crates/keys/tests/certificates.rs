//! Certificates of other projects, from the folder that `GATEHOUSE_FIXTURES` names. Without it nothing is read, and said so.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "the whole file is a test, helpers too"
)]

use std::path::Path;

use base::hex;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keys::certificate::{Certificate, CertificateError};

/// The first certificate of a file in DER or PEM; blocks that hold something else are passed over.
fn first(file: &[u8]) -> Result<Certificate, CertificateError> {
    let Ok(text) = std::str::from_utf8(file) else { return Certificate::from_der(file) };
    let blocks = text.split("-----BEGIN ").filter(|block| block.contains("CERTIFICATE-----"));
    let bodies = blocks.filter_map(|block| block.split("-----").nth(1)).map(|body| {
        // RFC 1421 headers end at an empty line.
        let body = body.split_once("\n\n").map_or(body, |(_, body)| body);
        STANDARD.decode(body.split_whitespace().collect::<String>())
    });
    let mut read = bodies.filter_map(Result::ok).map(|der| Certificate::from_der(&der));
    let first = read.next().expect("a certificate");
    first.or_else(|why| read.find_map(Result::ok).ok_or(why))
}

// CERT-4, CERT-14, CERT-29: what other products made, old and odd, is read and says what two other readers found in it.
#[test]
fn certificates_of_the_field() {
    let Ok(folder) = std::env::var("GATEHOUSE_FIXTURES") else {
        println!("GATEHOUSE_FIXTURES is not set: no certificates of other projects were read");
        return;
    };
    let folder = Path::new(&folder).join("containers");
    let table = std::fs::read_to_string(folder.join("expected.tsv")).expect("the table of fixtures");
    let (mut accepted, mut refused) = (0, Vec::new());
    for row in table.lines().skip(1).map(|line| line.split('\t').collect::<Vec<_>>()) {
        let [file, "cert-pem" | "cert-der", _, expect, contents, policy, spki, leaf, ..] = row[..] else { continue };
        let read = first(&std::fs::read(folder.join(file)).unwrap());
        match (expect, read) {
            ("accept", Ok(read)) => {
                assert!(spki == "-" || hex(&read.spki_sha256()) == spki, "{file}: another key");
                assert!(leaf == "-" || hex(read.sha256()) == leaf, "{file}: another certificate");
                let key = read.public_key();
                // RSA below 1024 bits and DSA as OpenSSL 3 makes it are shown, but no key that anybody may use.
                let known = policy != "in" || key.is_ok() || contents.contains("dsa") || contents.contains("rsa512");
                assert!(known, "{file}: {contents}: {key:?}");
                assert!(!read.lines().is_empty());
                accepted += 1;
            }
            ("reject" | "either", Err(why)) => refused.push(format!("{file}: {why}")),
            ("either", Ok(_)) => accepted += 1,
            (_, read) => panic!("{file}: {expect} expected, came {read:?}"),
        }
    }
    println!("{accepted} certificates read, refused: {refused:#?}");
    assert!(accepted > 28, "{accepted} certificates read");
}
