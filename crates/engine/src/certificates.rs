//! Certificates of the store: as the engine trusts them, and as they are written down.

use std::sync::{Arc, Mutex};

use db::NewCredential;
use keys::certificate::{Certificate, CertificateState, CertificateType, HashFunction, KeyKind};
use keys::verify::{Crl, StoredCertificate, TrustStore};
use model::{Body, CertificateEntry, Kind, ObjectState, Snapshot, Value};

use crate::Engine;
use crate::sync::lock;

/// Smallest and largest RSA key of a certificate (CERT-29, certificates-and-keys.md 1.4).
const RSA_BITS: (u32, u32) = (2048, 8192);
/// Characters of a derived text that are kept.
const TEXT_CHARS_MAX: usize = 512;
/// Characters of the alternative names that are kept.
const NAMES_CHARS_MAX: usize = 4096;

/// The picture of the store that verification goes by, and the revision of the configuration that it was made of.
pub(crate) type Pictured = Mutex<Option<(i64, Arc<TrustStore>)>>;

impl Engine {
    /// All certificates and revocation lists of the running configuration, as verification wants them. Made once for each
    /// revision; a certificate that stays is not read again.
    #[must_use]
    pub fn trust_store(&self) -> Arc<TrustStore> {
        let snapshot = self.snapshot();
        let mut pictured = lock(&self.pictured);
        let before = match pictured.as_ref() {
            Some((revision, store)) if *revision == snapshot.revision => return Arc::clone(store),
            Some((_, store)) => Some(Arc::clone(store)),
            None => None,
        };
        let store = Arc::new(trust_store(&snapshot, before.as_deref()));
        *pictured = Some((snapshot.revision, Arc::clone(&store)));
        store
    }
}

/// A picture of what `snapshot` holds; what was read for `before` is taken from there.
fn trust_store(snapshot: &Snapshot, before: Option<&TrustStore>) -> TrustStore {
    let read = |entry: &CertificateEntry| {
        let known = before.and_then(|store| store.by_fingerprint(&entry.fingerprint));
        match known {
            Some(known) => Ok(known.certificate.clone()),
            None => Certificate::from_der(&entry.der),
        }
    };
    let stored = |entry: &Arc<CertificateEntry>| match read(entry) {
        Ok(certificate) => Some(StoredCertificate {
            alias: entry.name.clone(),
            certificate,
            state: match entry.state {
                ObjectState::Enabled => CertificateState::Enabled,
                ObjectState::Disabled => CertificateState::Disabled,
                ObjectState::ToCheck => CertificateState::ToCheck,
            },
            kind: entry.kind.parse().unwrap_or(CertificateType::Other),
        }),
        Err(error) => {
            tracing::error!(certificate = %entry.name, %error, "a stored certificate can't be read, so nobody can be trusted by it");
            None
        }
    };
    let lists = snapshot.crls().filter(|list| list.state == ObjectState::Enabled);
    let lists = lists.filter_map(|list| match Crl::from_der(&list.der) {
        Ok(list) => Some(list),
        Err(error) => {
            tracing::error!(crl = %list.name, %error, "a stored revocation list can't be read");
            None
        }
    });
    TrustStore::new(snapshot.certificates().filter_map(stored).collect(), lists.collect())
}

/// A certificate as it is stored.
#[must_use]
pub fn certificate_credential(certificate: &Certificate, private_sealed: Option<Vec<u8>>) -> NewCredential {
    NewCredential {
        class: Kind::Certificate.as_str().to_owned(),
        algorithm: base::brief(&certificate.key_kind().to_string(), 60),
        bits: certificate.key_bits(),
        fingerprint: *certificate.sha256(),
        spki_sha256: certificate.spki_sha256(),
        public_blob: certificate.der().to_vec(),
        private_sealed,
    }
}

/// Notes what a certificate says, and its type unless the body has one (CERT-10, CERT-11, CERT-12).
///
/// # Errors
/// What speaks against taking it.
pub fn note_certificate(body: &mut Body, certificate: &Certificate, private: bool) -> Result<(), String> {
    if !matches!(body.get("allow_weak"), Some(Value::Flag(true))) {
        let weak = weaknesses(certificate);
        if let Some(first) = weak.first() {
            return Err(format!("{first}: ask for another certificate, or take it as it is with -allow_weak"));
        }
    }
    let stated = match body.get("certificate_type") {
        Some(value) => Some(value.to_string().parse::<CertificateType>().map_err(|e| e.to_string())?),
        None => None,
    };
    if stated == Some(CertificateType::User) && !private {
        return Err("a USER certificate is one whose private key is here: give the private key, or another \
                    certificate_type"
            .to_owned());
    }
    let kind = stated.or_else(|| CertificateType::detect(certificate, private)).ok_or(
        "a certificate of version 1 does not say whether it is an authority's: give -certificate_type (-ctft) USER, \
         INTERMEDIATE, ROOT or OTHER",
    )?;
    let names: Vec<String> = certificate.extensions().alt_names.iter().map(ToString::to_string).collect();
    for (name, text, max) in [
        ("certificate_type", kind.to_string(), TEXT_CHARS_MAX),
        ("subject_name", certificate.subject().to_string(), TEXT_CHARS_MAX),
        ("subject_alt_name", names.join(" "), NAMES_CHARS_MAX),
        ("issuer_name", certificate.issuer().to_string(), TEXT_CHARS_MAX),
        ("serial_number", certificate.serial_hex(), TEXT_CHARS_MAX),
        ("valid_from", certificate.not_before().to_string(), TEXT_CHARS_MAX),
        ("valid_until", certificate.not_after().to_string(), TEXT_CHARS_MAX),
        ("key_kind", certificate.key_text(), TEXT_CHARS_MAX),
        ("private_part", if private { "Y" } else { "N" }.to_owned(), TEXT_CHARS_MAX),
    ] {
        let text: String = text.chars().take(max).collect();
        if text.is_empty() {
            body.remove(name);
        } else {
            body.insert(name.to_owned(), Value::Text(text));
        }
    }
    Ok(())
}

/// What in a certificate protects little today (certificates-and-keys.md 1.4, CERT-30). Nobody relies on the signature of
/// one that signs itself.
#[must_use]
pub fn weaknesses(certificate: &Certificate) -> Vec<String> {
    let mut found = Vec::new();
    let is_rsa = matches!(certificate.key_kind(), KeyKind::Rsa | KeyKind::RsaPss);
    let bits = certificate.key_bits();
    if is_rsa && !(RSA_BITS.0..=RSA_BITS.1).contains(&bits) {
        found.push(format!("its RSA key has {bits} bits, and {} to {} are allowed", RSA_BITS.0, RSA_BITS.1));
    }
    if certificate.key_kind() == KeyKind::Dsa {
        found.push("its key is DSA, which nobody uses in certificates today".to_owned());
    }
    let weak = certificate.signature_algorithm().hash();
    let weak = weak.filter(|hash| matches!(hash, HashFunction::Md2 | HashFunction::Md5 | HashFunction::Sha1));
    if let Some(hash) = weak.filter(|_| !certificate.is_self_issued()) {
        found.push(format!("it is signed with {hash}, which can be forged"));
    }
    found
}
