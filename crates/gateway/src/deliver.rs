//! How a file goes out: profile, key, host-key check, dial, and the carrier's delivery over one channel.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base::Secret;
use channel::{ClientKey, ClientParams, HostKeyChecker, Pipe, SshClient, SshError, Target, connect_ssh};
use engine::admit::{OurKey, Vault, host_key_is_good};
use engine::queue::{Deliver, JobSource, SessionOutcome};
use engine::watch::StepTimer;
use engine::{Cause, Engine, TransferError};
use keys::PublicKey;
use model::{RemoteSite, Snapshot, SshProfile, SshRole};

/// Longest wait for a partner's server to take the connection.
const CONNECT_MAX: Duration = Duration::from_secs(20);

/// Carries files to partners.
pub(crate) struct Deliverer {
    pub(crate) engine: Arc<Engine>,
    pub(crate) vault: Arc<Vault>,
}

#[async_trait]
impl Deliver for Deliverer {
    async fn session(&self, site: Arc<RemoteSite>, jobs: &mut dyn JobSource) -> SessionOutcome {
        if let Some(place) = &site.folder {
            return engine::handoff::put_all(&site, place, &self.engine.options().data, jobs).await;
        }
        let Some(carrier) = protocols::carrier(&site.protocol) else {
            return SessionOutcome::Unable(refused(format!("protocol {} is not built in", site.protocol)));
        };
        let timer = StepTimer::begin("connect");
        let (path, client, pipe) = match self.connect(&site, &jobs.path_order()).await {
            Ok(connected) => connected,
            Err(outcome) => return outcome,
        };
        timer.done();
        jobs.connected(path);
        let outcome = match carrier.deliver(pipe, &site, jobs).await {
            Ok(_) => SessionOutcome::Ended,
            Err(error) => SessionOutcome::Lost(error),
        };
        client.close().await;
        outcome
    }
}

/// Why a site was not reached.
pub(crate) enum Unreached {
    /// What is configured is not enough to call.
    Unable(String),
    /// The call failed, at this address last.
    Failed(usize, SshError),
}

impl Deliverer {
    /// Connects and opens a channel.
    async fn connect(
        &self,
        site: &Arc<RemoteSite>,
        order: &[usize],
    ) -> Result<(usize, SshClient, Pipe), SessionOutcome> {
        let unable = |text: String| SessionOutcome::Unable(refused(text));
        let profile = client_profile(site, &self.engine.snapshot()).map_err(unable)?;
        let checker = Arc::new(Checker { engine: Arc::clone(&self.engine), site: Arc::clone(site), profile });
        let (path, client) = self.reach(site, order, checker).await.map_err(|failed| match failed {
            Unreached::Unable(text) => unable(text),
            Unreached::Failed(path, error) => outcome_of(path, &error),
        })?;
        match client.open_sftp().await {
            Ok(pipe) => Ok((path, client, pipe)),
            Err(error) => Err(outcome_of(path, &error)),
        }
    }

    /// Tries the site's addresses in the given order; only an address that does not answer leads to the next (OBJ-5).
    pub(crate) async fn reach(
        &self,
        site: &Arc<RemoteSite>,
        order: &[usize],
        checker: Arc<dyn HostKeyChecker>,
    ) -> Result<(usize, SshClient), Unreached> {
        let mut failed = Unreached::Unable(format!("site {} has no address: set dest_address", site.name));
        for path in order {
            let Some(address) = site.addresses.get(*path) else { continue };
            let params = self.params(site, Arc::clone(&checker)).await.map_err(Unreached::Unable)?;
            let target = Target { host: address.host.clone(), port: address.port };
            match connect_ssh(&target, params).await {
                Ok(client) => return Ok((*path, client)),
                Err(error @ (SshError::Connect { .. } | SshError::Timeout { .. })) => {
                    failed = Unreached::Failed(*path, error);
                }
                Err(error) => return Err(Unreached::Failed(*path, error)),
            }
        }
        Err(failed)
    }

    async fn params(&self, site: &Arc<RemoteSite>, checker: Arc<dyn HostKeyChecker>) -> Result<ClientParams, String> {
        let snapshot = self.engine.snapshot();
        let profile = client_profile(site, &snapshot)?;
        let key = match site.private_key.as_ref().or(profile.private_keys.first()) {
            Some(alias) if profile.public_key => {
                let key = self.vault.key(&self.engine, &snapshot, alias.as_str()).await.map_err(|e| e.to_string())?;
                Some(match key {
                    OurKey::Software(key) => ClientKey::Software(key),
                    in_token @ OurKey::Token(_) => ClientKey::Signer(in_token.signer()),
                })
            }
            _ => None,
        };
        let password = if site.has_password && profile.password { Some(self.password(site).await?) } else { None };
        let login =
            site.login.clone().ok_or_else(|| format!("site {} has no user name: set login_ident", site.name))?;
        Ok(ClientParams { profile, login, key, password, checker, connect_timeout: CONNECT_MAX })
    }

    async fn password(&self, site: &RemoteSite) -> Result<Secret<String>, String> {
        let row = self.engine.db().objects().secret(site.id, "login_password").await.map_err(|e| e.to_string())?;
        let (uid, sealed) = row.ok_or("the stored password is gone: set login_password again")?;
        let aad = format!("object_secret|{uid}|login_password");
        let octets = self.engine.master().open(aad.as_bytes(), &sealed).map_err(|e| e.to_string())?;
        let text = std::str::from_utf8(octets.expose()).map_err(|_| "the stored password is not text: set it again")?;
        Ok(Secret::new(text.to_owned()))
    }
}

/// The site's CLIENT profile, else `SFTP_OUT`, else a sentence (SSH-2, SSH-3, SSH-4).
pub(crate) fn client_profile(site: &RemoteSite, snapshot: &Snapshot) -> Result<Arc<SshProfile>, String> {
    let name = site.ssh_profile_name();
    let profile = snapshot
        .ssh_profile(name)
        .ok_or_else(|| format!("SSH profile {name} does not exist: create it with secadm create_sshprof"))?;
    match profile {
        p if p.role != SshRole::Client => {
            Err(format!("SSH profile {name} is of type SERVER: give site {} a CLIENT profile", site.name))
        }
        p if !p.enabled => Err(format!("SSH profile {name} is disabled: enable it with secadm update_sshprof")),
        p => Ok(Arc::clone(p)),
    }
}

fn refused(text: String) -> TransferError {
    TransferError::park(Cause::Invalid, text)
}

fn outcome_of(path: usize, error: &SshError) -> SessionOutcome {
    let told = TransferError::retry(Cause::Connection, error.to_string());
    match error {
        SshError::Connect { .. } | SshError::Timeout { .. } => SessionOutcome::ConnectFailed { path, error: told },
        SshError::HostKeyRefused { .. } => SessionOutcome::HostKeyRefused(told),
        SshError::AuthRefused { .. } => SessionOutcome::LoginRefused(told),
        _ => SessionOutcome::Lost(told),
    }
}

struct Checker {
    engine: Arc<Engine>,
    site: Arc<RemoteSite>,
    profile: Arc<SshProfile>,
}

#[async_trait]
impl HostKeyChecker for Checker {
    async fn check(&self, key: &PublicKey) -> bool {
        host_key_is_good(&self.engine, &self.site, &self.profile, key).await
    }
}
