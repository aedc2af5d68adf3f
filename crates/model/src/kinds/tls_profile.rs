//! Versions, suites, certificates and trust of a TLS connection (tls-profiles.md section 1).

mod fields;

use base::{Alias, ObjectId, Pattern};

pub(crate) use self::fields::DESCRIPTOR;
use self::fields::TEMPLATES;
use crate::read::{Meant, Reader};
use crate::ssh_algorithms::Strength;
use crate::tls_suites::{NoVersion, TLS_GROUPS, TLS_SUITES, TlsGroup, TlsSuite, TlsVersion, VERSIONS, find_suite};

/// Whether the client shows a certificate (tls-profiles.md section 3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClientAuth {
    /// None is asked for, none is sent.
    Anonymous,
    /// One is asked for; the connection goes on without.
    Optional,
    /// There is no connection without.
    Mandatory,
}

/// How far revocation lists are asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TlsRevocation {
    /// Not at all.
    Ignore,
    /// Where the issuer has one in the store.
    IfListed,
    /// Each issuer must have one.
    Required,
}

/// When FTP data or a login needs TLS on an explicit connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FtPolicy {
    /// Always.
    Mandatory,
    /// As the client wants.
    Optional,
    /// Never.
    Disabled,
}

/// Length before each unit inside TLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HeaderPolicy {
    /// None.
    Unused,
    /// Always.
    Used,
    /// As the partner does.
    Detect,
}

/// A rule about one certificate of a partner's chain.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TlsTemplate {
    /// It is this stored certificate.
    pub alias: Option<Alias>,
    /// Pattern for its subject.
    pub subject: Option<Pattern>,
    /// Pattern for its issuer.
    pub issuer: Option<Pattern>,
    /// Pattern for one of its alternative names.
    pub alternative: Option<Pattern>,
}

/// What a partner's certificate must hold to.
#[derive(Clone, Debug, PartialEq)]
pub struct TlsTrust {
    /// Only stored, enabled certificates.
    pub hosted_only: bool,
    /// Unknown ones are kept, to be checked.
    pub import: bool,
    /// Issuers are found by key identifier, not by name only.
    pub by_key_id: bool,
    /// Longest chain, in certificates.
    pub depth: u8,
    /// As client: the certificate must name the host.
    pub check_host_name: bool,
    /// Revocation lists.
    pub revocation: TlsRevocation,
    /// A certificate for servers is good for a client.
    pub server_as_client: bool,
    /// SHA-1 and short RSA keys count.
    pub weak_signatures: bool,
    /// As server: authorities, one of which the chain must contain, if there are any.
    pub authorities: Vec<Alias>,
    /// Rules for the partner's own certificate; none accepts all.
    pub user: Vec<TlsTemplate>,
    /// Rules for authorities between.
    pub ca: Vec<TlsTemplate>,
    /// Rules for the root.
    pub root: Vec<TlsTemplate>,
}

/// When TLS begins, and what may go without (FTP, mail).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TlsStart {
    /// On request, on a connection that begins in clear.
    pub explicit: bool,
    /// Whether a login needs it.
    pub session: FtPolicy,
    /// Whether FTP data needs it.
    pub data: FtPolicy,
    /// FTP data must resume the session of its control connection.
    pub data_reuse: bool,
}

/// Versions, suites, certificates and trust of a TLS connection.
#[derive(Clone, Debug, PartialEq)]
pub struct TlsProfile {
    /// Number of its object.
    pub id: ObjectId,
    /// Its name.
    pub name: String,
    /// For connections that we open.
    pub client: bool,
    /// For connections of partners.
    pub server: bool,
    /// Whether it may be used.
    pub enabled: bool,
    /// Versions. Without any the profile is refused at use (TLS-1).
    pub versions: Vec<TlsVersion>,
    /// Suites, in order of preference.
    pub suites: Vec<&'static TlsSuite>,
    /// Key exchanges, in order of preference.
    pub groups: Vec<&'static TlsGroup>,
    /// Whether the client shows a certificate.
    pub client_auth: ClientAuth,
    /// Our certificates, in order of preference.
    pub certificates: Vec<Alias>,
    /// What the partner's must hold to.
    pub trust: TlsTrust,
    /// As server, our order of suites decides.
    pub server_order: bool,
    /// Sessions may be resumed.
    pub cache: bool,
    /// By tickets, too.
    pub tickets: bool,
    /// The end of a connection is announced.
    pub close_notify: bool,
    /// Free text.
    pub user_param: String,
    /// Length before each unit.
    pub header: HeaderPolicy,
    /// When TLS begins.
    pub start: TlsStart,
    /// Seconds for the handshake.
    pub handshake_timeout_s: u8,
}

