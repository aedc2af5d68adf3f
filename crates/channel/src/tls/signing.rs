//! A key of ours, in memory or in a token, as the TLS library asks for signatures.

use std::sync::Arc;

use keys::{KeyAlgorithm, SignatureScheme as Scheme};
use rustls::sign::{Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};
use tokio::runtime::{Handle, RuntimeFlavor};

#[derive(Debug)]
pub(super) struct OurKey(pub(super) Arc<dyn keys::Signer>);

impl SigningKey for OurKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let scheme = Scheme::of(self.0.public_key()).iter().find(|scheme| offered.contains(&named(**scheme)))?;
        Some(Box::new(Signing { key: Arc::clone(&self.0), scheme: *scheme }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.0.public_key().algorithm() {
            KeyAlgorithm::Rsa => SignatureAlgorithm::RSA,
            KeyAlgorithm::EcdsaNistp256 | KeyAlgorithm::EcdsaNistp384 | KeyAlgorithm::EcdsaNistp521 => {
                SignatureAlgorithm::ECDSA
            }
            KeyAlgorithm::Ed25519 => SignatureAlgorithm::ED25519,
            KeyAlgorithm::Dss => SignatureAlgorithm::DSA,
        }
    }
}

#[derive(Debug)]
struct Signing {
    key: Arc<dyn keys::Signer>,
    scheme: Scheme,
}

impl Signer for Signing {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let work = || self.key.sign(self.scheme, message);
        let others = Handle::try_current().is_ok_and(|h| h.runtime_flavor() == RuntimeFlavor::MultiThread);
        // A token may take its time: other connections of this thread go on elsewhere.
        let made = if self.key.may_wait() && others { tokio::task::block_in_place(work) } else { work() };
        made.map_err(|error| {
            tracing::error!(%error, "our key did not sign for a TLS handshake");
            Error::General(error.to_string())
        })
    }

    fn scheme(&self) -> SignatureScheme {
        named(self.scheme)
    }
}

const fn named(scheme: Scheme) -> SignatureScheme {
    match scheme {
        Scheme::RsaPkcs1Sha256 => SignatureScheme::RSA_PKCS1_SHA256,
        Scheme::RsaPkcs1Sha384 => SignatureScheme::RSA_PKCS1_SHA384,
        Scheme::RsaPkcs1Sha512 => SignatureScheme::RSA_PKCS1_SHA512,
        Scheme::RsaPssSha256 => SignatureScheme::RSA_PSS_SHA256,
        Scheme::RsaPssSha384 => SignatureScheme::RSA_PSS_SHA384,
        Scheme::RsaPssSha512 => SignatureScheme::RSA_PSS_SHA512,
        Scheme::EcdsaNistp256Sha256 => SignatureScheme::ECDSA_NISTP256_SHA256,
        Scheme::EcdsaNistp384Sha384 => SignatureScheme::ECDSA_NISTP384_SHA384,
        Scheme::EcdsaNistp521Sha512 => SignatureScheme::ECDSA_NISTP521_SHA512,
        Scheme::Ed25519 => SignatureScheme::ED25519,
        _ => SignatureScheme::Unknown(0),
    }
}
