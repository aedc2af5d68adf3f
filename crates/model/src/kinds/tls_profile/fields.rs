//! The fields of a TLS profile, under their documented names.

use crate::field::{Field, FieldKind, NameRule, ObjectDescriptor, STATE};
use crate::object::Kind;

pub(crate) static DESCRIPTOR: ObjectDescriptor = ObjectDescriptor {
    kind: Kind::TlsProfile,
    title: "TLS profile",
    about: "Versions, cipher suites, certificates and trust of TLS connections, as server, as client or as both.",
    name_field: Field::text("sprof_name", 31, "name of the TLS profile")
        .shorts(&["spn"])
        .aliases(&["sp_name", "name"])
        .required(),
    name_rule: NameRule::Word { max: 31 },
    fields: FIELDS,
    group_field: None,
    state_field: Some(STATE.aliases(&["sp_state"])),
    summary: &["type", "exit_scheduling", "cache_enabled", "client_auth_policy", "server_auth_policy", "state"],
};

const AUTHENTICATION: &[&str] = &["TLS_AUT_ANONYMOUS", "TLS_AUT_OPTIONAL", "TLS_AUT_MANDATORY"];
const AUTHENTICATION_WORDS: &[(&str, &str)] =
    &[("ANONYMOUS", "TLS_AUT_ANONYMOUS"), ("OPTIONAL", "TLS_AUT_OPTIONAL"), ("MANDATORY", "TLS_AUT_MANDATORY")];
const PASSPORT_TYPES: &[&str] = &["Entity", "Certificate"];
pub(super) const TEMPLATES: &str = "records are parted by |; each is the name of a stored certificate, or subject=, issuer= and \
                         alternative= patterns parted by ;";

