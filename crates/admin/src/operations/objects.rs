//! Create, update, delete and show objects of any kind, by the field list of the kind alone.

use db::{Deletion, ObjectChange};
use model::{Draft, Field, FieldKind, Kind, Object, ObjectState, Place, Value};

use crate::changes::{self, blank, creation, failed, new_uid, recorded};
use crate::{Cell, Context, Input, OpError, Output, Param, sealing};

/// Name and every field.
pub(super) fn create_params(kind: Kind) -> Vec<Param> {
    writable(kind).map(|(_, field)| Param::of(field)).collect()
}

/// The name, and any field; what is not given stays.
pub(super) fn update_params(kind: Kind) -> Vec<Param> {
    let fields = writable(kind).map(|(place, field)| match place {
        Place::Name => Param::of(field).required(),
        _ => Param::of(field).optional(),
    });
    fields.collect()
}

/// The name, and `-force`.
pub(super) fn delete_params(kind: Kind) -> Vec<Param> {
    let mut params = name_params(kind);
    params.push(Param::switch("force", "delete it although others refer to it, and clear their references"));
    params
}

/// The name.
pub(super) fn name_params(kind: Kind) -> Vec<Param> {
    vec![Param::of(kind.descriptor().name_field).required().positional()]
}

/// The same parameters, with the name also by position.
pub(super) fn positional_name(params: Vec<Param>) -> Vec<Param> {
    params.into_iter().enumerate().map(|(i, p)| if i == 0 { p.positional() } else { p }).collect()
}

/// Name, group, state and fields that a selection may ask for; all must hold (NET-19).
pub(super) fn criteria(kind: Kind) -> Vec<Param> {
    let fields = kind.descriptor().parameters().filter(|(_, field)| !field.is_secret());
    let as_text = |(_, field): (Place, Field)| match field.kind {
        FieldKind::Choice(_) | FieldKind::Int { .. } | FieldKind::Flag => field,
        _ => Field { kind: FieldKind::Text { max: 255 }, ..field },
    };
    fields.map(as_text).map(|field| Param::of(field).optional()).collect()
}

fn writable(kind: Kind) -> impl Iterator<Item = (Place, Field)> {
    kind.descriptor().parameters().filter(|(_, field)| !field.read_only)
}

/// Creates an object from the input.
pub(super) async fn create(context: &Context, input: &Input, kind: Kind) -> Result<Output, OpError> {
    let name = name_of(input, kind)?;
    let mut object = blank(kind, name);
    take_values(&mut object, input)?;
    save_new(context, object, input).await
}

/// Creates an object from the input, with secrets that the gateway made for it.
pub(super) async fn create_with(context: &Context, input: &Input, kind: Kind, own: &Input) -> Result<Output, OpError> {
    let mut object = blank(kind, name_of(input, kind)?);
    take_values(&mut object, input)?;
    take_values(&mut object, own)?;
    let uid = new_uid()?;
    let mut secrets = sealed_secrets(context, kind, &uid, input).await?;
    secrets.extend(sealed_secrets(context, kind, &uid, own).await?);
    save(context, "created", creation(object, uid, secrets, None)).await
}

/// Creates an object from a draft, as the first start does.
///
/// # Errors
/// As any creation.
pub async fn create_object(context: &Context, draft: Draft) -> Result<Output, OpError> {
    let Draft { kind, name, group, state, body } = draft;
    let created = save_new(context, Object { group, state, body, ..blank(kind, name) }, &Input::default()).await?;
    context.engine.reload().await.map_err(|e| OpError::Failed(e.to_string()))?;
    Ok(created)
}

/// Stores a new object with the secrets of the input.
async fn save_new(context: &Context, object: Object, input: &Input) -> Result<Output, OpError> {
    let uid = new_uid()?;
    let secrets = sealed_secrets(context, object.kind, &uid, input).await?;
    save(context, "created", creation(object, uid, secrets, None)).await
}

/// Changes an object by the input.
pub(super) async fn update(context: &Context, input: &Input, kind: Kind) -> Result<Output, OpError> {
    let name = name_of(input, kind)?;
    let mut object = stored(context, kind, &name).await?;
    take_values(&mut object, input)?;
    save_changed(context, object, input).await
}

