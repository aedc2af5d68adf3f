//! TLS versions and cipher suites: their documented names, what we think of them, and what the engine can do
//! (tls-profiles.md section 2).

use crate::ssh_algorithms::Strength;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum TlsVersion {
    /// TLS 1.2.
    V12,
    /// TLS 1.3.
    V13,
}

impl TlsVersion {
    /// Its documented name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V12 => "TLSv12",
            Self::V13 => "TLSv13",
        }
    }
}

/// Every documented name of a version, and what we make of it: a version, or why there is none. Names that are merely out of
/// use are dropped when a profile is read (TLS-35); others are refused, because a partner may be waiting for them.
pub(crate) const VERSIONS: &[(&str, Result<TlsVersion, NoVersion>)] = &[
    ("TLSv13", Ok(TlsVersion::V13)),
    ("TLSv12", Ok(TlsVersion::V12)),
    ("TLSv11", Err(NoVersion::OldEngine)),
    ("TLSv1", Err(NoVersion::OldEngine)),
    ("SSLv3", Err(NoVersion::Never)),
    ("SSL2HELLO", Err(NoVersion::Never)),
];

/// Why a version is not spoken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NoVersion {
    /// It is for an engine that this program does not have yet.
    OldEngine,
    /// It is broken, and nobody gets it.
    Never,
}

/// A cipher suite.
#[derive(Debug, Eq, PartialEq)]
pub struct TlsSuite {
    /// Its name in profiles: that of the registry without `TLS_`, but for those of TLS 1.3, which keep it.
    pub name: &'static str,
    /// Its number; `None` where the documentation gives none.
    pub code: Option<u16>,
    /// The version that it is for.
    pub version: TlsVersion,
    /// What we think of it.
    pub strength: Strength,
    /// Whether the engine can do it.
    pub available: bool,
    /// Why it is not default, or not available.
    pub why: &'static str,
}

impl TlsSuite {
    /// The kind of key that a server needs for it: `RSA` or `ECDSA`; `None` where any fits.
    #[must_use]
    pub fn key_algorithm(&self) -> Option<&'static str> {
        match self.name {
            name if name.starts_with("ECDHE_ECDSA_") => Some("ECDSA"),
            name if name.contains("RSA_") => Some("RSA"),
            _ => None,
        }
    }
}

/// The suite called `name`, whatever the case; `TLS_` before it may be there or not.
#[must_use]
pub fn find_suite(name: &str) -> Option<&'static TlsSuite> {
    let bare = |name: &str| name.to_ascii_uppercase().trim_start_matches("TLS_").to_owned();
    let wanted = bare(name);
    TLS_SUITES.iter().find(|suite| bare(suite.name) == wanted)
}

const NO_CBC: &str = "the TLS engine has no CBC suites, whose padding has been attacked again and again";
const NO_DHE: &str = "the TLS engine has no finite-field Diffie-Hellman";
const NO_STATIC: &str = "the TLS engine has no static RSA: whoever gets the key later could read everything";
const NO_3DES: &str = "triple DES has blocks of 64 bits (Sweet32)";
const RC4: &str = "RC4 is broken";
const DES: &str = "DES can be searched through";
const NULL: &str = "it does not encrypt";
const PRIVATE: &str = "a private invention that does not prove who the server is";

const fn row(name: &'static str, code: u16, strength: Strength, why: &'static str) -> TlsSuite {
    TlsSuite { name, code: Some(code), version: TlsVersion::V12, strength, available: why.is_empty(), why }
}

const fn good(name: &'static str, code: u16) -> TlsSuite {
    row(name, code, Strength::Default, "")
}

const fn modern(name: &'static str, code: u16) -> TlsSuite {
    TlsSuite { version: TlsVersion::V13, ..good(name, code) }
}

/// Sound enough to be asked for, but not available.
const fn other(name: &'static str, code: u16, why: &'static str) -> TlsSuite {
    row(name, code, Strength::Optional, why)
}

const fn old(name: &'static str, code: u16, why: &'static str) -> TlsSuite {
    row(name, code, Strength::Legacy, why)
}

const fn never(name: &'static str, code: u16, why: &'static str) -> TlsSuite {
    row(name, code, Strength::Never, why)
}

