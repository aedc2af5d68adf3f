//! What is to be changed so that the configuration is as wanted.

use std::collections::{BTreeSet, HashMap, HashSet};

use base::ObjectId;
use db::{CredentialRow, ObjectChange};
use engine::Stored;
use keys::Fingerprint;
use model::{Body, Field, FieldKind, Kind, Object, Place, Value};

use super::{Material, SecretWanted, Wanted};
use crate::changes::{self, blank, failed};
use crate::held::Held;
use crate::sealing::{self, Clear};
use crate::{Context, OpError};

/// Which objects that are not wanted go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Prune {
    /// None; those of these kinds are told.
    Nothing(BTreeSet<Kind>),
    /// Those of these kinds.
    Kinds(BTreeSet<Kind>),
    /// All but private keys, which nothing could bring back.
    AllButPrivateKeys,
}

/// What is to be done with an object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Change {
    Create,
    Update,
    Delete,
}

/// A field that changes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FieldChange {
    pub(crate) field: String,
    pub(crate) old: Option<Value>,
    pub(crate) new: Option<Value>,
    /// What counts where there is no value.
    pub(crate) default: Option<&'static str>,
}

/// Secrets that are set, or taken away.
type SecretChanges = Vec<(&'static str, Option<Clear>)>;

/// An object that changes.
pub(crate) struct Step {
    pub(crate) change: Change,
    /// As it shall be; as it is, if it goes.
    pub(crate) object: Object,
    pub(crate) new_name: Option<String>,
    pub(crate) fields: Vec<FieldChange>,
    secrets: SecretChanges,
    material: Option<Box<Held>>,
}

/// All of it.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    pub(crate) unchanged: usize,
    /// Titles of objects that are not wanted and stay.
    pub(crate) left: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

/// Compares what is wanted with what is stored. With `skip_secrets`, secrets that must be kept and are not there become
/// warnings.
///
/// # Errors
/// [`OpError::Refused`] with every object that can't become what it shall be.
pub(crate) async fn plan(
    context: &Context,
    wanted: Vec<Wanted>,
    prune: &Prune,
    skip_secrets: bool,
) -> Result<Plan, OpError> {
    let stored = context.engine.stored().await.map_err(failed)?;
    let present = Present::of(&stored);
    let mut planner = Planner { context, plan: Plan::default(), wrong: Vec::new(), skip_secrets };
    let mut met = HashSet::new();
    for wanted in wanted {
        let found = present.find(&wanted);
        met.extend(found.map(|object| object.id));
        let place = format!("{}: {} {}", wanted.place, wanted.kind, wanted.name);
        match planner.one(wanted, found, &present).await {
            Ok(Some(step)) => planner.plan.steps.push(step),
            Ok(None) => planner.plan.unchanged += 1,
            Err(OpError::Refused(text)) => planner.wrong.push(format!("{place}: {text}")),
            Err(error) => return Err(error),
        }
    }
    let Planner { mut plan, wrong, .. } = planner;
    if !wrong.is_empty() {
        return Err(OpError::Refused(wrong.join("\n")));
    }
    let waiting = waiting(context).await?;
    // What authorities publish is no part of what files declare.
    let declared = |o: &Object| o.kind != Kind::Crl && !waiting.contains(&o.id);
    for object in stored.objects().filter(|o| !met.contains(&o.id) && declared(o)) {
        let private = present.keys.get(&object.id).is_some_and(|key| key.private);
        match prune {
            Prune::Kinds(kinds) if kinds.contains(&object.kind) => plan.steps.push(Step::delete(object)),
            Prune::AllButPrivateKeys if !private => plan.steps.push(Step::delete(object)),
            Prune::AllButPrivateKeys => plan.left.push(object.title()),
            Prune::Nothing(kinds) if kinds.contains(&object.kind) => plan.left.push(object.title()),
            Prune::Kinds(_) | Prune::Nothing(_) => {}
        }
    }
    let place = |kind: Kind| Kind::ALL.iter().position(|k| *k == kind);
    plan.steps.sort_by(|a, b| {
        let key = |s: &Step| (s.change == Change::Delete, place(s.object.kind), s.object.name.clone());
        key(a).cmp(&key(b))
    });
    Ok(plan)
}

/// Captured keys that are not enabled: a person's decision about them is no part of what files declare.
pub(crate) async fn waiting(context: &Context) -> Result<HashSet<ObjectId>, OpError> {
    let captures = context.engine.db().captures().list(false).await.map_err(failed)?;
    Ok(captures.into_iter().filter(|c| c.state != model::ObjectState::Enabled).map(|c| c.id).collect())
}

impl Plan {
    /// An object goes as well, whatever was wanted.
    pub(crate) fn delete(&mut self, object: &Object) {
        self.steps.push(Step::delete(object));
    }

    /// The changes, to be made or, unless `real`, only to be looked at: then nothing is sealed or hashed.
    pub(crate) async fn changes(&self, context: &Context, real: bool) -> Result<Vec<ObjectChange>, OpError> {
        let mut all = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            all.push(step.made(context, real).await?);
        }
        Ok(all)
    }

    /// How many of a change there are.
    pub(crate) fn count(&self, change: Change) -> usize {
        self.steps.iter().filter(|step| step.change == change).count()
    }
}

