//! Calling a server only to see what it is: versions, suites, certificates. Nothing is sent to it but handshakes, and what it
//! shows is believed by nobody.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use keys::certificate::{Certificate, Name};
use model::TlsProfile;
use model::tls_suites::{TLS_GROUPS, TLS_SUITES, TlsSuite, TlsVersion};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme, version};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::judge::{Judge, Verdict};
use super::names::group_name;
use super::{TrustSource, verifier};
use crate::dial::{Target, dial};
use crate::link::Link;

/// Names of authorities that are told.
const AUTHORITIES_MAX: usize = 100;

/// What a server showed.
#[derive(Clone, Debug, Default)]
pub struct TlsProbed {
    /// Suites that it takes, in our order, each with the key exchange that it chose.
    pub suites: Vec<(&'static TlsSuite, String)>,
    /// Its certificates, its own first, as far as they can be read.
    pub chain: Vec<Certificate>,
    /// Whether it asks for a certificate, and of which authorities.
    pub asks: Option<Vec<String>>,
    /// What it answered where it took nothing.
    pub failure: String,
}

impl TlsProbed {
    /// The versions that it speaks, of those that were tried.
    #[must_use]
    pub fn versions(&self) -> Vec<TlsVersion> {
        let speaks = |version: &TlsVersion| self.suites.iter().any(|(suite, _)| suite.version == *version);
        [TlsVersion::V13, TlsVersion::V12].into_iter().filter(speaks).collect()
    }

    /// Whether a call by `profile` would come through TLS; the sentence says how, or why not.
    ///
    /// # Errors
    /// Why not.
    pub fn fits(&self, profile: &TlsProfile, host: &str, trust: Arc<dyn TrustSource>) -> Result<String, String> {
        if let Some(why) = profile.refusal(false) {
            return Err(why.to_owned());
        }
        let usable = |suite: &&&'static TlsSuite| {
            profile.versions.contains(&suite.version) && self.suites.iter().any(|(taken, _)| *taken == **suite)
        };
        let suite = profile.suites.iter().find(usable).ok_or("it takes no suite of the profile")?;
        let called = match profile.trust.check_host_name {
            true => Some(host.parse().map_err(|e: keys::verify::PeerNameError| e.to_string())?),
            false => None,
        };
        let chain: Vec<CertificateDer<'_>> = self.chain.iter().map(|c| CertificateDer::from(c.der())).collect();
        match Judge::new(profile, false, trust).verdict(&chain, called.as_ref()) {
            Verdict::Trusted(verified) => Ok(format!("{}, {verified}", suite.name)),
            Verdict::Refused { text, fix, .. } => Err(format!("{text}; {fix}")),
        }
    }
}

/// What has to be said on a connection before TLS begins.
#[async_trait]
pub trait BeforeTls: Send + Sync {
    /// Says it, and gives the connection back with nothing on its way.
    ///
    /// # Errors
    /// A sentence: the server does not begin TLS.
    async fn begin(&self, link: Link) -> Result<Link, String>;
}

/// Calls `target` once for each suite that we have, within `wait` in all.
///
/// # Errors
/// A sentence, if nobody answers, or TLS is not begun.
pub async fn probe_tls(target: &Target, wait: Duration, before: Option<&dyn BeforeTls>) -> Result<TlsProbed, String> {
    let until = Instant::now() + wait;
    let mut probed = TlsProbed::default();
    for suite in TLS_SUITES.iter().filter(|suite| suite.available) {
        let seen = Arc::new(Seen::default());
        let left = until.saturating_duration_since(Instant::now());
        let mut stream = dial(target, left).await.map_err(|e| e.to_string())?;
        if let Some(before) = before {
            let begun = before.begin(Link::clear(stream).map_err(|e| e.to_string())?);
            match timeout_at(until, begun).await {
                Ok(link) => stream = link?.into_clear().map_err(|e| e.to_string())?.0,
                Err(_) => {
                    probed.failure = too_late(wait);
                    break;
                }
            }
        }
        let Some(config) = config(suite, &seen) else { continue };
        let name = server_name(&target.host)?;
        let call = TlsConnector::from(Arc::new(config)).connect(name, stream);
        let (group, failure) = match timeout_at(until, call).await {
            Ok(Ok(stream)) => {
                let group = stream.get_ref().1.negotiated_key_exchange_group().map(|g| group_name(g.name()));
                (group.unwrap_or_default(), None)
            }
            Ok(Err(error)) => (String::new(), Some(error.to_string())),
            Err(_) => {
                probed.failure = too_late(wait);
                break;
            }
        };
        let looked = std::mem::take(&mut *seen.looked());
        // A server that wants a certificate of ours ends the handshake after it has signed: it has taken the suite.
        if failure.is_none() || looked.signed {
            probed.suites.push((suite, group));
            probed.asks = probed.asks.or(looked.asked);
            if probed.chain.is_empty() {
                probed.chain = looked.chain;
            }
        } else if let Some(failure) = failure {
            probed.failure = failure;
        }
    }
    Ok(probed)
}

fn too_late(wait: Duration) -> String {
    format!("no more answers within {} s", wait.as_secs())
}

fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(host.to_owned()).map_err(|_| format!("{host:?} is no name of a server"))
}

/// One suite, every key exchange.
fn config(suite: &TlsSuite, seen: &Arc<Seen>) -> Option<ClientConfig> {
    let code = |code: u16| aws_lc_rs::ALL_CIPHER_SUITES.iter().find(|s| u16::from(s.suite()) == code).copied();
    let groups = TLS_GROUPS.iter();
    let kx = |code: u16| aws_lc_rs::ALL_KX_GROUPS.iter().find(|g| u16::from(g.name()) == code).copied();
    let provider = CryptoProvider {
        cipher_suites: vec![code(suite.code?)?],
        kx_groups: groups.filter_map(|g| kx(g.code)).collect(),
        ..aws_lc_rs::default_provider()
    };
    let versions = match suite.version {
        TlsVersion::V12 => [&version::TLS12],
        TlsVersion::V13 => [&version::TLS13],
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(&versions).ok()?;
    let builder = builder.dangerous().with_custom_certificate_verifier(seen.clone());
    let mut config = builder.with_client_cert_resolver(seen.clone());
    config.resumption = Resumption::disabled();
    Some(config)
}

/// Looks at what a server shows and asks for.
#[derive(Default)]
struct Seen(Mutex<Looked>);

#[derive(Default)]
struct Looked {
    asked: Option<Vec<String>>,
    chain: Vec<Certificate>,
    signed: bool,
}

impl Seen {
    fn looked(&self) -> MutexGuard<'_, Looked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        (dss, is_tls13): (&DigitallySignedStruct, bool),
    ) -> Result<HandshakeSignatureValid, Error> {
        let valid = verifier::signature(message, cert, dss, is_tls13)?;
        self.looked().signed = true;
        Ok(valid)
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seen")
    }
}

impl ResolvesClientCert for Seen {
    fn resolve(&self, hints: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let names = hints.iter().take(AUTHORITIES_MAX).filter_map(|der| Name::from_der(der).ok());
        self.looked().asked = Some(names.map(|name| name.to_string()).collect());
        None
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Everybody may show anything: no octet of ours goes to it, and none of its is used.
impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let all = std::iter::once(end_entity).chain(intermediates);
        self.looked().chain = all.filter_map(|der| Certificate::from_der(der).ok()).collect();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, cert, (dss, false))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, cert, (dss, true))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        verifier::schemes()
    }
}
