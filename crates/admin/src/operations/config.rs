//! The configuration as code: export, apply, compare with the past, go back.

use model::{Field, Kind, Object};
use serde_json::json;

use crate::changes::{self, failed};
use crate::config::{
    self, Bundle, Change, Plan, Prune, at_point, differences, exported, facts, field_lines, lines, plan, wanted_at,
};
use crate::{Context, Effect, Input, InputError, OpError, Operation, Output, Param, Resource, Right};

const fn right(letter: char) -> Right {
    Right { resource: Resource::Configuration, letter }
}

/// The family.
pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        name: "export",
        title: "Write the configuration as text that can be applied; never a secret",
        right: right('R'),
        effect: Effect::Control,
        params: export_params,
        run: |context, input| Box::pin(export(context, input)),
    },
    Operation {
        name: "apply",
        title: "Make the configuration what files declare, all of it or nothing",
        right: right('U'),
        effect: Effect::Change,
        params: apply_params,
        run: |context, input| Box::pin(apply(context, input)),
    },
    Operation {
        name: "diff",
        title: "Tell how an object differs from what it was, or files from what is configured",
        right: right('R'),
        effect: Effect::Read,
        params: diff_params,
        run: |context, input| Box::pin(diff(context, input)),
    },
    Operation {
        name: "rollback",
        title: "Make an object, or the whole configuration, what it was",
        right: right('U'),
        effect: Effect::Change,
        params: rollback_params,
        run: |context, input| Box::pin(rollback(context, input)),
    },
];

/// Warnings about changed objects that people are told; programs get all.
const WARNINGS_MAX: usize = 20;

const KIND: Field = Field::text("kind", 31, "kind of object, as SITE");
const NAME: Field = Field::text("name", 255, "name of the object");
const POINT: Field = Field::int("point", (0, i64::MAX), "", "a moment, as `history` lists it").aliases(&["to", "rev"]);
const DRY_RUN: Field =
    Field::new("dry_run", model::FieldKind::Flag, "tell what would change, and change nothing").aliases(&["dry-run"]);

fn switch(field: Field) -> Param {
    Param { field, ..Param::switch("", "") }
}

fn export_params() -> Vec<Param> {
    vec![
        Param::of(KIND).positional(),
        Param::of(NAME).positional(),
        Param::switch("all", "everything; kinds without objects are written as empty tables"),
        Param::output(),
        Param::append(),
    ]
}

fn apply_params() -> Vec<Param> {
    let files =
        Field::text("file", 4095, "file, folder with *.toml, or - for standard input").shorts(&["f"]).required();
    vec![
        Param::bundle(files).positional(),
        switch(DRY_RUN),
        Param::switch("prune", "delete objects that are not in the files, of kinds that are"),
        Param::switch("skip_secrets", "go on without secrets that the files say are set and that are not here"),
    ]
}

fn diff_params() -> Vec<Param> {
    let other = Field::int("other", (0, i64::MAX), "", "a second moment; now where not given");
    let files = Field::text("file", 4095, "file, folder or -, to compare with what is configured").shorts(&["f"]);
    vec![
        Param::of(KIND).positional(),
        Param::of(NAME).positional(),
        Param::of(POINT).positional(),
        Param::of(other).positional(),
        Param::bundle(files),
    ]
}

fn rollback_params() -> Vec<Param> {
    vec![
        Param::of(KIND).positional(),
        Param::of(NAME).positional(),
        Param::of(POINT.required()).positional(),
        Param::switch("all", "every object; private keys made since then stay"),
        switch(DRY_RUN),
    ]
}

async fn export(context: &Context, input: &Input) -> Result<Output, OpError> {
    let (kind, name) = object_of(input)?;
    let all = input.is_set("all");
    if all == kind.is_some() {
        return Err(together("what shall be exported? give -all, or a kind and perhaps a name"));
    }
    let fits = |o: &Object| kind.is_none_or(|k| o.kind == k) && name.is_none_or(|n| o.name == n);
    let objects = exported(context, fits).await?;
    if let (Some(kind), Some(name), true) = (kind, name, objects.is_empty()) {
        return Err(OpError::NotFound(format!("{kind} {name} does not exist")));
    }
    let text = config::text(&objects, all);
    let lines = text.lines().map(str::to_owned).collect();
    Ok(Output::Story { lines, facts: json!({ "objects": objects.len(), "text": text }) })
}

async fn apply(context: &Context, input: &Input) -> Result<Output, OpError> {
    let bundle = input.bundle("file").ok_or(InputError::Absent("file"))?;
    let prune = if input.is_set("prune") { Prune::Kinds } else { Prune::Nothing };
    let plan = of_files(context, bundle, prune, input.is_set("skip_secrets")).await?;
    carry_out(context, ("apply", &bundle.title()), plan, input.is_set("dry_run")).await
}

/// The plan of what files declare.
async fn of_files(
    context: &Context,
    bundle: &Bundle,
    prune: impl Fn(std::collections::BTreeSet<Kind>) -> Prune,
    skip_secrets: bool,
) -> Result<Plan, OpError> {
    let declared = config::read(bundle.documents()).map_err(|all| OpError::Refused(all.join("\n")))?;
    let prune = prune(declared.kinds.clone());
    let wanted = config::resolve(declared, bundle)?;
    plan(context, wanted, &prune, skip_secrets).await
}

