//! Telling: events become runs, one for each hook that wants to know, and runs are tried until they succeed or are given
//! up. All of it is in the database, so that each run is made at least once, whatever dies; its number stays the same.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use db::{HookEnd, HookRun};
use model::Hook;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;

use super::program::{Exit, Run};
use super::safe::program_is_safe;
use crate::engine::Engine;
use crate::error::TransferError;
use crate::limits::LOOK_EVERY;
use crate::queue::Backoff;
use crate::transfer::db_error;

/// Events that become runs in one go.
const EVENTS_MAX: u32 = 500;
/// Runs of one look.
const DUE_MAX: u32 = 500;
/// Runs at the same time, of all hooks.
const AT_ONCE_MAX: usize = 16;
/// First and longest wait before a run is tried again.
const WAITS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(600));
/// Pause after the database failed.
const PAUSE: Duration = Duration::from_secs(1);
/// Shortest time from one look to the next, so that many events share it.
const GATHER: Duration = Duration::from_millis(50);

/// Tells hooks what happened until the engine stops. Runs that are under way then are killed and made again later.
pub async fn run_hooks(engine: Arc<Engine>) {
    let (mut events, mut stopping) = (engine.events(), engine.stopping());
    let mut teller = Teller { engine: engine.clone(), running: HashMap::new(), tasks: JoinSet::new(), listening: None };
    // What the last stop left under way waits again.
    while let Err(error) = engine.db.hooks().recover().await {
        tracing::error!(%error, "hooks have to wait");
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            _ = stopping.changed() => return,
        }
    }
    while !engine.is_stopping() {
        let pause = teller.look().await.unwrap_or_else(|error| {
            tracing::error!(%error, "hooks have to wait");
            PAUSE
        });
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = news(&mut events) => tokio::time::sleep(GATHER).await,
            Some(ended) = teller.tasks.join_next(), if !teller.tasks.is_empty() => teller.ended(ended),
            _ = stopping.changed() => {}
        }
    }
}

/// Waits for an event that hooks may want to know of, or a new configuration.
async fn news(events: &mut tokio::sync::broadcast::Receiver<Arc<crate::Event>>) {
    loop {
        match events.recv().await {
            Ok(event) if event.transfer().is_some() || event.name() == "config_changed" => return,
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => return,
            Err(RecvError::Closed) => return std::future::pending().await,
        }
    }
}

struct Teller {
    engine: Arc<Engine>,
    /// Runs under way, by hook.
    running: HashMap<String, usize>,
    tasks: JoinSet<String>,
    /// Whether the database was told to note events.
    listening: Option<bool>,
}

impl Teller {
    fn ended(&mut self, ended: Result<String, tokio::task::JoinError>) {
        match ended {
            Ok(hook) => {
                if let Some(count) = self.running.get_mut(&hook) {
                    *count = count.saturating_sub(1);
                }
            }
            Err(error) => tracing::error!(%error, "a run of a hook ended in disorder"),
        }
    }

    /// Makes runs of events, and begins what may begin. Gives the time to the next look.
    async fn look(&mut self) -> Result<Duration, TransferError> {
        while let Some(ended) = self.tasks.try_join_next() {
            self.ended(ended);
        }
        let snapshot = self.engine.snapshot();
        let wanted = snapshot.hooks().any(|hook| hook.is_told());
        let engine = self.engine.clone();
        let hooks = engine.db.hooks();
        if self.listening != Some(wanted) {
            hooks.listen(wanted).await.map_err(|e| db_error(&e))?;
            self.listening = Some(wanted);
        }
        let more = self.expand().await?;
        let now = self.engine.clock.now();
        for run in hooks.due(now, DUE_MAX).await.map_err(|e| db_error(&e))? {
            self.start(run).await?;
        }
        if more {
            return Ok(GATHER);
        }
        let next = hooks.next().await.map_err(|e| db_error(&e))?.map(|at| at.since(self.engine.clock.now()));
        // What is due but finds no room begins when one that runs is over.
        Ok(next.filter(|wait| !wait.is_zero()).unwrap_or(LOOK_EVERY).clamp(GATHER, LOOK_EVERY))
    }

