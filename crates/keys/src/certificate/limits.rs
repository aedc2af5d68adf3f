//! Bounds of a certificate.

/// Longest certificate that is read, in octets: as much as a whole list of them may have in TLS.
pub const CERTIFICATE_OCTETS_MAX: usize = 64 * 1024;

/// Most extensions in a certificate. The richest of public authorities have 12.
pub const EXTENSIONS_MAX: usize = 64;

/// Most alternative names, and most subtrees of a name constraint, in one certificate.
pub const NAMES_MAX: usize = 1000;

/// Most attributes in a distinguished name.
pub const NAME_ATTRIBUTES_MAX: usize = 64;

/// Most policies, mappings or purposes in one extension.
pub const POLICIES_MAX: usize = 128;

/// Longest text of a distinguished name, in characters (certificates-and-keys.md section 1.1). What is longer is shown cut.
pub const NAME_CHARS_MAX: usize = 512;
