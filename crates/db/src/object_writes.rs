//! Operations on objects within a transaction.

use std::collections::BTreeSet;

use base::{ObjectId, UtcMicros};
use futures_util::future::BoxFuture;
use model::{Body, Kind, Object, ObjectState, Value};
use serde_json::json;

use crate::audit::{AuditResult, Entry};
use crate::audit_chain;
use crate::nodes;
use crate::object_followers::{amend, follow, replace};
use crate::objects::{Change, Deletion, NewCredential, NewObject};
use crate::sql::{Columns, Conn, args};
use crate::{Actor, DbError, Referrer};

/// Columns of [`object`].
macro_rules! columns {
    () => {
        "o.id, o.kind, o.name, o.grp, o.state, o.revision, o.created_at, o.updated_at, o.body_json"
    };
}

/// Who changes what, and when.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) actor: Actor,
    pub(crate) action: String,
    /// Kind of the object, or what several are called together.
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) now: UtcMicros,
}

/// What a change did, for the audit.
pub(crate) struct Done<T> {
    pub(crate) value: T,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
}

/// Does a change between its two audit entries (AUD-2). A refused change is undone and its failure is audited; the
/// outer result is the transaction's, the inner one the caller's. If the audit fails, so does all (AUD-1).
pub(crate) async fn audited<T, F>(
    conn: &mut Conn,
    task: Task,
    wanted: Option<String>,
    change: F,
) -> Result<Result<T, DbError>, DbError>
where
    F: for<'c> FnOnce(&'c mut Conn, &'c Task, i64) -> BoxFuture<'c, Result<Done<T>, DbError>>,
{
    let tag = audit_chain::append(conn, task.entry(None, AuditResult::Attempt, None, wanted), task.now).await?;
    conn.run("SAVEPOINT change", Vec::new()).await?;
    let (entry, result) = match change(conn, &task, tag).await {
        Ok(done) => (task.entry(Some(tag), AuditResult::Success, done.before, done.after), Ok(done.value)),
        Err(error) => {
            conn.run("ROLLBACK TO SAVEPOINT change", Vec::new()).await?;
            let words = json!({ "error": error.to_string() }).to_string();
            (task.entry(Some(tag), AuditResult::Failed, None, Some(words)), Err(error))
        }
    };
    conn.run("RELEASE SAVEPOINT change", Vec::new()).await?;
    audit_chain::append(conn, entry, task.now).await?;
    Ok(result)
}

impl Task {
    /// The task of one object within this one.
    pub(crate) fn of(&self, action: &str, kind: Kind, name: &str) -> Self {
        Self { action: action.to_owned(), kind: kind.as_str(), name: name.to_owned(), ..self.clone() }
    }

    pub(crate) fn entry(
        &self,
        tag: Option<i64>,
        result: AuditResult,
        before: Option<String>,
        after: Option<String>,
    ) -> Entry {
        Entry {
            tag,
            actor: self.actor.clone(),
            action: self.action.clone(),
            result,
            kind: self.kind.to_owned(),
            name: self.name.clone(),
            before_json: before,
            after_json: after,
        }
    }
}

/// An object as the audit shows it: secrets are `***` (AUD-3).
pub(crate) fn shown(object: &Object) -> String {
    let secrets: serde_json::Map<_, _> = object.secrets.iter().map(|field| (field.clone(), json!("***"))).collect();
    json!({
        "name": object.name,
        "group": object.group,
        "state": object.state.as_str(),
        "revision": object.revision,
        "values": object.body,
        "secrets": secrets,
    })
    .to_string()
}

/// Stores a new object with its references.
pub(crate) async fn create(conn: &mut Conn, task: &Task, new: NewObject) -> Result<Done<Object>, DbError> {
    let references = new.references.clone();
    let done = insert(conn, task, new).await?;
    write_references(conn, &done.value, &references).await?;
    Ok(done)
}

/// Stores a new object, but none of its references.
pub(crate) async fn insert(conn: &mut Conn, task: &Task, new: NewObject) -> Result<Done<Object>, DbError> {
    free_name(conn, new.kind, &new.name, None).await?;
    let args = args![
        new.uid,
        new.kind.as_str(),
        new.name.as_str(),
        lower(&new.name),
        new.group.as_str(),
        new.state.letter().to_string(),
        json(&new.body)?,
        task.now,
    ];
    let row = conn.row(CREATE, args).await?;
    let id = ObjectId(row.ok_or_else(|| DbError::Sql("no number for the object".to_owned()))?.int()?);
    for (field, sealed) in &new.secrets {
        set_secret(conn, id, field, Some(sealed.clone())).await?;
    }
    if let Some(credential) = new.credential {
        write_credential(conn, id, credential).await?;
    }
    let object = Object {
        id,
        kind: new.kind,
        name: new.name,
        group: new.group,
        state: new.state,
        revision: 1,
        created_at: task.now,
        updated_at: task.now,
        body: new.body,
        secrets: new.secrets.into_iter().map(|(field, _)| field).collect(),
    };
    note(conn, &object, task, "CREATE").await?;
    let after = shown(&object);
    Ok(Done { value: object, before: None, after: Some(after) })
}

