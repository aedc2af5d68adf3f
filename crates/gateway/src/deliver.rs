//! How a file goes out: the connection that the protocol runs over, its session, and the deliveries on it.

mod link;
mod ssh;

use std::sync::Arc;
use std::time::Duration;

use admin::partner::Stage;
use async_trait::async_trait;
use base::{ObjectId, Secret};
use channel::{HostKeyChecker, SshClient, Target, Tunnel, TunnelKind};
use engine::admit::Vault;
use engine::queue::{Deliver, JobSource, SessionOutcome};
use engine::watch::StepTimer;
use engine::{Cause, Engine, TransferError};
use model::{HostPort, Proxies, Proxy, ProxyKind, RemoteSite, SshProfile};
use protocols::{Carrier, Outward, TlsProfiles, Transport, Unopened, Way};

/// Longest wait for a partner's server to take the connection.
const CONNECT_MAX: Duration = Duration::from_secs(20);

/// Carries files to partners.
pub(crate) struct Deliverer {
    pub(crate) engine: Arc<Engine>,
    pub(crate) vault: Arc<Vault>,
    profiles: Arc<TlsProfiles>,
}

impl Deliverer {
    pub(crate) fn new(engine: Arc<Engine>, vault: Arc<Vault>) -> Self {
        let profiles = Arc::new(TlsProfiles::new(Arc::clone(&engine), Arc::clone(&vault)));
        Self { engine, vault, profiles }
    }
}

#[async_trait]
impl Deliver for Deliverer {
    async fn session(&self, site: Arc<RemoteSite>, jobs: &mut dyn JobSource) -> SessionOutcome {
        if let Some(place) = &site.folder {
            return engine::handoff::put_all(&site, place, &self.engine.options().data, jobs).await;
        }
        let timer = StepTimer::begin("connect");
        let checker = |profile| ssh::checker(&self.engine, &site, profile);
        let mut connected = match self.connect(&site, &jobs.path_order(), &checker).await {
            Ok(connected) => connected,
            Err(unreached) => return unreached.outcome(),
        };
        timer.done();
        jobs.connected(connected.call.path, connected.session.secured());
        let outcome = match connected.session.deliver(jobs).await {
            Ok(_) => SessionOutcome::Ended,
            Err(error) => SessionOutcome::Lost(error),
        };
        connected.close().await;
        outcome
    }
}

/// Who judges the host key of a partner, by the profile in use.
pub(crate) type CheckerOf<'a> = &'a (dyn Fn(Arc<SshProfile>) -> Arc<dyn HostKeyChecker> + Send + Sync);

/// What is known of a call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Call {
    /// Which of the site's addresses was tried last.
    pub(crate) path: usize,
    /// What the server says of itself, safe to show.
    pub(crate) server: String,
    /// Algorithms in use.
    pub(crate) algorithms: String,
}

/// A session with a partner, and the connection under it.
pub(crate) struct Connected {
    pub(crate) call: Call,
    pub(crate) session: Box<dyn Outward>,
    under: Option<SshClient>,
}

impl Connected {
    pub(crate) async fn close(mut self) {
        self.session.close().await;
        if let Some(under) = self.under {
            under.close().await;
        }
    }
}

/// Why a site was not reached.
pub(crate) struct Unreached {
    pub(crate) call: Call,
    pub(crate) stage: Stage,
    pub(crate) error: TransferError,
}

impl Unreached {
    /// What is configured is not enough to call.
    fn unable(text: impl Into<String>) -> Self {
        Self { call: Call::default(), stage: Stage::Settings, error: TransferError::park(Cause::Invalid, text) }
    }

    fn outcome(self) -> SessionOutcome {
        let Self { call: Call { path, .. }, stage, error } = self;
        match stage {
            Stage::Settings => SessionOutcome::Unable(error),
            Stage::Address => SessionOutcome::ConnectFailed { path, error },
            Stage::HostKey => SessionOutcome::HostKeyRefused(error),
            Stage::Login => SessionOutcome::LoginRefused(error),
            Stage::Handshake | Stage::Service | Stage::Folder => SessionOutcome::Lost(error),
        }
    }
}

