//! Configured objects: each change with its history, references, notice and audit in one transaction (OBJ-35).

use std::sync::Arc;

use base::{ObjectId, UtcMicros};
use model::{Body, Kind, Object, ObjectState, Value};

use crate::audit_chain::octets;
use crate::object_sets::{self as sets, ChangeSet, ObjectChange};
use crate::object_writes as writes;
use crate::sql::{Columns, args};
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
    /// Another key in the place of the one it is.
    pub credential: Option<NewCredential>,
    /// Refuse unless the object is at this revision.
    pub expected_revision: Option<i64>,
}

/// A deletion.
#[derive(Clone, Debug)]
pub struct Deletion {
    /// Kind.
    pub kind: Kind,
    /// Name.
    pub name: String,
    /// Empty the fields that name it; else it is refused while there are any.
    pub force: bool,
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
    /// Its kind.
    pub kind: Kind,
    /// The point: revision of the whole configuration at which it came to be like this.
    pub point: i64,
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
    /// The public key that it was then, in SSH form. Private parts and other secrets have no history.
    pub public_blob: Option<Vec<u8>>,
}

/// Objects of a [`Db`].
#[derive(Clone, Copy, Debug)]
pub struct Objects<'a>(pub(crate) &'a Db);

impl Objects<'_> {
    /// All objects in order of kind and name, and the revision of the whole configuration, read at one moment.
    ///
    /// # Errors
    /// If the database fails or holds what is no object.
    pub async fn load_all(self) -> Result<(Vec<Object>, i64), DbError> {
        writes::collect(self.0.read().rows(writes::LOAD_ALL, Vec::new()).await?)
    }

    /// The numbers of the objects that changed after revision `since`, some of them twice, and what these objects are now,
    /// in no order. What changes between the two readings has a later revision.
    ///
    /// # Errors
    /// If the database fails or holds what is no object.
    pub async fn load_since(self, since: i64) -> Result<(Vec<ObjectId>, Vec<Object>), DbError> {
        let conn = self.0.read();
        let rows = conn.rows(writes::TOUCHED, args![since]).await?;
        let touched = rows.into_iter().map(|mut row| row.int().map(ObjectId)).collect::<Result<_, _>>()?;
        let (objects, _) = writes::collect(conn.rows(writes::LOAD_SINCE, args![since]).await?)?;
        Ok((touched, objects))
    }

    /// The revision of the whole configuration: it rises with every change of any object.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn revision(self) -> Result<i64, DbError> {
        let row = self.0.read().row(sets::REVISION, Vec::new()).await?;
        row.map_or(Ok(0), |mut row| row.int())
    }

    /// One object.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find(self, kind: Kind, name: &str) -> Result<Option<Object>, DbError> {
        let rows = self.0.read().rows(writes::LOAD_ONE, args![kind.as_str(), name]).await?;
        Ok(writes::collect(rows)?.0.pop())
    }

    /// The uid of an object, to seal a secret for it.
    ///
    /// # Errors
    /// [`DbError::NotFound`].
    pub async fn uid(self, kind: Kind, name: &str) -> Result<String, DbError> {
        let sql = "SELECT uid FROM object WHERE kind = $1 AND name = $2";
        let row = self.0.read().row(sql, args![kind.as_str(), name]).await?;
        row.ok_or_else(|| DbError::NotFound { kind: kind.as_str(), name: name.to_owned() })?.text()
    }

    /// Makes changes together or not at all, in one transaction with their history and audit; they may refer to each
    /// other in any order. Returns what was created and changed, in the order given.
    ///
    /// # Errors
    /// [`DbError::Moved`], [`DbError::TooLarge`], those of each change, or if the database fails.
    pub async fn apply(self, set: ChangeSet, actor: &Actor) -> Result<Vec<Object>, DbError> {
        sets::check(&set)?;
        let (task, wanted) = sets::task(&set, actor, self.0.now());
        self.0
            .write(move |conn| {
                Box::pin(writes::audited(conn, task, Some(wanted), |conn, task, tag| {
                    Box::pin(sets::apply(conn, task, tag, set))
                }))
            })
            .await?
    }

    /// Stores an object.
    ///
    /// # Errors
    /// [`DbError::Exists`], [`DbError::CaseClash`], [`DbError::MissingReference`], or if the database fails.
    pub async fn create(self, new: NewObject, actor: &Actor) -> Result<Object, DbError> {
        self.one(ObjectChange::Create(new), actor).await
    }

    /// Changes an object; a new name is followed by all who refer to it (KEY-7).
    ///
    /// # Errors
    /// [`DbError::NotFound`], [`DbError::Stale`], those of [`Self::create`], or if the database fails.
    pub async fn update(self, change: Change, actor: &Actor) -> Result<Object, DbError> {
        self.one(ObjectChange::Update(change), actor).await
    }

    async fn one(self, change: ObjectChange, actor: &Actor) -> Result<Object, DbError> {
        let made = self.apply(ChangeSet::of(change), actor).await?.pop();
        made.ok_or_else(|| DbError::Sql("a change gave no object".to_owned()))
    }

    /// Deletes an object. With `force` the fields that name it are emptied in the same transaction. Returns those that
    /// were emptied.
    ///
    /// # Errors
    /// [`DbError::NotFound`], [`DbError::Referenced`], or if the database fails.
    pub async fn delete(self, kind: Kind, name: &str, force: bool, actor: &Actor) -> Result<Vec<Referrer>, DbError> {
        let what = Deletion { kind, name: name.to_owned(), force, expected_revision: None };
        let set = ChangeSet::of(ObjectChange::Delete(what.clone()));
        let (task, wanted) = sets::task(&set, actor, self.0.now());
        self.0
            .write(move |conn| {
                Box::pin(writes::audited(conn, task, Some(wanted), move |conn, task, tag| {
                    Box::pin(writes::delete(conn, task, tag, what))
                }))
            })
            .await?
    }

    /// Who refers to an object.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn referrers(self, kind: Kind, name: &str) -> Result<Vec<Referrer>, DbError> {
        let sql = "SELECT id FROM object WHERE kind = $1 AND name = $2";
        let Some(mut row) = self.0.read().row(sql, args![kind.as_str(), name]).await? else { return Ok(Vec::new()) };
        let rows = self.0.read().rows(writes::REFERRING, args![row.int()?]).await?;
        rows.into_iter().map(|row| writes::referrer(row).map(|(_, referrer)| referrer)).collect()
    }

    /// Every revision that an object of this name had, oldest first; also of deleted ones.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn history(self, kind: Kind, name: &str) -> Result<Vec<HistoryRow>, DbError> {
        let rows = self.0.read().rows(HISTORY, args![kind.as_str(), name]).await?;
        rows.into_iter().map(history).collect()
    }

    /// The newest changes of any object, newest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn changes(self, limit: u32) -> Result<Vec<HistoryRow>, DbError> {
        let rows = self.0.read().rows(CHANGES, args![i64::from(limit)]).await?;
        rows.into_iter().map(history).collect()
    }

    /// Every object as it was at a point, and where each is now called otherwise, under the name of then.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn as_of(self, point: i64) -> Result<Vec<HistoryRow>, DbError> {
        let rows = self.0.read().rows(AS_OF, args![point]).await?;
        rows.into_iter().map(history).collect()
    }

    /// The sealed secret of a field, and the uid that it is bound to.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn secret(self, id: ObjectId, field: &str) -> Result<Option<(String, Vec<u8>)>, DbError> {
        let sql = "SELECT o.uid, s.sealed FROM object_secret AS s JOIN object AS o ON o.id = s.object_id \
            WHERE s.object_id = $1 AND s.field = $2";
        let row = self.0.read().row(sql, args![id, field]).await?;
        row.map(|mut row| Ok((row.text()?, row.blob()?))).transpose()
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
    /// SSH form of a key, DER form of a certificate.
    pub public_blob: Arc<[u8]>,
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
    pub async fn load_all(self) -> Result<Vec<CredentialRow>, DbError> {
        self.0.read().rows(CREDENTIALS, Vec::new()).await?.into_iter().map(credential).collect()
    }

    /// Those of objects that changed after revision `since`.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn load_since(self, since: i64) -> Result<Vec<CredentialRow>, DbError> {
        self.0.read().rows(CREDENTIALS_SINCE, args![since]).await?.into_iter().map(credential).collect()
    }

    /// The sealed private key and the uid that it is bound to (AAD `credential|{uid}`).
    ///
    /// # Errors
    /// If the database fails.
    pub async fn private_sealed(self, id: ObjectId) -> Result<Option<(String, Vec<u8>)>, DbError> {
        let sql = "SELECT o.uid, c.private_sealed FROM credential AS c JOIN object AS o ON o.id = c.object_id \
            WHERE c.object_id = $1 AND c.private_sealed IS NOT NULL";
        let row = self.0.read().row(sql, args![id]).await?;
        row.map(|mut row| Ok((row.text()?, row.blob()?))).transpose()
    }

    /// Objects whose key has this fingerprint.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn by_fingerprint(self, fingerprint: &[u8; 32]) -> Result<Vec<ObjectId>, DbError> {
        let sql = "SELECT object_id FROM credential WHERE fingerprint = $1 ORDER BY object_id";
        let rows = self.0.read().rows(sql, args![fingerprint.as_slice()]).await?;
        rows.into_iter().map(|mut row| row.int().map(ObjectId)).collect()
    }
}

