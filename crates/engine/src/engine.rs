//! The engine: what a running gateway is, besides its sockets.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use base::{Clock, TransferId};
use db::{Db, DbError, State};
use keys::{MasterKeeper, MasterKey};
use model::{Problem, Snapshot};
use tokio::sync::{broadcast, watch};

use crate::events::{Event, Events};
use crate::limits::{LEASE, PROTOCOL_CONNECTIONS_MAX};
use crate::load::{Reloaded, Stored};
use crate::node::{Node, Recorded};
use crate::queue::Queue;
use crate::route::Settling;
use crate::store::Store;
use crate::sync::{NameLocks, RecordLocks};
use crate::transfer::{Downloads, Uploads};

/// Settings of an engine.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// The data folder; empty for an engine that has none.
    pub data: PathBuf,
    /// File of the master key, if it is not in the data folder: then it is not changed here.
    pub master_file: Option<PathBuf>,
    /// Reads and makes the files of master keys; the tokens of keys.
    pub keeper: MasterKeeper,
    /// Sizes of bare keys that are taken (KEY-2).
    pub key_sizes: keys::SizeLimits,
    /// File of the settings, if it is not in the data folder.
    pub settings_file: Option<PathBuf>,
    /// How long ended transfers are kept.
    pub retention: crate::care::RetentionRules,
    /// Name of this node.
    pub node: String,
    /// Mark of its data folder: a node of the same mark that was there before is surely dead.
    pub home: String,
    /// Its machine, for people.
    pub host: String,
    /// How long it counts as being there without a sign of life; then others take over what it was at work on.
    pub lease: Duration,
    /// Settle time of uploads whose gate says nothing (DESIGN 1.2).
    pub settle: Duration,
    /// Failed tries of a transfer whose request says nothing (transfers.md section 3).
    pub retry_count_max: u32,
    /// First wait after a failed try of a transfer.
    pub retry_delay_min: Duration,
    /// Longest wait after a failed try of a transfer.
    pub retry_delay_max: Duration,
    /// When tries are used up: cancel the transfer, instead of suspending it for a person to look at.
    pub cancel_on_retries: bool,
    /// When tries to connect are used up: stop the site until someone starts it, instead of one more try with each new
    /// request for it (`stop_site_on_max_retry_reached`).
    pub stop_site_on_retries: bool,
    /// Over how long it is counted what a partner transfers; none: not at all (FTP-15).
    pub quota_window: Duration,
    /// Connections at the same time as initiator, for all sites of a protocol.
    pub connections_max: u32,
    /// From when on a person is needed.
    pub thresholds: crate::watch::Thresholds,
    /// When letters about alarms are sent.
    pub mail: crate::watch::MailPace,
    /// Numbers of `/metrics` name the site where there is one.
    pub label_sites: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            data: PathBuf::new(),
            master_file: None,
            keeper: MasterKeeper::default(),
            key_sizes: keys::SizeLimits::default(),
            settings_file: None,
            retention: crate::care::RetentionRules::default(),
            node: "main".to_owned(),
            home: String::new(),
            host: String::new(),
            lease: LEASE,
            settle: Duration::from_secs(2),
            retry_count_max: 10,
            retry_delay_min: Duration::from_secs(10),
            retry_delay_max: Duration::from_secs(600),
            cancel_on_retries: false,
            stop_site_on_retries: false,
            quota_window: crate::admit::QUOTA_WINDOW,
            connections_max: PROTOCOL_CONNECTIONS_MAX,
            thresholds: crate::watch::Thresholds::default(),
            mail: crate::watch::MailPace::default(),
            label_sites: false,
        }
    }
}

/// What an engine is made of.
#[derive(Debug)]
pub struct EngineParts {
    /// The database, open.
    pub db: Db,
    /// Where the octets of files are kept.
    pub store: Arc<dyn Store>,
    /// Opens and seals secrets.
    pub master: Arc<MasterKey>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Settings.
    pub options: EngineOptions,
}

