//! The one way objects are changed: look at what the whole configuration would be, then write all of it or nothing.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use base::ObjectId;
use db::{Change, ChangeSet, CredentialRow, DbError, Deletion, NewCredential, NewObject, ObjectChange, Referrer};
use engine::{Stored, reading};
use model::{Kind, Object, Problem, Reading, Severity};

use crate::{Context, OpError};

/// How often a change is looked at again because another one came between.
const TRIES_MAX: u32 = 5;
/// Problems that a refusal tells of.
const PROBLEMS_TOLD_MAX: usize = 20;

/// What a change did.
pub(crate) struct Made {
    /// What was created or changed, in the order given.
    pub(crate) objects: Vec<Object>,
    /// What a person should know about these objects, a sentence each.
    pub(crate) warnings: Vec<String>,
}

/// Makes the changes together. `action` and `name` are what the audit calls several of them.
///
/// # Errors
/// [`OpError::Refused`] names the object that would be wrong. Nothing is changed then.
pub(crate) async fn commit(
    context: &Context,
    (action, name): (&str, &str),
    changes: Vec<ObjectChange>,
) -> Result<Made, OpError> {
    let mut tries = 0;
    loop {
        let stored = context.engine.stored().await.map_err(failed)?;
        let revision = stored.revision;
        let warnings = examine(context, &stored, &changes)?;
        programs(context, &changes)?;
        let set = ChangeSet {
            action: action.to_owned(),
            name: name.to_owned(),
            changes: changes.clone(),
            expected_revision: Some(revision),
        };
        tries += 1;
        match context.engine.db().objects().apply(set, &context.actor).await {
            Ok(objects) => return Ok(Made { objects, warnings }),
            Err(DbError::Moved { .. }) if tries < TRIES_MAX => {}
            Err(error) => return Err(recorded(error)),
        }
    }
}

/// Programs of hooks, as they stand on the disk (connected-systems.md section 5).
fn programs(context: &Context, changes: &[ObjectChange]) -> Result<(), OpError> {
    for change in changes {
        let body = match change {
            ObjectChange::Create(new) => &new.body,
            ObjectChange::Update(to) => &to.body,
            ObjectChange::Delete(_) => continue,
        };
        let (kind, name) = change.object();
        let text = |field: &str| body.get(field).map(ToString::to_string).unwrap_or_default();
        if kind != Kind::Hook {
            continue;
        }
        let data = &context.engine.options().data;
        engine::hooks::program_is_safe(&text("program"), &context.engine.snapshot(), data)
            .map_err(|wrong| OpError::Refused(format!("HOOK {name}: program: {wrong}")))?;
        if !text("run_as").is_empty() && !engine::hooks::may_change_user() {
            let wrong = "the gateway's user may not run programs as another: run the gateway as root, or leave it out";
            return Err(OpError::Refused(format!("HOOK {name}: run_as: {wrong}")));
        }
    }
    Ok(())
}

/// A new object.
pub(crate) fn creation(
    object: Object,
    uid: String,
    secrets: Vec<(String, Vec<u8>)>,
    credential: Option<NewCredential>,
) -> ObjectChange {
    ObjectChange::Create(NewObject {
        uid,
        references: references(&object),
        kind: object.kind,
        name: object.name,
        group: object.group,
        state: object.state,
        body: object.body,
        secrets,
        credential,
    })
}

/// An object as it shall be, refused if it is not at the revision it was read at.
pub(crate) fn update(object: Object, secrets: Vec<(String, Option<Vec<u8>>)>) -> Change {
    Change {
        references: references(&object),
        expected_revision: Some(object.revision),
        kind: object.kind,
        name: object.name,
        new_name: None,
        group: object.group,
        state: object.state,
        body: object.body,
        secrets,
        credential: None,
    }
}

/// An object goes, refused if it is not at the revision it was read at.
pub(crate) fn deletion(object: &Object) -> ObjectChange {
    let (kind, name) = (object.kind, object.name.clone());
    ObjectChange::Delete(Deletion { kind, name, force: false, expected_revision: Some(object.revision) })
}

