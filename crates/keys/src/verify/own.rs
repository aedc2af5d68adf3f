//! Our own certificates: the chain that is sent or exported, and which of several is taken.

use std::cmp::Reverse;
use std::fmt;

use base::UtcMicros;

use super::path::{Origin, Step};
use super::policy::{PATH_DEPTH_MAX, PathMode};
use super::signature::verify_certificate;
use super::store::{StoredCertificate, TrustStore};
use crate::certificate::{CertificateState, Name};

/// A chain from a stored certificate up to its root, as far as the store reaches. Nothing is verified for trust: it is what
/// we show to others.
#[derive(Clone, Debug)]
pub struct OwnChain {
    /// The certificate first.
    pub steps: Vec<Step>,
    /// The issuer that is not in the store, if the chain does not reach a root.
    pub missing: Option<Name>,
    /// What else to look at then: the end of a sentence, or nothing.
    pub hint: &'static str,
    /// The first certificate of it that is not enabled.
    pub disabled: Option<(String, CertificateState)>,
}

impl OwnChain {
    /// Follows `start` upwards. Of several issuers one that did sign is taken before one that did not, then an enabled one,
    /// a valid one, the older one (CERT-22, CERT-23).
    #[must_use]
    pub fn follow(store: &TrustStore, start: &StoredCertificate, mode: PathMode, at: UtcMicros) -> Self {
        let mut chain = Self { steps: vec![step(start)], missing: None, hint: "", disabled: disabled(start) };
        let mut last = start;
        while !last.certificate.is_self_issued() && chain.steps.len() < PATH_DEPTH_MAX {
            let Some(next) = issuer(store, last, mode, at).filter(|next| !chain.has(next)) else {
                chain.missing = Some(last.certificate.issuer().clone());
                chain.hint = store.hint(&last.certificate, mode);
                break;
            };
            chain.steps.push(step(next));
            chain.disabled = chain.disabled.or_else(|| disabled(next));
            last = next;
        }
        chain
    }

    fn has(&self, entry: &StoredCertificate) -> bool {
        self.steps.iter().any(|step| step.certificate == entry.certificate)
    }

    /// Whether it may be sent: it reaches a root, and each of it is enabled (CERT-17).
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.missing.is_none() && self.disabled.is_none()
    }

    /// The documented form for programs (CERT-20), kept octet for octet.
    #[must_use]
    pub fn parsable(&self) -> String {
        let mut text = String::from("#?BEGIN_CERT_CHAIN\n");
        for (at, step) in self.steps.iter().enumerate() {
            text.push_str(&format!("[{at}][{}][ {}]\n", alias(step), step.certificate.subject()));
        }
        if let Some(missing) = &self.missing {
            text.push_str(&format!("[-][----][ {missing}]\n"));
        }
        text.push_str("#?END_CERT_CHAIN\n");
        text
    }

    /// The documented form for people: the root first, an arrow to each certificate below.
    #[must_use]
    pub fn drawing(&self) -> String {
        let missing = self.missing.iter().map(|name| format!("[-][----][ {name}]"));
        let known = self.steps.iter().enumerate().rev();
        let known = known.map(|(at, step)| format!("[{at}][{}][ {}]", alias(step), step.certificate.subject()));
        let mut text = String::new();
        for (depth, line) in missing.chain(known).enumerate() {
            match depth {
                0 => text.push_str(&format!("{line}\n")),
                _ => {
                    let indent = "    ".repeat(depth - 1);
                    text.push_str(&format!("{indent} \\\n{indent}  -->{line}\n"));
                }
            }
        }
        text
    }
}

fn step(entry: &StoredCertificate) -> Step {
    Step { certificate: entry.certificate.clone(), origin: Origin::Store(entry.alias.clone()) }
}

fn alias(step: &Step) -> &str {
    match &step.origin {
        Origin::Store(alias) => alias,
        Origin::Peer => "----",
    }
}

fn disabled(entry: &StoredCertificate) -> Option<(String, CertificateState)> {
    (!entry.state.is_enabled()).then(|| (entry.alias.clone(), entry.state))
}

