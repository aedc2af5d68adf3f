//! TLS profiles made ready for use, what a site asks of its partner's session, and what becomes of those that are refused.
//! Shared by every protocol that runs over TLS.

mod fit;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use base::UtcMicros;
use channel::{Link, OwnCertificate, TlsClient, TlsRefusal, TlsServer, TlsSession, TrustSource, path_mode};
use engine::Engine;
use engine::admit::{TlsPlace, Unfit, Vault, tls_refused};
use keys::verify::TrustStore;
use model::{RemoteSite, Snapshot, TlsProfile};

pub use self::fit::Line;
use self::fit::filter;
pub(crate) use self::fit::secured;

/// Profiles that are made ready at a time, for each side; beyond, all are made anew.
const READY_MAX: usize = 1000;

/// TLS profiles, made ready when they are first needed and kept until they or the certificates change.
pub struct TlsProfiles {
    engine: Arc<Engine>,
    vault: Arc<Vault>,
    servers: Mutex<HashMap<String, Ready<TlsServer>>>,
    clients: Mutex<HashMap<String, Ready<TlsClient>>>,
    /// What [`certificates`] gave for a revision of the configuration.
    certificates: Mutex<Option<(i64, u64)>>,
}

/// A profile that is ready, and what it was made of.
struct Ready<T> {
    profile: Arc<TlsProfile>,
    certificates: u64,
    made: T,
}

impl TlsProfiles {
    /// None is ready yet.
    #[must_use]
    pub fn new(engine: Arc<Engine>, vault: Arc<Vault>) -> Self {
        Self { engine, vault, servers: Mutex::default(), clients: Mutex::default(), certificates: Mutex::default() }
    }

    /// The profile, ready to serve.
    ///
    /// # Errors
    /// [`TlsRefusal::Profile`].
    pub async fn server(&self, profile: &Arc<TlsProfile>) -> Result<TlsServer, TlsRefusal> {
        let make = |own, trust| TlsServer::new(profile, own, trust);
        self.ready(profile, &self.servers, make).await
    }

    /// The profile, ready to call.
    ///
    /// # Errors
    /// [`TlsRefusal::Profile`].
    pub async fn client(&self, profile: &Arc<TlsProfile>) -> Result<TlsClient, TlsRefusal> {
        let make = |own, trust| TlsClient::new(profile, own, trust);
        self.ready(profile, &self.clients, make).await
    }

    /// The profile by which `site` is called, ready (TLS chosen with an empty `tls_sprof_out` is refused).
    ///
    /// # Errors
    /// [`TlsRefusal::Profile`].
    pub async fn client_of(&self, site: &RemoteSite) -> Result<TlsClient, TlsRefusal> {
        let snapshot = self.engine.snapshot();
        let name = site.tls.outgoing.as_ref().map_or("", |name| name.as_str());
        match snapshot.tls_profile(name) {
            Some(profile) => self.client(profile).await,
            None => Err(absent(&snapshot, site, ("tls_sprof_out", name))),
        }
    }

    /// Puts TLS on a connection to `site` at `host`, and looks at its certificate as the site asks for. What is refused is
    /// told; an unknown certificate is kept if the profile says so.
    ///
    /// # Errors
    /// [`TlsRefusal`].
    pub async fn call(
        &self,
        (site, host): (&RemoteSite, &str),
        client: &TlsClient,
        link: Link,
        data_of: Option<&TlsSession>,
    ) -> Result<Link, TlsRefusal> {
        let called = link.call_secure(client, host, data_of).await.and_then(|link| {
            let fits = filter(&self.engine, site, link.tls().and_then(TlsSession::peer));
            fits.map(|()| link).map_err(|unfit| {
                let Unfit { text, fix, .. } = unfit;
                TlsRefusal::Certificate { text, fix, shown: None, keep: false }
            })
        });
        if let Err(refusal) = &called {
            self.refused(TlsPlace::Site(site), refusal).await;
        }
        called
    }

    /// Puts TLS on the connection of a caller. What is refused is told; an unknown certificate is kept if the profile says
    /// so.
    ///
    /// # Errors
    /// [`TlsRefusal`].
    pub async fn accept(&self, server: &TlsServer, link: Link) -> Result<Link, TlsRefusal> {
        let peer = link.peer().ip();
        let taken = link.secure(server, None).await;
        if let Err(refusal) = &taken {
            self.caller_refused(server, peer, refusal).await;
        }
        taken
    }

