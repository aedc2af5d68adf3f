//! The search for a path (RFC 4158), bounded in depth and in work, in an order that is always the same.

use std::cmp::Reverse;
use std::collections::HashMap;

use base::UtcMicros;

use super::path::{Failure, Origin, Path, PathReport, Step};
use super::policy::{CANDIDATES_MAX, PATH_DEPTH_MAX, PathMode, PathPolicy, SENT_MAX, SIGNATURE_CHECKS_MAX};
use super::signature::{SignatureFailure, allowed, verify_certificate};
use super::store::TrustStore;
use super::validate;
use crate::certificate::Certificate;

/// What is to be verified.
#[derive(Clone, Copy, Debug)]
pub struct PathRequest<'a> {
    /// The certificate of the end entity.
    pub end_entity: &'a Certificate,
    /// Certificates that came with it, in any order. They help to find a path and are trusted no more than it.
    pub sent: &'a [Certificate],
    /// What is stored.
    pub store: &'a TrustStore,
    /// The moment at which the path must hold.
    pub at: UtcMicros,
    /// What it must hold to.
    pub policy: &'a PathPolicy,
}

/// Finds the first path, in a fixed order, from the end entity to a root that is stored and enabled, and that holds to the
/// policy.
///
/// # Errors
/// Each path that was tried, and why it failed.
pub fn find_path(request: &PathRequest<'_>) -> Result<Path, PathReport> {
    let mut search =
        Search { request, report: PathReport::default(), signatures: HashMap::new(), work: Work::default() };
    let mut steps = vec![step(request, request.end_entity)];
    // What is wrong with the end entity itself is wrong with every path.
    if let Err(failure) = validate::alone(request, request.end_entity) {
        search.report.note(&steps, 0, failure);
        return Err(search.report);
    }
    search.extend(&mut steps).ok_or(search.report)
}

fn step(request: &PathRequest<'_>, certificate: &Certificate) -> Step {
    let origin = request.store.entry_of(certificate).map_or(Origin::Peer, |entry| Origin::Store(entry.alias.clone()));
    Step { certificate: certificate.clone(), origin }
}

#[derive(Default)]
struct Work {
    signatures: usize,
    candidates: usize,
    given_up: bool,
}

struct Search<'a, 'b> {
    request: &'a PathRequest<'b>,
    report: PathReport,
    /// What is known of pairs of certificate and issuer.
    signatures: HashMap<([u8; 32], [u8; 32]), Result<(), SignatureFailure>>,
    work: Work,
}

impl Search<'_, '_> {
    /// Goes on from the last of `steps`, depth first. The depth is bounded by the policy.
    fn extend(&mut self, steps: &mut Vec<Step>) -> Option<Path> {
        let last = steps.last()?.certificate.clone();
        if let Some(entry) = self.request.store.entry_of(&last) {
            if entry.is_anchor() {
                return match validate::whole(self.request, steps) {
                    Ok(()) => Some(Path::new(std::mem::take(steps))),
                    Err((at, failure)) => {
                        self.report.note(steps, at, failure);
                        None
                    }
                };
            }
            if !entry.state.is_enabled() {
                let failure = Failure::NotEnabled { alias: entry.alias.clone(), state: entry.state };
                self.report.note(steps, steps.len() - 1, failure);
                return None;
            }
        }
        let candidates = self.candidates(&last, steps);
        if candidates.is_empty() {
            let failure = self.dead_end(&last);
            self.report.note(steps, steps.len() - 1, failure);
            return None;
        }
        for candidate in candidates {
            if self.work.given_up {
                return None;
            }
            steps.push(candidate);
            let found = match self.fits(steps) {
                Ok(()) => self.extend(steps),
                Err((at, failure)) => {
                    self.report.note(steps, at, failure);
                    None
                }
            };
            if found.is_some() {
                return found;
            }
            steps.pop();
        }
        None
    }

    /// Why nothing follows.
    fn dead_end(&self, last: &Certificate) -> Failure {
        if last.is_self_issued() {
            return Failure::RootUnknown;
        }
        let hint = self.request.store.hint(last, self.request.policy.mode);
        Failure::NoIssuer { issuer: last.issuer().clone(), hint }
    }

