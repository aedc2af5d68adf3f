//! Whether a complete path holds (RFC 5280 section 6.1).

use super::build::PathRequest;
use super::names::NameCheck;
use super::path::{Failure, Step};
use super::policies::PolicyState;
use super::policy::{ANY_PURPOSE, Purpose, TLS_SERVER};
use super::revocation;
use crate::certificate::{Certificate, CertificateType, KeyKind, KeyUsage, Oddity, Reading};

/// What is at fault, and where in the path.
pub(super) type Fault = (usize, Failure);

/// What a certificate tells without its neighbours.
pub(super) fn alone(request: &PathRequest<'_>, certificate: &Certificate) -> Result<(), Failure> {
    if !certificate.is_valid_at(request.at) {
        let is_early = request.at < certificate.not_before();
        return Err(if is_early {
            Failure::NotYetValid(certificate.not_before())
        } else {
            Failure::Expired(certificate.not_after())
        });
    }
    let refused = |oddity: &Oddity| oddity.is_grave() || request.policy.strict;
    if let Some(oddity) = certificate.oddities().into_iter().find(refused) {
        return Err(Failure::Oddity(oddity));
    }
    let unknown = certificate.extensions().seen.iter().find(|e| e.critical && e.reading == Reading::Unknown);
    if let Some(extension) = unknown {
        return Err(Failure::CriticalExtension(extension.id));
    }
    key(request, certificate)
}

fn key(request: &PathRequest<'_>, certificate: &Certificate) -> Result<(), Failure> {
    let min = request.policy.algorithms.rsa_bits_min;
    let refused = |why: String| Err(Failure::Key { key: certificate.key_text(), why });
    match certificate.key_kind() {
        KeyKind::Rsa | KeyKind::RsaPss if certificate.key_bits() < min => {
            refused(format!("at least {min} bits are needed"))
        }
        KeyKind::Dsa => refused("DSA keys are for old SSH partners only".to_owned()),
        KeyKind::OtherCurve => refused("only named curves P-256, P-384 and P-521 are used".to_owned()),
        _ => Ok(()),
    }
}

/// Whether it may stand above others.
pub(super) fn may_certify(request: &PathRequest<'_>, certificate: &Certificate) -> Result<(), Failure> {
    let extensions = certificate.extensions();
    // Version 1 knows no basic constraints: a person must have said that it is a root.
    let stored = request.store.entry_of(certificate);
    let is_old_root = certificate.version() == 1
        && stored.is_some_and(|entry| entry.is_anchor() && entry.kind == CertificateType::Root);
    if !extensions.is_ca() && !is_old_root {
        return Err(Failure::NotAnAuthority);
    }
    match extensions.key_usage {
        Some(found) if !found.has(KeyUsage::KEY_CERT_SIGN) => {
            Err(Failure::KeyUsage { found, needed: KeyUsage::KEY_CERT_SIGN })
        }
        _ => purpose(request, certificate),
    }
}

/// Whether the list of purposes, if it has one, allows what is asked. An authority's list binds those below it.
fn purpose(request: &PathRequest<'_>, certificate: &Certificate) -> Result<(), Failure> {
    let wanted = request.policy.purpose;
    let (Some(id), Some(listed)) = (wanted.id(), &certificate.extensions().purposes) else { return Ok(()) };
    let stands_in = wanted == Purpose::TlsClient && request.policy.server_as_client;
    let fits = listed.iter().any(|p| *p == id || *p == ANY_PURPOSE || (stands_in && *p == TLS_SERVER));
    if fits { Ok(()) } else { Err(Failure::Purpose(wanted)) }
}

/// Looks at a whole path, from the root down. Signatures, and what each certificate tells alone, have been looked at.
pub(super) fn whole(request: &PathRequest<'_>, steps: &[Step]) -> Result<(), Fault> {
    let mut room: Option<u32> = None;
    let mut names = NameCheck::default();
    let mut policies = PolicyState::default();
    for (at, step) in steps.iter().enumerate().rev() {
        let (certificate, is_root, is_end) = (&step.certificate, at + 1 == steps.len(), at == 0);
        let fault = |failure| (at, failure);
        if is_end || !certificate.is_self_issued() {
            names.check(certificate).map_err(fault)?;
        }
        if !is_root {
            policies.enter(certificate, is_end).map_err(fault)?;
        }
        if is_end {
            end(request, certificate).map_err(fault)?;
            continue;
        }
        if !is_root && !certificate.is_self_issued() {
            // The one above has no room left.
            room = match room {
                Some(0) => return Err((at + 1, Failure::PathLength)),
                other => other.map(|left| left - 1),
            };
        }
        let own = certificate.extensions().basic_constraints.and_then(|b| b.path_len);
        room = room.into_iter().chain(own).min();
        names.add(certificate);
        if !is_root {
            policies.leave(certificate).map_err(fault)?;
        }
    }
    policies.end().map_err(|failure| (0, failure))?;
    revocation::check(request, steps)
}

fn end(request: &PathRequest<'_>, certificate: &Certificate) -> Result<(), Failure> {
    purpose(request, certificate)?;
    match (certificate.extensions().key_usage, request.policy.purpose.usages()) {
        (Some(found), Some(needed)) if !found.has(needed) => Err(Failure::KeyUsage { found, needed }),
        _ => Ok(()),
    }
}
