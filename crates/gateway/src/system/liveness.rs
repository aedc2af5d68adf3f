//! The watchdog: the service manager hears of us only while the gateway's own tasks get on with their work.
//!
//! Twice within the time it gives us we wake the tasks that route and deliver and see whether they have gone round since
//! the last look; and that no task that has to run for ever has ended. A database or a disk that fails is no reason to be
//! killed: the tasks go round, and say so in the log.

use std::sync::Arc;
use std::time::Duration;

use engine::Engine;
use tokio::task::AbortHandle;

use super::Notifier;

/// Looks within the time that the service manager gives us.
const LOOKS: u32 = 3;

/// What is watched.
pub(crate) struct Liveness {
    engine: Arc<Engine>,
    /// Tasks that run until the end, by name.
    tasks: Vec<(&'static str, AbortHandle)>,
    seen: Vec<u64>,
    /// Tasks that route and deliver run: not in a gateway that is frozen.
    rounds: bool,
}

impl Liveness {
    /// Watches these tasks; `rounds`: and whether routing and deliveries go round.
    pub(crate) fn new(engine: Arc<Engine>, tasks: Vec<(&'static str, AbortHandle)>, rounds: bool) -> Self {
        Self { engine, tasks, seen: Vec::new(), rounds }
    }

    /// Tells the service manager as long as it can; returns at once if it does not want to hear of us.
    pub(crate) async fn watch(mut self, notifier: Arc<Notifier>, status: impl Fn() -> String + Send) {
        let Some(every) = notifier.watchdog().map(|time| time / LOOKS).filter(|every| *every > Duration::ZERO) else {
            return;
        };
        let mut stopping = self.engine.stopping();
        loop {
            match self.stuck() {
                None => notifier.alive(&status()),
                Some(what) => {
                    tracing::error!(
                        task = what,
                        "a task makes no progress: the service manager is not told that we live"
                    );
                    notifier.status(&format!("task {what} makes no progress"));
                }
            }
            self.engine.wake();
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                // Sessions may go on for the drain time; nothing goes round any more.
                _ = stopping.changed() => self.rounds = false,
            }
        }
    }

    /// The first task that does not get on.
    fn stuck(&mut self) -> Option<&'static str> {
        let stopping = self.engine.is_stopping();
        let ended = self.tasks.iter().find(|(_, task)| task.is_finished()).filter(|_| !stopping);
        if let Some((name, _)) = ended {
            return Some(name);
        }
        if !self.rounds || stopping {
            return None;
        }
        let rounds = self.engine.rounds();
        let still = rounds.iter().zip(&self.seen).find(|((_, now), before)| now == *before).map(|((name, _), _)| *name);
        if still.is_none() {
            self.seen = rounds.iter().map(|(_, now)| *now).collect();
        }
        still
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;
    use crate::data_dir::DataDir;
    use crate::instance::Instance;

    /// Waits for a message with this beginning; what came before is passed over.
    async fn told(receiver: &tokio::net::UnixDatagram, beginning: &str) -> String {
        let mut octets = [0; 1024];
        loop {
            let wait = tokio::time::timeout(Duration::from_secs(60), receiver.recv(&mut octets)).await;
            let len = wait.unwrap().unwrap();
            let text = String::from_utf8_lossy(&octets[..len]).into_owned();
            if text.starts_with(beginning) {
                return text;
            }
        }
    }

    // Issue: a watchdog that pings only while the gateway's own tasks make progress.
    #[tokio::test]
    async fn the_service_manager_hears_of_us_only_while_all_tasks_get_on() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = DataDir::open(&scratch.path().join("data"), true).unwrap();
        let instance = Instance::open(dir, true).await.unwrap();
        let engine = Arc::clone(&instance.engine);
        let path = scratch.path().join("notify");
        let receiver = UnixDatagram::bind(&path).unwrap();
        receiver.set_nonblocking(true).unwrap();
        let receiver = tokio::net::UnixDatagram::from_std(receiver).unwrap();
        let notifier = Arc::new(Notifier::to(&path, Duration::from_millis(150)));
        let idle = tokio::spawn(std::future::pending::<()>());

        // Routing goes round; nobody delivers: that is told, and nothing else.
        let routing = tokio::spawn(engine::run_routing(Arc::clone(&engine)));
        let tasks = vec![("idle", idle.abort_handle())];
        let watching = Liveness::new(Arc::clone(&engine), tasks, true).watch(notifier, || "well".to_owned());
        let watching = tokio::spawn(watching);
        assert_eq!(
            told(&receiver, "WATCHDOG").await,
            "WATCHDOG=1\nSTATUS=well",
            "the first look has nothing to compare"
        );
        assert_eq!(told(&receiver, "STATUS=task d").await, "STATUS=task deliveries makes no progress");

        // As soon as it goes on, it is heard of again.
        let deliverer = crate::deliver::Deliverer::new(Arc::clone(&engine), Arc::default());
        let deliveries = tokio::spawn(engine::run_deliveries(Arc::clone(&engine), Arc::new(deliverer)));
        told(&receiver, "WATCHDOG").await;

        // A task that has ended is not heard of again.
        idle.abort();
        assert_eq!(told(&receiver, "STATUS=task i").await, "STATUS=task idle makes no progress");
        engine.shutdown();
        told(&receiver, "WATCHDOG").await;
        watching.abort();
        routing.await.unwrap();
        deliveries.await.unwrap();
        instance.engine.db().close().await;
    }
}
