//! This gateway as one of several on the same PostgreSQL.
//!
//! A node is there while its beats come. It has a number that is new at each start and after each lost lease; whatever it
//! begins carries the number of that moment, and every write of an outcome asks for it. So a node that was paused, taken
//! for dead and wakes up can't end what another one goes on with. It need not even notice: but it does, by its own clock
//! that never goes back, and stops what it was doing.

mod look;
mod uploads;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use base::{Clock, TransferId};
use db::{Db, DbError, NewNode, NodeRow};

use crate::engine::{Engine, EngineOptions, StartError};
use crate::error::{Cause, TransferError};
use crate::events::Event;
use crate::sync::lock;

pub use look::run_node;
pub(crate) use uploads::Recorded;

/// Beats within one lease: one may be late, and one may get lost.
const BEATS: u32 = 6;
/// Pause between two tries to come up.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// What is known of this node while it runs.
#[derive(Debug)]
pub(crate) struct Node {
    id: ArcSwap<String>,
    /// Until when the lease lasts, in microseconds of the clock that never goes back.
    good_until: AtomicU64,
    /// Whether there may be others.
    shared: bool,
    /// Switches of sites that are in force here, by site.
    switched: Mutex<HashMap<String, i64>>,
    /// At work here, but not by the database, at the last look.
    missing: Mutex<HashSet<TransferId>>,
}

impl Node {
    /// Comes up for the first time. A node of the same name whose lease has not run out is waited for.
    pub(crate) async fn begin(db: &Db, options: &EngineOptions, clock: &dyn Clock) -> Result<Self, StartError> {
        let node = Self {
            id: ArcSwap::from_pointee(String::new()),
            good_until: AtomicU64::new(u64::MAX),
            shared: db.nodes().are_possible(),
            switched: Mutex::default(),
            missing: Mutex::default(),
        };
        let until = clock.monotonic().saturating_add(options.lease.saturating_mul(2));
        loop {
            match node.come_up(db, options, (clock, true)).await {
                Err(StartError::Db(DbError::NodeNamed { name, host })) if node.shared && clock.monotonic() < until => {
                    tracing::warn!(%name, %host, "a node of this name was there a moment ago: waiting until its lease is over");
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
                other => return other.map(|()| node),
            }
        }
    }

    async fn come_up(
        &self,
        db: &Db,
        options: &EngineOptions,
        (clock, first): (&dyn Clock, bool),
    ) -> Result<(), StartError> {
        let id = base::hex(&base::random::<8>().map_err(|e| StartError::Random(e.to_string()))?);
        let new = NewNode {
            id: id.clone(),
            name: options.node.clone(),
            home: options.home.clone(),
            host: options.host.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            lease: options.lease,
            first,
        };
        let before = clock.monotonic();
        db.nodes().register(new).await?;
        self.id.store(Arc::new(id));
        self.renewed(before, options.lease);
        Ok(())
    }

    /// A beat that was begun at `before` has arrived.
    fn renewed(&self, before: Duration, lease: Duration) {
        if self.shared {
            // Earlier than the others take it for dead.
            let end = before.saturating_add(lease).saturating_sub(lease / BEATS);
            self.good_until.store(u64::try_from(end.as_micros()).unwrap_or(u64::MAX), Ordering::Release);
        }
    }

    /// The number under which things are begun now.
    pub(crate) fn id(&self) -> String {
        String::clone(&self.id.load())
    }

    /// Whether the lease lasts.
    pub(crate) fn is_here(&self, now: Duration) -> bool {
        u128::from(self.good_until.load(Ordering::Acquire)) >= now.as_micros()
    }

    /// Whether there may be others.
    pub(crate) const fn is_shared(&self) -> bool {
        self.shared
    }
}

impl Engine {
    /// Number of this node, new at each start and after each lost lease.
    #[must_use]
    pub fn node_id(&self) -> String {
        self.node.id()
    }

    /// Whether this node may go on with what it began under number `owner`.
    ///
    /// # Errors
    /// [`Cause::Stopping`] if its lease is lost: stop at once, without a word to the database.
    pub(crate) fn may_go_on(&self, owner: Option<&str>) -> Result<(), TransferError> {
        let here = self.node.is_here(self.clock.monotonic());
        match here && owner.is_none_or(|owner| owner == self.node.id.load().as_str()) {
            true => Ok(()),
            false => Err(TransferError::retry(Cause::Stopping, "this node lost its lease: another one goes on")),
        }
    }

    /// All nodes that use the database.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn nodes(&self) -> Result<Vec<NodeRow>, DbError> {
        self.db.nodes().list().await
    }

    /// Tells the others that this node ends in order; the last thing it does.
    pub async fn leave(&self) {
        if let Err(error) = self.db.nodes().leave(&self.node.id()).await {
            tracing::warn!(%error, "the end of this node could not be told: others find out by its lease");
        }
    }

    /// This node was declared gone: whatever it was at work on is in other hands. It stops all of it and begins anew.
    async fn begin_anew(&self) {
        tracing::error!(
            node = %self.options.node,
            "this node lost its lease: what it was at work on is stopped here and goes on elsewhere"
        );
        lock(&self.running).values().for_each(|running| running.lose());
        lock(&self.uploads).values().for_each(|slot| slot.cancel());
        lock(&self.downloads).values_mut().for_each(crate::transfer::Progress::cancel);
        let mut stopping = self.stopping();
        while !self.is_stopping() {
            match self.node.come_up(&self.db, &self.options, (self.clock.as_ref(), false)).await {
                Ok(()) => {
                    tracing::warn!(node = %self.options.node, "this node is there again");
                    return;
                }
                Err(error) => tracing::warn!(%error, "this node cannot come up again yet"),
            }
            tokio::select! {
                () = tokio::time::sleep(AGAIN_AFTER) => {}
                _ = stopping.changed() => {}
            }
        }
    }

    /// Gives up uploads to the object store that nobody is at work on.
    pub(crate) async fn give_up_uploads(&self, all: bool) {
        match self.store.give_up_uploads(all).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "unfinished uploads to the object store were given up"),
            Err(error) => tracing::warn!(%error, "unfinished uploads could not be looked for: the next look does"),
        }
    }

    /// Puts in order what nodes have left that are no longer there.
    async fn take_over_lost(&self) -> Result<(), DbError> {
        let taken = self.db.nodes().take_over(&self.node.id(), self.clock.now()).await?;
        for node in &taken.nodes {
            tracing::warn!(%node, "a node was lost: its beats did not come for the time of its lease");
        }
        let (mut restarted, mut interrupted) = (0_u64, 0_u64);
        for id in &taken.transfers {
            match self.db.transfers().get(*id).await? {
                Some(t) if t.state == db::State::Interrupted => interrupted = interrupted.saturating_add(1),
                _ => restarted = restarted.saturating_add(1),
            }
        }
        if !taken.nodes.is_empty() {
            self.give_up_uploads(false).await;
        }
        if !taken.transfers.is_empty() {
            self.events.emit(Event::Recovered { restarted, interrupted });
            self.wake();
        }
        Ok(())
    }
}
