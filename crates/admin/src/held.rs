//! What a key or a certificate object holds, on its way into the database.

use db::NewCredential;
use keys::certificate::{Certificate, CertificateType, HashFunction, KeyKind};
use keys::verify::Crl;
use keys::{KeyMaterial, OwnKey, PublicKey, SizeLimits, TokenKeyName, check_size};
use model::{Body, Kind, Value};

use crate::{Context, OpError, sealing};

/// Smallest and largest RSA key of a certificate (CERT-29, certificates-and-keys.md 1.4).
const RSA_BITS: (u32, u32) = (2048, 8192);
/// Characters of a derived text that are kept.
const TEXT_CHARS_MAX: usize = 512;
/// Characters of the alternative names that are kept.
const NAMES_CHARS_MAX: usize = 4096;

/// Class of a stored certificate.
pub(crate) const CERTIFICATE_CLASS: &str = "CERTIFICATE";

/// A key, or a certificate with its private key if that is ours.
pub(crate) enum Held {
    Key(KeyMaterial),
    TokenKey(TokenKeyName),
    Certificate(Certificate, Option<OwnKey>),
    Crl(Crl),
}

impl Held {
    /// What is stored for an object of `kind`, without its private part; `None` for one that holds nothing.
    pub(crate) fn stored(kind: Kind, public: &[u8]) -> Result<Option<Self>, String> {
        match kind {
            Kind::Key => {
                let key = PublicKey::from_ssh_blob(public).map_err(|e| e.to_string())?;
                Ok(Some(Self::Key(KeyMaterial::Public(key))))
            }
            Kind::Certificate => {
                let certificate = Certificate::from_der(public).map_err(|e| e.to_string())?;
                Ok(Some(Self::Certificate(certificate, None)))
            }
            _ => Ok(None),
        }
    }

    /// Whether the private part is there.
    pub(crate) const fn is_private(&self) -> bool {
        matches!(self, Self::Key(KeyMaterial::Private(_)) | Self::TokenKey(_) | Self::Certificate(_, Some(_)))
    }

    /// What it is known by: SHA-256 of a key in SSH form, of a certificate's octets.
    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        match self {
            Self::Key(key) => key.public().fingerprint().0,
            Self::TokenKey(key) => key.public.fingerprint().0,
            Self::Certificate(certificate, _) => *certificate.sha256(),
            Self::Crl(list) => keys::sha256(list.der()),
        }
    }

    /// How a document writes the public part, and under what name.
    pub(crate) fn written(&self) -> (&'static str, String) {
        match self {
            Self::Key(key) => ("public_key", key.public().openssh_line("")),
            Self::TokenKey(key) => ("public_key", key.public.openssh_line("")),
            Self::Certificate(certificate, _) => ("certificate", keys::pem("CERTIFICATE", certificate.der())),
            Self::Crl(list) => ("crl", keys::pem("X509 CRL", list.der())),
        }
    }

    /// The parts as they are stored, the private one sealed for the object `uid`.
    pub(crate) fn credential(&self, context: &Context, uid: &str) -> Result<NewCredential, OpError> {
        match self {
            Self::Key(key) => {
                check_size(key.public(), &SizeLimits::default()).map_err(|e| OpError::Refused(e.to_string()))?;
                sealing::credential(context, key, uid)
            }
            Self::TokenKey(key) => {
                check_size(&key.public, &SizeLimits::default()).map_err(|e| OpError::Refused(e.to_string()))?;
                let octets = OwnKey::Token(key.clone()).to_bytes();
                Ok(sealing::key_credential(&key.public, Some(sealing::private_part(context, &octets, uid)?)))
            }
            Self::Certificate(certificate, key) => {
                let private = key.as_ref().map(OwnKey::to_bytes);
                let private_sealed = private.map(|octets| sealing::private_part(context, &octets, uid)).transpose()?;
                Ok(certificate_credential(certificate, private_sealed))
            }
            Self::Crl(list) => Ok(NewCredential {
                class: "CRL".to_owned(),
                algorithm: String::new(),
                bits: 0,
                fingerprint: self.fingerprint(),
                spki_sha256: [0; 32],
                public_blob: list.der().to_vec(),
                private_sealed: None,
            }),
        }
    }

    /// Writes into the body what the gateway finds out by itself, and refuses what the body may not say of it.
    pub(crate) fn note(&self, body: &mut Body) -> Result<(), String> {
        match self {
            Self::Key(key) => {
                sealing::note_key(body, key.public(), key.is_private());
                Ok(())
            }
            Self::TokenKey(key) => {
                sealing::note_key(body, &key.public, true);
                Ok(())
            }
            Self::Certificate(certificate, key) => note_certificate(body, certificate, key.is_some()),
            Self::Crl(list) => {
                note_list(body, list);
                Ok(())
            }
        }
    }
}

/// A certificate as it is stored.
pub(crate) fn certificate_credential(certificate: &Certificate, private_sealed: Option<Vec<u8>>) -> NewCredential {
    NewCredential {
        class: CERTIFICATE_CLASS.to_owned(),
        algorithm: base::brief(&certificate.key_kind().to_string(), 60),
        bits: certificate.key_bits(),
        fingerprint: *certificate.sha256(),
        spki_sha256: certificate.spki_sha256(),
        public_blob: certificate.der().to_vec(),
        private_sealed,
    }
}

/// Notes what a certificate says, and its type unless the body has one (CERT-10, CERT-11, CERT-12).
pub(crate) fn note_certificate(body: &mut Body, certificate: &Certificate, private: bool) -> Result<(), String> {
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

fn note_list(body: &mut Body, list: &Crl) {
    let issuer = list.issuer().to_string().chars().take(TEXT_CHARS_MAX).collect();
    body.insert("issuer_name".to_owned(), Value::Text(issuer));
    body.insert("this_update".to_owned(), Value::Text(list.this_update().to_string()));
    body.insert("revoked".to_owned(), Value::Int(i64::try_from(list.len()).unwrap_or(i64::MAX)));
    for (name, text) in
        [("next_update", list.next_update().map(|at| at.to_string())), ("crl_number", list.number().map(str::to_owned))]
    {
        match text {
            Some(text) => drop(body.insert(name.to_owned(), Value::Text(base::brief(&text, 80)))),
            None => drop(body.remove(name)),
        }
    }
}

/// What in a certificate protects little today (certificates-and-keys.md 1.4, CERT-30). Nobody relies on the signature of
/// one that signs itself.
pub(crate) fn weaknesses(certificate: &Certificate) -> Vec<String> {
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
