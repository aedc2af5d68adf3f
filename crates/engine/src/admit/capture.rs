//! Quarantine: unknown keys whose possession was proved are stored, disabled, for a person to judge (AUTO-1 to AUTO-7).

use std::net::IpAddr;

use db::{CaptureCaps, CaptureOutcome, NewCapture};
use keys::PublicKey;

use crate::{Engine, Event};

/// AUTO-6: records that wait for a person, for each source and in all; a part is kept for known partners.
const CAPS: CaptureCaps = CaptureCaps { per_source: 10, per_gate: 10, total: 1000, reserve: 200 };

/// A key that was shown and proved.
pub(super) struct Shown<'a> {
    pub(super) key: &'a PublicKey,
    /// Gate, or `site:NAME` for the host key of a site that we called.
    pub(super) place: &'a str,
    /// The partner's name, for the comment.
    pub(super) partner: &'a str,
    pub(super) login: &'a str,
    /// What captures are counted by.
    pub(super) source: String,
    /// The partner's address, if it called.
    pub(super) peer: Option<IpAddr>,
    pub(super) group: Option<String>,
    /// This partner has other keys.
    pub(super) alarm: bool,
}

/// Stores the key once; tells what happened as events. A failure is logged: the login is refused in any case.
pub(super) async fn capture(engine: &Engine, shown: Shown<'_>) {
    let new = match record_of(engine, &shown) {
        Ok(new) => new,
        Err(error) => {
            tracing::error!(%error, "an unknown key could not be recorded");
            return;
        }
    };
    let fingerprint = shown.key.fingerprint().to_string();
    match engine.db().captures().record(new).await {
        Ok(CaptureOutcome::Stored { alias, .. }) => {
            engine.emit(Event::Captured {
                alias: alias.clone(),
                fingerprint,
                login: shown.login.to_owned(),
                peer: shown.peer,
            });
            if shown.alarm {
                let text = format!("a known partner shows another key, stored as {alias}: ask it before enabling that");
                engine.alarm_once(shown.partner, &shown.key.fingerprint(), text);
            }
            if let Err(error) = engine.reload().await {
                tracing::error!(%error, "the captured key is stored but not yet in the running configuration");
            }
        }
        Ok(CaptureOutcome::Known { alias, group, state, tries, .. }) => {
            tracing::info!(alias, group, state = state.shown(), tries, %fingerprint, "a captured key was shown again");
        }
        Ok(CaptureOutcome::Full(cap)) => {
            engine.emit(Event::CaptureFull { text: format!("key {fingerprint} not stored: limit reached ({cap:?})") });
        }
        Err(error) => tracing::error!(%error, "an unknown key could not be stored"),
    }
}

fn record_of(engine: &Engine, shown: &Shown<'_>) -> std::io::Result<NewCapture> {
    Ok(NewCapture {
        algorithm: shown.key.algorithm().to_string(),
        bits: shown.key.bits(),
        fingerprint: shown.key.fingerprint().0,
        spki_sha256: shown.key.spki_sha256(),
        public_blob: shown.key.ssh_blob().to_vec(),
        gate: shown.place.to_owned(),
        login: shown.login.to_owned(),
        source: shown.source.clone(),
        group: shown.group.clone().unwrap_or_else(|| model::DEFAULT_GROUP.to_owned()),
        comment: shown.partner.to_owned(),
        // A part of the room is for those who have proved who they are before, and for servers that we call.
        known: shown.alarm || shown.peer.is_none(),
        uid: base::hex(&base::random::<16>()?),
        at: engine.clock().now(),
        caps: CAPS,
    })
}
