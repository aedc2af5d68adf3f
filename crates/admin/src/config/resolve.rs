//! From what documents declare to what is wanted: secrets and keys are fetched from where they are named.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use base::{ObjectId, Secret};
use keys::certificate::Certificate;
use keys::{KeyMaterial, PrivateKey, read_certificates, read_key};
use model::{Body, Kind, Object, ObjectState};

use super::read::{Declared, Given};
use super::{Bundle, Declarations, Reference};
use crate::OpError;
use crate::held::Held;

/// Environment variable by which systemd tells where credentials are.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
/// Most octets of a credential.
const CREDENTIAL_OCTETS_MAX: u64 = 64 << 10;

/// An object as it shall be.
pub(crate) struct Wanted {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    /// Where that is said, for messages.
    pub(crate) place: String,
    /// Which stored object it is, if that may have another name.
    pub(crate) id: Option<ObjectId>,
    pub(crate) group: String,
    pub(crate) state: ObjectState,
    pub(crate) body: Body,
    /// By field; a secret that is not here shall not be.
    pub(crate) secrets: BTreeMap<&'static str, SecretWanted>,
    pub(crate) material: Material,
}

impl Wanted {
    /// An object as given, of a kind without secrets and keys.
    pub(crate) fn plain(object: Object, place: &str) -> Self {
        Self {
            kind: object.kind,
            name: object.name,
            place: place.to_owned(),
            id: Some(object.id),
            group: object.group,
            state: object.state,
            body: object.body,
            secrets: BTreeMap::new(),
            material: Material::None,
        }
    }
}

/// What a secret shall be.
pub(crate) enum SecretWanted {
    /// What it is; it must be set.
    Keep,
    /// What it is, set or not.
    Leave,
    /// This.
    Is(Secret<String>),
    /// This, in the form in which it is stored: the hash of a password that is only checked.
    Stored(Secret<Vec<u8>>),
}

/// What a key or certificate shall be.
pub(crate) enum Material {
    /// The object holds nothing, or is left as it is.
    None,
    /// The private key that is there, and if this is said, the one with this public part, or certificate.
    Private(Option<Box<Held>>),
    /// This.
    Is(Box<Held>),
}

/// Fetches what the declarations name.
///
/// # Errors
/// [`OpError::Refused`] with every secret that is not to be had and every key that can't be read.
pub(crate) fn resolve(declared: Declarations, bundle: &Bundle) -> Result<Vec<Wanted>, OpError> {
    let (mut done, mut wrong) = (Vec::new(), Vec::new());
    for object in declared.objects {
        let title = format!("{}: {} {}", object.place, object.kind, object.name);
        match one(object, bundle) {
            Ok(wanted) => done.push(wanted),
            Err(text) => wrong.push(format!("{title}: {text}")),
        }
    }
    if wrong.is_empty() { Ok(done) } else { Err(OpError::Refused(wrong.join("\n"))) }
}

fn one(object: Declared, bundle: &Bundle) -> Result<Wanted, String> {
    let fetch = |given: &Given| match given {
        Given::Set => Ok(None),
        Given::From(reference) => fetched(bundle, object.document, reference).map(Some),
    };
    let mut secrets = BTreeMap::new();
    for (field, given) in &object.secrets {
        let wanted = match fetch(given)? {
            None => SecretWanted::Keep,
            Some(octets) => SecretWanted::Is(first_line(field, &octets)?),
        };
        secrets.insert(*field, wanted);
    }
    let material = match object.kind {
        Kind::Key | Kind::Certificate => {
            let password = object.key_password.as_ref().map(&fetch).transpose()?.flatten();
            let password = password.map(|octets| first_line("key_password", &octets)).transpose()?;
            let private = object.private_key.as_ref().map(&fetch).transpose()?;
            let public = object.public_part.as_deref();
            match object.kind {
                Kind::Certificate => certificate_material(public, private, password.as_ref())?,
                _ => material(public, private, password.as_ref())?,
            }
        }
        _ => Material::None,
    };
    let Declared { kind, name, place, group, state, body, .. } = object;
    Ok(Wanted { kind, name, place, id: None, group, state, body, secrets, material })
}