/// What was negotiated in a session, to be compared with the profile of a site.
#[derive(Clone, Copy, Debug)]
pub struct TlsNegotiated<'a> {
    /// The version.
    pub version: TlsVersion,
    /// The suite.
    pub suite: &'a str,
    /// The client has shown a certificate that is trusted.
    pub client_authenticated: bool,
    /// The certificate that we have shown.
    pub own_certificate: Option<&'a str>,
}

impl TlsProfile {
    /// What of a session does not fit this profile as that of a site, with the documented codes (TLS-27).
    #[must_use]
    pub fn mismatches(&self, session: &TlsNegotiated<'_>) -> Vec<(u8, &'static str)> {
        let own = session.own_certificate;
        [
            (10, !self.server, "the profile is not for servers"),
            (
                11,
                self.client_auth == ClientAuth::Mandatory && !session.client_authenticated,
                "the client must show a certificate and has not",
            ),
            (
                12,
                self.client_auth == ClientAuth::Anonymous && session.client_authenticated,
                "the client must show no certificate and has",
            ),
            (18, self.suites.iter().all(|s| s.name != session.suite), "the cipher suite is not in the profile"),
            (19, !self.versions.contains(&session.version), "the TLS version is not in the profile"),
            (
                20,
                !self.certificates.iter().any(|alias| Some(alias.as_str()) == own),
                "the certificate that we have shown is not in the profile",
            ),
        ]
        .into_iter()
        .filter_map(|(code, is_so, text)| is_so.then_some((code, text)))
        .collect()
    }

    /// Why the profile can't be used on one side; `None` if it can (TLS-1, TLS-25).
    #[must_use]
    pub fn refusal(&self, as_server: bool) -> Option<&'static str> {
        let fits = if as_server { self.server } else { self.client };
        match () {
            () if !self.enabled => Some("it is disabled"),
            () if !fits && as_server => Some("it is of type CLIENT"),
            () if !fits => Some("it is of type SERVER"),
            () if self.versions.is_empty() => Some("it has no version of TLS that can be spoken"),
            () if self.suites.is_empty() => Some("it has no cipher suite that can be used"),
            () if as_server && self.certificates.is_empty() => Some("it has no certificate of ours"),
            () => None,
        }
    }
}

impl Meant for TlsProfile {
    fn read(r: &mut Reader<'_>) -> Self {
        const SIDES: &[(&str, (bool, bool))] =
            &[("CLIENT", (true, false)), ("SERVER", (false, true)), ("CLIENT_AND_SERVER", (true, true))];
        const CLIENT_AUTH: &[(&str, ClientAuth)] = &[
            ("TLS_AUT_ANONYMOUS", ClientAuth::Anonymous),
            ("TLS_AUT_OPTIONAL", ClientAuth::Optional),
            ("TLS_AUT_MANDATORY", ClientAuth::Mandatory),
        ];
        const HEADERS: &[(&str, HeaderPolicy)] =
            &[("unused", HeaderPolicy::Unused), ("used", HeaderPolicy::Used), ("detect", HeaderPolicy::Detect)];
        let (client, server) = r.choice("type", SIDES, (false, true));
        let versions = versions(r);
        let profile = Self {
            id: r.object.id,
            name: r.object.name.clone(),
            client,
            server,
            enabled: r.enabled(),
            suites: suites(r, &versions),
            versions,
            groups: groups(r),
            client_auth: r.choice("client_auth_policy", CLIENT_AUTH, ClientAuth::Mandatory),
            certificates: r.aliases("user_local_certificate"),
            trust: trust(r),
            server_order: r.flag("server_order"),
            cache: r.flag("cache_enabled"),
            tickets: r.flag("session_tickets"),
            close_notify: !r.flag("close_notify_disabled"),
            user_param: r.text_or_empty("user_param"),
            header: r.choice("protocol_header_policy", HEADERS, HeaderPolicy::Unused),
            start: start(r),
            handshake_timeout_s: r.int("handshake_timeout_s"),
        };
        not_in_this_version(r);
        together(r, &profile);
        profile
    }
}

