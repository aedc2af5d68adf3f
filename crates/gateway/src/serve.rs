//! `gatehouse serve`: the running gateway, from first start to drained stop.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use engine::admit::Vault;
use engine::{Engine, Event};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};

use crate::accept::Acceptors;
use crate::cli::print;
use crate::data_dir::DataDir;
use crate::deliver::Deliverer;
use crate::instance::Instance;
use crate::observe::{self, LogLevel, Observed};
use crate::settings::{Log, LogFormat, Settings};
use crate::system::{HandedSockets, Liveness, Notifier};

/// Longest wait, beyond the drain time, for tasks to end.
const END_MAX: Duration = Duration::from_secs(10);

/// A gateway at work.
pub(crate) struct Running {
    pub(crate) engine: Arc<Engine>,
    /// Addresses that are listened on, by listener; changes with the configuration.
    pub(crate) listening: watch::Receiver<BTreeMap<String, SocketAddr>>,
    stop: watch::Sender<bool>,
    /// Sessions of partners that called.
    sessions: watch::Receiver<usize>,
    /// Tries to open what could not be listened on.
    again: Arc<Notify>,
    acceptors: JoinHandle<()>,
    tasks: JoinSet<()>,
    /// Tasks that run until the stop, by name.
    watched: Vec<(&'static str, AbortHandle)>,
    node: JoinHandle<()>,
    admin: AdminDoor,
    pub(crate) instance: Instance,
}

impl Running {
    /// Starts all tasks of an opened gateway.
    ///
    /// # Errors
    /// A sentence, if a task cannot be started.
    pub(crate) async fn start(instance: Instance, admin: AdminDoor, handed: HandedSockets) -> Result<Self, String> {
        let engine = Arc::clone(&instance.engine);
        let vault = Arc::new(Vault::default());
        // Made once, so that the first unknown login takes no longer than the next (SSH-32).
        let decoy = tokio::task::spawn_blocking(keys::PasswordHash::decoy);
        decoy.await.map_err(|e| e.to_string())?;
        let mut tasks = JoinSet::new();
        tasks.spawn(engine::run_watch(Arc::clone(&engine)));
        tasks.spawn(engine::run_outbox(Arc::clone(&engine)));
        tasks.spawn(engine::run_traces(Arc::clone(&engine)));
        tasks.spawn(engine::handoff::run_drop_folders(Arc::clone(&engine)));
        tasks.spawn(engine::hooks::run_hooks(Arc::clone(&engine)));
        let node = tokio::spawn(engine::run_node(Arc::clone(&engine)));
        let deliverer = Deliverer::new(Arc::clone(&engine), Arc::clone(&vault));
        let mut watched = vec![
            ("routing", tasks.spawn(engine::run_routing(Arc::clone(&engine)))),
            ("housekeeping", tasks.spawn(engine::run_housekeeping(Arc::clone(&engine)))),
            ("deliveries", tasks.spawn(engine::queue::run_deliveries(Arc::clone(&engine), Arc::new(deliverer)))),
        ];
        let drain = Duration::from_secs(instance.settings.shutdown.drain_s.into());
        let mut acceptors = Acceptors::new(Arc::clone(&engine), vault, drain, handed);
        acceptors.follow_configuration().await;
        let sessions = acceptors.sessions();
        let (tell, listening) = watch::channel(acceptors.addresses());
        let (stop, stopped) = watch::channel(false);
        let again = Arc::new(Notify::new());
        let acceptors = tokio::spawn(follow(acceptors, Arc::clone(&engine), tell, (stopped, Arc::clone(&again))));
        watched.extend([("listeners", acceptors.abort_handle()), admin.watched()]);
        Ok(Self { engine, listening, stop, sessions, again, acceptors, tasks, watched, node, admin, instance })
    }

    /// Tells the service manager how it goes, as long as it goes.
    fn watch(&mut self, notifier: &Arc<Notifier>) -> JoinHandle<()> {
        let liveness = Liveness::new(Arc::clone(&self.engine), std::mem::take(&mut self.watched), true);
        tokio::spawn(liveness.watch(Arc::clone(notifier), self.status()))
    }

    /// What it is doing, in a line for the service manager.
    fn status(&self) -> impl Fn() -> String + Send + 'static {
        let (listening, sessions) = (self.listening.clone(), self.sessions.clone());
        move || format!("ready: {} listeners, {} sessions", listening.borrow().len(), *sessions.borrow())
    }