/// The outer option of `private` is whether it is spoken of, the inner one whether it is given.
fn material(
    public: Option<&str>,
    private: Option<Option<Secret<Vec<u8>>>>,
    password: Option<&Secret<String>>,
) -> Result<Material, String> {
    let stated = match public.map(|text| read_key(text.as_bytes(), None, None)).transpose() {
        Ok(Some(KeyMaterial::Private(_))) => Err("public_key: a private key does not stand in the file".to_owned()),
        Ok(Some(KeyMaterial::Public(key))) => Ok(Some(key)),
        Ok(None) => Ok(None),
        Err(error) => Err(format!("public_key: {error}")),
    }?;
    match (private, stated) {
        (None, None) => Err("it has no key: give public_key or private_key".to_owned()),
        (None, Some(key)) => Ok(Material::Is(Box::new(Held::Key(KeyMaterial::Public(key))))),
        (Some(None), stated) => Ok(Material::Private(stated.map(|key| Box::new(Held::Key(KeyMaterial::Public(key)))))),
        (Some(Some(octets)), stated) => {
            let key = read_key(octets.expose(), None, password).map_err(|e| format!("private_key: {e}"))?;
            match (&key, stated) {
                (KeyMaterial::Public(_), _) => Err("private_key: what was found there is a public key".to_owned()),
                (key, Some(stated)) if *key.public() != stated => {
                    Err("private_key: what was found there does not belong to public_key".to_owned())
                }
                _ => Ok(Material::Is(Box::new(Held::Key(key)))),
            }
        }
    }
}

/// As [`material`], of a certificate.
fn certificate_material(
    text: Option<&str>,
    private: Option<Option<Secret<Vec<u8>>>>,
    password: Option<&Secret<String>>,
) -> Result<Material, String> {
    let text = text.ok_or("it has no certificate: give certificate")?;
    let read = read_certificates(text.as_bytes(), None, None).map_err(|e| format!("certificate: {e}"))?;
    let [found] = read.certificates.as_slice() else {
        return Err(format!("certificate: {} stand there: give one", read.certificates.len()));
    };
    if !read.keys.is_empty() {
        return Err("certificate: a private key does not stand in the file".to_owned());
    }
    let certificate = Certificate::from_der(&found.der).map_err(|e| format!("certificate: {e}"))?;
    match private {
        None => Ok(Material::Is(Box::new(Held::Certificate(certificate, None)))),
        Some(None) => Ok(Material::Private(Some(Box::new(Held::Certificate(certificate, None))))),
        Some(Some(octets)) => {
            let key = read_key(octets.expose(), None, password).map_err(|e| format!("private_key: {e}"))?;
            let key = belonging(&certificate, key).map_err(|text| format!("private_key: {text}"))?;
            Ok(Material::Is(Box::new(Held::Certificate(certificate, Some(key.into())))))
        }
    }
}

/// The private key, if it is the certificate's (CERT-9).
pub(crate) fn belonging(certificate: &Certificate, key: KeyMaterial) -> Result<PrivateKey, String> {
    let KeyMaterial::Private(key) = key else { return Err("what was found there is a public key".to_owned()) };
    let public = certificate.public_key().map_err(|e| format!("the key of the certificate: {e}"))?;
    match key.public() == public {
        true => Ok(key),
        false => Err("the private key does not belong to the certificate".to_owned()),
    }
}

/// What a reference holds: as the command read it, or a credential of this program.
fn fetched(bundle: &Bundle, document: usize, reference: &Reference) -> Result<Secret<Vec<u8>>, String> {
    if let Some(octets) = bundle.secret(document, reference) {
        return Ok(Secret::new(octets.expose().clone()));
    }
    match reference {
        Reference::Credential(name) => credential(name),
        other => Err(format!("{other} was not handed over by the command")),
    }
}

fn credential(name: &str) -> Result<Secret<Vec<u8>>, String> {
    let folder = std::env::var_os(CREDENTIALS).map(PathBuf::from);
    let folder = folder.ok_or_else(|| {
        format!("credential {name} is not there: this program was given none ({CREDENTIALS} is not set)")
    })?;
    let failed = |e: std::io::Error| format!("credential {name}: {e}");
    let mut octets = Vec::new();
    let file = std::fs::File::open(folder.join(name)).map_err(failed)?;
    file.take(CREDENTIAL_OCTETS_MAX).read_to_end(&mut octets).map_err(failed)?;
    Ok(Secret::new(octets))
}

/// A password is the first line of what holds it, as with `-login_password_from_file`.
fn first_line(field: &str, octets: &Secret<Vec<u8>>) -> Result<Secret<String>, String> {
    let text = std::str::from_utf8(octets.expose()).map_err(|_| format!("{field}: what was found is no text"))?;
    Ok(Secret::new(text.lines().next().unwrap_or_default().to_owned()))
}
