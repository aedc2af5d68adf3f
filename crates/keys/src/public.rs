//! Public keys.
use crate::{Fingerprint, KeyAlgorithm, KeyError};
/// A public key that was checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublicKey { blob: Vec<u8>, spki: Vec<u8> }
#[allow(missing_docs)]
impl PublicKey {
    pub fn from_ssh_blob(_: &[u8]) -> Result<Self, KeyError> { todo!() }
    pub fn from_spki_der(_: &[u8]) -> Result<Self, KeyError> { todo!() }
    pub fn algorithm(&self) -> KeyAlgorithm { todo!() }
    pub fn bits(&self) -> u32 { todo!() }
    pub fn ssh_blob(&self) -> &[u8] { &self.blob }
    pub fn spki_der(&self) -> &[u8] { &self.spki }
    pub fn fingerprint(&self) -> Fingerprint { todo!() }
    pub fn openssh_line(&self, _comment: &str) -> String { todo!() }
    pub fn ssh_name(&self) -> &'static str { self.algorithm().ssh_name() }
}
