//! What goes along while a protected file is opened: the password, the work that is left, what is to be told.

use base::Secret;

use crate::KeyError;
use crate::limits::{DERIVATION_STEPS_MAX, KEY_PASSWORD_OCTETS_MAX};

/// Something about a file that a person should know (CERT-15).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Weakness(String);

impl std::fmt::Display for Weakness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A file being opened. Whatever its parts ask for, the work of all of them together is bounded.
pub(crate) struct Opening<'a> {
    password: Option<&'a str>,
    steps_left: u64,
    weaknesses: Vec<Weakness>,
}

impl<'a> Opening<'a> {
    pub(crate) fn new(password: Option<&'a Secret<String>>) -> Self {
        let password = password.map(|secret| secret.expose().as_str());
        Self { password, steps_left: DERIVATION_STEPS_MAX, weaknesses: Vec::new() }
    }

    /// The password; an error if there is none.
    pub(crate) fn password(&self) -> Result<&'a str, KeyError> {
        self.password_if_any()?.ok_or(KeyError::PasswordNeeded)
    }

    /// The password, if there is one.
    pub(crate) fn password_if_any(&self) -> Result<Option<&'a str>, KeyError> {
        match self.password {
            Some(text) if text.len() > KEY_PASSWORD_OCTETS_MAX => Err(KeyError::PasswordLong { len: text.len() }),
            other => Ok(other),
        }
    }

    /// Takes the empty password where none was given, since it is the right one.
    pub(crate) fn take_empty(&mut self) {
        self.password.get_or_insert("");
    }

    /// Takes steps of key derivation from what is left.
    pub(crate) fn spend(&mut self, what: &'static str, steps: u64) -> Result<(), KeyError> {
        match self.steps_left.checked_sub(steps) {
            Some(left) => {
                self.steps_left = left;
                Ok(())
            }
            None => Err(KeyError::Derivation { what, steps }),
        }
    }

    /// Notes that `what` protects little.
    pub(crate) fn weak(&mut self, what: &str) {
        let weakness = Weakness(format!("{what} protects little today: it was read, but is never written"));
        if !self.weaknesses.contains(&weakness) {
            self.weaknesses.push(weakness);
        }
    }

    /// What was noted.
    pub(crate) fn into_weaknesses(self) -> Vec<Weakness> {
        self.weaknesses
    }
}
