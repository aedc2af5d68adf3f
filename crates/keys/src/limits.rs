//! Bounds of everything that is read.

/// Longest key file, in octets. An RSA key of 8192 bits in PEM has about 6,400.
pub const KEY_FILE_OCTETS_MAX: usize = 64 * 1024;

/// Longest public key in SSH form, in octets. An RSA key of 8192 bits has about 1,060.
pub const SSH_BLOB_OCTETS_MAX: usize = 4096;

/// Smallest RSA modulus that is read, in bits. Whether it may be used is for [`crate::check_size`] to say.
pub const RSA_BITS_MIN: u32 = 1024;

/// Largest RSA modulus that is read, in bits.
pub const RSA_BITS_MAX: u32 = 8192;

/// Largest RSA public exponent, in bits. Both cryptographic libraries below us draw the line here.
pub(crate) const RSA_EXPONENT_BITS_MAX: u32 = 33;

/// Smallest DSS modulus that is read, in bits.
pub const DSS_BITS_MIN: u32 = 512;

/// Largest DSS modulus that is read, in bits.
pub const DSS_BITS_MAX: u32 = 3072;

/// The only length of a DSS subgroup that `ssh-dss` can carry, in bits (RFC 4253 section 6.6).
pub(crate) const DSS_SUBGROUP_BITS: u32 = 160;

/// Longest comment or field of text inside a key file, in octets.
pub(crate) const KEY_TEXT_OCTETS_MAX: usize = 8192;

/// Longest file of certificates, in octets.
pub const CONTAINER_OCTETS_MAX: usize = 1024 * 1024;

/// Most certificates in a file.
pub const CERTIFICATES_MAX: usize = 1000;

/// Most private keys in a file of certificates.
pub(crate) const KEYS_MAX: usize = 16;

/// Most PEM blocks in a file of keys that are looked at.
pub(crate) const PEM_BLOCKS_MAX: usize = 16;

/// Most ASN.1 values inside one SEQUENCE or SET. An RSA private key has nine; a container may hold many certificates.
pub(crate) const DER_VALUES_MAX: usize = 2000;

/// How deep ASN.1 values of a container may be nested.
pub(crate) const ASN1_DEPTH_MAX: usize = 32;

/// Most steps of key derivation that one file may ask for, all its parts together: some seconds. OpenSSL takes 2,048 and
/// some products a million.
pub const DERIVATION_STEPS_MAX: u64 = 10_000_000;

/// Most memory that a key derivation may ask for, in KiB. PuTTY takes 8,192 for Argon2, OpenSSL at most 32,768 for scrypt.
pub(crate) const DERIVATION_KIB_MAX: u32 = 256 * 1024;

/// Longest salt of a password, in octets.
pub(crate) const SALT_OCTETS_MAX: usize = 1024;

/// Longest password that opens or protects a key, in octets.
pub const KEY_PASSWORD_OCTETS_MAX: usize = 1024;

/// Steps of each key derivation in the PKCS#12 files that we write: Windows reads at most 300,000 and a million in all.
pub(crate) const PKCS12_STEPS: u32 = 100_000;

/// Steps of PBKDF2 in what we protect ourselves (passwords-and-storage.md 2.2).
pub(crate) const DERIVATION_STEPS: u32 = 600_000;

/// Most rounds of bcrypt in a protected OPENSSH key: `ssh-keygen` makes 16 to 24 by itself, and each takes about 10 ms.
pub(crate) const BCRYPT_ROUNDS_MAX: u32 = 512;

/// Rounds of bcrypt in the OPENSSH keys that we write; what OpenSSH 10 takes.
pub(crate) const BCRYPT_ROUNDS: u32 = 24;

/// Longest salt of bcrypt, in octets. OpenSSH takes 16.
pub(crate) const BCRYPT_SALT_OCTETS_MAX: usize = 64;

/// Longest padding behind the private part of an OPENSSH key, in octets: one block of its widest cipher.
pub(crate) const OPENSSH_PADDING_OCTETS_MAX: usize = 16;

/// Longest secret that [`crate::MasterKey::seal`] takes, in octets.
pub const SEAL_OCTETS_MAX: usize = 16 * 1024 * 1024;

/// Longest password that is hashed, in octets.
pub const PASSWORD_OCTETS_MAX: usize = 1024;
