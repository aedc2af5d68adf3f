//! Keys for the tests of this crate, made on the spot.

use std::sync::OnceLock;

use base::Secret;

use crate::parts::{DssPrivate, DssPublic, Number, PrivateParts};
use crate::{KeyAlgorithm, PrivateKey};

/// A fresh key; the RSA key is made once, since that takes time.
pub(crate) fn any_key(algorithm: KeyAlgorithm) -> PrivateKey {
    static RSA: OnceLock<Secret<Vec<u8>>> = OnceLock::new();
    match algorithm {
        KeyAlgorithm::Dss => dss_key(),
        KeyAlgorithm::Rsa => {
            let stored = RSA.get_or_init(|| PrivateKey::generate(algorithm, Some(2048)).unwrap().to_bytes());
            PrivateKey::from_bytes(stored.expose()).unwrap()
        }
        other => PrivateKey::generate(other, None).unwrap(),
    }
}

/// A fresh DSS key of 1024 bits in a domain that was made for these tests.
pub(crate) fn dss_key() -> PrivateKey {
    let x = Number::new(&base::random::<19>().unwrap());
    let public = DssPublic::of([P, Q, G].map(number), &x).unwrap();
    PrivateKey::from_parts(PrivateParts::Dss(DssPrivate { public, x })).unwrap()
}

pub(crate) fn number(hex: &str) -> Number {
    Number::new(&base::unhex(hex).unwrap())
}

/// `content` as one PEM block.
pub(crate) fn armoured(label: &str, content: &[u8]) -> String {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD.encode(content);
    format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")
}

const P: &str = "99af536761b8e7cdc7720bf8f7ff8c98cc5c4d29684b270e7893e750d5a5a1eeadbdbbe957042f403618a5267badae24\
                 96a10a8ccf033e4f82acd1fe00c8ed67740fc58bb98ff4ce6e9e6d672ba35f72edb3e863ef1bdd536ecc4456cf6de17d\
                 7abd7456a6dd8bab4bd040f6f764c522db8f6c72fe4a29ebc46b40f449715c2f";
const Q: &str = "ca752935a1dcb333bc8f638706708efcdb67a125";
const G: &str = "6220f702df3e9c903a2b40d80f02623fffe6dcc11bb77cc2613b1159e1b5238b251e1c1c7e8c6a5cb2e01f8b14dbeb94\
                 1da2c1c20127b1be728b86d282a9ff9c7fb30fad35c64bbc2a828c2e0f9485b3f683269398f7ced06ee28d9b66d08e36\
                 acf98e98601fdb460a70f700586f165d6e72925776ab84d68801ecb2a309b1a6";

// A key of 1024 bits whose subgroup has 224, as OpenSSL 3 makes them: refused with what to do.
#[test]
fn a_dss_subgroup_that_ssh_cannot_carry_is_refused() {
    let q = format!("01{}", "00".repeat(27));
    let error = DssPublic::of([P, &q, G].map(number), &Number::new(&[7])).err().unwrap();
    assert_eq!(error, crate::KeyError::DssSubgroup { bits: 217 });
    assert!(error.to_string().contains("needs 160"), "{error}");
}

#[test]
fn dss_values_outside_their_subgroup_are_refused() {
    let key = dss_key();
    let PrivateParts::Dss(good) = key.parts() else { panic!("other kind") };
    let DssPublic { p, q, g, y } = good.public.clone();
    let one = Number::new(&[1]);
    for (what, bad) in [
        ("g is 1", DssPublic { p: p.clone(), q: q.clone(), g: one.clone(), y: one.clone() }),
        ("y is 1", DssPublic { p: p.clone(), q: q.clone(), g: g.clone(), y: one.clone() }),
        ("y is p - 1", DssPublic { p: p.clone(), q: q.clone(), g: g.clone(), y: p.less_one() }),
        ("y is above p", DssPublic { p: p.clone(), q: q.clone(), g: g.clone(), y: y.plus(&p) }),
        ("p is even", DssPublic { p: p.less_one(), q: q.clone(), g: g.clone(), y: y.clone() }),
        ("q is another prime", DssPublic { p, q: q.plus(&one).plus(&one), g, y }),
    ] {
        assert!(crate::PublicKey::from_parts(&crate::parts::PublicParts::Dss(bad)).is_err(), "{what}");
    }
}

// KEY-8: nothing of a key can be changed once it is held, and equality and fingerprint follow the whole public key.
#[test]
fn a_key_is_what_it_was_read_as() {
    for algorithm in KeyAlgorithm::ALL {
        let key = any_key(algorithm);
        let again = crate::PublicKey::from_spki_der(key.public().spki_der()).unwrap();
        assert_eq!(&again, key.public());
        assert_eq!((again.algorithm(), again.bits()), (algorithm, key.public().bits()));
        assert_eq!(again.fingerprint(), key.public().fingerprint());
        assert_eq!(crate::PublicKey::from_ssh_blob(key.public().ssh_blob()).unwrap(), again);
    }
    assert_ne!(any_key(KeyAlgorithm::Ed25519).public(), any_key(KeyAlgorithm::Ed25519).public());
}

/// What has the shape of a certificate and no more.
pub(crate) fn certificate_shape(serial: u8) -> Vec<u8> {
    use crate::asn1::{SEQUENCE, bits, value};
    let empty = value(SEQUENCE, &[]);
    let version = value(0xa0, &[&[2, 1, 2]]);
    let inner = value(SEQUENCE, &[&version, &[2, 1, serial], &empty, &empty, &empty, &empty, &empty]);
    value(SEQUENCE, &[&inner, &empty, &bits(&[])]).to_vec()
}
