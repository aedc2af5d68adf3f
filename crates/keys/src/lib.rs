//! Bare keys: reading, writing, making, naming them; sealing of secrets at rest; password hashes.

mod algorithm;
mod error;
mod fingerprint;
mod formats;
mod limits;
mod password;
mod private;
mod public;
mod seal;
mod size;

pub use algorithm::KeyAlgorithm;
pub use error::KeyError;
pub use fingerprint::Fingerprint;
pub use formats::{KeyFileFormat, read_key};
pub use limits::KEY_FILE_OCTETS_MAX;
pub use password::{PasswordError, PasswordHash};
pub use private::{KeyMaterial, PrivateKey};
pub use public::PublicKey;
pub use seal::{MasterKey, SealError};
pub use size::{SizeLimits, check_size};
