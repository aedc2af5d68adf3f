//! Routes to and from a partner: a rule, its model and its place in the table.

use model::{Condition, Kind, Operator, RouteFacts, RuleAction, Snapshot, Value, routes_for};

use super::draft::Draft;
use crate::OpError;
use crate::operations::ROUTE_TABLE;

/// Files of `conditions` go to `to`.
pub(crate) fn route(draft: &mut Draft<'_>, name: &str, conditions: Vec<String>, to: &str) -> Result<(), OpError> {
    draft.create(Kind::TransferModel, name, vec![("dest_alias", to.into())])?;
    draft.create(Kind::DecisionRule, name, vec![("conditions", Value::List(conditions)), ("model", name.into())])?;
    match draft.snapshot.object(Kind::RuleTable, ROUTE_TABLE) {
        None if !draft.has(Kind::RuleTable, ROUTE_TABLE) => {
            draft.create(Kind::RuleTable, ROUTE_TABLE, vec![("rules", Value::List(vec![name.to_owned()]))])?;
        }
        _ => {
            let mut rules = rules_of(draft);
            rules.push(name.to_owned());
            draft.set(Kind::RuleTable, ROUTE_TABLE, "rules", Value::List(rules));
        }
    }
    Ok(())
}

/// Rules in the table, as drafted or as stored.
fn rules_of(draft: &Draft<'_>) -> Vec<String> {
    let drafted = draft.wanted.iter().find(|w| w.kind == Kind::RuleTable && w.name == ROUTE_TABLE).map(|w| &w.body);
    let stored = draft.snapshot.object(Kind::RuleTable, ROUTE_TABLE).map(|o| &o.body);
    match drafted.or(stored).and_then(|body| body.get("rules")) {
        Some(Value::List(rules)) => rules.clone(),
        _ => Vec::new(),
    }
}

/// What keeps files of these conditions from going to `to` by the rule `name`, if something does.
pub(crate) fn hidden(s: &Snapshot, name: &str, to: &str) -> Option<String> {
    let rule = s.decision_rule(name)?;
    let facts = facts_of(&rule.conditions);
    let went = match routes_for(&facts, s).result {
        Ok(all) if all.iter().any(|d| d.site == to) => return None,
        Ok(all) => all.iter().map(|d| format!("to {} by {}", d.site, d.rule)).collect::<Vec<_>>().join(", "),
        Err(refusal) => refusal.to_string(),
    };
    let went = if went.is_empty() { "nowhere".to_owned() } else { went };
    Some(format!("route {name} would not act: files that fit it go {went} (see `gatehouse route list`)"))
}

/// A file that fits.
fn facts_of(conditions: &[Condition]) -> RouteFacts {
    let value = |argument: &str| {
        let found = conditions.iter().find(|c| c.argument == argument && c.operator == Operator::Equal);
        found.and_then(|c| c.values.first()).map(|v| v.replace(['*', '?'], "x")).unwrap_or_default()
    };
    let file = value("file_name");
    RouteFacts {
        dir_name: value("dir_name"),
        gate: value("gate"),
        site: value("site"),
        login: value("login"),
        file_name: if file.is_empty() { "x".to_owned() } else { file },
        ..RouteFacts::default()
    }
}

/// A route as people read it.
pub(crate) struct Route {
    /// The rule.
    pub(crate) name: String,
    /// When it acts.
    pub(crate) conditions: Vec<String>,
    /// The model.
    pub(crate) model: String,
    /// Where files go; empty if nowhere.
    pub(crate) to: String,
}

/// Every rule.
pub(crate) fn routes(s: &Snapshot) -> Vec<Route> {
    let route = |rule: &std::sync::Arc<model::DecisionRule>| {
        let model = match &rule.action {
            RuleAction::Model(model) => model.clone(),
            RuleAction::None => String::new(),
        };
        let to = s.model(&model).map(|m| m.destination.clone()).unwrap_or_default();
        Route {
            name: rule.name.clone(),
            conditions: rule.conditions.iter().map(ToString::to_string).collect(),
            model,
            to,
        }
    };
    s.decision_rules().map(route).collect()
}
