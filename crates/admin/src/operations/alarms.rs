//! Alarms: what needs a person.

use db::Alarm;
use model::Field;

use crate::changes::failed;
use crate::{Cell, Context, Effect, Input, InputError, OpError, Operation, Output, Param, Resource, Right};

/// Alarms that one list shows.
const LISTED_MAX: u32 = 200;

const fn right(letter: char) -> Right {
    Right { resource: Resource::Transfers, letter }
}

/// The family.
pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        name: "alarm list",
        title: "List open alarms: cause, effect, next step",
        right: right('R'),
        effect: Effect::Read,
        params: || vec![Param::switch("all", "also those that are over, the newest first")],
        run: |context, input| Box::pin(list(context, input)),
    },
    Operation {
        name: "alarm acknowledge",
        title: "Take note of an alarm: it no longer makes `status` fail",
        right: right('A'),
        effect: Effect::Control,
        params: || vec![Param::of(ID).positional()],
        run: |context, input| Box::pin(acknowledge(context, input)),
    },
    Operation {
        name: "alarm test",
        title: "Send a letter that says it is a test",
        right: right('A'),
        effect: Effect::Control,
        params: Vec::new,
        run: |context, _| Box::pin(test(context)),
    },
];

const ID: Field = Field::int("number", (1, i64::MAX), "", "number of the alarm").shorts(&["id"]).required();

async fn list(context: &Context, input: &Input) -> Result<Output, OpError> {
    let alarms = context.engine.db().alarms();
    let found = match input.is_set("all") {
        true => alarms.newest(LISTED_MAX).await,
        false => alarms.open().await,
    };
    let columns =
        ["number", "severity", "rule", "subject", "since", "until", "noted by", "cause", "effect", "next step"];
    let row = |a: Alarm| {
        let time = |at: Option<base::UtcMicros>| at.map_or(Cell::None, |at| at.to_string().into());
        vec![
            Cell::from(a.id),
            a.what.severity.into(),
            a.what.rule.into(),
            a.what.subject.into(),
            time(Some(a.opened_at)),
            time(a.closed_at),
            a.acknowledged_by.map_or(Cell::None, Cell::from),
            a.what.cause.into(),
            a.what.effect.into(),
            a.what.next_step.into(),
        ]
    };
    let rows = found.map_err(failed)?.into_iter().map(row).collect();
    Ok(Output::Table { columns: columns.map(str::to_owned).to_vec(), rows })
}

async fn acknowledge(context: &Context, input: &Input) -> Result<Output, OpError> {
    let id = input.int("number").ok_or(InputError::Absent("number"))?;
    match context.engine.acknowledge_alarm(id, &context.actor.name).await.map_err(failed)? {
        true => Ok(Output::done(format!("alarm {id} is noted"))),
        false => Err(OpError::Refused(format!("alarm {id} is not open, or was noted already"))),
    }
}

async fn test(context: &Context) -> Result<Output, OpError> {
    context.engine.test_mail().await.map_err(OpError::Refused)?;
    Ok(Output::done("the mail server took a letter"))
}
