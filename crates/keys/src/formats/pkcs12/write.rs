//! Writing of PKCS#12 files: PBES2 with AES-256 and a check value with SHA-256, which OpenSSL from 1.1, Java from 8u301
//! and Windows from Server 2019 read.

use base::{Secret, random};
use der::asn1::ObjectIdentifier;
use zeroize::Zeroizing;

use super::{DATA, ENCRYPTED_DATA, bags};
use crate::asn1::{NULL, OCTET_STRING, SEQUENCE, ZERO, integer, oid, secret, value};
use crate::limits::PKCS12_STEPS;
use crate::parts::Number;
use crate::pbe::{self, Hash, Purpose, bmp_password, derive_pkcs12};
use crate::{KeyError, PrivateKey};

/// Writes a private key, its certificate and the chain behind it, all under `password`. The file calls the key and its
/// certificate `name`.
///
/// # Errors
/// [`KeyError::PasswordNeeded`] without a password; [`KeyError::Engine`].
pub fn write_pkcs12(
    key: &PrivateKey,
    chain: &[&[u8]],
    name: &str,
    password: &Secret<String>,
) -> Result<Secret<Vec<u8>>, KeyError> {
    let password = password.expose().as_str();
    if password.is_empty() {
        return Err(KeyError::PasswordNeeded);
    }
    let own_id = Hash::Sha256.of(&[key.public().spki_der()]);
    let attributes = attributes(name, &own_id);
    let mut certificates = Vec::new();
    for (n, der) in chain.iter().enumerate() {
        let typed = value(SEQUENCE, &[&oid(bags::X509_CERTIFICATE), &explicit(&value(OCTET_STRING, &[der]))]);
        let tags: &[u8] = if n == 0 { &attributes } else { &[] };
        certificates.extend_from_slice(&value(SEQUENCE, &[&oid(bags::CERTIFICATE), &explicit(&typed), tags]));
    }
    let certificates = value(SEQUENCE, &[&certificates]);
    let (algorithm, content) = pbe::encrypt(&certificates, password, PKCS12_STEPS)?;
    let encrypted = value(SEQUENCE, &[&oid(DATA), &algorithm, &value(IMPLICIT_0, &[&content])]);
    let encrypted = value(SEQUENCE, &[ZERO, &encrypted]);
    let first = value(SEQUENCE, &[&oid(ENCRYPTED_DATA), &explicit(&encrypted)]);

    let pkcs8 = key.to_bytes();
    let (algorithm, content) = pbe::encrypt(pkcs8.expose(), password, PKCS12_STEPS)?;
    let shrouded = value(SEQUENCE, &[&algorithm, &value(OCTET_STRING, &[&content])]);
    let bag = value(SEQUENCE, &[&oid(bags::SHROUDED_KEY), &explicit(&shrouded), &attributes]);
    let second = data(&value(SEQUENCE, &[&bag]));

    let safe = value(SEQUENCE, &[&first, &second]);
    let mac = mac(&safe, password)?;
    let version = value(INTEGER, &[&[3]]);
    Ok(secret(value(SEQUENCE, &[&version, &data(&safe), &mac])))
}

fn mac(content: &[u8], password: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let salt = random::<16>().map_err(|_| KeyError::Engine { what: "taking random numbers of the system" })?;
    let password = bmp_password(Some(password));
    let key = derive_pkcs12((Hash::Sha256, Purpose::Mac), (&password, &salt), PKCS12_STEPS, 32);
    let check = Hash::Sha256.hmac(&key, &[content]);
    let algorithm = value(SEQUENCE, &[&oid(SHA256), NULL]);
    let digest = value(SEQUENCE, &[&algorithm, &value(OCTET_STRING, &[&check])]);
    let steps = integer(&Number::new(&PKCS12_STEPS.to_be_bytes()));
    Ok(value(SEQUENCE, &[&digest, &value(OCTET_STRING, &[&salt]), &steps]))
}

fn attributes(name: &str, key_id: &[u8]) -> Zeroizing<Vec<u8>> {
    let units: Vec<u8> = name.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let name = value(SEQUENCE, &[&oid(bags::FRIENDLY_NAME), &value(SET, &[&value(BMP_STRING, &[&units])])]);
    let key_id = value(SEQUENCE, &[&oid(bags::LOCAL_KEY_ID), &value(SET, &[&value(OCTET_STRING, &[key_id])])]);
    // DER sorts a SET by its octets, and the object identifiers decide.
    if *name < *key_id { value(SET, &[&name, &key_id]) } else { value(SET, &[&key_id, &name]) }
}

/// ContentInfo of data.
fn data(content: &[u8]) -> Zeroizing<Vec<u8>> {
    value(SEQUENCE, &[&oid(DATA), &explicit(&value(OCTET_STRING, &[content]))])
}

/// `[0] EXPLICIT`.
fn explicit(content: &[u8]) -> Zeroizing<Vec<u8>> {
    value(EXPLICIT_0, &[content])
}

const EXPLICIT_0: u8 = 0xa0;
const IMPLICIT_0: u8 = 0x80;
const INTEGER: u8 = 0x02;
const BMP_STRING: u8 = 0x1e;
const SET: u8 = 0x31;
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
