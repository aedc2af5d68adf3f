//! Key file formats.
use std::fmt;
use std::str::FromStr;
use base::Secret;
use crate::{KeyError, KeyMaterial};
/// A documented file format.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[allow(missing_docs)]
pub enum KeyFileFormat { Der, Pem, Txt, OpenSsh }
impl KeyFileFormat {
    /// The documented name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self { Self::Der => "DER", Self::Pem => "PEM", Self::Txt => "TXT", Self::OpenSsh => "OPENSSH" }
    }
}
impl fmt::Display for KeyFileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.pad(self.as_str()) }
}
impl FromStr for KeyFileFormat {
    type Err = KeyError;
    fn from_str(_: &str) -> Result<Self, KeyError> { todo!() }
}
/// Reads one key.
///
/// # Errors
/// [`KeyError`].
pub fn read_key(_: &[u8], _: Option<KeyFileFormat>, _: Option<&Secret<String>>) -> Result<KeyMaterial, KeyError> { todo!() }