    /// Stops listening, lets sessions and deliveries end within the drain time, then cuts them.
    pub(crate) async fn stop(mut self) {
        self.engine.shutdown();
        self.stop.send_replace(true);
        let drain = Duration::from_secs(self.instance.settings.shutdown.drain_s.into());
        let acceptors = self.acceptors;
        let end = async {
            if acceptors.await.is_err() {
                tracing::error!("the task of the listeners broke off");
            }
            while self.tasks.join_next().await.is_some() {}
        };
        if tokio::time::timeout(drain.saturating_add(END_MAX), end).await.is_err() {
            tracing::warn!("tasks cut off at the end of the drain time");
        }
        // The last beats are for what was still at work.
        self.node.abort();
        self.engine.leave().await;
        self.admin.close(&self.instance).await;
    }
}

/// The door for commands; open from the start to the end, also while the gateway is frozen.
pub(crate) struct AdminDoor(JoinHandle<()>);

impl AdminDoor {
    /// Opens it.
    ///
    /// # Errors
    /// A sentence, if the socket cannot be opened.
    pub(crate) fn open(instance: &Instance) -> Result<Self, String> {
        instance.engine.vitals().set_serving();
        let socket = admin::socket::listen(&instance.dir.socket()).map_err(|e| format!("admin.sock: {e}"))?;
        let uid = rustix::process::geteuid().as_raw();
        Ok(Self(tokio::spawn(admin::socket::serve(socket, instance.context("", "local socket"), uid))))
    }

    fn watched(&self) -> (&'static str, AbortHandle) {
        ("administration socket", self.0.abort_handle())
    }

    /// Closes it, and the database, as the last things.
    async fn close(self, instance: &Instance) {
        self.0.abort();
        instance.engine.db().close().await;
        if let Err(error) = std::fs::remove_file(instance.dir.socket()) {
            tracing::debug!(%error, "admin.sock was not removed");
        }
    }
}

/// Keeps listeners in step with the configuration until told to stop.
async fn follow(
    mut acceptors: Acceptors,
    engine: Arc<Engine>,
    tell: watch::Sender<BTreeMap<String, SocketAddr>>,
    (mut stopped, again): (watch::Receiver<bool>, Arc<Notify>),
) {
    let mut events = engine.events();
    loop {
        let event = tokio::select! {
            _ = stopped.changed() => break,
            () = again.notified() => {
                acceptors.follow_configuration().await;
                tell.send_replace(acceptors.addresses());
                continue;
            }
            event = events.recv() => event,
        };
        match event {
            Ok(event) if !matches!(*event, Event::ConfigChanged { .. }) => continue,
            Err(RecvError::Closed) => break,
            // Changed, or events were missed among which a change may have been.
            Ok(_) | Err(RecvError::Lagged(_)) => acceptors.follow_configuration().await,
        }
        tell.send_replace(acceptors.addresses());
    }
    acceptors.stop().await;
}

/// What the command line says.
pub(crate) struct Options {
    pub(crate) data: Option<String>,
    pub(crate) metrics: Option<SocketAddr>,
    pub(crate) log: Option<LogFormat>,
}