macro_rules! credentials {
    ($which:literal) => {
        concat!(
            "SELECT object_id, class, alg, bits, fingerprint, spki_sha256, public_blob, \
             CAST(CASE WHEN private_sealed IS NULL THEN 0 ELSE 1 END AS BIGINT) FROM credential ",
            $which,
            " ORDER BY object_id"
        )
    };
}

const CREDENTIALS: &str = credentials!("");
const CREDENTIALS_SINCE: &str = credentials!("WHERE object_id IN (SELECT object_id FROM change WHERE seq > $1)");

macro_rules! history_columns {
    () => {
        "SELECT h.object_id, h.kind, c.seq, h.revision, h.at, h.actor, h.op, h.name, h.grp, h.state, h.body_json \
         FROM object_history AS h JOIN "
    };
}

/// By name through the index; a renamed object's older revisions through its number. Each revision of an object has its
/// change, in the same order.
const HISTORY: &str = concat!(
    history_columns!(),
    "(SELECT seq, object_id, ROW_NUMBER() OVER (PARTITION BY object_id ORDER BY seq) AS n FROM change \
      WHERE object_id IN (SELECT o.object_id FROM object_history AS o WHERE o.kind = $1 AND o.name = $2)) AS c \
     ON c.object_id = h.object_id AND c.n = h.revision ORDER BY c.seq"
);

