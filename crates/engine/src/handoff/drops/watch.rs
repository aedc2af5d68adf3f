//! The tasks that watch drop folders: one for each, woken by the system where it tells of new files, and by the clock.

use std::collections::{BTreeMap, HashSet};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use model::DropFolder;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::claim::{self, AREA, Claim, join};
use super::ready::Seen;
use super::scan::{Candidate, Found, scan};
use super::take::{Taken, Taker, lonely_mark, number};
use crate::engine::Engine;
use crate::error::{Cause, TransferError};
use crate::events::Event;
use crate::handoff::folder::Folder;
use crate::limits::LOOK_PAUSE_MIN;

/// Files of one folder that are claimed together, so that they share what makes the claims durable.
const CLAIMED_MAX: usize = 64;
/// Files of one folder that are read at the same time.
const AT_ONCE: usize = 8;

/// Watches all drop folders until the engine stops, following the configuration.
pub async fn run_drop_folders(engine: Arc<Engine>) {
    let (mut events, mut stopping) = (engine.events(), engine.stopping());
    let mut watched: BTreeMap<String, (Arc<DropFolder>, watch::Sender<bool>)> = BTreeMap::new();
    let mut tasks = JoinSet::new();
    while !engine.is_stopping() {
        follow(&engine, &mut watched, &mut tasks);
        loop {
            let changed = tokio::select! {
                _ = stopping.changed() => break,
                event = events.recv() => event,
            };
            match changed {
                Ok(event) if !matches!(*event, Event::ConfigChanged { .. }) => {}
                Ok(_) | Err(RecvError::Lagged(_) | RecvError::Closed) => break,
            }
        }
        while tasks.try_join_next().is_some() {}
    }
    watched.clear();
    while tasks.join_next().await.is_some() {}
}

/// Ends the tasks of folders that are changed or gone, and begins those of new ones.
fn follow(
    engine: &Arc<Engine>,
    watched: &mut BTreeMap<String, (Arc<DropFolder>, watch::Sender<bool>)>,
    tasks: &mut JoinSet<()>,
) {
    let snapshot = engine.snapshot();
    let wanted = |name: &str| snapshot.drop_folder(name).filter(|drop| drop.enabled);
    watched.retain(|name, (drop, _)| wanted(name) == Some(drop));
    for drop in snapshot.drop_folders().filter(|drop| drop.enabled) {
        if !watched.contains_key(&drop.name) {
            let (stop, stopped) = watch::channel(false);
            tasks.spawn(Watcher::new(engine, drop).run(stopped));
            watched.insert(drop.name.clone(), (drop.clone(), stop));
        }
    }
}

struct Watcher {
    engine: Arc<Engine>,
    drop: Arc<DropFolder>,
    seen: Seen,
    notices: Notices,
    /// The last failure, so that one that lasts is told once.
    failed: String,
}

impl Watcher {
    fn new(engine: &Arc<Engine>, drop: &Arc<DropFolder>) -> Self {
        let (engine, drop) = (engine.clone(), drop.clone());
        Self { engine, drop, seen: Seen::default(), notices: Notices::new(), failed: String::new() }
    }

    /// Until the sender of `stopped` is gone.
    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        loop {
            let pause = tokio::select! {
                pause = self.look() => pause,
                _ = stopped.changed() => return,
            };
            tokio::select! {
                () = tokio::time::sleep(pause.max(LOOK_PAUSE_MIN)) => {}
                () = self.notices.next() => {}
                _ = stopped.changed() => return,
            }
        }
    }

    /// One look; gives the time to the next.
    async fn look(&mut self) -> Duration {
        match self.look_once().await {
            Ok(pause) => {
                if !std::mem::take(&mut self.failed).is_empty() {
                    tracing::info!(drop_folder = self.drop.name, "drop folder is watched again");
                }
                pause
            }
            Err(error) => {
                if error.text != self.failed {
                    tracing::warn!(drop_folder = self.drop.name, %error, "drop folder: tried again");
                    self.failed = error.text;
                }
                self.drop.period
            }
        }
    }

    async fn look_once(&mut self) -> Result<Duration, TransferError> {
        let root = Folder::open(&self.drop.path, &self.engine.options.data).await?;
        root.work(own_area).await?.map_err(|text| TransferError::retry(Cause::Denied, text))?;
        let mut trouble = None;
        self.go_on(&root, &mut trouble).await?;
        // Watched first, then looked at: what comes in between is noticed.
        self.notices.watch(&self.drop.path);
        let found = self.scan(&root).await?;
        for folder in &found.folders {
            self.notices.watch(&format!("{}/{}", self.drop.path, String::from_utf8_lossy(folder)));
        }
        let taker = Taker { engine: &self.engine, drop: &self.drop, root: &root };
        for (candidate, reason) in found.refused {
            if let Err(error) = taker.refuse(candidate, reason).await {
                trouble = Some(error);
            }
        }
        for some in found.whole.chunks(CLAIMED_MAX) {
            let claims = claim_all(&taker, some).await?;
            take_all(&taker, claims, true, &mut trouble).await;
        }
        match trouble {
            Some(error) => Err(error),
            None if found.more => Ok(Duration::ZERO),
            None => Ok(found.again.map_or(self.drop.period, |again| again.min(self.drop.period))),
        }
    }

    /// Claims that a look before this one did not bring to their end.
    async fn go_on(&self, root: &Folder, trouble: &mut Option<TransferError>) -> Result<(), TransferError> {
        let max = self.drop.scan_max;
        let left = root.work(move |root| claim::claims(root, max)).await?;
        let (marks, files): (Vec<_>, Vec<_>) = left.into_iter().partition(|(_, is_mark)| *is_mark);
        let files: Vec<Claim> = files.into_iter().map(|(claim, _)| claim).collect();
        let known: HashSet<(i64, String)> = files.iter().map(|c| (number(c).0, c.token.clone())).collect();
        for (mark, _) in marks.into_iter().filter(|(m, _)| !known.contains(&(number(m).0, m.token.clone()))) {
            root.work(move |root| lonely_mark(root, &mark)).await?;
        }
        let taker = Taker { engine: &self.engine, drop: &self.drop, root };
        take_all(&taker, files, false, trouble).await;
        Ok(())
    }

    async fn scan(&mut self, root: &Folder) -> Result<Found, TransferError> {
        let (drop, now) = (self.drop.clone(), self.engine.clock.monotonic());
        let mut seen = std::mem::take(&mut self.seen);
        let (found, seen) = root.work(move |root| scan(root, &drop, &mut seen, now).map(|found| (found, seen))).await?;
        self.seen = seen;
        Ok(found)
    }
}

