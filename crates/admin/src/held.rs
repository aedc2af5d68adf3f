//! What a key or a certificate object holds, on its way into the database.

use db::NewCredential;
pub(crate) use engine::certificates::{certificate_credential, note_certificate, weaknesses};
use keys::certificate::Certificate;
use keys::verify::Crl;
use keys::{KeyMaterial, OwnKey, PublicKey, TokenKeyName, check_size};
use model::{Body, Kind, Value};

use crate::{Context, OpError, sealing};

/// Characters of a derived text that are kept.
const TEXT_CHARS_MAX: usize = 512;

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
        let sizes = &context.engine.options().key_sizes;
        match self {
            Self::Key(key) => {
                check_size(key.public(), sizes).map_err(|e| OpError::Refused(e.to_string()))?;
                sealing::credential(context, key, uid)
            }
            Self::TokenKey(key) => {
                check_size(&key.public, sizes).map_err(|e| OpError::Refused(e.to_string()))?;
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
