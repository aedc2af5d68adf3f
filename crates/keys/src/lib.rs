//! Bare keys of partners and of the gateway itself: read, checked, named, made, written; and the two other things that
//! need a cryptographic library at rest, sealed secrets and password hashes. Useful alone; it opens no sockets and, but
//! for [`MasterKey`]'s own, no files.
//!
//! | for | take |
//! |---|---|
//! | a key file in DER, PEM, TXT or OPENSSH form | [`read_key`], [`write_key`] |
//! | a key that a partner offers in SSH | [`PublicKey::from_ssh_blob`] |
//! | the name of a key, for the eye and the telephone | [`Fingerprint`] |
//! | a fresh key | [`PrivateKey::generate`] |
//! | whether its size is allowed | [`check_size`] |
//! | secrets in a database | [`MasterKey::seal`], [`MasterKey::open`] |
//! | passwords that are only checked | [`PasswordHash`] |
//! | an X.509 certificate | [`certificate::Certificate`] |
//! | whether it is trusted, and why not | [`verify`] |
//!
//! RSA, DSS, ECDSA on three NIST curves and Ed25519 are known ([`KeyAlgorithm`]). To hold a [`PublicKey`] is proof that
//! its numbers are sane and its point is on its curve; to hold a [`PrivateKey`], that it belongs to its public key. What
//! is read is bounded and strict: whatever a file or a peer holds, the answer is a key or a [`KeyError`] that says what
//! was found and what to do.
//!
//! # Example
//! ```
//! use keys::{KeyAlgorithm, KeyFileFormat, KeyMaterial, MasterKey, PrivateKey, SizeLimits, check_size, read_key, write_key};
//!
//! // A key for the gateway, its public line for a partner, and its name for the telephone.
//! let own = PrivateKey::generate(KeyAlgorithm::Ed25519, None)?;
//! let line = own.public().openssh_line("gatehouse");
//! println!("{line}\n{}\n{}", own.public().fingerprint(), own.public().fingerprint().words());
//!
//! // What the partner gets back from the file is the same key; its format need not be told.
//! let read = read_key(line.as_bytes(), None, None)?;
//! assert_eq!(read.public(), own.public());
//! check_size(read.public(), &SizeLimits::default())?;
//!
//! // At rest the private key is sealed, for one place only.
//! let master = MasterKey::generate()?;
//! let sealed = master.seal(b"credential|0123", own.to_bytes().expose())?;
//! assert!(master.open(b"credential|4567", &sealed).is_err());
//! let opened = master.open(b"credential|0123", &sealed)?;
//! let again = PrivateKey::from_bytes(opened.expose())?;
//!
//! // And it leaves as the file that OpenSSH reads.
//! let file = write_key(&KeyMaterial::Private(again), KeyFileFormat::OpenSsh, None)?;
//! assert!(file.expose().starts_with(b"-----BEGIN OPENSSH PRIVATE KEY-----"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # To add a format
//! A folder below `formats/` with an `impl KeyFormat` (recognise, read, write) and one line in `FORMATS`.

mod algorithm;
pub mod certificate;
mod error;
mod escrow;
mod fingerprint;
mod formats;
mod limits;
mod parts;
mod password;
mod private;
mod public;
mod seal;
mod size;
mod ssh_wire;
pub mod verify;
mod words;

pub use algorithm::KeyAlgorithm;
pub use error::KeyError;
pub use escrow::{EscrowError, LooseKey, PASSPHRASE_CHARS_MIN, escrow_key_id, open_escrow, seal_escrow};
pub use fingerprint::Fingerprint;
pub use formats::{KeyFileFormat, read_key, recognise_key, write_key};
pub use limits::{
    DSS_BITS_MAX, DSS_BITS_MIN, KEY_FILE_OCTETS_MAX, PASSWORD_OCTETS_MAX, RSA_BITS_MAX, RSA_BITS_MIN, SEAL_OCTETS_MAX,
    SSH_BLOB_OCTETS_MAX,
};
pub use password::{PasswordError, PasswordHash};
pub use private::{KeyMaterial, PrivateKey};
pub use public::{PublicKey, sha256};
pub use seal::{MasterKey, SealError, sealed_key_id};
pub use size::{SizeLimits, check_size};

#[cfg(test)]
mod tests;
