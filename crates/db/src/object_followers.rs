//! What follows when an object changes its name or goes: those that name it are changed as well.

use std::collections::BTreeSet;

use base::ObjectId;
use model::{Body, Kind, Object, Value};

use crate::audit::AuditResult;
use crate::object_writes::{self as writes, Task};
use crate::sql::{Conn, args};
use crate::{DbError, audit_chain};

/// A new name: whoever holds the old one follows (KEY-7), stored objects and waiting transfers.
pub(crate) async fn follow(conn: &mut Conn, object: &Object, old: &str, by: (&Task, i64)) -> Result<(), DbError> {
    let referring = writes::referring(conn, object.id).await?;
    for id in referring.iter().map(|(id, _)| *id).filter(|id| *id != object.id).collect::<BTreeSet<_>>() {
        let fields = referring.iter().filter(|(from, _)| *from == id).map(|(_, r)| r.field.as_str());
        amend(conn, id, by, |body| fields.for_each(|field| replace(body, field, old, Some(&object.name)))).await?;
    }
    if object.kind == Kind::RemoteSite {
        conn.script(RENAME_SITE, args![old, object.name.as_str()]).await?;
    }
    Ok(())
}

/// Transfers that are not over, and entries of the site's folder.
const RENAME_SITE: &str = "\
    UPDATE transfer SET site = $2, revision = revision + 1 \
      WHERE site = $1 AND state <> 'E' AND state IN ('F', 'D', 'B', 'R', 'T', 'G', 'P', 'V', 'S', 'I'); \
    UPDATE transfer SET gate = $2, revision = revision + 1 WHERE gate = $1 AND listed = 1";

/// Changes the body of an object that refers to another one, with history and audit of its own.
pub(crate) async fn amend(
    conn: &mut Conn,
    id: ObjectId,
    (task, tag): (&Task, i64),
    edit: impl FnOnce(&mut Body),
) -> Result<(), DbError> {
    let old = writes::by_id(conn, id).await?;
    let mut new = Object { revision: old.revision.saturating_add(1), updated_at: task.now, ..old.clone() };
    edit(&mut new.body);
    writes::write(conn, &new, task).await?;
    let task = task.of("UPDATE", new.kind, &new.name);
    let entry = task.entry(Some(tag), AuditResult::Success, Some(writes::shown(&old)), Some(writes::shown(&new)));
    audit_chain::append(conn, entry, task.now).await.map(drop)
}

/// Puts `to` where `field` names `from`; nothing: removes it.
pub(crate) fn replace(body: &mut Body, field: &str, from: &str, to: Option<&str>) {
    let empty = match (body.get_mut(field), to) {
        (Some(Value::Text(text)), Some(to)) if text == from => {
            to.clone_into(text);
            false
        }
        (Some(Value::Text(text)), None) => text == from,
        (Some(Value::List(items)), Some(to)) => {
            items.iter_mut().filter(|item| *item == from).for_each(|item| to.clone_into(item));
            false
        }
        (Some(Value::List(items)), None) => {
            items.retain(|item| item != from);
            items.is_empty()
        }
        _ => false,
    };
    if empty {
        body.remove(field);
    }
}