impl Step {
    fn delete(object: &Object) -> Self {
        Self {
            change: Change::Delete,
            object: object.clone(),
            new_name: None,
            fields: Vec::new(),
            secrets: Vec::new(),
            material: None,
        }
    }

    async fn made(&self, context: &Context, real: bool) -> Result<ObjectChange, OpError> {
        let object = self.object.clone();
        if self.change == Change::Delete {
            return Ok(changes::deletion(&object));
        }
        let uid = match self.change {
            Change::Create => changes::new_uid()?,
            _ => context.engine.db().objects().uid(object.kind, &object.name).await.map_err(failed)?,
        };
        let mut secrets = Vec::new();
        for (name, secret) in &self.secrets {
            let field =
                object.kind.descriptor().field(name).ok_or_else(|| OpError::Failed(format!("no field {name}")))?;
            let sealed = match secret {
                Some(clear) if real => Some(sealing::clear(context, &uid, field, clear).await?),
                Some(_) => Some(Vec::new()),
                None => None,
            };
            secrets.push(((*name).to_owned(), sealed));
        }
        let credential = match &self.material {
            Some(material) => Some(material.credential(context, &uid)?),
            None => None,
        };
        Ok(match self.change {
            Change::Create => {
                let secrets = secrets.into_iter().filter_map(|(field, sealed)| Some((field, sealed?))).collect();
                changes::creation(object, uid, secrets, credential)
            }
            _ => ObjectChange::Update(db::Change {
                credential,
                new_name: self.new_name.clone(),
                ..changes::update(object, secrets)
            }),
        })
    }
}

/// What is stored, to be looked up.
struct Present<'a> {
    by_name: HashMap<(Kind, &'a str), &'a Object>,
    by_id: HashMap<ObjectId, &'a Object>,
    keys: HashMap<ObjectId, &'a CredentialRow>,
}

impl<'a> Present<'a> {
    fn of(stored: &'a Stored) -> Self {
        Self {
            by_name: stored.objects().map(|o| ((o.kind, o.name.as_str()), o)).collect(),
            by_id: stored.objects().map(|o| (o.id, o)).collect(),
            keys: stored.credentials.iter().map(|c| (c.object_id, c.as_ref())).collect(),
        }
    }

    fn find(&self, wanted: &Wanted) -> Option<&'a Object> {
        let own = wanted.id.and_then(|id| self.by_id.get(&id));
        own.or_else(|| self.by_name.get(&(wanted.kind, wanted.name.as_str()))).copied()
    }
}

struct Planner<'a> {
    context: &'a Context,
    plan: Plan,
    wrong: Vec<String>,
    skip_secrets: bool,
}

