//! A plan and its differences, for people and for programs.

use model::Value;
use serde_json::{Value as Json, json};

use super::{Change, FieldChange, Plan};

/// Titles of objects that stay which are listed.
const LEFT_MAX: usize = 50;

/// The plan as lines: what is created, changed and deleted, with each field; then how many.
pub(crate) fn lines(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    for step in &plan.steps {
        let word = match step.change {
            Change::Create => "+ create",
            Change::Update => "~ update",
            Change::Delete => "- delete",
        };
        lines.push(format!("{word} {}", step.object.title()));
        lines.extend(step.fields.iter().flat_map(|field| field_lines(field, step.change)));
    }
    if !plan.left.is_empty() {
        lines.push(format!("left alone, though not in the files: {}", plan.left.len()));
        lines.extend(plan.left.iter().take(LEFT_MAX).map(|title| format!("    {title}")));
        let more = plan.left.len().saturating_sub(LEFT_MAX);
        lines.extend((more > 0).then(|| format!("    and {more} more")));
    }
    lines.extend(plan.warnings.iter().map(|text| format!("warning: {text}")));
    lines.push(summary(plan));
    lines
}

fn summary(plan: &Plan) -> String {
    format!(
        "{} to create, {} to update, {} to delete, {} unchanged",
        plan.count(Change::Create),
        plan.count(Change::Update),
        plan.count(Change::Delete),
        plan.unchanged
    )
}

/// The same for programs.
pub(crate) fn facts(plan: &Plan) -> Json {
    let field = |f: &FieldChange| json!({ "field": f.field, "old": f.old, "new": f.new });
    let step = |s: &super::plan::Step| {
        json!({
            "change": match s.change { Change::Create => "create", Change::Update => "update", Change::Delete => "delete" },
            "kind": s.object.kind.as_str(),
            "name": s.object.name,
            "fields": s.fields.iter().map(field).collect::<Vec<_>>(),
        })
    };
    json!({
        "changes": plan.steps.iter().map(step).collect::<Vec<_>>(),
        "unchanged": plan.unchanged,
        "left": plan.left,
        "warnings": plan.warnings,
    })
}

/// A field as it was and will be. Of a list, only the items that go and come are told, unless only their order changes.
pub(crate) fn field_lines(change: &FieldChange, of: Change) -> Vec<String> {
    let FieldChange { field, old, new, default } = change;
    if of == Change::Create {
        return new.iter().map(|value| format!("    {field} = {}", text(value))).collect();
    }
    if let (Some(Value::List(old)), Some(Value::List(new))) = (old, new) {
        let gone = old.iter().filter(|item| !new.contains(item)).map(|item| format!("        - {item:?}"));
        let come = new.iter().filter(|item| !old.contains(item)).map(|item| format!("        + {item:?}"));
        let items: Vec<String> = gone.chain(come).collect();
        if !items.is_empty() {
            return std::iter::once(format!("    {field}")).chain(items).collect();
        }
    }
    let shown = |value: &Option<Value>| match (value, default) {
        (Some(value), _) => text(value),
        (None, Some(default)) => format!("{default} (default)"),
        (None, None) => "(none)".to_owned(),
    };
    vec![format!("    {field}: {} → {}", shown(old), shown(new))]
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) if text.starts_with("***") => text.clone(),
        Value::Text(text) => format!("{text:?}"),
        Value::List(items) => format!("{items:?}"),
        Value::Flag(flag) => flag.to_string(),
        Value::Int(n) => n.to_string(),
    }
}
