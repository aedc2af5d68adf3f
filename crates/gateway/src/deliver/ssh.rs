//! The SSH connection to a partner: profile, key, password, host-key check.

use std::sync::Arc;

use admin::partner::Stage;
use async_trait::async_trait;
use channel::{ClientKey, ClientParams, HostKeyChecker, SshClient, SshError, Target, connect_ssh};
use engine::admit::{OurKey, host_key_is_good};
use engine::{Cause, Engine, TransferError};
use keys::PublicKey;
use model::{RemoteSite, Snapshot, SshProfile, SshRole};

use super::{CONNECT_MAX, Call, CheckerOf, Deliverer, Failed, refused};

impl Deliverer {
    /// Connects and logs in.
    pub(super) async fn ssh_client(
        &self,
        site: &Arc<RemoteSite>,
        target: &Target,
        checker: CheckerOf<'_>,
        call: &mut Call,
    ) -> Result<SshClient, Failed> {
        let params = self.params(site, checker).await.map_err(refused)?;
        let client = connect_ssh(target, params).await.map_err(|error| (stage_of(&error), told(&error)))?;
        call.server = client.banner();
        let agreed = client.negotiated();
        let parts = [agreed.kex, agreed.host_key, agreed.cipher, agreed.mac];
        call.algorithms = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
        Ok(client)
    }

    async fn params(&self, site: &Arc<RemoteSite>, checker: CheckerOf<'_>) -> Result<ClientParams, String> {
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
        let password = if site.has_password && profile.password {
            Some(self.stored_secret(site.id, "login_password").await?)
        } else {
            None
        };
        let login =
            site.login.clone().ok_or_else(|| format!("site {} has no user name: set login_ident", site.name))?;
        let checker = checker(Arc::clone(&profile));
        Ok(ClientParams { profile, login, key, password, checker, connect_timeout: CONNECT_MAX })
    }
}

/// The site's CLIENT profile, else `SFTP_OUT`, else a sentence (SSH-2, SSH-3, SSH-4).
fn client_profile(site: &RemoteSite, snapshot: &Snapshot) -> Result<Arc<SshProfile>, String> {
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

const fn stage_of(error: &SshError) -> Stage {
    match error {
        SshError::Connect { .. } | SshError::Timeout { .. } => Stage::Address,
        SshError::HostKeyRefused { .. } => Stage::HostKey,
        SshError::AuthRefused { .. } => Stage::Login,
        _ => Stage::Handshake,
    }
}

pub(super) fn told(error: &SshError) -> TransferError {
    TransferError::retry(Cause::Connection, error.to_string())
}

/// Judges a partner's host key as a delivery does.
pub(super) fn checker(
    engine: &Arc<Engine>,
    site: &Arc<RemoteSite>,
    profile: Arc<SshProfile>,
) -> Arc<dyn HostKeyChecker> {
    Arc::new(Checker { engine: Arc::clone(engine), site: Arc::clone(site), profile })
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
