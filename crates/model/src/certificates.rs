//! Certificates and revocation lists of a [`Snapshot`].

use std::sync::Arc;

use crate::Snapshot;
use crate::kinds::certificate::CertificateEntry;
use crate::kinds::crl::CrlEntry;

impl Snapshot {
    /// A certificate, whatever its state.
    #[must_use]
    pub fn certificate(&self, name: &str) -> Option<&Arc<CertificateEntry>> {
        self.certificates.get(name)
    }

    /// The certificate whose octets have this SHA-256, whatever its state.
    #[must_use]
    pub fn certificate_by_fingerprint(&self, fingerprint: &[u8; 32]) -> Option<&Arc<CertificateEntry>> {
        self.certificate_fingerprints.get(fingerprint)
    }

    /// Certificates by name.
    pub fn certificates(&self) -> impl Iterator<Item = &Arc<CertificateEntry>> {
        self.certificates.values()
    }

    /// Revocation lists by name.
    pub fn crls(&self) -> impl Iterator<Item = &Arc<CrlEntry>> {
        self.crls.values()
    }

    /// A revocation list, whatever its state.
    #[must_use]
    pub fn crl(&self, name: &str) -> Option<&Arc<CrlEntry>> {
        self.crls.get(name)
    }

    /// Of two objects with one certificate, which is an error, the older one counts.
    pub(crate) fn index_certificates(&mut self) {
        for certificate in self.certificates.values() {
            let known = self.certificate_fingerprints.get(&certificate.fingerprint);
            // Objects that are not stored yet have negative numbers.
            let age = |entry: &CertificateEntry| (entry.id.0 < 0, entry.id.0.unsigned_abs());
            if known.is_none_or(|known| age(certificate) < age(known)) {
                self.certificate_fingerprints.insert(certificate.fingerprint, Arc::clone(certificate));
            }
        }
    }
}
