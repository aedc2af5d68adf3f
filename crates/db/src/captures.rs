//! Keys and certificates that partners showed and nobody has judged yet (AUTO-1 to AUTO-7).

use base::{ObjectId, UtcMicros};
use model::{Body, Kind, ObjectState, Value};
use serde_json::json;

use crate::audit_chain::octets;
use crate::object_writes::{self as writes, Task};
use crate::objects::{NewCredential, NewObject};
use crate::sql::{Columns, Conn, args};
use crate::writer::Urgency;
use crate::{Actor, Db, DbError};

/// Most records that a capture may lead to (AUTO-6). Records that a person has judged are not counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CaptureCaps {
    /// For each source address.
    pub per_source: i64,
    /// For each gate or site.
    pub per_gate: i64,
    /// In all.
    pub total: i64,
    /// Of `total`, kept for partners that are known.
    pub reserve: i64,
}

/// A key or certificate whose owner proved that it is his, or an authority's that came with it.
#[derive(Clone, Debug)]
pub struct NewCapture {
    /// What its object is: [`Kind::Key`] or [`Kind::Certificate`].
    pub kind: Kind,
    /// What the object says of it, but for its comment.
    pub body: Body,
    /// As `ED25519`.
    pub algorithm: String,
    /// Size in bits.
    pub bits: u32,
    /// SHA-256 of the SSH form of a key, of the octets of a certificate.
    pub fingerprint: [u8; 32],
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub spki_sha256: [u8; 32],
    /// SSH form of a key, DER of a certificate.
    pub public_blob: Vec<u8>,
    /// Gate or TLS profile that it was shown at, or the site whose server showed it.
    pub gate: String,
    /// Login name it came with; empty for a host key.
    pub login: String,
    /// Address, IPv4 or IPv6 /64, as the caller counts them.
    pub source: String,
    /// Group of the key object (profile's, else `GDEFAULT`).
    pub group: String,
    /// Comment: the partner's name.
    pub comment: String,
    /// Whether the partner is a known one (it may use the reserve).
    pub known: bool,
    /// Random hex for the object.
    pub uid: String,
    /// Now.
    pub at: UtcMicros,
    /// Limits.
    pub caps: CaptureCaps,
}

/// What became of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CaptureOutcome {
    /// A new key object waits for a person.
    Stored {
        /// Object.
        id: ObjectId,
        /// Its generated name.
        alias: String,
    },
    /// The store has it already; nothing new was made (AUTO-2).
    Known {
        /// Object.
        id: ObjectId,
        /// Its name.
        alias: String,
        /// Its group.
        group: String,
        /// Its state; `Disabled` also means: rejected.
        state: ObjectState,
        /// How often it was shown at this gate.
        tries: i64,
    },
    /// A limit was reached; nothing was stored (AUTO-6).
    Full(Cap),
}

/// Which limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cap {
    /// Of the source.
    Source,
    /// Of the gate.
    Gate,
    /// Of the store.
    Total,
    /// What is left is for known partners.
    Reserve,
}

/// A captured key or certificate as stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CaptureRow {
    /// Its object.
    pub id: ObjectId,
    /// What that is.
    pub kind: Kind,
    /// Name of the object.
    pub alias: String,
    /// Group of the object.
    pub group: String,
    /// State of the object.
    pub state: ObjectState,
    /// As `ED25519`.
    pub algorithm: String,
    /// Size in bits.
    pub bits: u32,
    /// SHA-256 of the SSH form.
    pub fingerprint: [u8; 32],
    /// Gate or site.
    pub gate: String,
    /// Login name.
    pub login: String,
    /// Source address.
    pub source: String,
    /// First seen.
    pub at: UtcMicros,
    /// Last seen.
    pub last_at: UtcMicros,
    /// How often shown.
    pub tries: i64,
}

/// Captures of a [`Db`].
#[derive(Clone, Copy, Debug)]
pub struct Captures<'a>(pub(crate) &'a Db);

