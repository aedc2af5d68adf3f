//! The one way an operation is carried out: check, audit the attempt, act, audit the result, swap the snapshot.

use std::sync::Arc;

use db::{Actor, AuditResult, Entry};
use engine::Engine;

use crate::{Effect, Input, OpError, Operation, Output, find};

/// What every operation may use.
#[derive(Clone)]
pub struct Context {
    /// The engine, running or opened for this one command.
    pub engine: Arc<Engine>,
    /// Who asks.
    pub actor: Actor,
    /// What weakens this instance by its settings, a sentence each; `check` prints them.
    pub weaknesses: Arc<[String]>,
}

/// Carries out the operation `name`.
///
/// # Errors
/// [`OpError`]; nothing has changed then, unless the text says so.
pub async fn execute(context: &Context, name: &str, input: &Input) -> Result<Output, OpError> {
    let operation = find(name).ok_or_else(|| crate::InputError::UnknownOperation(name.to_owned()))?;
    input.check(&(operation.params)())?;
    let result = match operation.effect {
        // A change of objects is audited where it is made, in the transaction that makes it.
        Effect::Read | Effect::Change => (operation.run)(context, input).await,
        Effect::Control => audited(context, operation, input).await,
    };
    if operation.effect == Effect::Change && result.is_ok() {
        context.engine.reload().await.map_err(|e| OpError::Failed(format!("saved, but not yet in force: {e}")))?;
    }
    log(operation, context, &result);
    result
}

/// Carries out an operation between two entries of the audit (AUD-2). What can't be recorded is not done (AUD-1).
async fn audited(context: &Context, operation: &Operation, input: &Input) -> Result<Output, OpError> {
    let audit = context.engine.db().audit();
    let given: serde_json::Map<String, serde_json::Value> =
        input.values().map(|(name, value)| (name.to_owned(), serde_json::json!(value))).collect();
    let named = (operation.params)().into_iter().find(|p| p.positional).and_then(|p| input.value(p.name()));
    let entry = |tag, result, after: serde_json::Value| Entry {
        tag,
        actor: context.actor.clone(),
        action: operation.name.to_owned(),
        result,
        kind: format!("{:?}", operation.right.resource).to_uppercase(),
        name: named.map(ToString::to_string).unwrap_or_default(),
        before_json: None,
        after_json: Some(after.to_string()),
    };
    let failed = |e: db::DbError| OpError::Failed(format!("not done, since it could not be recorded: {e}"));
    let tag = audit.append(entry(None, AuditResult::Attempt, given.into())).await.map_err(failed)?;
    let result = (operation.run)(context, input).await;
    let (outcome, after) = match &result {
        Ok(output) => (AuditResult::Success, output.json()),
        Err(error) => (AuditResult::Failed, serde_json::json!({ "error": error.to_string() })),
    };
    if let Err(error) = audit.append(entry(Some(tag), outcome, after)).await {
        tracing::error!(operation = operation.name, %error, "the result of an operation could not be audited");
    }
    result
}

fn log(operation: &Operation, context: &Context, result: &Result<Output, OpError>) {
    let (name, actor) = (operation.name, context.actor.name.as_str());
    match result {
        Ok(_) if operation.effect == Effect::Read => tracing::debug!(operation = name, actor, "operation done"),
        Ok(_) => tracing::info!(operation = name, actor, "operation done"),
        Err(error) => tracing::warn!(operation = name, actor, %error, "operation refused"),
    }
}
