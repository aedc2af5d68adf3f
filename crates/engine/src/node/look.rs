//! The task of a node: it beats, hears what others tell, and looks by itself each second in case it did not hear.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use base::TransferId;
use db::{DbError, Notice};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::BEATS;
use crate::engine::Engine;
use crate::sync::lock;
use crate::transfer::Control;

/// Time between two looks at what others did.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Least time between two notices to others: a notice costs the database a lock that all commits wait for.
const TELL_PAUSE: Duration = Duration::from_millis(100);

/// Keeps this node among the others, until it is aborted: also while the gateway stops, since sessions go on for a while.
pub async fn run_node(engine: Arc<Engine>) {
    if !engine.node.is_shared() {
        return;
    }
    let mut notices = engine.db.notices();
    let (mut beat_at, mut told_at) = (Instant::now(), Instant::now());
    loop {
        let now = Instant::now();
        if now >= beat_at {
            beat_at = now + (engine.options.lease / BEATS).min(LOOK_EVERY.saturating_mul(5));
            engine.beat().await;
        }
        if let Err(error) = engine.look_around().await {
            tracing::debug!(%error, "what other nodes did could not be looked at");
        }
        let until = beat_at.min(Instant::now() + LOOK_EVERY);
        listen(&engine, &mut notices, (until, &mut told_at)).await;
    }
}

/// Waits until it is time to look, or another node tells something; tells the others what they should know.
async fn listen(engine: &Engine, notices: &mut mpsc::Receiver<Notice>, (until, told_at): (Instant, &mut Instant)) {
    loop {
        let heard = tokio::select! {
            () = tokio::time::sleep_until(until) => return,
            Some(heard) = notices.recv() => heard,
            () = engine.queue.to_be_told() => {
                tokio::time::sleep_until(*told_at + TELL_PAUSE).await;
                *told_at = Instant::now();
                if let Err(error) = engine.db.nodes().tell(Notice::Work).await {
                    tracing::debug!(%error, "other nodes could not be told of new work");
                }
                continue;
            }
        };
        match heard {
            Notice::Config => drop(engine.reload().await.inspect_err(cannot_reload)),
            Notice::Work => return,
        }
    }
}

fn cannot_reload(error: &DbError) {
    tracing::warn!(%error, "a changed configuration could not be read yet");
}

impl Engine {
    async fn beat(&self) {
        let before = self.clock.monotonic();
        match self.db.nodes().beat(&self.node.id()).await {
            Ok(true) => self.node.renewed(before, self.options.lease),
            Ok(false) => self.begin_anew().await,
            Err(error) => tracing::warn!(%error, "this node could not tell that it is there"),
        }
        if let Err(error) = self.take_over_lost().await {
            tracing::warn!(%error, "what lost nodes have left could not be looked for");
        }
        if let Err(error) = self.stop_what_went_on_elsewhere().await {
            tracing::debug!(%error, "what this node is at work on could not be compared");
        }
    }

    /// What others changed: configuration, sites that were started and stopped, deliveries that are to stop, new work.
    async fn look_around(&self) -> Result<(), DbError> {
        self.reload().await?;
        for switch in self.db.nodes().switches().await? {
            let known = lock(&self.node.switched).insert(switch.site.clone(), switch.seq);
            if known == Some(switch.seq) {
                continue;
            }
            match switch.active {
                true => lock(&self.queue.sites).start(&switch.site),
                false => lock(&self.queue.sites).stop(&switch.site, &switch.text),
            }
        }
        for (id, action) in self.db.nodes().asked(&self.node.id()).await? {
            let running = lock(&self.running).get(&id).cloned();
            if let (Some(running), Some(action)) = (running, Control::parse(&action)) {
                running.ask(action);
            }
        }
        self.wake();
        Ok(())
    }

    /// Stops what is at work here and, by the database, no longer is: an operator at another node ended it. What was not
    /// there at two looks is meant: the first may come before its record.
    async fn stop_what_went_on_elsewhere(&self) -> Result<(), DbError> {
        let mut here: HashSet<TransferId> = lock(&self.running).keys().copied().collect();
        here.extend(lock(&self.uploads).values().map(|slot| slot.id));
        here.extend(lock(&self.downloads).keys());
        if here.is_empty() {
            lock(&self.node.missing).clear();
            return Ok(());
        }
        for held in self.db.nodes().held(&self.node.id()).await? {
            here.remove(&held);
        }
        let before = std::mem::replace(&mut *lock(&self.node.missing), here.clone());
        for id in before.intersection(&here) {
            if let Some(running) = lock(&self.running).get(id) {
                running.lose();
            }
            self.cancel_upload(*id);
            self.cancel_download(*id);
        }
        Ok(())
    }
}
