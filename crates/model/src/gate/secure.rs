//! What a gate asks of the TLS under a login (AC-26, objects.md 7.2 step 4), and when a certificate stands for the password.

use super::SiteBinding;
use crate::decision::{Refusal, Why};
use crate::kinds::addresses::text_matches;
use crate::kinds::cgate::Cgate;
use crate::kinds::tls_profile::{ClientAuth, TlsProfile};

/// TLS under a login, as gates ask about it. A login over SSH or in clear has none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LoginTls {
    /// The profile it was negotiated by.
    pub profile: String,
    /// That profile's `user_param`.
    pub user_param: String,
    /// The client has shown a certificate that is trusted.
    pub client_authenticated: bool,
}

impl LoginTls {
    /// What a session by `profile` would be.
    #[must_use]
    pub fn of(profile: &TlsProfile, client_authenticated: bool) -> Self {
        Self { profile: profile.name.clone(), user_param: profile.user_param.clone(), client_authenticated }
    }

    /// What a session by `profile` is like if nobody says more: the client shows a certificate where it has to.
    #[must_use]
    pub fn expected(profile: &TlsProfile) -> Self {
        Self::of(profile, profile.client_auth == ClientAuth::Mandatory)
    }
}

/// Whether the connection is what the gate asks for. A field that is `*` or empty asks for nothing.
pub(super) fn check(gate: &Cgate, tls: Option<&LoginTls>, why: &mut Why) -> Result<(), Refusal> {
    let name = &gate.name;
    if !gate.tls.asks() {
        return Ok(());
    }
    let refused = |why: &mut Why, text: String, fix: String| {
        why.no(format!("CGATE {name}"), text.clone());
        Err(Refusal::new(0, format!("gate {name}: {text}"), fix))
    };
    let Some(tls) = tls else {
        let text = format!("it asks for TLS ({}), and the connection has none", gate.tls);
        return refused(why, text, "let the partner connect with TLS, or clear these fields of the gate".to_owned());
    };
    for (field, pattern, value) in [
        ("tls_sprof", &gate.tls.profile, &tls.profile),
        ("tls_sprof_user_param", &gate.tls.user_param, &tls.user_param),
    ] {
        if let Some(pattern) = pattern.as_ref().filter(|p| !text_matches(p, value, base::QuestionMark::One)) {
            let text =
                format!("its {field} {} does not fit {value:?} of the TLS profile {}", pattern.as_str(), tls.profile);
            let fix = format!("let the partner come by another TLS profile, or change {field} of gate {name}");
            return refused(why, text, fix);
        }
    }
    if gate.tls.client_auth && !tls.client_authenticated {
        let text = "its tls_client_auth is Y, and the client has shown no certificate".to_owned();
        let fix = format!(
            "let the partner's software show one, and set client_auth_policy of TLS profile {} to OPTIONAL or MANDATORY",
            tls.profile
        );
        return refused(why, text, fix);
    }
    why.yes(format!("CGATE {name}"), format!("the TLS of the connection is as it asks: {}", gate.tls));
    Ok(())
}

/// A certificate that stands for the password must be one partner's: of a configured site that says which it is.
pub(super) fn names_certificate(gate: &Cgate, site: &SiteBinding, why: &mut Why) -> Result<(), Refusal> {
    if !gate.tls.certificate_login {
        return Ok(());
    }
    let name = &gate.name;
    let text = match site {
        SiteBinding::Dynamic { template, .. } => {
            format!("gate {name} has certificate_login Y, and the template {} is many partners'", template.name)
        }
        SiteBinding::Static(site) if !site.tls.names_one() => {
            format!("gate {name} has certificate_login Y, and site {} does not say which certificate is its", site.name)
        }
        SiteBinding::Static(site) => {
            why.yes(
                format!("CGATE {name}"),
                format!("the certificate that site {} names stands for the password", site.name),
            );
            return Ok(());
        }
    };
    let fix = "give each partner a site of its own with remote_subject_cert_alias, or with remote_issuer_cert_alias and \
               remote_subject_pattern";
    Err(Refusal::new(0, text, fix))
}