/// Runs the gateway until SIGTERM or SIGINT; SIGHUP reads the settings anew.
///
/// # Errors
/// A sentence that says what to do.
pub(crate) async fn serve(options: Options) -> Result<(), String> {
    let handed = HandedSockets::from_environment()?;
    let path = DataDir::named(options.data.as_deref()).map_err(|e| e.to_string())?;
    let dir = DataDir::open(&path, true).map_err(|e| e.to_string())?;
    let settings = Settings::of(&dir)?;
    let format = options.log.unwrap_or(settings.log.format);
    let level = observe::start_log(&Log { format, ..settings.log.clone() }, dir.path())?;
    tracing::debug!(file = %dir.settings_file().display(), "settings");
    let observed = Observed::start(options.metrics.unwrap_or(settings.metrics.address)).await?;
    for warning in settings.warnings() {
        tracing::warn!(warning, "setting");
    }
    let mut host = Host { notifier: Arc::new(Notifier::from_environment()), signals: Signals::new()?, settings, level };
    host.notifier.status("starting: opening the database");
    let instance = Instance::open(dir, true).await?;
    for problem in instance.engine.problems().iter() {
        tracing::warn!(%problem, "configuration");
    }
    instance.engine.vitals().set_numbers(observed.numbers());
    let admin = AdminDoor::open(&instance)?;
    if let Some(why) = instance.engine.frozen()
        && !host.until_unfrozen(&instance, &admin, &why).await
    {
        admin.close(&instance).await;
        return Ok(());
    }
    let hint = first_steps(&instance);
    let mut running = Running::start(instance, admin, handed).await?;
    observed.set_ready(true);
    tracing::info!(data = %path.display(), metrics = %observed.address, version = env!("CARGO_PKG_VERSION"), "gateway is ready");
    host.notifier.ready(&running.status()());
    if let Some(hint) = hint {
        print::error_line(&hint).map_err(|e| e.to_string())?;
    }
    let watching = running.watch(&host.notifier);
    while let Asked::Reload = host.signals.next().await {
        host.reload(&running.instance.dir);
        running.again.notify_one();
        host.notifier.ready(&running.status()());
    }
    tracing::info!("stopping: no new connections, running sessions may finish");
    host.notifier.stopping("stopping: running sessions may finish");
    observed.set_ready(false);
    running.stop().await;
    watching.abort();
    tracing::info!("stopped");
    Ok(())
}

/// What to do next, for a person at a terminal who has no partner yet.
fn first_steps(instance: &Instance) -> Option<String> {
    if !std::io::stderr().is_terminal() || instance.engine.snapshot().sites().next().is_some() {
        return None;
    }
    let data = instance.dir.path().display();
    Some(format!(
        "\nNo partner yet. In another terminal:\n\n    export GATEHOUSE_DATA={data}\n    gatehouse partner add NAME\n\nKeep a copy \
         of {} in a safe place: without it, nothing that is stored can be read.\n",
        instance.dir.master_key().display()
    ))
}

/// What the machine asks of us, and what we tell it.
struct Host {
    notifier: Arc<Notifier>,
    signals: Signals,
    /// As they stand in the file that was read last.
    settings: Settings,
    level: LogLevel,
}

impl Host {
    /// Waits until a person lets the gateway run; `false`: it is told to stop.
    async fn until_unfrozen(&mut self, instance: &Instance, admin: &AdminDoor, why: &str) -> bool {
        tracing::warn!(
            why,
            "the gateway is frozen: it takes and sends nothing; look at it, then run `gatehouse unfreeze`"
        );
        let status = "frozen: answers commands only; look at it, then run `gatehouse unfreeze`";
        self.notifier.ready(status);
        let liveness = Liveness::new(Arc::clone(&instance.engine), vec![admin.watched()], false);
        let watching = tokio::spawn(liveness.watch(Arc::clone(&self.notifier), move || status.to_owned()));
        let goes_on = loop {
            tokio::select! {
                () = instance.engine.until_unfrozen() => break true,
                asked = self.signals.next() => match asked {
                    Asked::Stop => break false,
                    Asked::Reload => {
                        self.reload(&instance.dir);
                        self.notifier.ready(status);
                    }
                },
            }
        };
        watching.abort();
        if goes_on {
            tracing::info!("the gateway is no longer frozen");
        } else {
            self.notifier.stopping("stopping");
        }
        goes_on
    }

    /// Reads the settings anew. Whoever calls it says that we are ready again.
    fn reload(&mut self, dir: &DataDir) {
        self.notifier.reloading();
        let done = Settings::of(dir).and_then(|new| self.level.set(&new.log.level).map(|()| new));
        match done {
            Ok(new) => {
                self.settings.log.level.clone_from(&new.log.level);
                if self.settings != new {
                    tracing::warn!(
                        "other settings than [log] level have changed: they take effect with the next start"
                    );
                }
                tracing::info!(level = new.log.level, "settings read anew");
            }
            Err(error) => tracing::error!(error, "the settings are not taken over"),
        }
    }
}

enum Asked {
    Stop,
    Reload,
}

/// Signals of the service manager, or of a person.
struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    fn new() -> Result<Self, String> {
        let listen = |kind| signal(kind).map_err(|e| e.to_string());
        Ok(Self {
            term: listen(SignalKind::terminate())?,
            int: listen(SignalKind::interrupt())?,
            hup: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.term.recv() => Asked::Stop,
            _ = self.int.recv() => Asked::Stop,
            _ = self.hup.recv() => Asked::Reload,
        }
    }
}
