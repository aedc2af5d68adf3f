//! What the gateway shows of itself: log lines, `/metrics`, `/health/live`, `/health/ready`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::log_file::{LogFile, Rotation};
use crate::settings::{Log, LogFormat};
use crate::system::{JournalWriter, is_journal};

/// How often old samples of histograms are folded together.
const UPKEEP: Duration = Duration::from_secs(5);

/// The level of the log, which can be changed while it runs.
pub(crate) struct LogLevel(Handle<EnvFilter, Registry>);

impl LogLevel {
    /// Sets it.
    ///
    /// # Errors
    /// A sentence, if it is no level.
    pub(crate) fn set(&self, level: &str) -> Result<(), String> {
        self.0.reload(filter(level)?).map_err(|e| e.to_string())
    }
}

fn filter(level: &str) -> Result<EnvFilter, String> {
    // The SSH library's own lines hold text of the peer; ours say the same, made safe.
    EnvFilter::try_new(format!("russh=off,{level}")).map_err(|e| format!("[log] level {level:?}: {e}"))
}

/// Sends log lines to standard output, or to the file in or below `data` that the settings name, in the form that they
/// ask for. The journal gets priorities, and no times, since it has its own.
///
/// # Errors
/// A sentence, if the level is none, or the file can't be written.
pub(crate) fn start_log(log: &Log, data: &Path) -> Result<LogLevel, String> {
    let (level, handle) = reload::Layer::new(filter(&log.level)?);
    let journal = log.file.is_empty() && is_journal();
    let writer = match log.file.as_str() {
        "" if journal => BoxMakeWriter::new(JournalWriter),
        "" => BoxMakeWriter::new(std::io::stdout),
        name => {
            let path = data.join(name);
            let octets_max = u64::from(log.max_mib).saturating_mul(1 << 20);
            let rotation = Rotation { octets_max, daily: log.daily, keep: log.keep };
            let file = LogFile::open(&path, rotation).map_err(|e| format!("[log] file {}: {e}", path.display()))?;
            BoxMakeWriter::new(file)
        }
    };
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(writer);
    let lines = match (log.format, journal) {
        (LogFormat::Text, true) => lines.without_time().boxed(),
        (LogFormat::Text, false) => lines.boxed(),
        (LogFormat::Json, true) => lines.without_time().json().flatten_event(true).boxed(),
        (LogFormat::Json, false) => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(level).with(lines).try_init().map_err(|e| e.to_string())?;
    Ok(LogLevel(handle))
}

/// The port for machines that watch over the gateway.
pub(crate) struct Observed {
    pub(crate) address: SocketAddr,
    ready: Arc<AtomicBool>,
}

#[derive(Clone)]
struct Shared {
    metrics: PrometheusHandle,
    ready: Arc<AtomicBool>,
}

impl Observed {
    /// Opens the port. `/health/ready` says no until [`Observed::set_ready`].
    ///
    /// # Errors
    /// A sentence, if the port is taken.
    pub(crate) async fn start(address: SocketAddr) -> Result<Self, String> {
        let metrics = PrometheusBuilder::new().install_recorder().map_err(|e| e.to_string())?;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|e| format!("metrics port {address}: {e}; choose another with --metrics or [metrics] address"))?;
        let address = listener.local_addr().map_err(|e| e.to_string())?;
        let ready = Arc::new(AtomicBool::new(false));
        let shared = Shared { metrics: metrics.clone(), ready: Arc::clone(&ready) };
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(UPKEEP);
            loop {
                tick.tick().await;
                metrics.run_upkeep();
            }
        });
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router(shared)).await {
                tracing::error!(%error, "metrics port failed");
            }
        });
        Ok(Self { address, ready })
    }

    /// Says whether the gateway takes work.
    pub(crate) fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }
}

fn router(shared: Shared) -> Router {
    Router::new()
        .route("/metrics", get(|State(s): State<Shared>| async move { s.metrics.render() }))
        .route("/health/live", get(|| async { "alive\n" }))
        .route("/health/ready", get(ready))
        .with_state(shared)
}

async fn ready(State(shared): State<Shared>) -> (StatusCode, &'static str) {
    if shared.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "starting or stopping\n")
    }
}
