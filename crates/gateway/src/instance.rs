//! A gateway's parts put together: data folder, master key, database, store, engine; and what a first start creates.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use admin::{About, Context, Input, Param, execute, find};
use base::SystemClock;
use db::{Actor, Db, DbOptions};
use engine::store::{KeyWrap, Store, StoreOptions, StoreParts, open_store};
use engine::{Engine, EngineOptions, EngineParts};
use keys::{MasterKeeper, MasterKey};

use crate::call::Caller;
use crate::data_dir::{DataDir, Lock};
use crate::settings::{self, Settings};
use crate::system::{database_url, master_credential};
use crate::tell::Teller;

/// Mark of a finished first start.
const INSTALLED: &str = "installed_at";

/// An opened gateway that serves nobody yet. The lock lasts as long as it.
pub(crate) struct Instance {
    pub(crate) engine: Arc<Engine>,
    pub(crate) settings: Settings,
    pub(crate) dir: DataDir,
    _lock: Lock,
}

/// The payload store that the settings name.
fn open_payloads(dir: &DataDir, settings: &Settings, mut parts: StoreParts) -> Result<Arc<dyn Store>, String> {
    parts.folder = match settings.store.folder.as_str() {
        "" => dir.path().to_path_buf(),
        folder => folder.into(),
    };
    parts.options = StoreOptions { seal: settings.store.seal, hash: settings.store.hash };
    parts.s3 = settings.store.s3()?;
    open_store(&settings.store.kind, parts).map_err(|e| format!("payload store: {e}"))
}

fn engine_options(dir: &DataDir, settings: &Settings, master_file: Option<PathBuf>) -> Result<EngineOptions, String> {
    let (node, host) = settings.node.names();
    Ok(EngineOptions {
        data: dir.path().to_path_buf(),
        master_file,
        settings_file: Some(dir.settings_file()),
        key_sizes: settings.keys.sizes()?,
        retention: settings.retention.rules()?,
        node,
        home: dir.mark().map_err(|e| e.to_string())?,
        host,
        lease: Duration::from_secs(settings.node.lease_s.into()),
        quota_window: Duration::from_secs(u64::from(settings.partners.quota_window_min) * 60),
        thresholds: settings.alarms.thresholds(),
        mail: settings.mail.pace(),
        label_sites: settings.metrics.sites,
        ..EngineOptions::default()
    })
}

impl Instance {
    /// Opens the data folder, under its lock. `create` allows a first start.
    ///
    /// # Errors
    /// A sentence that says what to do.
    pub(crate) async fn open(dir: DataDir, create: bool) -> Result<Self, String> {
        let settings = Settings::of(&dir)?;
        dir.check_whole().map_err(|e| e.to_string())?;
        let lock = dir.lock().map_err(|e| e.to_string())?;
        let keeper = settings.keeper()?;
        let handed = master_credential(&dir.master_key(), &keeper)?;
        let clock: Arc<dyn base::Clock> = Arc::new(SystemClock::default());
        let fresh = handed.is_none() && !dir.master_key().exists();
        let master = match fresh && settings.database.is_shared() {
            // Whether a key may be made is known to the database: another node may have one.
            true => None,
            false => Some(master_key(&dir, handed.as_deref(), create, &keeper)?),
        };
        let url = match settings.database.url.as_str() {
            "" => base::Secret::new(dir.database().display().to_string()),
            url => database_url(url)?,
        };
        let options = DbOptions { url: url.expose().clone(), clock: Arc::clone(&clock) };
        let db = Db::open(options).await.map_err(|e| format!("database: {e}"))?;
        let installed = db.meta().get(INSTALLED).await.map_err(|e| format!("database: {e}"))?.is_some();
        let master = match master {
            Some(master) => Arc::new(master),
            None if installed => {
                return Err(format!(
                    "another node uses this database: copy its master.key to {} (mode 0600), then start again",
                    dir.master_key().display()
                ));
            }
            None => Arc::new(master_key(&dir, None, create, &keeper)?),
        };
        engine::care::check_master(&db, &master).await.map_err(|e| e.to_string())?;
        let wrap: Arc<dyn KeyWrap> = master.clone();
        let store = open_payloads(&dir, &settings, StoreParts::new(PathBuf::new(), wrap, Arc::clone(&clock)))?;
        let options = EngineOptions { keeper, ..engine_options(&dir, &settings, handed)? };
        let parts = EngineParts { db, store, master, clock, options };
        let engine = Engine::start(parts).await.map_err(|e| e.to_string())?;
        engine.set_courier(Arc::new(Teller::new(settings.mail.clone(), &settings.traces)?));
        let instance = Self { engine, settings, dir, _lock: lock };
        instance.first_start().await?;
        // From now on it is known which key seals.
        engine::care::check_master(instance.engine.db(), instance.engine.master()).await.map_err(|e| e.to_string())?;
        Ok(instance)
    }

