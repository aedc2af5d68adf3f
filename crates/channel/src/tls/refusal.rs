//! Why there is no TLS with a partner, as a sentence for the log. The partner gets an alert and no more.

use std::io;

use keys::certificate::Certificate;
use model::TlsProfile;
use rustls::{AlertDescription, PeerIncompatible};

use super::judge::{HandshakeNotes, Notes};
use super::names::{groups_text, listed, suites_text};
use super::told;

/// A chain that a partner has shown.
#[derive(Clone, Debug)]
pub struct ShownChain {
    /// Its own certificate.
    pub end_entity: Certificate,
    /// What came behind it.
    pub sent: Vec<Certificate>,
}

/// Why there is no TLS.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsRefusal {
    /// The profile can't be used.
    #[error("TLS profile {profile} can't be used: {why}")]
    Profile {
        /// Its name.
        profile: String,
        /// Why.
        why: String,
    },
    /// The handshake took too long.
    #[error("no TLS handshake within {seconds} s, which profile {profile} allows (handshake_timeout_s)")]
    Timeout {
        /// The profile.
        profile: String,
        /// Its bound.
        seconds: u8,
    },
    /// The two sides do not fit together, or the partner refused.
    #[error("{0}")]
    Handshake(String),
    /// The partner's certificate is not trusted.
    #[error("the partner's certificate is refused: {text}")]
    Certificate {
        /// Why.
        text: String,
        /// What it has shown, as far as it could be read.
        shown: Option<Box<ShownChain>>,
        /// The partner has proved that it holds the key, and the profile asks to keep such a certificate for a person to
        /// look at.
        keep: bool,
    },
    /// The partner has shown no certificate and must.
    #[error(
        "the client shows no certificate, and profile {profile} has client_auth_policy MANDATORY: ask the partner to \
         configure one, or set it to OPTIONAL"
    )]
    NoCertificate {
        /// The profile.
        profile: String,
    },
    /// None of our certificates can be shown.
    #[error("none of our certificates can be shown: {why}")]
    NoOwnCertificate {
        /// Why each was passed over.
        why: String,
    },
    /// A data connection does not go on from the session of its control connection.
    #[error(
        "the data connection does not resume the TLS session of its control connection, which profile {profile} asks \
         for (ft_data_reuse): let the partner's software reuse sessions, or set it to N"
    )]
    NotResumed {
        /// The profile.
        profile: String,
    },
    /// A data connection of another client.
    #[error("the client of the data connection shows another certificate than on its control connection")]
    OtherClient,
    /// The connection ended.
    #[error("the connection ended during the TLS handshake: {0}")]
    Ended(String),
}

impl TlsRefusal {
    /// The chain that is to be kept for a person to look at; its owner has proved that it is his.
    #[must_use]
    pub fn to_keep(&self) -> Option<&ShownChain> {
        match self {
            Self::Certificate { shown, keep: true, .. } => shown.as_deref(),
            _ => None,
        }
    }
}

pub(super) fn timeout(profile: &TlsProfile) -> TlsRefusal {
    TlsRefusal::Timeout { profile: profile.name.clone(), seconds: profile.handshake_timeout_s }
}

/// The sentence for an error of the library: what they offer, what the profile allows, what to change.
pub(super) fn of(error: &io::Error, handshake: &HandshakeNotes, profile: &TlsProfile) -> TlsRefusal {
    if let Err(refusal) = handshake.partner() {
        return refusal;
    }
    let notes = handshake.notes();
    let Some(error) = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) else {
        return TlsRefusal::Ended(told(error));
    };
    match error {
        rustls::Error::NoCertificatesPresented => TlsRefusal::NoCertificate { profile: profile.name.clone() },
        rustls::Error::PeerIncompatible(what) => TlsRefusal::Handshake(incompatible(what, &notes, profile)),
        rustls::Error::AlertReceived(alert) => TlsRefusal::Handshake(alerted(*alert, &notes, profile)),
        rustls::Error::General(_) if notes.no_own.is_some() => {
            TlsRefusal::NoOwnCertificate { why: notes.no_own.clone().unwrap_or_default() }
        }
        rustls::Error::InvalidMessage(_) => {
            TlsRefusal::Handshake(format!("what the partner sends is no TLS that we speak ({error})"))
        }
        other => TlsRefusal::Handshake(format!("the TLS handshake failed: {other}")),
    }
}

fn incompatible(what: &PeerIncompatible, notes: &Notes, profile: &TlsProfile) -> String {
    let name = &profile.name;
    let versions = listed(profile.versions.iter().map(|v| v.as_str().to_owned()));
    let suites = listed(profile.suites.iter().map(|s| s.name.to_owned()));
    let groups = listed(profile.groups.iter().map(|g| g.name.to_owned()));
    match what {
        PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::SupportedVersionsExtensionRequired
        // Only a client before TLS 1.2 does without (RFC 5246 section 7.4.1.4.1).
        | PeerIncompatible::SignatureAlgorithmsExtensionRequired
        | PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => format!(
            "the partner speaks no TLS version of profile {name}, which has {versions}: bring the partner's software up \
             to date, or change tls_versions"
        ),
        PeerIncompatible::NoCipherSuitesInCommon => format!(
            "the partner offers {}, profile {name} allows {suites}: change cipher_suites, or the certificates of the \
             profile, so that one of theirs fits",
            suites_text(&notes.suites)
        ),
        PeerIncompatible::NoKxGroupsInCommon | PeerIncompatible::NamedGroupsExtensionRequired => format!(
            "the partner offers the key exchanges {}, profile {name} allows {groups}: change groups",
            groups_text(&notes.groups)
        ),
        other => format!("the two sides do not fit together: {other:?}"),
    }
}

fn alerted(alert: AlertDescription, notes: &Notes, profile: &TlsProfile) -> String {
    let name = &profile.name;
    let own = notes.own.as_deref().unwrap_or("none");
    let text = match alert {
        AlertDescription::UnknownCA | AlertDescription::CertificateUnknown | AlertDescription::BadCertificate => {
            format!("it does not trust the certificate that we show ({own}): give it that one's root")
        }
        AlertDescription::CertificateExpired => format!("for it the certificate that we show ({own}) has expired"),
        AlertDescription::CertificateRevoked => format!("for it the certificate that we show ({own}) is revoked"),
        AlertDescription::CertificateRequired => {
            format!("it asks for a certificate and we show {own}: set client_auth_policy and user_local_certificate")
        }
        AlertDescription::ProtocolVersion => {
            format!(
                "it speaks no TLS version of profile {name}: {}",
                listed(profile.versions.iter().map(|v| v.as_str().to_owned()))
            )
        }
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => format!(
            "nothing that profile {name} offers suits it (suites, groups, or our certificate {own}): compare with what \
             probe tls shows of it"
        ),
        _ => "that is all it says".to_owned(),
    };
    format!("the partner ended the TLS handshake with the alert {alert:?}: {text}")
}
