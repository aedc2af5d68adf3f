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
use engine::watch::{METERS, STEP_BUCKETS_S, STEP_SECONDS};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
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
    metrics: PrometheusHandle,
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
        let steps = Matcher::Full(STEP_SECONDS.to_owned());
        let builder =
            PrometheusBuilder::new().set_buckets_for_metric(steps, STEP_BUCKETS_S).map_err(|e| e.to_string())?;
        let metrics = builder.install_recorder().map_err(|e| e.to_string())?;
        describe();
        let listener = TcpListener::bind(address)
            .await
            .map_err(|e| format!("metrics port {address}: {e}; choose another with --metrics or [metrics] address"))?;
        let address = listener.local_addr().map_err(|e| e.to_string())?;
        let (ready, shown) = (Arc::new(AtomicBool::new(false)), metrics.clone());
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
        Ok(Self { address, ready, metrics: shown })
    }

    /// Gives the numbers as they are shown, for a support bundle.
    pub(crate) fn numbers(&self) -> impl Fn() -> String + Send + Sync + 'static {
        let metrics = self.metrics.clone();
        move || metrics.render()
    }

    /// Says whether the gateway takes work.
    pub(crate) fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }
}

/// Tells what each number means.
fn describe() {
    for meter in METERS {
        match meter.kind {
            "counter" => metrics::describe_counter!(meter.name, meter.about),
            "histogram" => metrics::describe_histogram!(meter.name, metrics::Unit::Seconds, meter.about),
            _ => metrics::describe_gauge!(meter.name, meter.about),
        }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn of_the_project(path: &str) -> String {
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)).unwrap()
    }

    /// Names of numbers in a text; those of a histogram's parts are its own.
    fn named(text: &str) -> BTreeSet<String> {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let whole = |word: &str| {
            let parts = ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end));
            parts.filter(|name| *name == STEP_SECONDS).unwrap_or(word).to_owned()
        };
        words.filter(|word| word.starts_with("gatehouse_")).map(whole).collect()
    }

    // The table of the manual is what is exported.
    #[test]
    fn the_manual_names_every_number() {
        let manual = of_the_project("docs/manual/watching.md");
        for meter in METERS {
            let labels: Vec<String> = meter.labels.iter().map(|label| format!("`{label}`")).collect();
            let row = format!("| `{}` | {} | {} | {} |", meter.name, meter.kind, labels.join(", "), meter.about);
            assert!(manual.contains(&row), "the manual misses\n{row}");
        }
        let known: BTreeSet<String> = METERS.iter().map(|meter| meter.name.to_owned()).collect();
        assert_eq!(named(&manual), known);
    }

    #[test]
    fn dashboard_and_alert_rules_name_numbers_that_are_there() {
        let known: BTreeSet<String> = METERS.iter().map(|meter| meter.name.to_owned()).collect();
        for path in ["packaging/grafana/gatehouse.json", "packaging/prometheus/gatehouse.rules.yml"] {
            let used = named(&of_the_project(path));
            let unknown: Vec<_> = used.difference(&known).collect();
            assert!(unknown.is_empty() && used.len() > 8, "{path}: {unknown:?}");
        }
        serde_json::from_str::<serde_json::Value>(&of_the_project("packaging/grafana/gatehouse.json")).unwrap();
    }
}
