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

/// Most PEM blocks in a file that are looked at.
pub(crate) const PEM_BLOCKS_MAX: usize = 16;

/// Most ASN.1 values inside one SEQUENCE of a key. An RSA private key has nine.
pub(crate) const DER_VALUES_MAX: usize = 12;

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
