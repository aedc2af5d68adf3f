//! Calling partners to test a connection: the way of a delivery, without a file.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use admin::partner::{CallPartner, Called, HostKey, HostKeyVerdict, Look, Probe, Stage, TlsProbe};
use async_trait::async_trait;
use channel::{BeforeTls, HostKeyChecker, Target, probe_ssh};
use engine::Engine;
use engine::admit::{KeyVerdict, judge_host_key};
use keys::{Fingerprint, PublicKey};
use model::ssh_algorithms::Class;
use model::{HostPort, RemoteSite, SshProfile, TlsProfile};
use protocols::Looked;

use crate::deliver::{Call, Deliverer};

/// Longest wait for a server that is only looked at, and again for its keys.
const PROBE_MAX: Duration = Duration::from_secs(10);

/// Longest time for all handshakes with a server whose TLS is looked at.
const PROBE_TLS_MAX: Duration = Duration::from_secs(30);

/// Calls partners for operations.
pub(crate) struct Caller {
    deliverer: Deliverer,
}

impl Caller {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { deliverer: Deliverer::new(engine, Arc::default()) }
    }

    /// What a server is in TLS, begun so, and which CLIENT profiles would do, as far as TLS and `fits` go.
    async fn tls(
        &self,
        target: &Target,
        before: Option<&dyn BeforeTls>,
        fits: impl Fn(&TlsProfile) -> Result<(), String> + Send,
    ) -> Result<TlsProbe, String> {
        let probed = channel::probe_tls(target, PROBE_TLS_MAX, before).await?;
        let engine = &self.deliverer.engine;
        let snapshot = engine.snapshot();
        let clients = snapshot.tls_profiles().filter(|profile| profile.client && profile.enabled);
        let judged = clients.map(|profile| {
            let trust = protocols::trusted(Arc::clone(engine));
            (profile.name.clone(), fits(profile).and_then(|()| probed.fits(profile, &target.host, trust)))
        });
        Ok(TlsProbe {
            profiles: judged.collect(),
            versions: probed.versions().iter().map(|v| v.as_str().to_owned()).collect(),
            suites: probed.suites.iter().map(|(suite, group)| (suite.name.to_owned(), group.clone())).collect(),
            chain: probed.chain,
            asks: probed.asks,
            failure: probed.failure,
        })
    }
}

#[async_trait]
impl CallPartner for Caller {
    async fn call(&self, site: &Arc<RemoteSite>, trusted: Option<Fingerprint>) -> Called {
        let witnesses = OnceLock::new();
        let checker = |profile| -> Arc<dyn HostKeyChecker> {
            let engine = Arc::clone(&self.deliverer.engine);
            let fresh =
                || Arc::new(Witness { engine, site: Arc::clone(site), profile, trusted, seen: Mutex::default() });
            witnesses.get_or_init(fresh).clone()
        };
        let order: Vec<usize> = (0..site.addresses.len()).collect();
        let mut called = match self.deliverer.connect(site, &order, &checker).await {
            Err(unreached) => {
                Called { failed: Some((unreached.stage, unreached.error.to_string())), ..told(site, unreached.call) }
            }
            Ok(mut connected) => {
                let mut called = told(site, connected.call.clone());
                match connected.session.look().await {
                    Ok(seen) => (called.folder, called.names, called.count) = (seen.folder, seen.names, seen.count),
                    Err(error) => called.failed = Some((Stage::Folder, error.to_string())),
                }
                connected.close().await;
                called
            }
        };
        called.host_key = witnesses.get().and_then(|witness| witness.take());
        called
    }

    async fn probe_tls(&self, at: &HostPort) -> Result<TlsProbe, String> {
        self.tls(&Target::new(at.host.clone(), at.port), None, |_| Ok(())).await
    }

    async fn look(&self, protocol: &str, at: &HostPort) -> Result<Look, String> {
        let target = Target::new(at.host.clone(), at.port);
        let carrier = protocols::carrier(protocol).ok_or_else(|| format!("{protocol} is not in this version"))?;
        let Looked { greeting, features, answer, begins_tls } = carrier.look(&target, PROBE_MAX).await?;
        let explicit = !greeting.is_empty();
        let tls = match explicit {
            true if !begins_tls => None,
            true => Some(self.tls(&target, carrier.before_tls(), |profile| begins(profile, true)).await?),
            false => Some(self.tls(&target, None, |profile| begins(profile, false)).await?),
        };
        match tls.as_ref().filter(|tls| !explicit && tls.versions.is_empty()) {
            Some(tls) => Err(format!(
                "{target} neither greets as a server of {protocol} nor speaks TLS that we do: {}; see what listens there",
                tls.failure
            )),
            None => Ok(Look { greeting, features, answer, tls }),
        }
    }

