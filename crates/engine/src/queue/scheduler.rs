//! The scheduler: one task that opens connections where something is due, within the limits of site and protocol.

use std::sync::Arc;
use std::time::Duration;

use model::{RemoteSite, Snapshot};
use tokio::task::JoinSet;

use super::backoff::Backoff;
use super::jobs::Jobs;
use super::place::Place;
use super::sites::{SiteRules, Turn};
use super::{Deliver, PAUSE_AFTER_FAILURE, SessionOutcome};
use crate::engine::Engine;
use crate::error::{Cause, TransferError};
use crate::events::Event;
use crate::limits::{DRAIN_MAX, LOOK_EVERY, LOOK_PAUSE_MIN};
use crate::sync::lock;
use crate::transfer::db_error;

/// Delivers what is due until the engine stops; then running connections may finish, for [`DRAIN_MAX`] at most.
pub async fn run_deliveries(engine: Arc<Engine>, deliverer: Arc<dyn Deliver>) {
    let mut sessions = JoinSet::new();
    let mut stopping = engine.stopping();
    while !engine.is_stopping() {
        let pause = look(&engine, &deliverer, &mut sessions).await;
        engine.pulse.deliveries.done();
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = engine.queue.wake.notified() => {}
            Some(ended) = sessions.join_next(), if !sessions.is_empty() => report(ended),
            _ = stopping.changed() => {}
        }
    }
    let drained = tokio::time::timeout(DRAIN_MAX, async {
        while let Some(ended) = sessions.join_next().await {
            report(ended);
        }
    });
    if drained.await.is_err() {
        tracing::warn!(sessions = sessions.len(), "connections to partners are cut: they did not end in time");
        sessions.shutdown().await;
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(e) = ended {
        tracing::error!(error = %e, "a connection to a partner ended in disorder");
    }
}

/// Opens what may be opened now; gives the time to the next look.
async fn look(engine: &Arc<Engine>, deliverer: &Arc<dyn Deliver>, sessions: &mut JoinSet<()>) -> Duration {
    if let Err(e) = engine.follow_clock().await {
        tracing::error!(error = %e, "waits could not be set by the new time");
        return PAUSE_AFTER_FAILURE;
    }
    if let Err(e) = engine.expire().await {
        tracing::error!(error = %e, "requests past their latest date could not be looked for");
    }
    if let Err(e) = engine.adopt_orphans().await {
        tracing::error!(error = %e, "records that nobody works on could not be looked for");
        return PAUSE_AFTER_FAILURE;
    }
    let due = match engine.db.transfers().due_sites().await {
        Ok(due) => due,
        Err(e) => {
            tracing::error!(error = %db_error(&e), "the queue has to wait");
            return PAUSE_AFTER_FAILURE;
        }
    };
    let snapshot = engine.snapshot();
    let (now, monotonic) = (engine.clock.now(), engine.clock.monotonic());
    let mut pause = LOOK_EVERY;
    for (name, at) in due {
        if at > now {
            pause = pause.min(at.since(now));
            continue;
        }
        let Some(site) = snapshot.site(&name) else { continue };
        let turn = lock(&engine.queue.sites).turn(&name, &rules(site), engine.options.connections_max, monotonic);
        match turn {
            Turn::Connect => {
                sessions.spawn(session(engine.clone(), deliverer.clone(), site.clone(), Seat::new(engine, &name)));
            }
            Turn::Wait(wait) => pause = pause.min(wait),
            Turn::Blocked => {}
        }
    }
    pause.max(LOOK_PAUSE_MIN)
}

/// What a site's object says about connections to it.
pub(super) fn rules(site: &RemoteSite) -> SiteRules {
    SiteRules {
        connections_max: site.init_conn_max.into(),
        backoff: Backoff {
            min: Duration::from_secs(site.retry.delay_min_s.into()),
            max: Duration::from_secs(site.retry.delay_max_s.into()),
            tries: site.retry.count_max.into(),
        },
        callable: site.enabled && site.is_called() && site.roles.init_mode && site.is_reachable(),
    }
}

/// A site as the queue sees it; a site that does not exist can't be called.
pub(super) fn rules_of(snapshot: &Snapshot, site: &str) -> Option<SiteRules> {
    snapshot.site(site).map(|s| rules(s))
}

/// A connection's place among those allowed; free again when it is dropped, whatever happened.
struct Seat {
    engine: Arc<Engine>,
    site: String,
}

impl Seat {
    fn new(engine: &Arc<Engine>, site: &str) -> Self {
        Self { engine: engine.clone(), site: site.to_owned() }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        lock(&self.engine.queue.sites).ended(&self.site);
        self.engine.queue.wake();
    }
}

/// Pause before a site is looked at again whose connections are all at other nodes.
const PLACE_PAUSE: Duration = Duration::from_millis(500);

async fn session(engine: Arc<Engine>, deliverer: Arc<dyn Deliver>, site: Arc<RemoteSite>, seat: Seat) {
    let place = match Place::take(&engine, &site).await {
        Ok(Some(place)) => place,
        Ok(None) => {
            // Other nodes have all connections that the site may have.
            let again = engine.clock.monotonic().saturating_add(PLACE_PAUSE);
            lock(&engine.queue.sites).wait(&site.name, again);
            return;
        }
        Err(error) => {
            tracing::error!(site = %site.name, %error, "no place for a connection could be taken");
            let again = engine.clock.monotonic().saturating_add(PAUSE_AFTER_FAILURE);
            lock(&engine.queue.sites).wait(&site.name, again);
            return;
        }
    };
    let mut jobs = Jobs::new(engine.clone(), site.clone());
    let outcome = deliverer.session(site.clone(), &mut jobs).await;
    let (error, failed) = match outcome {
        SessionOutcome::Ended => {
            (TransferError::retry(Cause::Connection, "the connection ended without a word"), false)
        }
        SessionOutcome::ConnectFailed { error, .. }
        | SessionOutcome::LoginRefused(error)
        | SessionOutcome::HostKeyRefused(error)
        | SessionOutcome::Unable(error) => (error, true),
        // Lost before it stood counts for the site; afterwards it counted for the transfer that was under way.
        SessionOutcome::Lost(error) => (error, !jobs.stood()),
    };
    jobs.close(error.clone()).await;
    if failed {
        site_failed(&engine, &site, &error);
    }
    place.leave().await;
    drop(seat);
}

fn site_failed(engine: &Engine, site: &RemoteSite, error: &TransferError) {
    let now = engine.clock.monotonic();
    let (failures, wait) = {
        let mut sites = lock(&engine.queue.sites);
        let failed = sites.failed(&site.name, &rules(site), &error.text, now);
        if failed.1.is_none() && engine.options.stop_site_on_retries {
            sites.stop(&site.name, &error.text);
        }
        failed
    };
    let (name, text) = (site.name.clone(), error.text.clone());
    engine.events.emit(Event::SiteFailed { site: name, failures, next_s: wait.map(|w| w.as_secs()), text });
}
