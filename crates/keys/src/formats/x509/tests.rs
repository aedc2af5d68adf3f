//! What files of certificates look like, and what else is met in them.

use base::Secret;

use crate::tests::{any_key, armoured, certificate_shape};
use crate::{
    CertificateFileError, CertificateFileFormat, KeyAlgorithm, KeyError, KeyFileFormat, KeyMaterial, read_certificates,
    recognise_certificates, write_key, write_pkcs7,
};

fn base64(octets: &[u8]) -> String {
    let text = armoured("X", octets);
    text.lines().nth(1).unwrap().to_owned()
}

fn refused(file: &[u8], format: Option<CertificateFileFormat>) -> String {
    read_certificates(file, format, None).unwrap_err().to_string()
}

// CERT-4: the same certificate in every form.
#[test]
fn a_certificate_is_the_same_in_every_form() {
    // Long enough for the two length octets that base 64 without lines is told by.
    let own = certificate_shape(1);
    let long = crate::asn1::value(0x30, &[&own[2..own.len() - 5], &[0x30, 0], &[3, 0x82, 1, 1, 0], &[7; 256]]).to_vec();
    for (file, format) in [
        (long.clone(), CertificateFileFormat::Der),
        (armoured("CERTIFICATE", &long).into_bytes(), CertificateFileFormat::Base64),
        (armoured("X509 CERTIFICATE", &long).into_bytes(), CertificateFileFormat::Base64),
        (
            armoured("TRUSTED CERTIFICATE", &[&long[..], &[0x30, 0]].concat()).into_bytes(),
            CertificateFileFormat::Base64,
        ),
        (base64(&long).into_bytes(), CertificateFileFormat::Base64),
        (base64(&long).trim_end_matches('=').as_bytes().to_vec(), CertificateFileFormat::Base64),
        (write_pkcs7(&[&long]), CertificateFileFormat::Pkcs7),
        (armoured("PKCS7", &write_pkcs7(&[&long])).into_bytes(), CertificateFileFormat::Pkcs7),
        (armoured("CMS", &write_pkcs7(&[&long])).into_bytes(), CertificateFileFormat::Pkcs7),
    ] {
        assert_eq!(recognise_certificates(&file), Some(format));
        for given in [None, Some(format)] {
            let read = read_certificates(&file, given, None).unwrap();
            assert_eq!(read.certificates.len(), 1);
            assert_eq!(read.certificates[0].der, long, "{format}");
        }
    }
}

#[test]
fn a_format_that_does_not_fit_is_named() {
    let own = certificate_shape(1);
    let text = refused(armoured("CERTIFICATE", &own).as_bytes(), Some(CertificateFileFormat::Der));
    assert_eq!(
        text,
        "format DER was given but the file is a PEM file with certificates: give the right format or leave it out"
    );
    assert!(refused(&own, Some(CertificateFileFormat::Pkcs12)).contains("is a certificate in DER"));
    assert!(refused(&write_pkcs7(&[&own]), Some(CertificateFileFormat::Base64)).contains("a PKCS#7 container"));
}

#[test]
fn other_files_are_named() {
    let key = any_key(KeyAlgorithm::Ed25519);
    let line = key.public().openssh_line("me");
    assert!(refused(line.as_bytes(), None).contains("a key in OPENSSH form"));
    assert!(refused(key.public().spki_der(), None).contains("a key in DER form"));
    assert!(refused(armoured("SOMETHING", &[1]).as_bytes(), None).contains("a PEM file with SOMETHING"));
    assert!(refused(b"", None).contains("an empty file"));
    assert!(refused(b"hello", None).contains("something else"));
    let enveloped = crate::asn1::value(
        0x30,
        &[&crate::asn1::oid(der::asn1::ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.3")), &[0xa0, 2, 0x30, 0]],
    );
    assert!(refused(&enveloped, None).contains("only signed data has certificates"));
    let large = vec![b' '; crate::CONTAINER_OCTETS_MAX + 1];
    assert_eq!(read_certificates(&large, None, None).unwrap_err(), CertificateFileError::TooLarge { len: large.len() });
}

#[test]
fn text_and_other_blocks_around_certificates_do_no_harm() {
    let (one, two) = (armoured("CERTIFICATE", &certificate_shape(1)), armoured("CERTIFICATE", &certificate_shape(2)));
    let junk = armoured("PRIVATE KEY", b"junk");
    let file = format!("text\n{junk}subject=/C=AA\n{one}-----BEGIN CERTIFICATE-----\nAAAA\n{two}tail");
    let read = read_certificates(file.as_bytes(), None, None).unwrap();
    let found: Vec<_> = read.certificates.iter().map(|c| c.der.clone()).collect();
    assert_eq!(found, [certificate_shape(1), certificate_shape(2)]);
    assert_eq!(read.passed_over.len(), 2, "{:?}", read.passed_over);
    assert!(read.passed_over[0].contains("END line is missing"), "{:?}", read.passed_over);
    assert!(read.passed_over[1].starts_with("PEM block PRIVATE KEY"), "{:?}", read.passed_over);
    assert!(refused(armoured("CERTIFICATE", b"junk").as_bytes(), None).contains("it is no certificate"));
}

// A wrong password is never passed over, a missing one is told.
#[test]
fn a_key_beside_its_certificate_is_read() {
    let certificate = armoured("CERTIFICATE", &certificate_shape(1));
    let key = any_key(KeyAlgorithm::EcdsaNistp256);
    let public = key.public().clone();
    let with = Secret::new("open sesame".to_owned());
    let locked = write_key(&KeyMaterial::Private(key), KeyFileFormat::Pem, Some(&with)).unwrap();
    let file = [certificate.as_bytes(), locked.expose()].concat();
    let mut read = read_certificates(&file, None, Some(&with)).unwrap();
    assert!(read.take_key(&public).is_some());
    let read = read_certificates(&file, None, None).unwrap();
    assert!(read.keys.is_empty() && read.passed_over[0].contains("give the password"), "{:?}", read.passed_over);
    let wrong = read_certificates(&file, None, Some(&Secret::new("wrong".to_owned())));
    assert_eq!(wrong.unwrap_err(), KeyError::PasswordWrong.into());
}

#[test]
fn too_many_certificates_are_refused() {
    let own = certificate_shape(1);
    let all: Vec<&[u8]> = std::iter::repeat_n(own.as_slice(), crate::CERTIFICATES_MAX + 1).collect();
    assert_eq!(read_certificates(&write_pkcs7(&all), None, None).unwrap_err(), CertificateFileError::TooMany);
    let pem = armoured("CERTIFICATE", &own).repeat(crate::CERTIFICATES_MAX + 1);
    assert_eq!(read_certificates(pem.as_bytes(), None, None).unwrap_err(), CertificateFileError::TooMany);
}

#[test]
fn names_survive() {
    for format in super::super::certificates::CERTIFICATE_FORMATS.iter().map(|f| f.format()) {
        assert_eq!(format.to_string().to_lowercase().parse(), Ok(format));
    }
    assert!("P12".parse::<CertificateFileFormat>().is_err());
}
