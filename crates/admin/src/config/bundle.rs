//! Text files that declare objects, and the secrets they name, as a command hands them over.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base::Secret;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Most octets of one file that declares objects.
pub const DOCUMENT_OCTETS_MAX: usize = 4 << 20;
/// Most octets of all of them.
const ALL_OCTETS_MAX: usize = 16 << 20;
/// Most files that declare objects.
pub const DOCUMENTS_MAX: usize = 1000;
/// Most secrets that they name.
const SECRETS_MAX: usize = 10_000;
/// Most octets of a secret: a private key of any size fits.
const SECRET_OCTETS_MAX: usize = 64 << 10;

/// A file that declares objects.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Document {
    /// Its name, for messages.
    pub name: String,
    /// What it holds.
    pub text: String,
}

/// Where a secret is to be found.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reference {
    /// A file, beside the document that names it. The command reads it.
    File(String),
    /// A variable of the command's environment.
    Env(String),
    /// A credential that systemd handed to the program that carries the operation out, or to the command.
    Credential(String),
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {path:?}"),
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::Credential(name) => write!(f, "credential {name}"),
        }
    }
}

/// Documents, and the secrets that the command could read, by the document that names them.
#[derive(Default)]
pub struct Bundle {
    documents: Vec<Document>,
    secrets: BTreeMap<(usize, Reference), Secret<Vec<u8>>>,
}

/// What is too much for a bundle.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum BundleError {
    #[error("{name} has {len} octets: at most {DOCUMENT_OCTETS_MAX} in a file and {ALL_OCTETS_MAX} in all")]
    Octets { name: String, len: usize },
    #[error("more than {DOCUMENTS_MAX} files, or {SECRETS_MAX} secrets: apply them in parts")]
    Many,
    #[error("{0} has more than {SECRET_OCTETS_MAX} octets: that is no password and no key")]
    Secret(String),
}

impl Bundle {
    /// Documents in order, each within its bounds.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn new(documents: Vec<Document>) -> Result<Self, BundleError> {
        let mut all = 0_usize;
        for document in &documents {
            let len = document.text.len();
            all = all.saturating_add(len);
            if len > DOCUMENT_OCTETS_MAX || all > ALL_OCTETS_MAX {
                return Err(BundleError::Octets { name: document.name.clone(), len });
            }
        }
        if documents.len() > DOCUMENTS_MAX {
            return Err(BundleError::Many);
        }
        Ok(Self { documents, secrets: BTreeMap::new() })
    }

    /// Adds a secret that the document with this number names.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn add(&mut self, document: usize, reference: Reference, octets: Vec<u8>) -> Result<(), BundleError> {
        if octets.len() > SECRET_OCTETS_MAX {
            return Err(BundleError::Secret(reference.to_string()));
        }
        if self.secrets.len() >= SECRETS_MAX {
            return Err(BundleError::Many);
        }
        self.secrets.insert((document, reference), Secret::new(octets));
        Ok(())
    }

    /// The documents.
    #[must_use]
    pub fn documents(&self) -> &[Document] {
        &self.documents
    }

    /// What a document's reference holds, if the command could read it.
    pub(crate) fn secret(&self, document: usize, reference: &Reference) -> Option<&Secret<Vec<u8>>> {
        self.secrets.get(&(document, reference.clone()))
    }

    /// Names of the documents, for the audit.
    pub(crate) fn title(&self) -> String {
        self.documents.iter().map(|d| d.name.as_str()).collect::<Vec<_>>().join(" ")
    }
}

/// The secrets that documents name, with the number of the document. Nothing, if they can't be read: the operation tells
/// what is wrong.
#[must_use]
pub fn references(documents: &[Document]) -> BTreeSet<(usize, Reference)> {
    super::read(documents).map(|all| all.references()).unwrap_or_default()
}

/// A bundle on its way over the administration socket.
#[derive(Deserialize, Serialize)]
pub(crate) struct WireBundle {
    documents: Vec<Document>,
    secrets: Vec<(usize, Reference, Zeroizing<Vec<u8>>)>,
}

impl From<&Bundle> for WireBundle {
    fn from(bundle: &Bundle) -> Self {
        let secret = |((document, reference), octets): (&(usize, Reference), &Secret<Vec<u8>>)| {
            (*document, reference.clone(), Zeroizing::new(octets.expose().clone()))
        };
        Self { documents: bundle.documents.clone(), secrets: bundle.secrets.iter().map(secret).collect() }
    }
}

impl WireBundle {
    /// The bundle, checked against its bounds.
    pub(crate) fn into_bundle(self) -> Result<Bundle, BundleError> {
        let mut bundle = Bundle::new(self.documents)?;
        for (document, reference, octets) in self.secrets {
            bundle.add(document, reference, octets.to_vec())?;
        }
        Ok(bundle)
    }

    /// As [`Bundle::title`].
    pub(crate) fn title(&self) -> String {
        self.documents.iter().map(|d| d.name.as_str()).collect::<Vec<_>>().join(" ")
    }
}