impl Captures<'_> {
    /// Records a shown key: object in state TO_CHECK, credential, capture, notice, audit in one transaction.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn record(self, new: NewCapture) -> Result<CaptureOutcome, DbError> {
        if let Some(known) = self.known(&new).await? {
            return Ok(known);
        }
        let now = new.at;
        self.0.write(move |conn| Box::pin(async move { store(conn, new, now).await })).await
    }

    /// A key that the store and this gate know already is only counted, without a commit of its own.
    async fn known(self, new: &NewCapture) -> Result<Option<CaptureOutcome>, DbError> {
        let args = args![new.fingerprint, new.gate.as_str()];
        let Some(row) = self.0.read().row(KNOWN, args).await? else { return Ok(None) };
        let known = known(row)?;
        if matches!(known, CaptureOutcome::Known { tries: 1, .. }) {
            return Ok(None);
        }
        let args = args![new.fingerprint, new.gate.as_str(), new.at];
        drop(self.0.submit(Urgency::Lazy, |conn| conn.run_later(COUNT, args)).await?);
        Ok(Some(known))
    }

    /// Captures, newest first; with `pending` only those that wait for a person.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list(self, pending: bool) -> Result<Vec<CaptureRow>, DbError> {
        let sql = if pending { LIST_PENDING } else { LIST };
        self.0.read().rows(sql, Vec::new()).await?.into_iter().map(row).collect()
    }

    /// Captures of one key by the name of its object (one for each gate).
    ///
    /// # Errors
    /// If the database fails.
    pub async fn by_alias(self, alias: &str) -> Result<Vec<CaptureRow>, DbError> {
        self.0.read().rows(BY_ALIAS, args![alias]).await?.into_iter().map(row).collect()
    }

    /// Captures of one key (one for each gate).
    ///
    /// # Errors
    /// If the database fails.
    pub async fn by_fingerprint(self, fingerprint: &[u8; 32]) -> Result<Vec<CaptureRow>, DbError> {
        let rows = self.0.read().rows(BY_FINGERPRINT, args![fingerprint.as_slice()]).await?;
        rows.into_iter().map(row).collect()
    }
}

/// Looks again, counts, stores: alone among writers.
async fn store(conn: &mut Conn, new: NewCapture, now: UtcMicros) -> Result<CaptureOutcome, DbError> {
    conn.exclusive().await?;
    if let Some(row) = conn.row(KNOWN, args![new.fingerprint, new.gate.as_str()]).await? {
        let known = known(row)?;
        if let CaptureOutcome::Known { id, state: ObjectState::ToCheck, tries: 1, .. } = known
            && full(conn, &new).await?.is_none()
        {
            // The same key at another gate: a person judges it once, but sees both.
            conn.run(CAPTURE, args![new.fingerprint, new.gate, id, new.login, new.source, now]).await?;
        } else {
            conn.run(COUNT, args![new.fingerprint, new.gate, now]).await?;
        }
        return Ok(known);
    }
    if let Some(cap) = full(conn, &new).await? {
        return Ok(CaptureOutcome::Full(cap));
    }
    let alias = free_alias(conn, new.kind, &new.fingerprint).await?;
    let actor = Actor { name: "gateway".to_owned(), origin: new.source.clone() };
    let (action, kind) = ("CAPTURE".to_owned(), new.kind.as_str());
    let task = Task { actor, action, kind, name: alias.clone(), now };
    let about = json!({ "gate": new.gate, "login": new.login, "source": new.source }).to_string();
    let capture = args![new.fingerprint, new.gate.as_str(), 0, new.login.as_str(), new.source.as_str(), now];
    let object = object(new, alias.clone());
    let made = writes::audited(conn, task, Some(about), |conn, task, _| {
        Box::pin(async move {
            let done = writes::create(conn, task, object).await?;
            let mut capture = capture;
            if let Some(slot) = capture.get_mut(2) {
                *slot = done.value.id.into();
            }
            conn.run(CAPTURE, capture).await?;
            Ok(done)
        })
    });
    let object = made.await??;
    Ok(CaptureOutcome::Stored { id: object.id, alias })
}

fn object(new: NewCapture, alias: String) -> NewObject {
    let mut body = new.body;
    body.insert("comments".to_owned(), Value::Text(base::brief(&new.comment, COMMENT_MAX)));
    let credential = NewCredential {
        class: new.kind.as_str().to_owned(),
        algorithm: new.algorithm,
        bits: new.bits,
        fingerprint: new.fingerprint,
        spki_sha256: new.spki_sha256,
        public_blob: new.public_blob,
        private_sealed: None,
    };
    NewObject {
        uid: new.uid,
        kind: new.kind,
        name: alias,
        group: new.group,
        state: ObjectState::ToCheck,
        body,
        secrets: Vec::new(),
        references: Vec::new(),
        credential: Some(credential),
    }
}

/// Characters of a comment, one less than the field has, for the mark of a cut.
const COMMENT_MAX: usize = 254;

/// The first limit that is reached.
async fn full(conn: &mut Conn, new: &NewCapture) -> Result<Option<Cap>, DbError> {
    let args = args![new.source.as_str(), new.gate.as_str()];
    let Some(mut row) = conn.row(COUNTS, args).await? else { return Ok(None) };
    let (of_source, of_gate, total) = (row.int()?, row.int()?, row.int()?);
    let caps = new.caps;
    let limits = [
        (of_source >= caps.per_source, Cap::Source),
        (of_gate >= caps.per_gate, Cap::Gate),
        (total >= caps.total, Cap::Total),
        (!new.known && total >= caps.total.saturating_sub(caps.reserve), Cap::Reserve),
    ];
    Ok(limits.into_iter().find(|(reached, _)| *reached).map(|(_, cap)| cap))
}

