//! Keys and certificates of partners and of the gateway itself: read, checked, named, made, written; and the other things
//! that need a cryptographic library at rest, sealed secrets, password hashes and password files. Useful alone; it opens no
//! sockets and, but for [`MasterKey`]'s own and password files, no files.
//!
//! | for | take |
//! |---|---|
//! | a key file in DER, PEM, TXT, OPENSSH, RFC4716 or PPK form, protected by a password or not | [`read_key`], [`write_key`] |
//! | a file of certificates in DER, PEM, PKCS#7 or PKCS#12 form | [`read_certificates`], [`write_pkcs7`], [`write_pkcs12`] |
//! | the private key of a certificate in a file of its own | [`read_private_key`] |
//! | a certificate that signs itself, a request for an authority | [`self_signed`], [`certificate_request`] |
//! | a key that a partner offers in SSH | [`PublicKey::from_ssh_blob`] |
//! | the name of a key, for the eye and the telephone | [`Fingerprint`] |
//! | a fresh key | [`PrivateKey::generate`] |
//! | a signature, by a key in memory or in a token | [`Signer`] |
//! | keys in PKCS#11 tokens | [`token::Tokens`] |
//! | whether its size is allowed | [`check_size`] |
//! | secrets in a database | [`MasterKey::seal`], [`MasterKey::open`] |
//! | passwords that are only checked | [`PasswordHash`] |
//! | passwords that are presented to others, in files | [`DerivedKey`], [`open_password`] |
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
//! # Example: certificates
//! ```
//! use base::{Secret, UtcMicros};
//! use keys::{IssueRequest, KeyAlgorithm, PrivateKey, read_certificates, self_signed, write_pkcs12};
//!
//! // A certificate that signs itself, for a partner who takes such.
//! let key = PrivateKey::generate(KeyAlgorithm::EcdsaNistp256, None)?;
//! let request = IssueRequest {
//!     subject: "C=RO, O=Example, CN=gateway".parse()?,
//!     alternative_names: vec!["DNS:gw.example".parse()?],
//!     authority: false,
//! };
//! let from = UtcMicros::parse("2026-01-01T00:00:00Z")?;
//! let der = self_signed(&key, &request, from, 730)?;
//!
//! // Both leave under a password, and come back only with it.
//! let password = Secret::new("correct horse".to_owned());
//! let file = write_pkcs12(&key, &[&der], "gateway", &password)?;
//! assert!(read_certificates(file.expose(), None, None).is_err());
//! let mut contents = read_certificates(file.expose(), None, Some(&password))?;
//! assert_eq!(contents.certificates[0].der, der);
//! assert!(contents.take_key(key.public()).is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # To add a format
//! A folder below `formats/` with an `impl KeyFormat` (recognise, read, write) and one line in `FORMATS`; of certificates,
//! with an `impl CertificateFormat` and one line in `CERTIFICATE_FORMATS`.

mod algorithm;
mod asn1;
pub mod certificate;
mod error;
mod escrow;
mod fingerprint;
mod formats;
mod issue;
mod limits;
mod own;
mod parts;
mod password;
mod password_file;
mod pbe;
mod private;
mod public;
mod seal;
mod signer;
mod size;
mod ssh_wire;
pub mod token;
pub mod verify;
mod words;

pub use algorithm::KeyAlgorithm;
pub use error::KeyError;
pub use escrow::{EscrowError, LooseKey, PASSPHRASE_CHARS_MIN, escrow_key_id, open_escrow, seal_escrow};
pub use fingerprint::Fingerprint;
pub use formats::certificates::{
    CertificateFileError, CertificateFileFormat, Contents, FoundCertificate, FoundKey, read_certificates, read_crls,
    recognise_certificates,
};
pub use formats::private_file::{
    PrivateKeyFileError, PrivateKeyFileType, RecognisedPrivateKey, read_private_key, recognise_private_key,
};
pub use formats::{KeyFileFormat, OpenedKey, open_key, read_key, recognise_key, write_key, write_pkcs7, write_pkcs12};
pub use issue::{
    AlternativeName, IssueError, IssueRequest, Subject, VALID_DAYS_MAX, certificate_request, pem, self_signed,
};
pub use limits::{
    CERTIFICATES_MAX, CONTAINER_OCTETS_MAX, DERIVATION_STEPS_MAX, DSS_BITS_MAX, DSS_BITS_MIN, KEY_FILE_OCTETS_MAX,
    KEY_PASSWORD_OCTETS_MAX, PASSWORD_OCTETS_MAX, RSA_BITS_MAX, RSA_BITS_MIN, SEAL_OCTETS_MAX, SSH_BLOB_OCTETS_MAX,
};
pub use own::{OwnKey, TokenKeyName};
pub use password::{PasswordError, PasswordHash};
pub use password_file::{DerivedKey, PasswordFileError, open_password, read_password_file, write_password_file};
pub use pbe::Weakness;
pub use private::{KeyMaterial, PrivateKey};
pub use public::{PublicKey, sha256};
pub use seal::{MasterKey, SealError, sealed_key_id};
pub use signer::{SignError, SignatureScheme, Signer, ssh_signature};
pub use size::{SizeLimits, check_size};

#[cfg(test)]
mod tests;
