//! Handshakes of TLS that were refused: told, and unknown certificates kept for a person to look at (AUTO-1 to AUTO-7).

use std::net::IpAddr;

use keys::Fingerprint;
use keys::certificate::Certificate;
use keys::verify::{OwnChain, PathMode, StoredCertificate, TrustStore};
use model::{ObjectState, RemoteSite};

use super::capture::{Material, Shown, capture};
use super::refusals::RefusedHandshake;
use super::session::source_of;
use crate::sync::lock;
use crate::{Engine, Event};

/// Certificates of one chain that are kept: the partner's own, and those above it.
const CHAIN_KEPT_MAX: usize = 4;

/// Where a handshake took place.
#[derive(Clone, Copy, Debug)]
pub enum TlsPlace<'a> {
    /// A partner called, and came by this TLS profile; who it is is not known yet.
    Caller {
        /// The profile.
        profile: &'a str,
        /// Its address.
        peer: IpAddr,
    },
    /// We called this site.
    Site(&'a RemoteSite),
}

/// Tells of a refused handshake. `keep` is a chain whose first certificate the partner has proved to be its own, if the
/// profile asks to keep such.
pub async fn tls_refused(
    engine: &Engine,
    place: TlsPlace<'_>,
    text: String,
    keep: Option<(&Certificate, &[Certificate])>,
) {
    let (profile, site, peer) = match place {
        TlsPlace::Caller { profile, peer } => (profile.to_owned(), None, Some(peer)),
        TlsPlace::Site(site) => {
            let profile = site.tls.outgoing.as_ref().map(ToString::to_string);
            (profile.unwrap_or_default(), Some(site.name.clone()), None)
        }
    };
    let refused = RefusedHandshake {
        at: engine.clock().now(),
        times: 1,
        profile: profile.clone(),
        site: site.clone(),
        peer,
        text: text.clone(),
    };
    lock(&engine.refusals).note(refused);
    engine.emit(Event::TlsRefused { profile, site, peer, text });
    if let Some((end_entity, sent)) = keep {
        keep_chain(engine, place, end_entity, sent).await;
    }
}

/// A site's partner shows another certificate than the one that is attached to it: a person is told once.
pub fn tls_other_certificate(engine: &Engine, site: &str, certificate: &Certificate, text: String) {
    engine.alarm_once(site, &Fingerprint(*certificate.sha256()), text);
}

async fn keep_chain(engine: &Engine, place: TlsPlace<'_>, end_entity: &Certificate, sent: &[Certificate]) {
    let (name, partner, source, peer) = match place {
        TlsPlace::Caller { profile, peer } => {
            (format!("tls:{profile}"), format!("a caller by TLS profile {profile}"), source_of(peer), Some(peer))
        }
        TlsPlace::Site(site) => (format!("site:{}", site.name), site.name.clone(), format!("site:{}", site.name), None),
    };
    let alarm = match place {
        TlsPlace::Caller { .. } => false,
        TlsPlace::Site(site) => site.tls.subject.is_some() || has_enabled(engine, &name).await,
    };
    let snapshot = engine.snapshot();
    let chain = chain(engine, end_entity, sent);
    for (at, certificate) in chain.iter().enumerate() {
        if snapshot.certificate_by_fingerprint(certificate.sha256()).is_some() {
            continue;
        }
        let shown = Shown {
            what: Material::Certificate(certificate),
            place: &name,
            partner: &partner,
            login: "",
            source: source.clone(),
            peer,
            group: None,
            alarm: alarm && at == 0,
        };
        capture(engine, shown).await;
    }
}

/// The partner's own certificate and those that have certified it, by their signatures. What else it has sent, anybody could
/// have sent.
fn chain(engine: &Engine, end_entity: &Certificate, sent: &[Certificate]) -> Vec<Certificate> {
    let stored = |(at, certificate): (usize, &Certificate)| StoredCertificate {
        alias: at.to_string(),
        certificate: certificate.clone(),
        state: keys::certificate::CertificateState::Enabled,
        kind: keys::certificate::CertificateType::Other,
    };
    let all = std::iter::once(end_entity).chain(sent);
    let shown = TrustStore::new(all.enumerate().map(stored).collect(), Vec::new());
    let Some(start) = shown.by_alias("0") else { return Vec::new() };
    let followed = OwnChain::follow(&shown, start, PathMode::Legacy, engine.clock().now());
    let mut chain: Vec<Certificate> = Vec::new();
    for step in followed.steps.into_iter().take(CHAIN_KEPT_MAX) {
        let is_certified = chain.last().is_none_or(|below| keys::verify::certifies(&step.certificate, below));
        if !is_certified {
            break;
        }
        chain.push(step.certificate);
    }
    chain
}

/// Whether a person has enabled what was shown there before.
async fn has_enabled(engine: &Engine, place: &str) -> bool {
    match engine.db().captures().list(false).await {
        Ok(rows) => rows.iter().any(|row| row.gate == place && row.state == ObjectState::Enabled),
        Err(error) => {
            tracing::error!(%error, "what was captured before could not be looked up");
            false
        }
    }
}
