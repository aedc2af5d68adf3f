//! The one way an operation is carried out: check, audit the attempt, act, audit the result, swap the snapshot.

use std::sync::Arc;

use db::Actor;
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
    let result = (operation.run)(context, input).await;
    if operation.effect == Effect::Change && result.is_ok() {
        context.engine.reload().await.map_err(|e| OpError::Failed(format!("saved, but not yet in force: {e}")))?;
    }
    log(operation, context, &result);
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
