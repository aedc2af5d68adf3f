//! Where received files go: a short way to write a model, a decision rule and its place in a rule table (DESIGN 1.8).

use db::ObjectChange;
use model::{Field, FieldKind, Kind, Object, RouteFacts, Value};
use serde_json::json;

use super::objects::stored;
use super::observe::reasons;
use crate::changes::{self, blank, failed};
use crate::{Context, Effect, Input, InputError, OpError, Operation, Output, Param, Resource, Right};

const fn right(letter: char) -> Right {
    Right { resource: Resource::DecisionRules, letter }
}

/// The family.
pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        name: "route add",
        title: "Send files received in a folder, by a gate or from a site on to another site",
        right: right('W'),
        effect: Effect::Change,
        params: add_params,
        run: |context, input| Box::pin(add(context, input)),
    },
    Operation {
        name: "route list",
        title: "List routes in the order in which they are tried",
        right: right('R'),
        effect: Effect::Read,
        params: Vec::new,
        run: |context, _| Box::pin(list(context)),
    },
    Operation {
        name: "route delete",
        title: "Delete a route: its rule and its model",
        right: right('D'),
        effect: Effect::Change,
        params: || vec![Param::of(NAME).positional()],
        run: |context, input| Box::pin(delete(context, input)),
    },
    Operation {
        name: "explain route",
        title: "Say where a file would go, and why",
        right: right('R'),
        effect: Effect::Read,
        params: explain_params,
        run: |context, input| Box::pin(explain(context, input)),
    },
];

/// The table that `route add` writes its rules into.
pub(crate) const TABLE: &str = "ROUTES";
const NAME: Field = Field::text("name", 25, "name of the route").shorts(&["n"]).required();
/// Parameter, argument of the condition, help.
const CONDITIONS: &[(&str, &str, &str)] = &[
    ("from_dir", "dir_name", "files received in this virtual folder"),
    ("from_gate", "gate", "files received through this gate"),
    ("from_site", "site", "files received from this site"),
    ("from_login", "login", "files received by this login"),
    ("pattern", "file_name", "files with such a name; * and ?"),
];

fn conditions() -> impl Iterator<Item = Param> {
    CONDITIONS.iter().map(|(name, _, help)| Param::of(Field::text(name, 255, help)))
}

fn add_params() -> Vec<Param> {
    let to = Field::new("to", FieldKind::Ref(Kind::RemoteSite), "site that gets the file").required();
    let rest = [
        Field::text("to_dir", 255, "folder at the partner; the site's where none is given"),
        Field::text("as", 255, "name at the partner").default("&(file_name)"),
        Field::int("priority", (0, 2), "", "0 high, 1 medium, 2 low").default("1"),
    ];
    std::iter::once(Param::of(NAME).positional())
        .chain([Param::of(to)])
        .chain(conditions())
        .chain(rest.map(Param::of))
        .collect()
}

async fn add(context: &Context, input: &Input) -> Result<Output, OpError> {
    let name = text(input, "name")?.to_owned();
    let wanted: Vec<String> = CONDITIONS
        .iter()
        .filter_map(|(param, argument, _)| input.text(param).map(|value| format!("{argument} = {value}")))
        .collect();
    if wanted.is_empty() {
        let names = CONDITIONS.iter().map(|(param, ..)| format!("-{param}")).collect::<Vec<_>>().join(", ");
        return Err(OpError::Syntax(InputError::Together(format!("which files? give at least one of {names}"))));
    }
    let mut model = blank(Kind::TransferModel, name.clone());
    for (param, field) in [("to", "dest_alias"), ("to_dir", "dir_name"), ("as", "file_name"), ("priority", "priority")]
    {
        if let Some(value) = input.value(param) {
            model.body.insert(field.to_owned(), value.clone());
        }
    }
    let mut rule = blank(Kind::DecisionRule, name.clone());
    rule.body.insert("conditions".to_owned(), Value::List(wanted));
    rule.body.insert("model".to_owned(), Value::Text(name.clone()));
    let mut all = vec![new(model)?, new(rule)?];
    all.push(match context.engine.db().objects().find(Kind::RuleTable, TABLE).await.map_err(failed)? {
        Some(table) => {
            ObjectChange::Update(changes::update(with_rules(table, |rules| rules.push(name.clone())), Vec::new()))
        }
        None => new(with_rules(blank(Kind::RuleTable, TABLE.to_owned()), |rules| rules.push(name.clone())))?,
    });
    let made = changes::commit(context, ("route add", &name), all).await?;
    let text = format!("route {name} added: it is the last in table {TABLE}");
    Ok(Output::Done { text, facts: Vec::new(), warnings: made.warnings })
}

