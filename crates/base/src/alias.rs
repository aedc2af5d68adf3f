//! The name of a configured object.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Most characters an [`Alias`] may have.
pub const ALIAS_LEN_MAX: usize = 31;

/// Name of a key, certificate, profile, site or gate: 1 to 31 of `A-Z a-z 0-9 . _ -`. To hold one is proof that it is
/// valid. Names keep their case; two that differ only by case are refused where objects are stored.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Alias(String);

/// Why a text is no [`Alias`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AliasError {
    /// Empty or too long.
    #[error("name has {len} characters: give it 1 to {ALIAS_LEN_MAX}")]
    Length {
        /// Characters found.
        len: usize,
    },
    /// A character outside the set.
    #[error("name has {bad:?}: use letters, digits, '.', '_' or '-'")]
    Character {
        /// The first such character.
        bad: char,
    },
}

impl Alias {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Alias {
    type Error = AliasError;
    fn try_from(text: String) -> Result<Self, AliasError> {
        match (text.len(), text.chars().find(|c| !is_alias_char(*c))) {
            (_, Some(bad)) => Err(AliasError::Character { bad }),
            (1..=ALIAS_LEN_MAX, None) => Ok(Self(text)),
            (len, None) => Err(AliasError::Length { len }),
        }
    }
}

impl TryFrom<&str> for Alias {
    type Error = AliasError;
    fn try_from(text: &str) -> Result<Self, AliasError> {
        Self::try_from(text.to_owned())
    }
}

impl From<Alias> for String {
    fn from(alias: Alias) -> Self {
        alias.0
    }
}

impl fmt::Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Alias {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

fn is_alias_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alias_accepts_and_refuses() {
        for (text, expected) in [
            ("k".repeat(31), None),
            ("k".repeat(32), Some(AliasError::Length { len: 32 })),
            (String::new(), Some(AliasError::Length { len: 0 })),
            ("clé".to_owned(), Some(AliasError::Character { bad: 'é' })),
            ("../etc".to_owned(), Some(AliasError::Character { bad: '/' })),
        ] {
            assert_eq!(Alias::try_from(text.clone()).err(), expected, "alias {text:?}");
        }
    }
}
