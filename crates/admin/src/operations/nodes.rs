//! Gateways that share a database: who is there, and what each is at work on.

use db::{NodeRow, NodeState};

use crate::changes::failed;
use crate::{Cell, Context, Effect, Input, OpError, Operation, Output, Param, Resource, Right};

/// The family.
pub(super) static OPERATIONS: &[Operation] = &[Operation {
    name: "node list",
    title: "List the gateways that share this database, their last sign of life and what they are at work on",
    right: Right { resource: Resource::Configuration, letter: 'R' },
    effect: Effect::Read,
    params: || vec![Param::switch("all", "also those that are no longer there")],
    run: |context, input| Box::pin(list(context, input)),
}];

async fn list(context: &Context, input: &Input) -> Result<Output, OpError> {
    let rows = context.engine.nodes().await.map_err(failed)?;
    let (all, shared, me) = (input.is_set("all"), context.engine.db().nodes().are_possible(), context.engine.node_id());
    let columns =
        ["Name", "Host", "State", "This", "Since", "Silent s", "Lease s", "Sending", "Serving", "Version", "Number"];
    let row = |n: NodeRow| {
        let late = shared && n.state == NodeState::Up && n.silent > n.lease;
        let state = if late { "late" } else { n.state.word() };
        let this = if n.id == me { "yes" } else { "" };
        // With SQLite there are no others that would want to know.
        let silent = if shared { seconds(n.silent.as_secs()) } else { 0 };
        vec![
            Cell::from(n.name),
            n.host.into(),
            state.into(),
            this.into(),
            n.started_at.to_string().into(),
            silent.into(),
            seconds(n.lease.as_secs()).into(),
            n.sending.into(),
            n.serving.into(),
            n.version.into(),
            n.id.into(),
        ]
    };
    let rows = rows.into_iter().filter(|n| all || n.state == NodeState::Up).map(row).collect();
    Ok(Output::Table { columns: columns.map(str::to_owned).to_vec(), rows })
}

fn seconds(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