fn new(object: Object) -> Result<ObjectChange, OpError> {
    Ok(changes::creation(object, changes::new_uid()?, Vec::new(), None))
}

/// The table with other rules.
fn with_rules(mut table: Object, edit: impl FnOnce(&mut Vec<String>)) -> Object {
    let mut rules = rules_of(&table);
    edit(&mut rules);
    table.body.insert("rules".to_owned(), Value::List(rules));
    table
}

fn rules_of(table: &Object) -> Vec<String> {
    match table.body.get("rules") {
        Some(Value::List(rules)) => rules.clone(),
        _ => Vec::new(),
    }
}

async fn list(context: &Context) -> Result<Output, OpError> {
    let snapshot = context.engine.snapshot();
    let mut rows = Vec::new();
    for table in snapshot.objects(Kind::RuleTable) {
        for name in rules_of(table) {
            let Some(rule) = snapshot.object(Kind::DecisionRule, &name) else { continue };
            let shown =
                |object: &Object, field: &str| object.body.get(field).map_or(crate::Cell::None, crate::Cell::from);
            let model = shown(rule, "model").to_string();
            let to = snapshot.object(Kind::TransferModel, &model).map_or(crate::Cell::None, |m| shown(m, "dest_alias"));
            rows.push(vec![table.name.as_str().into(), name.into(), shown(rule, "conditions"), model.into(), to]);
        }
    }
    Ok(Output::Table { columns: ["Table", "Rule", "Conditions", "Model", "To"].map(str::to_owned).to_vec(), rows })
}

async fn delete(context: &Context, input: &Input) -> Result<Output, OpError> {
    let name = text(input, "name")?;
    let table = stored(context, Kind::RuleTable, TABLE).await?;
    let table = with_rules(table, |rules| rules.retain(|rule| rule != name));
    let rule = stored(context, Kind::DecisionRule, name).await?;
    let model = stored(context, Kind::TransferModel, name).await?;
    let table = ObjectChange::Update(changes::update(table, Vec::new()));
    let all = vec![table, changes::deletion(&rule), changes::deletion(&model)];
    changes::commit(context, ("route delete", name), all).await?;
    Ok(Output::done(format!("route {name} deleted")))
}

fn explain_params() -> Vec<Param> {
    let id =
        Field::int("transfer", (1, i64::MAX), "", "number of a received transfer; else give the facts").shorts(&["id"]);
    let size = Field::int("size", (0, i64::MAX), "octets", "size of the file");
    std::iter::once(Param::of(id).positional()).chain(conditions()).chain([Param::of(size)]).collect()
}

async fn explain(context: &Context, input: &Input) -> Result<Output, OpError> {
    let decision = match input.int("transfer") {
        Some(id) => {
            let explained = context.engine.explain_route_of(base::TransferId(id)).await;
            explained.map_err(|e| OpError::NotFound(e.to_string()))?
        }
        None => context.engine.explain_route(&facts(input)),
    };
    let mut lines = reasons(&decision.why);
    let outcome = match &decision.result {
        Ok(all) if all.is_empty() => vec!["=> nowhere: no rule, gate, folder or site names a destination".to_owned()],
        Ok(all) => all
            .iter()
            .map(|d| format!("=> to site {} as {:?} in {:?}, by {}", d.site, d.file_name, d.dir_name, d.rule))
            .collect(),
        Err(refusal) => vec![format!("=> routing fails: {refusal}")],
    };
    let sites: Vec<&str> = decision.result.iter().flatten().map(|d| d.site.as_str()).collect();
    let facts = json!({ "to": sites, "why": decision.why, "refused": decision.result.as_ref().err() });
    lines.extend(outcome);
    Ok(Output::Story { lines, facts })
}

fn facts(input: &Input) -> RouteFacts {
    let given = |name: &str| input.text(name).unwrap_or_default().to_owned();
    RouteFacts {
        dir_name: given("from_dir"),
        gate: given("from_gate"),
        site: given("from_site"),
        login: given("from_login"),
        file_name: given("pattern"),
        size: input.int("size").and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
        ..RouteFacts::default()
    }
}

fn text<'a>(input: &'a Input, name: &'static str) -> Result<&'a str, OpError> {
    input.text(name).ok_or(OpError::Syntax(InputError::Absent(name)))
}
