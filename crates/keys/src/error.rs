//! Why key material was refused.

use crate::limits::{DERIVATION_STEPS_MAX, KEY_FILE_OCTETS_MAX, KEY_PASSWORD_OCTETS_MAX};
use crate::{KeyAlgorithm, KeyFileFormat};

/// Why a key was refused. No text holds key material or a password.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file is longer than any key.
    #[error("key file has {len} octets: a key has at most {KEY_FILE_OCTETS_MAX}")]
    TooLarge {
        /// Octets found.
        len: usize,
    },
    /// Nothing that is known.
    #[error("file is no key in DER, PEM, TXT, OPENSSH, RFC4716 or PPK form: it looks like {hint}")]
    NotRecognised {
        /// What it looks like, and what to do.
        hint: &'static str,
    },
    /// The given format does not fit.
    #[error("format {given} was given but the file is {found}: give the right format or leave it out")]
    WrongFormat {
        /// The format asked for.
        given: KeyFileFormat,
        /// What the file is.
        found: String,
    },
    /// Protected in a way that is not read (KEY-9).
    #[error("{what} is protected by {algorithm}, which is not known: protect it anew with AES, or remove the password")]
    Encryption {
        /// The container.
        what: &'static str,
        /// What it is protected by.
        algorithm: String,
    },
    /// A password that takes too long to check.
    #[error(
        "{what} asks for {steps} steps of key derivation, or too much memory for it: at most {DERIVATION_STEPS_MAX} \
         steps are taken for a file, protect it anew with fewer"
    )]
    Derivation {
        /// The container.
        what: &'static str,
        /// Steps asked for.
        steps: u64,
    },
    /// A password that is longer than any.
    #[error("password has {len} octets: at most {KEY_PASSWORD_OCTETS_MAX} are taken")]
    PasswordLong {
        /// Octets given.
        len: usize,
    },
    /// A password is missing.
    #[error("private key is protected by a password: give the password")]
    PasswordNeeded,
    /// The password does not open the key.
    #[error("password does not open the private key")]
    PasswordWrong,
    /// More than one key in a file.
    #[error("file holds {count} keys: give one key in a file")]
    Several {
        /// Keys found.
        count: usize,
    },
    /// The structure is broken.
    #[error("{what} is damaged: {why}")]
    Damaged {
        /// The structure.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
    /// A kind of key that cannot be used.
    #[error("{what}: use an RSA, DSS, ECDSA nistp256/nistp384/nistp521 or Ed25519 key")]
    Unsupported {
        /// What was found.
        what: String,
    },
    /// A value that no valid key has.
    #[error("{algorithm} key is invalid: {why}")]
    Invalid {
        /// Kind of the key.
        algorithm: KeyAlgorithm,
        /// What is wrong.
        why: &'static str,
    },
    /// The private part does not fit the public part.
    #[error("{algorithm} private key does not belong to its public key")]
    Mismatch {
        /// Kind of the key.
        algorithm: KeyAlgorithm,
    },
    /// Outside what is allowed (KEY-2).
    #[error("{algorithm} key of {bits} bits: {min} to {max} bits are allowed")]
    Size {
        /// Kind of the key.
        algorithm: KeyAlgorithm,
        /// Bits of the key.
        bits: u32,
        /// Fewest allowed.
        min: u32,
        /// Most allowed.
        max: u32,
    },
    /// A DSS subgroup that SSH can't carry. OpenSSL 3 makes such keys under the name "DSA 1024".
    #[error(
        "DSS key has a subgroup (q) of {bits} bits: ssh-dss needs 160 (RFC 4253 section 6.6), \
         make the key anew as FIPS 186-2 or use another algorithm"
    )]
    DssSubgroup {
        /// Bits of q.
        bits: u32,
    },
    /// No such algorithm name.
    #[error("no key algorithm {text:?}: use RSA, DSS, ECDSA_NISTP256, ECDSA_NISTP384, ECDSA_NISTP521 or ED25519")]
    AlgorithmName {
        /// What was given.
        text: String,
    },
    /// No such format name.
    #[error("no key file format {text:?}: use DER, PEM, TXT, OPENSSH, RFC4716 or PPK")]
    FormatName {
        /// What was given.
        text: String,
    },
    /// A key that is not made.
    #[error("{algorithm} keys of {bits} bits are not made: {advice}")]
    NotMade {
        /// Kind asked for.
        algorithm: KeyAlgorithm,
        /// Bits asked for.
        bits: u32,
        /// What to do.
        advice: &'static str,
    },
    /// A private key was asked of a public one, or the other way round.
    #[error("format {format} cannot hold {what}")]
    NotWritable {
        /// Format asked for.
        format: KeyFileFormat,
        /// What it cannot hold.
        what: &'static str,
    },
    /// Text that is no fingerprint.
    #[error("no fingerprint: write SHA256: and 43 characters of base 64, or 64 hexadecimal digits")]
    Fingerprint,
    /// The cryptographic library or the random source failed.
    #[error("cryptographic operation failed: {what}")]
    Engine {
        /// Which one.
        what: &'static str,
    },
}

/// A structure that is broken; the whole is enough to find the fault.
pub(crate) fn damaged(what: &'static str, why: &str) -> KeyError {
    KeyError::Damaged { what, why: why.to_owned() }
}
