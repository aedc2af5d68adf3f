//! A private key of ours as it is kept: itself, or its name in a token.

use std::sync::Arc;

use base::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::token::{TokenError, TokenUri, Tokens};
use crate::{KeyError, PrivateKey, PublicKey, Signer};

/// A private key of ours.
#[derive(Debug)]
pub enum OwnKey {
    /// Its numbers are here.
    Software(PrivateKey),
    /// They are in a token.
    Token(TokenKeyName),
}

/// A private key in a token, by its name, with its public part.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TokenKeyName {
    /// Where it is.
    pub uri: TokenUri,
    /// Its public part.
    pub public: PublicKey,
}

impl OwnKey {
    /// Its public part.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        match self {
            Self::Software(key) => key.public(),
            Self::Token(key) => &key.public,
        }
    }

    /// Where it is, if that is a token.
    #[must_use]
    pub const fn token(&self) -> Option<&TokenUri> {
        match self {
            Self::Software(_) => None,
            Self::Token(key) => Some(&key.uri),
        }
    }

    /// The one internal form, to be sealed before it is stored: clear PKCS#8 in DER, or three lines that name the key in
    /// its token. These are no secret, but sealed nobody can point an object at another key.
    #[must_use]
    pub fn to_bytes(&self) -> Secret<Vec<u8>> {
        match self {
            Self::Software(key) => key.to_bytes(),
            Self::Token(TokenKeyName { uri, public }) => {
                Secret::new(format!("{HEAD}\n{uri}\n{}\n", STANDARD.encode(public.spki_der())).into_bytes())
            }
        }
    }

    /// The reverse of [`Self::to_bytes`].
    ///
    /// # Errors
    /// As [`PrivateKey::from_bytes`]; [`KeyError::Damaged`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        if !bytes.starts_with(HEAD.as_bytes()) {
            return PrivateKey::from_bytes(bytes).map(Self::Software);
        }
        let damaged = |why: String| KeyError::Damaged { what: "name of a key in a token", why };
        let text = std::str::from_utf8(bytes).map_err(|_| damaged("it is no text".to_owned()))?;
        let lines: Vec<&str> = text.lines().collect();
        let [HEAD, uri, spki] = lines.as_slice() else { return Err(damaged("it has not three lines".to_owned())) };
        let uri = uri.parse().map_err(|e: TokenError| damaged(e.to_string()))?;
        let spki = STANDARD.decode(spki).map_err(|_| damaged("its public part is no base 64".to_owned()))?;
        Ok(Self::Token(TokenKeyName { uri, public: PublicKey::from_spki_der(&spki)? }))
    }

    /// What signs by it.
    ///
    /// # Errors
    /// [`TokenError::NoModule`] if its token's library is not among `tokens`.
    pub fn into_signer(self, tokens: &Tokens) -> Result<Arc<dyn Signer>, TokenError> {
        match self {
            Self::Software(key) => Ok(Arc::new(key)),
            Self::Token(TokenKeyName { uri, public }) => Ok(Arc::new(tokens.signer(&uri, public)?)),
        }
    }
}

impl From<PrivateKey> for OwnKey {
    fn from(key: PrivateKey) -> Self {
        Self::Software(key)
    }
}

const HEAD: &str = "gatehouse-token-key 1";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyAlgorithm;
    use crate::tests::any_key;

    // What was sealed before keys could be in tokens opens as it did.
    #[test]
    fn both_forms_survive() {
        for algorithm in KeyAlgorithm::ALL {
            let key = any_key(algorithm);
            let public = key.public().clone();
            let bytes = key.to_bytes();
            let again = OwnKey::from_bytes(bytes.expose()).unwrap();
            assert!(matches!(&again, OwnKey::Software(again) if *again.public() == public));
            assert_eq!(OwnKey::from(key).to_bytes().expose(), bytes.expose());
            let uri: TokenUri = "pkcs11:token=t;object=o?module-name=m".parse().unwrap();
            let name = TokenKeyName { uri, public };
            let bytes = OwnKey::Token(name.clone()).to_bytes();
            let again = OwnKey::from_bytes(bytes.expose()).unwrap();
            assert!(matches!(&again, OwnKey::Token(again) if *again == name), "{algorithm}");
        }
        for bad in ["gatehouse-token-key 1\n", "gatehouse-token-key 1\nx\ny\n", "gatehouse-token-key 2\n"] {
            assert!(OwnKey::from_bytes(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