fn issuer<'a>(
    store: &'a TrustStore,
    below: &StoredCertificate,
    mode: PathMode,
    at: UtcMicros,
) -> Option<&'a StoredCertificate> {
    let certificate = &below.certificate;
    let found: Vec<&StoredCertificate> = match (mode, &certificate.extensions().authority_key_id) {
        (PathMode::Legacy, _) => store.by_subject(certificate.issuer()).collect(),
        (PathMode::Rfc4158, Some(id)) => {
            store.by_key_id(id).filter(|entry| entry.certificate.subject() == certificate.issuer()).collect()
        }
        (PathMode::Rfc4158, None) => Vec::new(),
    };
    let others = found.into_iter().filter(|entry| entry.certificate != *certificate);
    others.take(ISSUERS_MAX).min_by_key(|entry| {
        let first = (
            verify_certificate(certificate, &entry.certificate).is_ok(),
            entry.state.is_enabled(),
            entry.certificate.is_valid_at(at),
        );
        (Reverse(first), entry.certificate.not_before(), *entry.certificate.sha256())
    })
}

/// Most stored issuers of one name or key that are looked at.
const ISSUERS_MAX: usize = 50;

/// Which of our certificates is taken, and why others were not.
#[derive(Clone, Debug)]
pub struct OwnChoice {
    /// Its chain; `None` if none can be taken.
    pub chain: Option<OwnChain>,
    /// Those before it in the list, and why each was passed over: a warning for the log (CERT-24).
    pub skipped: Vec<(String, Skipped)>,
}

/// Why a certificate of ours was not taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Skipped {
    /// It is not in the store.
    Missing,
    /// It, or one above it, is not enabled.
    NotEnabled(String, CertificateState),
    /// It has expired, or is not valid yet.
    NotValid(UtcMicros, UtcMicros),
    /// Its chain ends before a root, whose name this is; and what else to look at.
    NoIssuer(Name, &'static str),
    /// Its kind of key does not fit.
    Key(String),
    /// It leads to none of the authorities that the peer accepts.
    NotAccepted,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("it is not in the store"),
            Self::NotEnabled(alias, state) => write!(f, "{alias} is {state}"),
            Self::NotValid(from, until) => write!(f, "it is valid from {from} until {until}"),
            Self::NoIssuer(name, hint) => write!(f, "its issuer {name} is not found in the store{hint}"),
            Self::Key(key) => write!(f, "its key is {key}, which does not fit"),
            Self::NotAccepted => f.write_str("it leads to none of the authorities that the peer accepts"),
        }
    }
}

/// What the certificate that is taken must fit.
pub struct Wanted<'a> {
    /// How chains are followed.
    pub mode: PathMode,
    /// The moment.
    pub at: UtcMicros,
    /// Whether a kind of key fits.
    pub key_fits: &'a dyn Fn(&StoredCertificate) -> bool,
    /// The authorities that the peer accepts; none means all (TLS-10).
    pub accepted: &'a [Name],
}

/// Takes the first of `aliases` that may be used (CERT-24, TLS-8, TLS-10).
#[must_use]
pub fn choose_own(store: &TrustStore, aliases: &[String], wanted: &Wanted<'_>) -> OwnChoice {
    let mut skipped = Vec::new();
    for alias in aliases {
        match own(store, alias, wanted) {
            Ok(chain) => return OwnChoice { chain: Some(chain), skipped },
            Err(why) => skipped.push((alias.clone(), why)),
        }
    }
    OwnChoice { chain: None, skipped }
}

fn own(store: &TrustStore, alias: &str, wanted: &Wanted<'_>) -> Result<OwnChain, Skipped> {
    let entry = store.by_alias(alias).ok_or(Skipped::Missing)?;
    let certificate = &entry.certificate;
    if let Some((alias, state)) = disabled(entry) {
        return Err(Skipped::NotEnabled(alias, state));
    }
    if !certificate.is_valid_at(wanted.at) {
        return Err(Skipped::NotValid(certificate.not_before(), certificate.not_after()));
    }
    if !(wanted.key_fits)(entry) {
        return Err(Skipped::Key(certificate.key_text()));
    }
    let chain = OwnChain::follow(store, entry, wanted.mode, wanted.at);
    if let Some((alias, state)) = &chain.disabled {
        return Err(Skipped::NotEnabled(alias.clone(), *state));
    }
    if let Some(missing) = &chain.missing {
        return Err(Skipped::NoIssuer(missing.clone(), chain.hint));
    }
    let is_accepted = |step: &Step| {
        wanted.accepted.iter().any(|name| name == step.certificate.subject() || name == step.certificate.issuer())
    };
    if wanted.accepted.is_empty() || chain.steps.iter().any(is_accepted) {
        Ok(chain)
    } else {
        Err(Skipped::NotAccepted)
    }
}