    async fn expand(&self) -> Result<bool, TransferError> {
        let hooks = self.engine.db.hooks();
        let events = hooks.events(EVENTS_MAX).await.map_err(|e| db_error(&e))?;
        let full = u32::try_from(events.len()).is_ok_and(|count| count >= EVENTS_MAX);
        let snapshot = self.engine.snapshot();
        let mut all = Vec::with_capacity(events.len());
        for event in events {
            let record = self.engine.db.transfers().get(event.transfer).await.map_err(|e| db_error(&e))?;
            let for_it =
                |hook: &&Arc<Hook>| record.as_ref().is_some_and(|t| hook.is_for(&event.kind, &t.site, &t.file_name));
            let names = snapshot.hooks().filter(for_it).map(|hook| hook.name.clone()).collect();
            all.push((event, names));
        }
        if !all.is_empty() {
            hooks.expand(all).await.map_err(|e| db_error(&e))?;
        }
        Ok(full)
    }

    async fn start(&mut self, run: HookRun) -> Result<(), TransferError> {
        let hook = self.engine.snapshot().hook(&run.hook).cloned();
        let most = hook.as_ref().map_or(1, |hook| hook.parallel_max);
        let now = self.running.entry(run.hook.clone()).or_default();
        if *now >= most || self.tasks.len() >= AT_ONCE_MAX {
            return Ok(());
        }
        let node = self.engine.node.id();
        if self.engine.db.hooks().begin(run.id, &node).await.map_err(|e| db_error(&e))? {
            *now += 1;
            let engine = self.engine.clone();
            self.tasks.spawn(async move {
                let name = run.hook.clone();
                one(&engine, hook, run).await;
                name
            });
        }
        Ok(())
    }
}

/// One try, and its end in the database.
async fn one(engine: &Arc<Engine>, hook: Option<Arc<Hook>>, run: HookRun) {
    let (exit, output) = match &hook {
        Some(hook) => attempt(engine, hook, &run).await,
        None => (Exit::NotStarted("the hook is no longer there".to_owned()), String::new()),
    };
    let (id, words) = (run.id, exit.words());
    let (state, next_at) = match (&exit, &hook) {
        (Exit::Code(0), _) => ("E", run.next_at),
        (_, Some(hook)) if run.tries < hook.retry_count_max => {
            let waits = Backoff { min: WAITS.0, max: WAITS.1, tries: u32::MAX };
            let failed = u32::try_from(run.tries).unwrap_or(u32::MAX).saturating_add(1).min(30);
            ("W", engine.clock.now().plus(waits.wait(failed).unwrap_or(WAITS.1)))
        }
        _ => ("F", run.next_at),
    };
    if state == "E" {
        tracing::debug!(hook = run.hook, run = id, transfer = run.transfer.0, "hook told");
    } else {
        let given_up = state == "F";
        tracing::warn!(hook = run.hook, run = id, transfer = run.transfer.0, exit = words, given_up, "hook failed");
    }
    let end = HookEnd { id, state, next_at, exit: words, output };
    if let Err(error) = engine.db.hooks().end(end).await {
        tracing::error!(hook = run.hook, run = id, %error, "the end of a hook is not recorded: it runs again after a start");
    }
}

async fn attempt(engine: &Arc<Engine>, hook: &Hook, run: &HookRun) -> (Exit, String) {
    let not_started = |why: String| (Exit::NotStarted(why), String::new());
    if let Err(why) = program_is_safe(&hook.program, &engine.snapshot(), &engine.options.data) {
        return not_started(why);
    }
    let record = match engine.db.transfers().get(run.transfer).await {
        Ok(Some(record)) => record,
        Ok(None) => return not_started("its transfer is no longer recorded".to_owned()),
        Err(error) => return not_started(error.to_string()),
    };
    let mut facts = match engine.facts(&record).await {
        Ok(facts) => facts,
        Err(error) => return not_started(error.to_string()),
    };
    facts.state = record.full_state().to_uppercase().replace(' ', "_");
    let digest = match record.payload {
        Some(payload) => engine.db.payloads().get(payload).await.ok().flatten().and_then(|p| p.sha256),
        None => None,
    };
    let more = vec![
        ("GATEHOUSE_RUN", run.id.to_string()),
        ("GATEHOUSE_ATTEMPT", run.tries.saturating_add(1).to_string()),
        ("GATEHOUSE_AT", run.at.to_string()),
        ("x_sha256", digest.map(|d| base::hex(&d)).unwrap_or_default()),
        ("x_last_end_err", record.err.clone()),
    ];
    Run { hook, event: &run.kind, facts: &facts, more }.run().await
}
