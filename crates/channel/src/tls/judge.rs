//! What is asked of a partner's certificate, and what is known of one handshake.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keys::certificate::Certificate;
use keys::verify::{
    Algorithms, Failure, PathMode, PathPolicy, Peer, PeerName, Purpose, Refusal, Revocation, SENT_MAX, Template,
    Templates, TrustRules, Verified, judge,
};
use model::{TlsProfile, TlsRevocation, TlsTemplate, TlsTrust};
use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, CipherSuite, NamedGroup};

use super::records::TrafficSecrets;
use super::{ShownChain, TlsRefusal, TrustSource};

tokio::task_local! {
    /// The handshake that is under way: what the library calls back knows no connection.
    pub(super) static HANDSHAKE: Arc<HandshakeNotes>;
}

/// What is known of one handshake.
#[derive(Default)]
pub(super) struct HandshakeNotes {
    /// Whom we called, if the name counts.
    pub(super) called: Option<PeerName>,
    /// What sessions of this handshake are known by, as server.
    pub(super) mark: SessionMark,
    notes: Mutex<Notes>,
}

/// What came up on the way.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) suites: Vec<CipherSuite>,
    pub(super) groups: Vec<NamedGroup>,
    /// The certificate of ours that is shown.
    pub(super) own: Option<String>,
    /// Why none of ours can be shown, though one was asked for.
    pub(super) no_own: Option<String>,
    /// What is thought of the partner's certificate.
    pub(super) verdict: Option<Verdict>,
    /// The partner holds the key of it.
    pub(super) proved: bool,
    /// What the keys of the session follow from, where it is taken over from the library.
    pub(super) secrets: TrafficSecrets,
    /// The mark of the session that the client named last, whether or not it is the one that goes on.
    pub(super) named: Option<SessionMark>,
}

/// A random mark of the sessions of one handshake.
pub(super) type SessionMark = [u8; 16];

/// What is thought of a certificate.
pub(super) enum Verdict {
    Trusted(Verified),
    Refused { text: String, fix: &'static str, alert: CertificateError, shown: Option<Box<ShownChain>>, keep: bool },
}

impl HandshakeNotes {
    pub(super) fn calling(called: Option<PeerName>) -> Arc<Self> {
        Arc::new(Self { called, ..Self::default() })
    }

    pub(super) fn serving(mark: SessionMark) -> Arc<Self> {
        Arc::new(Self { mark, ..Self::default() })
    }

    pub(super) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The partner's certificate, if it is trusted and its key was proved; why it is refused, if it is.
    pub(super) fn partner(&self) -> Result<Option<Verified>, TlsRefusal> {
        let mut notes = self.notes();
        let proved = notes.proved;
        match notes.verdict.take() {
            None => Ok(None),
            Some(Verdict::Trusted(verified)) if proved => Ok(Some(verified)),
            Some(Verdict::Trusted(_)) => {
                let text = "it was not proved that the partner holds its key".to_owned();
                let fix = "ask the partner whether its software has the key that belongs to the certificate".to_owned();
                Err(TlsRefusal::Certificate { text, fix, shown: None, keep: false })
            }
            Some(Verdict::Refused { text, fix, shown, keep, .. }) => {
                Err(TlsRefusal::Certificate { text, fix: fix.to_owned(), shown, keep: keep && proved })
            }
        }
    }
}

/// Judges certificates by one profile and what is stored at the moment.
#[derive(Clone)]
pub(super) struct Judge {
    rules: Arc<TrustRules>,
    source: Arc<dyn TrustSource>,
}

impl Judge {
    pub(super) fn new(profile: &TlsProfile, as_server: bool, source: Arc<dyn TrustSource>) -> Self {
        Self { rules: Arc::new(rules(profile, as_server)), source }
    }

    pub(super) fn source(&self) -> &Arc<dyn TrustSource> {
        &self.source
    }

