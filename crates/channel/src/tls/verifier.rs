//! What the library asks about the partner's certificate.
//!
//! A chain that is refused but to be kept for a person to look at is let through at first, so that the partner proves that
//! it holds the key; the handshake then ends with the signature, whatever that is. So nothing that was not proved is kept,
//! and nothing that was not judged to be trusted gets through.

use std::fmt;
use std::sync::Arc;

use keys::certificate::{Certificate, HashFunction, KeyKind, SignatureAlgorithm};
use keys::verify::{authority_names, verify_signed};
use model::{ClientAuth, TlsProfile};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::judge::{HANDSHAKE, HandshakeNotes, Judge, Verdict};

/// Judges the partner for the library.
pub(super) struct Verifier {
    judge: Judge,
    client_auth: ClientAuth,
    /// Names of authorities that a client is told of.
    authorities: Vec<DistinguishedName>,
}

impl Verifier {
    /// For a server; the second are the accepted authorities that can't be told (CERT-17).
    pub(super) fn of_clients(profile: &TlsProfile, judge: Judge) -> (Arc<Self>, Vec<String>) {
        let store = judge.source().store();
        let wanted: Vec<String> = profile.trust.authorities.iter().map(ToString::to_string).collect();
        let (names, missing) = authority_names(&wanted, &store);
        let authorities = names.into_iter().filter_map(|name| distinguished(name.der())).collect();
        let missing = missing.into_iter().map(str::to_owned).collect();
        (Arc::new(Self { judge, client_auth: profile.client_auth, authorities }), missing)
    }

    /// For a client.
    pub(super) fn of_servers(judge: Judge) -> Arc<Self> {
        Arc::new(Self { judge, client_auth: ClientAuth::Anonymous, authorities: Vec::new() })
    }

    pub(super) const fn judge(&self) -> &Judge {
        &self.judge
    }

    fn look(&self, first: &CertificateDer<'_>, rest: &[CertificateDer<'_>]) -> Result<(), Error> {
        let handshake = handshake()?;
        let chain: Vec<CertificateDer<'_>> = std::iter::once(first).chain(rest).cloned().collect();
        let verdict = self.judge.verdict(&chain, handshake.called.as_ref());
        let refused = match &verdict {
            Verdict::Trusted(_) | Verdict::Refused { keep: true, .. } => Ok(()),
            Verdict::Refused { alert, .. } => Err(Error::InvalidCertificate(alert.clone())),
        };
        handshake.notes().verdict = Some(verdict);
        refused
    }

    fn signed(
        certificate: &CertificateDer<'_>,
        message: &[u8],
        signed: &DigitallySignedStruct,
        is_tls13: bool,
    ) -> Result<HandshakeSignatureValid, Error> {
        let handshake = handshake()?;
        let valid = signature(message, certificate, signed, is_tls13)?;
        let mut notes = handshake.notes();
        notes.proved = true;
        match &notes.verdict {
            Some(Verdict::Trusted(_)) => Ok(valid),
            Some(Verdict::Refused { alert, .. }) => Err(Error::InvalidCertificate(alert.clone())),
            None => Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)),
        }
    }
}

/// Verifies a signature on a handshake, by whomever.
pub(super) fn signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    is_tls13: bool,
) -> Result<HandshakeSignatureValid, Error> {
    let wrong = || Error::InvalidCertificate(CertificateError::BadSignature);
    let certificate = Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let scheme = SCHEMES.iter().find(|scheme| scheme.wire == signed.scheme);
    let scheme = scheme.filter(|s| s.fits(certificate.key_kind(), is_tls13)).ok_or_else(wrong)?;
    verify_signed(&certificate, scheme.algorithm, message, signed.signature()).map_err(|_| wrong())?;
    Ok(HandshakeSignatureValid::assertion())
}

/// The names of all that count.
pub(super) fn schemes() -> Vec<SignatureScheme> {
    SCHEMES.iter().map(|scheme| scheme.wire).collect()
}

/// Outside of a handshake of ours nothing is trusted.
fn handshake() -> Result<Arc<HandshakeNotes>, Error> {
    let known = HANDSHAKE.try_with(Arc::clone);
    known.map_err(|_| Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
}

/// The library writes the length before a name itself, but makes it from the content of the sequence only.
fn distinguished(der: &[u8]) -> Option<DistinguishedName> {
    let content = match der {
        [0x30, len, content @ ..] if usize::from(*len) == content.len() && *len < 0x80 => content,
        [0x30, 0x81, len, content @ ..] if usize::from(*len) == content.len() => content,
        [0x30, 0x82, high, low, content @ ..] if usize::from(u16::from_be_bytes([*high, *low])) == content.len() => {
            content
        }
        _ => return None,
    };
    Some(DistinguishedName::in_sequence(content))
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

impl ClientCertVerifier for Verifier {
    fn offer_client_auth(&self) -> bool {
        self.client_auth != ClientAuth::Anonymous
    }

    fn client_auth_mandatory(&self) -> bool {
        self.client_auth == ClientAuth::Mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.authorities
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.look(end_entity, intermediates).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::signed(cert, message, dss, false)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::signed(cert, message, dss, true)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        schemes()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.look(end_entity, intermediates).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::signed(cert, message, dss, false)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::signed(cert, message, dss, true)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        schemes()
    }
}

/// A way to sign a handshake.
struct Scheme {
    wire: SignatureScheme,
    algorithm: SignatureAlgorithm,
    /// The curve that it belongs to in TLS 1.3 (RFC 8446 section 4.2.3).
    curve: Option<KeyKind>,
}

impl Scheme {
    /// In TLS 1.3 the name also binds the curve, and RSA by PKCS#1 signs no handshake (RFC 8446 section 4.2.3). A key for
    /// PSS alone has names of its own, `rsa_pss_pss_*`, which the library does not have.
    fn fits(&self, key: KeyKind, is_tls13: bool) -> bool {
        let in_tls13 =
            self.curve.is_none_or(|curve| curve == key) && !matches!(self.algorithm, SignatureAlgorithm::Rsa(_));
        (!is_tls13 || in_tls13) && key != KeyKind::RsaPss
    }
}

const fn scheme(wire: SignatureScheme, algorithm: SignatureAlgorithm, curve: Option<KeyKind>) -> Scheme {
    Scheme { wire, algorithm, curve }
}

/// What counts, the preferred first. SHA-1 signs no handshake.
static SCHEMES: [Scheme; 10] = {
    use HashFunction::{Sha256, Sha384, Sha512};
    use SignatureAlgorithm as A;
    use SignatureScheme as S;
    [
        scheme(S::ECDSA_NISTP256_SHA256, A::Ecdsa(Sha256), Some(KeyKind::P256)),
        scheme(S::ECDSA_NISTP384_SHA384, A::Ecdsa(Sha384), Some(KeyKind::P384)),
        scheme(S::ECDSA_NISTP521_SHA512, A::Ecdsa(Sha512), Some(KeyKind::P521)),
        scheme(S::ED25519, A::Ed25519, None),
        scheme(S::RSA_PSS_SHA256, A::RsaPss(Sha256), None),
        scheme(S::RSA_PSS_SHA384, A::RsaPss(Sha384), None),
        scheme(S::RSA_PSS_SHA512, A::RsaPss(Sha512), None),
        scheme(S::RSA_PKCS1_SHA256, A::Rsa(Sha256), None),
        scheme(S::RSA_PKCS1_SHA384, A::Rsa(Sha384), None),
        scheme(S::RSA_PKCS1_SHA512, A::Rsa(Sha512), None),
    ]
};
