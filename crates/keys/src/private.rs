//! Private keys.
use base::Secret;
use crate::{KeyAlgorithm, KeyError, PublicKey};
/// A private key that was checked.
#[derive(Debug)]
pub struct PrivateKey { public: PublicKey }
#[allow(missing_docs)]
impl PrivateKey {
    pub fn generate(_: KeyAlgorithm, _bits: Option<u32>) -> Result<Self, KeyError> { todo!() }
    pub fn public(&self) -> &PublicKey { &self.public }
    pub fn to_bytes(&self) -> Secret<Vec<u8>> { todo!() }
    pub fn from_bytes(_: &[u8]) -> Result<Self, KeyError> { todo!() }
    pub fn ssh_key(&self) -> Result<ssh_key::PrivateKey, KeyError> { todo!() }
}
/// What a key file holds.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum KeyMaterial { Private(PrivateKey), Public(PublicKey) }
#[allow(missing_docs)]
impl KeyMaterial {
    pub fn public(&self) -> &PublicKey { match self { Self::Private(k) => k.public(), Self::Public(k) => k } }
}
