//! A gate: which login comes in, from where, with which keys and rights (objects.md section 7).

use std::fmt;

use base::{Alias, ObjectId, Pattern};

use super::cgate_group::{CALLING, HOME_DIR, MAX_UPLOAD, PARAM1, PARAM2, ROOT_DIR, Shared, VFD_RIGHT, shared};
use super::store_limits::{MAX_STORED, MAX_STORED_FILES, RETENTION, StoreLimits, store_limits};
use super::transfer_rates::{DOWNLOAD_RATE, DOWNLOAD_REQUESTS, UPLOAD_RATE, UPLOAD_REQUESTS};
use crate::field::{COMMENTS, Field, FieldKind, NameRule, ObjectDescriptor, STATE};
use crate::object::Kind;
use crate::read::{Meant, Reader};

pub(crate) static DESCRIPTOR: ObjectDescriptor = ObjectDescriptor {
    kind: Kind::Cgate,
    title: "gate",
    about: "Who may log in, from where, with which keys, and with what rights.",
    name_field: Field::text("name", 32, "name of the gate").shorts(&["n"]).aliases(&["cg_name"]).required(),
    name_rule: NameRule::Word { max: 32 },
    fields: &[
        Field::new("cgategroup", FieldKind::Ref(Kind::CgateGroup), "group that the gate is in")
            .shorts(&["cgg", "gr"])
            .aliases(&["group", "cg_group"])
            .required(),
        Field::text("login_user", 63, "user name, or a pattern with * and ?")
            .shorts(&["lu"])
            .aliases(&["cg_login_user"])
            .required()
            .detail("of several gates that fit, the one with most literal characters is taken"),
        Field::new("login_password", FieldKind::PasswordHash { max: 128 }, "password; only its hash is kept")
            .shorts(&["lp"])
            .aliases(&["cg_login_password"]),
        Field::new("remote_public_key_alias", FieldKind::RefList(Kind::Key, 8), "keys of the partner: only these are accepted")
            .shorts(&["rpubka"])
            .aliases(&["cg_remote_public_key_alias"]),
        Field::text("remote_public_key_group", 31, "group of the partner's keys, and of captured ones")
            .shorts(&["rpubkg"])
            .aliases(&["cg_remote_public_key_group"]),
        Field::new("bound_keys", FieldKind::RefList(Kind::Key, 16), "captured keys that a person has enabled for this partner")
            .aliases(&["cg_bound_keys"])
            .detail("set by quarantine enable; unlike remote_public_key_alias they leave room for a new key to be captured"),
        Field::text("tls_sprof", 31, "pattern for the TLS profile that the partner must come by; a connection in clear never fits")
            .shorts(&["tlss"])
            .aliases(&["cg_tls_sprof"]),
        Field::text("tls_sprof_user_param", 31, "pattern for the user_param of that TLS profile")
            .shorts(&["tlssup"])
            .aliases(&["cg_tls_sprof_user_param"]),
        Field::flag("tls_client_auth", "N", "the partner must have shown a certificate that is trusted")
            .shorts(&["tlscauth"])
            .aliases(&["cg_tls_client_auth"]),
        Field::flag("certificate_login", "N", "the certificate that the site names stands for the password, which the gate then has not")
            .shorts(&["certl"])
            .detail("needs tls_client_auth, and a site with remote_subject_cert_alias, or with remote_issuer_cert_alias and remote_subject_pattern"),
        CALLING,
        HOME_DIR,
        ROOT_DIR,
        VFD_RIGHT,
        Field::int("settle_s", (0, 3600), "seconds", "quiet time before an uploaded file is routed")
            .shorts(&["sts"])
            .aliases(&["cg_settle_s"])
            .default("2")
            .detail("a client that is broken off may close a short file properly; opening it again or renaming starts the time anew"),
        MAX_UPLOAD,
        UPLOAD_RATE,
        UPLOAD_REQUESTS,
        DOWNLOAD_RATE,
        DOWNLOAD_REQUESTS,
        MAX_STORED_FILES,
        MAX_STORED,
        RETENTION,
        Field::text("route_remote_agent", 63, "site that gets the files received")
            .shorts(&["rra"])
            .aliases(&["cg_route_remote_agent"])
            .detail("&(destination) and $(LOGIN_USER) are replaced"),
        PARAM1,
        PARAM2,
        COMMENTS,
    ],
    group_field: None,
    state_field: Some(STATE.aliases(&["cg_state"])),
    summary: &["cgategroup", "login_user", "remote_public_key_alias", "home_dir", "state"],
};

