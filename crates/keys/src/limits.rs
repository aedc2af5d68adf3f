//! Bounds of everything that is read.

/// Longest key file, in octets. An RSA key of 8192 bits in PEM has about 6,400.
pub const KEY_FILE_OCTETS_MAX: usize = 64 * 1024;
