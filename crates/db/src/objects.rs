//! Configured objects: each change with its history, references, notice and audit in one transaction (OBJ-35).

use base::{ObjectId, UtcMicros};
use model::{Body, Kind, Object, ObjectState};

use crate::{Actor, Db, DbError, Referrer};

/// An object to be created. The caller has checked the body.
#[derive(Clone, Debug)]
pub struct NewObject {
    /// Random hex chosen by the caller, kept for life: sealed parts are bound to it, since the number is not known
    /// before. AAD of a secret: `object_secret|{uid}|{field}`; of a private key: `credential|{uid}`.
    pub uid: String,
    /// Kind.
    pub kind: Kind,
    /// Name, unique in its kind whatever its case.
    pub name: String,
    /// Group.
    pub group: String,
    /// State.
    pub state: ObjectState,
    /// Values; never a secret.
    pub body: Body,
    /// Sealed secrets by field.
    pub secrets: Vec<(String, Vec<u8>)>,
    /// What it refers to: field, kind, name. Each must exist. A list field stands here several times.
    pub references: Vec<(String, Kind, String)>,
    /// The key or certificate that it is.
    pub credential: Option<NewCredential>,
}

/// An update: everything but `secrets` is the whole new value.
#[derive(Clone, Debug)]
pub struct Change {
    /// Kind.
    pub kind: Kind,
    /// Its present name.
    pub name: String,
    /// Its new name; referrers follow.
    pub new_name: Option<String>,
    /// Group.
    pub group: String,
    /// State.
    pub state: ObjectState,
    /// Body.
    pub body: Body,
    /// Secrets to set (`Some`) or remove (`None`); others stay.
    pub secrets: Vec<(String, Option<Vec<u8>>)>,
    /// All its references.
    pub references: Vec<(String, Kind, String)>,
    /// Refuse unless the object is at this revision.
    pub expected_revision: Option<i64>,
}

/// Public parts of a key, and the private one sealed.
#[derive(Clone, Debug)]
pub struct NewCredential {
    /// `KEY` or `CERT`.
    pub class: String,
    /// As `ED25519`.
    pub algorithm: String,
    /// Size in bits.
    pub bits: u32,
    /// SHA-256 of the SSH form.
    pub fingerprint: [u8; 32],
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub spki_sha256: [u8; 32],
    /// SSH form of a key, DER of a certificate.
    pub public_blob: Vec<u8>,
    /// Sealed private key.
    pub private_sealed: Option<Vec<u8>>,
}

/// A revision of an object as it was.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryRow {
    /// Object.
    pub id: ObjectId,
    /// Revision, from 1; a deletion has one of its own.
    pub revision: i64,
    /// When.
    pub at: UtcMicros,
    /// Who.
    pub actor: String,
    /// `CREATE`, `UPDATE`, `DELETE`.
    pub op: String,
    /// Name then.
    pub name: String,
    /// Group then.
    pub group: String,
    /// State then.
    pub state: ObjectState,
    /// Values then.
    pub body: Body,
}

/// Objects of a [`Db`].
#[derive(Clone, Copy, Debug)]
pub struct Objects<'a>(pub(crate) &'a Db);

impl Objects<'_> {
    /// All objects in order of kind and name, and the revision of the whole configuration, read at one moment.
    ///
    /// # Errors
    /// If the database fails or holds what is no object.
    pub async fn load_all(&self) -> Result<(Vec<Object>, i64), DbError> {
        todo!()
    }
    /// The revision of the whole configuration: it rises with every change of any object.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn revision(&self) -> Result<i64, DbError> {
        todo!()
    }
    /// One object.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find(&self, kind: Kind, name: &str) -> Result<Option<Object>, DbError> {
        todo!()
    }
    /// The uid of an object, to seal a secret for it.
    ///
    /// # Errors
    /// [`DbError::NotFound`].
    pub async fn uid(&self, kind: Kind, name: &str) -> Result<String, DbError> {
        todo!()
    }
    /// Stores an object.
    ///
    /// # Errors
    /// [`DbError::Exists`], [`DbError::CaseClash`], [`DbError::MissingReference`], or if the database fails.
    pub async fn create(&self, new: NewObject, actor: &Actor) -> Result<Object, DbError> {
        todo!()
    }
    /// Changes an object; a new name is followed by all who refer to it (KEY-7).
    ///
    /// # Errors
    /// [`DbError::NotFound`], [`DbError::Stale`], those of [`Self::create`], or if the database fails.
    pub async fn update(&self, change: Change, actor: &Actor) -> Result<Object, DbError> {
        todo!()
    }
    /// Deletes an object. With `force` the fields that name it are emptied in the same transaction. Returns those that
    /// were emptied.
    ///
    /// # Errors
    /// [`DbError::NotFound`], [`DbError::Referenced`], or if the database fails.
    pub async fn delete(&self, kind: Kind, name: &str, force: bool, actor: &Actor) -> Result<Vec<Referrer>, DbError> {
        todo!()
    }
    /// Who refers to an object.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn referrers(&self, kind: Kind, name: &str) -> Result<Vec<Referrer>, DbError> {
        todo!()
    }
    /// Every revision that an object of this name had, oldest first; also of deleted ones.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn history(&self, kind: Kind, name: &str) -> Result<Vec<HistoryRow>, DbError> {
        todo!()
    }
    /// The sealed secret of a field, and the uid that it is bound to.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn secret(&self, id: ObjectId, field: &str) -> Result<Option<(String, Vec<u8>)>, DbError> {
        todo!()
    }
}

/// The public part of a stored key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CredentialRow {
    /// Its object.
    pub object_id: ObjectId,
    /// `KEY` or `CERT`.
    pub class: String,
    /// As `ED25519`.
    pub algorithm: String,
    /// Size in bits.
    pub bits: u32,
    /// SHA-256 of the SSH form.
    pub fingerprint: [u8; 32],
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub spki_sha256: [u8; 32],
    /// SSH form of a key.
    pub public_blob: Vec<u8>,
    /// Whether the private part is there.
    pub private: bool,
}

/// Keys of a [`Db`].
#[derive(Clone, Copy, Debug)]
pub struct Credentials<'a>(pub(crate) &'a Db);

impl Credentials<'_> {
    /// All of them.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn load_all(&self) -> Result<Vec<CredentialRow>, DbError> {
        todo!()
    }
    /// The sealed private key and the uid that it is bound to (AAD `credential|{uid}`).
    ///
    /// # Errors
    /// If the database fails.
    pub async fn private_sealed(&self, id: ObjectId) -> Result<Option<(String, Vec<u8>)>, DbError> {
        todo!()
    }
    /// Objects whose key has this fingerprint.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn by_fingerprint(&self, fingerprint: &[u8; 32]) -> Result<Vec<ObjectId>, DbError> {
        todo!()
    }
}
