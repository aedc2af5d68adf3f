//! Password hashes.
use base::Secret;
/// Why a password or its hash was refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// No Argon2id hash.
    #[error("no Argon2id password hash")]
    Hash,
}
/// A stored password hash (PHC text).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PasswordHash(String);
#[allow(missing_docs)]
impl PasswordHash {
    pub fn hash(_: &Secret<String>) -> Result<Self, PasswordError> { todo!() }
    pub fn parse(_: &str) -> Result<Self, PasswordError> { todo!() }
    pub fn verify(&self, _: &Secret<String>) -> bool { todo!() }
    pub fn needs_rehash(&self) -> bool { todo!() }
    pub fn as_str(&self) -> &str { &self.0 }
    pub fn decoy() -> &'static Self { todo!() }
}
