//! Sealing of secrets at rest.
use std::path::Path;
use base::Secret;
/// Why sealing or opening failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Does not open.
    #[error("sealed value does not open")]
    Open,
}
/// The key that seals secrets at rest.
pub struct MasterKey { id: String }
#[allow(missing_docs)]
impl MasterKey {
    pub fn generate() -> Result<Self, SealError> { todo!() }
    pub fn load(_: &Path) -> Result<Self, SealError> { todo!() }
    pub fn create(_: &Path) -> Result<Self, SealError> { todo!() }
    pub fn id(&self) -> &str { &self.id }
    pub fn seal(&self, _aad: &[u8], _plain: &[u8]) -> Result<Vec<u8>, SealError> { todo!() }
    pub fn open(&self, _aad: &[u8], _sealed: &[u8]) -> Result<Secret<Vec<u8>>, SealError> { todo!() }
}