/// Stores a changed object, refusing if another change came between.
pub(super) async fn save_changed(context: &Context, object: Object, input: &Input) -> Result<Output, OpError> {
    let uid = context.engine.db().objects().uid(object.kind, &object.name).await.map_err(failed)?;
    let secrets = sealed_secrets(context, object.kind, &uid, input).await?;
    let fields = object.kind.descriptor().fields.iter().filter(|field| field.is_secret());
    let taken = fields.filter(|f| input.secret(f.name).is_some_and(|secret| secret.expose().is_empty()));
    let taken: Vec<(String, Option<Vec<u8>>)> = taken.map(|field| (field.name.to_owned(), None)).collect();
    let secrets = secrets.into_iter().map(|(field, sealed)| (field, Some(sealed))).chain(taken).collect();
    save(context, "updated", ObjectChange::Update(changes::update(object, secrets))).await
}

/// Stores an object without a secret that it had.
pub(super) async fn save_without(context: &Context, object: Object, field: &str) -> Result<Output, OpError> {
    let secrets = vec![(field.to_owned(), None)];
    save(context, "updated", ObjectChange::Update(changes::update(object, secrets))).await
}

/// Makes one change.
async fn save(context: &Context, what: &str, change: ObjectChange) -> Result<Output, OpError> {
    let made = changes::commit(context, ("", ""), vec![change]).await?;
    let stored = made.objects.first().ok_or_else(|| OpError::Failed("a change gave no object".to_owned()))?;
    Ok(done(what, stored, made.warnings))
}

/// Deletes an object; refused while others refer to it or cannot do without it, unless forced (OBJ-3, NET-14).
pub(super) async fn delete(context: &Context, input: &Input, kind: Kind) -> Result<Output, OpError> {
    let name = name_of(input, kind)?;
    let warnings = match input.is_set("force") {
        // Whoever forces it takes the configuration that is left as it is; `check` tells what is wrong with it.
        true => {
            let objects = context.engine.db().objects();
            let cleared = objects.delete(kind, &name, true, &context.actor).await.map_err(recorded)?;
            cleared.iter().map(|r| format!("{} of {} {} is cleared", r.field, r.kind, r.name)).collect()
        }
        false => {
            let deletion = Deletion { kind, name: name.clone(), force: false, expected_revision: None };
            changes::commit(context, ("delete", &name), vec![ObjectChange::Delete(deletion)]).await?.warnings
        }
    };
    let text = format!("{} {name} deleted", kind.descriptor().title);
    Ok(Output::Done { text, facts: Vec::new(), warnings })
}

/// Shows one object; secrets as `***`.
pub(super) async fn display(context: &Context, input: &Input, kind: Kind) -> Result<Output, OpError> {
    let object = stored(context, kind, &name_of(input, kind)?).await?;
    let mut fields: Vec<(String, Cell)> = kind
        .descriptor()
        .parameters()
        .map(|(place, field)| (field.name.to_owned(), cell(&object, place, &field)))
        .collect();
    fields.push(("revision".to_owned(), object.revision.into()));
    fields.push(("created".to_owned(), object.created_at.into()));
    fields.push(("updated".to_owned(), object.updated_at.into()));
    Ok(Output::Record { fields })
}

/// Names of the objects that fit.
pub(super) async fn select(context: &Context, input: &Input, kind: Kind) -> Result<Output, OpError> {
    let names = fitting(context, input, kind).await?.into_iter().map(|o| vec![o.name.into()]).collect();
    Ok(Output::Table { columns: vec!["Name".to_owned()], rows: names })
}

/// Main values of the objects that fit.
pub(super) async fn status(context: &Context, input: &Input, kind: Kind) -> Result<Output, OpError> {
    let descriptor = kind.descriptor();
    let shown: Vec<(Place, Field)> = descriptor.summary.iter().filter_map(|name| descriptor.parameter(name)).collect();
    let heads = shown.iter().map(|(_, field)| field.name.to_owned());
    let columns = std::iter::once(descriptor.name_field.name.to_owned()).chain(heads).collect();
    let row = |o: Object| {
        let values = shown.iter().map(|(place, field)| cell(&o, *place, field));
        std::iter::once(Cell::from(o.name.as_str())).chain(values).collect()
    };
    let rows = fitting(context, input, kind).await?.into_iter().map(row).collect();
    Ok(Output::Table { columns, rows })
}

