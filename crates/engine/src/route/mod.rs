//! From a settled upload to its next transfers: the decision is `model::routes_for`, here it is carried out, once.
//!
//! A committed upload rests for the settle time of its gate; opening or renaming it again begins the time anew
//! (DESIGN 1.2). Then decision, new transfers, links and reasons are one transaction, which a unique index keeps from
//! ever being done twice. A failure keeps the file and can be repeated (TRF-14).

mod facts;
mod settle;

use std::sync::Arc;

use base::{TransferId, UtcMicros};
use db::{DbError, Mode, NewTransfer, RouteState, Routing, State, Transfer, TransferChange};
use futures_util::future::join_all;
use model::{Decision, Delivery, Reason, RouteFacts};
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::error::{Cause, TransferError};
use crate::events::Event;
use crate::limits::{ROUTE_BATCH_MAX, ROUTE_BY_OTHERS_AFTER};
use crate::transfer::{Extra, db_error, is_unrouted};
use crate::vfd::is_temporary;
use crate::watch::StepTimer;

pub(crate) use settle::Settling;
pub use settle::run_routing;

/// Files routed at the same time, so that their transactions share one commit.
const AT_ONCE: usize = 32;
/// Pause before a routing is tried again that could not be recorded.
const RETRY_AFTER: std::time::Duration = std::time::Duration::from_secs(1);

fn by_others_after() -> i64 {
    UtcMicros(0).plus(ROUTE_BY_OTHERS_AFTER).0
}

/// Why a transfer was made, or routed: kept as `why_json`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Why {
    /// What decided, as `DECISION_RULE TO_B`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rule: String,
    /// Revision of the configuration that decided.
    pub revision: i64,
    /// Every object that mattered.
    pub reasons: Vec<WhyReason>,
}

/// One object and what it had to do with the decision.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct WhyReason {
    /// The object, as `DECISION_RULE TO_B`.
    pub object: String,
    /// Whether it took part in the outcome.
    pub matched: bool,
    /// Why, or why not.
    pub text: String,
}

impl Why {
    /// Of a record; empty if it has none.
    #[must_use]
    pub fn of(transfer: &Transfer) -> Self {
        serde_json::from_str(&transfer.why_json).unwrap_or_default()
    }

    fn new(reasons: &[Reason], rule: &str, revision: i64) -> Self {
        let reasons =
            reasons.iter().map(|r| WhyReason { object: r.object.clone(), matched: r.matched, text: r.text.clone() });
        Self { rule: rule.to_owned(), revision, reasons: reasons.collect() }
    }

    fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Engine {
    /// Routes every upload whose settle time is over. Gives how many there were.
    ///
    /// # Errors
    /// If the database does not give the list; what happens to a single file is in its record.
    pub async fn route_due(&self) -> Result<usize, TransferError> {
        self.follow_clock().await?;
        let now = self.clock.now();
        // What came to another node is routed there, unless that is late.
        let late = if self.node.is_shared() { UtcMicros(now.0.saturating_sub(by_others_after())) } else { now };
        let due = self.db.transfers().to_route((now, late), &self.node.id(), ROUTE_BATCH_MAX).await;
        let due = due.map_err(|e| db_error(&e))?;
        let mut done = 0;
        for batch in due.chunks(AT_ONCE) {
            for (t, routed) in batch.iter().zip(join_all(batch.iter().map(|t| self.route_one(t.id))).await) {
                match routed {
                    Ok(_) => done += 1,
                    // The record stays as it was: a later pass tries again.
                    Err(e) => {
                        tracing::warn!(transfer = t.id.0, error = %e, "routing could not be recorded");
                        self.settling.at(now.plus(RETRY_AFTER));
                    }
                }
            }
        }
        Ok(done)
    }

    /// Routes one upload if its time has come, as its record stands now. Gives the new transfers.
    async fn route_one(&self, id: TransferId) -> Result<Vec<TransferId>, TransferError> {
        let _alone = self.records.of(id).await;
        let now = self.clock.now();
        let Some(t) = self.db.transfers().get(id).await.map_err(|e| db_error(&e))? else { return Ok(Vec::new()) };
        // Renamed, reopened or removed while it stood in the list.
        let settled = t.route_state == RouteState::ToRoute && t.next_try_at <= now;
        if !settled || (!is_unrouted(&t) && t.state == State::Ended) {
            return Ok(Vec::new());
        }
        self.decide(&t, now).await
    }

    async fn decide(&self, t: &Transfer, now: UtcMicros) -> Result<Vec<TransferId>, TransferError> {
        let timer = StepTimer::begin("route");
        let snapshot = self.snapshot();
        let facts = self.facts(t).await?;
        let decision = model::routes_for(&facts, &snapshot);
        let revision = snapshot.revision;
        let (deliveries, route_state, err) = match &decision.result {
            Ok(found) if found.is_empty() => {
                (Vec::new(), RouteState::NotRouted, "no rule and no routing field matched".to_owned())
            }
            Ok(found) => {
                let mut new = Vec::with_capacity(found.len());
                for delivery in found {
                    let why = Why::new(&decision.why, &delivery.rule, revision);
                    new.push(self.delivery(t, delivery, &why, now).await?);
                }
                (new, RouteState::Routed, String::new())
            }
            Err(refusal) => (Vec::new(), RouteState::Failed, refusal.to_string()),
        };
        let sites: Vec<String> = deliveries.iter().map(|d| d.site.clone()).collect();
        let why_json = Why::new(&decision.why, "", revision).json();
        // Within one node locks keep others from the record; other nodes are found out by its revision.
        let expected_revision = self.node.is_shared().then_some(t.revision);
        let routing =
            Routing { from: t.id, deliveries, route_state, why_json, err: err.clone(), at: now, expected_revision };
        let made = match self.db.transfers().route(routing).await {
            Ok(made) => made,
            // Another node was faster, or the partner renamed it there meanwhile.
            Err(DbError::Unexpected { .. } | DbError::RouteTransition { .. }) if self.node.is_shared() => {
                self.settling.at(now.plus(RETRY_AFTER));
                return Ok(Vec::new());
            }
            Err(error) => return Err(db_error(&error)),
        };
        timer.done();
        match route_state {
            RouteState::Routed => self.events.emit(Event::Routed { transfer: t.id, to: made.clone() }),
            RouteState::Failed => self.events.emit(Event::RouteFailed { transfer: t.id, text: err }),
            _ => tracing::info!(transfer = t.id.0, "not routed: {err}"),
        }
        for site in sites {
            self.queue.new_work(&site);
        }
        Ok(made)
    }

    pub(crate) async fn delivery(
        &self,
        t: &Transfer,
        to: &Delivery,
        why: &Why,
        now: UtcMicros,
    ) -> Result<NewTransfer, TransferError> {
        let id = self.db.transfers().next_id().await.map_err(|e| db_error(&e))?;
        let snapshot = self.snapshot();
        let site = snapshot.site(&to.site);
        // Who has no address fetches: the file is put at its disposal.
        let fetches = site.is_none_or(|s| !s.is_reachable());
        let from = Extra::of(t);
        let extra = Extra {
            modified: from.modified,
            originator: from.originator,
            destination: from.destination,
            param1: to.parameters[0].clone(),
            param2: to.parameters[1].clone(),
            ..Extra::default()
        };
        let dir_name =
            if fetches && !to.dir_name.starts_with('/') { format!("/{}", to.dir_name) } else { to.dir_name.clone() };
        Ok(NewTransfer {
            mode: if fetches { Mode::Responder } else { Mode::Initiator },
            local: t.local.clone(),
            site: to.site.clone(),
            gate: if fetches { crate::vfd::scope(&to.site) } else { String::new() },
            appli: to.appli.clone().unwrap_or_default(),
            dir_name,
            file_name: to.file_name.clone(),
            priority: i64::from(to.priority),
            listed: fetches,
            size: t.size,
            payload: t.payload,
            // The link is also what keeps routing from being done twice; `link` of the rule decides only what is shown.
            route_from: Some(t.id),
            rule_id: Some(to.rule_object),
            dest_gen: i64::from(from.generation),
            why_json: why.json(),
            extra_json: extra.json(),
            ..NewTransfer::outgoing(id, site.map_or("SFTP", |s| s.protocol.as_str()), now)
        })
    }

    /// Routes a received file now: one that failed, matched nothing, or is still resting (TRF-14). One that was routed
    /// before is refused.
    ///
    /// # Errors
    /// [`Cause::NotFound`]; [`Cause::Invalid`] if it is no received file that went nowhere; those of the database.
    pub async fn reroute(&self, id: TransferId) -> Result<Vec<TransferId>, TransferError> {
        let _alone = self.records.of(id).await;
        let now = self.clock.now();
        let t = self.db.transfers().get(id).await.map_err(|e| db_error(&e))?;
        let t = t.ok_or_else(|| TransferError::refuse(Cause::NotFound, format!("transfer {id} does not exist")))?;
        if !is_unrouted(&t) {
            let text = format!(
                "transfer {id} is {}, route state {}: only a received file that went nowhere can be routed",
                t.full_state(),
                t.route_state
            );
            return Err(TransferError::refuse(Cause::Invalid, text));
        }
        if is_temporary(&t.file_name) {
            let text = format!("transfer {id} has a name that partners use while they write: it waits for a rename");
            return Err(TransferError::refuse(Cause::Invalid, text));
        }
        let mut t = t;
        if t.route_state != RouteState::ToRoute {
            let mut change = TransferChange::fields(id, now);
            change.route_state = Some(RouteState::ToRoute);
            change.next_try_at = Some(now);
            t = self.db.transfers().apply(change).await.map_err(|e| db_error(&e))?;
        }
        self.decide(&t, now).await
    }

    /// Where a file of these facts would go, and why.
    #[must_use]
    pub fn explain_route(&self, facts: &RouteFacts) -> Decision<Vec<Delivery>> {
        model::routes_for(facts, &self.snapshot())
    }

    /// Where a recorded file would go now, and why.
    ///
    /// # Errors
    /// [`Cause::NotFound`], or if the database fails.
    pub async fn explain_route_of(&self, id: TransferId) -> Result<Decision<Vec<Delivery>>, TransferError> {
        let t = self.db.transfers().get(id).await.map_err(|e| db_error(&e))?;
        let t = t.ok_or_else(|| db_error(&DbError::NoTransfer(id)))?;
        let facts = self.facts(&t).await?;
        Ok(self.explain_route(&facts))
    }
}

/// Tells the engine's own tasks apart from those of others in traces.
pub(crate) fn log_pass(engine: &Arc<Engine>, routed: &Result<usize, TransferError>) {
    match routed {
        Ok(0) => {}
        Ok(count) => tracing::debug!(node = %engine.options.node, count, "uploads routed"),
        Err(e) => tracing::error!(node = %engine.options.node, error = %e, "routing has to wait"),
    }
}
