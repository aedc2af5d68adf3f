//! Logging in as a client (RFC 4252, RFC 8332, RFC 4256 as fall-back for passwords).

use std::sync::Arc;

use base::{Secret, octets_text};
use keys::{Signer, ssh_signature};
use model::SshProfile;
use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::{Algorithm, HashAlg, PrivateKeyWithHashAlg};
use russh::{MethodKind, MethodSet};

use super::client::ClientKey;
use super::client_handler::ClientHandler;
use super::error::SshError;
use super::preferred::{fits, key_algorithms};

/// Rounds of questions that a server may ask with keyboard-interactive.
const ROUNDS_MAX: usize = 4;

/// A way to log in that we have the means for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    Key(Option<HashAlg>),
    Password,
    Keyboard,
}

/// What the server said.
enum Said {
    Yes,
    No(MethodSet, bool),
}

/// One login.
pub(crate) struct Login<'a> {
    pub(crate) handle: &'a mut Handle<ClientHandler>,
    pub(crate) profile: &'a SshProfile,
    pub(crate) name: &'a str,
    pub(crate) key: Option<&'a ClientKey>,
    pub(crate) password: Option<&'a Secret<String>>,
}

impl Login<'_> {
    /// Tries each way once, the key first, as far as the server names its method; after a partial success the next.
    pub(crate) async fn run(mut self) -> Result<(), SshError> {
        let mut ways = self.ways().await?;
        let mut tried: Vec<&str> = Vec::new();
        let mut left: Option<MethodSet> = None;
        while let Some(at) = ways.iter().position(|way| way.is_in(left.as_ref())) {
            let way = ways.remove(at);
            if !tried.contains(&way.name()) {
                tried.push(way.name());
            }
            let said = match way {
                Way::Key(hash) => self.by_key(hash).await?,
                Way::Password => self.by_password().await?,
                Way::Keyboard => self.by_keyboard().await?,
            };
            let Said::No(methods, is_partial) = said else { return Ok(()) };
            if is_partial {
                // This proof was taken: its other forms are not asked for again.
                ways.retain(|other| !other.proves_like(way));
            }
            left = Some(methods);
        }
        let left = left.unwrap_or_else(MethodSet::empty);
        let names: Vec<&str> = left.iter().map(<&str>::from).collect();
        Err(SshError::AuthRefused { tried: tried.join(","), left: octets_text(names.join(",").as_bytes()) })
    }

    async fn ways(&mut self) -> Result<Vec<Way>, SshError> {
        let has = |what: &str| SshError::Profile(format!("it needs {what}, which the site does not have"));
        let (key, password) =
            (self.key.filter(|_| self.profile.public_key), self.password.filter(|_| self.profile.password));
        if self.profile.all_methods && self.profile.public_key && key.is_none() {
            return Err(has("a private key"));
        }
        if self.profile.all_methods && self.profile.password && password.is_none() {
            return Err(has("a password"));
        }
        let mut ways = Vec::new();
        if let Some(key) = key {
            ways.extend(self.hashes(key).await?.into_iter().map(Way::Key));
        }
        if password.is_some() {
            ways.extend([Way::Password, Way::Keyboard]);
        }
        if ways.is_empty() { Err(has("a private key or a password that its methods allow")) } else { Ok(ways) }
    }

    /// Forms of signature for `key`: those of the profile, and of them the first that the server names (RFC 8308).
    async fn hashes(&mut self, key: &ClientKey) -> Result<Vec<Option<HashAlg>>, SshError> {
        let own = public(key)?.algorithm();
        let allowed = key_algorithms(self.profile);
        let mut hashes: Vec<Option<HashAlg>> = allowed.iter().filter(|name| fits(&own, name)).map(hash_of).collect();
        if matches!((key, &own), (ClientKey::Signer(_), Algorithm::Rsa { .. })) {
            // RSA with SHA-1 is made with keys in memory only.
            hashes.retain(Option::is_some);
        }
        if hashes.is_empty() {
            return Err(SshError::Profile(format!("it does not list the algorithm of our key, {own}")));
        }
        if !matches!(own, Algorithm::Rsa { .. }) {
            return Ok(vec![None]);
        }
        match self.handle.best_supported_rsa_hash().await.map_err(SshError::from_library)? {
            // The library tells the best one only; if the profile lacks that, each of the profile's is tried.
            Some(named) if hashes.contains(&named) => Ok(vec![named]),
            Some(_) => Ok(hashes),
            // An old server: SHA-2 first, SHA-1 last, if the profile has it.
            None => {
                hashes.sort_by_key(Option::is_none);
                Ok(hashes)
            }
        }
    }

    async fn by_key(&mut self, hash: Option<HashAlg>) -> Result<Said, SshError> {
        let Some(key) = self.key else { return Ok(Said::No(MethodSet::empty(), false)) };
        let made = match key {
            ClientKey::Software(key) => {
                let key = key.ssh_key().map_err(unusable)?;
                let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
                self.handle.authenticate_publickey(self.name, key).await
            }
            ClientKey::Signer(signer) => {
                let (public, mut asked) = (public(key)?, Asked(Arc::clone(signer)));
                let made = self.handle.authenticate_publickey_with(self.name, public, hash, &mut asked).await;
                match made {
                    Err(Unsigned::Key(text)) => return Err(SshError::Profile(format!("private key: {text}"))),
                    Err(Unsigned::Send) => Err(russh::Error::SendError),
                    Ok(made) => Ok(made),
                }
            }
        };
        said(made, self.handle.is_closed())
    }

    async fn by_password(&mut self) -> Result<Said, SshError> {
        let Some(password) = self.password else { return Ok(Said::No(MethodSet::empty(), false)) };
        let result = self.handle.authenticate_password(self.name, password.expose().as_str()).await;
        said(result, self.handle.is_closed())
    }

    /// Answers every hidden question with the password; other questions can't be answered here.
    async fn by_keyboard(&mut self) -> Result<Said, SshError> {
        let Some(password) = self.password else { return Ok(Said::No(MethodSet::empty(), false)) };
        let start = self.handle.authenticate_keyboard_interactive_start(self.name, None);
        let mut response = start.await.map_err(SshError::from_library)?;
        for _ in 0..ROUNDS_MAX {
            let prompts = match response {
                KeyboardInteractiveAuthResponse::Success => return Ok(Said::Yes),
                KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success } => {
                    return Ok(Said::No(remaining_methods, partial_success));
                }
                KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => prompts,
            };
            let answer = |echo: bool| if echo { String::new() } else { password.expose().clone() };
            let answers = prompts.iter().map(|prompt| answer(prompt.echo)).collect();
            let next = self.handle.authenticate_keyboard_interactive_respond(answers);
            response = next.await.map_err(SshError::from_library)?;
        }
        Err(SshError::Protocol(format!("the server asks more than {ROUNDS_MAX} rounds of questions")))
    }
}

