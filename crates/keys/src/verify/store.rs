//! The certificates and revocation lists that a verification may look at: a picture of the store, with its indexes.

use std::collections::HashMap;

use super::crl::Crl;
use super::policy::PathMode;
use crate::certificate::{Certificate, CertificateState, CertificateType, Name};

/// A certificate of the store.
#[derive(Clone, Debug)]
pub struct StoredCertificate {
    /// Its local name.
    pub alias: String,
    /// The certificate.
    pub certificate: Certificate,
    /// What a person has said of it.
    pub state: CertificateState,
    /// What part it plays.
    pub kind: CertificateType,
}

impl StoredCertificate {
    /// Whether paths may end in it: a person has enabled it, and it is a root or its own issuer.
    #[must_use]
    pub fn is_anchor(&self) -> bool {
        let is_top = self.kind == CertificateType::Root || self.certificate.is_self_issued();
        self.state.is_enabled() && is_top
    }
}

/// All that is stored, at one moment. Made once for each change of the store; to look up costs the same whatever its size.
#[derive(Debug, Default)]
pub struct TrustStore {
    entries: Vec<StoredCertificate>,
    by_octets: HashMap<[u8; 32], usize>,
    by_alias: HashMap<String, usize>,
    by_subject: HashMap<Name, Vec<usize>>,
    by_key_id: HashMap<Vec<u8>, Vec<usize>>,
    lists: HashMap<Name, Vec<Crl>>,
}

impl TrustStore {
    /// A picture of these. Of two entries with one alias or the same octets the first counts; the store allows neither.
    #[must_use]
    pub fn new(entries: Vec<StoredCertificate>, lists: Vec<Crl>) -> Self {
        let mut store = Self::default();
        for (at, entry) in entries.iter().enumerate() {
            let certificate = &entry.certificate;
            store.by_octets.entry(*certificate.sha256()).or_insert(at);
            store.by_alias.entry(entry.alias.clone()).or_insert(at);
            store.by_subject.entry(certificate.subject().clone()).or_default().push(at);
            if let Some(id) = &certificate.extensions().key_id {
                store.by_key_id.entry(id.clone()).or_default().push(at);
            }
        }
        for list in lists {
            store.lists.entry(list.issuer().clone()).or_default().push(list);
        }
        store.entries = entries;
        store
    }

    /// What else to look at where no issuer of `below` is found by `mode`: the end of a sentence, or nothing.
    #[must_use]
    pub fn hint(&self, below: &Certificate, mode: PathMode) -> &'static str {
        match (mode, &below.extensions().authority_key_id) {
            (PathMode::Rfc4158, None) => {
                "; it has no authority key identifier, so that only the mode legacy can find it"
            }
            (PathMode::Rfc4158, Some(_)) if self.by_subject(below.issuer()).next().is_some() => {
                "; a certificate of that name is stored, but its key identifier is another"
            }
            _ => "",
        }
    }

    /// How many certificates it has.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry of that name.
    #[must_use]
    pub fn by_alias(&self, alias: &str) -> Option<&StoredCertificate> {
        self.by_alias.get(alias).and_then(|at| self.entries.get(*at))
    }

    /// The entry that is this very certificate, octet for octet.
    #[must_use]
    pub fn entry_of(&self, certificate: &Certificate) -> Option<&StoredCertificate> {
        let entry = self.by_octets.get(certificate.sha256()).and_then(|at| self.entries.get(*at))?;
        (entry.certificate == *certificate).then_some(entry)
    }

    /// The entry whose octets have that SHA-256.
    #[must_use]
    pub fn by_fingerprint(&self, sha256: &[u8; 32]) -> Option<&StoredCertificate> {
        self.by_octets.get(sha256).and_then(|at| self.entries.get(*at))
    }

    /// Entries with that subject.
    pub fn by_subject<'a>(&'a self, subject: &Name) -> impl Iterator<Item = &'a StoredCertificate> + use<'a> {
        self.all(self.by_subject.get(subject))
    }

    /// Entries whose key has that identifier.
    pub fn by_key_id<'a>(&'a self, id: &[u8]) -> impl Iterator<Item = &'a StoredCertificate> + use<'a> {
        self.all(self.by_key_id.get(id))
    }

    /// The revocation lists of that issuer.
    pub fn lists_of(&self, issuer: &Name) -> &[Crl] {
        self.lists.get(issuer).map_or(&[], Vec::as_slice)
    }

    fn all<'a>(&'a self, found: Option<&'a Vec<usize>>) -> impl Iterator<Item = &'a StoredCertificate> + use<'a> {
        found.into_iter().flatten().filter_map(|at| self.entries.get(*at))
    }
}
