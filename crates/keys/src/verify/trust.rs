//! Whether a peer's certificate is trusted: the path, the templates, the hosted certificates, the accepted authorities
//! (tls-profiles.md section 4).

use std::fmt;

use base::{Pattern, QuestionMark, UtcMicros};

use super::build::{PathRequest, find_path};
use super::host::{NameMismatch, PeerName, check_name};
use super::path::{Path, PathReport, Step};
use super::policy::PathPolicy;
use super::store::{StoredCertificate, TrustStore};
use crate::certificate::{Certificate, CertificateState, Name};

/// A rule about one certificate of a peer's path: the stored certificate of that name, or one whose names fit.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Template {
    /// It must be this stored certificate.
    pub alias: Option<String>,
    /// Its subject must fit.
    pub subject: Option<Pattern>,
    /// Its issuer must fit.
    pub issuer: Option<Pattern>,
    /// One of its alternative names must fit.
    pub alternative: Option<Pattern>,
}

impl Template {
    /// Whether `certificate` fits in all that the template says. An empty one fits nothing.
    #[must_use]
    pub fn fits(&self, certificate: &Certificate, store: &TrustStore) -> bool {
        let says_nothing = *self == Self::default();
        let is_stored = |alias: &String| {
            store.by_alias(alias).is_some_and(|entry| entry.state.is_enabled() && entry.certificate == *certificate)
        };
        let fits = |pattern: &Pattern, text: &str| pattern.matches(text, QuestionMark::One);
        let names = || {
            certificate.extensions().alt_names.iter().map(|name| match name.to_string().split_once(':') {
                Some((_, value)) => value.to_owned(),
                None => name.to_string(),
            })
        };
        !says_nothing
            && self.alias.as_ref().is_none_or(is_stored)
            && self.subject.as_ref().is_none_or(|p| fits(p, &certificate.subject().to_string()))
            && self.issuer.as_ref().is_none_or(|p| fits(p, &certificate.issuer().to_string()))
            && self.alternative.as_ref().is_none_or(|p| names().any(|name| fits(p, &name)))
    }
}

/// Templates for each part that a certificate can play. An empty list accepts all (TLS-14).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Templates {
    /// For the end entity.
    pub user: Vec<Template>,
    /// For authorities between.
    pub ca: Vec<Template>,
    /// For the root.
    pub root: Vec<Template>,
}

impl Templates {
    /// Whether each certificate of `path` fits one of its list.
    ///
    /// # Errors
    /// [`Refusal::Template`].
    pub fn check(&self, path: &Path, store: &TrustStore) -> Result<(), Refusal> {
        let steps = path.steps();
        let last = steps.len().saturating_sub(1);
        for (at, step) in steps.iter().enumerate() {
            // A certificate that is its own root plays the part of the end entity.
            let (part, list) = match at {
                0 => ("user", &self.user),
                _ if at == last => ("root", &self.root),
                _ => ("CA", &self.ca),
            };
            if !list.is_empty() && !list.iter().any(|template| template.fits(&step.certificate, store)) {
                return Err(Refusal::Template { step: step.to_string(), part });
            }
        }
        Ok(())
    }
}

/// What a peer must show.
#[derive(Clone, Debug)]
pub struct TrustRules {
    /// What its path must hold to.
    pub policy: PathPolicy,
    /// Rules about each certificate of it.
    pub templates: Templates,
    /// Only stored, enabled certificates are good, and their path must hold all the same.
    pub trust_hosted: bool,
    /// Unknown certificates are to be kept for a person to look at. They are refused either way.
    pub import: bool,
    /// As server: the path must contain one of these stored certificates, if there are any.
    pub accepted_authorities: Vec<String>,
    /// Only this stored certificate is good (TLS-44, AUTO-5).
    pub attached: Option<String>,
}

impl TrustRules {
    /// A path, and nothing else.
    #[must_use]
    pub fn new(policy: PathPolicy) -> Self {
        Self {
            policy,
            templates: Templates::default(),
            trust_hosted: false,
            import: false,
            accepted_authorities: Vec::new(),
            attached: None,
        }
    }
}

/// A peer's certificate that is trusted. Only [`judge`] makes one; that the peer holds the key is for the handshake to prove.
#[derive(Clone, Debug)]
pub struct Verified {
    path: Path,
    alias: Option<String>,
}

impl Verified {
    /// From the end entity to the root.
    #[must_use]
    pub const fn path(&self) -> &Path {
        &self.path
    }

    /// The name of the end entity in the store, if it is there.
    #[must_use]
    pub fn alias(&self) -> Option<&str> {
        self.alias.as_deref()
    }
}