/// Why an engine does not start.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The database.
    #[error("the engine cannot start: {0}")]
    Db(#[from] DbError),
    /// No random numbers.
    #[error("the engine cannot start: the system gives no random numbers: {0}")]
    Random(String),
}

/// What a start put in order (TRF-4).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Recovered {
    /// Deliveries that go on.
    pub restarted: u64,
    /// Uploads and downloads that their partner has to resume.
    pub interrupted: u64,
}

/// One running engine. Everything a protocol, a command or a task asks of it is a method.
pub struct Engine {
    pub(crate) db: Db,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) master: Arc<MasterKey>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: EngineOptions,
    pub(crate) model: ArcSwap<(Arc<Snapshot>, Arc<Vec<Problem>>)>,
    /// What was read of the configuration last.
    pub(crate) known: Mutex<Stored>,
    /// Held while the configuration is read: the older of two readings must not win.
    pub(crate) reading: tokio::sync::Mutex<()>,
    pub(crate) events: Events,
    pub(crate) vitals: crate::watch::Vitals,
    pub(crate) courier: std::sync::OnceLock<Arc<dyn crate::watch::Courier>>,
    pub(crate) uploads: Mutex<Uploads>,
    pub(crate) downloads: Mutex<Downloads>,
    pub(crate) running: Mutex<HashMap<TransferId, Arc<crate::queue::Running>>>,
    pub(crate) settling: Settling,
    pub(crate) queue: Queue,
    pub(crate) records: RecordLocks,
    pub(crate) opening: NameLocks,
    pub(crate) node: Arc<Node>,
    pub(crate) clock_seen: crate::clock::Seen,
    pub(crate) alarms: Mutex<crate::admit::Told>,
    pub(crate) refusals: Mutex<crate::admit::Refusals>,
    pub(crate) rates: crate::admit::Rates,
    pub(crate) pictured: crate::certificates::Pictured,
    pub(crate) logins: Mutex<crate::admit::Noted>,
    /// Held while an upload that has a limit is committed, so that no two of them take the same room.
    pub(crate) limited: tokio::sync::Mutex<()>,
    /// Keys of files that are being fetched, so that no two requests take the same one.
    pub(crate) fetching: Mutex<std::collections::HashSet<String>>,
    pub(crate) frost: crate::care::Frost,
    /// Held by housekeeping, backup and change of the master key: one at a time.
    pub(crate) tending: tokio::sync::Mutex<()>,
    pub(crate) pulse: crate::pulse::Pulse,
    gateway_id: String,
    recovered: Recovered,
    stop: watch::Sender<bool>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("gateway_id", &self.gateway_id).field("options", &self.options).finish()
    }
}

