//! Signatures by a key in a token.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::ObjectHandle;

use super::TokenError;
use super::find;
use super::module::{Live, Module};
use super::uri::TokenUri;
use crate::asn1::{SEQUENCE, integers, value};
use crate::parts::Number;
use crate::signer::fits;
use crate::{PublicKey, SignError, SignatureScheme, Signer};

/// A private key in a token, known by its handle.
pub struct TokenSigner {
    module: Arc<Module>,
    uri: TokenUri,
    public: PublicKey,
    /// The handle, and the generation of sessions that it is good for.
    handle: Mutex<Option<(u64, ObjectHandle)>>,
}

impl TokenSigner {
    pub(super) const fn new(module: Arc<Module>, uri: TokenUri, public: PublicKey) -> Self {
        Self { module, uri, public, handle: Mutex::new(None) }
    }

    /// Its name.
    #[must_use]
    pub const fn uri(&self) -> &TokenUri {
        &self.uri
    }

    /// Whether the key is there and belongs to its public part.
    ///
    /// # Errors
    /// [`TokenError`] says what to do.
    pub fn prove(&self) -> Result<(), TokenError> {
        let unusable = |why: &str| TokenError::Unusable { wanted: self.uri.key(), why: why.to_owned() };
        let scheme =
            SignatureScheme::of(&self.public).last().ok_or_else(|| unusable("no signatures are known of it"))?;
        match self.sign(*scheme, PROOF) {
            Ok(signature) if self.public.verifies(*scheme, PROOF, &signature) => Ok(()),
            Ok(_) => Err(unusable("its signature does not belong to its public part: copy the right one there")),
            Err(SignError::Token(e)) => Err(e),
            Err(other) => Err(unusable(&other.to_string())),
        }
    }

    fn handle(&self, live: &Live<'_>) -> Result<ObjectHandle, TokenError> {
        let known = *self.handle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, handle)) = known.filter(|(generation, _)| *generation == live.generation) {
            return Ok(handle);
        }
        let found = find::private(live, &self.uri)?;
        if found.public != self.public {
            let why = "it is another key than the one that was registered: import it under its own name";
            return Err(TokenError::Unusable { wanted: self.uri.key(), why: why.to_owned() });
        }
        *self.handle.lock().unwrap_or_else(PoisonError::into_inner) = Some((live.generation, found.handle));
        Ok(found.handle)
    }
}

impl Signer for TokenSigner {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, SignError> {
        fits(&self.public, scheme)?;
        let (mechanism, input) = asked(scheme, message);
        let made = self.module.with(self.uri.place(), |live| {
            let handle = self.handle(live)?;
            live.session.sign(&mechanism, handle, &input).map_err(|e| live.failed(&e))
        })?;
        Ok(match scheme {
            SignatureScheme::EcdsaNistp256Sha256
            | SignatureScheme::EcdsaNistp384Sha384
            | SignatureScheme::EcdsaNistp521Sha512 => ecdsa_value(&made),
            _ => made,
        })
    }

    fn may_wait(&self) -> bool {
        true
    }
}

impl fmt::Debug for TokenSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenSigner({}, {:?})", self.uri, self.public)
    }
}

/// What the token is asked: the message is hashed here, so that it need not travel, and so that tokens serve which know the
/// bare mechanism only.
fn asked(scheme: SignatureScheme, message: &[u8]) -> (Mechanism<'static>, Vec<u8>) {
    let pss = |hash_alg, mgf, octets: u64| Mechanism::RsaPkcsPss(PkcsPssParams { hash_alg, mgf, s_len: octets.into() });
    let (sha256, sha384, sha512) = (|| hash(&SHA256, message), || hash(&SHA384, message), || hash(&SHA512, message));
    match scheme {
        SignatureScheme::RsaPkcs1Sha256 => (Mechanism::RsaPkcs, [SHA256_INFO, &sha256()].concat()),
        SignatureScheme::RsaPkcs1Sha384 => (Mechanism::RsaPkcs, [SHA384_INFO, &sha384()].concat()),
        SignatureScheme::RsaPkcs1Sha512 => (Mechanism::RsaPkcs, [SHA512_INFO, &sha512()].concat()),
        SignatureScheme::RsaPssSha256 => (pss(MechanismType::SHA256, PkcsMgfType::MGF1_SHA256, 32), sha256()),
        SignatureScheme::RsaPssSha384 => (pss(MechanismType::SHA384, PkcsMgfType::MGF1_SHA384, 48), sha384()),
        SignatureScheme::RsaPssSha512 => (pss(MechanismType::SHA512, PkcsMgfType::MGF1_SHA512, 64), sha512()),
        SignatureScheme::EcdsaNistp256Sha256 => (Mechanism::Ecdsa, sha256()),
        SignatureScheme::EcdsaNistp384Sha384 => (Mechanism::Ecdsa, sha384()),
        SignatureScheme::EcdsaNistp521Sha512 => (Mechanism::Ecdsa, sha512()),
        SignatureScheme::Ed25519 => (Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure)), message.to_vec()),
    }
}

fn hash(algorithm: &'static aws_lc_rs::digest::Algorithm, message: &[u8]) -> Vec<u8> {
    digest(algorithm, message).as_ref().to_vec()
}

/// A token gives r and s one after the other (PKCS#11 3.0 section 2.3.1); others want them as ASN.1.
fn ecdsa_value(made: &[u8]) -> Vec<u8> {
    let (r, s) = made.split_at_checked(made.len() / 2).unwrap_or((made, &[]));
    let numbers = integers(&[&Number::new(r), &Number::new(s)]);
    value(SEQUENCE, &[&numbers]).to_vec()
}

/// What stands before a hash in a PKCS#1 signature (RFC 8017 section 9.2).
const SHA256_INFO: &[u8] = &[0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];
const SHA384_INFO: &[u8] = &[0x30, 0x41, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2, 5, 0, 4, 0x30];
const SHA512_INFO: &[u8] = &[0x30, 0x51, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3, 5, 0, 4, 0x40];
/// What a key signs to show that it is there. It looks like nothing else that is signed.
const PROOF: &[u8] = b"gatehouse: this key is in its token";