const CREATE: &str = "INSERT INTO object (uid, kind, name, lower_name, grp, state, revision, body_json, created_at, \
    updated_at) VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8, $8) RETURNING id";

/// Changes an object, but none of its references; who names it follows a new name.
pub(crate) async fn change(conn: &mut Conn, task: &Task, tag: i64, change: Change) -> Result<Done<Object>, DbError> {
    let old = find(conn, change.kind, &change.name).await?;
    stale(&old, change.expected_revision)?;
    let name = change.new_name.unwrap_or_else(|| old.name.clone());
    if name != old.name {
        free_name(conn, old.kind, &name, Some(old.id)).await?;
    }
    let mut secrets = old.secrets.clone();
    for (field, sealed) in change.secrets {
        if sealed.is_some() {
            secrets.insert(field.clone())
        } else {
            secrets.remove(&field)
        };
        set_secret(conn, old.id, &field, sealed).await?;
    }
    let object = Object {
        name,
        group: change.group,
        state: change.state,
        revision: old.revision.saturating_add(1),
        updated_at: task.now,
        body: change.body,
        secrets,
        ..old.clone()
    };
    if let Some(credential) = change.credential {
        conn.run("DELETE FROM credential WHERE object_id = $1", args![object.id]).await?;
        write_credential(conn, object.id, credential).await?;
    }
    write(conn, &object, task).await?;
    if object.name != old.name {
        follow(conn, &object, &old.name, (task, tag)).await?;
    }
    let after = shown(&object);
    Ok(Done { value: object, before: Some(shown(&old)), after: Some(after) })
}

pub(crate) async fn delete(
    conn: &mut Conn,
    task: &Task,
    tag: i64,
    what: Deletion,
) -> Result<Done<Vec<Referrer>>, DbError> {
    let Deletion { kind, name, force, expected_revision } = what;
    let object = find(conn, kind, &name).await?;
    stale(&object, expected_revision)?;
    let by = referring(conn, object.id).await?;
    if !by.is_empty() && !force {
        return Err(DbError::Referenced { name: object.title(), by: by.into_iter().map(|(_, r)| r).collect() });
    }
    for id in by.iter().map(|(id, _)| *id).collect::<BTreeSet<_>>() {
        let fields = by.iter().filter(|(from, _)| *from == id).map(|(_, r)| r.field.as_str());
        amend(conn, id, (task, tag), |body| fields.for_each(|field| replace(body, field, &object.name, None))).await?;
    }
    conn.run("DELETE FROM object_ref WHERE to_id = $1", args![object.id]).await?;
    conn.run("DELETE FROM object WHERE id = $1", args![object.id]).await?;
    let gone = Object { revision: object.revision.saturating_add(1), ..object.clone() };
    note(conn, &gone, task, "DELETE").await?;
    Ok(Done { value: by.into_iter().map(|(_, r)| r).collect(), before: Some(shown(&object)), after: None })
}

/// Stores an object as it is now, with its history.
pub(crate) async fn write(conn: &mut Conn, object: &Object, task: &Task) -> Result<(), DbError> {
    let args = args![
        object.id,
        object.name.as_str(),
        lower(&object.name),
        object.group.as_str(),
        object.state.letter().to_string(),
        object.revision,
        json(&object.body)?,
        object.updated_at,
    ];
    conn.run(WRITE, args).await?;
    note(conn, object, task, "UPDATE").await
}

const WRITE: &str = "UPDATE object SET name = $2, lower_name = $3, grp = $4, state = $5, revision = $6, body_json = $7, \
    updated_at = $8 WHERE id = $1";

/// History, and the notice that makes others load the configuration again.
async fn note(conn: &mut Conn, object: &Object, task: &Task, op: &str) -> Result<(), DbError> {
    let mut body = object.body.clone();
    if matches!(object.kind, Kind::Key | Kind::Certificate) {
        let row = conn.row("SELECT public_blob FROM credential WHERE object_id = $1", args![object.id]).await?;
        if let Some(mut row) = row {
            body.insert(PUBLIC_BLOB.to_owned(), Value::Text(base::hex(&row.blob()?)));
        }
    }
    let args = args![
        object.id,
        object.revision,
        task.now,
        task.actor.name.as_str(),
        op,
        object.kind.as_str(),
        object.name.as_str(),
        object.group.as_str(),
        object.state.letter().to_string(),
        json(&body)?,
    ];
    conn.script(NOTE, args).await?;
    nodes::tell(conn, nodes::Notice::Config).await
}

