//! Calling a server only to see what it is: its version line, what it offers, the host key that it shows.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use keys::PublicKey;
use model::SshProfile;
use russh::client::connect_stream;
use tokio::time::timeout;

use super::client::{Begun, HostKeyChecker};
use super::error::SshError;
use crate::dial::{Target, dial};

/// What a server offers, by names on the wire, safe to show.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Offered {
    /// Key exchange.
    pub kex: Vec<String>,
    /// Host key.
    pub host_key: Vec<String>,
    /// Cipher.
    pub cipher: Vec<String>,
    /// Message authentication.
    pub mac: Vec<String>,
    /// Compression.
    pub compression: Vec<String>,
}

/// What a call showed.
#[derive(Clone, Debug, Default)]
pub struct Probed {
    /// The server's version line, bounded and safe to show.
    pub banner: String,
    /// What it offers, if it came so far.
    pub offered: Option<Offered>,
    /// The key that it proved to hold.
    pub host_key: Option<PublicKey>,
    /// Why there is no host key.
    pub failure: Option<SshError>,
}

/// Calls `target` up to the key exchange with the algorithms of `profile`, and hangs up. Nobody logs in.
///
/// # Errors
/// [`SshError::Connect`] or [`SshError::Timeout`] if nobody answers, [`SshError::Profile`].
pub async fn probe_ssh(target: &Target, profile: &SshProfile, wait: Duration) -> Result<Probed, SshError> {
    let stream = dial(target, wait).await?;
    let glance = Arc::new(Glance::default());
    let Begun { config, shared, handler, tap, cut, .. } = Begun::new(stream, profile, glance.clone())?;
    let exchange = async { connect_stream(config, tap, handler).await.map(drop).map_err(|e| e.into_ssh()) };
    let ended = timeout(wait, exchange).await.unwrap_or(Err(SshError::Timeout { what: "the key exchange" }));
    let host_key = glance.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    let failure = ended.err().map(|e| shared.cause(e)).filter(|_| host_key.is_none());
    drop(cut);
    Ok(Probed { banner: shared.banner(), offered: shared.theirs(), host_key, failure })
}

/// Sees a key and refuses it: the call ends there.
#[derive(Default)]
struct Glance(Mutex<Option<PublicKey>>);

#[async_trait]
impl HostKeyChecker for Glance {
    async fn check(&self, key: &PublicKey) -> bool {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(key.clone());
        false
    }
}