impl Planner<'_> {
    /// What changes of one object; `None`: nothing.
    async fn one(
        &mut self,
        wanted: Wanted,
        found: Option<&Object>,
        present: &Present<'_>,
    ) -> Result<Option<Step>, OpError> {
        let Wanted { kind, name, group, state, mut body, secrets, material, .. } = wanted;
        let key = found.and_then(|object| present.keys.get(&object.id).copied());
        let (material, mut key_fields) = material_change(material, key)?;
        let old = found.cloned().unwrap_or_else(|| blank(kind, name.clone()));
        if let Some(material) = &material {
            material.note(&mut body).map_err(OpError::Refused)?;
        }
        carry(kind, &mut body, &old.body);
        let (secrets, secret_fields) = self.secrets(&old, &name, secrets).await?;
        let object = Object { group, state, body, ..old.clone() };
        let mut fields = differences(&old, &object);
        fields.append(&mut key_fields);
        fields.extend(secret_fields);
        let new_name = (old.name != name).then(|| name.clone());
        fields.extend(new_name.as_ref().map(|new| changed("name", Some(&old.name), Some(new))));
        let change = if found.is_some() { Change::Update } else { Change::Create };
        let nothing = change == Change::Update && fields.is_empty();
        Ok((!nothing).then_some(Step { change, object, new_name, fields, secrets, material }))
    }

    /// Secrets that change, and how that is shown.
    async fn secrets(
        &mut self,
        old: &Object,
        name: &str,
        mut wanted: std::collections::BTreeMap<&'static str, SecretWanted>,
    ) -> Result<(SecretChanges, Vec<FieldChange>), OpError> {
        let (mut all, mut fields) = (Vec::new(), Vec::new());
        for field in old.kind.descriptor().fields.iter().filter(|f| f.is_secret()) {
            let is_set = old.secrets.contains(field.name);
            match wanted.remove(field.name) {
                Some(SecretWanted::Leave) if old.revision == 0 => {
                    let text = "secrets have no history: set it again if it was set";
                    self.plan.warnings.push(format!("{} {name}: {}: {text}", old.kind, field.name));
                }
                Some(SecretWanted::Leave) => {}
                Some(SecretWanted::Keep) if is_set => {}
                Some(SecretWanted::Keep) if self.skip_secrets => {
                    self.plan.warnings.push(format!("{} {name}: {} is not set yet", old.kind, field.name));
                }
                Some(SecretWanted::Keep) => {
                    return Err(OpError::Refused(format!(
                        "{} is set where this comes from, but not here: give it by reference, or use -skip_secrets",
                        field.name
                    )));
                }
                Some(SecretWanted::Is(secret)) => {
                    model::check_secret(old.kind, field, secret.expose())
                        .map_err(|p| OpError::Refused(format!("{}: {}; {}", field.name, p.text, p.fix)))?;
                    self.set(old, field, Clear::Given(secret), (&mut all, &mut fields)).await?;
                }
                Some(SecretWanted::Stored(octets)) => {
                    self.set(old, field, Clear::Stored(octets), (&mut all, &mut fields)).await?;
                }
                None if is_set => {
                    fields.push(changed(field.name, Some("***"), None));
                    all.push((field.name, None));
                }
                None => {}
            }
        }
        Ok((all, fields))
    }

    /// Notes a secret, if it is not what is stored.
    async fn set(
        &self,
        old: &Object,
        field: &'static Field,
        secret: Clear,
        (all, fields): (&mut SecretChanges, &mut Vec<FieldChange>),
    ) -> Result<(), OpError> {
        let is_set = old.secrets.contains(field.name);
        if !is_set || !sealing::is_same(self.context, old.id, field, &secret).await? {
            fields.push(changed(field.name, is_set.then_some("***"), Some("*** (new)")));
            all.push((field.name, Some(secret)));
        }
        Ok(())
    }
}

