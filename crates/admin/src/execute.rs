//! The one way an operation is carried out: check, audit the attempt, act, audit the result, swap the snapshot.

use std::sync::Arc;

use db::{Actor, AuditResult, DbError, Entry};
use engine::Engine;
use serde_json::{Map, Value as Json, json};

use crate::input::Wire;
use crate::partner::CallPartner;
use crate::{Content, Effect, Form, Input, InputError, OpError, Operation, Output, find};

/// Most characters of one value, or of a refusal, that the audit keeps of an attempt that came to nothing.
const AUDITED_CHARS_MAX: usize = 256;

/// What every operation may use.
#[derive(Clone)]
pub struct Context {
    /// The engine, running or opened for this one command.
    pub engine: Arc<Engine>,
    /// Who asks.
    pub actor: Actor,
    /// What weakens this instance by its settings, a sentence each.
    pub weaknesses: Arc<[String]>,
    /// What a support bundle tells of this instance.
    pub about: Arc<About>,
    /// Who calls partners, to test connections; none where there is nobody who could.
    pub caller: Option<Arc<dyn CallPartner>>,
    /// Content that streams beside the operation.
    pub content: Content,
}

impl Context {
    /// What weakens this instance beside its objects, a sentence each; `check` prints them.
    pub(crate) fn weak_settings(&self) -> impl Iterator<Item = String> {
        self.weaknesses.iter().cloned().chain(self.engine.master_not_wrapped())
    }
}

/// What a support bundle tells of an instance, beside what the engine knows.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The settings file, without secrets.
    pub settings: String,
    /// The file that log lines go to, if they go to one.
    pub log_file: Option<std::path::PathBuf>,
}

/// Carries out the operation `name`.
///
/// # Errors
/// [`OpError`]; nothing has changed then, unless the text says so.
pub async fn execute(context: &Context, name: &str, input: &Input) -> Result<Output, OpError> {
    let operation = known(name)?;
    let asked = Asked { context, operation, given: input.given() };
    if let Err(error) = input.check(&(operation.params)()) {
        return Err(asked.refused(error.into()).await);
    }
    let result = match operation.effect {
        Effect::Read => (operation.run)(context, input).await,
        Effect::Change => asked.change(input).await,
        Effect::Control => asked.control(input).await,
    };
    log(operation, context, &result);
    result
}

/// The same with an input as it came over the socket.
pub(crate) async fn execute_wire(context: &Context, name: &str, wire: Wire) -> Result<Output, OpError> {
    let operation = known(name)?;
    let asked = Asked { context, operation, given: wire.given() };
    match wire.into_input(&(operation.params)()) {
        Ok(input) => execute(context, name, &input).await,
        Err(error) => Err(asked.refused(error.into()).await),
    }
}

/// Writes down that an account without the right to ask anything did so (AUD-2).
pub(crate) async fn denied(context: &Context) {
    let entry = |tag, result| Entry {
        tag,
        actor: context.actor.clone(),
        action: "administration".to_owned(),
        result,
        kind: "CONFIGURATION".to_owned(),
        name: String::new(),
        before_json: None,
        after_json: None,
    };
    pair(context, entry(None, AuditResult::Attempt), |tag| entry(Some(tag), AuditResult::Denied)).await;
}

fn known(name: &str) -> Result<&'static Operation, OpError> {
    find(name).ok_or_else(|| OpError::Syntax(InputError::UnknownOperation(base::brief(name, AUDITED_CHARS_MAX))))
}

/// An operation that was asked for.
struct Asked<'a> {
    context: &'a Context,
    operation: &'static Operation,
    /// Values by name; `None` stands for one that must not be seen.
    given: Vec<(String, Option<String>)>,
}

