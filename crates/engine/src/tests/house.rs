//! A configured engine in a folder of its own, and partners to try it with.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use base::{Clock, TestClock, TransferId, UtcMicros};
use bytes::Bytes;
use db::{Actor, Db, DbOptions, Faults, NewObject, State, Transfer, TransferFilter};
use keys::MasterKey;
use model::{Body, Kind, ObjectState, RemoteSite, Value, VfdRight};
use tempfile::TempDir;
use tokio::sync::Semaphore;

use crate::store::{Disk, RealDisk, StoreParts, open_store};
use crate::sync::lock;
use crate::{
    Admitted, Cause, Committed, Deliver, Engine, EngineOptions, EngineParts, Event, Incoming, Job, JobOutcome,
    JobSource, OpenWrite, SessionOutcome, TransferError, VPath,
};

/// How an object is written down: kind, name, fields as texts.
pub(crate) type Written<'a> = (Kind, &'a str, &'a [(&'a str, &'a str)]);

/// Partner A sends to `/in` and fetches from `/out`; what it sends goes to B by its gate.
const STAGE: &[Written<'static>] = &[
    (Kind::LocalSite, "HERE", &[]),
    (Kind::RemoteSite, "A", &[]),
    (
        Kind::RemoteSite,
        "B",
        &[
            ("dest_address", "b.example/22"),
            ("login_ident", "gateway"),
            ("dir_name", "drop"),
            ("retry_count_max", "10"),
            ("retry_delay_min", "10"),
            ("retry_delay_max", "30"),
            ("init_conn_max", "2"),
        ],
    ),
    (Kind::RemoteSite, "C", &[]),
    (Kind::CgateGroup, "PARTNERS", &[("sap", "*")]),
    (Kind::Cgate, "GA", &[("cgategroup", "PARTNERS"), ("login_user", "a"), ("route_remote_agent", "B")]),
    (Kind::VfdDir, "/in", &[]),
    (Kind::VfdDir, "/out", &[]),
    (Kind::VfdDir, "/once", &[("filename_duplicate_policy", "FORBID")]),
    (Kind::VfdDir, "/last", &[("filename_duplicate_policy", "OVERRIDE")]),
    (Kind::VfdDir, "/xfb", &[("filename_display_option", "XFB")]),
    (Kind::VfdDir, "/secret", &[]),
];

/// The time at which every test begins.
pub(super) const BEGIN: UtcMicros = UtcMicros(1_800_000_000_000_000);

