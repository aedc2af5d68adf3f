//! Algorithms, keys, methods and trust of an SSH connection (ssh-profiles.md section 1).

use base::{Alias, ObjectId, Pattern};

use crate::field::{Field, FieldKind, NameRule, ObjectDescriptor, STATE};
use crate::object::Kind;
use crate::read::{Meant, Reader};
use crate::ssh_algorithms::{Algorithm, Class, Strength, find};

pub(crate) static DESCRIPTOR: ObjectDescriptor = ObjectDescriptor {
    kind: Kind::SshProfile,
    title: "SSH profile",
    about: "Algorithms, keys, login methods and trust of SSH connections, as server or as client.",
    name_field: Field::text("sshprof_name", 31, "name of the SSH profile")
        .shorts(&["shpn"])
        .aliases(&["shp_name", "name"])
        .required(),
    name_rule: NameRule::Word { max: 31 },
    fields: FIELDS,
    group_field: None,
    state_field: Some(STATE.aliases(&["shp_state"])),
    summary: &["type", "state", "private_key_alias", "client_auth_methods"],
};

static FIELDS: &[Field] = &[
    Field::choice("type", &["CLIENT", "SERVER"], "direction in which the profile may be used")
        .shorts(&["shpt"])
        .aliases(&["shp_type"])
        .required(),
    algorithms("key_exchange_algos", "key exchange algorithms, preferred ones first")
        .aliases(&["shp_key_exchange_algos"])
        .shorts(&["shpkex"])
        .default(
            "MLKEM768X25519_SHA256 CURVE25519 DH_GROUP_EXCHANGE_SHA256 DH_GROUP16_SHA512 DH_GROUP18_SHA512 DH_GROUP14_SHA256",
        ),
    algorithms("cipher_algos", "encryption algorithms, preferred ones first")
        .aliases(&["shp_cipher_algos"])
        .shorts(&["shpca"])
        .default("AES128_GCM AES256_GCM CHACHA20_POLY1305 AES128_CTR AES256_CTR"),
    algorithms("mac_algos", "integrity algorithms, preferred ones first")
        .aliases(&["shp_mac_algos"])
        .shorts(&["shpma"])
        .default("HMAC_SHA256_ETM HMAC_SHA512_ETM HMAC_SHA256 HMAC_SHA512"),
    algorithms("compression_algos", "compression: NONE, or ZLIB NONE")
        .aliases(&["shp_compression_algos"])
        .shorts(&["shpco"])
        .default("NONE"),
    algorithms("public_key_algos", "key algorithms of host and user, preferred ones first")
        .shorts(&["sshppka"])
        .aliases(&["shp_public_key_algos"])
        .default("ED25519 ECDSA_NISTP256 ECDSA_NISTP384 ECDSA_NISTP521 RSA_SHA2_512 RSA_SHA2_256"),
    Field::new(
        "client_auth_methods",
        FieldKind::List { max: 2, choices: Some(&["PASSWORD", "PUBLIC_KEY"]) },
        "how the client proves itself",
    )
    .shorts(&["shpcam"])
    .aliases(&["shp_client_auth_methods"])
    .default("PASSWORD PUBLIC_KEY"),
    Field::flag("perform_all_auth_method", "N", "both methods are needed, not either")
        .shorts(&["shpall"])
        .aliases(&["shp_perform_all_auth_method"]),
    Field::int("minutes_before_new_keys", (0, 1440), "minutes", "fresh session keys after this time")
        .shorts(&["shpmin"])
        .aliases(&["shp_minutes_before_new_keys"])
        .default("60")
        .detail("0 is no limit"),
    Field::int("mbytes_before_new_keys", (0, 2000), "MB", "fresh session keys after this much data in one direction")
        .shorts(&["shpmb"])
        .aliases(&["shp_mbytes_before_new_keys"])
        .default("1000")
        .detail("1 MB is 1 000 000 octets; 0 is no limit"),
    Field::flag("gex_no_compatibility", "Y", "as client ask for group exchange in the current form only")
        .aliases(&["shp_gex_no_compatibility"]),
    Field::flag("strict_kex", "Y", "use strict key exchange where the partner has it")
        .aliases(&["shp_strict_kex"])
        .detail("closes the Terrapin attack (CVE-2023-48795)"),
    Field::new(
        "private_key_alias",
        FieldKind::RefList(Kind::Key, 8),
        "our private keys, at most one of each algorithm",
    )
    .shorts(&["shpprvka"])
    .aliases(&["shp_private_key_alias"]),
    Field::flag("trust_hosted_public_keys", "N", "accept any enabled key of the store")
        .shorts(&["shptrust"])
        .aliases(&["shp_trust_hosted_public_keys"])
        .detail("any enabled key then opens any login that has no key of its own: better bind keys to sites or gates"),
    Field::flag("remote_key_import", "N", "keep unknown keys of partners, disabled, for a person to check")
        .shorts(&["shpimp"])
        .aliases(&["shp_remote_key_import"]),
    Field::text("remote_public_key_group", 31, "group for captured keys, and of hosted keys that are trusted")
        .aliases(&["shp_remote_public_key_group"]),
    Field::text("certificate_alias", 31, "our certificate").aliases(&["shp_certificate_alias"]),
    Field::flag("trust_hosted_certificates", "N", "accept certificates of the store only")
        .aliases(&["shp_trust_hosted_certificates"]),
    Field::flag("remote_certificate_import", "N", "keep unknown certificates of partners, disabled")
        .aliases(&["shp_remote_certificate_import"]),
    Field::text("issuer_certificate_alias", 31, "authority that must have signed the partner's certificate")
        .aliases(&["shp_issuer_certificate_alias"]),
    Field::text("subject_name_pattern", 512, "pattern for the subject of the partner's certificate")
        .aliases(&["shp_subject_name_pattern"]),
    Field::text("issuer_name_pattern", 512, "pattern for the issuer of the partner's certificate")
        .aliases(&["shp_issuer_name_pattern"]),
    Field::int("login_grace_s", (5, 600), "seconds", "time for a caller to log in").default("60"),
    Field::int("auth_tries_max", (1, 50), "", "login attempts in one connection")
        .default("10")
        .detail("each key that an agent offers counts as one"),
    Field::int("idle_timeout_s", (10, 86_400), "seconds", "a connection without any traffic ends after this time")
        .default("900"),
];