/// Where the history of a key or certificate keeps its public part beside the values; no field is called so.
pub(crate) const PUBLIC_BLOB: &str = "public_blob";

const NOTE: &str = "\
    INSERT INTO object_history (object_id, revision, at, actor, op, kind, name, grp, state, body_json) \
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10); \
    INSERT INTO change (at, object_id, kind, op) VALUES ($3, $1, $6, $5)";

/// Refuses a name that is taken, or differs from another by case only.
pub(crate) async fn free_name(conn: &mut Conn, kind: Kind, name: &str, own: Option<ObjectId>) -> Result<(), DbError> {
    let sql = "SELECT name FROM object WHERE kind = $1 AND lower_name = $2 AND id <> $3";
    let own = own.map_or(0, |id| id.0);
    let row = conn.row(sql, args![kind.as_str(), lower(name), own]).await?;
    let existing = row.map(|mut row| row.text()).transpose()?;
    match existing {
        None => Ok(()),
        Some(existing) if existing == name => Err(DbError::Exists { kind: kind.as_str(), name: existing }),
        Some(existing) => Err(DbError::CaseClash { kind: kind.as_str(), name: name.to_owned(), existing }),
    }
}

/// An object that another one refers to, or is referred to by.
pub(crate) async fn by_id(conn: &mut Conn, id: ObjectId) -> Result<Object, DbError> {
    let sql = concat!("SELECT ", columns!(), " FROM object AS o WHERE o.id = $1");
    let row = conn.row(sql, args![id]).await?;
    let mut object = object(row.ok_or_else(|| DbError::Corrupt { what: format!("a reference of {id}") })?)?;
    object.secrets = secrets(conn, object.id).await?;
    Ok(object)
}

async fn find(conn: &mut Conn, kind: Kind, name: &str) -> Result<Object, DbError> {
    let row = conn.row(BY_NAME, args![kind.as_str(), name]).await?;
    let row = row.ok_or_else(|| DbError::NotFound { kind: kind.as_str(), name: name.to_owned() })?;
    let mut object = object(row)?;
    object.secrets = secrets(conn, object.id).await?;
    Ok(object)
}

async fn secrets(conn: &mut Conn, id: ObjectId) -> Result<BTreeSet<String>, DbError> {
    let rows = conn.rows("SELECT field FROM object_secret WHERE object_id = $1", args![id]).await?;
    rows.into_iter().map(|mut row| row.text()).collect()
}

async fn set_secret(conn: &mut Conn, id: ObjectId, field: &str, sealed: Option<Vec<u8>>) -> Result<(), DbError> {
    let sql = match sealed {
        Some(_) => {
            "INSERT INTO object_secret (object_id, field, sealed) VALUES ($1, $2, $3) \
             ON CONFLICT (object_id, field) DO UPDATE SET sealed = excluded.sealed"
        }
        None => "DELETE FROM object_secret WHERE object_id = $1 AND field = $2 AND $3 IS NULL",
    };
    conn.run(sql, args![id, field, sealed]).await.map(drop)
}

/// Notes whom an object names; it has no references yet.
pub(crate) async fn write_references(
    conn: &mut Conn,
    object: &Object,
    list: &[(String, Kind, String)],
) -> Result<(), DbError> {
    for (pos, (field, kind, name)) in (0_i64..).zip(list) {
        let args = args![object.id, field, pos, kind.as_str(), name];
        if conn.run(REFER, args).await? == 0 {
            let (from, field, name) = (object.title(), field.clone(), name.clone());
            return Err(DbError::MissingReference { from, field, kind: kind.as_str(), name });
        }
    }
    Ok(())
}

/// Forgets whom an object names, if it is there.
pub(crate) async fn drop_references(conn: &mut Conn, kind: Kind, name: &str) -> Result<(), DbError> {
    let sql = "DELETE FROM object_ref WHERE from_id = (SELECT id FROM object WHERE kind = $1 AND name = $2)";
    conn.run(sql, args![kind.as_str(), name]).await.map(drop)
}

fn stale(object: &Object, expected: Option<i64>) -> Result<(), DbError> {
    match expected.filter(|expected| *expected != object.revision) {
        Some(expected) => Err(DbError::Stale { name: object.title(), expected, found: object.revision }),
        None => Ok(()),
    }
}

const REFER: &str = "INSERT INTO object_ref (from_id, field, pos, to_id) \
    SELECT $1, $2, $3, o.id FROM object AS o WHERE o.kind = $4 AND o.name = $5";

/// Who refers to an object, except itself.
pub(crate) async fn referring(conn: &mut Conn, id: ObjectId) -> Result<Vec<(ObjectId, Referrer)>, DbError> {
    conn.rows(REFERRING, args![id]).await?.into_iter().map(referrer).collect()
}

