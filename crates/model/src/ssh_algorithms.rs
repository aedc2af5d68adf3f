//! SSH algorithms: their names in profiles and on the wire, and what we think of them (ssh-profiles section 2).

/// What an algorithm is for.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Class {
    /// Key exchange.
    Kex,
    /// Encryption.
    Cipher,
    /// Integrity.
    Mac,
    /// Compression.
    Compression,
    /// Host and user keys.
    PublicKey,
}

/// What we think of an algorithm.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Strength {
    /// In new profiles.
    Default,
    /// Sound, but only where asked for.
    Optional,
    /// Weak: for old partners, with a warning.
    Legacy,
    /// Refused.
    Never,
}

/// One algorithm.
#[derive(Debug, Eq, PartialEq)]
pub struct Algorithm {
    /// What it is for.
    pub class: Class,
    /// Its name in profiles.
    pub name: &'static str,
    /// Other names in profiles.
    pub synonyms: &'static [&'static str],
    /// Its names on the wire, the preferred one first.
    pub wire: &'static [&'static str],
    /// What we think of it.
    pub strength: Strength,
    /// Whether the SSH engine can do it.
    pub available: bool,
    /// Why it is not default, or not available.
    pub why: &'static str,
}

impl Algorithm {
    /// The kind of key it signs with (`RSA`, `DSS`, `ECDSA_NISTP256`, …); `None` if it signs nothing.
    #[must_use]
    pub fn key_algorithm(&self) -> Option<&'static str> {
        match (self.class, self.name) {
            (Class::PublicKey, "RSA_SHA2_512" | "RSA_SHA2_256" | "SSH_RSA") => Some("RSA"),
            (Class::PublicKey, "SSH_DSS") => Some("DSS"),
            (Class::PublicKey, "X509V3_SIGN_RSA") => None,
            (Class::PublicKey, name) => Some(name),
            _ => None,
        }
    }
}

/// The algorithm of a class called `name` in profiles, whatever the case.
#[must_use]
pub fn find(class: Class, name: &str) -> Option<&'static Algorithm> {
    let called = |a: &&Algorithm| {
        a.name.eq_ignore_ascii_case(name) || a.synonyms.iter().any(|other| other.eq_ignore_ascii_case(name))
    };
    ALGORITHMS.iter().filter(|a| a.class == class).find(called)
}