const fn algorithms(name: &'static str, help: &'static str) -> Field {
    Field::new(name, FieldKind::List { max: 32, choices: None }, help)
}

/// Direction in which a profile may be used.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SshRole {
    /// For connections that we open.
    Client,
    /// For connections of partners.
    Server,
}

impl SshRole {
    /// The word of the field.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "CLIENT",
            Self::Server => "SERVER",
        }
    }
}

/// Filters on partner certificates. This version's SSH engine has no certificates, so none is accepted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SshCertificates {
    /// Our certificate.
    pub own: Option<Alias>,
    /// Only certificates of the store are accepted.
    pub trust_hosted: bool,
    /// Unknown ones are kept, disabled.
    pub import: bool,
    /// Authority that must have signed.
    pub issuer: Option<Alias>,
    /// Pattern for the subject.
    pub subject_pattern: Option<Pattern>,
    /// Pattern for the issuer.
    pub issuer_pattern: Option<Pattern>,
}

/// Algorithms, keys, methods and trust of an SSH connection. All lists are in order of preference and not empty.
#[derive(Clone, Debug, PartialEq)]
pub struct SshProfile {
    /// Number of its object.
    pub id: ObjectId,
    /// Its name.
    pub name: String,
    /// Direction.
    pub role: SshRole,
    /// Whether it may be used.
    pub enabled: bool,
    /// Key exchange.
    pub kex: Vec<&'static Algorithm>,
    /// Encryption.
    pub ciphers: Vec<&'static Algorithm>,
    /// Integrity.
    pub macs: Vec<&'static Algorithm>,
    /// Compression.
    pub compression: Vec<&'static Algorithm>,
    /// Key algorithms of host and user.
    pub public_keys: Vec<&'static Algorithm>,
    /// The password method is on.
    pub password: bool,
    /// The public-key method is on.
    pub public_key: bool,
    /// All methods that are on are needed, not any.
    pub all_methods: bool,
    /// Fresh keys after so many minutes; 0 for no limit.
    pub rekey_minutes: u16,
    /// Fresh keys after so many million octets in one direction; 0 for no limit.
    pub rekey_megabytes: u16,
    /// As client: the current form of group exchange only.
    pub gex_current_only: bool,
    /// Strict key exchange.
    pub strict_kex: bool,
    /// Our keys.
    pub private_keys: Vec<Alias>,
    /// Any enabled key of the store is accepted where site and gate name none.
    pub trust_hosted: bool,
    /// Unknown keys are kept, to be checked.
    pub key_import: bool,
    /// Group of captured keys and of hosted keys that are trusted.
    pub key_group: Option<String>,
    /// Filters on certificates.
    pub certificates: SshCertificates,
    /// Seconds a caller has to log in.
    pub login_grace_s: u16,
    /// Login attempts in one connection.
    pub auth_tries_max: u8,
    /// Seconds without traffic after which a connection ends.
    pub idle_timeout_s: u32,
}