/// Every documented suite, those of TLS 1.3, and two that only the engine has. In order of preference within a strength.
pub static TLS_SUITES: &[TlsSuite] = &[
    modern("TLS_AES_256_GCM_SHA384", 0x1302),
    modern("TLS_AES_128_GCM_SHA256", 0x1301),
    modern("TLS_CHACHA20_POLY1305_SHA256", 0x1303),
    good("ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", 0xC02C),
    good("ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", 0xC02B),
    good("ECDHE_RSA_WITH_AES_256_GCM_SHA384", 0xC030),
    good("ECDHE_RSA_WITH_AES_128_GCM_SHA256", 0xC02F),
    TlsSuite { strength: Strength::Optional, ..good("ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", 0xCCA9) },
    TlsSuite { strength: Strength::Optional, ..good("ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", 0xCCA8) },
    other("ECDHE_ECDSA_WITH_AES_256_CBC_SHA384", 0xC024, NO_CBC),
    other("ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", 0xC023, NO_CBC),
    other("ECDHE_ECDSA_WITH_AES_256_CBC_SHA", 0xC00A, NO_CBC),
    other("ECDHE_ECDSA_WITH_AES_128_CBC_SHA", 0xC009, NO_CBC),
    other("DHE_RSA_WITH_AES_256_GCM_SHA384", 0x009F, NO_DHE),
    other("DHE_RSA_WITH_AES_128_GCM_SHA256", 0x009E, NO_DHE),
    other("ECDHE_RSA_WITH_AES_256_CBC_SHA384", 0xC028, NO_CBC),
    other("ECDHE_RSA_WITH_AES_128_CBC_SHA256", 0xC027, NO_CBC),
    other("ECDHE_RSA_WITH_AES_256_CBC_SHA", 0xC014, NO_CBC),
    other("ECDHE_RSA_WITH_AES_128_CBC_SHA", 0xC013, NO_CBC),
    old("ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA", 0xC008, NO_3DES),
    old("DHE_RSA_WITH_AES_256_CBC_SHA256", 0x006B, NO_DHE),
    old("DHE_RSA_WITH_AES_128_CBC_SHA256", 0x0067, NO_DHE),
    old("RSA_WITH_AES_256_GCM_SHA384", 0x009D, NO_STATIC),
    old("RSA_WITH_AES_128_GCM_SHA256", 0x009C, NO_STATIC),
    old("RSA_WITH_AES_256_CBC_SHA256", 0x003D, NO_STATIC),
    old("RSA_WITH_AES_128_CBC_SHA256", 0x003C, NO_STATIC),
    old("DHE_RSA_WITH_AES_256_CBC_SHA", 0x0039, NO_DHE),
    old("DHE_RSA_WITH_AES_128_CBC_SHA", 0x0033, NO_DHE),
    old("RSA_WITH_AES_256_CBC_SHA", 0x0035, NO_STATIC),
    old("RSA_WITH_AES_128_CBC_SHA", 0x002F, NO_STATIC),
    old("ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", 0xC012, NO_3DES),
    old("DHE_RSA_WITH_3DES_EDE_CBC_SHA", 0x0016, NO_3DES),
    old("RSA_WITH_3DES_EDE_CBC_SHA", 0x000A, NO_3DES),
    never("ECDHE_ECDSA_WITH_RC4_128_SHA", 0xC007, RC4),
    never("ECDHE_RSA_WITH_RC4_128_SHA", 0xC011, RC4),
    never("ECDHE_RSA_WITH_NULL_SHA", 0xC010, NULL),
    never("DHE_RSA_WITH_DES_CBC_SHA", 0x0015, DES),
    never("RSA_WITH_RC4_128_SHA", 0x0005, RC4),
    never("RSA_WITH_DES_CBC_SHA", 0x0009, DES),
    never("RSA_WITH_RC4_128_MD5", 0x0004, RC4),
    never("RSA_WITH_NULL_SHA256", 0x003B, NULL),
    never("RSA_WITH_NULL_SHA", 0x0002, NULL),
    never("RSA_WITH_NULL_MD5", 0x0001, NULL),
    never("RSA_ANON_WITH_NULL_MD5", 0xFF01, PRIVATE),
    never("RSA_ANON_WITH_NULL_SHA", 0xFF02, PRIVATE),
    never("RSA_ANON_WITH_RC4_128_MD5", 0xFF04, PRIVATE),
    never("RSA_ANON_WITH_RC4_128_SHA", 0xFF05, PRIVATE),
    never("RSA_ANON_WITH_DES_CBC_SHA", 0xFF09, PRIVATE),
    never("RSA_ANON_WITH_3DES_EDE_CBC_SHA", 0xFF0A, PRIVATE),
    never("RSA_ANON_WITH_AES_128_CBC_SHA", 0xFF2F, PRIVATE),
    TlsSuite { code: None, ..never("RSA_ANON_WITH_AES_256_CBC_SHA", 0, PRIVATE) },
    never("NULL_WITH_NULL_NULL", 0x0000, NULL),
];

/// A key exchange.
#[derive(Debug, Eq, PartialEq)]
pub struct TlsGroup {
    /// Its name in profiles.
    pub name: &'static str,
    /// Its number.
    pub code: u16,
}

/// The key exchanges that the engine has, the preferred ones first.
pub static TLS_GROUPS: &[TlsGroup] = &[
    TlsGroup { name: "X25519MLKEM768", code: 0x11EC },
    TlsGroup { name: "X25519", code: 0x001D },
    TlsGroup { name: "SECP256R1", code: 0x0017 },
    TlsGroup { name: "SECP384R1", code: 0x0018 },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    // tls-profiles.md section 2
    #[test]
    fn the_documented_suites_are_there_once() {
        let documented = TLS_SUITES.iter().filter(|s| s.version == TlsVersion::V12 && !s.name.contains("CHACHA"));
        assert_eq!(documented.count(), 47);
        let names: BTreeSet<_> = TLS_SUITES.iter().map(|s| s.name).collect();
        let codes: BTreeSet<_> = TLS_SUITES.iter().map(|s| s.code).collect();
        assert_eq!((names.len(), codes.len()), (TLS_SUITES.len(), TLS_SUITES.len()));
        for suite in TLS_SUITES {
            assert_eq!(suite.available, suite.why.is_empty(), "{}", suite.name);
            assert!(suite.available || suite.strength != Strength::Default, "{}", suite.name);
            assert_eq!(find_suite(suite.name), Some(suite));
        }
    }

    #[test]
    fn names_are_found_in_both_spellings() {
        let one = find_suite("tls_ecdhe_rsa_with_aes_128_gcm_sha256").unwrap();
        assert_eq!((one.code, one.key_algorithm()), (Some(0xC02F), Some("RSA")));
        assert_eq!(find_suite("AES_128_GCM_SHA256").map(|s| s.version), Some(TlsVersion::V13));
        assert_eq!(find_suite("ECDHE_ECDSA_WITH_AES_128_GCM_SHA256").unwrap().key_algorithm(), Some("ECDSA"));
        assert_eq!(find_suite("EXPORT"), None);
    }
}
