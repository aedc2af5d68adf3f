//! Our own certificates, and which of them is shown.

use std::fmt;
use std::sync::Arc;

use keys::Signer;
use keys::certificate::{Certificate, Name};
use keys::verify::{Origin, OwnChain, Skipped, Step};
use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, ProtocolVersion, SignatureAlgorithm, SignatureScheme, SupportedCipherSuite};

use super::TrustSource;
use super::judge::HANDSHAKE;
use super::names::{listed, suites_text};
use super::signing::OurKey;

/// Octets of a chain that TLS can send.
const CHAIN_OCTETS_MAX: usize = 65_000;

/// A certificate of ours with its chain and its key, ready to be shown.
#[derive(Clone)]
pub struct OwnCertificate {
    alias: String,
    chain: OwnChain,
    certified: Arc<CertifiedKey>,
}

impl OwnCertificate {
    /// Puts a chain and the key of its first certificate together.
    ///
    /// # Errors
    /// Why it can't be shown: the chain is not whole, or the key is of no use in TLS.
    pub fn new(chain: OwnChain, key: Arc<dyn Signer>) -> Result<Self, String> {
        let Some(Step { certificate, origin: Origin::Store(alias) }) = chain.steps.first() else {
            return Err("it is not in the store".to_owned());
        };
        if let Some((alias, state)) = &chain.disabled {
            return Err(Skipped::NotEnabled(alias.clone(), *state).to_string());
        }
        if let Some(missing) = &chain.missing {
            return Err(Skipped::NoIssuer(missing.clone(), chain.hint).to_string());
        }
        if certificate.spki_sha256() != key.public_key().spki_sha256() {
            return Err("its private key is that of another certificate".to_owned());
        }
        let sent = sent(&chain);
        let octets: usize = sent.iter().map(|der| der.len()).sum();
        if octets > CHAIN_OCTETS_MAX {
            return Err(format!("its chain has {octets} octets, TLS sends {CHAIN_OCTETS_MAX} at most"));
        }
        if keys::SignatureScheme::of(key.public_key()).is_empty() {
            return Err(format!("its key, {}, can't sign in TLS", certificate.key_text()));
        }
        let signing = Arc::new(OurKey(key));
        let alias = alias.clone();
        Ok(Self { alias, chain, certified: Arc::new(CertifiedKey::new(sent, signing)) })
    }

    /// Its name in the store.
    #[must_use]
    pub fn alias(&self) -> &str {
        &self.alias
    }

    fn certificate(&self) -> Option<&Certificate> {
        self.chain.steps.first().map(|step| &step.certificate)
    }

    fn signs(&self, schemes: &[SignatureScheme]) -> bool {
        self.certified.key.choose_scheme(schemes).is_some()
    }

    fn key_algorithm(&self) -> SignatureAlgorithm {
        self.certified.key.algorithm()
    }

    /// Whether one of these has certified it, directly or not.
    fn leads_to(&self, names: &[Name]) -> bool {
        let fits =
            |step: &Step| names.iter().any(|n| n == step.certificate.subject() || n == step.certificate.issuer());
        self.chain.steps.iter().any(fits)
    }
}

impl fmt::Debug for OwnCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnCertificate({})", self.alias)
    }
}

/// All but the root, which the partner has or does not trust (RFC 8446 section 4.4.2); it alone if there is nothing else.
fn sent(chain: &OwnChain) -> Vec<CertificateDer<'static>> {
    let steps = match chain.steps.as_slice() {
        [first, .., last] if last.certificate.is_self_issued() && first.certificate != last.certificate => {
            chain.steps.get(..chain.steps.len() - 1).unwrap_or_default()
        }
        all => all,
    };
    steps.iter().map(|step| CertificateDer::from(step.certificate.der().to_vec())).collect()
}

/// Our certificates in order of preference.
pub(super) struct Own {
    all: Vec<OwnCertificate>,
    trust: Arc<dyn TrustSource>,
    provider: Arc<CryptoProvider>,
    server_order: bool,
}

impl Own {
    pub(super) fn new(
        all: Vec<OwnCertificate>,
        trust: Arc<dyn TrustSource>,
        (provider, server_order): (Arc<CryptoProvider>, bool),
    ) -> Arc<Self> {
        Arc::new(Self { all, trust, provider, server_order })
    }

