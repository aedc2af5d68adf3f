//! `gatehouse serve`: the running gateway, from first start to drained stop.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use engine::admit::Vault;
use engine::{Engine, Event};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::accept::Acceptors;
use crate::data_dir::DataDir;
use crate::deliver::Deliverer;
use crate::instance::Instance;
use crate::observe::{self, Observed};
use crate::settings::{LogFormat, Settings};

/// Longest wait, beyond the drain time, for tasks to end.
const END_MAX: Duration = Duration::from_secs(10);

/// A gateway at work.
pub(crate) struct Running {
    pub(crate) engine: Arc<Engine>,
    /// Addresses that are listened on, by listener; changes with the configuration.
    pub(crate) listening: watch::Receiver<BTreeMap<String, SocketAddr>>,
    stop: watch::Sender<bool>,
    acceptors: JoinHandle<()>,
    tasks: JoinSet<()>,
    admin: AdminDoor,
    pub(crate) instance: Instance,
}

impl Running {
    /// Starts all tasks of an opened gateway.
    ///
    /// # Errors
    /// A sentence, if a task cannot be started.
    pub(crate) async fn start(instance: Instance, admin: AdminDoor) -> Result<Self, String> {
        let engine = Arc::clone(&instance.engine);
        let vault = Arc::new(Vault::default());
        // Made once, so that the first unknown login takes no longer than the next (SSH-32).
        let decoy = tokio::task::spawn_blocking(keys::PasswordHash::decoy);
        decoy.await.map_err(|e| e.to_string())?;
        let mut tasks = JoinSet::new();
        tasks.spawn(engine::run_routing(Arc::clone(&engine)));
        tasks.spawn(engine::run_housekeeping(Arc::clone(&engine)));
        tasks.spawn(engine::handoff::run_drop_folders(Arc::clone(&engine)));
        tasks.spawn(engine::hooks::run_hooks(Arc::clone(&engine)));
        let deliverer = Deliverer { engine: Arc::clone(&engine), vault: Arc::clone(&vault) };
        tasks.spawn(engine::queue::run_deliveries(Arc::clone(&engine), Arc::new(deliverer)));
        let drain = Duration::from_secs(instance.settings.shutdown.drain_s.into());
        let mut acceptors = Acceptors::new(Arc::clone(&engine), vault, drain);
        acceptors.follow_configuration().await;
        let (tell, listening) = watch::channel(acceptors.addresses());
        let (stop, stopped) = watch::channel(false);
        let acceptors = tokio::spawn(follow(acceptors, Arc::clone(&engine), tell, stopped));
        Ok(Self { engine, listening, stop, acceptors, tasks, admin, instance })
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
        let socket = admin::socket::listen(&instance.dir.socket()).map_err(|e| format!("admin.sock: {e}"))?;
        let uid = rustix::process::geteuid().as_raw();
        Ok(Self(tokio::spawn(admin::socket::serve(socket, instance.context("", "local socket"), uid))))
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
    mut stopped: watch::Receiver<bool>,
) {
    let mut events = engine.events();
    loop {
        let event = tokio::select! {
            _ = stopped.changed() => break,
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

/// Runs the gateway until SIGTERM or SIGINT.
///
/// # Errors
/// A sentence that says what to do.
pub(crate) async fn serve(options: Options) -> Result<(), String> {
    let path = DataDir::named(options.data.as_deref()).map_err(|e| e.to_string())?;
    let dir = DataDir::open(&path, true).map_err(|e| e.to_string())?;
    let mut settings = Settings::read(&dir.settings_text().map_err(|e| format!("gatehouse.toml: {e}"))?)?;
    settings.log.format = options.log.unwrap_or(settings.log.format);
    observe::start_log(&settings.log, dir.path())?;
    let observed = Observed::start(options.metrics.unwrap_or(settings.metrics.address)).await?;
    for warning in settings.warnings() {
        tracing::warn!(warning, "setting");
    }
    let instance = Instance::open(dir, true).await?;
    for problem in instance.engine.problems().iter() {
        tracing::warn!(%problem, "configuration");
    }
    let admin = AdminDoor::open(&instance)?;
    if let Some(why) = instance.engine.frozen() {
        tracing::warn!(
            why,
            "the gateway is frozen: it takes and sends nothing; look at it, then run `gatehouse unfreeze`"
        );
        tokio::select! {
            () = instance.engine.until_unfrozen() => tracing::info!("the gateway is no longer frozen"),
            told = until_told_to_stop() => {
                admin.close(&instance).await;
                return told;
            }
        }
    }
    let running = Running::start(instance, admin).await?;
    observed.set_ready(true);
    tracing::info!(data = %path.display(), metrics = %observed.address, version = env!("CARGO_PKG_VERSION"), "gateway is ready");
    until_told_to_stop().await?;
    tracing::info!("stopping: no new connections, running sessions may finish");
    observed.set_ready(false);
    running.stop().await;
    tracing::info!("stopped");
    Ok(())
}

async fn until_told_to_stop() -> Result<(), String> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term = signal(SignalKind::terminate()).map_err(|e| e.to_string())?;
    let mut int = signal(SignalKind::interrupt()).map_err(|e| e.to_string())?;
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(())
}