/// Takes over from the old body what files do not declare: what the gateway set, and what this version does not know.
fn carry(kind: Kind, body: &mut Body, old: &Body) {
    for (name, value) in old {
        // A certificate keeps its type where a document does not speak of it.
        let is_type = kind == Kind::Certificate && name == "certificate_type";
        if is_type || kind.descriptor().field(name).is_none_or(|field| field.read_only) {
            body.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
}

/// What changes of a key, and how that is shown.
fn material_change(
    wanted: Material,
    key: Option<&CredentialRow>,
) -> Result<(Option<Box<Held>>, Vec<FieldChange>), OpError> {
    let is = |octets: &[u8; 32]| Fingerprint(*octets).to_string();
    match (wanted, key) {
        (Material::None, _) => Ok((None, Vec::new())),
        (Material::Private(stated), Some(key)) if key.private => match stated.map(|s| s.fingerprint()) {
            Some(stated) if stated != key.fingerprint => Err(OpError::Refused(format!(
                "the private key here is another one, {}: give private_key by reference to put another in its place, or \
                 take public_key out to keep it",
                is(&key.fingerprint)
            ))),
            _ => Ok((None, Vec::new())),
        },
        (Material::Private(_), _) => Err(OpError::Refused(
            "the private key is set where this comes from, but not here: give private_key by reference".to_owned(),
        )),
        (Material::Is(new), Some(old)) => {
            let (private, print) = (new.is_private(), new.fingerprint());
            if old.private && !private {
                return Err(OpError::Refused(
                    "its private part is in the store and would be lost: add private_key = { set = true }, or delete \
                     the key first"
                        .to_owned(),
                ));
            }
            if print == old.fingerprint && private == old.private {
                return Ok((None, Vec::new()));
            }
            let shown = changed(new.written().0, Some(&is(&old.fingerprint)), Some(&is(&print)));
            let private = (private && !old.private).then(|| changed("private_key", None, Some("*** (new)")));
            let fields = std::iter::once(shown).filter(|f| f.old != f.new).chain(private).collect();
            Ok((Some(new), fields))
        }
        (Material::Is(new), None) => {
            let shown = changed(new.written().0, None, Some(&is(&new.fingerprint())));
            Ok((Some(new), vec![shown]))
        }
    }
}

fn changed(field: &str, old: Option<&str>, new: Option<&str>) -> FieldChange {
    let value = |text: Option<&str>| text.map(|t| Value::Text(t.to_owned()));
    FieldChange { field: field.to_owned(), old: value(old), new: value(new), default: None }
}

/// The fields in which two states of an object differ: group, state, values. Those that the gateway sets are not told.
pub(crate) fn differences(old: &Object, new: &Object) -> Vec<FieldChange> {
    let value = |object: &Object, place: Place, field: &Field| match place {
        Place::Name => None,
        Place::Group => Some(Value::Text(object.group.clone())).filter(|_| object.group != model::DEFAULT_GROUP),
        Place::State => Some(object.state.as_str().into()).filter(|_| object.state != model::ObjectState::Enabled),
        Place::Body => object.body.get(field.name).cloned(),
    };
    let all = new.kind.descriptor().parameters().filter(|(_, field)| !field.read_only && !field.is_secret());
    let change = |(place, field): (Place, Field)| {
        let (old, new) = (value(old, place, &field), value(new, place, &field));
        let default = match place {
            Place::Group => Some(model::DEFAULT_GROUP),
            Place::State => Some(model::ObjectState::Enabled.as_str()),
            _ => field.default,
        };
        let same = normal(&field, old.as_ref()) == normal(&field, new.as_ref());
        (!same).then(|| FieldChange { field: field.name.to_owned(), old, new, default })
    };
    all.filter_map(change).collect()
}

/// The value as its field holds it: an older version may have stored a list as one text.
fn normal(field: &Field, value: Option<&Value>) -> Option<Value> {
    match (field.kind, value?) {
        (FieldKind::List { .. } | FieldKind::RefList(..), Value::Text(text)) => {
            let items = text.split(|c| field.separators.contains(c)).map(str::trim).filter(|i| !i.is_empty());
            Some(Value::List(items.map(str::to_owned).collect()))
        }
        (_, value) => Some(value.clone()),
    }
}
