//! Transfers: their records, states and steps.

use std::time::Duration;

use base::{TransferId, UtcMicros};

use crate::records::{
    CommitReceived, DueQuery, EntryQuery, Inserted, NewTransfer, Step, Transfer, TransferChange, TransferFilter,
};
use crate::sql::{Columns, args};
use crate::state::{RouteState, State};
use crate::transfer_rows as rows;
use crate::transfer_writes as writes;
use crate::writer::{Pending, Urgency};
use crate::{Db, DbError};

/// What routing decided about a received transfer.
#[derive(Clone, Debug)]
pub struct Routing {
    /// The received transfer.
    pub from: TransferId,
    /// New transfers, `route_from` and `payload` set; one that is there already is not doubled.
    pub deliveries: Vec<NewTransfer>,
    /// Route state of the received transfer afterwards.
    pub route_state: RouteState,
    /// Why, as JSON; kept with the received transfer.
    pub why_json: String,
    /// Cause of a failure in words.
    pub err: String,
    /// Now.
    pub at: UtcMicros,
    /// Revision of the received transfer that was decided upon; `None`: any.
    pub expected_revision: Option<i64>,
}

/// Transfers of a [`Db`].
#[derive(Clone, Copy, Debug)]
pub struct Transfers<'a>(pub(crate) &'a Db);