async fn fitting(context: &Context, input: &Input, kind: Kind) -> Result<Vec<Object>, OpError> {
    let (all, _) = context.engine.db().objects().load_all().await.map_err(failed)?;
    Ok(all.into_iter().filter(|o| o.kind == kind && fits(o, input.values())).collect())
}

/// Texts are prefixes (objects.md section 14), all else is compared whole.
pub(super) fn fits<'a>(object: &Object, mut criteria: impl Iterator<Item = (&'a str, &'a Value)>) -> bool {
    criteria.all(|(name, wanted)| {
        let Some((place, field)) = object.kind.descriptor().parameter(name) else { return false };
        let found = match place {
            // `-state D` is DISABLED only, C is TO_CHECK (certificates-and-keys.md section 4).
            Place::State => object.state.as_str().to_owned(),
            _ => cell(object, place, &field).to_string(),
        };
        match (field.kind, wanted) {
            (FieldKind::Choice(_), Value::Text(word)) => found.eq_ignore_ascii_case(word),
            (_, Value::Text(text)) => found.starts_with(text.as_str()),
            (_, other) => found == Cell::from(other).to_string(),
        }
    })
}

/// The value of a field as shown: the default where none was given, `***` for a secret that is set.
pub(super) fn cell(object: &Object, place: Place, field: &Field) -> Cell {
    match place {
        Place::Name => object.name.as_str().into(),
        Place::Group => object.group.as_str().into(),
        Place::State => object.state.into(),
        Place::Body if field.is_secret() && object.secrets.contains(field.name) => "***".into(),
        Place::Body => match object.body.get(field.name) {
            Some(value) => value.into(),
            None => field.default.map_or(Cell::None, Cell::from),
        },
    }
}

/// The name given; the kind's rule for names is checked where the object is.
pub(super) fn name_of(input: &Input, kind: Kind) -> Result<String, OpError> {
    let field = kind.descriptor().name_field.name;
    input.text(field).map(str::to_owned).ok_or(OpError::Syntax(crate::InputError::Absent(field)))
}

/// The stored object.
pub(super) async fn stored(context: &Context, kind: Kind, name: &str) -> Result<Object, OpError> {
    let found = context.engine.db().objects().find(kind, name).await.map_err(failed)?;
    found.ok_or_else(|| OpError::NotFound(format!("{} {name} does not exist", kind.descriptor().title)))
}

/// Puts the given values where they belong; an empty text, list or secret takes a value away.
fn take_values(object: &mut Object, input: &Input) -> Result<(), OpError> {
    for (place, field) in writable(object.kind) {
        match input.secret(field.name).map(|secret| secret.expose().is_empty()) {
            None => {}
            Some(false) => drop(object.secrets.insert(field.name.to_owned())),
            Some(true) => drop(object.secrets.remove(field.name)),
        }
        let Some(value) = input.value(field.name) else { continue };
        match (place, value) {
            (Place::Name, _) => {}
            (Place::Group, Value::Text(group)) => object.group.clone_from(group),
            (Place::State, Value::Text(state)) => {
                object.state = ObjectState::parse(state).map_err(|e| OpError::Refused(e.to_string()))?;
            }
            (Place::Body, Value::Text(text)) if text.is_empty() => drop(object.body.remove(field.name)),
            (Place::Body, Value::List(items)) if items.is_empty() => drop(object.body.remove(field.name)),
            (_, value) => drop(object.body.insert(field.name.to_owned(), value.clone())),
        }
    }
    Ok(())
}

/// Secrets of the input, sealed for the object `uid`.
async fn sealed_secrets(
    context: &Context,
    kind: Kind,
    uid: &str,
    input: &Input,
) -> Result<Vec<(String, Vec<u8>)>, OpError> {
    let mut sealed = Vec::new();
    for field in kind.descriptor().fields.iter().filter(|f| f.is_secret()) {
        let Some(secret) = input.secret(field.name).filter(|secret| !secret.expose().is_empty()) else { continue };
        sealed.push((field.name.to_owned(), sealing::secret(context, uid, field, secret).await?));
    }
    Ok(sealed)
}

fn done(what: &str, object: &Object, warnings: Vec<String>) -> Output {
    Output::Done {
        text: format!("{} {} {what}", object.kind.descriptor().title, object.name),
        facts: vec![("name".to_owned(), object.name.as_str().into()), ("revision".to_owned(), object.revision.into())],
        warnings,
    }
}
