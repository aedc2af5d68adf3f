//! The gateway's own private keys, opened when they are first needed, or found in their tokens.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use base::{Alias, ObjectId};
use keys::token::TokenSigner;
use keys::verify::{OwnChain, PathMode};
use keys::{OwnKey, PrivateKey, Signer};
use model::{ObjectState, Snapshot};

use crate::Engine;

/// Opened keys, by object and revision of the key's public part. Keys cannot change after import (KEY-8), so an entry
/// stays right until its object is deleted.
#[derive(Default)]
pub struct Vault {
    opened: Mutex<HashMap<ObjectId, OurKey>>,
}

/// A private key of ours that is ready.
#[derive(Clone, Debug)]
pub enum OurKey {
    /// In memory.
    Software(Arc<PrivateKey>),
    /// In a token: each signature asks it.
    Token(Arc<TokenSigner>),
}

impl OurKey {
    /// What signs by it. Where [`Signer::may_wait`] says so, not on a thread of the network.
    #[must_use]
    pub fn signer(&self) -> Arc<dyn Signer> {
        match self {
            Self::Software(key) => Arc::<PrivateKey>::clone(key),
            Self::Token(key) => Arc::<TokenSigner>::clone(key),
        }
    }
}

/// Why a private key cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the texts say it")]
pub enum VaultError {
    #[error("key {0} is not in the store: import it or make it with secadm create_key")]
    Missing(String),
    #[error("key {0} has no private part: import the private key")]
    PublicOnly(String),
    #[error("key {alias} is {state}: enable it with secadm update_key")]
    NotEnabled { alias: String, state: &'static str },
    #[error("key {alias} cannot be opened: {cause}")]
    Sealed { alias: String, cause: String },
    #[error("certificate {0} is not in the store: import it or make it with secadm create_cert")]
    NoCertificate(String),
    #[error("certificate {0} has no private key here, so it can't be shown: import it with its key")]
    NoPrivateKey(String),
    #[error(
        "key {alias} is in a token, and the SSH library makes host signatures with keys in memory only: name another key \
         in the profile"
    )]
    InToken { alias: String },
}

impl Vault {
    /// The enabled private keys among `aliases`, in order, which must be in memory.
    ///
    /// # Errors
    /// The first key that cannot be used (SSH-9).
    pub async fn keys(
        &self,
        engine: &Engine,
        s: &Snapshot,
        aliases: &[Alias],
    ) -> Result<Vec<Arc<PrivateKey>>, VaultError> {
        let mut all = Vec::with_capacity(aliases.len());
        for alias in aliases {
            match self.key(engine, s, alias.as_str()).await? {
                OurKey::Software(key) => all.push(key),
                OurKey::Token(_) => return Err(VaultError::InToken { alias: alias.to_string() }),
            }
        }
        Ok(all)
    }

    /// The enabled private key `alias`.
    ///
    /// # Errors
    /// [`VaultError`] says what to do.
    pub async fn key(&self, engine: &Engine, snapshot: &Snapshot, alias: &str) -> Result<OurKey, VaultError> {
        let entry = snapshot.key(alias).ok_or_else(|| VaultError::Missing(alias.to_owned()))?;
        if !entry.private {
            return Err(VaultError::PublicOnly(alias.to_owned()));
        }
        if entry.state != ObjectState::Enabled {
            return Err(VaultError::NotEnabled { alias: alias.to_owned(), state: entry.state.shown() });
        }
        self.private(engine, entry.id, alias).await
    }

    /// The certificate `alias` of ours with its chain, whole or not, and its private key.
    ///
    /// # Errors
    /// [`VaultError`] says what to do.
    pub async fn certificate(
        &self,
        engine: &Engine,
        alias: &str,
        mode: PathMode,
    ) -> Result<(OwnChain, OurKey), VaultError> {
        let (snapshot, store) = (engine.snapshot(), engine.trust_store());
        let none = || VaultError::NoCertificate(alias.to_owned());
        let entry = snapshot.certificate(alias).ok_or_else(none)?;
        if !entry.private {
            return Err(VaultError::NoPrivateKey(alias.to_owned()));
        }
        let start = store.by_alias(alias).ok_or_else(none)?;
        let chain = OwnChain::follow(&store, start, mode, engine.clock().now());
        Ok((chain, self.private(engine, entry.id, alias).await?))
    }

    async fn private(&self, engine: &Engine, id: ObjectId, alias: &str) -> Result<OurKey, VaultError> {
        if let Some(key) = self.opened.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(key.clone());
        }
        let sealed = |cause: String| VaultError::Sealed { alias: alias.to_owned(), cause };
        let key = open(engine, id).await.map_err(sealed)?;
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).insert(id, key.clone());
        Ok(key)
    }
}

async fn open(engine: &Engine, id: ObjectId) -> Result<OurKey, String> {
    let row = engine.db().credentials().private_sealed(id).await.map_err(|e| e.to_string())?;
    let (uid, sealed) = row.ok_or("its private part is gone")?;
    let octets = engine.master().open(format!("credential|{uid}").as_bytes(), &sealed).map_err(|e| e.to_string())?;
    match OwnKey::from_bytes(octets.expose()).map_err(|e| e.to_string())? {
        OwnKey::Software(key) => Ok(OurKey::Software(Arc::new(key))),
        OwnKey::Token(name) => {
            let signer = engine.options().keeper.tokens().signer(&name.uri, name.public);
            signer.map(|signer| OurKey::Token(Arc::new(signer))).map_err(|e| e.to_string())
        }
    }
}