    /// The first that is valid and fits, or why none is or does. It is noted for the handshake.
    fn first(&self, fits: impl Fn(&OwnCertificate) -> Result<(), Skipped>) -> Option<Arc<CertifiedKey>> {
        let now = self.trust.now();
        let mut skipped = Vec::new();
        for own in &self.all {
            let valid = own.certificate().filter(|c| !c.is_valid_at(now));
            let valid = valid.map_or(Ok(()), |c| Err(Skipped::NotValid(c.not_before(), c.not_after())));
            match valid.and_then(|()| fits(own)) {
                Ok(()) => {
                    let _outside = HANDSHAKE.try_with(|h| h.notes().own = Some(own.alias.clone()));
                    return Some(Arc::clone(&own.certified));
                }
                Err(why) => skipped.push(format!("{}: {why}", own.alias)),
            }
        }
        let why = if skipped.is_empty() {
            "the profile names none that can be used".to_owned()
        } else {
            listed(skipped.into_iter())
        };
        let _outside = HANDSHAKE.try_with(|h| h.notes().no_own = Some(why));
        None
    }

    /// Suites of both sides in the order that decides. The library has chosen the version before; a client that offers
    /// suites of TLS 1.3 that we have speaks it.
    fn shared(&self, offered: &[CipherSuite]) -> Vec<SupportedCipherSuite> {
        let ours = self.provider.cipher_suites.as_slice();
        let both: Vec<SupportedCipherSuite> = if self.server_order {
            ours.iter().filter(|s| offered.contains(&s.suite())).copied().collect()
        } else {
            offered.iter().filter_map(|o| ours.iter().find(|s| s.suite() == *o)).copied().collect()
        };
        let is_modern = |s: &SupportedCipherSuite| s.version().version == ProtocolVersion::TLSv1_3;
        let (modern, older): (Vec<_>, Vec<_>) = both.into_iter().partition(is_modern);
        if modern.is_empty() { older } else { modern }
    }
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all.iter().map(|own| &own.alias)).finish()
    }
}

impl ResolvesServerCert for Own {
    /// TLS-8: the first certificate whose key fits the first suite for which there is any.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let suites = self.shared(hello.cipher_suites());
        let fits = |suite: &SupportedCipherSuite, own: &OwnCertificate| {
            suite.usable_for_signature_algorithm(own.key_algorithm()) && own.signs(schemes)
        };
        let wanted = hello.certificate_authorities().map(|names| named(names.iter().map(|n| n.as_ref())));
        let wanted = wanted.filter(|names| self.all.iter().any(|own| own.leads_to(names)));
        let suite = suites.iter().find(|suite| self.all.iter().any(|own| fits(suite, own)));
        self.first(|own| {
            let key = || Skipped::Key(own.certificate().map(Certificate::key_text).unwrap_or_default());
            match suite {
                None => Err(Skipped::Key(format!(
                    "{}; the client offers {}",
                    text(own),
                    suites_text(hello.cipher_suites())
                ))),
                Some(suite) if !fits(suite, own) => Err(key()),
                Some(_) if wanted.as_ref().is_some_and(|names| !own.leads_to(names)) => Err(Skipped::NotAccepted),
                Some(_) => Ok(()),
            }
        })
    }
}

fn text(own: &OwnCertificate) -> String {
    own.certificate().map(Certificate::key_text).unwrap_or_default()
}

impl ResolvesClientCert for Own {
    /// TLS-10: the first that leads to an authority that the server accepts.
    fn resolve(&self, hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let names = named(hints.iter().copied());
        let accepts_all = hints.is_empty();
        self.first(|own| {
            if !own.signs(schemes) {
                Err(Skipped::Key(text(own)))
            } else if accepts_all || own.leads_to(&names) {
                Ok(())
            } else {
                Err(Skipped::NotAccepted)
            }
        })
    }

    fn has_certs(&self) -> bool {
        // Also without any: that one was asked for must be known where the profile says MANDATORY.
        true
    }
}

/// Names that can be read; others are none of ours.
fn named<'a>(all: impl Iterator<Item = &'a [u8]>) -> Vec<Name> {
    all.filter_map(|der| Name::from_der(der).ok()).collect()
}