pub(crate) const REFERRING: &str = "SELECT DISTINCT o.id, o.kind, o.name, r.field FROM object_ref AS r \
    JOIN object AS o ON o.id = r.from_id WHERE r.to_id = $1 AND r.from_id <> $1 ORDER BY o.kind, o.name, r.field";

pub(crate) fn referrer(mut row: Columns) -> Result<(ObjectId, Referrer), DbError> {
    let id = ObjectId(row.int()?);
    let kind = kind(&mut row)?.as_str();
    Ok((id, Referrer { kind, name: row.text()?, field: row.text()? }))
}

pub(crate) async fn write_credential(conn: &mut Conn, id: ObjectId, new: NewCredential) -> Result<(), DbError> {
    let args = args![
        id,
        new.class,
        new.algorithm,
        i64::from(new.bits),
        new.fingerprint,
        new.spki_sha256,
        new.public_blob,
        new.private_sealed,
    ];
    let sql = "INSERT INTO credential (object_id, class, alg, bits, fingerprint, spki_sha256, public_blob, \
        private_sealed) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    conn.run(sql, args).await.map(drop)
}

const BY_NAME: &str = concat!("SELECT ", columns!(), " FROM object AS o WHERE o.kind = $1 AND o.name = $2");

/// Every object with each of its secrets' names, and the revision of the whole: one statement, so one moment.
pub(crate) const LOAD_ALL: &str = concat!(
    "SELECT v.revision, s.field, ",
    columns!(),
    " FROM (SELECT COALESCE(MAX(seq), 0) AS revision FROM change) AS v LEFT JOIN object AS o ON 1 = 1 \
     LEFT JOIN object_secret AS s ON s.object_id = o.id ORDER BY o.kind, o.lower_name, s.field"
);

/// Objects that changed after a revision, as often as they did. (With DISTINCT, SQLite reads the whole index by object.)
pub(crate) const TOUCHED: &str = "SELECT object_id FROM change WHERE seq > $1 ORDER BY seq";

/// The same with each of their secrets' names, if they are still there.
pub(crate) const LOAD_SINCE: &str = concat!(
    "SELECT o.revision, s.field, ",
    columns!(),
    " FROM object AS o LEFT JOIN object_secret AS s ON s.object_id = o.id \
     WHERE o.id IN (SELECT object_id FROM change WHERE seq > $1) ORDER BY o.id, s.field"
);

/// One object with each of its secrets' names.
pub(crate) const LOAD_ONE: &str = concat!(
    "SELECT o.revision, s.field, ",
    columns!(),
    " FROM object AS o LEFT JOIN object_secret AS s ON s.object_id = o.id WHERE o.kind = $1 AND o.name = $2"
);

/// Rows of [`LOAD_ALL`] as objects, and the revision.
pub(crate) fn collect(rows: Vec<Columns>) -> Result<(Vec<Object>, i64), DbError> {
    let (mut objects, mut revision) = (Vec::<Object>::new(), 0);
    for mut row in rows {
        revision = row.int()?;
        let secret = row.opt_text()?;
        let Some(id) = row.opt_int()?.map(ObjectId) else { continue };
        if objects.last().is_none_or(|last| last.id != id) {
            objects.push(rest(id, &mut row)?);
        }
        if let (Some(object), Some(field)) = (objects.last_mut(), secret) {
            object.secrets.insert(field);
        }
    }
    Ok((objects, revision))
}

fn object(mut row: Columns) -> Result<Object, DbError> {
    let id = ObjectId(row.int()?);
    rest(id, &mut row)
}

fn rest(id: ObjectId, row: &mut Columns) -> Result<Object, DbError> {
    Ok(Object {
        id,
        kind: kind(row)?,
        name: row.text()?,
        group: row.text()?,
        state: state(row)?,
        revision: row.int()?,
        created_at: UtcMicros(row.int()?),
        updated_at: UtcMicros(row.int()?),
        body: body(row)?,
        secrets: BTreeSet::new(),
    })
}

pub(crate) fn kind(row: &mut Columns) -> Result<Kind, DbError> {
    Kind::parse(&row.text()?).map_err(|e| DbError::Corrupt { what: e.to_string() })
}

pub(crate) fn state(row: &mut Columns) -> Result<ObjectState, DbError> {
    ObjectState::parse(&row.text()?).map_err(|e| DbError::Corrupt { what: e.to_string() })
}

pub(crate) fn body(row: &mut Columns) -> Result<Body, DbError> {
    serde_json::from_str(&row.text()?).map_err(|e| DbError::Corrupt { what: format!("values ({e})") })
}

fn json(body: &Body) -> Result<String, DbError> {
    serde_json::to_string(body).map_err(|e| DbError::Corrupt { what: format!("values ({e})") })
}

fn lower(name: &str) -> String {
    name.to_lowercase()
}