/// Makes the changes of a plan, or looks whether they could be made.
pub(super) async fn carry_out(
    context: &Context,
    (action, name): (&str, &str),
    plan: Plan,
    dry_run: bool,
) -> Result<Output, OpError> {
    let mut told = lines(&plan);
    let mut data = facts(&plan);
    let before = context.engine.db().objects().revision().await.map_err(failed)?;
    let changes = plan.changes(context, !dry_run).await?;
    let (end, warnings) = if changes.is_empty() {
        ("nothing to change".to_owned(), Vec::new())
    } else if dry_run {
        let stored = context.engine.stored().await.map_err(failed)?;
        ("nothing was changed: this was a dry run".to_owned(), changes::examine(context, &stored, &changes)?)
    } else {
        let made = changes::commit(context, (action, &base::brief(name, 64)), changes).await?;
        let now = context.engine.db().objects().revision().await.map_err(failed)?;
        (format!("done: now at point {now}; `gatehouse rollback -all -point {before}` undoes it"), made.warnings)
    };
    told.extend(warnings.iter().take(WARNINGS_MAX).map(|text| format!("warning: {text}")));
    let more = warnings.len().saturating_sub(WARNINGS_MAX);
    told.extend((more > 0).then(|| format!("warning: and {more} more, as `gatehouse check` lists them")));
    told.push(end.clone());
    if let Some(data) = data.as_object_mut() {
        data.insert("applied".to_owned(), (!dry_run).into());
        data.insert("end".to_owned(), end.into());
        data.insert("point".to_owned(), context.engine.db().objects().revision().await.map_err(failed)?.into());
        if let Some(all) = data.get_mut("warnings").and_then(|w| w.as_array_mut()) {
            all.extend(warnings.into_iter().map(serde_json::Value::from));
        }
    }
    Ok(Output::Story { lines: told, facts: data })
}

async fn diff(context: &Context, input: &Input) -> Result<Output, OpError> {
    let object = object_of(input)?;
    if let Some(bundle) = input.bundle("file") {
        if object.0.is_some() {
            return Err(together("compare either files or one object: give -file, or kind, name and point"));
        }
        let plan = of_files(context, bundle, Prune::Nothing, true).await?;
        return Ok(Output::Story { lines: lines(&plan), facts: facts(&plan) });
    }
    let ((Some(kind), Some(name)), Some(point)) = (object, input.int("point")) else {
        return Err(together("compare what? give kind, name and point, or -file"));
    };
    let then = object_at(context, (kind, name), point).await?;
    let (later, when) = match input.int("other") {
        Some(other) => (object_at(context, (kind, name), other).await?, format!("at point {other}")),
        None => {
            let stored = context.engine.stored().await.map_err(failed)?;
            let own = |o: &&Object| o.kind == kind && o.name == name;
            let same = |o: &&Object| then.as_ref().is_some_and(|then| then.id == o.id);
            let found = stored.objects().find(same).or_else(|| stored.objects().find(own));
            (found.cloned(), "now".to_owned())
        }
    };
    let title = format!("{kind} {name}");
    let (head, fields) = match (&then, &later) {
        (None, None) => return Err(OpError::NotFound(format!("{title} did not exist at point {point}, nor {when}"))),
        (None, Some(_)) => (format!("{title} did not exist at point {point}, and does {when}"), Vec::new()),
        (Some(_), None) => (format!("{title} existed at point {point}, and does not {when}"), Vec::new()),
        (Some(then), Some(later)) => match differences(then, later) {
            none if none.is_empty() => (format!("{title} is {when} what it was at point {point}"), none),
            some => (format!("{title}: from point {point} to {when}"), some),
        },
    };
    let changed = fields.iter().flat_map(|field| field_lines(field, Change::Update));
    let data = fields.iter().map(|f| json!({ "field": f.field, "old": f.old, "new": f.new })).collect::<Vec<_>>();
    let data =
        json!({ "kind": kind, "name": name, "existed": then.is_some(), "exists": later.is_some(), "fields": data });
    Ok(Output::Story { lines: std::iter::once(head).chain(changed).collect(), facts: data })
}

async fn object_at(context: &Context, (kind, name): (Kind, &str), point: i64) -> Result<Option<Object>, OpError> {
    let rows = context.engine.db().objects().as_of(point).await.map_err(failed)?;
    Ok(rows.iter().find(|row| row.kind == kind && row.name == name).map(at_point))
}

async fn rollback(context: &Context, input: &Input) -> Result<Output, OpError> {
    let point = input.int("point").ok_or(InputError::Absent("point"))?;
    let (dry_run, all) = (input.is_set("dry_run"), input.is_set("all"));
    let mut wanted = wanted_at(context, point).await?;
    match object_of(input)? {
        (None, None) if all => {
            let plan = plan(context, wanted, &Prune::AllButPrivateKeys, false).await?;
            carry_out(context, ("rollback", &format!("to point {point}")), plan, dry_run).await
        }
        (Some(kind), Some(name)) if !all => {
            wanted.retain(|w| w.kind == kind && w.name == name);
            if wanted.is_empty() {
                return Err(OpError::NotFound(format!(
                    "{kind} {name} did not exist at point {point}: see `gatehouse history {kind} {name}`"
                )));
            }
            let plan = plan(context, wanted, &Prune::Nothing(std::collections::BTreeSet::new()), false).await?;
            carry_out(context, ("rollback", &format!("{kind} {name} to point {point}")), plan, dry_run).await
        }
        _ => Err(together("go back with what? give kind and name, or -all")),
    }
}

/// Kind and name, as far as they are given.
fn object_of(input: &Input) -> Result<(Option<Kind>, Option<&str>), OpError> {
    let kind = input.text("kind").map(super::observe::kind_of).transpose()?;
    Ok((kind, input.text("name")))
}

fn together(text: &str) -> OpError {
    OpError::Syntax(InputError::Together(text.to_owned()))
}
