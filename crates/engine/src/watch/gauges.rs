//! Shows in `/metrics` what is so at this moment.

use db::State;

use super::meters::{as_number, count, seconds};
use super::status::LAST_BACKUP;
use crate::engine::Engine;

impl Engine {
    /// Brings the gauges up to date. What the database does not tell stays as it was.
    pub(crate) async fn gauge(&self) {
        if let Ok(space) = self.store.space().await {
            metrics::gauge!("gatehouse_store_free_octets").set(as_number(space.free));
            metrics::gauge!("gatehouse_store_total_octets").set(as_number(space.total));
            metrics::gauge!("gatehouse_store_reserve_octets").set(as_number(self.store.reserve_octets()));
        }
        metrics::gauge!("gatehouse_sessions_out").set(f64::from(self.outgoing_connections()));
        let version = env!("CARGO_PKG_VERSION");
        metrics::gauge!("gatehouse_info", "version" => version, "node" => self.options.node.clone()).set(1.0);
        let (now, uptime) = (self.clock.now(), self.vitals.uptime(self.clock.monotonic()));
        metrics::gauge!("gatehouse_start_time_seconds").set(count(now.seconds()) - seconds(uptime));
        if let Err(error) = self.gauge_database().await {
            tracing::debug!(%error, "some numbers could not be brought up to date");
        }
    }

    async fn gauge_database(&self) -> Result<(), db::DbError> {
        let now = self.clock.now();
        let overview = self.db.overview().queue(now).await?;
        for state in State::ALL.iter().filter(|state| !state.is_end()) {
            metrics::gauge!("gatehouse_transfers", "state" => state.word()).set(count(overview.in_state(*state)));
        }
        metrics::gauge!("gatehouse_transfers_due").set(count(overview.due));
        let oldest = match overview.oldest {
            Some(id) => self.db.transfers().get(id).await?,
            None => None,
        };
        let waits = oldest.map(|t| now.since(t.not_before.map_or(t.created_at, |at| at.max(t.created_at))));
        metrics::gauge!("gatehouse_oldest_waiting_seconds").set(seconds(waits.unwrap_or_default()));
        metrics::gauge!("gatehouse_database_octets").set(count(self.db.overview().database_octets().await?));
        let backup = self.db.meta().get(LAST_BACKUP).await?;
        let at = backup.and_then(|mark| mark.split_once(' ')?.0.parse::<i64>().ok()).unwrap_or(0);
        metrics::gauge!("gatehouse_last_backup_time_seconds").set(count(base::UtcMicros(at).seconds()));
        for (name, outbox) in self.webhook_stands().await? {
            metrics::gauge!("gatehouse_webhook_events_waiting", "webhook" => name.clone()).set(count(outbox.waiting));
            metrics::gauge!("gatehouse_webhook_events_parked", "webhook" => name).set(count(outbox.parked));
        }
        Ok(())
    }
}
