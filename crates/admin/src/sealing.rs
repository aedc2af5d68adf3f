//! Secrets and keys on their way into the database, sealed for the object that they belong to.

use base::{ObjectId, Secret};
use db::NewCredential;
use keys::{KeyMaterial, OwnKey, PasswordHash, PublicKey};
use model::{Body, Field, FieldKind, Value};

use crate::changes::failed;
use crate::{Context, OpError};

/// A secret sealed for a field of the object `uid`: what must be presented as it is, what is only checked as a hash.
pub(crate) async fn secret(
    context: &Context,
    uid: &str,
    field: &Field,
    secret: &Secret<String>,
) -> Result<Vec<u8>, OpError> {
    let plain = match field.kind {
        FieldKind::PasswordHash { .. } => hashed(secret).await?,
        _ => Secret::new(secret.expose().clone().into_bytes()),
    };
    sealed(context, &place_of(uid, field), plain.expose())
}

/// A secret before it is sealed.
pub(crate) enum Clear {
    /// As a person gives it.
    Given(Secret<String>),
    /// As it is stored: the hash of a password that is only checked, else the same.
    Stored(Secret<Vec<u8>>),
}

/// As [`secret`], in either form.
pub(crate) async fn clear(context: &Context, uid: &str, field: &Field, clear: &Clear) -> Result<Vec<u8>, OpError> {
    match clear {
        Clear::Given(given) => secret(context, uid, field, given).await,
        Clear::Stored(octets) => sealed(context, &place_of(uid, field), octets.expose()),
    }
}

/// What is stored in a secret field.
pub(crate) async fn opened(context: &Context, id: ObjectId, field: &Field) -> Result<Option<Secret<Vec<u8>>>, OpError> {
    let stored = context.engine.db().objects().secret(id, field.name).await.map_err(failed)?;
    let Some((uid, sealed)) = stored else { return Ok(None) };
    let opened = context.engine.master().open(place_of(&uid, field).as_bytes(), &sealed);
    opened.map(Some).map_err(|e| OpError::Failed(format!("{}: {e}", field.name)))
}

/// Whether the secret that is stored in a field is this one.
pub(crate) async fn is_same(context: &Context, id: ObjectId, field: &Field, clear: &Clear) -> Result<bool, OpError> {
    let Some(opened) = opened(context, id, field).await? else { return Ok(false) };
    let given = match clear {
        Clear::Stored(octets) => return Ok(base::same_octets(opened.expose(), octets.expose())),
        Clear::Given(given) => given,
    };
    if !matches!(field.kind, FieldKind::PasswordHash { .. }) {
        return Ok(base::same_octets(opened.expose(), given.expose().as_bytes()));
    }
    let given = Secret::new(given.expose().clone());
    let verified = tokio::task::spawn_blocking(move || {
        let text = std::str::from_utf8(opened.expose()).ok()?;
        Some(PasswordHash::parse(text).ok()?.verify(&given))
    });
    // A hash that can't be read is none: it is replaced.
    Ok(verified.await.map_err(|e| OpError::Failed(e.to_string()))?.unwrap_or(false))
}

/// The parts of a key as they are stored, the private one sealed for the object `uid`.
pub(crate) fn credential(context: &Context, material: &KeyMaterial, uid: &str) -> Result<NewCredential, OpError> {
    let private = match material {
        KeyMaterial::Private(key) => Some(key.to_bytes()),
        KeyMaterial::Public(_) => None,
    };
    let private_sealed = private.map(|octets| private_part(context, &octets, uid)).transpose()?;
    Ok(key_credential(material.public(), private_sealed))
}

/// A key as it is stored.
pub(crate) fn key_credential(public: &PublicKey, private_sealed: Option<Vec<u8>>) -> NewCredential {
    NewCredential {
        class: "KEY".to_owned(),
        algorithm: public.algorithm().to_string(),
        bits: public.bits(),
        fingerprint: public.fingerprint().0,
        spki_sha256: public.spki_sha256(),
        public_blob: public.ssh_blob().to_vec(),
        private_sealed,
    }
}

/// A private key in its internal form, sealed for the object `uid`.
pub(crate) fn private_part(context: &Context, octets: &Secret<Vec<u8>>, uid: &str) -> Result<Vec<u8>, OpError> {
    sealed(context, &format!("credential|{uid}"), octets.expose())
}

/// The private key of an object, opened, or its name in a token; `None` if it has none.
pub(crate) async fn private_key(context: &Context, id: ObjectId) -> Result<Option<OwnKey>, OpError> {
    let Some((uid, sealed)) = context.engine.db().credentials().private_sealed(id).await.map_err(failed)? else {
        return Ok(None);
    };
    let opened = context.engine.master().open(format!("credential|{uid}").as_bytes(), &sealed);
    let octets = opened.map_err(|e| OpError::Failed(e.to_string()))?;
    OwnKey::from_bytes(octets.expose()).map(Some).map_err(|e| OpError::Failed(e.to_string()))
}

/// Writes into the body of a key what kind of key it is.
pub(crate) fn note_key(body: &mut Body, public: &PublicKey, private: bool) {
    body.insert("algorithm".to_owned(), Value::Text(public.algorithm().to_string()));
    body.insert("type".to_owned(), Value::Text(type_word(private).to_owned()));
}

/// The documented word for what there is of a key.
pub(crate) const fn type_word(private: bool) -> &'static str {
    if private { "PRIVATE" } else { "PUBLIC" }
}

fn place_of(uid: &str, field: &Field) -> String {
    format!("object_secret|{uid}|{}", field.name)
}

fn sealed(context: &Context, place: &str, plain: &[u8]) -> Result<Vec<u8>, OpError> {
    context.engine.master().seal(place.as_bytes(), plain).map_err(|e| OpError::Failed(e.to_string()))
}

async fn hashed(secret: &Secret<String>) -> Result<Secret<Vec<u8>>, OpError> {
    let given = Secret::new(secret.expose().clone());
    let hash = tokio::task::spawn_blocking(move || PasswordHash::hash(&given)).await;
    let hash = hash.map_err(|e| OpError::Failed(e.to_string()))?.map_err(|e| OpError::Refused(e.to_string()))?;
    Ok(Secret::new(hash.as_str().as_bytes().to_vec()))
}
