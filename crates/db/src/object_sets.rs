//! Several changes of objects in one transaction (ARCHITECTURE, invariant 7), whatever the order they are given in.

use base::UtcMicros;
use model::{Kind, Object};
use serde_json::json;

use crate::audit::AuditResult;
use crate::object_writes::{self as writes, Done, Task};
use crate::objects::{Change, Deletion, NewObject};
use crate::sql::Conn;
use crate::{Actor, DbError, audit_chain};

/// Most changes of one set: other writers wait while it is written.
pub const CHANGES_MAX: usize = 10_000;
/// Titles of changes that the audit of a set lists in one entry; each change has an entry of its own as well.
const TITLES_MAX: usize = 100;
/// What the audit calls the object of a set.
const CONFIGURATION: &str = "CONFIGURATION";

/// One change of a [`ChangeSet`].
#[derive(Clone, Debug)]
pub enum ObjectChange {
    /// A new object.
    Create(NewObject),
    /// Other values of an object.
    Update(Change),
    /// An object goes.
    Delete(Deletion),
}

/// Changes that are made together or not at all.
#[derive(Clone, Debug, Default)]
pub struct ChangeSet {
    /// What the audit calls it, as `route add`; a single change is called what it is.
    pub action: String,
    /// What the audit says it was about; may be empty.
    pub name: String,
    /// The changes. Each object may stand in it once.
    pub changes: Vec<ObjectChange>,
    /// Refuse unless the configuration is at this revision: what was examined is then what comes into force.
    pub expected_revision: Option<i64>,
}

impl ChangeSet {
    /// A set of one.
    #[must_use]
    pub fn of(change: ObjectChange) -> Self {
        Self { changes: vec![change], ..Self::default() }
    }
}

impl ObjectChange {
    /// Kind and present name of what is changed.
    #[must_use]
    pub fn object(&self) -> (Kind, &str) {
        match self {
            Self::Create(new) => (new.kind, &new.name),
            Self::Update(change) => (change.kind, &change.name),
            Self::Delete(gone) => (gone.kind, &gone.name),
        }
    }

    /// What the audit calls it.
    const fn action(&self) -> &'static str {
        match self {
            Self::Create(_) => "CREATE",
            Self::Update(_) => "UPDATE",
            Self::Delete(_) => "DELETE",
        }
    }

    /// What is asked for, for the audit.
    fn wanted(&self) -> serde_json::Value {
        match self {
            Self::Create(new) => json!({ "values": new.body }),
            Self::Update(change) => json!({ "name": change.new_name, "values": change.body }),
            Self::Delete(gone) => json!({ "force": gone.force }),
        }
    }
}

/// Refuses a set that is too large, or names an object twice.
pub(crate) fn check(set: &ChangeSet) -> Result<(), DbError> {
    let found = set.changes.len();
    if found > CHANGES_MAX {
        return Err(DbError::TooLarge { what: "the set of changes", found, max: CHANGES_MAX });
    }
    let mut seen = std::collections::HashSet::new();
    match set.changes.iter().map(ObjectChange::object).find(|object| !seen.insert(*object)) {
        Some((kind, name)) => Err(DbError::Twice { kind: kind.as_str(), name: name.to_owned() }),
        None => Ok(()),
    }
}

/// Who does what, and what the audit's first entry says of it.
pub(crate) fn task(set: &ChangeSet, actor: &Actor, now: UtcMicros) -> (Task, String) {
    let task = |action: &str, kind, name: &str| Task {
        actor: actor.clone(),
        action: action.to_owned(),
        kind,
        name: name.to_owned(),
        now,
    };
    match set.changes.as_slice() {
        [one] => {
            let (kind, name) = one.object();
            (task(one.action(), kind.as_str(), name), one.wanted().to_string())
        }
        all => (task(&set.action, CONFIGURATION, &set.name), listed(all).to_string()),
    }
}

/// The changes by title, as many as fit, and how many there are.
fn listed(changes: &[ObjectChange]) -> serde_json::Value {
    let title = |change: &ObjectChange| {
        let (kind, name) = change.object();
        format!("{} {kind} {name}", change.action())
    };
    let titles: Vec<String> = changes.iter().take(TITLES_MAX).map(title).collect();
    json!({ "count": changes.len(), "changes": titles })
}

/// Makes the changes of a set. References are written when every object is there, and deletions come first, when what
/// goes with them no longer refers to anything: so the order in which they are given does not matter.
pub(crate) async fn apply(
    conn: &mut Conn,
    task: &Task,
    tag: i64,
    set: ChangeSet,
) -> Result<Done<Vec<Object>>, DbError> {
    if let Some(expected) = set.expected_revision {
        unmoved(conn, expected).await?;
    }
    let alone = set.changes.len() == 1;
    let mut summary = Done { value: Vec::new(), before: None, after: Some(listed(&set.changes).to_string()) };
    for change in &set.changes {
        if let (ObjectChange::Update(_) | ObjectChange::Delete(_), (kind, name)) = (change, change.object()) {
            writes::drop_references(conn, kind, name).await?;
        }
    }
    let (gone, kept): (Vec<_>, Vec<_>) = set.changes.into_iter().partition(|c| matches!(c, ObjectChange::Delete(_)));
    let mut references = Vec::new();
    for change in gone.into_iter().chain(kept) {
        let (kind, name) = change.object();
        let own = if alone { task.clone() } else { task.of(change.action(), kind, name) };
        let (made, before, after) = match change {
            ObjectChange::Create(new) => {
                references.push(new.references.clone());
                let done = writes::insert(conn, &own, new).await?;
                (Some(done.value), done.before, done.after)
            }
            ObjectChange::Update(change) => {
                references.push(change.references.clone());
                let done = writes::change(conn, &own, tag, change).await?;
                (Some(done.value), done.before, done.after)
            }
            ObjectChange::Delete(what) => {
                let done = writes::delete(conn, &own, tag, what).await?;
                (None, done.before, done.after)
            }
        };
        summary.value.extend(made);
        if alone {
            (summary.before, summary.after) = (before, after);
        } else {
            audit_chain::append(conn, own.entry(Some(tag), AuditResult::Success, before, after), task.now).await?;
        }
    }
    for (object, list) in summary.value.iter().zip(&references) {
        writes::write_references(conn, object, list).await?;
    }
    Ok(summary)
}

/// The lock of the audit is held here: nobody else changes an object until this commits.
async fn unmoved(conn: &mut Conn, expected: i64) -> Result<(), DbError> {
    let row = conn.row(REVISION, Vec::new()).await?;
    let found = row.map_or(Ok(0), |mut row| row.int())?;
    if found == expected { Ok(()) } else { Err(DbError::Moved { expected, found }) }
}

/// The revision of the whole configuration.
pub(crate) const REVISION: &str = "SELECT COALESCE(MAX(seq), 0) FROM change";