/// Claims files, durably. Those that somebody else took away meanwhile are left out.
async fn claim_all(taker: &Taker<'_>, some: &[Candidate]) -> Result<Vec<Claim>, TransferError> {
    let mut wanted = Vec::with_capacity(some.len());
    for candidate in some {
        wanted.push((taker.claim_for(candidate).await?, candidate.mark.clone()));
    }
    taker
        .root
        .work(move |root| {
            let (mut ours, mut folders) = (Vec::new(), HashSet::new());
            for (claim, mark) in wanted {
                if claim::claim(root, &claim, mark.as_deref())?.is_some() {
                    folders.insert(claim.below.clone());
                    ours.push(claim);
                }
            }
            for below in folders {
                claim::sync(root, &below)?;
            }
            Ok(ours)
        })
        .await
}

async fn take_all(taker: &Taker<'_>, claims: Vec<Claim>, fresh: bool, trouble: &mut Option<TransferError>) {
    let ends = futures_util::stream::iter(claims.into_iter().map(async |claim| {
        let path = base::octets_text(&join(&claim.below, &claim.name));
        (number(&claim), path, taker.take(claim, fresh).await)
    }));
    let mut ends = std::pin::pin!(ends.buffer_unordered(AT_ONCE));
    while let Some((transfer, file, end)) = ends.next().await {
        let (drop_folder, transfer) = (taker.drop.name.as_str(), transfer.0);
        match end {
            Ok(Taken::Received) => tracing::info!(drop_folder, transfer, file, "file taken in"),
            Ok(Taken::Changed) => tracing::info!(drop_folder, file, "file changed while it was read: it waits again"),
            Ok(Taken::Elsewhere | Taken::Refused) => {}
            Err(error) => *trouble = Some(TransferError { text: format!("{file}: {}", error.text), ..error }),
        }
    }
}

/// The private folder is made, closed to others; one that others can write to is not used.
fn own_area(root: &Folder) -> Result<Result<(), String>, Errno> {
    root.child(AREA, true)?;
    let Some(stat) = root.look(AREA)? else { return Err(Errno::NOENT) };
    let own = stat.st_uid == rustix::process::geteuid().as_raw() && stat.st_mode & 0o022 == 0;
    Ok(if own { Ok(()) } else { Err(".gatehouse in it is not the gateway's alone: remove it".to_owned()) })
}

/// Notices of the system that something was put into a folder. Without them the clock alone wakes.
struct Notices {
    fd: Option<AsyncFd<OwnedFd>>,
}

impl Notices {
    #[expect(
        deprecated,
        reason = "the form that takes its place is unsafe, for types whose descriptor may change: this one's does not"
    )]
    fn new() -> Self {
        let made = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC);
        let fd = made.ok().and_then(|fd| AsyncFd::new(fd).ok());
        if fd.is_none() {
            tracing::warn!("the system gives no notices of new files: drop folders are looked at by the clock");
        }
        Self { fd }
    }

    fn watch(&self, path: &str) {
        let flags = WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO | WatchFlags::CREATE | WatchFlags::ONLYDIR;
        if let Some(fd) = &self.fd
            && let Err(error) = inotify::add_watch(fd.get_ref(), path, flags)
        {
            tracing::debug!(path, %error, "no notices from this folder");
        }
    }

    /// Waits for the next ones, and takes all that there are.
    async fn next(&mut self) {
        let Some(fd) = &mut self.fd else { return std::future::pending().await };
        let Ok(mut ready) = fd.readable_mut().await else { return std::future::pending().await };
        let mut events = [0; 4096];
        while rustix::io::read(ready.get_inner(), &mut events).is_ok_and(|count| count > 0) {}
        ready.clear_ready();
    }
}
