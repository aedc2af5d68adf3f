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
    #[error("TLS profile {profile} can't be used: {why}; correct it, or name another")]
    Profile {
        /// Its name.
        profile: String,
        /// Why.
        why: String,
    },
    /// The handshake took too long.
    #[error(
        "no TLS handshake within {seconds} s, which profile {profile} allows (handshake_timeout_s); see that the partner's \
         software expects TLS at this moment (ft_sec_option), and that nothing between holds it up"
    )]
    Timeout {
        /// The profile.
        profile: String,
        /// Its bound.
        seconds: u8,
    },
    /// The two sides do not fit together, or the partner refused.
    #[error("{text}; {fix}")]
    Handshake {
        /// What they offer, and what the profile allows.
        text: String,
        /// What to change.
        fix: String,
    },
    /// The partner's certificate is not trusted.
    #[error("the partner's certificate is refused: {text}; {fix}")]
    Certificate {
        /// Why.
        text: String,
        /// What to change.
        fix: String,
        /// What it has shown, as far as it could be read.
        shown: Option<Box<ShownChain>>,
        /// The partner has proved that it holds the key, and the profile asks to keep such a certificate for a person to
        /// look at.
        keep: bool,
    },
    /// The partner has shown no certificate and must.
    #[error(
        "the client shows no certificate, and profile {profile} has client_auth_policy MANDATORY; ask the partner to \
         configure one, or set it to OPTIONAL"
    )]
    NoCertificate {
        /// The profile.
        profile: String,
    },
    /// None of our certificates can be shown.
    #[error(
        "none of our certificates can be shown: {why}; name one in user_local_certificate that is enabled, has its private \
         key and is accepted by the partner"
    )]
    NoOwnCertificate {
        /// Why each was passed over.
        why: String,
    },
    /// A data connection does not go on from the session of its control connection.
    #[error(
        "the data connection does not resume the TLS session of its control connection, which profile {profile} asks \
         for (ft_data_reuse); let the partner's software reuse sessions, or set it to N"
    )]
    NotResumed {
        /// The profile.
        profile: String,
    },
    /// A data connection of another client.
    #[error(
        "the client of the data connection shows another certificate than on its control connection; let the partner's \
         software show one certificate on both, and if it does, somebody else has connected"
    )]
    OtherClient,
    /// The connection ended.
    #[error(
        "the connection ended during the TLS handshake: {0}; the partner's log may say why, and explain tls or probe tls \
         what the two sides have in common"
    )]
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
        rustls::Error::PeerIncompatible(what) => incompatible(what, &notes, profile),
        rustls::Error::AlertReceived(alert) => alerted(*alert, &notes, profile),
        rustls::Error::General(_) if notes.no_own.is_some() => {
            TlsRefusal::NoOwnCertificate { why: notes.no_own.clone().unwrap_or_default() }
        }
        rustls::Error::InvalidMessage(_) => refused(
            format!("what the partner sends is no TLS that we speak ({error})"),
            "see that its software begins with TLS here and not in clear (ft_sec_option)".to_owned(),
        ),
        other => refused(
            format!("the TLS handshake failed: {other}"),
            format!("compare profile {} with what the partner's software speaks", profile.name),
        ),
    }
}

fn refused(text: String, fix: String) -> TlsRefusal {
    TlsRefusal::Handshake { text, fix }
}

fn incompatible(what: &PeerIncompatible, notes: &Notes, profile: &TlsProfile) -> TlsRefusal {
    let name = &profile.name;
    let suites = listed(profile.suites.iter().map(|s| s.name.to_owned()));
    let groups = listed(profile.groups.iter().map(|g| g.name.to_owned()));
    match what {
        PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::SupportedVersionsExtensionRequired
        // Only a client before TLS 1.2 does without (RFC 5246 section 7.4.1.4.1).
        | PeerIncompatible::SignatureAlgorithmsExtensionRequired
        | PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => refused(
            format!("the partner speaks no TLS version of profile {name}, which has {}", versions_of(profile)),
            "bring the partner's software up to date, or change tls_versions".to_owned(),
        ),
        PeerIncompatible::NoCipherSuitesInCommon => refused(
            format!("the partner offers {}, profile {name} allows {suites}", suites_text(&notes.suites)),
            "change cipher_suites, or the certificates of the profile, so that one of theirs fits".to_owned(),
        ),
        PeerIncompatible::NoKxGroupsInCommon | PeerIncompatible::NamedGroupsExtensionRequired => refused(
            format!("the partner offers the key exchanges {}, profile {name} allows {groups}", groups_text(&notes.groups)),
            "change groups".to_owned(),
        ),
        PeerIncompatible::NoSignatureSchemesInCommon => refused(
            format!("the partner takes no signature that a certificate of profile {name} can make"),
            "add a certificate of another kind (RSA, ECDSA) to user_local_certificate".to_owned(),
        ),
        other => refused(
            format!("the two sides do not fit together: {other:?}"),
            format!("compare profile {name} with what the partner's software speaks"),
        ),
    }
}