/// A name made of the fingerprint: the same key gets the same name again after it was deleted.
async fn free_alias(conn: &mut Conn, kind: Kind, fingerprint: &[u8; 32]) -> Result<String, DbError> {
    let digits = base::hex(fingerprint);
    let prefix = if kind == Kind::Certificate { "Imported_Certificate_" } else { "Imported_Key_" };
    // Names have 31 characters.
    let lens = if kind == Kind::Certificate { [6, 8, 10] } else { [8, 12, 18] };
    for len in lens {
        let alias = format!("{prefix}{}", digits.get(..len).unwrap_or_default());
        match writes::free_name(conn, kind, &alias, None).await {
            Err(DbError::Exists { .. } | DbError::CaseClash { .. }) => {}
            other => return other.map(|()| alias),
        }
    }
    Err(DbError::Exists { kind: kind.as_str(), name: format!("{prefix}{digits}") })
}

fn known(mut row: Columns) -> Result<CaptureOutcome, DbError> {
    let row = &mut row;
    Ok(CaptureOutcome::Known {
        id: ObjectId(row.int()?),
        alias: row.text()?,
        group: row.text()?,
        state: writes::state(row)?,
        tries: row.opt_int()?.unwrap_or(0).saturating_add(1),
    })
}

fn row(mut row: Columns) -> Result<CaptureRow, DbError> {
    let row = &mut row;
    Ok(CaptureRow {
        id: ObjectId(row.int()?),
        kind: writes::kind(row)?,
        alias: row.text()?,
        group: row.text()?,
        state: writes::state(row)?,
        algorithm: row.text()?,
        bits: u32::try_from(row.int()?).map_err(|_| DbError::Corrupt { what: "the size of a key".to_owned() })?,
        fingerprint: octets(row.blob()?)?,
        gate: row.text()?,
        login: row.text()?,
        source: row.text()?,
        at: UtcMicros(row.int()?),
        last_at: UtcMicros(row.int()?),
        tries: row.int()?,
    })
}

/// The oldest object with this key, and how often this gate saw it.
const KNOWN: &str = "SELECT o.id, o.name, o.grp, o.state, k.tries FROM credential AS c \
    JOIN object AS o ON o.id = c.object_id \
    LEFT JOIN capture AS k ON k.fingerprint = c.fingerprint AND k.gate = $2 \
    WHERE c.fingerprint = $1 ORDER BY o.id LIMIT 1";

const COUNT: &str = "UPDATE capture SET tries = tries + 1, last_at = $3 WHERE fingerprint = $1 AND gate = $2";

const CAPTURE: &str = "INSERT INTO capture (fingerprint, gate, object_id, login, source, at, last_at, tries) \
    VALUES ($1, $2, $3, $4, $5, $6, $6, 1)";

/// Records that wait for a person: of the source, of the gate, in all.
const COUNTS: &str = "SELECT \
    (SELECT COUNT(*) FROM capture AS c JOIN object AS o ON o.id = c.object_id WHERE c.source = $1 AND o.state = 'C'), \
    (SELECT COUNT(*) FROM capture AS c JOIN object AS o ON o.id = c.object_id WHERE c.gate = $2 AND o.state = 'C'), \
    (SELECT COUNT(*) FROM object AS o WHERE o.state = 'C' AND o.kind IN ('KEY', 'CERTIFICATE') \
      AND EXISTS (SELECT 1 FROM capture AS c WHERE c.object_id = o.id))";

macro_rules! list_sql {
    () => {
        "SELECT o.id, o.kind, o.name, o.grp, o.state, k.alg, k.bits, c.fingerprint, c.gate, c.login, c.source, c.at, c.last_at, \
         c.tries FROM capture AS c JOIN object AS o ON o.id = c.object_id JOIN credential AS k ON k.object_id = o.id"
    };
}
const LIST: &str = concat!(list_sql!(), " ORDER BY c.at DESC, o.id");
const LIST_PENDING: &str = concat!(list_sql!(), " WHERE o.state = 'C' ORDER BY c.at DESC, o.id");
const BY_ALIAS: &str = concat!(list_sql!(), " WHERE o.kind IN ('KEY', 'CERTIFICATE') AND o.name = $1 ORDER BY c.at");
const BY_FINGERPRINT: &str = concat!(list_sql!(), " WHERE c.fingerprint = $1 ORDER BY c.at");
