//! Encryption under a password: PBES1 and PBES2 (RFC 8018), the schemes of PKCS#12 (RFC 7292 appendix C), and what
//! OpenSSL put into PEM headers before there was PKCS#8. Old ones are only read, for migration, and noted (CERT-15).

mod cipher;
mod kdf;
mod opening;
mod scheme;

pub(crate) use cipher::{Cipher, encrypt_aes256_blocks};
pub(crate) use kdf::{Hash, Purpose, bmp_password, derive_from_header, derive_pbkdf2, derive_pkcs12};
pub use opening::Weakness;

pub(crate) use opening::Opening;
#[cfg(test)]
pub(crate) use scheme::pbkdf2_parameters;
pub(crate) use scheme::{Prf, decrypt, decrypt_with, encrypt, encrypt_with, read_hash, read_pbkdf2, steps};

#[cfg(test)]
mod tests;
