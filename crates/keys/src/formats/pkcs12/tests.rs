//! PKCS#12 files of our own making, whole and damaged. Those of other programs are read in `tests/`.

use base::Secret;
use proptest::prelude::*;

use super::*;
use crate::asn1::{OCTET_STRING, SEQUENCE, ZERO, oid, value};
use crate::formats::certificates::{read_certificates, recognise_certificates};
use crate::tests::{any_key, certificate_shape};
use crate::{KeyAlgorithm, PrivateKey};

fn password(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn file(key: &PrivateKey, with: &Secret<String>) -> Vec<u8> {
    let (own, issuer) = (certificate_shape(1), certificate_shape(2));
    write_pkcs12(key, &[&own, &issuer], "own clé", with).unwrap().expose().clone()
}

fn refused(file: &[u8], with: Option<&Secret<String>>) -> CertificateFileError {
    read_certificates(file, None, with).unwrap_err()
}

#[test]
fn what_we_write_is_read() {
    let with = password("ein Passwört 😀");
    for algorithm in KeyAlgorithm::ALL {
        let key = any_key(algorithm);
        let file = file(&key, &with);
        assert_eq!(recognise_certificates(&file), Some(CertificateFileFormat::Pkcs12));
        let mut read = read_certificates(&file, Some(CertificateFileFormat::Pkcs12), Some(&with)).unwrap();
        assert_eq!(read.certificates.len(), 2);
        assert_eq!(read.certificates[0].der, certificate_shape(1));
        assert_eq!(read.certificates[0].name.as_deref(), Some("own clé"));
        assert_eq!(read.certificates[1].name, None);
        assert_eq!(read.certificates[0].key_id, read.keys[0].key_id);
        assert!(read.weaknesses.is_empty() && read.passed_over.is_empty());
        let own = read.take_key(key.public()).unwrap();
        assert_eq!(own.to_bytes().expose(), key.to_bytes().expose(), "{algorithm}");
        assert!(read.take_key(key.public()).is_none());
    }
}

#[test]
fn a_wrong_password_never_loads() {
    let key = any_key(KeyAlgorithm::Ed25519);
    let file = file(&key, &password("open sesame"));
    assert_eq!(refused(&file, None), KeyError::PasswordNeeded.into());
    for wrong in ["", "open Sesame", "open sesame ", "open sesam"] {
        assert_eq!(refused(&file, Some(&password(wrong))), KeyError::PasswordWrong.into(), "{wrong:?}");
    }
    let unprotected = write_pkcs12(&key, &[], "x", &password(""));
    assert_eq!(unprotected.unwrap_err(), KeyError::PasswordNeeded);
}

// The check value covers everything: no changed octet gives other contents.
#[test]
fn changed_files_are_refused() {
    let with = password("x");
    let file = file(&any_key(KeyAlgorithm::Ed25519), &with);
    for at in (0..file.len()).step_by(23) {
        let mut changed = file.clone();
        changed[at] ^= 1;
        let read = read_certificates(&changed, Some(CertificateFileFormat::Pkcs12), Some(&with));
        assert!(read.is_err(), "changed at {at}");
    }
    for cut in (0..file.len()).step_by(37) {
        assert!(read_certificates(&file[..cut], None, Some(&with)).is_err(), "cut at {cut}");
    }
}

/// A file without check value and encryption, with these bags.
fn plain(bags: &[u8]) -> Vec<u8> {
    let explicit = |content: &[u8]| value(0xa0, &[content]).to_vec();
    let data = |content: &[u8]| value(SEQUENCE, &[&oid(DATA), &explicit(&value(OCTET_STRING, &[content]))]).to_vec();
    let safe = value(SEQUENCE, &[&data(&value(SEQUENCE, &[bags]))]);
    value(SEQUENCE, &[&[2, 1, 3], &data(&safe)]).to_vec()
}

#[test]
fn a_file_without_protection_is_told() {
    let key = any_key(KeyAlgorithm::Ed25519);
    let bag = value(SEQUENCE, &[&oid(bags::KEY), &value(0xa0, &[key.to_bytes().expose()])]);
    let read = read_certificates(&plain(&bag), None, None).unwrap();
    assert_eq!(read.keys.len(), 1);
    assert!(read.weaknesses[0].to_string().contains("without a check value"));
    let empty = refused(&plain(&[]), None);
    assert!(empty.to_string().contains("holds no certificate"), "{empty}");
}

#[test]
fn bags_in_bags_are_bounded() {
    let key = any_key(KeyAlgorithm::Ed25519);
    let mut bag = value(SEQUENCE, &[&oid(bags::KEY), &value(0xa0, &[key.to_bytes().expose()])]).to_vec();
    let wrap =
        |inner: &[u8]| value(SEQUENCE, &[&oid(bags::NESTED), &value(0xa0, &[&value(SEQUENCE, &[inner])])]).to_vec();
    bag = wrap(&bag);
    assert_eq!(read_certificates(&plain(&bag), None, None).unwrap().keys.len(), 1);
    for _ in 0..200 {
        bag = wrap(&bag);
    }
    let deep = refused(&plain(&bag), None).to_string();
    assert!(deep.contains("nested too deeply"), "{deep}");
    let many = bag_of_keys(&key, 17);
    assert_eq!(refused(&plain(&many), None), KeyError::Several { count: 17 }.into());
}

fn bag_of_keys(key: &PrivateKey, count: usize) -> Vec<u8> {
    value(SEQUENCE, &[&oid(bags::KEY), &value(0xa0, &[key.to_bytes().expose()])]).repeat(count)
}

#[test]
fn a_signed_file_is_refused() {
    let signed = value(SEQUENCE, &[&oid(ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2")), &value(0xa0, &[ZERO])]);
    let file = value(SEQUENCE, &[&[2, 1, 3], &signed]);
    assert!(refused(&file, None).to_string().contains("a signature in the place of a password"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_bags_give_an_answer(
        bags in proptest::collection::vec((1_u8..8, proptest::collection::vec(any::<u8>(), 0..60)), 0..5),
    ) {
        let bags: Vec<u8> = bags.iter().flat_map(|(kind, octets)| {
            let id = ObjectIdentifier::new(&format!("1.2.840.113549.1.12.10.1.{kind}")).unwrap();
            value(SEQUENCE, &[&oid(id), &value(0xa0, &[octets])]).to_vec()
        }).collect();
        drop(read_certificates(&plain(&bags), None, Some(&password("x"))));
    }
}