    async fn probe(&self, at: &HostPort, profile: &SshProfile) -> Result<Probe, String> {
        let target = Target::new(at.host.clone(), at.port);
        let probed = probe_ssh(&target, profile, PROBE_MAX).await.map_err(|e| e.to_string())?;
        let offered = probed.offered.map(|o| {
            let classes = [Class::Kex, Class::PublicKey, Class::Cipher, Class::Mac, Class::Compression];
            classes.into_iter().zip([o.kex, o.host_key, o.cipher, o.mac, o.compression]).collect()
        });
        Ok(Probe {
            server: probed.banner,
            offered: offered.unwrap_or_default(),
            host_key: probed.host_key,
            failure: probed.failure.map(|e| e.to_string()).unwrap_or_default(),
        })
    }
}

/// Whether TLS begins by the profile as it does at the server.
fn begins(profile: &TlsProfile, explicit: bool) -> Result<(), String> {
    let told = |server: &str, ours: &str| Err(format!("{server}, and ft_sec_option of the profile is {ours}"));
    match (profile.start.explicit, explicit) {
        (true, false) => told("the server begins with TLS at once", "explicit"),
        (false, true) => told("the server waits to be asked for TLS", "implicit"),
        _ => Ok(()),
    }
}

fn address(site: &RemoteSite, path: usize) -> String {
    site.addresses.get(path).map(|a| Target::new(a.host.clone(), a.port).to_string()).unwrap_or_default()
}

fn told(site: &RemoteSite, call: Call) -> Called {
    Called { address: address(site, call.path), server: call.server, algorithms: call.algorithms, ..Called::default() }
}

/// Judges a partner's host key and remembers it.
struct Witness {
    engine: Arc<Engine>,
    site: Arc<RemoteSite>,
    profile: Arc<SshProfile>,
    trusted: Option<Fingerprint>,
    seen: Mutex<Option<HostKey>>,
}

impl Witness {
    fn take(&self) -> Option<HostKey> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn verdict(&self, key: &PublicKey) -> HostKeyVerdict {
        if let Some(trusted) = self.trusted {
            return match key.fingerprint() == trusted {
                true => HostKeyVerdict::Confirmed,
                false => HostKeyVerdict::Refused(format!("the server shows {}, not {trusted}", key.fingerprint())),
            };
        }
        // Whoever tests wants to know: an unknown key is kept, whatever the profile says of deliveries.
        let knows_others = !self.site.bound_keys.is_empty() || !self.site.public_keys.is_empty();
        match judge_host_key(&self.engine, &self.site, &self.profile, key, true).await {
            KeyVerdict::Good(entry) => HostKeyVerdict::Known(entry.alias.to_string()),
            KeyVerdict::Unknown { .. } if knows_others => HostKeyVerdict::Changed,
            KeyVerdict::Refused { .. } if knows_others && !self.names(key) => HostKeyVerdict::Changed,
            KeyVerdict::Unknown { .. } => HostKeyVerdict::New,
            KeyVerdict::Refused { text, .. } => match self.waits(key) {
                true => HostKeyVerdict::New,
                false => HostKeyVerdict::Refused(text),
            },
        }
    }

    /// Whether the site names this very key, in whatever state.
    fn names(&self, key: &PublicKey) -> bool {
        let snapshot = self.engine.snapshot();
        let found = snapshot.key_by_fingerprint(&key.fingerprint().0).cloned();
        found.is_some_and(|k| self.site.bound_keys.contains(&k.alias) || self.site.public_keys.contains(&k.alias))
    }

    /// Whether the key was captured and waits for a person.
    fn waits(&self, key: &PublicKey) -> bool {
        let snapshot = self.engine.snapshot();
        snapshot.key_by_fingerprint(&key.fingerprint().0).is_some_and(|k| k.state == model::ObjectState::ToCheck)
    }
}

#[async_trait]
impl HostKeyChecker for Witness {
    async fn check(&self, key: &PublicKey) -> bool {
        let verdict = self.verdict(key).await;
        let good = matches!(verdict, HostKeyVerdict::Known(_) | HostKeyVerdict::Confirmed);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(HostKey { key: key.clone(), verdict });
        good
    }
}
