//! How long ended transfers and their files are kept.

use std::collections::BTreeMap;
use std::time::Duration;

use base::{TransferId, UtcMicros};
use db::{Actor, AuditResult, Direction, EndedAfter, Entry, State, Transfer};
use model::Snapshot;

use crate::engine::Engine;
use crate::error::TransferError;
use crate::transfer::{Control, Extra, db_error, is_unrouted};

/// Records looked at, and removed in one transaction.
const PURGE_BATCH: u32 = 200;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Settings; a number of days is 0 where a thing is kept for ever.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RetentionRules {
    /// Days that ended transfers are kept where nothing else is said.
    pub days: u32,
    /// The same for some end states.
    pub states: BTreeMap<&'static str, u32>,
    /// Days that received files are kept which went nowhere.
    pub unrouted_days: u32,
    /// Days that files wait at a partner's disposal, and interrupted uploads for their rest, before they are cancelled.
    pub waiting_days: u32,
}

impl Default for RetentionRules {
    fn default() -> Self {
        Self { days: 30, states: BTreeMap::new(), unrouted_days: 0, waiting_days: 0 }
    }
}

impl RetentionRules {
    /// Days that `t`, which has ended, is kept: as its gate says, else its site, its state, or the rule for all.
    fn days_of(&self, t: &Transfer, snapshot: &Snapshot) -> u32 {
        if is_unrouted(t) {
            return self.unrouted_days;
        }
        let gate = match t.direction {
            Direction::In => snapshot.cgate(&Extra::of(t).gate).and_then(|gate| gate.stored.retention_days),
            Direction::Out => None,
        };
        let partner = gate.or_else(|| snapshot.site(&t.site).and_then(|site| site.stored.retention_days));
        let state = || self.states.get(t.state.letter()).copied().unwrap_or(self.days);
        partner.map_or_else(state, u32::from)
    }

    /// The shortest time after which something may go.
    fn shortest(&self, snapshot: &Snapshot) -> Option<u32> {
        let partners = snapshot.sites().filter_map(|site| site.stored.retention_days);
        let gates = snapshot.cgates().filter_map(|gate| gate.stored.retention_days);
        let own = [self.days, self.unrouted_days].into_iter().chain(self.states.values().copied());
        own.chain(partners.chain(gates).map(u32::from)).filter(|days| *days > 0).min()
    }
}

/// What is to be purged.
#[derive(Clone, Debug, Default)]
pub struct PurgeOrder {
    /// Only say what would be purged.
    pub dry_run: bool,
    /// Days to keep, instead of what rules say.
    pub days: Option<u32>,
    /// Only transfers with this site.
    pub site: Option<String>,
}

/// Purged records of one site that ended in one way.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PurgedSum {
    /// How many.
    pub transfers: u64,
    /// Octets of their files.
    pub octets: u64,
    /// When the first of them ended.
    pub oldest: Option<UtcMicros>,
}

/// What was purged, or would be, by site and state.
pub type Purged = BTreeMap<(String, State), PurgedSum>;

impl Engine {
    /// Removes the records of transfers that ended long enough ago. What is under way, waiting, suspended or at disposal
    /// stays, and so does everything that a transfer depends on which is still to do. Contents that nobody needs any more
    /// go with the next housekeeping, audit and history stay.
    ///
    /// # Errors
    /// If the database fails; what was purged before stays purged.
    pub async fn purge(&self, order: &PurgeOrder) -> Result<Purged, TransferError> {
        let (now, snapshot) = (self.clock.now(), self.snapshot());
        let rules = &self.options.retention;
        let mut purged = Purged::new();
        let Some(shortest) = order.days.or_else(|| rules.shortest(&snapshot)) else { return Ok(purged) };
        let before = earlier(now, shortest);
        let mut after = EndedAfter::default();
        loop {
            let rows = self.db.retention().ended(before, after, PURGE_BATCH).await.map_err(|e| db_error(&e))?;
            let Some(last) = rows.last() else { return Ok(purged) };
            after = EndedAfter { ended_at: last.ended_at.unwrap_or(before), id: last.id };
            let mut which: Vec<(TransferId, i64)> = Vec::new();
            for t in &rows {
                let days = match order.days {
                    Some(days) if !is_unrouted(t) => days,
                    _ => rules.days_of(t, &snapshot),
                };
                let over = days > 0 || order.days == Some(0) && !is_unrouted(t);
                let over = over && t.ended_at.is_some_and(|at| at <= earlier(now, days));
                if over && order.site.as_ref().is_none_or(|site| *site == t.site) {
                    which.push((t.id, t.revision));
                    add(&mut purged, t);
                }
            }
            if !order.dry_run && !which.is_empty() {
                self.db.retention().purge(which, now).await.map_err(|e| db_error(&e))?;
            }
        }
    }

    /// What housekeeping does each day: cancels what nobody fetched or finished, if a rule says so, and purges.
    pub(crate) async fn retire(&self) -> Result<Purged, TransferError> {
        let actor = Actor { name: "gateway".to_owned(), origin: "housekeeping".to_owned() };
        let days = self.options.retention.waiting_days;
        if days > 0 {
            let before = earlier(self.clock.now(), days);
            loop {
                let waiting = self.db.retention().abandoned(before, PURGE_BATCH).await.map_err(|e| db_error(&e))?;
                let mut cancelled = false;
                for t in waiting {
                    match self.control(t.id, Control::Cancel, &actor).await {
                        Ok(_) => cancelled = true,
                        Err(e) => tracing::warn!(transfer = t.id.0, error = %e, "an old transfer was not cancelled"),
                    }
                }
                if !cancelled {
                    break;
                }
            }
        }
        let purged = self.purge(&PurgeOrder::default()).await?;
        if !purged.is_empty() {
            let after: BTreeMap<String, u64> =
                purged.iter().map(|((site, state), sum)| (format!("{site} {state}"), sum.transfers)).collect();
            let entry = Entry {
                tag: None,
                actor,
                action: "purge".to_owned(),
                result: AuditResult::Success,
                kind: "TRANSFERS".to_owned(),
                name: String::new(),
                before_json: None,
                after_json: serde_json::to_string(&after).ok(),
            };
            self.db.audit().append(entry).await.map_err(|e| db_error(&e))?;
        }
        Ok(purged)
    }
}

fn add(purged: &mut Purged, t: &Transfer) {
    let sum = purged.entry((t.site.clone(), t.state)).or_default();
    sum.transfers = sum.transfers.saturating_add(1);
    sum.octets = sum.octets.saturating_add(t.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0));
    sum.oldest = sum.oldest.min(t.ended_at).or(t.ended_at);
}

fn earlier(now: UtcMicros, days: u32) -> UtcMicros {
    let micros = i64::try_from(DAY.as_micros()).unwrap_or(i64::MAX).saturating_mul(i64::from(days));
    UtcMicros(now.0.saturating_sub(micros))
}