/// Why a peer's certificate is not trusted.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It is stored, but not enabled.
    #[error("certificate {alias} is {state}: a person must enable it")]
    NotEnabled {
        /// Its name.
        alias: String,
        /// Its state.
        state: CertificateState,
    },
    /// Only stored certificates are good here, and this one is not.
    #[error("the certificate of {subject} is not in the store, and only stored ones are trusted here")]
    NotHosted {
        /// Whose it is.
        subject: Name,
        /// Whether it is to be kept for a person to look at, once the peer has proved that it holds the key.
        keep: bool,
    },
    /// It has no path to a root.
    #[error("{report}")]
    NoPath {
        /// What was tried.
        report: PathReport,
        /// As above.
        keep: bool,
    },
    /// Another one is attached.
    #[error("the certificate of {subject} is not {alias}, which is the only one for this partner")]
    NotAttached {
        /// Whose it is.
        subject: Name,
        /// The one that is attached.
        alias: String,
    },
    /// A template does not fit.
    #[error("{step} fits none of the {part} templates")]
    Template {
        /// The certificate.
        step: String,
        /// Which list.
        part: &'static str,
    },
    /// None of the accepted authorities is in the path.
    #[error("the path {path} contains none of the accepted authorities")]
    Authority {
        /// The path.
        path: String,
    },
    /// It is for another host.
    #[error(transparent)]
    Name(#[from] NameMismatch),
}

impl Refusal {
    /// Whether the certificate is to be kept for a person to look at.
    #[must_use]
    pub const fn keeps(&self) -> bool {
        matches!(self, Self::NotHosted { keep: true, .. } | Self::NoPath { keep: true, .. })
    }
}

/// Decides about a peer's certificate. `sent` are the certificates that came behind it; `called` is whom we called, as
/// client.
///
/// # Errors
/// [`Refusal`].
pub fn judge(peer: &Peer<'_>, store: &TrustStore, rules: &TrustRules, at: UtcMicros) -> Result<Verified, Refusal> {
    let stored = store.entry_of(peer.end_entity);
    hosted(peer.end_entity, stored, rules)?;
    let request = PathRequest { end_entity: peer.end_entity, sent: peer.sent, store, at, policy: &rules.policy };
    // An unknown certificate whose path fails is kept; one that is stored is known already (section 4.4).
    let keep = rules.import && stored.is_none();
    let path = find_path(&request).map_err(|report| Refusal::NoPath { report, keep })?;
    rules.templates.check(&path, store)?;
    let accepted = rules.accepted_authorities.iter().filter_map(|alias| store.by_alias(alias));
    let accepted: Vec<&StoredCertificate> = accepted.filter(|entry| entry.state.is_enabled()).collect();
    let is_accepted = |step: &Step| accepted.iter().any(|entry| entry.certificate == step.certificate);
    if !rules.accepted_authorities.is_empty() && !path.steps().iter().any(is_accepted) {
        return Err(Refusal::Authority { path: path.to_string() });
    }
    if let Some(called) = peer.called {
        check_name(peer.end_entity, called)?;
    }
    Ok(Verified { path, alias: stored.map(|entry| entry.alias.clone()) })
}

/// What a peer has shown.
#[derive(Clone, Copy, Debug)]
pub struct Peer<'a> {
    /// Its own certificate.
    pub end_entity: &'a Certificate,
    /// What came behind it.
    pub sent: &'a [Certificate],
    /// Whom we called, if we did and the name counts.
    pub called: Option<&'a PeerName>,
}

/// The checks that need no path: is it enabled, is it the attached one, is it stored.
fn hosted(certificate: &Certificate, stored: Option<&StoredCertificate>, rules: &TrustRules) -> Result<(), Refusal> {
    if let Some(entry) = stored.filter(|entry| !entry.state.is_enabled()) {
        return Err(Refusal::NotEnabled { alias: entry.alias.clone(), state: entry.state });
    }
    let subject = || certificate.subject().clone();
    if let Some(alias) = rules.attached.as_ref().filter(|alias| stored.is_none_or(|entry| entry.alias != **alias)) {
        return Err(Refusal::NotAttached { subject: subject(), alias: alias.clone() });
    }
    if rules.trust_hosted && stored.is_none() {
        return Err(Refusal::NotHosted { subject: subject(), keep: rules.import });
    }
    Ok(())
}

/// The names that a server sends as accepted authorities, and those of the list that can't be sent (CERT-17).
#[must_use]
pub fn authority_names<'a>(aliases: &'a [String], store: &'a TrustStore) -> (Vec<&'a Name>, Vec<&'a str>) {
    let (mut names, mut missing) = (Vec::new(), Vec::new());
    for alias in aliases {
        match store.by_alias(alias).filter(|entry| entry.state.is_enabled()) {
            Some(entry) => names.push(entry.certificate.subject()),
            None => missing.push(alias.as_str()),
        }
    }
    (names, missing)
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path)
    }
}