fn versions(r: &mut Reader<'_>) -> Vec<TlsVersion> {
    const FIELD: &str = "tls_versions";
    let mut found = Vec::new();
    for name in r.list(FIELD) {
        match VERSIONS.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name)).map(|(_, version)| version) {
            Some(Ok(version)) if found.contains(version) => {
                r.error(FIELD, format!("{name} stands there twice"), "take one out");
            }
            Some(Ok(version)) => found.push(*version),
            Some(Err(NoVersion::Never)) => {
                r.warning(FIELD, format!("{name} is dropped: it is broken and never spoken"), "take it out");
            }
            Some(Err(NoVersion::OldEngine)) => {
                let text = format!("{name} needs the engine for old partners, which is not in this version");
                r.error(FIELD, text, "use TLSv12 and TLSv13");
            }
            None => r.error(FIELD, format!("{name:?} is not known"), "use TLSv12 and TLSv13"),
        }
    }
    if found.is_empty() {
        r.warning(FIELD, "no version is left, so the profile is refused at use", "name TLSv12, TLSv13 or both");
    }
    found
}

/// The suites, each checked: known, available; those that nobody gets are dropped (TLS-35).
fn suites(r: &mut Reader<'_>, versions: &[TlsVersion]) -> Vec<&'static TlsSuite> {
    const FIELD: &str = "cipher_suites";
    let mut found: Vec<&'static TlsSuite> = Vec::new();
    for name in r.list(FIELD) {
        let Some(suite) = find_suite(&name) else {
            r.error(FIELD, format!("{name:?} is not known"), format!("use some of {}", usable()));
            continue;
        };
        let TlsSuite { name, why, .. } = suite;
        match suite.strength {
            Strength::Never => r.warning(FIELD, format!("{name} is dropped: {why}"), "take it out"),
            _ if !suite.available => {
                let fix = "take it out; old partners need the engine for them, which is not in this version";
                r.error(FIELD, format!("{name} is not available: {why}"), fix);
            }
            _ if found.contains(&suite) => r.error(FIELD, format!("{name} stands there twice"), "take one out"),
            _ => found.push(suite),
        }
    }
    for version in versions {
        if found.iter().all(|suite| suite.version != *version) {
            let text = format!("no suite is for {}, so that version is never spoken", version.as_str());
            r.warning(FIELD, text, "add a suite for it, or take the version out");
        }
    }
    if found.is_empty() {
        r.warning(FIELD, "no suite is left, so the profile is refused at use", format!("name some of {}", usable()));
    }
    found
}

fn usable() -> String {
    TLS_SUITES.iter().filter(|s| s.available).map(|s| s.name).collect::<Vec<_>>().join(", ")
}

fn groups(r: &mut Reader<'_>) -> Vec<&'static TlsGroup> {
    const FIELD: &str = "groups";
    let mut found: Vec<&'static TlsGroup> = Vec::new();
    for name in r.list(FIELD) {
        match TLS_GROUPS.iter().find(|group| group.name.eq_ignore_ascii_case(&name)) {
            Some(group) if found.contains(&group) => {
                r.error(FIELD, format!("{name} stands there twice"), "take one out");
            }
            Some(group) => found.push(group),
            None => {
                let names = TLS_GROUPS.iter().map(|g| g.name).collect::<Vec<_>>().join(", ");
                r.error(FIELD, format!("{name:?} is not known"), format!("use some of {names}"));
            }
        }
    }
    if found.is_empty() {
        r.error(FIELD, "no key exchange is left", "name at least X25519");
    }
    found
}

fn trust(r: &mut Reader<'_>) -> TlsTrust {
    const MODES: &[(&str, bool)] = &[("legacy", false), ("rfc4158", true)];
    const REVOCATION: &[(&str, TlsRevocation)] = &[
        ("IGNORE", TlsRevocation::Ignore),
        ("IF_LISTED", TlsRevocation::IfListed),
        ("REQUIRED", TlsRevocation::Required),
    ];
    let trust = TlsTrust {
        hosted_only: r.flag("trust_hosted_certificates"),
        import: r.flag("remote_certificate_import"),
        by_key_id: r.choice("path_build_mode", MODES, true),
        depth: r.int("path_depth"),
        check_host_name: r.flag("check_host_name"),
        revocation: r.choice("revocation", REVOCATION, TlsRevocation::Required),
        server_as_client: r.flag("server_as_client"),
        weak_signatures: r.flag("weak_signatures"),
        authorities: r.aliases("accepted_authorities"),
        user: template_list(r, "remote_user_certificate"),
        ca: template_list(r, "remote_ca_certificate"),
        root: template_list(r, "remote_root_certificate"),
    };
    if trust.weak_signatures {
        let text = "SHA-1 and short RSA keys count, which can be forged with effort";
        r.warning("weak_signatures", text, "keep it only while a partner needs it");
    }
    trust
}

fn template_list(r: &mut Reader<'_>, field: &'static str) -> Vec<TlsTemplate> {
    let records = r.list(field);
    records.iter().filter_map(|text| template(text).map_err(|wrong| r.error(field, wrong, TEMPLATES)).ok()).collect()
}

/// Reads one record: a name, or patterns.
fn template(text: &str) -> Result<TlsTemplate, String> {
    let mut read = TlsTemplate::default();
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once('=').unwrap_or(("alias", part));
        let value = value.trim();
        let pattern = || Some(Pattern::new(value));
        match key.trim().to_ascii_lowercase().as_str() {
            _ if value.is_empty() => return Err(format!("{part:?} has no value")),
            "alias" | "name" => read.alias = Some(Alias::try_from(value.to_owned()).map_err(|e| e.to_string())?),
            "subject" | "subject_name" => read.subject = pattern(),
            "issuer" | "issuer_name" => read.issuer = pattern(),
            "alternative" | "subject_alt_name" => read.alternative = pattern(),
            other => return Err(format!("{other:?} is no part of a template")),
        }
    }
    if read == TlsTemplate::default() { Err("a template says nothing".to_owned()) } else { Ok(read) }
}

fn start(r: &mut Reader<'_>) -> TlsStart {
    const STARTS: &[(&str, bool)] = &[("implicit", false), ("explicit", true)];
    const POLICIES: &[(&str, FtPolicy)] =
        &[("mandatory", FtPolicy::Mandatory), ("optional", FtPolicy::Optional), ("disabled", FtPolicy::Disabled)];
    TlsStart {
        explicit: r.choice("ft_sec_option", STARTS, false),
        session: r.choice("ft_session_policy", POLICIES, FtPolicy::Mandatory),
        data: r.choice("ft_data_policy", POLICIES, FtPolicy::Mandatory),
        data_reuse: r.flag("ft_data_reuse"),
    }
}

/// What the documentation has and this version does not do.
fn not_in_this_version(r: &mut Reader<'_>) {
    let renegotiation = r.text_or_empty("renegotiate_enabled").to_ascii_lowercase();
    if matches!(renegotiation.as_str(), "legacy" | "unrestricted") {
        let text = format!("{renegotiation} is not possible: the TLS engine never negotiates anew");
        r.error("renegotiate_enabled", text, "use disabled or secure");
    }
    if r.flag("un_upgraded_partner_refused") {
        let text = "not looked at: the TLS engine never negotiates anew, so that such a partner is no danger";
        r.warning("un_upgraded_partner_refused", text, "set it to N");
    }
    if r.flag("exit_scheduling") {
        let text = "security exits are not in this version, and without them nobody would decide";
        r.error("exit_scheduling", text, "set it to N");
    }
    if !r.text_or_empty("server_auth_policy").eq_ignore_ascii_case("TLS_AUT_MANDATORY") {
        r.warning("server_auth_policy", "ignored: the server always proves itself", "set it to TLS_AUT_MANDATORY");
    }
    let passport = [r.text("xpp_entity_name"), r.text("xpp_partner_entity_name")];
    let _kept = (r.text("xpp_object_type"), r.text("xpp_partner_object_type"), r.secret("xpp_entity_password"));
    if passport.iter().any(Option::is_some) {
        let text = "PassPort is not in this version: entities are kept and not used";
        r.warning("xpp_entity_name", text, "name certificates of the store in user_local_certificate");
    }
}

/// Fields that do not go together.
fn together(r: &mut Reader<'_>, profile: &TlsProfile) {
    let TlsProfile { trust, start, .. } = profile;
    if profile.server && profile.certificates.is_empty() {
        r.warning("user_local_certificate", "a server needs a certificate to prove itself", "name one of type USER");
    }
    if profile.client && profile.client_auth == ClientAuth::Mandatory && profile.certificates.is_empty() {
        let text = "as client a certificate must be shown, and none is named";
        r.warning("user_local_certificate", text, "name one of type USER");
    }
    if profile.client && !trust.check_host_name && trust.user.is_empty() && !trust.hosted_only {
        let text = "any server with a certificate of a trusted authority passes for the one that is called";
        r.warning("check_host_name", text, "set it to Y, or trust hosted certificates only");
    }
    if start.explicit && (start.session != FtPolicy::Mandatory || start.data != FtPolicy::Mandatory) {
        let text = "logins or data may go in clear";
        r.warning("ft_session_policy", text, "set both policies to mandatory where partners allow it");
    }
    if start.data_reuse && !profile.cache {
        r.error("ft_data_reuse", "no session can be resumed while the cache is off", "set cache_enabled to Y");
    }
    if !profile.close_notify {
        let text = "a partner can't tell the end of a file from a cut line";
        r.warning("close_notify_disabled", text, "set it to N where the partner can do with it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check_body;
    use crate::object::{Body, Kind, Problem, Severity, Value};
    use crate::read::read;
    use crate::testing::{object, raw};

    fn body(fields: &[(&str, &str)]) -> Body {
        fields.iter().map(|(field, text)| ((*field).to_owned(), Value::from(*text))).collect()
    }

    fn profile(fields: &[(&str, &str)]) -> (TlsProfile, Vec<Problem>) {
        read(&object(Kind::TlsProfile, "P", fields))
    }

    fn refused(field: &str, text: &str) -> String {
        let problems = check_body(Kind::TlsProfile, &body(&[(field, text)])).unwrap_err();
        format!("{}: {}", problems[0].field, problems[0].text)
    }

    // TLS-37
    #[test]
    fn defaults_are_modern_and_closed() {
        let (profile, problems) = profile(&[("user_local_certificate", "OWN")]);
        assert_eq!(problems, []);
        assert_eq!(profile.versions, [TlsVersion::V13, TlsVersion::V12]);
        let expected: Vec<_> = TLS_SUITES.iter().filter(|s| s.strength == Strength::Default).collect();
        assert_eq!(profile.suites, expected);
        assert!(profile.server && !profile.client && profile.cache && profile.close_notify);
        assert!(!profile.trust.import && profile.trust.check_host_name && !profile.trust.weak_signatures);
        assert_eq!((profile.start.session, profile.start.data), (FtPolicy::Mandatory, FtPolicy::Mandatory));
        assert_eq!(profile.refusal(true), None);
        assert_eq!(profile.refusal(false), Some("it is of type SERVER")); // TLS-25
    }

    // Issue: what the engine can't do is refused when saved, with that reason.
    #[test]
    fn what_the_engine_cannot_do_is_refused() {
        for (field, text, expected) in [
            ("tls_versions", "TLSv11 TLSv12", "tls_versions: TLSv11 needs the engine for old partners"),
            ("tls_versions", "TLSv14", "tls_versions: \"TLSv14\" is not known"),
            ("tls_versions", "TLSv12 TLSv12", "tls_versions: TLSv12 stands there twice"),
            ("cipher_suites", "DHE_RSA_WITH_AES_128_GCM_SHA256", "no finite-field Diffie-Hellman"),
            ("cipher_suites", "RSA_WITH_AES_128_CBC_SHA", "no static RSA"),
            ("cipher_suites", "ECDHE_RSA_WITH_AES_128_CBC_SHA", "no CBC suites"),
            ("cipher_suites", "ROT13", "is not known"),
            ("groups", "SECP521R1", "is not known"),
            ("renegotiate_enabled", "unrestricted", "never negotiates anew"),
            ("exit_scheduling", "Y", "not in this version"),
            ("remote_user_certificate", "colour=red", "is no part of a template"),
            ("path_depth", "16", "out of range"),
        ] {
            assert!(refused(field, text).contains(expected), "{}", refused(field, text));
        }
        let many = vec!["TLS_AES_128_GCM_SHA256"; 33].join(" ");
        assert!(refused("cipher_suites", &many).contains("33 items")); // TLS-2
        let reuse = check_body(Kind::TlsProfile, &body(&[("ft_data_reuse", "Y"), ("cache_enabled", "N")]));
        assert_eq!(reuse.unwrap_err()[0].field, "ft_data_reuse");
    }

    // TLS-1, TLS-33, TLS-35: old exports are read; what is broken is dropped and told, and nothing is spoken without a version.
    #[test]
    fn broken_names_are_dropped_and_told() {
        let fields = [
            ("tls_versions", "SSLv3 SSL2HELLO"),
            ("cipher_suites", "RSA_WITH_RC4_128_MD5 TLS_AES_128_GCM_SHA256 RSA_ANON_WITH_NULL_MD5"),
            ("renegotiate_enabled", "Y"),
            ("name", "OWN"),
        ];
        let (profile, problems) = read::<TlsProfile>(&raw(Kind::TlsProfile, "P", body(&fields[..3])));
        assert!(problems.iter().all(|p| p.severity == Severity::Warning), "{problems:?}");
        let told = |text: &str| problems.iter().filter(|p| p.text.contains(text)).count();
        assert_eq!((told("is dropped"), told("no version is left")), (4, 1));
        assert_eq!(profile.suites.iter().map(|s| s.name).collect::<Vec<_>>(), ["TLS_AES_128_GCM_SHA256"]);
        assert_eq!(profile.refusal(true), Some("it has no version of TLS that can be spoken"));
    }

    #[test]
    fn templates_are_names_or_patterns() {
        let one = "OWN_ROOT|subject=C=RO, O=Example, CN=*;issuer=*CN=Root*|alternative=*.example.com";
        let (profile, problems) = profile(&[("user_local_certificate", "A B"), ("remote_root_certificate", one)]);
        assert_eq!(problems, []);
        let [name, names, alternative] = profile.trust.root.as_slice() else { panic!("{:?}", profile.trust.root) };
        assert_eq!(name.alias.as_ref().map(Alias::as_str), Some("OWN_ROOT"));
        assert_eq!(names.subject, Some(Pattern::new("C=RO, O=Example, CN=*")));
        assert_eq!(names.issuer, Some(Pattern::new("*CN=Root*")));
        assert_eq!(alternative.alternative, Some(Pattern::new("*.example.com")));
        assert_eq!(profile.certificates.len(), 2);
    }

    // TLS-27
    #[test]
    fn sessions_are_compared_with_the_documented_codes() {
        let (site, _) = profile(&[
            ("type", "CLIENT"),
            ("client_auth_policy", "MANDATORY"),
            ("tls_versions", "TLSv13"),
            ("cipher_suites", "TLS_AES_128_GCM_SHA256"),
            ("user_local_certificate", "OWN"),
        ]);
        let session = TlsNegotiated {
            version: TlsVersion::V12,
            suite: "ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            client_authenticated: false,
            own_certificate: None,
        };
        let codes = |profile: &TlsProfile, session: &TlsNegotiated<'_>| {
            profile.mismatches(session).iter().map(|(code, _)| *code).collect::<Vec<_>>()
        };
        assert_eq!(codes(&site, &session), [10, 11, 18, 19, 20]);
        let (site, _) = profile(&[("user_local_certificate", "OWN")]);
        let fits = TlsNegotiated { own_certificate: Some("OWN"), ..session };
        assert!(codes(&site, &fits).is_empty());
        assert_eq!(codes(&site, &TlsNegotiated { client_authenticated: true, ..fits }), [12]);
    }
}
