//! What goes over several parts of this folder.

use base::{Secret, hex, unhex};
use proptest::prelude::*;

use super::*;
use crate::asn1::{OCTET_STRING, SEQUENCE, Values, oid, value};
use crate::{DERIVATION_STEPS_MAX, KeyError};

fn opened(algorithm: &[u8], content: &[u8], password: Option<&str>) -> Result<Vec<u8>, KeyError> {
    let password = password.map(|text| Secret::new(text.to_owned()));
    let algorithm = Values::only("test", algorithm).unwrap();
    let mut opening = Opening::new(password.as_ref());
    decrypt("test", (algorithm, content), &mut opening).map(|clear| clear.to_vec())
}

#[test]
fn a_password_opens_what_it_protected() {
    let (algorithm, content) = encrypt(b"a secret", "open sesame", 1000).unwrap();
    assert_eq!(opened(&algorithm, &content, Some("open sesame")).unwrap(), b"a secret");
    // One wrong password in 256 leaves what looks like padding: then it is for the reader of the content to say so.
    let wrong = ["open Sesame", "", "x", "open sesame "].map(|password| opened(&algorithm, &content, Some(password)));
    assert!(wrong.contains(&Err(KeyError::PasswordWrong)) && !wrong.contains(&Ok(b"a secret".to_vec())), "{wrong:?}");
    assert_eq!(opened(&algorithm, &content, None).unwrap_err(), KeyError::PasswordNeeded);
    let (_, again) = encrypt(b"a secret", "open sesame", 1000).unwrap();
    assert_ne!(content, again, "salt and initial vector are fresh (STO-4)");
    let long = "x".repeat(crate::KEY_PASSWORD_OCTETS_MAX + 1);
    assert!(matches!(opened(&algorithm, &content, Some(&long)), Err(KeyError::PasswordLong { .. })));
}

// The test vectors of RFC 6070 (PBKDF2), and of PKCS#12 as its implementations agree on them.
#[test]
fn known_answers() {
    let derived = derive_pbkdf2(Hash::Sha1, (b"password", b"salt"), 2, 20);
    assert_eq!(hex(&derived), "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957");
    let salt = unhex("0a58cf64530d823f").unwrap();
    let key = derive_pkcs12((Hash::Sha1, Purpose::Key), (&bmp_password(Some("smeg")), &salt), 1, 24);
    assert_eq!(hex(&key), "8aaae6297b6cb04642ab5b077851284eb7128f1a2a7fbca3");
}

#[test]
fn the_absent_password_is_not_the_empty_one() {
    assert_eq!(bmp_password(None).as_slice(), b"");
    assert_eq!(bmp_password(Some("")).as_slice(), [0, 0]);
    assert_eq!(bmp_password(Some("aé")).as_slice(), [0, b'a', 0, 0xe9, 0, 0]);
    assert_eq!(bmp_password(Some("😀")).as_slice(), [0xd8, 0x3d, 0xde, 0x00, 0, 0]);
}

// A file cannot make us count for hours or fill the memory, neither at once nor bit by bit.
#[test]
fn key_derivation_is_bounded() {
    let pbes2 = |name: &str, parameters: &[u8]| {
        let id = |text: &str| oid(der::asn1::ObjectIdentifier::new_unwrap(text));
        let derivation = value(SEQUENCE, &[&id(name), parameters]);
        let cipher = value(SEQUENCE, &[&id("2.16.840.1.101.3.4.1.42"), &value(OCTET_STRING, &[&[0; 16]])]);
        let both = value(SEQUENCE, &[&derivation, &cipher]);
        value(SEQUENCE, &[&id("1.2.840.113549.1.5.13"), &both]).to_vec()
    };
    let refused = |algorithm: &[u8]| opened(algorithm, &[0; 32], Some("x")).unwrap_err();
    let pbkdf2 = |steps| pbes2("1.2.840.113549.1.5.12", &pbkdf2_parameters(b"salt", steps));
    assert!(matches!(refused(&pbkdf2(u32::MAX)), KeyError::Derivation { .. }));
    assert!(refused(&pbkdf2(0)).to_string().contains("not stretched"));
    for numbers in
        [[1_u32 << 30, 8, 1], [1 << 20, 8, 1], [16, 8, 1 << 29], [15, 8, 1], [0, 8, 1], [16, 0, 1], [16, 8, 0]]
    {
        let integers: Vec<u8> = numbers
            .iter()
            .flat_map(|n| crate::asn1::integer(&crate::parts::Number::new(&n.to_be_bytes())).to_vec())
            .collect();
        let parameters = value(SEQUENCE, &[&value(OCTET_STRING, &[b"salt"]), &integers]);
        let refused = refused(&pbes2("1.3.6.1.4.1.11591.4.11", &parameters));
        assert!(matches!(refused, KeyError::Derivation { .. } | KeyError::Damaged { .. }), "{numbers:?}: {refused}");
    }

    let mut opening = Opening::new(None);
    assert!(opening.spend("test", DERIVATION_STEPS_MAX - 1).is_ok());
    assert!(opening.spend("test", 1).is_ok());
    assert!(matches!(opening.spend("test", 1), Err(KeyError::Derivation { .. })));
}

#[test]
fn a_weakness_is_told_once() {
    let mut opening = Opening::new(None);
    opening.weak("encryption with RC2");
    opening.weak("encryption with RC2");
    let told: Vec<String> = opening.into_weaknesses().iter().map(ToString::to_string).collect();
    assert_eq!(told, ["encryption with RC2 protects little today: it was read, but is never written"]);
}

proptest! {
    #[test]
    fn any_cipher_and_key_give_an_answer(
        key in proptest::collection::vec(any::<u8>(), 0..40),
        iv in proptest::collection::vec(any::<u8>(), 0..20),
        content in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let ciphers = [
            Cipher::Des, Cipher::TripleDes, Cipher::TripleDesTwoKeys, Cipher::Aes128, Cipher::Aes192, Cipher::Aes256,
            Cipher::Rc2 { octets: 5, bits: 40 }, Cipher::Rc2 { octets: 16, bits: 128 }, Cipher::Rc4 { octets: 16 },
        ];
        for cipher in ciphers {
            if let Some(clear) = cipher.decrypt(&key, &iv, &content) {
                prop_assert!(clear.len() <= content.len());
            }
        }
    }
}
