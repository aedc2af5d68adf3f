//! Webhooks: web servers that are told of events. Ours, so under short names.

use std::sync::Arc;

use base::Shown;
use engine::watch::{Answer, new_secret, signing_key};
use model::{EVENT_TYPES, Kind, ObjectState, Webhook};
use serde_json::json;

use super::objects::{self, name_of, save_changed, stored};
use crate::changes::failed;
use crate::{Cell, Context, Effect, Input, OpError, Operation, Output, Param, Resource, Right, sealing};

/// Events that one list shows.
const LISTED_MAX: u32 = 200;
/// Events that one count takes.
const COUNTED_MAX: u32 = 100_000;

const fn right(letter: char) -> Right {
    Right { resource: Resource::Configuration, letter }
}

/// An operation on the webhooks.
macro_rules! webhook {
    ($name:literal, $letter:literal, $effect:ident, $params:expr, $run:expr, $title:literal) => {
        Operation {
            name: concat!("webhook ", $name),
            title: $title,
            right: right($letter),
            effect: Effect::$effect,
            params: $params,
            run: $run,
        }
    };
}

/// The family.
pub(super) static OPERATIONS: &[Operation] = &[
    webhook!(
        "add",
        'U',
        Change,
        || objects::positional_name(objects::create_params(Kind::Webhook)),
        |context, input| Box::pin(add(context, input)),
        "Tell a web server of events; without a secret one is made and shown once"
    ),
    webhook!(
        "update",
        'U',
        Change,
        || objects::positional_name(objects::update_params(Kind::Webhook)),
        |context, input| Box::pin(update(context, input)),
        "Change a webhook; what is not given stays"
    ),
    webhook!(
        "list",
        'R',
        Read,
        || objects::criteria(Kind::Webhook),
        |context, input| Box::pin(list(context, input)),
        "List webhooks and how they stand"
    ),
    webhook!(
        "show",
        'R',
        Read,
        name,
        |context, input| Box::pin(objects::display(context, input, Kind::Webhook)),
        "Show everything about a webhook"
    ),
    webhook!(
        "disable",
        'U',
        Change,
        name,
        |context, input| Box::pin(switch(context, input, ObjectState::Disabled)),
        "Tell it nothing more; what waits is kept"
    ),
    webhook!(
        "enable",
        'U',
        Change,
        name,
        |context, input| Box::pin(switch(context, input, ObjectState::Enabled)),
        "Tell it again"
    ),
    webhook!(
        "delete",
        'U',
        Change,
        || objects::delete_params(Kind::Webhook),
        |context, input| Box::pin(objects::delete(context, input, Kind::Webhook)),
        "Delete a webhook with what waits for it"
    ),
    webhook!(
        "rotate",
        'U',
        Change,
        || {
            let mut params = name();
            params.push(Param::switch("end", "the old secret signs no more"));
            params
        },
        |context, input| Box::pin(rotate(context, input)),
        "Make a new secret and show it once; the old one signs as well, until -end"
    ),
    webhook!(
        "test",
        'A',
        Control,
        name,
        |context, input| Box::pin(test(context, input)),
        "Post a sample and print the answer"
    ),
    webhook!(
        "again",
        'A',
        Control,
        name,
        |context, input| Box::pin(again(context, input)),
        "Send at once what waits, and what was given up"
    ),
    webhook!(
        "waiting",
        'R',
        Read,
        name,
        |context, input| Box::pin(waiting(context, input)),
        "List events that wait for a webhook, and those that were given up"
    ),
    webhook!("events", 'R', Read, Vec::new, |_, _| Box::pin(async { Ok(types()) }), "List every type of event"),
];

fn name() -> Vec<Param> {
    objects::name_params(Kind::Webhook)
}

/// Refuses a secret that signs nothing.
fn check(input: &Input) -> Result<(), OpError> {
    for field in ["secret", "old_secret"] {
        if let Some(secret) = input.secret(field) {
            signing_key(secret.expose()).map_err(OpError::Refused)?;
        }
    }
    Ok(())
}

/// An input that holds one new secret, and its text.
fn made(field: &'static str) -> Result<(Input, String), OpError> {
    let secret = new_secret().map_err(OpError::Failed)?;
    let mut input = Input::default();
    give(&mut input, field, &secret)?;
    Ok((input, secret))
}

fn give(input: &mut Input, field: &'static str, text: &str) -> Result<(), OpError> {
    let found = Kind::Webhook.descriptor().field(field);
    let field = found.ok_or_else(|| OpError::Failed(format!("a webhook has no field {field}")))?;
    Ok(input.give(&Param::of(*field), text)?)
}

/// The same output, with a secret that is shown this once.
fn with_secret(output: Output, secret: String) -> Output {
    match output {
        Output::Done { text, mut facts, warnings } => {
            let text = format!("{text}; its secret, shown only now: {secret}");
            facts.push(("secret".to_owned(), secret.into()));
            Output::Done { text, facts, warnings }
        }
        other => other,
    }
}

async fn add(context: &Context, input: &Input) -> Result<Output, OpError> {
    check(input)?;
    if input.secret("secret").is_some() {
        return objects::create(context, input, Kind::Webhook).await;
    }
    let (own, secret) = made("secret")?;
    let created = objects::create_with(context, input, Kind::Webhook, &own).await?;
    Ok(with_secret(created, secret))
}

async fn update(context: &Context, input: &Input) -> Result<Output, OpError> {
    check(input)?;
    objects::update(context, input, Kind::Webhook).await
}

async fn switch(context: &Context, input: &Input, state: ObjectState) -> Result<Output, OpError> {
    let mut object = stored(context, Kind::Webhook, &name_of(input, Kind::Webhook)?).await?;
    object.state = state;
    save_changed(context, object, &Input::default()).await
}