impl Deliverer {
    /// Tries the site's addresses in the given order, to the session; only an address that does not answer leads to the
    /// next (OBJ-5).
    pub(crate) async fn connect(
        &self,
        site: &Arc<RemoteSite>,
        order: &[usize],
        checker: CheckerOf<'_>,
    ) -> Result<Connected, Unreached> {
        let carrier = protocols::carrier(&site.protocol)
            .ok_or_else(|| Unreached::unable(format!("protocol {} is not built in", site.protocol)))?;
        let mut last = Unreached::unable(format!("site {} has no address: set dest_address", site.name));
        for path in order {
            let Some(address) = site.addresses.get(*path) else { continue };
            let (target, proxy) = self.way(site, *path, address).await.map_err(Unreached::unable)?;
            let mut call = Call { path: *path, ..Call::default() };
            let connected = match carrier.descriptor().transport {
                Transport::Ssh => self.by_ssh((carrier, site), &target, checker, &mut call).await,
                Transport::Link => {
                    self.by_link((carrier, site), (&target, proxy.as_ref())).await.map(|session| (session, None))
                }
            };
            match connected {
                Ok((session, under)) => {
                    if under.is_none() {
                        (call.server, call.algorithms) = (session.server(), session.algorithms());
                    }
                    return Ok(Connected { call, session, under });
                }
                Err((stage, error)) => last = Unreached { call, stage, error },
            }
            if last.stage != Stage::Address {
                break;
            }
        }
        Err(last)
    }

    /// The way to an address of a site, and the proxy of its protocol, if there is one on it.
    async fn way(
        &self,
        site: &RemoteSite,
        path: usize,
        address: &HostPort,
    ) -> Result<(Target, Option<Arc<Proxy>>), String> {
        let snapshot = self.engine.snapshot();
        let Proxies { net, commands } =
            snapshot.proxies(site, path).map_err(|(field, text)| format!("{field}: {text}"))?;
        let mut target = Target::new(address.host.clone(), address.port);
        if let Some(proxy) = net {
            let at = Box::new(Target::new(proxy.address.host.clone(), proxy.address.port));
            let speaks = if proxy.kind == ProxyKind::Socks4 { TunnelKind::Socks4 } else { TunnelKind::Connect };
            let password = self.proxy_password(&proxy).await?;
            target.through = Some(Arc::new(Tunnel { at, speaks, user: proxy.user.clone(), password }));
        }
        Ok((target, commands))
    }

    async fn proxy_password(&self, proxy: &Proxy) -> Result<Option<Secret<String>>, String> {
        if proxy.has_password { self.stored_secret(proxy.id, "password").await.map(Some) } else { Ok(None) }
    }

    /// A session over SSH.
    async fn by_ssh(
        &self,
        (carrier, site): (&dyn Carrier, &Arc<RemoteSite>),
        target: &Target,
        checker: CheckerOf<'_>,
        call: &mut Call,
    ) -> Result<(Box<dyn Outward>, Option<SshClient>), Failed> {
        let client = self.ssh_client(site, target, checker, call).await?;
        let pipe = client.open_sftp().await.map_err(|e| (Stage::Service, ssh::told(&e)))?;
        let session = carrier.open(Way::Ssh(pipe), site).await.map_err(unopened)?;
        Ok((session, Some(client)))
    }

    /// What is stored of an object to be sent, in clear.
    async fn stored_secret(&self, object: ObjectId, field: &str) -> Result<Secret<String>, String> {
        let row = self.engine.db().objects().secret(object, field).await.map_err(|e| e.to_string())?;
        let (uid, sealed) = row.ok_or_else(|| format!("what is stored is gone: set {field} again"))?;
        let aad = format!("object_secret|{uid}|{field}");
        let octets = self.engine.master().open(aad.as_bytes(), &sealed).map_err(|e| e.to_string())?;
        let text = std::str::from_utf8(octets.expose()).map_err(|_| format!("{field} is not text: set it again"))?;
        Ok(Secret::new(text.to_owned()))
    }
}

/// Where a call ended, and why.
type Failed = (Stage, TransferError);

fn refused(text: impl Into<String>) -> Failed {
    (Stage::Settings, TransferError::park(Cause::Invalid, text))
}

fn unopened(error: Unopened) -> Failed {
    match error {
        Unopened::Unfit(error) => (Stage::Settings, error),
        Unopened::Handshake(error) => (Stage::Handshake, error),
        Unopened::Untrusted(error) => (Stage::HostKey, error),
        Unopened::Login(error) => (Stage::Login, error),
        Unopened::Lost(error) => (Stage::Service, error),
    }
}