impl Engine {
    /// Loads the configuration and puts in order what the last stop left under way (TRF-4). Starts no task: see
    /// [`crate::run_routing`] and [`crate::run_deliveries`].
    ///
    /// # Errors
    /// [`StartError`] if the database fails.
    pub async fn start(parts: EngineParts) -> Result<Arc<Self>, StartError> {
        let EngineParts { db, store, master, clock, options } = parts;
        let gateway_id = gateway_id(&db).await?;
        let stored = Stored::read(&db).await?;
        let loaded = Reloaded::of(&stored);
        let frost = crate::care::Frost::load(&db).await?;
        let node = Arc::new(Node::begin(&db, &options, clock.as_ref()).await?);
        store.attach(Arc::new(Recorded { db: db.clone(), node: node.clone() }));
        let recovered = recover(&db, clock.as_ref()).await?;
        let events = Events::new(Arc::clone(&clock));
        let vitals = crate::watch::Vitals::new(clock.monotonic());
        events.emit(Event::ConfigChanged { revision: loaded.revision, problems: loaded.problems.len() });
        events.emit(Event::Recovered { restarted: recovered.restarted, interrupted: recovered.interrupted });
        // A start is no change.
        events.forget();
        crate::sync::lock(&events.ledger).label_sites(options.label_sites);
        let engine = Arc::new(Self {
            model: ArcSwap::from_pointee((loaded.snapshot, loaded.problems)),
            known: Mutex::new(stored),
            db,
            store,
            master,
            clock,
            options,
            reading: tokio::sync::Mutex::default(),
            events,
            vitals,
            courier: std::sync::OnceLock::new(),
            uploads: Mutex::default(),
            downloads: Mutex::default(),
            running: Mutex::default(),
            alarms: Mutex::default(),
            refusals: Mutex::default(),
            rates: crate::admit::Rates::default(),
            pictured: Mutex::default(),
            logins: Mutex::default(),
            settling: Settling::default(),
            queue: Queue::default(),
            records: RecordLocks::default(),
            opening: NameLocks::default(),
            limited: tokio::sync::Mutex::default(),
            fetching: Mutex::default(),
            frost,
            tending: tokio::sync::Mutex::default(),
            node,
            clock_seen: crate::clock::Seen::default(),
            pulse: crate::pulse::Pulse::default(),
            gateway_id,
            recovered,
            stop: watch::Sender::new(false),
        });
        engine.want_events(&engine.snapshot()).await?;
        Ok(engine)
    }

    /// The configuration in use. Whoever begins with one keeps it; states of objects are looked at again where that
    /// matters.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.model.load().0.clone()
    }

    /// What is wrong in the configuration in use.
    #[must_use]
    pub fn problems(&self) -> Arc<Vec<Problem>> {
        self.model.load().1.clone()
    }

    /// The database.
    #[must_use]
    pub const fn db(&self) -> &Db {
        &self.db
    }

    /// The payload store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The master key.
    #[must_use]
    pub fn master(&self) -> &Arc<MasterKey> {
        &self.master
    }

    /// Time.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Settings.
    #[must_use]
    pub const fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// Eight hexadecimal digits that tell this gateway from others, for life.
    #[must_use]
    pub fn gateway_id(&self) -> &str {
        &self.gateway_id
    }

    /// What the start put in order.
    #[must_use]
    pub const fn recovered(&self) -> Recovered {
        self.recovered
    }

    /// All events from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Arc<Event>> {
        self.events.listen()
    }

    /// How the running program stands.
    #[must_use]
    pub const fn vitals(&self) -> &crate::watch::Vitals {
        &self.vitals
    }

    /// Tells an event.
    pub fn emit(&self, event: Event) {
        self.events.emit(event);
    }

    /// Asks every task and session to come to an end: nothing new begins, what runs may finish.
    pub fn shutdown(&self) {
        self.stop.send_replace(true);
        self.wake();
    }

    /// Becomes true when the engine is asked to stop.
    #[must_use]
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Whether it was asked to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Makes both tasks look for work now, after a change made past the engine.
    pub fn wake(&self) {
        self.queue.wake();
        self.settling.wake();
    }
}

async fn gateway_id(db: &Db) -> Result<String, StartError> {
    if let Some(id) = db.meta().get(GATEWAY_ID).await? {
        return Ok(id);
    }
    let id = base::hex(&base::random::<4>().map_err(|e| StartError::Random(e.to_string()))?);
    db.meta().set(GATEWAY_ID, &id).await?;
    Ok(id)
}

async fn recover(db: &Db, clock: &dyn Clock) -> Result<Recovered, StartError> {
    let mut recovered = Recovered::default();
    for id in db.transfers().recover(clock.now()).await? {
        match db.transfers().get(id).await? {
            Some(t) if t.state == State::ToRestart => recovered.restarted += 1,
            Some(_) => recovered.interrupted += 1,
            None => {}
        }
    }
    Ok(recovered)
}

const GATEWAY_ID: &str = "gateway_id";