async fn rotate(context: &Context, input: &Input) -> Result<Output, OpError> {
    let mut object = stored(context, Kind::Webhook, &name_of(input, Kind::Webhook)?).await?;
    let field = |name: &'static str| {
        let found = Kind::Webhook.descriptor().field(name);
        found.ok_or_else(|| OpError::Failed(format!("a webhook has no field {name}")))
    };
    if input.is_set("end") {
        if !object.secrets.remove("old_secret") {
            return Err(OpError::Refused(format!("webhook {} has no old secret", object.name)));
        }
        return objects::save_without(context, object, "old_secret").await;
    }
    let (mut own, secret) = made("secret")?;
    if let Some(old) = sealing::opened(context, object.id, field("secret")?).await? {
        let text =
            std::str::from_utf8(old.expose()).map_err(|_| OpError::Failed("the secret is no text".to_owned()))?;
        give(&mut own, "old_secret", text)?;
        object.secrets.insert("old_secret".to_owned());
    }
    object.secrets.insert("secret".to_owned());
    Ok(with_secret(save_changed(context, object, &own).await?, secret))
}

async fn list(context: &Context, input: &Input) -> Result<Output, OpError> {
    let columns =
        ["name", "state", "url", "events", "waiting", "parked", "sent", "dropped", "last success", "last failure"];
    let mut rows = Vec::new();
    for object in context.engine.snapshot().objects(Kind::Webhook) {
        if !objects::fits(object, input.values()) {
            continue;
        }
        let outbox = context.engine.db().events().outbox(&object.name, COUNTED_MAX).await.map_err(failed)?;
        let value = |name: &str| {
            let found = Kind::Webhook.descriptor().parameter(name);
            found.map_or(Cell::None, |(place, field)| objects::cell(object, place, &field))
        };
        let time = |at: Option<base::UtcMicros>| at.map_or(Cell::None, |at| at.to_string().into());
        let failure = match outbox.last_error_at {
            Some(at) => Cell::from(format!("{at} {}", outbox.last_error)),
            None => Cell::None,
        };
        rows.push(vec![
            object.name.as_str().into(),
            value("state"),
            value("url"),
            value("events"),
            outbox.waiting.into(),
            outbox.parked.into(),
            outbox.sent.into(),
            outbox.dropped.into(),
            time(outbox.last_ok_at),
            failure,
        ]);
    }
    Ok(Output::Table { columns: columns.map(str::to_owned).to_vec(), rows })
}

fn meant(context: &Context, input: &Input) -> Result<Arc<Webhook>, OpError> {
    let name = name_of(input, Kind::Webhook)?;
    let snapshot = context.engine.snapshot();
    let found = snapshot.webhook(&name).cloned();
    found.ok_or_else(|| {
        OpError::NotFound(format!("webhook {name} does not exist, or can't be used: run `gatehouse check`"))
    })
}

async fn test(context: &Context, input: &Input) -> Result<Output, OpError> {
    let hook = meant(context, input)?;
    let Answer { status, text, .. } = context
        .engine
        .test_webhook(&hook)
        .await
        .map_err(|text| OpError::Refused(format!("webhook {} did not answer: {text}", hook.name)))?;
    let body = Shown::from(text.as_str()).to_string();
    if !(200..300).contains(&status) {
        return Err(OpError::Refused(format!("webhook {} answers {status}: {body}", hook.name)));
    }
    Ok(Output::Done {
        text: format!("webhook {} answers {status}: {body}", hook.name).trim_end_matches([':', ' ']).to_owned(),
        facts: vec![("status".to_owned(), i64::from(status).into()), ("body".to_owned(), body.into())],
        warnings: Vec::new(),
    })
}

async fn again(context: &Context, input: &Input) -> Result<Output, OpError> {
    let hook = meant(context, input)?;
    let events = context.engine.db().events().again(&hook.name).await.map_err(failed)?;
    Ok(Output::Done {
        text: format!("{events} events for webhook {} are sent at once", hook.name),
        facts: vec![("events".to_owned(), i64::try_from(events).unwrap_or(i64::MAX).into())],
        warnings: Vec::new(),
    })
}

async fn waiting(context: &Context, input: &Input) -> Result<Output, OpError> {
    let name = name_of(input, Kind::Webhook)?;
    let events = context.engine.db().events();
    let waiting = events.waiting(&name, LISTED_MAX).await.map_err(failed)?;
    let parked = events.parked(&name, LISTED_MAX).await.map_err(failed)?;
    let columns = ["number", "time", "type", "about", "state", "tries", "next try", "last answer"];
    let row = |(state, event): (&str, db::Event)| {
        let kind = EVENT_TYPES.iter().find(|one| one.code == event.code).map_or(event.code.as_str(), |one| one.name);
        let next = if event.next_at.0 > 0 { event.next_at.to_string().into() } else { Cell::None };
        vec![
            Cell::from(event.seq),
            event.at.to_string().into(),
            kind.into(),
            event.subject.into(),
            state.into(),
            event.tries.into(),
            next,
            event.answer.into(),
        ]
    };
    let parked = parked.into_iter().map(|event| ("parked", event));
    let rows = parked.chain(waiting.into_iter().map(|event| ("waiting", event))).map(row).collect();
    Ok(Output::Table { columns: columns.map(str::to_owned).to_vec(), rows })
}

fn types() -> Output {
    let lines = EVENT_TYPES.iter().map(|one| format!("{:<28} {}", one.name, one.about)).collect();
    let facts = EVENT_TYPES.iter().map(|one| json!({ "type": one.name, "about": one.about })).collect();
    Output::Story { lines, facts }
}
