//! Allowed sizes.
use crate::{KeyError, PublicKey};
/// Allowed sizes, in bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SizeLimits {
    /// Smallest RSA modulus.
    pub rsa_min: u32,
    /// Largest RSA modulus.
    pub rsa_max: u32,
    /// Smallest DSS modulus.
    pub dss_min: u32,
    /// Largest DSS modulus.
    pub dss_max: u32,
}
impl Default for SizeLimits {
    fn default() -> Self { Self { rsa_min: 2048, rsa_max: 4096, dss_min: 1024, dss_max: 1024 } }
}
/// Checks.
///
/// # Errors
/// [`KeyError::Size`].
pub fn check_size(_: &PublicKey, _: &SizeLimits) -> Result<(), KeyError> { todo!() }