impl SshProfile {
    /// Names on the wire of a list of this profile, in order.
    #[must_use]
    pub fn wire(list: &[&'static Algorithm]) -> Vec<&'static str> {
        list.iter().flat_map(|algorithm| algorithm.wire.iter().copied()).collect()
    }

    /// Whether keys of this algorithm (`RSA`, `DSS`, `ECDSA_NISTP256`, …) may be used.
    #[must_use]
    pub fn takes_key(&self, key_algorithm: &str) -> bool {
        self.public_keys.iter().any(|algorithm| algorithm.key_algorithm() == Some(key_algorithm))
    }
}

impl Meant for SshProfile {
    fn read(r: &mut Reader<'_>) -> Self {
        const ROLES: &[(&str, SshRole)] = &[("CLIENT", SshRole::Client), ("SERVER", SshRole::Server)];
        let methods = r.list("client_auth_methods");
        let method = |word: &str| methods.iter().any(|m| m.eq_ignore_ascii_case(word));
        Self {
            id: r.object.id,
            name: r.object.name.clone(),
            role: r.choice("type", ROLES, SshRole::Client),
            enabled: r.enabled(),
            kex: algorithm_list(r, "key_exchange_algos", Class::Kex),
            ciphers: algorithm_list(r, "cipher_algos", Class::Cipher),
            macs: algorithm_list(r, "mac_algos", Class::Mac),
            compression: algorithm_list(r, "compression_algos", Class::Compression),
            public_keys: algorithm_list(r, "public_key_algos", Class::PublicKey),
            password: method("PASSWORD"),
            public_key: method("PUBLIC_KEY"),
            all_methods: r.flag("perform_all_auth_method"),
            rekey_minutes: r.int("minutes_before_new_keys"),
            rekey_megabytes: r.int("mbytes_before_new_keys"),
            gex_current_only: r.flag("gex_no_compatibility"),
            strict_kex: r.flag("strict_kex"),
            private_keys: r.aliases("private_key_alias"),
            trust_hosted: r.flag("trust_hosted_public_keys"),
            key_import: r.flag("remote_key_import"),
            key_group: r.text("remote_public_key_group"),
            certificates: certificates(r),
            login_grace_s: r.int("login_grace_s"),
            auth_tries_max: r.int("auth_tries_max"),
            idle_timeout_s: r.int("idle_timeout_s"),
        }
    }
}

fn certificates(r: &mut Reader<'_>) -> SshCertificates {
    let read = SshCertificates {
        own: r.alias("certificate_alias"),
        trust_hosted: r.flag("trust_hosted_certificates"),
        import: r.flag("remote_certificate_import"),
        issuer: r.alias("issuer_certificate_alias"),
        subject_pattern: r.text("subject_name_pattern").map(Pattern::new),
        issuer_pattern: r.text("issuer_name_pattern").map(Pattern::new),
    };
    if read != SshCertificates::default() {
        let text = "certificates in SSH are not in this version: none is sent or accepted";
        r.warning("certificate_alias", text, "clear the certificate fields, use keys");
    }
    read
}

/// The algorithms of a list, each checked: known, available, not forbidden; legacy ones are a warning.
fn algorithm_list(r: &mut Reader<'_>, field: &'static str, class: Class) -> Vec<&'static Algorithm> {
    let mut found: Vec<&'static Algorithm> = Vec::new();
    for name in r.list(field) {
        let Some(algorithm) = find(class, &name) else {
            r.error(field, format!("{name:?} is not known"), format!("use some of {}", usable_names(class)));
            continue;
        };
        let Algorithm { name, why, .. } = algorithm;
        match algorithm.strength {
            Strength::Never => {
                r.error(field, format!("{name} is refused: {why}"), "take it out");
            }
            _ if !algorithm.available => r.error(field, format!("{name} is not available: {why}"), "take it out"),
            _ if found.contains(&algorithm) => r.error(field, format!("{name} stands there twice"), "take one out"),
            Strength::Legacy => {
                r.warning(field, format!("{name} is weak: {why}"), "keep it only while a partner needs it");
                found.push(algorithm);
            }
            _ => found.push(algorithm),
        }
    }
    if found.is_empty() {
        r.error(field, "the list has nothing to offer, so the profile can't be used", "name at least one algorithm");
    }
    found
}

fn usable_names(class: Class) -> String {
    let usable = crate::ssh_algorithms::ALGORITHMS.iter().filter(|a| a.class == class && a.available);
    usable.map(|a| a.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check_body;
    use crate::object::{Body, Severity, Value};
    use crate::read::read;
    use crate::ssh_algorithms::ALGORITHMS;
    use crate::testing::object;

    fn body(fields: &[(&str, &str)]) -> Body {
        let fields = [("type", "SERVER")].iter().chain(fields);
        fields.map(|(field, text)| ((*field).to_owned(), Value::from(*text))).collect()
    }

    #[test]
    fn defaults_are_the_modern_algorithms_in_order_of_the_table() {
        // best-practices row 22
        let (profile, problems) = read::<SshProfile>(&object(Kind::SshProfile, "P", &[("type", "SERVER")]));
        assert_eq!(problems, []);
        for (list, class) in [
            (&profile.kex, Class::Kex),
            (&profile.ciphers, Class::Cipher),
            (&profile.macs, Class::Mac),
            (&profile.compression, Class::Compression),
            (&profile.public_keys, Class::PublicKey),
        ] {
            let expected: Vec<_> =
                ALGORITHMS.iter().filter(|a| a.class == class && a.strength == Strength::Default).collect();
            assert_eq!(*list, expected, "{class:?}");
        }
        assert_eq!((profile.rekey_minutes, profile.rekey_megabytes), (60, 1000)); // SSH-19
        assert!(profile.password && profile.public_key && !profile.all_methods && profile.strict_kex);
        assert!(!profile.trust_hosted && !profile.key_import); // best-practices rows 28 and 29
    }

    #[test]
    fn algorithms_are_taken_by_their_documented_names() {
        for (field, names, severity) in [
            ("cipher_algos", "aes_256ctr AES128_GCM", None),
            ("key_exchange_algos", "CURVE25519 DH_GROUP_EXCHANGE_SHA256", None),
            ("compression_algos", "ZLIB NONE", None),                // SSH-23
            ("cipher_algos", "AES256_CBC", Some(Severity::Warning)), // SSH-7
            ("cipher_algos", "3DES_CBC", Some(Severity::Warning)),
            ("cipher_algos", "NONE", Some(Severity::Error)),
            ("mac_algos", "NONE", Some(Severity::Error)),
            ("mac_algos", "HMAC_SHA1", Some(Severity::Warning)),
            ("mac_algos", "HMAC_MD5", Some(Severity::Error)), // SSH-8
            ("mac_algos", "HMAC_SHA1_96", Some(Severity::Error)),
            ("key_exchange_algos", "DH_GROUP14_SHA1", Some(Severity::Warning)),
            ("key_exchange_algos", "SNTRUP761X25519_SHA512", Some(Severity::Error)),
            ("public_key_algos", "SSH_RSA SSH_DSS", Some(Severity::Warning)),
            ("public_key_algos", "X509V3_SIGN_RSA", Some(Severity::Error)),
            ("public_key_algos", "ED25519 SSH_ED25519", Some(Severity::Error)), // the same twice
            ("public_key_algos", "ROT13", Some(Severity::Error)),
        ] {
            let given = body(&[(field, names)]);
            let worst = crate::body_warnings(Kind::SshProfile, "P", &given).into_iter().map(|p| p.severity).min();
            assert_eq!(worst, severity, "{field} {names}");
            assert_eq!(check_body(Kind::SshProfile, &given).is_err(), severity == Some(Severity::Error), "{names}");
        }
    }

    #[test]
    fn names_on_the_wire() {
        let fields = [("type", "CLIENT"), ("key_exchange_algos", "CURVE25519 DH_GROUP16_SHA512")];
        let profile = read::<SshProfile>(&object(Kind::SshProfile, "P", &fields)).0;
        let expected = ["curve25519-sha256", "curve25519-sha256@libssh.org", "diffie-hellman-group16-sha512"];
        assert_eq!(SshProfile::wire(&profile.kex), expected);
        assert!(profile.takes_key("RSA") && profile.takes_key("ED25519") && !profile.takes_key("DSS"));
    }

    #[test]
    fn certificates_are_warned_of() {
        let warnings = crate::body_warnings(Kind::SshProfile, "P", &body(&[("issuer_name_pattern", "*CN=CA*")]));
        assert!(warnings.iter().any(|p| p.text.contains("not in this version")), "{warnings:?}");
    }
}