/// A key that is asked to sign, off the threads of the network.
struct Asked(Arc<dyn Signer>);

/// Why it did not.
enum Unsigned {
    Key(String),
    Send,
}

impl From<russh::SendError> for Unsigned {
    fn from(_: russh::SendError) -> Self {
        Self::Send
    }
}

impl russh::Signer for Asked {
    type Error = Unsigned;

    // The library's trait is written so.
    fn auth_sign(
        &mut self,
        _key: &AgentIdentity,
        hash: Option<HashAlg>,
        mut message: Vec<u8>,
    ) -> impl Future<Output = Result<Vec<u8>, Unsigned>> + Send {
        let signer = Arc::clone(&self.0);
        async move {
            let sign = move || {
                let signature = ssh_signature(&*signer, hash == Some(HashAlg::Sha512), &message)?;
                // The library wants the message with the signature behind it, as one string.
                message.extend(u32::try_from(signature.len()).unwrap_or(u32::MAX).to_be_bytes());
                message.extend(signature);
                Ok::<_, keys::SignError>(message)
            };
            let done = tokio::task::spawn_blocking(sign).await;
            done.map_err(|e| Unsigned::Key(e.to_string()))?.map_err(|e| Unsigned::Key(e.to_string()))
        }
    }
}

fn public(key: &ClientKey) -> Result<russh::keys::PublicKey, SshError> {
    russh::keys::PublicKey::from_bytes(key.public().ssh_blob()).map_err(unusable)
}

fn unusable(error: impl std::fmt::Display) -> SshError {
    SshError::Profile(format!("private key: {error}"))
}

impl Way {
    fn is_in(self, left: Option<&MethodSet>) -> bool {
        match left {
            // Before the first answer nothing is known; keyboard-interactive is a fall-back only.
            None => self != Self::Keyboard,
            Some(left) => left.contains(&self.method()),
        }
    }

    const fn method(self) -> MethodKind {
        match self {
            Self::Key(_) => MethodKind::PublicKey,
            Self::Password => MethodKind::Password,
            Self::Keyboard => MethodKind::KeyboardInteractive,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Key(_) => "publickey",
            Self::Password => "password",
            Self::Keyboard => "keyboard-interactive",
        }
    }

    const fn proves_like(self, other: Self) -> bool {
        matches!((self, other), (Self::Key(_), Self::Key(_)))
            || (!matches!(self, Self::Key(_)) && !matches!(other, Self::Key(_)))
    }
}

const fn hash_of(name: &Algorithm) -> Option<HashAlg> {
    match name {
        Algorithm::Rsa { hash } => *hash,
        _ => None,
    }
}

fn said(result: Result<AuthResult, russh::Error>, is_closed: bool) -> Result<Said, SshError> {
    match result.map_err(SshError::from_library)? {
        AuthResult::Success => Ok(Said::Yes),
        AuthResult::Failure { .. } if is_closed => Err(SshError::Closed),
        AuthResult::Failure { remaining_methods, partial_success } => Ok(Said::No(remaining_methods, partial_success)),
    }
}
