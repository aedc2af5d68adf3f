//! Certificates made on the spot, and what is done to them.

use proptest::prelude::*;
use rcgen::{
    BasicConstraints as Basic, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};

use super::*;

fn params() -> CertificateParams {
    let mut params = CertificateParams::new(vec!["gateway.example.com".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CountryName, "RO");
    params.distinguished_name.push(DnType::OrganizationName, "Example");
    params.distinguished_name.push(DnType::CommonName, "gateway");
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2055, 1, 1);
    params
}

fn made(params: CertificateParams) -> Certificate {
    let key = KeyPair::generate().unwrap();
    Certificate::from_der(params.self_signed(&key).unwrap().der()).unwrap()
}

#[test]
fn a_certificate_says_what_was_put_in() {
    let mut wanted = params();
    wanted.is_ca = IsCa::Ca(Basic::Constrained(3));
    wanted.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    wanted.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    wanted.subject_alt_names.push(SanType::IpAddress("192.0.2.1".parse().unwrap()));
    wanted.serial_number = Some(vec![1, 2, 3].into());
    let key = KeyPair::generate().unwrap();
    let read = Certificate::from_der(wanted.self_signed(&key).unwrap().der()).unwrap();
    assert_eq!(read.version(), 3);
    assert_eq!(read.serial_hex(), "010203");
    assert_eq!(read.subject().to_string(), "CN=gateway, C=RO, O=Example");
    assert_eq!(read.subject().cn(), Some("gateway"));
    assert!(read.is_self_issued());
    // CERT-14: the second date is past 2050, so a GeneralizedTime.
    assert_eq!(read.not_before().to_string(), "2026-01-01T00:00:00.000000Z");
    assert_eq!(read.not_after().to_string(), "2055-01-01T00:00:00.000000Z");
    assert_eq!(read.spki_der(), rcgen::PublicKeyData::subject_public_key_info(&key));
    assert_eq!((read.key_kind(), read.key_bits()), (KeyKind::P256, 256));
    assert_eq!(read.public_key().unwrap().spki_der(), read.spki_der());
    assert_eq!(read.signature_algorithm(), SignatureAlgorithm::Ecdsa(HashFunction::Sha256));
    let extensions = read.extensions();
    assert_eq!(extensions.basic_constraints, Some(BasicConstraints { ca: true, path_len: Some(3) }));
    assert_eq!(extensions.key_usage, Some(KeyUsage::KEY_CERT_SIGN.or(KeyUsage::CRL_SIGN)));
    assert_eq!(
        extensions.alt_names,
        [AltName::Dns("gateway.example.com".to_owned()), AltName::Ip("192.0.2.1".parse().unwrap())]
    );
    assert_eq!(CertificateType::detect(&read, false), Some(CertificateType::Root));
    assert_eq!(CertificateType::detect(&read, true), Some(CertificateType::User));
    let lines = read.lines();
    let line = |label: &str| lines.iter().find(|(l, _)| *l == label).map(|(_, text)| text.as_str());
    assert_eq!(line("authority"), Some("yes, at most 3 authorities below it"));
    assert_eq!(line("valid until"), Some("2055-01-01T00:00:00Z"));
    assert_eq!(line("key"), Some("ECDSA P-256 256"));
    assert_eq!(line("SHA-256 fingerprint").map(str::len), Some(95));
}

#[test]
fn both_ends_of_the_validity_are_inside() {
    let read = made(params());
    let micros = |at: UtcMicros, by: i64| UtcMicros(at.0 + by);
    assert!(!read.is_valid_at(micros(read.not_before(), -1)));
    assert!(read.is_valid_at(read.not_before()) && read.is_valid_at(read.not_after()));
    assert!(read.is_valid_at(micros(read.not_after(), 999_999)), "a second is whole");
    assert!(!read.is_valid_at(micros(read.not_after(), 1_000_000)));
}

#[test]
fn damaged_extensions_are_told_and_do_not_hide_the_rest() {
    let mut wanted = params();
    wanted.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 31], vec![1, 2, 3]));
    wanted.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 31], vec![0x30, 0]));
    wanted.custom_extensions.push(CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]));
    let read = made(wanted);
    let oddities = read.oddities();
    let crl_points = extensions::CRL_POINTS;
    assert!(
        matches!(&oddities[..], [Oddity::Damaged(a, _), Oddity::Duplicate(b)] if *a == crl_points && *b == crl_points)
    );
    assert!(oddities.iter().all(Oddity::is_grave));
    assert_eq!(read.extensions().seen.iter().filter(|e| e.reading == Reading::Unknown).count(), 1);
    assert_eq!(read.lines().iter().filter(|(label, _)| *label == "remark").count(), 2);
}

#[test]
fn what_is_too_large_is_refused() {
    let large = vec![0x30; CERTIFICATE_OCTETS_MAX + 1];
    assert_eq!(Certificate::from_der(&large), Err(CertificateError::TooLarge { len: large.len() }));
    let mut wanted = params();
    wanted.subject_alt_names =
        (0..=NAMES_MAX).map(|n| SanType::DnsName(format!("h{n}.example.com").try_into().unwrap())).collect();
    let key = KeyPair::generate().unwrap();
    let refused = Certificate::from_der(wanted.self_signed(&key).unwrap().der()).unwrap_err();
    assert_eq!(refused.to_string(), "certificate has 1001 alternative names: at most 1000 are read");
    let mut wanted = params();
    wanted.custom_extensions = (0..=EXTENSIONS_MAX)
        .map(|n| CustomExtension::from_oid_content(&[1, 2, 3, u64::try_from(n).unwrap()], vec![5, 0]))
        .collect();
    assert!(Certificate::from_der(wanted.self_signed(&key).unwrap().der()).is_err());
}

/// Looks at everything, so that nothing can panic later.
fn look(read: &Certificate) {
    let _ = (read.lines(), read.oddities(), read.public_key().is_ok(), format!("{read:?}"));
}

// Each octet changed, each length cut: an error or a certificate, never a panic.
#[test]
fn damaged_certificates_give_no_panic() {
    let mut wanted = params();
    wanted.is_ca = IsCa::Ca(Basic::Constrained(0));
    let whole = made(wanted).der().to_vec();
    for at in 0..whole.len() {
        assert!(Certificate::from_der(&whole[..at]).is_err(), "cut at {at}");
        for bit in 0..8 {
            let mut changed = whole.clone();
            changed[at] ^= 1 << bit;
            Certificate::from_der(&changed).iter().for_each(look);
        }
    }
    assert!(Certificate::from_der(&[&whole[..], &[0]].concat()).is_err());
}

proptest! {
    #[test]
    fn any_octets_give_an_error_and_no_panic(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Certificate::from_der(&octets).is_err());
    }

    #[test]
    fn any_extension_gives_no_panic(
        id in proptest::sample::select(&[14_u64, 15, 17, 19, 30, 31, 32, 33, 35, 36, 37, 54][..]),
        content in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut wanted = params();
        wanted.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, id], content));
        let read = made(wanted);
        look(&read);
        let name = format!("2.5.29.{id}");
        prop_assert!(read.extensions().seen.iter().any(|e| e.id.to_string() == name));
    }
}
