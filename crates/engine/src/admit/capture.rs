//! Quarantine: unknown keys and certificates whose possession was proved are stored, disabled, for a person to judge (AUTO-1
//! to AUTO-7).

use std::net::IpAddr;

use db::{CaptureCaps, CaptureOutcome, NewCapture};
use keys::certificate::{Certificate, CertificateType};
use keys::{Fingerprint, PublicKey};
use model::{Body, Kind, Value};

use crate::certificates::{certificate_credential, note_certificate};
use crate::{Engine, Event};

/// AUTO-6: records that wait for a person, for each source and in all; a part is kept for known partners.
const CAPS: CaptureCaps = CaptureCaps { per_source: 10, per_gate: 10, total: 1000, reserve: 200 };

/// What was shown.
#[derive(Clone, Copy)]
pub(super) enum Material<'a> {
    Key(&'a PublicKey),
    Certificate(&'a Certificate),
}

impl Material<'_> {
    fn fingerprint(self) -> Fingerprint {
        match self {
            Self::Key(key) => key.fingerprint(),
            Self::Certificate(certificate) => Fingerprint(*certificate.sha256()),
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Key(_) => "key",
            Self::Certificate(_) => "certificate",
        }
    }
}

/// A key that was shown and proved, or a certificate; of one of an authority nothing was proved.
pub(super) struct Shown<'a> {
    pub(super) what: Material<'a>,
    /// Gate, `tls:NAME` for the TLS profile that a client came by, or `site:NAME` for a site that we called.
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
            tracing::error!(error, "an unknown {} is not kept", shown.what.word());
            return;
        }
    };
    let word = shown.what.word();
    let fingerprint = shown.what.fingerprint().to_string();
    match engine.db().captures().record(new).await {
        Ok(CaptureOutcome::Stored { alias, .. }) => {
            engine.emit(Event::Captured {
                alias: alias.clone(),
                fingerprint,
                login: shown.login.to_owned(),
                peer: shown.peer,
            });
            if shown.alarm {
                let text =
                    format!("a known partner shows another {word}, stored as {alias}: ask it before enabling that");
                engine.alarm_once(shown.partner, &shown.what.fingerprint(), text);
            }
            if let Err(error) = engine.reload().await {
                tracing::error!(%error, "what was captured is stored but not yet in the running configuration");
            }
        }
        Ok(CaptureOutcome::Known { alias, group, state, tries, .. }) => {
            tracing::info!(alias, group, state = state.shown(), tries, %fingerprint, "a captured {word} was shown again");
        }
        Ok(CaptureOutcome::Full(cap)) => {
            engine
                .emit(Event::CaptureFull { text: format!("{word} {fingerprint} not stored: limit reached ({cap:?})") });
        }
        Err(error) => tracing::error!(%error, "an unknown {word} could not be stored"),
    }
}

fn record_of(engine: &Engine, shown: &Shown<'_>) -> Result<NewCapture, String> {
    let (kind, body) = match shown.what {
        Material::Key(key) => (Kind::Key, key_body(key)),
        Material::Certificate(certificate) => (Kind::Certificate, certificate_body(certificate)?),
    };
    let (algorithm, bits, spki_sha256, public_blob) = match shown.what {
        Material::Key(key) => (key.algorithm().to_string(), key.bits(), key.spki_sha256(), key.ssh_blob().to_vec()),
        Material::Certificate(certificate) => {
            let stored = certificate_credential(certificate, None);
            (stored.algorithm, stored.bits, stored.spki_sha256, stored.public_blob)
        }
    };
    Ok(NewCapture {
        kind,
        body,
        algorithm,
        bits,
        fingerprint: shown.what.fingerprint().0,
        spki_sha256,
        public_blob,
        gate: shown.place.to_owned(),
        login: shown.login.to_owned(),
        source: shown.source.clone(),
        group: shown.group.clone().unwrap_or_else(|| model::DEFAULT_GROUP.to_owned()),
        comment: shown.partner.to_owned(),
        // A part of the room is for those who have proved who they are before, and for servers that we call.
        known: shown.alarm || shown.peer.is_none(),
        uid: base::hex(&base::random::<16>().map_err(|e| e.to_string())?),
        at: engine.clock().now(),
        caps: CAPS,
    })
}

fn key_body(key: &PublicKey) -> Body {
    let text = |text: &str| Value::Text(text.to_owned());
    Body::from([("algorithm".to_owned(), text(&key.algorithm().to_string())), ("type".to_owned(), text("PUBLIC"))])
}

/// What it says; one of version 1 that does not tell what it is, is no authority until a person says so.
fn certificate_body(certificate: &Certificate) -> Result<Body, String> {
    let kind = CertificateType::detect(certificate, false).unwrap_or(CertificateType::Other);
    let mut body = Body::from([("certificate_type".to_owned(), Value::Text(kind.to_string()))]);
    note_certificate(&mut body, certificate, false)?;
    Ok(body)
}