    /// Whether the last of `steps` may stand above the one before it, as far as the two tell.
    fn fits(&mut self, steps: &[Step]) -> Result<(), (usize, Failure)> {
        let [.., below, above] = steps else { return Ok(()) };
        let (top, below) = (steps.len() - 1, &below.certificate);
        let above = &above.certificate;
        self.work.candidates += 1;
        if self.work.candidates > CANDIDATES_MAX {
            return self.give_up(top, "candidates", CANDIDATES_MAX);
        }
        let max = self.request.policy.depth_max.min(PATH_DEPTH_MAX);
        if logical_len(steps) > max || steps.len() > STEPS_MAX {
            return Err((top, Failure::TooLong { max }));
        }
        if above.subject() != below.issuer() {
            return Err((top, Failure::NameChain));
        }
        validate::alone(self.request, above).map_err(|failure| (top, failure))?;
        validate::may_certify(self.request, above).map_err(|failure| (top, failure))?;
        allowed(below.signature_algorithm(), self.request.policy.algorithms)
            .map_err(|failure| (top - 1, failure.into()))?;
        let pair = (*below.sha256(), *above.sha256());
        if let Some(known) = self.signatures.get(&pair) {
            return known.clone().map_err(|failure| (top - 1, failure.into()));
        }
        self.work.signatures += 1;
        if self.work.signatures > SIGNATURE_CHECKS_MAX {
            return self.give_up(top, "signatures", SIGNATURE_CHECKS_MAX);
        }
        let verified = verify_certificate(below, above);
        self.signatures.insert(pair, verified.clone());
        verified.map_err(|failure| (top - 1, failure.into()))
    }

    fn give_up(&mut self, at: usize, what: &'static str, max: usize) -> Result<(), (usize, Failure)> {
        self.work.given_up = true;
        Err((at, Failure::TooMuchWork { what, max }))
    }

    /// Possible issuers of `last` that are not in the path yet, the most promising first: roots, then what is valid, then
    /// what has the right key identifier, then the older (so that a renewed issuer is used only when the old one has
    /// expired).
    fn candidates(&self, last: &Certificate, steps: &[Step]) -> Vec<Step> {
        let (store, at) = (self.request.store, self.request.at);
        let key_id = last.extensions().authority_key_id.as_deref();
        let stored: Vec<&Certificate> = match (self.request.policy.mode, key_id) {
            (PathMode::Legacy, _) => store.by_subject(last.issuer()).map(|e| &e.certificate).collect(),
            (PathMode::Rfc4158, Some(id)) => store.by_key_id(id).map(|e| &e.certificate).collect(),
            (PathMode::Rfc4158, None) => Vec::new(),
        };
        let sent = self.request.sent.iter().take(SENT_MAX).filter(|c| match (self.request.policy.mode, key_id) {
            (PathMode::Legacy, _) => c.subject() == last.issuer(),
            (PathMode::Rfc4158, Some(id)) => c.extensions().key_id.as_deref() == Some(id),
            (PathMode::Rfc4158, None) => false,
        });
        let mut found: Vec<&Certificate> = Vec::new();
        for candidate in stored.into_iter().chain(sent) {
            // The same authority with the same key again can only be a way back (RFC 4158 section 5.2).
            let again = |step: &Step| is_same_authority(&step.certificate, candidate);
            if !steps.iter().any(again) && !found.contains(&candidate) {
                found.push(candidate);
            }
        }
        found.sort_by_cached_key(|candidate| {
            let is_anchor = store.entry_of(candidate).is_some_and(super::StoredCertificate::is_anchor);
            let has_id = key_id.is_some() && candidate.extensions().key_id.as_deref() == key_id;
            let first = (is_anchor, candidate.is_valid_at(at), has_id);
            (Reverse(first), candidate.not_before(), *candidate.sha256())
        });
        found.into_iter().map(|certificate| step(self.request, certificate)).collect()
    }
}

/// Most certificates in a path, those of an authority's own new keys included.
const STEPS_MAX: usize = 2 * PATH_DEPTH_MAX;

fn is_same_authority(one: &Certificate, other: &Certificate) -> bool {
    one.subject() == other.subject() && one.spki_der() == other.spki_der()
}

/// Certificates in a path, without those by which an authority certifies a new key of its own.
fn logical_len(steps: &[Step]) -> usize {
    let inner = steps.get(1..steps.len().saturating_sub(1)).unwrap_or_default();
    steps.len() - inner.iter().filter(|step| step.certificate.is_self_issued()).count()
}