fn versions_of(profile: &TlsProfile) -> String {
    listed(profile.versions.iter().map(|v| v.as_str().to_owned()))
}

fn alerted(alert: AlertDescription, notes: &Notes, profile: &TlsProfile) -> TlsRefusal {
    let name = &profile.name;
    let own = notes.own.as_deref().unwrap_or("none");
    let (text, fix) = match alert {
        AlertDescription::UnknownCA | AlertDescription::CertificateUnknown | AlertDescription::BadCertificate => (
            format!("it does not trust the certificate that we show ({own})"),
            "give the partner that one's root, or show another (user_local_certificate)".to_owned(),
        ),
        AlertDescription::CertificateExpired => (
            format!("for it the certificate that we show ({own}) has expired"),
            "put its successor into user_local_certificate, and see that both clocks are right".to_owned(),
        ),
        AlertDescription::CertificateRevoked => (
            format!("for it the certificate that we show ({own}) is revoked"),
            "put another into user_local_certificate".to_owned(),
        ),
        AlertDescription::CertificateRequired => (
            format!("it asks for a certificate and we show {own}"),
            "set client_auth_policy and user_local_certificate".to_owned(),
        ),
        AlertDescription::ProtocolVersion => (
            format!("it speaks no TLS version of profile {name}, which has {}", versions_of(profile)),
            "change tls_versions, or bring the partner's software up to date".to_owned(),
        ),
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => (
            format!("nothing that profile {name} offers suits it (suites, groups, or our certificate {own})"),
            "compare with what probe tls shows of it, or explain tls of the profile".to_owned(),
        ),
        _ => ("that is all it says".to_owned(), "ask the partner what its log says of this moment".to_owned()),
    };
    refused(format!("the partner ended the TLS handshake with the alert {alert:?}: {text}"), fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // issue 5: they offer X, this profile allows Y, change Z
    fn every_refusal_says_what_to_change() {
        let profile = || "P".to_owned();
        let (text, fix) = ("what".to_owned(), "change this".to_owned());
        for refusal in [
            TlsRefusal::Profile { profile: profile(), why: "it is disabled".to_owned() },
            TlsRefusal::Timeout { profile: profile(), seconds: 20 },
            TlsRefusal::Handshake { text: text.clone(), fix: fix.clone() },
            TlsRefusal::Certificate { text, fix, shown: None, keep: false },
            TlsRefusal::NoCertificate { profile: profile() },
            TlsRefusal::NoOwnCertificate { why: "none is named".to_owned() },
            TlsRefusal::NotResumed { profile: profile() },
            TlsRefusal::OtherClient,
            TlsRefusal::Ended("reset".to_owned()),
        ] {
            let sentence = refusal.to_string();
            let (what, fix) = sentence.rsplit_once("; ").unwrap_or_else(|| panic!("{sentence}"));
            assert!(what.len() > 3 && fix.len() > 10, "{sentence}");
            // A new kind of refusal has to come into the list above.
            match refusal {
                TlsRefusal::Profile { .. }
                | TlsRefusal::Timeout { .. }
                | TlsRefusal::Handshake { .. }
                | TlsRefusal::Certificate { .. }
                | TlsRefusal::NoCertificate { .. }
                | TlsRefusal::NoOwnCertificate { .. }
                | TlsRefusal::NotResumed { .. }
                | TlsRefusal::OtherClient
                | TlsRefusal::Ended(_) => {}
            }
        }
    }
}