impl Asked<'_> {
    /// A change of objects is audited in the transaction that makes it; what did not get that far, here.
    async fn change(&self, input: &Input) -> Result<Output, OpError> {
        let done = match (self.operation.run)(self.context, input).await {
            Ok(done) => done,
            Err(OpError::Recorded(error)) => return Err(*error),
            Err(error) => {
                self.record(&error).await;
                return Err(error);
            }
        };
        let reloaded = self.context.engine.reload().await;
        reloaded.map_err(|e| OpError::Failed(format!("saved, but not yet in force: {e}")))?;
        Ok(done)
    }

    /// Carries out an operation between two entries of the audit (AUD-2). What can't be recorded is not done (AUD-1).
    async fn control(&self, input: &Input) -> Result<Output, OpError> {
        let audit = self.context.engine.db().audit();
        let failed = |e: DbError| OpError::Failed(format!("not done, since it could not be recorded: {e}"));
        let tag = audit.append(self.entry(None, AuditResult::Attempt, self.asked())).await.map_err(failed)?;
        let result = (self.operation.run)(self.context, input).await;
        let (outcome, after) = match &result {
            Ok(output) => (AuditResult::Success, kept(output)),
            Err(error) => (AuditResult::Failed, told(error)),
        };
        if let Err(error) = audit.append(self.entry(Some(tag), outcome, after)).await {
            let operation = self.operation.name;
            tracing::error!(operation, %error, "the result of an operation could not be audited");
        }
        result
    }

    /// The error of an input that is not the operation's: it comes to nothing, and is audited if it asked for an effect.
    async fn refused(&self, error: OpError) -> OpError {
        if self.operation.effect != Effect::Read {
            self.record(&error).await;
        }
        log(self.operation, self.context, &Err::<Output, _>(&error));
        error
    }

    /// Writes the attempt and why it came to nothing.
    async fn record(&self, error: &OpError) {
        let attempt = self.entry(None, AuditResult::Attempt, self.asked());
        pair(self.context, attempt, |tag| self.entry(Some(tag), AuditResult::Failed, told(error))).await;
    }

    /// What was given, bounded: values that no parameter bounds are cut, and what no parameter is called is left out.
    fn asked(&self) -> Json {
        let mut shown = Map::new();
        for param in (self.operation.params)() {
            let Some((name, value)) = self.given.iter().find(|(name, _)| name == param.name()) else { continue };
            let value = value.as_ref().filter(|_| !param.is_secret() && param.form != Form::File);
            let value = value.map_or_else(|| "***".to_owned(), |text| base::brief(text, AUDITED_CHARS_MAX));
            shown.insert(name.clone(), Json::String(value));
        }
        Json::Object(shown)
    }

    fn entry(&self, tag: Option<i64>, result: AuditResult, after: Json) -> Entry {
        let params = (self.operation.params)();
        let named = params.iter().find(|p| p.positional || p.field.required).filter(|p| !p.is_secret());
        let name = named.and_then(|p| self.given.iter().find(|(name, _)| name == p.name()));
        Entry {
            tag,
            actor: self.context.actor.clone(),
            action: self.operation.name.to_owned(),
            result,
            kind: format!("{:?}", self.operation.right.resource).to_uppercase(),
            name: name.and_then(|(_, value)| value.as_ref()).map(|v| base::brief(v, 64)).unwrap_or_default(),
            before_json: None,
            after_json: Some(after.to_string()),
        }
    }
}

/// An attempt with its end.
async fn pair(context: &Context, attempt: Entry, end: impl FnOnce(i64) -> Entry) {
    let audit = context.engine.db().audit();
    let written = match audit.append(attempt).await {
        Ok(tag) => audit.append(end(tag)).await,
        Err(error) => Err(error),
    };
    if let Err(error) = written {
        tracing::error!(%error, actor = context.actor.name, "a refused attempt could not be audited");
    }
}

/// What an operation gave. Of what it hands out only the length: the audit is no copy of an export.
fn kept(output: &Output) -> Json {
    let json = output.json();
    match output {
        Output::Done { .. } => json,
        _ => json!({ "octets": json.to_string().len() }),
    }
}

fn told(error: &OpError) -> Json {
    json!({ "error": base::brief(&error.to_string(), AUDITED_CHARS_MAX) })
}

fn log<E: std::fmt::Display>(operation: &Operation, context: &Context, result: &Result<Output, E>) {
    let (name, actor) = (operation.name, context.actor.name.as_str());
    match result {
        Ok(_) if operation.effect == Effect::Read => tracing::debug!(operation = name, actor, "operation done"),
        Ok(_) => tracing::info!(operation = name, actor, "operation done"),
        Err(error) => tracing::warn!(operation = name, actor, %error, "operation refused"),
    }
}