/// An object with nothing but its name.
pub(crate) fn blank(kind: Kind, name: String) -> Object {
    Object {
        id: ObjectId(0),
        kind,
        name,
        group: model::DEFAULT_GROUP.to_owned(),
        state: model::ObjectState::Enabled,
        revision: 0,
        created_at: base::UtcMicros::default(),
        updated_at: base::UtcMicros::default(),
        body: model::Body::new(),
        secrets: BTreeSet::new(),
    }
}

/// A new identity of an object, to which its sealed parts are bound.
pub(crate) fn new_uid() -> Result<String, OpError> {
    base::random::<16>().map(|octets| base::hex(&octets)).map_err(|e| OpError::Failed(e.to_string()))
}

/// What an object refers to: field, kind and name.
fn references(object: &Object) -> Vec<(String, Kind, String)> {
    let all = model::references(object.kind, &object.body).into_iter();
    all.map(|(field, kind, name)| (field.to_owned(), kind, name)).collect()
}

/// Looks at the whole configuration as it would be, as the running gateway would. Errors of what is changed refuse it,
/// and errors of others that were not there before; the warnings of what is changed come back.
pub(crate) fn examine(context: &Context, stored: &Stored, changes: &[ObjectChange]) -> Result<Vec<String>, OpError> {
    let mut errors = Vec::new();
    for change in changes {
        let (body, (kind, name)) = match change {
            ObjectChange::Create(new) => (&new.body, change.object()),
            ObjectChange::Update(to) => (&to.body, change.object()),
            ObjectChange::Delete(_) => continue,
        };
        errors.extend(model::check_name(kind, name).err());
        errors.extend(model::body_warnings(kind, name, body));
    }
    errors.retain(|problem| problem.severity == Severity::Error);
    if !errors.is_empty() {
        return Err(refusal(errors));
    }
    let before = context.engine.problems_of(stored);
    let (_, problems) = after(stored, changes)?.build();
    let titles: HashSet<String> = changes.iter().map(title).collect();
    let own = |p: &Problem| titles.contains(&p.object);
    let is_new = |p: &Problem| own(p) || !before.contains(p);
    let (errors, rest): (Vec<_>, Vec<_>) = problems.into_iter().partition(|p| p.severity == Severity::Error);
    let errors: Vec<_> = errors.into_iter().filter(is_new).collect();
    if errors.is_empty() { Ok(rest.iter().filter(|p| own(p)).map(told).collect()) } else { Err(refusal(errors)) }
}

/// What would be in use after the changes.
pub(crate) fn would_be(stored: &Stored, changes: &[ObjectChange]) -> Result<model::Snapshot, OpError> {
    Ok(after(stored, changes)?.build().0)
}

fn title(change: &ObjectChange) -> String {
    let (kind, name) = change.object();
    format!("{kind} {name}")
}

/// What would be stored after the changes. What the database will refuse by itself (a name that is taken, a revision) is
/// not looked at here.
fn after(stored: &Stored, changes: &[ObjectChange]) -> Result<Stored, OpError> {
    let touched: HashMap<(Kind, &str), &ObjectChange> = changes.iter().map(|c| (c.object(), c)).collect();
    let mut wanted = Stored { revision: stored.revision, objects: Vec::new(), credentials: stored.credentials.clone() };
    for object in &stored.objects {
        match touched.get(&(object.kind, object.name.as_str())) {
            None | Some(ObjectChange::Create(_)) => wanted.objects.push(object.clone()),
            Some(ObjectChange::Delete(_)) => wanted.credentials.retain(|c| c.object_id != object.id),
            Some(ObjectChange::Update(change)) => {
                let new = change.credential.as_ref().map(|new| row(object.id, new));
                let present = new.as_ref().or_else(|| stored.credential(object.id));
                wanted.objects.push(Arc::new(reading(present, changed(object, change))));
                if let Some(new) = new {
                    wanted.credentials.retain(|c| c.object_id != object.id);
                    wanted.credentials.push(Arc::new(new));
                }
            }
        }
    }
    unused(&wanted.objects, changes)?;
    for (n, change) in (1_i64..).zip(changes) {
        let ObjectChange::Create(new) = change else { continue };
        // A number that no stored object has.
        let id = ObjectId(-n);
        let credential = new.credential.as_ref().map(|credential| row(id, credential));
        let object = Object {
            id,
            group: new.group.clone(),
            state: new.state,
            body: new.body.clone(),
            secrets: new.secrets.iter().map(|(field, _)| field.clone()).collect(),
            ..blank(new.kind, new.name.clone())
        };
        wanted.objects.push(Arc::new(reading(credential.as_ref(), object)));
        wanted.credentials.extend(credential.map(Arc::new));
    }
    Ok(wanted)
}