    /// What operations of this actor may use.
    pub(crate) fn context(&self, name: &str, origin: &str) -> Context {
        Context {
            engine: Arc::clone(&self.engine),
            actor: Actor { name: name.to_owned(), origin: origin.to_owned() },
            weaknesses: self.settings.warnings().into(),
            about: Arc::new(About {
                settings: settings::without_secrets(&self.dir.settings_text().unwrap_or_default()),
                log_file: self.settings.log_path(self.dir.path()),
            }),
            caller: Some(Arc::new(Caller::new(Arc::clone(&self.engine)))),
            content: admin::Content::default(),
        }
    }

    /// Makes the objects of a fresh installation, once. A start that broke off in between goes on where it was.
    async fn first_start(&self) -> Result<(), String> {
        let meta = self.engine.db().meta();
        if meta.get(INSTALLED).await.map_err(|e| e.to_string())?.is_some() {
            return Ok(());
        }
        let context = self.context("gateway", "first start");
        if self.engine.snapshot().key(model::GATEHOUSE_KEY).is_none() {
            run(
                &context,
                "secadm create_key",
                &[("name", model::GATEHOUSE_KEY), ("comments", "identity of this gateway")],
            )
            .await?;
        }
        for draft in model::default_objects() {
            if self.engine.snapshot().object(draft.kind, &draft.name).is_none() {
                admin::create_object(&context, draft).await.map_err(|e| e.to_string())?;
            }
        }
        let now = self.engine.clock().now();
        meta.set(INSTALLED, &now.to_string()).await.map_err(|e| e.to_string())?;
        tracing::info!(data = %self.dir.path().display(), "first start: identity and default objects created");
        Ok(())
    }
}

fn master_key(dir: &DataDir, handed: Option<&Path>, create: bool, keeper: &MasterKeeper) -> Result<MasterKey, String> {
    if let Some(path) = handed {
        return keeper.load(path).map_err(|e| e.to_string());
    }
    let path = dir.master_key();
    let made = dir.database().exists();
    match path.exists() {
        true => engine::care::load_master(dir.path(), keeper).map_err(|e| e.to_string()),
        false if made => Err(format!(
            "master key {} is not there: put it back from where you keep its copy; if the service manager hands it \
                 over as credential gatehouse.master, start the service, and commands reach it",
            path.display()
        )),
        false if create => keeper.create(&path).map_err(|e| e.to_string()),
        false => {
            Err(format!("{} is no data folder: start the gateway once with `gatehouse serve`", dir.path().display()))
        }
    }
}

/// Carries out an operation with values given as texts.
///
/// # Errors
/// The operation's.
pub(crate) async fn run(context: &Context, name: &str, values: &[(&str, &str)]) -> Result<admin::Output, String> {
    let input = input(name, values)?;
    execute(context, name, &input).await.map_err(|e| format!("{name}: {e}"))
}

/// The input of operation `name`, from texts by canonical parameter name.
///
/// # Errors
/// A sentence, if a value is not the parameter's.
pub(crate) fn input(name: &str, values: &[(&str, &str)]) -> Result<Input, String> {
    let operation = find(name).ok_or_else(|| format!("no operation {name}"))?;
    let params: Vec<Param> = (operation.params)();
    let mut input = Input::default();
    for (wanted, text) in values {
        let param =
            params.iter().find(|p| p.name() == *wanted).ok_or_else(|| format!("{name} has no parameter {wanted}"))?;
        input.give(param, text).map_err(|e| e.to_string())?;
    }
    Ok(input)
}
