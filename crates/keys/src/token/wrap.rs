//! Small secrets that only a token can open: encrypted by an AES key that never leaves it (AES-GCM, NIST SP 800-38D).

use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use zeroize::Zeroizing;

use super::TokenError;
use super::find;
use super::module::Live;
use super::uri::TokenUri;

/// Nonce, ciphertext, tag.
pub(super) fn wrap(live: &Live<'_>, uri: &TokenUri, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, TokenError> {
    let key = key(live, uri)?;
    let mut nonce = base::random::<NONCE_OCTETS>().map_err(|_| TokenError::Unusable {
        wanted: uri.key(),
        why: "the system gives no random numbers".to_owned(),
    })?;
    let given = nonce;
    let sealed = {
        let params = GcmParams::new(&mut nonce, aad, TAG_BITS.into()).map_err(|e| live.failed(&e))?;
        live.session.encrypt(&Mechanism::AesGcm(params), key, plain).map_err(|e| live.failed(&e))?
    };
    // Some tokens choose the nonce by themselves, and write it there.
    let wrapped = [nonce.as_slice(), &sealed].concat();
    let opened = unwrap(live, uri, aad, &wrapped)?;
    if given.len() + plain.len() + TAG_OCTETS == wrapped.len() && *opened == plain {
        return Ok(wrapped);
    }
    Err(TokenError::Unusable { wanted: uri.key(), why: "what it encrypts does not open again".to_owned() })
}

pub(super) fn unwrap(
    live: &Live<'_>,
    uri: &TokenUri,
    aad: &[u8],
    wrapped: &[u8],
) -> Result<Zeroizing<Vec<u8>>, TokenError> {
    let not_opened = || TokenError::NotOpened { wanted: uri.key() };
    let (nonce, sealed) = wrapped.split_first_chunk::<NONCE_OCTETS>().ok_or_else(not_opened)?;
    let key = key(live, uri)?;
    let mut nonce = *nonce;
    let params = GcmParams::new(&mut nonce, aad, TAG_BITS.into()).map_err(|e| live.failed(&e))?;
    match live.session.decrypt(&Mechanism::AesGcm(params), key, sealed) {
        Ok(plain) => Ok(Zeroizing::new(plain)),
        // A wrong tag: GENERAL_ERROR is what SoftHSM 2.6 says.
        Err(Error::Pkcs11(
            RvError::EncryptedDataInvalid | RvError::EncryptedDataLenRange | RvError::GeneralError,
            _,
        )) => Err(not_opened()),
        Err(e) => Err(live.failed(&e)),
    }
}

/// The AES key that a URI names, of 256 bits.
fn key(live: &Live<'_>, uri: &TokenUri) -> Result<ObjectHandle, TokenError> {
    let unusable = |why: &str| TokenError::Unusable { wanted: uri.key(), why: why.to_owned() };
    let kind = [Attribute::Class(ObjectClass::SECRET_KEY), Attribute::KeyType(KeyType::AES)];
    let key = find::object(live, uri, &kind, "AES key")?;
    let kinds = [AttributeType::ValueLen, AttributeType::Encrypt, AttributeType::Decrypt, AttributeType::Extractable];
    for attribute in live.session.get_attributes(key, &kinds).map_err(|e| live.failed(&e))? {
        match attribute {
            Attribute::ValueLen(len) if *len != KEY_OCTETS => return Err(unusable("it has not 256 bits: make one")),
            Attribute::Encrypt(false) | Attribute::Decrypt(false) => {
                return Err(unusable("it may not encrypt and decrypt: make one that may"));
            }
            Attribute::Extractable(true) => {
                return Err(unusable("it can be read out of the token: make one that can't"));
            }
            _ => {}
        }
    }
    Ok(key)
}

const KEY_OCTETS: u64 = 32;
const NONCE_OCTETS: usize = 12;
const TAG_OCTETS: usize = 16;
const TAG_BITS: u64 = 128;