    /// What is thought of a chain as it came.
    pub(super) fn verdict(&self, chain: &[CertificateDer<'_>], called: Option<&PeerName>) -> Verdict {
        let unread = |text: String| {
            let fix = "ask the partner for a certificate that follows RFC 5280, and for a short chain";
            Verdict::Refused { text, fix, alert: CertificateError::BadEncoding, shown: None, keep: false }
        };
        let Some((first, rest)) = chain.split_first() else { return unread("there is none".to_owned()) };
        if rest.len() > SENT_MAX {
            return unread(format!("{} certificates came behind it, at most {SENT_MAX} are looked at", rest.len()));
        }
        let end_entity = match Certificate::from_der(first) {
            Ok(certificate) => certificate,
            Err(error) => return unread(error.to_string()),
        };
        // What can't be read among those behind it can't help to find a path, and harms none.
        let sent: Vec<Certificate> = rest.iter().filter_map(|der| Certificate::from_der(der).ok()).collect();
        let peer = Peer { end_entity: &end_entity, sent: &sent, called };
        match judge(&peer, &self.source.store(), &self.rules, self.source.now()) {
            Ok(verified) => Verdict::Trusted(verified),
            Err(refusal) => {
                let (text, alert, keep) = (refusal.to_string(), answer(&refusal), refusal.keeps());
                let shown = Some(Box::new(ShownChain { end_entity, sent }));
                Verdict::Refused { text, fix: remedy(&refusal), alert, shown, keep }
            }
        }
    }
}

/// What a person can do about a refusal.
fn remedy(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::NotEnabled { .. } => {
            "compare its fingerprint with the partner, then quarantine enable or secadm update_cert"
        }
        Refusal::NotHosted { .. } => "import it and enable it, or set trust_hosted_certificates to N",
        Refusal::NotAttached { .. } => "ask the partner, and attach the new certificate if it is theirs",
        Refusal::Template { .. } => "ask for a certificate that fits, or change the templates of the profile",
        Refusal::Authority { .. } => "ask for a certificate by one of them, or change accepted_authorities",
        Refusal::Name(_) => "call the name that it states, ask for one with this name, or set check_host_name to N",
        Refusal::NoPath { report, .. } => report.main().map_or(WAY_UP, |tried| remedy_of(&tried.failure)),
        _ => "ask the partner for another certificate",
    }
}

/// What is missing most often.
const WAY_UP: &str = "import the partner's root and the authorities below it, and enable them";

fn remedy_of(failure: &Failure) -> &'static str {
    match failure {
        Failure::Expired(_) | Failure::NotYetValid(_) => {
            "ask the partner for a certificate of now, and see that our clock is right"
        }
        Failure::Revoked { .. } => "ask the partner for another certificate; this one must not be used any more",
        Failure::RevocationUnknown(_) => "import the issuer's list of now, or change revocation",
        Failure::TooLong { .. } => "ask for a shorter chain, or raise path_depth",
        Failure::Signature(_) | Failure::Key { .. } => {
            "ask for a certificate with today's algorithms; weak_signatures lets SHA-1 and short RSA keys count"
        }
        Failure::Purpose(_) => {
            "ask for a certificate for this use; server_as_client lets one for servers count for a client"
        }
        Failure::NoIssuer { .. } | Failure::RootUnknown | Failure::NotEnabled { .. } => WAY_UP,
        _ => "ask the partner for a certificate that holds to this",
    }
}

/// What the partner is told of a refusal (TLS-12).
fn answer(refusal: &Refusal) -> CertificateError {
    match refusal {
        Refusal::NotEnabled { .. } | Refusal::NotAttached { .. } => CertificateError::ApplicationVerificationFailure,
        Refusal::Name(_) => CertificateError::NotValidForName,
        Refusal::NoPath { report, .. } => {
            report.main().map_or(CertificateError::UnknownIssuer, |tried| answer_to(&tried.failure))
        }
        Refusal::NotHosted { .. } | Refusal::Authority { .. } | Refusal::Template { .. } => {
            CertificateError::UnknownIssuer
        }
        _ => CertificateError::ApplicationVerificationFailure,
    }
}

fn answer_to(failure: &Failure) -> CertificateError {
    match failure {
        Failure::Expired(_) => CertificateError::Expired,
        Failure::NotYetValid(_) => CertificateError::NotValidYet,
        Failure::Revoked { .. } => CertificateError::Revoked,
        Failure::RevocationUnknown(_) => CertificateError::UnknownRevocationStatus,
        Failure::Signature(_) => CertificateError::BadSignature,
        Failure::KeyUsage { .. } | Failure::Purpose(_) | Failure::NotAnAuthority | Failure::PathLength => {
            CertificateError::InvalidPurpose
        }
        Failure::CriticalExtension(_) => CertificateError::UnhandledCriticalExtension,
        Failure::Oddity(_) | Failure::Key { .. } => CertificateError::BadEncoding,
        _ => CertificateError::UnknownIssuer,
    }
}

/// The rules of a profile, as verification wants them.
fn rules(profile: &TlsProfile, as_server: bool) -> TrustRules {
    let trust = &profile.trust;
    let policy = PathPolicy {
        mode: path_mode(profile),
        depth_max: usize::from(trust.depth),
        server_as_client: trust.server_as_client,
        algorithms: if trust.weak_signatures { Algorithms::LEGACY } else { Algorithms::default() },
        revocation: match trust.revocation {
            TlsRevocation::Ignore => Revocation::Ignore,
            TlsRevocation::IfListed => Revocation::IfListed,
            TlsRevocation::Required => Revocation::Required,
        },
        ..PathPolicy::new(if as_server { Purpose::TlsClient } else { Purpose::TlsServer })
    };
    let authorities = if as_server { trust.authorities.as_slice() } else { &[] };
    TrustRules {
        templates: templates(trust),
        trust_hosted: trust.hosted_only,
        import: trust.import,
        accepted_authorities: authorities.iter().map(ToString::to_string).collect(),
        ..TrustRules::new(policy)
    }
}

/// How issuers are found by `profile`.
#[must_use]
pub const fn path_mode(profile: &TlsProfile) -> PathMode {
    if profile.trust.by_key_id { PathMode::Rfc4158 } else { PathMode::Legacy }
}

/// The templates of a profile, as verification wants them.
#[must_use]
pub fn templates(trust: &TlsTrust) -> Templates {
    let one = |t: &TlsTemplate| Template {
        alias: t.alias.as_ref().map(ToString::to_string),
        subject: t.subject.clone(),
        issuer: t.issuer.clone(),
        alternative: t.alternative.clone(),
    };
    let list = |all: &[TlsTemplate]| all.iter().map(one).collect();
    Templates { user: list(&trust.user), ca: list(&trust.ca), root: list(&trust.root) }
}
