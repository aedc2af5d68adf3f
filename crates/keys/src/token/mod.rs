//! Keys in PKCS#11 tokens: smart cards, hardware security modules, SoftHSM. They sign by a handle; their octets never come
//! here. A key is named by its URI (RFC 7512, [`TokenUri`]); the libraries that reach the tokens are those that the
//! operator named, never what a URI says: to load a library is to run it.
//!
//! Everything here waits for the token: seconds at worst, more if its library hangs. Call it on threads that may wait.
//!
//! | for | take |
//! |---|---|
//! | the libraries of an installation | [`Tokens::new`] |
//! | a key that is in a token already | [`Tokens::find`] |
//! | one whose public part is known | [`Tokens::signer`] |
//! | a new key that never leaves its token | [`Tokens::generate`] |
//! | what there is | [`Tokens::list`] |
//! | a small secret that only a token can open again | [`Tokens::wrap`], [`Tokens::unwrap`] |

mod error;
mod find;
mod generate;
mod module;
mod pin;
mod sign;
mod uri;
mod wrap;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::{KeyAlgorithm, PublicKey};
use module::Module;

pub use error::TokenError;
pub use find::FoundKey as TokenKey;
pub use pin::PinSource;
pub use sign::TokenSigner;
pub use uri::{TOKEN_URI_OCTETS_MAX, TokenUri};

/// Most sessions that are held with the tokens of one library.
pub const TOKEN_SESSIONS_MAX: u32 = 64;
/// Most keys of a token that are listed.
pub const TOKEN_KEYS_MAX: usize = 1000;

/// A library that reaches tokens, as the operator named it.
#[derive(Clone, Debug)]
pub struct ModuleSettings {
    /// The name that URIs call it by (`module-name`).
    pub name: String,
    /// Its file.
    pub library: PathBuf,
    /// Where the user's PIN is.
    pub pin: PinSource,
    /// Sessions that may be open at once, 1 to [`TOKEN_SESSIONS_MAX`].
    pub sessions: u32,
}

/// The libraries of an installation. None is loaded before a key of its tokens is asked for.
#[derive(Debug, Default)]
pub struct Tokens {
    modules: BTreeMap<String, Arc<Module>>,
}

impl Tokens {
    /// The libraries by their names.
    ///
    /// # Errors
    /// [`TokenError::Settings`] for a name twice, a library twice, a name that no URI can hold, or a number of sessions
    /// out of its bounds.
    pub fn new(modules: Vec<ModuleSettings>) -> Result<Self, TokenError> {
        let mut all = BTreeMap::<String, Arc<Module>>::new();
        for settings in modules {
            let module = settings.name.clone();
            let refused = |why: String| TokenError::Settings { module: module.clone(), why };
            let usable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            if module.is_empty() || module.len() > MODULE_NAME_MAX || !module.chars().all(usable) {
                return Err(refused(format!("give it a name of 1 to {MODULE_NAME_MAX} letters, digits, '-' or '_'")));
            }
            if !(1..=TOKEN_SESSIONS_MAX).contains(&settings.sessions) {
                return Err(refused(format!("sessions {}: give 1 to {TOKEN_SESSIONS_MAX}", settings.sessions)));
            }
            if let Some(other) = all.values().find(|other| other.settings.library == settings.library) {
                // One library can be begun once only, and each would end the other's sessions.
                let why = format!("library {} is that of {}: name it once", settings.library.display(), other.name());
                return Err(refused(why));
            }
            if all.insert(module.clone(), Arc::new(Module::new(settings))).is_some() {
                return Err(refused("it is named twice".to_owned()));
            }
        }
        Ok(Self { modules: all })
    }

    /// Names of the libraries.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.modules.keys().map(String::as_str)
    }

    /// The key that a URI names, whose public part is known: nothing is asked of the token before the first signature.
    ///
    /// # Errors
    /// [`TokenError::NoModule`].
    pub fn signer(&self, uri: &TokenUri, public: PublicKey) -> Result<TokenSigner, TokenError> {
        Ok(TokenSigner::new(self.module(uri)?, uri.clone(), public))
    }

    /// Finds the key that a URI names, reads its public part, and lets it prove that both belong together.
    ///
    /// # Errors
    /// [`TokenError`] says what to do.
    pub fn find(&self, uri: &TokenUri) -> Result<TokenSigner, TokenError> {
        let module = self.module(uri)?;
        let public = module.with(uri.place(), |session| find::private(session, uri).map(|found| found.public))?;
        let signer = TokenSigner::new(module, uri.clone(), public);
        signer.prove()?;
        Ok(signer)
    }

    /// Makes a key in the token that the URI names, with the label that it names. Its private part can't be read, by
    /// anybody. `bits` is for RSA: 2048, 3072 (default) or 4096.
    ///
    /// # Errors
    /// [`TokenError::Taken`] if there is a key of this label; [`TokenError`] says what to do.
    pub fn generate(
        &self,
        uri: &TokenUri,
        algorithm: KeyAlgorithm,
        bits: Option<u32>,
    ) -> Result<TokenSigner, TokenError> {
        let module = self.module(uri)?;
        let template = generate::Template::new(uri, algorithm, bits)?;
        let made = module.with_writing(uri.place(), |session| generate::generate(session, uri, &template))?;
        self.find(&made)
    }

    /// The private keys of all tokens of a library, and what hinders their use.
    ///
    /// # Errors
    /// [`TokenError`] of the library, or of the first token that does not answer.
    pub fn list(&self, name: &str) -> Result<Vec<TokenKey>, TokenError> {
        let module = self.modules.get(name).ok_or_else(|| self.no_module(name))?;
        let mut all = Vec::new();
        for place in module.places()? {
            all.extend(module.with(&place, |session| find::list(session, module.name(), &place))?);
        }
        Ok(all)
    }

    /// Encrypts a small secret by the AES key that a URI names, bound to `aad`, and makes sure that it opens again.
    ///
    /// # Errors
    /// [`TokenError`] says what to do.
    pub fn wrap(&self, uri: &TokenUri, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, TokenError> {
        self.module(uri)?.with(uri.place(), |session| wrap::wrap(session, uri, aad, plain))
    }

    /// Opens what [`Self::wrap`] made for the same `aad`.
    ///
    /// # Errors
    /// [`TokenError::NotOpened`] if it was changed, or made by another key; [`TokenError`] says what to do.
    pub fn unwrap(
        &self,
        uri: &TokenUri,
        aad: &[u8],
        wrapped: &[u8],
    ) -> Result<zeroize::Zeroizing<Vec<u8>>, TokenError> {
        self.module(uri)?.with(uri.place(), |session| wrap::unwrap(session, uri, aad, wrapped))
    }

    fn module(&self, uri: &TokenUri) -> Result<Arc<Module>, TokenError> {
        self.modules.get(uri.module()).map(Arc::clone).ok_or_else(|| self.no_module(uri.module()))
    }

    fn no_module(&self, name: &str) -> TokenError {
        TokenError::NoModule {
            name: base::octets_text(name.as_bytes()),
            known: self.names().collect::<Vec<_>>().join(", "),
        }
    }
}

/// Longest name of a library.
const MODULE_NAME_MAX: usize = 31;