/// Who may log in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cgate {
    /// Number of its object.
    pub id: ObjectId,
    /// Its name.
    pub name: String,
    /// Group it is in.
    pub group: String,
    /// Logins it takes.
    pub login: Pattern,
    /// Whether a password is stored, as secret `login_password`.
    pub has_password: bool,
    /// Keys of the partner.
    pub public_keys: Vec<Alias>,
    /// Captured keys that a person has enabled for it (DESIGN 1.5).
    pub bound_keys: Vec<Alias>,
    /// Group of its keys.
    pub public_key_group: Option<String>,
    /// What it asks of the TLS under a login.
    pub tls: GateTls,
    /// What is merged with its groups.
    pub shared: Shared,
    /// Quiet seconds before an uploaded file is routed.
    pub settle_s: u16,
    /// Site that gets the files received.
    pub route_remote_agent: Option<String>,
    /// How much of what comes by it is stored, and how long.
    pub stored: StoreLimits,
    /// Free text.
    pub comments: String,
    /// Whether it may be used.
    pub enabled: bool,
    /// Why it can't be used: logins that come to it are refused.
    pub broken: Option<String>,
}

/// What a gate asks of the TLS under a login (AC-26).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct GateTls {
    /// Pattern for the name of the profile; none for any connection.
    pub profile: Option<Pattern>,
    /// Pattern for the profile's `user_param`.
    pub user_param: Option<Pattern>,
    /// The client must have shown a certificate that is trusted.
    pub client_auth: bool,
    /// That certificate, if it is the one of the site, stands for the password.
    pub certificate_login: bool,
}

impl GateTls {
    /// Whether it asks for anything.
    #[must_use]
    pub const fn asks(&self) -> bool {
        self.profile.is_some() || self.user_param.is_some() || self.client_auth
    }
}

impl fmt::Display for GateTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |field: &str, pattern: &Option<Pattern>| pattern.as_ref().map(|p| format!("{field} {}", p.as_str()));
        let parts = [
            text("tls_sprof", &self.profile),
            text("tls_sprof_user_param", &self.user_param),
            self.client_auth.then(|| "tls_client_auth Y".to_owned()),
        ];
        f.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

impl Cgate {
    /// Whether several logins fit, so that its keys are not one partner's alone.
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        self.login.as_str().contains(['*', '?'])
    }
}

impl Meant for Cgate {
    fn read(r: &mut Reader<'_>) -> Self {
        let login = r.text_or_empty("login_user");
        if login.is_empty() {
            r.error("login_user", "it must be given", "state the user name, or a pattern such as *");
        }
        let group = r.text_or_empty("cgategroup");
        if group.is_empty() {
            r.error("cgategroup", "it must be given", "name the gate group that serves the port");
        }
        Self {
            id: r.object.id,
            name: r.object.name.clone(),
            group,
            login: Pattern::new(login),
            has_password: r.secret("login_password"),
            public_keys: r.aliases("remote_public_key_alias"),
            bound_keys: r.aliases("bound_keys"),
            public_key_group: r.text("remote_public_key_group"),
            tls: gate_tls(r),
            shared: shared(r),
            settle_s: r.int("settle_s"),
            route_remote_agent: r.text("route_remote_agent"),
            stored: store_limits(r),
            comments: r.text_or_empty("comments"),
            enabled: r.enabled(),
            broken: r.broken(),
        }
    }
}

fn gate_tls(r: &mut Reader<'_>) -> GateTls {
    // What accepts anything accepts a connection in clear, too (objects.md 7.2).
    let mut pattern = |field| r.text(field).filter(|text| text != "*").map(Pattern::new);
    let (profile, user_param) = (pattern("tls_sprof"), pattern("tls_sprof_user_param"));
    let client_auth = r.flag("tls_client_auth");
    let certificate_login = r.flag("certificate_login");
    if certificate_login && !client_auth {
        r.error("certificate_login", "the gate does not ask for a certificate", "set tls_client_auth to Y as well");
    }
    if certificate_login && r.secret("login_password") {
        let fix = "take the password out, or set certificate_login to N: then both are needed";
        r.error("certificate_login", "the gate has a password, and takes a certificate instead of one", fix);
    }
    GateTls { profile, user_param, client_auth, certificate_login }
}