    /// Tells of a caller's handshake that was refused, and keeps its certificate if the profile says so.
    pub async fn caller_refused(&self, server: &TlsServer, peer: IpAddr, refusal: &TlsRefusal) {
        self.refused(TlsPlace::Caller { profile: &server.profile().name, peer }, refusal).await;
    }

    async fn refused(&self, place: TlsPlace<'_>, refusal: &TlsRefusal) {
        let keep = refusal.to_keep().map(|chain| (&chain.end_entity, chain.sent.as_slice()));
        tls_refused(&self.engine, place, refusal.to_string(), keep).await;
    }

    async fn ready<T: Clone>(
        &self,
        profile: &Arc<TlsProfile>,
        kept: &Mutex<HashMap<String, Ready<T>>>,
        make: impl FnOnce(Vec<OwnCertificate>, Arc<dyn TrustSource>) -> Result<T, TlsRefusal>,
    ) -> Result<T, TlsRefusal> {
        let certificates = self.certificates();
        let lock = || kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock()
            .get(&profile.name)
            .filter(|r| r.certificates == certificates && r.profile == *profile)
            .map(|r| r.made.clone());
        if let Some(made) = known {
            return Ok(made);
        }
        let own = self.own(profile).await;
        let made = make(own, trusted(Arc::clone(&self.engine)))?;
        let mut kept = lock();
        if kept.len() >= READY_MAX {
            kept.clear();
        }
        kept.insert(profile.name.clone(), Ready { profile: Arc::clone(profile), certificates, made: made.clone() });
        Ok(made)
    }

    /// What the certificates are known by, counted once for each revision of the configuration.
    fn certificates(&self) -> u64 {
        let snapshot = self.engine.snapshot();
        let mut known = self.certificates.lock().unwrap_or_else(PoisonError::into_inner);
        match *known {
            Some((revision, number)) if revision == snapshot.revision => number,
            _ => {
                let number = certificates(&snapshot);
                *known = Some((snapshot.revision, number));
                number
            }
        }
    }

    /// Those of its certificates that can be shown; what is wrong with others is told.
    async fn own(&self, profile: &TlsProfile) -> Vec<OwnCertificate> {
        let mut own = Vec::with_capacity(profile.certificates.len());
        for alias in &profile.certificates {
            let found = self.vault.certificate(&self.engine, alias.as_str(), path_mode(profile)).await;
            let ready =
                found.map_err(|e| e.to_string()).and_then(|(chain, key)| OwnCertificate::new(chain, key.signer()));
            match ready {
                Ok(certificate) => own.push(certificate),
                Err(why) => {
                    tracing::warn!(profile = %profile.name, certificate = %alias, why, "a certificate of ours can't be shown");
                }
            }
        }
        own
    }
}

/// What the engine has stored, as TLS asks for it.
#[must_use]
pub fn trusted(engine: Arc<Engine>) -> Arc<dyn TrustSource> {
    Arc::new(Trusted(engine))
}

struct Trusted(Arc<Engine>);

impl TrustSource for Trusted {
    fn store(&self) -> Arc<TrustStore> {
        self.0.trust_store()
    }

    fn now(&self) -> UtcMicros {
        self.0.clock().now()
    }
}

/// Something that is another number when any certificate is another, or in another state.
fn certificates(snapshot: &Snapshot) -> u64 {
    let mut hasher = DefaultHasher::new();
    for certificate in snapshot.certificates() {
        (&certificate.name, certificate.fingerprint, certificate.state.as_str(), certificate.private).hash(&mut hasher);
    }
    hasher.finish()
}

fn absent(snapshot: &Snapshot, site: &RemoteSite, (field, name): (&str, &str)) -> TlsRefusal {
    let why = match snapshot.broken(model::Kind::TlsProfile, name) {
        Some(wrong) => format!("it has an error: {wrong}"),
        None if name.is_empty() => format!("site {} names none ({field})", site.name),
        None => format!("site {} names it ({field}), and it does not exist", site.name),
    };
    TlsRefusal::Profile { profile: name.to_owned(), why }
}