fn changed(object: &Object, change: &Change) -> Object {
    let mut secrets = object.secrets.clone();
    for (field, sealed) in &change.secrets {
        if sealed.is_some() {
            secrets.insert(field.clone())
        } else {
            secrets.remove(field)
        };
    }
    let (group, body) = (change.group.clone(), change.body.clone());
    let name = change.new_name.clone().unwrap_or_else(|| object.name.clone());
    Object { name, group, body, state: change.state, secrets, ..object.clone() }
}

/// Refuses deletions of what is still named by what stays (OBJ-3), and says by whom.
fn unused(stay: &[Arc<Reading>], changes: &[ObjectChange]) -> Result<(), OpError> {
    for change in changes {
        let (ObjectChange::Delete(gone), (kind, name)) = (change, change.object()) else { continue };
        let names = |object: &Arc<Reading>| {
            let fields = model::references(object.kind, &object.body).into_iter();
            let fields = fields.filter(|(_, to, named)| *to == kind && named == name).map(|(field, ..)| field);
            let by = |field: &str| Referrer {
                kind: object.kind.as_str(),
                name: object.name.clone(),
                field: field.to_owned(),
            };
            fields.map(by).collect::<Vec<_>>()
        };
        let by: Vec<Referrer> = stay.iter().flat_map(names).collect();
        if !by.is_empty() && !gone.force {
            return Err(failed(DbError::Referenced { name: title(change), by }));
        }
    }
    Ok(())
}

/// The public part of a key that is not stored yet.
fn row(object_id: ObjectId, new: &NewCredential) -> CredentialRow {
    CredentialRow {
        object_id,
        class: new.class.clone(),
        algorithm: new.algorithm.clone(),
        bits: new.bits,
        fingerprint: new.fingerprint,
        spki_sha256: new.spki_sha256,
        public_blob: new.public_blob.as_slice().into(),
        private: new.private_sealed.is_some(),
    }
}

fn refusal(mut errors: Vec<Problem>) -> OpError {
    errors.dedup();
    let more = errors.len().saturating_sub(PROBLEMS_TOLD_MAX);
    let mut lines: Vec<String> = errors.iter().take(PROBLEMS_TOLD_MAX).map(told).collect();
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    OpError::Refused(lines.join("\n"))
}

fn told(problem: &Problem) -> String {
    let field = if problem.field.is_empty() { String::new() } else { format!(" {}", problem.field) };
    format!("{}{field}: {}; {}", problem.object, problem.text, problem.fix)
}

/// What the database refused, as the operator reads it.
pub(crate) fn failed(error: DbError) -> OpError {
    match &error {
        DbError::NotFound { .. } | DbError::NoTransfer { .. } => OpError::NotFound(error.to_string()),
        _ if is_refusal(&error) => OpError::Refused(error.to_string()),
        _ => OpError::Failed(error.to_string()),
    }
}

/// The same for a change of objects: the transaction that refused it wrote that into the audit. What broke the
/// transaction itself is not there.
pub(crate) fn recorded(error: DbError) -> OpError {
    match is_refusal(&error) {
        true => OpError::Recorded(Box::new(failed(error))),
        false => failed(error),
    }
}

const fn is_refusal(error: &DbError) -> bool {
    matches!(
        error,
        DbError::NotFound { .. }
            | DbError::Exists { .. }
            | DbError::CaseClash { .. }
            | DbError::Referenced { .. }
            | DbError::MissingReference { .. }
            | DbError::Stale { .. }
            | DbError::Moved { .. }
            | DbError::Transition { .. }
    )
}
