//! TLS with a partner: the profiles of its site, and which certificates are its own (objects.md section 3, OBJ-13).

use base::{Alias, Pattern};

use crate::field::{Field, FieldKind};
use crate::object::Kind;
use crate::read::Reader;

pub(crate) const TLS_OUT: Field =
    Field::new("tls_sprof_out", FieldKind::Ref(Kind::TlsProfile), "TLS profile for connections that we open")
        .shorts(&["tso"])
        .aliases(&["s_tls_sprof_out"]);
pub(crate) const TLS_IN: Field =
    Field::new("tls_sprof_in", FieldKind::Ref(Kind::TlsProfile), "TLS profile that the partner's sessions must fit")
        .shorts(&["tsi"])
        .aliases(&["s_tls_sprof_in"])
        .detail("compared after the login with what was negotiated; empty for no comparison");
pub(crate) const SUBJECT_ALIAS: Field = Field::new(
    "remote_subject_cert_alias",
    FieldKind::Ref(Kind::Certificate),
    "the partner's certificate: only this one is accepted",
)
.shorts(&["rsubca"])
.aliases(&["s_remote_subject_cert_alias"])
.detail("it must be trusted all the same");
pub(crate) const ISSUER_ALIAS: Field =
    Field::new("remote_issuer_cert_alias", FieldKind::Ref(Kind::Certificate), "who has certified the partner")
        .shorts(&["risscerta"])
        .aliases(&["s_remote_issuer_cert_alias"]);
pub(crate) const SUBJECT_PATTERN: Field =
    Field::text("remote_subject_pattern", 512, "pattern for the subject of the partner's certificate")
        .shorts(&["rsubp"])
        .aliases(&["s_remote_subject_pattern"]);
pub(crate) const ISSUER_PATTERN: Field =
    Field::text("remote_issuer_pattern", 512, "pattern for the issuer of the partner's certificate")
        .shorts(&["rissp"])
        .aliases(&["s_remote_issuer_pattern"]);

/// TLS with a partner.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SiteTls {
    /// CLIENT profile for connections that we open.
    pub outgoing: Option<Alias>,
    /// SERVER profile that sessions of the partner must fit.
    pub incoming: Option<Alias>,
    /// Its certificate: only this one (TLS-44, AUTO-5).
    pub subject: Option<Alias>,
    /// Who has certified it.
    pub issuer: Option<Alias>,
    /// Pattern for the subject of its certificate.
    pub subject_pattern: Option<Pattern>,
    /// Pattern for the issuer of its certificate.
    pub issuer_pattern: Option<Pattern>,
}

impl SiteTls {
    /// Whether not every trusted certificate will do (OBJ-13).
    #[must_use]
    pub const fn has_filter(&self) -> bool {
        self.subject.is_some()
            || self.issuer.is_some()
            || self.subject_pattern.is_some()
            || self.issuer_pattern.is_some()
    }

    /// Whether the filter says whose certificate it is, and not only by what authority: by the certificate itself, or by who
    /// has certified it and a subject.
    #[must_use]
    pub fn names_one(&self) -> bool {
        let subject = self.subject_pattern.as_ref().is_some_and(|pattern| pattern.literals() > 0);
        self.subject.is_some() || (self.issuer.is_some() && subject)
    }
}

pub(crate) fn site_tls(r: &mut Reader<'_>) -> SiteTls {
    SiteTls {
        outgoing: r.alias("tls_sprof_out"),
        incoming: r.alias("tls_sprof_in"),
        subject: r.alias("remote_subject_cert_alias"),
        issuer: r.alias("remote_issuer_cert_alias"),
        subject_pattern: r.text("remote_subject_pattern").map(|text| Pattern::new(&text)),
        issuer_pattern: r.text("remote_issuer_pattern").map(|text| Pattern::new(&text)),
    }
}