static FIELDS: &[Field] = &[
    Field::choice("type", &["CLIENT", "SERVER", "CLIENT_AND_SERVER"], "side on which the profile may be used")
        .shorts(&["spt"])
        .aliases(&["sprof_type", "sp_type"])
        .default("SERVER"),
    Field::new("tls_versions", FieldKind::List { max: 6, choices: None }, "accepted versions")
        .shorts(&["sptv"])
        .aliases(&["sprof_tls_versions", "sp_tls_versions"])
        .default("TLSv13 TLSv12"),
    Field::new("cipher_suites", FieldKind::List { max: 32, choices: None }, "accepted suites, preferred ones first")
        .shorts(&["spcsu"])
        .aliases(&["sprof_ciph_suites", "sprof_cipher_suites", "sp_cipher_suites"])
        .default(
            "TLS_AES_256_GCM_SHA384 TLS_AES_128_GCM_SHA256 TLS_CHACHA20_POLY1305_SHA256 \
             ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 \
             ECDHE_RSA_WITH_AES_256_GCM_SHA384 ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        ),
    Field::new("groups", FieldKind::List { max: 8, choices: None }, "key exchanges, preferred ones first")
        .aliases(&["sprof_groups", "sp_groups"])
        .default("X25519MLKEM768 X25519 SECP256R1 SECP384R1")
        .detail("X25519MLKEM768 is safe against quantum computers, too"),
    Field::choice("client_auth_policy", AUTHENTICATION, "whether the client shows a certificate")
        .shorts(&["spclia"])
        .aliases(&["sprof_client_auth_policy", "sp_client_auth_policy"])
        .synonyms(AUTHENTICATION_WORDS)
        .default("TLS_AUT_ANONYMOUS"),
    Field::choice("server_auth_policy", AUTHENTICATION, "kept for old exports: the server always proves itself")
        .aliases(&["sprof_server_auth_policy", "sp_server_auth_policy"])
        .synonyms(AUTHENTICATION_WORDS)
        .default("TLS_AUT_MANDATORY"),
    Field::flag("trust_hosted_certificates", "N", "only certificates that are stored and enabled are trusted")
        .aliases(&["sprof_trust_hosted_certificates", "sp_trust_hosted_certificates"])
        .detail("their path to a root must hold all the same"),
    Field::flag("remote_certificate_import", "N", "keep unknown certificates of partners, disabled, to be checked")
        .aliases(&["sprof_remote_certificate_import", "sp_remote_certificate_import"]),
    Field::choice("path_build_mode", &["legacy", "rfc4158"], "how issuers are found: by name, or by key identifier")
        .shorts(&["sppbm"])
        .aliases(&["sprof_path_build_mode", "sp_sprof_path_build_mode", "sp_path_build_mode"])
        .default("rfc4158"),
    Field::int("path_depth", (1, 15), "certificates", "longest chain of a partner, its root counted")
        .aliases(&["sprof_path_depth", "sp_path_depth"])
        .default("7"),
    Field::flag("check_host_name", "Y", "as client, the server's certificate must name the host that is called")
        .aliases(&["sprof_check_host_name", "sp_check_host_name"]),
    Field::choice(
        "revocation",
        &["IGNORE", "IF_LISTED", "REQUIRED"],
        "whether revocation lists of the store are asked",
    )
    .aliases(&["sprof_revocation", "sp_revocation"])
    .default("IF_LISTED"),
    Field::flag("server_as_client", "N", "a partner may show a certificate for servers as client")
        .aliases(&["sprof_server_as_client", "sp_server_as_client"])
        .detail("public authorities certify no clients any more"),
    Field::flag("weak_signatures", "N", "SHA-1 and RSA from 1024 bits count in chains of partners")
        .aliases(&["sprof_weak_signatures", "sp_weak_signatures"]),
    Field::flag("server_order", "Y", "as server, our order of suites decides, not the client's")
        .aliases(&["sprof_server_order", "sp_server_order"]),
    Field::flag("cache_enabled", "Y", "sessions may be resumed").aliases(&["sprof_cache_enabled", "sp_cache_enabled"]),
    Field::flag("session_tickets", "Y", "sessions are resumed by tickets, too").aliases(&["sp_session_tickets"]),
    Field::choice(
        "renegotiate_enabled",
        &["disabled", "secure", "legacy", "unrestricted"],
        "whether a partner may negotiate anew (TLS 1.2)",
    )
    .aliases(&["sprof_renegotiate_enabled", "sp_renegotiate_enabled"])
    .synonyms(&[("N", "disabled"), ("Y", "secure")])
    .default("disabled"),
    Field::flag("un_upgraded_partner_refused", "N", "refuse partners without secure renegotiation (RFC 5746)").aliases(
        &["sprof_un-upgraded_partner_refused", "sp_un-upgraded_partner_refused", "un-upgraded_partner_refused"],
    ),
    Field::flag("exit_scheduling", "N", "security exits decide")
        .aliases(&["sprof_exit_scheduling", "sp_exit_scheduling"]),
    Field::flag("close_notify_disabled", "N", "do not announce the end of a connection (FTP and HTTP)")
        .aliases(&["sprof_close_notify_disabled", "sp_close_notify_disabled"])
        .detail("a partner then can't tell the end of a file from a cut line"),
    Field::text("user_param", 31, "free text, matched by gates").aliases(&["sprof_user_param", "sp_user_param"]),
    Field::choice("protocol_header_policy", &["unused", "used", "detect"], "length before each unit (OFTP, PeSIT)")
        .aliases(&["sprof_protocol_header_policy", "sp_protocol_header_policy"])
        .default("unused"),
    Field::choice("ft_sec_option", &["implicit", "explicit"], "TLS from the first octet, or on request (FTP, mail)")
        .aliases(&["sprof_ft_sec_option", "sp_ft_sec_option"])
        .default("implicit"),
    Field::choice("ft_session_policy", &["mandatory", "optional"], "explicit: whether a login needs TLS")
        .aliases(&["sprof_ft_session_policy", "sp_ft_session_policy"])
        .default("mandatory"),
    Field::choice("ft_data_policy", &["mandatory", "optional", "disabled"], "explicit: whether FTP data needs TLS")
        .aliases(&["sprof_ft_data_policy", "sp_ft_data_policy"])
        .default("mandatory"),
    Field::flag("ft_data_reuse", "N", "FTP data must resume the TLS session of its control connection")
        .aliases(&["sprof_ft_data_reuse", "sp_ft_data_reuse"]),
    Field::int("handshake_timeout_s", (2, 120), "seconds", "time for the handshake").default("20"),
    Field::text("xpp_entity_name", 255, "PassPort: our entity").aliases(&["sp_xpp_entity_name"]),
    Field::new("xpp_entity_password", FieldKind::Secret { max: 255 }, "PassPort: its password")
        .aliases(&["sp_xpp_entity_password"]),
    Field::choice("xpp_object_type", PASSPORT_TYPES, "PassPort: what our entity is")
        .aliases(&["sp_xpp_object_type"])
        .default("Entity"),
    Field::text("xpp_partner_entity_name", 255, "PassPort: the partner's entity")
        .aliases(&["sp_xpp_partner_entity_name"]),
    Field::choice("xpp_partner_object_type", PASSPORT_TYPES, "PassPort: what the partner's entity is")
        .aliases(&["sp_xpp_partner_object_type"])
        .default("Entity"),
    certificates("user_local_certificate", 10, "our certificates, preferred ones first")
        .aliases(&["sprof_user_local_certificate", "certificate_name"]),
    certificates("accepted_authorities", 64, "as server: authorities of which clients must have one")
        .aliases(&["sprof_accepted_authorities"]),
    templates("remote_user_certificate", "templates for a partner's own certificate")
        .aliases(&["sprof_remote_user_certificate"]),
    templates("remote_ca_certificate", "templates for the authorities between")
        .aliases(&["sprof_remote_ca_certificate"]),
    templates("remote_root_certificate", "templates for the root").aliases(&["sprof_remote_root_certificate"]),
];

/// Names of certificates of the store.
const fn certificates(name: &'static str, max: u16, help: &'static str) -> Field {
    Field::new(name, FieldKind::RefList(Kind::Certificate, max), help)
}

const fn templates(name: &'static str, help: &'static str) -> Field {
    Field::new(name, FieldKind::List { max: 32, choices: None }, help).separators("|").detail(TEMPLATES)
}
