//! Why a token did not do what it was asked.

use cryptoki::context::Function;
use cryptoki::error::{Error, RvError};

/// Why a token did not do what it was asked. No text holds a PIN.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The operator's settings.
    #[error("PKCS#11 module {module:?}: {why}")]
    Settings {
        /// Name of the library.
        module: String,
        /// What is wrong and what to do.
        why: String,
    },
    /// A text that names no key.
    #[error("no PKCS#11 URI of a key: {why}; write pkcs11:token=LABEL;object=LABEL?module-name=NAME (RFC 7512)")]
    Uri {
        /// What is wrong.
        why: String,
    },
    /// A library that the operator did not name.
    #[error(
        "no PKCS#11 module {name}: configured are [{known}]; name its library in gatehouse.toml as [pkcs11.{name}] and \
         start anew"
    )]
    NoModule {
        /// The name.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// The library can't be loaded, or must not be.
    #[error("PKCS#11 module {module}: library {path} {why}")]
    Library {
        /// Name of the library.
        module: String,
        /// Its file.
        path: String,
        /// What is wrong and what to do.
        why: String,
    },
    /// The token is not there.
    #[error("PKCS#11 module {module}: no token {wanted}, there are [{present}]: plug it in, or start its service")]
    NoToken {
        /// Name of the library.
        module: String,
        /// What the URI asks for.
        wanted: String,
        /// Labels of the tokens that are there.
        present: String,
    },
    /// More than one token fits.
    #[error("PKCS#11 module {module}: several tokens are {wanted}: add serial=… to the URI")]
    SeveralTokens {
        /// Name of the library.
        module: String,
        /// What the URI asks for.
        wanted: String,
    },
    /// The PIN can't be had, or does not open the token.
    #[error("PKCS#11 module {module}: {why}")]
    Pin {
        /// Name of the library.
        module: String,
        /// What is wrong and what to do.
        why: String,
    },
    /// No key fits.
    #[error("token has no {what} {wanted}: look with secdsp status_token, or pkcs11-tool --list-objects --login")]
    NoKey {
        /// Private key, AES key.
        what: &'static str,
        /// What the URI asks for.
        wanted: String,
    },
    /// More than one key fits.
    #[error("token has several of {what} {wanted}: add id=… to the URI")]
    SeveralKeys {
        /// Private key, AES key.
        what: &'static str,
        /// What the URI asks for.
        wanted: String,
    },
    /// The label is taken.
    #[error("token has a key {wanted} already: use it with secadm import_token_key, or give another label")]
    Taken {
        /// What the URI asks for.
        wanted: String,
    },
    /// The key is there and can't be used.
    #[error("key {wanted} in the token can't be used: {why}")]
    Unusable {
        /// What the URI asks for.
        wanted: String,
        /// What is wrong and what to do.
        why: String,
    },
    /// What was encrypted was changed, or is of another key.
    #[error("key {wanted} in the token does not open it: it was encrypted by another key of this name, or changed")]
    NotOpened {
        /// What the URI asks for.
        wanted: String,
    },
    /// All sessions are in use.
    #[error("PKCS#11 module {module}: no session was free for {seconds} s: raise its sessions, or see why it is slow")]
    Busy {
        /// Name of the library.
        module: String,
        /// How long it was waited.
        seconds: u64,
    },
    /// The library failed.
    #[error("PKCS#11 module {module}: {doing} failed with {code}: {advice}")]
    Failed {
        /// Name of the library.
        module: String,
        /// The function.
        doing: String,
        /// Its answer.
        code: String,
        /// What to do.
        advice: &'static str,
        /// Whether a new session, or a library begun anew, may help.
        lost: bool,
    },
}

impl TokenError {
    /// Whether the token may be back with a new session, or when the library is begun anew.
    pub(super) const fn is_lost(&self) -> bool {
        matches!(self, Self::Failed { lost: true, .. } | Self::NoToken { .. })
    }

    /// What the library answered.
    pub(super) fn of(module: &str, error: &Error) -> Self {
        let (doing, code) = match error {
            Error::Pkcs11(code, function) => (format!("{function:?}"), Some(code)),
            _ => ("a call".to_owned(), None),
        };
        let told = code.map_or_else(|| base::brief(&error.to_string(), 200), |code| format!("{code:?}"));
        let (advice, lost) = code.map_or((SEE_LIBRARY, false), advice);
        Self::Failed { module: module.to_owned(), doing, code: told, advice, lost }
    }
}

/// The answer to one function.
pub(super) fn answered(error: &Error, function: Function, codes: &[RvError]) -> bool {
    let name = |function: &Function| format!("{function:?}");
    matches!(error, Error::Pkcs11(code, of) if name(of) == name(&function) && codes.contains(code))
}

/// What to do about an answer, and whether a new session may help.
const fn advice(code: &RvError) -> (&'static str, bool) {
    match code {
        RvError::DeviceRemoved | RvError::TokenNotPresent | RvError::TokenNotRecognized | RvError::SlotIdInvalid => {
            ("the token is gone: plug it in, or start its service", true)
        }
        RvError::UserNotLoggedIn
        | RvError::SessionClosed
        | RvError::SessionHandleInvalid
        | RvError::KeyHandleInvalid
        | RvError::ObjectHandleInvalid
        | RvError::OperationActive
        | RvError::CryptokiNotInitialized => ("the session with the token was lost: try again", true),
        RvError::DeviceError | RvError::DeviceMemory | RvError::GeneralError | RvError::FunctionFailed => {
            ("the token does not work: look at its own log", true)
        }
        RvError::SessionCount => ("the token takes no more sessions: lower `sessions` of the module", false),
        RvError::KeyFunctionNotPermitted => ("the key may not do this: make one that may", false),
        RvError::MechanismInvalid | RvError::MechanismParamInvalid => {
            ("the token can't do this with its key: take a key of another kind", false)
        }
        RvError::TokenWriteProtected | RvError::SessionReadOnly => ("the token can't be written to", false),
        RvError::CurveNotSupported | RvError::KeySizeRange => ("the token has no keys of this kind or size", false),
        _ => (SEE_LIBRARY, false),
    }
}

const SEE_LIBRARY: &str = "see the documentation of the library";