impl Transfers<'_> {
    /// A number that no transfer has or had (TRF-2). Almost always at once: numbers are reserved in blocks.
    ///
    /// # Errors
    /// If a block cannot be reserved.
    pub async fn next_id(self) -> Result<TransferId, DbError> {
        self.0.inner.transfer_ids.next(self.0).await.map(TransferId)
    }

    /// Records a transfer; returns when it is durable (TRF-1).
    ///
    /// # Errors
    /// If the database fails.
    pub async fn insert(self, new: NewTransfer) -> Result<Inserted, DbError> {
        self.0.write(|conn| Box::pin(writes::insert(conn, new))).await
    }

    /// Queues a record without waiting: it becomes durable with the next operation that is waited for (which comes
    /// after it), or within 200 ms.
    ///
    /// # Errors
    /// If the database is closed.
    pub async fn insert_lazy(self, new: NewTransfer) -> Result<Pending<Inserted>, DbError> {
        self.0.submit(Urgency::Lazy, |conn| Box::pin(writes::insert(conn, new))).await
    }

    /// Changes a transfer, if it is in an expected state and the new one is permitted (TRF-3). Returns it as changed.
    ///
    /// # Errors
    /// [`DbError::NoTransfer`], [`DbError::Unexpected`], [`DbError::Transition`], [`DbError::RouteTransition`].
    pub async fn apply(self, change: TransferChange) -> Result<Transfer, DbError> {
        self.0.write(|conn| Box::pin(writes::apply(conn, change))).await
    }

    /// As [`Self::apply`], without waiting.
    ///
    /// # Errors
    /// If the database is closed.
    pub async fn apply_lazy(self, change: TransferChange) -> Result<Pending<Transfer>, DbError> {
        self.0.submit(Urgency::Lazy, |conn| Box::pin(writes::apply(conn, change))).await
    }

    /// Changes the protocol's own fields of a transfer that is PROCESSING at node `owner`, and nothing else: the short
    /// form of [`Self::apply`] for what each delivery notes.
    ///
    /// # Errors
    /// [`DbError::NoTransfer`], [`DbError::Unexpected`], [`DbError::TakenOver`].
    pub async fn note(self, id: TransferId, owner: String, extra_json: String) -> Result<(), DbError> {
        self.0.write(move |conn| Box::pin(writes::note(conn, id, owner, extra_json))).await
    }

    /// As [`Self::note`], without waiting.
    ///
    /// # Errors
    /// If the database is closed.
    pub async fn note_lazy(self, id: TransferId, owner: String, extra_json: String) -> Result<Pending<()>, DbError> {
        self.0.submit(Urgency::Lazy, move |conn| Box::pin(writes::note(conn, id, owner, extra_json))).await
    }

    /// A received file is whole: payload, record, step and listing in one transaction. An older entry of the name
    /// leaves the listing.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub async fn commit_received(self, commit: CommitReceived) -> Result<(), DbError> {
        self.0.write(|conn| Box::pin(writes::commit_received(conn, commit))).await
    }

    /// Stores what routing decided. Returns the deliveries' numbers, in order; those made before keep theirs.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub async fn route(self, routing: Routing) -> Result<Vec<TransferId>, DbError> {
        self.0.write(|conn| Box::pin(writes::route(conn, routing))).await
    }

    /// Received transfers that wait for routing, oldest first, whose settle time is over: those of `node` and of nobody,
    /// and those that their node should have routed before `late`.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn to_route(
        self,
        (now, late): (UtcMicros, UtcMicros),
        node: &str,
        limit: u32,
    ) -> Result<Vec<Transfer>, DbError> {
        collect(self.0.read().rows(rows::TO_ROUTE, args![now, i64::from(limit), node, late]).await?)
    }

    /// Takes initiator transfers whose turn has come: by priority, then number. They become PROCESSING and belong to
    /// `node` in the same transaction, so that no two takers get one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn take_due(self, query: DueQuery) -> Result<Vec<Transfer>, DbError> {
        let sites = match &query.site {
            Some(site) => vec![site.clone()],
            None => self.due_sites().await?.into_iter().filter(|(_, at)| *at <= query.now).map(|(s, _)| s).collect(),
        };
        if sites.is_empty() {
            return Ok(Vec::new());
        }
        self.0.write(|conn| Box::pin(writes::take_due(conn, sites, query))).await
    }

    /// Sites with waiting initiator transfers and the moment the first may be tried.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn due_sites(self) -> Result<Vec<(String, UtcMicros)>, DbError> {
        let mut sites: Vec<(String, UtcMicros)> = Vec::new();
        let sql = rows::due_sites(self.0.read().is_postgres());
        for mut row in self.0.read().rows(sql, Vec::new()).await? {
            let (site, at) = (row.text()?, row.opt_int()?.map(UtcMicros));
            match (sites.last_mut(), at) {
                (Some((last, first)), Some(at)) if *last == site => *first = at.min(*first),
                (_, Some(at)) => sites.push((site, at)),
                (_, None) => {}
            }
        }
        Ok(sites)
    }

    /// After a start: what was running at a node that is no longer there becomes TO RESTART (initiator) or INTERRUPTED
    /// (responder), never ENDED (TRF-4). Returns these.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn recover(self, now: UtcMicros) -> Result<Vec<TransferId>, DbError> {
        self.0.write(move |conn| Box::pin(writes::recover(conn, now, "the gateway was stopped"))).await
    }

    /// The clock was set back to `now`: what waits for its turn, not for a date, waits shorter by as much.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn sooner(self, now: UtcMicros, by: Duration) -> Result<(), DbError> {
        let by = UtcMicros(0).plus(by).0;
        self.0.write(move |conn| conn.run_later(writes::SOONER, args![now, by])).await
    }

    /// One transfer.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn get(self, id: TransferId) -> Result<Option<Transfer>, DbError> {
        self.0.read().row(rows::ONE, args![id]).await?.map(rows::transfer).transpose()
    }

    /// Transfers of a site with this Message-ID, or what stands for one, newest first; at most 50.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn of_message(self, message_id: &str, site: &str) -> Result<Vec<Transfer>, DbError> {
        collect(self.0.read().rows(rows::OF_MESSAGE, args![message_id, site]).await?)
    }

    /// Transfers, newest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list(self, filter: TransferFilter, limit: u32) -> Result<Vec<Transfer>, DbError> {
        let filter = self.within(filter).await?;
        let (sql, args) = rows::page(&filter, limit);
        collect(self.0.read().rows(sql, args).await?)
    }

    /// Waiting requests of ours whose latest date is over, the longest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn overdue(self, now: UtcMicros, limit: u32) -> Result<Vec<Transfer>, DbError> {
        collect(self.0.read().rows(rows::OVERDUE, args![now, i64::from(limit)]).await?)
    }

    /// Bounds the numbers by the times asked for: numbers rise with time, but for blocks reserved early and clocks set
    /// back, which an hour covers.
    async fn within(self, mut filter: TransferFilter) -> Result<TransferFilter, DbError> {
        const SLACK_US: i64 = 3_600_000_000;
        if let Some(from) = filter.from {
            let first = self.first_at(UtcMicros(from.0.saturating_sub(SLACK_US))).await?;
            // Nothing is so new.
            let first = first.unwrap_or(TransferId(i64::MAX));
            filter.not_below = Some(filter.not_below.map_or(first, |id| id.max(first)));
        }
        if let Some(until) = filter.until
            && let Some(first) = self.first_at(UtcMicros(until.0.saturating_add(SLACK_US))).await?
        {
            filter.below = Some(filter.below.map_or(first, |id| id.min(first)));
        }
        Ok(filter)
    }

    /// The number of the oldest record that is not older than `at`.
    async fn first_at(self, at: UtcMicros) -> Result<Option<TransferId>, DbError> {
        let row = self.0.read().row(rows::AT, args![at]).await?;
        row.map(|mut row| row.int().map(TransferId)).transpose()
    }

    /// Steps of a transfer, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn steps(self, id: TransferId) -> Result<Vec<Step>, DbError> {
        let sql = "SELECT n, at, from_state, to_state, note FROM transfer_step WHERE transfer_id = $1 ORDER BY n";
        let rows = self.0.read().rows(sql, args![id]).await?;
        rows.into_iter().map(step).collect()
    }

    /// Forgets the steps of a transfer between its first one and its last `keep`, without waiting.
    ///
    /// # Errors
    /// If the database is closed.
    pub async fn forget_steps(self, id: TransferId, keep: u32) -> Result<Pending<()>, DbError> {
        const SQL: &str = "DELETE FROM transfer_step WHERE transfer_id = $1 AND n > 1 \
            AND n <= (SELECT t.revision FROM transfer AS t WHERE t.id = $1) - $2";
        self.0.submit(Urgency::Lazy, move |conn| conn.run_later(SQL, args![id, i64::from(keep)])).await
    }

    /// Transfers that forward this one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn routed_to(self, id: TransferId) -> Result<Vec<TransferId>, DbError> {
        let sql = "SELECT id FROM transfer WHERE route_from = $1 ORDER BY id";
        let rows = self.0.read().rows(sql, args![id]).await?;
        rows.into_iter().map(|mut row| row.int().map(TransferId)).collect()
    }

    /// Listed entries of a folder in order of name, the newest record of a name first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn entries(self, query: EntryQuery) -> Result<Vec<Transfer>, DbError> {
        let (sql, args) = rows::entries(query);
        collect(self.0.read().rows(sql, args).await?)
    }

    /// How many transfers are in each state that is not an end.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn live_counts(self) -> Result<Vec<(State, i64)>, DbError> {
        let rows = self.0.read().rows(rows::LIVE_COUNTS, Vec::new()).await?;
        rows.into_iter().map(|mut row| Ok((rows::letter(&mut row, State::parse)?, row.int()?))).collect()
    }
}

fn collect(rows: Vec<Columns>) -> Result<Vec<Transfer>, DbError> {
    rows.into_iter().map(rows::transfer).collect()
}

fn step(mut row: Columns) -> Result<Step, DbError> {
    let (n, at, from, to, note) = (row.int()?, row.int()?, row.text()?, row.text()?, row.text()?);
    let to = State::parse(&to).ok_or_else(|| DbError::Corrupt { what: format!("the state {to:?}") })?;
    Ok(Step { n, at: UtcMicros(at), from: State::parse(&from), to, note })
}