/// Every algorithm, in order of preference within its class and strength.
pub static ALGORITHMS: &[Algorithm] = &[
    Algorithm {
        class: Class::Kex,
        name: "MLKEM768X25519_SHA256",
        synonyms: &[],
        wire: &["mlkem768x25519-sha256"],
        strength: Strength::Default,
        available: true,
        why: "",
    },
    Algorithm {
        class: Class::Kex,
        name: "CURVE25519",
        synonyms: &["CURVE25519_SHA256"],
        wire: &["curve25519-sha256", "curve25519-sha256@libssh.org"],
        strength: Strength::Default,
        available: true,
        why: "",
    },
    Algorithm {
        class: Class::Kex,
        name: "ECDH_SHA2_NISTP256",
        synonyms: &[],
        wire: &["ecdh-sha2-nistp256"],
        strength: Strength::Optional,
        available: true,
        why: "sound as far as is known, but auditors of SSH servers doubt the NIST curves",
    },
    Algorithm {
        class: Class::Kex,
        name: "ECDH_SHA2_NISTP384",
        synonyms: &[],
        wire: &["ecdh-sha2-nistp384"],
        strength: Strength::Optional,
        available: true,
        why: "sound as far as is known, but auditors of SSH servers doubt the NIST curves",
    },
    Algorithm {
        class: Class::Kex,
        name: "ECDH_SHA2_NISTP521",
        synonyms: &[],
        wire: &["ecdh-sha2-nistp521"],
        strength: Strength::Optional,
        available: true,
        why: "sound as far as is known, but auditors of SSH servers doubt the NIST curves",
    },
    Algorithm {
        class: Class::Kex,
        name: "DH_GROUP_EXCHANGE_SHA256",
        synonyms: &[],
        wire: &["diffie-hellman-group-exchange-sha256"],
        strength: Strength::Default,
        available: true,
        why: "with a prime of at least 2048 bits",
    },
    Algorithm {
        class: Class::Kex,
        name: "DH_GROUP16_SHA512",
        synonyms: &[],
        wire: &["diffie-hellman-group16-sha512"],
        strength: Strength::Default,
        available: true,
        why: "",
    },
    Algorithm {
        class: Class::Kex,
        name: "DH_GROUP18_SHA512",
        synonyms: &[],
        wire: &["diffie-hellman-group18-sha512"],
        strength: Strength::Default,
        available: true,
        why: "",
    },
    Algorithm {
        class: Class::Kex,
        name: "DH_GROUP14_SHA256",
        synonyms: &[],
        wire: &["diffie-hellman-group14-sha256"],
        strength: Strength::Default,
        available: true,
        why: "",
    },
    Algorithm {
        class: Class::Kex,
        name: "DH_GROUP14_SHA1",
        synonyms: &[],
        wire: &["diffie-hellman-group14-sha1"],
        strength: Strength::Legacy,
        available: true,
        why: "SHA-1 is broken",
    },
    Algorithm {
        class: Class::Kex,
        name: "DH_GROUP_EXCHANGE_SHA1",
        synonyms: &[],
        wire: &["diffie-hellman-group-exchange-sha1"],
        strength: Strength::Legacy,
        available: true,
        why: "SHA-1 is broken",
    },
    Algorithm {
        class: Class::Kex,
        name: "DH_GROUP1_SHA1",
        synonyms: &[],
        wire: &["diffie-hellman-group1-sha1"],
        strength: Strength::Legacy,
        available: true,
        why: "a 1024-bit group is within reach of attackers, SHA-1 is broken",
    },
    Algorithm {
        class: Class::Kex,
        name: "SNTRUP761X25519_SHA512",
        synonyms: &[],
        wire: &["sntrup761x25519-sha512", "sntrup761x25519-sha512@openssh.com"],
        strength: Strength::Optional,
        available: false,
        why: "the SSH engine does not have it; MLKEM768X25519_SHA256 resists quantum computers as well",
    },
    Algorithm {
        class: Class::Cipher,
        name: "AES128_GCM",
        synonyms: &["AES_128GCM"],
        wire: &["aes128-gcm@openssh.com"],
        strength: Strength::Default,
        available: true,
        why: "",
    },
    Algorithm {
        class: Class::Cipher,
        name: "AES256_GCM",
        synonyms: &["AES_256GCM"],
        wire: &["aes256-gcm@openssh.com"],
        strength: Strength::Default,
        available: true,
        why: "",
    },
    Algorithm {
        class: Class::Cipher,
        name: "CHACHA20_POLY1305",
        synonyms: &[],
        wire: &["chacha20-poly1305@openssh.com"],
        strength: Strength::Default,
        available: true,
        why: "needs strict key exchange",
    },
    Algorithm {
        class: Class::Cipher,
        name: "AES128_CTR",
        synonyms: &["AES_128CTR"],
        wire: &["aes128-ctr"],
        strength: Strength::Default,
        available: true,
        why: "",
    },
    Algorithm {
        class: Class::Cipher,
        name: "AES256_CTR",
        synonyms: &["AES_256CTR"],
        wire: &["aes256-ctr"],
        strength: Strength::Default,
        available: true,
        why: "",
    },
    Algorithm {
        class: Class::Cipher,
        name: "AES256_CBC",
        synonyms: &["AES_256CBC"],
        wire: &["aes256-cbc"],
        strength: Strength::Legacy,
        available: true,
        why: "CBC mode in SSH leaks plain text",
    },
    Algorithm {
        class: Class::Cipher,
        name: "AES128_CBC",
        synonyms: &["AES_128CBC"],
        wire: &["aes128-cbc"],
        strength: Strength::Legacy,
        available: true,
        why: "CBC mode in SSH leaks plain text",
    },
    Algorithm {
        class: Class::Cipher,
        name: "3DES_CBC",
        synonyms: &[],
        wire: &["3des-cbc"],
        strength: Strength::Legacy,
        available: true,
        why: "64-bit blocks and CBC mode leak plain text",
    },
    Algorithm {
        class: Class::Cipher,
        name: "NONE",
        synonyms: &[],
        wire: &["none"],
        strength: Strength::Never,
        available: false,
        why: "nothing would be encrypted",
    },
    Algorithm {
        class: Class::Mac,
        name: "HMAC_SHA256_ETM",
        synonyms: &[],
        wire: &["hmac-sha2-256-etm@openssh.com"],
        strength: Strength::Default,
        available: true,
        why: "",
    },
    Algorithm {
        class: Class::Mac,
        name: "HMAC_SHA512_ETM",
        synonyms: &[],
        wire: &["hmac-sha2-512-etm@openssh.com"],
        strength: Strength::Default,
        available: true,
        why: "",
    },
    Algorithm {
        class: Class::Mac,
        name: "HMAC_SHA256",
        synonyms: &[],
        wire: &["hmac-sha2-256"],
        strength: Strength::Default,
        available: true,
        why: "",
    },
    Algorithm {
        class: Class::Mac,
        name: "HMAC_SHA512",
        synonyms: &[],
        wire: &["hmac-sha2-512"],
        strength: Strength::Default,
        available: true,
        why: "",
    },
    Algorithm {
        class: Class::Mac,
        name: "HMAC_SHA1",
        synonyms: &[],
        wire: &["hmac-sha1"],
        strength: Strength::Legacy,
        available: true,
        why: "SHA-1 is out of date",
    },
    Algorithm {
        class: Class::Mac,
        name: "HMAC_SHA1_96",
        synonyms: &["HMAC_SHA_96"],
        wire: &["hmac-sha1-96"],
        strength: Strength::Legacy,
        available: false,
        why: "cut MACs are not in the SSH engine",
    },
    Algorithm {
        class: Class::Mac,
        name: "HMAC_MD5",
        synonyms: &[],
        wire: &["hmac-md5"],
        strength: Strength::Legacy,
        available: false,
        why: "MD5 is not in the SSH engine",
    },
    Algorithm {
        class: Class::Mac,
        name: "HMAC_MD5_96",
        synonyms: &[],
        wire: &["hmac-md5-96"],
        strength: Strength::Legacy,
        available: false,
        why: "MD5 is not in the SSH engine",
    },
    Algorithm {
        class: Class::Mac,
        name: "UMAC_64",
        synonyms: &[],
        wire: &["umac-64-etm@openssh.com", "umac-64@openssh.com"],
        strength: Strength::Optional,
        available: false,
        why: "UMAC is not in the SSH engine",
    },
    Algorithm {
        class: Class::Mac,
        name: "UMAC_128",
        synonyms: &[],
        wire: &["umac-128-etm@openssh.com", "umac-128@openssh.com"],
        strength: Strength::Optional,
        available: false,
        why: "UMAC is not in the SSH engine",
    },
    Algorithm {
        class: Class::Mac,
        name: "NONE",
        synonyms: &[],
        wire: &["none"],
        strength: Strength::Never,
        available: false,
        why: "nothing would protect the data from change",
    },
    Algorithm {
        class: Class::Compression,
        name: "ZLIB",
        synonyms: &[],
        wire: &["zlib@openssh.com", "zlib"],
        strength: Strength::Optional,
        available: true,
        why: "costs processor time, and sizes tell something of the content",
    },
    Algorithm {
        class: Class::Compression,
        name: "NONE",
        synonyms: &[],
        wire: &["none"],
        strength: Strength::Default,
        available: true,
        why: "",
    },
    Algorithm {
        class: Class::PublicKey,
        name: "ED25519",
        synonyms: &["SSH_ED25519"],
        wire: &["ssh-ed25519"],
        strength: Strength::Default,
        available: true,
        why: "",
    },
    Algorithm {
        class: Class::PublicKey,
        name: "ECDSA_NISTP256",
        synonyms: &[],
        wire: &["ecdsa-sha2-nistp256"],
        strength: Strength::Default,
        available: true,
        why: "",
    },
    Algorithm {
        class: Class::PublicKey,
        name: "ECDSA_NISTP384",
        synonyms: &[],
        wire: &["ecdsa-sha2-nistp384"],
        strength: Strength::Default,
        available: true,
        why: "",
    },
    Algorithm {
        class: Class::PublicKey,
        name: "ECDSA_NISTP521",
        synonyms: &[],
        wire: &["ecdsa-sha2-nistp521"],
        strength: Strength::Default,
        available: true,
        why: "",
    },
    Algorithm {
        class: Class::PublicKey,
        name: "RSA_SHA2_512",
        synonyms: &[],
        wire: &["rsa-sha2-512"],
        strength: Strength::Default,
        available: true,
        why: "",
    },
    Algorithm {
        class: Class::PublicKey,
        name: "RSA_SHA2_256",
        synonyms: &[],
        wire: &["rsa-sha2-256"],
        strength: Strength::Default,
        available: true,
        why: "",
    },
    Algorithm {
        class: Class::PublicKey,
        name: "SSH_RSA",
        synonyms: &[],
        wire: &["ssh-rsa"],
        strength: Strength::Legacy,
        available: true,
        why: "signs with SHA-1, which is broken; RSA_SHA2_256 and RSA_SHA2_512 use the same keys",
    },
    Algorithm {
        class: Class::PublicKey,
        name: "SSH_DSS",
        synonyms: &[],
        wire: &["ssh-dss"],
        strength: Strength::Legacy,
        available: true,
        why: "1024-bit keys and SHA-1 are broken",
    },
    Algorithm {
        class: Class::PublicKey,
        name: "X509V3_SIGN_RSA",
        synonyms: &[],
        wire: &["x509v3-sign-rsa"],
        strength: Strength::Optional,
        available: false,
        why: "certificates are not in the SSH engine",
    },
];