const CHANGES: &str = concat!(
    history_columns!(),
    "(SELECT seq, object_id, (SELECT COUNT(*) FROM change AS e WHERE e.object_id = f.object_id AND e.seq <= f.seq) AS n \
      FROM change AS f ORDER BY seq DESC LIMIT $1) AS c \
     ON c.object_id = h.object_id AND c.n = h.revision ORDER BY c.seq DESC"
);

/// As many changes as an object had by then, that many is its revision.
const AS_OF: &str = concat!(
    history_columns!(),
    "(SELECT MAX(seq) AS seq, object_id, COUNT(*) AS n FROM change WHERE seq <= $1 GROUP BY object_id) AS c \
     ON c.object_id = h.object_id AND c.n = h.revision WHERE h.op <> 'DELETE' ORDER BY h.kind, h.name"
);

fn history(mut row: Columns) -> Result<HistoryRow, DbError> {
    let row = &mut row;
    let mut row = HistoryRow {
        id: ObjectId(row.int()?),
        kind: writes::kind(row)?,
        point: row.int()?,
        revision: row.int()?,
        at: UtcMicros(row.int()?),
        actor: row.text()?,
        op: row.text()?,
        name: row.text()?,
        group: row.text()?,
        state: writes::state(row)?,
        body: writes::body(row)?,
        public_blob: None,
    };
    if let Some(Value::Text(blob)) = row.body.remove(writes::PUBLIC_BLOB) {
        row.public_blob = base::unhex(&blob);
    }
    Ok(row)
}

fn credential(mut row: Columns) -> Result<CredentialRow, DbError> {
    let row = &mut row;
    Ok(CredentialRow {
        object_id: ObjectId(row.int()?),
        class: row.text()?,
        algorithm: row.text()?,
        bits: u32::try_from(row.int()?).map_err(|_| DbError::Corrupt { what: "the size of a key".to_owned() })?,
        fingerprint: octets(row.blob()?)?,
        spki_sha256: octets(row.blob()?)?,
        public_blob: row.blob()?.into(),
        private: row.int()? != 0,
    })
}
