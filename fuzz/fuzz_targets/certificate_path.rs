//! Any certificates that a peer shows: its path is found or refused, in bounded work, never with a panic. The octets are
//! DER objects behind each other: the first is the peer's own, and every other one is stored, the rest are sent.
#![no_main]

use base::UtcMicros;
use keys::certificate::{Certificate, CertificateState, CertificateType};
use keys::verify::{PathPolicy, PathRequest, Purpose, StoredCertificate, TrustStore, find_path};
use libfuzzer_sys::fuzz_target;

/// 2026, when most of the seeds are valid.
const NOW: UtcMicros = UtcMicros(1_790_000_000_000_000);

/// Takes a DER object with a long length off the front.
fn object<'a>(octets: &mut &'a [u8]) -> Option<&'a [u8]> {
    let [0x30, 0x82, high, low, ..] = **octets else { return None };
    let (taken, rest) = octets.split_at_checked(4 + usize::from(u16::from_be_bytes([high, low])))?;
    *octets = rest;
    Some(taken)
}

fuzz_target!(|octets: &[u8]| {
    let mut left = octets;
    let objects = std::iter::from_fn(|| object(&mut left)).take(20);
    let mut all = objects.filter_map(|der| Certificate::from_der(der).ok());
    let Some(own) = all.next() else { return };
    let (mut stored, mut sent) = (Vec::new(), Vec::new());
    for (at, certificate) in all.enumerate() {
        if at % 2 == 0 {
            let kind = if certificate.is_self_issued() { CertificateType::Root } else { CertificateType::Intermediate };
            let (alias, state) = (format!("C{at}"), CertificateState::Enabled);
            stored.push(StoredCertificate { alias, certificate, state, kind });
        } else {
            sent.push(certificate);
        }
    }
    let store = TrustStore::new(stored, Vec::new());
    for purpose in [Purpose::TlsServer, Purpose::Any] {
        let policy = PathPolicy::new(purpose);
        let request = PathRequest { end_entity: &own, sent: &sent, store: &store, at: NOW, policy: &policy };
        if let Err(report) = find_path(&request) {
            drop(report.to_string());
        }
    }
});