pub(crate) struct House {
    pub(crate) engine: Arc<Engine>,
    pub(super) clock: Arc<TestClock>,
    pub(super) folder: TempDir,
    disk: Arc<dyn Disk>,
    faults: Option<Faults>,
    master: Arc<MasterKey>,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With more objects than the usual ones; one of the same kind and name takes the place of the usual one.
    pub(super) async fn with(more: &[Written<'_>]) -> Self {
        Self::on(Arc::new(RealDisk), more).await
    }

    /// On a disk of its own kind.
    pub(super) async fn on(disk: Arc<dyn Disk>, more: &[Written<'_>]) -> Self {
        Self::made(disk, None, more).await
    }

    /// With a database whose statements fail when a test asks for it.
    pub(crate) async fn with_faults(faults: &Faults, more: &[Written<'_>]) -> Self {
        Self::made(Arc::new(RealDisk), Some(faults.clone()), more).await
    }

    async fn made(disk: Arc<dyn Disk>, faults: Option<Faults>, more: &[Written<'_>]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(TestClock::at(BEGIN));
        let master = Arc::new(MasterKey::generate().unwrap());
        let db = open_db(folder.path(), &clock, faults.as_ref()).await;
        for written in STAGE.iter().filter(|s| !more.iter().any(|m| m.0 == s.0 && m.1 == s.1)).chain(more) {
            create(&db, *written).await;
        }
        let engine = start(folder.path(), db, &clock, (&master, &disk)).await;
        // The clock as it was before any test sets it.
        engine.follow_clock().await.unwrap();
        Self { engine, clock, folder, disk, faults, master }
    }

    /// The program dies and starts again: what is in memory is lost, no upload and no delivery is ended. (What was
    /// queued for the database is written first, so that the dead one can't write later than the living one.)
    pub(super) async fn crash(&mut self) {
        self.engine.db.close().await;
        let db = open_db(self.folder.path(), &self.clock, self.faults.as_ref()).await;
        self.engine = start(self.folder.path(), db, &self.clock, (&self.master, &self.disk)).await;
    }

    /// The same database seen from beside, where no statement fails.
    pub(super) async fn beside(&self) -> Db {
        open_db(self.folder.path(), &self.clock, None).await
    }

    /// Another machine that has this house's master key and time, on a folder of its own.
    pub(super) async fn twin(&self, folder: TempDir) -> Self {
        let db = open_db(folder.path(), &self.clock, None).await;
        let engine = start(folder.path(), db, &self.clock, (&self.master, &self.disk)).await;
        let (clock, disk, master) = (self.clock.clone(), self.disk.clone(), self.master.clone());
        Self { engine, clock, folder, disk, master, faults: self.faults.clone() }
    }

    /// With its master key in a file, as in a real data folder.
    pub(super) async fn with_key_file() -> Self {
        let mut house = Self::new().await;
        let key = MasterKey::create(&house.folder.path().join(crate::care::MASTER_FILE)).unwrap();
        house.master = Arc::new(key);
        house.crash().await;
        house
    }

    /// As [`Self::crash`]; the keys are read from their files again.
    pub(super) async fn crash_with_keys(&mut self) {
        self.master = Arc::new(crate::care::load_master(self.folder.path(), &keys::MasterKeeper::default()).unwrap());
        self.crash().await;
    }

    /// Starts again with other settings.
    pub(super) async fn options(&mut self, change: impl FnOnce(&mut EngineOptions)) {
        let mut options = self.engine.options().clone();
        change(&mut options);
        self.engine.db.close().await;
        let db = open_db(self.folder.path(), &self.clock, self.faults.as_ref()).await;
        self.engine = start_with(self.folder.path(), db, &self.clock, (&self.master, &self.disk, options)).await;
    }

    /// Seals a secret of a site.
    pub(super) async fn secret(&self, site: &str, field: &'static str, plain: &[u8]) {
        let db = self.engine.db();
        let uid = db.objects().uid(Kind::RemoteSite, site).await.unwrap();
        let aad = format!("object_secret|{uid}|{field}");
        let sealed = self.engine.master().seal(aad.as_bytes(), plain).unwrap();
        let old = db.objects().find(Kind::RemoteSite, site).await.unwrap().unwrap();
        let change = db::Change { secrets: vec![(field.to_owned(), Some(sealed))], ..change_of(&old) };
        db.objects().update(change, &actor()).await.unwrap();
    }

    /// Opens it again.
    pub(super) async fn opened(&self, site: &str, field: &str) -> Vec<u8> {
        let db = self.engine.db();
        let object = db.objects().find(Kind::RemoteSite, site).await.unwrap().unwrap();
        let (uid, sealed) = db.objects().secret(object.id, field).await.unwrap().unwrap();
        let aad = format!("object_secret|{uid}|{field}");
        self.engine.master().open(aad.as_bytes(), &sealed).unwrap().expose().clone()
    }

    pub(super) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub(super) async fn get(&self, id: TransferId) -> Transfer {
        self.engine.db.transfers().get(id).await.unwrap().unwrap()
    }

    pub(super) async fn all(&self) -> Vec<Transfer> {
        let mut all = self.engine.db.transfers().list(TransferFilter::default(), 1000).await.unwrap();
        all.reverse();
        all
    }

    /// Changes fields of a site and puts it in use.
    pub(super) async fn change_site(&self, name: &str, fields: &[(&str, &str)]) {
        let object = self.engine.db.objects().find(Kind::RemoteSite, name).await.unwrap().unwrap();
        let mut change = change_of(&object);
        for (field, text) in fields {
            change.body.insert((*field).to_owned(), Value::Text((*text).to_owned()));
        }
        change.body = model::check_body(Kind::RemoteSite, &change.body).unwrap();
        self.engine.db.objects().update(change, &actor()).await.unwrap();
        self.engine.reload().await.unwrap();
    }

    /// Changes a configured object and puts it in use.
    pub(crate) async fn set_state(&self, kind: Kind, name: &str, state: ObjectState) {
        let object = self.engine.db.objects().find(kind, name).await.unwrap().unwrap();
        let change = db::Change { state, ..change_of(&object) };
        self.engine.db.objects().update(change, &actor()).await.unwrap();
        self.engine.reload().await.unwrap();
    }

    /// Uploads a file as `who` and closes it.
    pub(super) async fn put(&self, who: &Admitted, path: &str, content: &[u8]) -> Committed {
        let mut file = self.begin(who, path, NEW).await.unwrap();
        file.write_at(0, Bytes::copy_from_slice(content)).await.unwrap();
        file.commit().await.unwrap()
    }

    pub(super) async fn begin(&self, who: &Admitted, path: &str, how: OpenWrite) -> Result<Incoming, TransferError> {
        self.engine.open_write(who, &at(path), how).await
    }

    /// Uploads a file, lets it settle and routes it. Gives the received and the outgoing transfer.
    pub(super) async fn put_and_route(&self, path: &str, content: &[u8]) -> (TransferId, TransferId) {
        let received = self.put(&partner("A"), path, content).await.transfer.unwrap();
        self.advance(3);
        self.engine.route_due().await.unwrap();
        let made = self.engine.db.transfers().routed_to(received).await.unwrap();
        assert_eq!(made.len(), 1, "{:?}", self.get(received).await);
        (received, made[0])
    }

    /// The names that `who` sees in a folder.
    pub(super) async fn names(&self, who: &Admitted, path: &str) -> Vec<String> {
        let entries = self.engine.list(who, &at(path)).await.unwrap();
        entries.into_iter().map(|e| String::from_utf8(e.name).unwrap()).collect()
    }

    /// Whole content of a file as `who` reads it, and whether the transfer ended by that.
    pub(super) async fn fetch(&self, who: &Admitted, path: &str) -> Result<(Vec<u8>, bool), TransferError> {
        let mut file = self.engine.open_read(who, &at(path)).await?;
        let mut content = Vec::new();
        loop {
            let piece = file.read_at(u64::try_from(content.len()).unwrap(), 1000).await?;
            if piece.is_empty() {
                break;
            }
            content.extend_from_slice(&piece);
        }
        Ok((content, file.finish(true).await?))
    }

    /// Puts a local file with this content at the disposal of `site`, in `/out`.
    pub(super) async fn offer(&self, site: &str, name: &str, content: &[u8]) -> TransferId {
        let request = crate::Request {
            mode: db::Mode::Responder,
            dir_name: "/out".to_owned(),
            ..self.request(site, name, content)
        };
        self.engine.submit(request).await.unwrap()
    }

    pub(super) fn request(&self, site: &str, name: &str, content: &[u8]) -> crate::Request {
        let file = self.folder.path().join(name);
        std::fs::write(&file, content).unwrap();
        crate::Request { site: site.to_owned(), file, ..crate::Request::default() }
    }
}

pub(crate) fn actor() -> Actor {
    Actor { name: "uid:1000".to_owned(), origin: "test".to_owned() }
}

async fn open_db(folder: &Path, clock: &Arc<TestClock>, faults: Option<&Faults>) -> Db {
    let url = folder.join("gatehouse.db").display().to_string();
    let options = DbOptions { url, clock: clock.clone() };
    match faults {
        Some(faults) => Db::open_with_faults(options, faults).await.unwrap(),
        None => Db::open(options).await.unwrap(),
    }
}

/// A change of an object that changes nothing.
fn change_of(object: &model::Object) -> db::Change {
    db::Change {
        kind: object.kind,
        name: object.name.clone(),
        new_name: None,
        group: object.group.clone(),
        state: object.state,
        body: object.body.clone(),
        secrets: Vec::new(),
        references: Vec::new(),
        expected_revision: None,
        credential: None,
    }
}

async fn start(
    folder: &Path,
    db: Db,
    clock: &Arc<TestClock>,
    (master, disk): (&Arc<MasterKey>, &Arc<dyn Disk>),
) -> Arc<Engine> {
    let options = EngineOptions { data: folder.to_owned(), ..EngineOptions::default() };
    start_with(folder, db, clock, (master, disk, options)).await
}

async fn start_with(
    folder: &Path,
    db: Db,
    clock: &Arc<TestClock>,
    (master, disk, options): (&Arc<MasterKey>, &Arc<dyn Disk>, EngineOptions),
) -> Arc<Engine> {
    let clock: Arc<dyn Clock> = clock.clone();
    let mut parts = StoreParts::new(folder.to_owned(), master.clone(), clock.clone());
    parts.disk = disk.clone();
    let store = open_store("local", parts).unwrap();
    let engine = Engine::start(EngineParts { db, store, master: master.clone(), clock, options }).await.unwrap();
    let bad: Vec<String> = engine
        .problems()
        .iter()
        .map(ToString::to_string)
        .filter(|p| p.starts_with("error") && !p.contains("SFTP_OUT"))
        .collect();
    assert!(bad.is_empty(), "{bad:?}");
    engine
}

pub(crate) async fn create(db: &Db, (kind, name, fields): Written<'_>) {
    let body: Body = fields.iter().map(|(f, v)| ((*f).to_owned(), Value::Text((*v).to_owned()))).collect();
    let body = model::check_body(kind, &body).unwrap();
    let new = NewObject {
        uid: base::hex(&base::random::<8>().unwrap()),
        kind,
        name: name.to_owned(),
        group: "GDEFAULT".to_owned(),
        state: ObjectState::Enabled,
        body,
        secrets: Vec::new(),
        references: Vec::new(),
        credential: None,
    };
    db.objects().create(new, &actor()).await.unwrap();
}

pub(super) fn at(path: &str) -> VPath {
    VPath::from_text(path).unwrap()
}

/// A session of `site`, with every right in its folders.
pub(super) fn partner(site: &str) -> Admitted {
    let rights = ["/in:*:RWD:L:Y", "/out:*:RD:L:N", "/once:*:RW:L:N", "/last:*:RW:L:N", "/xfb:*:RWD:L:N"];
    Admitted {
        gate: "GA".to_owned(),
        site: site.to_owned(),
        login: site.to_ascii_lowercase(),
        protocol: "SFTP",
        peer: "192.0.2.7:40000".parse().unwrap(),
        local: "192.0.2.1:22".parse().unwrap(),
        key: None,
        certificate: None,
        secured: None,
        root_dir: "/".to_owned(),
        home_dir: "/in".to_owned(),
        rights: rights.iter().map(|r| VfdRight::parse(r).unwrap()).collect(),
        settle: Duration::from_secs(2),
        max_upload: None,
        rates: model::TransferRates::default(),
        route_remote_agent: None,
    }
}

pub(super) const NEW: OpenWrite = OpenWrite { append: false, truncate: true, create: true, exclusive: false };
pub(super) const RESUME: OpenWrite = OpenWrite { append: true, truncate: false, create: true, exclusive: false };

/// Content that differs from place to place.
pub(super) fn content(octets: usize) -> Vec<u8> {
    (0..octets).map(|i| u8::try_from((i * 31 + i / 251) % 256).unwrap()).collect()
}

/// What the pretended carrier does next.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// No connection.
    NoConnection,
    /// Connects and ends each job as the list of outcomes says, until the queue is empty.
    Serve,
    /// Connects, takes a job, and holds it until let go.
    Hold,
    /// Takes a job and the connection breaks without a word, before its last step.
    Break,
    /// As `Break`, but when the job was about to get its final name.
    BreakLast,
    /// As `Hold`, but when the job is about to get its final name.
    HoldLast,
}

/// One delivery as the carrier saw it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Seen {
    pub(super) id: TransferId,
    pub(super) name: String,
    pub(super) temp_name: String,
    pub(super) content: Vec<u8>,
    pub(super) attempt: u32,
    pub(super) tried_before: bool,
    pub(super) maybe_delivered: bool,
}

/// A carrier that only pretends: connections by a script, jobs by a list of outcomes.
pub(super) struct Pretender {
    script: Mutex<VecDeque<Act>>,
    /// How the next jobs end; when it is empty, they are delivered.
    pub(super) outcomes: Mutex<VecDeque<JobOutcome>>,
    pub(super) seen: Mutex<Vec<Seen>>,
    pub(super) now: Mutex<usize>,
    pub(super) most: Mutex<usize>,
    pub(super) paths: Mutex<Vec<Vec<usize>>>,
    /// A permit lets one held job go.
    pub(super) gate: Semaphore,
    /// Has a permit for each job held at its last step.
    pub(super) held: Semaphore,
}

impl Pretender {
    pub(super) fn new(script: &[Act]) -> Arc<Self> {
        Arc::new(Self {
            script: Mutex::new(script.iter().cloned().collect()),
            outcomes: Mutex::default(),
            seen: Mutex::default(),
            now: Mutex::default(),
            most: Mutex::default(),
            paths: Mutex::default(),
            gate: Semaphore::new(0),
            held: Semaphore::new(0),
        })
    }

    /// Whose next jobs end like this.
    pub(super) fn ending(outcomes: &[JobOutcome]) -> Arc<Self> {
        let carrier = Self::new(&[]);
        lock(&carrier.outcomes).extend(outcomes.iter().cloned());
        carrier
    }

    pub(super) fn ids(&self) -> Vec<TransferId> {
        lock(&self.seen).iter().map(|s| s.id).collect()
    }

    async fn see(&self, jobs: &mut dyn JobSource) -> Option<TransferId> {
        let Job::Send(mut job) = jobs.next().await? else { panic!("nothing is fetched here") };
        let mut content = Vec::new();
        while u64::try_from(content.len()).unwrap() < job.size {
            match job.source.read_at(u64::try_from(content.len()).unwrap(), 65_536).await {
                Ok(piece) => content.extend_from_slice(&piece),
                Err(e) => {
                    jobs.finish(job.id, JobOutcome::Retry(e)).await.unwrap();
                    return None;
                }
            }
        }
        lock(&self.seen).push(Seen {
            id: job.id,
            name: String::from_utf8(job.file_name.clone()).unwrap(),
            temp_name: String::from_utf8(job.temp_name.clone().unwrap()).unwrap(),
            content,
            attempt: job.attempt,
            tried_before: job.tried_before,
            maybe_delivered: job.maybe_delivered,
        });
        Some(job.id)
    }

    async fn hold(&self, jobs: &mut dyn JobSource, last: bool) {
        while let Some(id) = self.see(jobs).await {
            if last {
                jobs.last_step(id).await.unwrap();
                self.held.add_permits(1);
            }
            let outcome = loop {
                if let Ok(permit) = tokio::time::timeout(Duration::from_millis(5), self.gate.acquire()).await {
                    permit.unwrap().forget();
                    break JobOutcome::Delivered;
                }
                if let Err(e) = jobs.progress(id, 1).await {
                    break JobOutcome::Retry(e);
                }
            };
            jobs.finish(id, outcome).await.unwrap();
        }
    }
}

#[async_trait]
impl Deliver for Pretender {
    async fn session(&self, _site: Arc<RemoteSite>, jobs: &mut dyn JobSource) -> SessionOutcome {
        lock(&self.paths).push(jobs.path_order());
        let act = lock(&self.script).pop_front().unwrap_or(Act::Serve);
        {
            let mut now = lock(&self.now);
            *now += 1;
            let mut most = lock(&self.most);
            *most = (*most).max(*now);
        }
        let outcome = match act {
            Act::NoConnection => SessionOutcome::ConnectFailed { path: 0, error: lost("no route to host") },
            Act::Serve => {
                while let Some(id) = self.see(jobs).await {
                    let outcome = match jobs.last_step(id).await {
                        Ok(()) => lock(&self.outcomes).pop_front().unwrap_or(JobOutcome::Delivered),
                        Err(e) => JobOutcome::Retry(e),
                    };
                    if let Err(e) = jobs.finish(id, outcome).await {
                        *lock(&self.now) -= 1;
                        return SessionOutcome::Lost(e);
                    }
                }
                SessionOutcome::Ended
            }
            Act::Hold | Act::HoldLast => {
                self.hold(jobs, matches!(act, Act::HoldLast)).await;
                SessionOutcome::Ended
            }
            Act::Break | Act::BreakLast => {
                let id = self.see(jobs).await;
                if let (Some(id), Act::BreakLast) = (id, act) {
                    jobs.last_step(id).await.unwrap();
                }
                SessionOutcome::Lost(lost("connection reset"))
            }
        };
        *lock(&self.now) -= 1;
        outcome
    }
}

pub(super) fn lost(text: &str) -> TransferError {
    TransferError::retry(Cause::Connection, text)
}

/// The queue of a house, running.
pub(super) struct Running {
    engine: Arc<Engine>,
    task: tokio::task::JoinHandle<()>,
    events: tokio::sync::broadcast::Receiver<Arc<Event>>,
}

impl Running {
    pub(super) fn start(house: &House, carrier: &Arc<impl Deliver>) -> Self {
        let engine = house.engine.clone();
        let events = engine.events();
        let task = tokio::spawn(crate::run_deliveries(engine.clone(), carrier.clone()));
        Self { engine, task, events }
    }

    /// Waits for the next event of this name.
    pub(super) async fn event(&mut self, name: &str) -> Event {
        self.any(&[name]).await
    }

    /// Waits for the next event of one of these names.
    pub(super) async fn any(&mut self, names: &[&str]) -> Event {
        let wait = async {
            loop {
                let event = self.events.recv().await.unwrap();
                if names.contains(&event.name()) {
                    return (*event).clone();
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap_or_else(|_| panic!("no event {names:?}"))
    }

    /// Ends the deliveries; the engine goes on.
    pub(super) async fn end(self) {
        self.task.abort();
        drop(self.task.await);
    }

    pub(super) async fn stop(self) {
        self.engine.shutdown();
        tokio::time::timeout(Duration::from_secs(20), self.task).await.unwrap().unwrap();
    }
}

/// Waits until a fact holds; the fact comes from another task, so it can't be waited for otherwise.
pub(super) async fn until(what: &str, mut fact: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !fact().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}

pub(super) fn state_of(t: &Transfer) -> State {
    t.state
}
