//! What routing knows of a transfer, from its record and the chain it belongs to.

use base::ObjectId;
use db::Transfer;
use model::RouteFacts;

use crate::engine::Engine;
use crate::error::TransferError;
use crate::limits::ROUTE_DEPTH_MAX;
use crate::transfer::{Extra, db_error};

impl Engine {
    /// Facts of a record.
    ///
    /// # Errors
    /// If the database fails.
    pub(crate) async fn facts(&self, t: &Transfer) -> Result<RouteFacts, TransferError> {
        let (depth, trail) = self.chain(t).await?;
        let extra = Extra::of(t);
        Ok(RouteFacts {
            transfer: t.id,
            protocol: t.protocol.clone(),
            site: t.site.clone(),
            gate: extra.gate,
            login: t.login.clone(),
            dir_name: t.dir_name.clone(),
            file_name: t.file_name.clone(),
            appli: t.appli.clone(),
            size: t.size.and_then(|s| u64::try_from(s).ok()).unwrap_or(0),
            at: t.created_at,
            originator: extra.originator,
            destination: Some(extra.destination).filter(|d| !d.is_empty()),
            state: "ENDED_ROUTING".to_owned(),
            direction: t.direction.letter().to_owned(),
            mode: t.mode.letter().to_owned(),
            transfer_type: t.kind.letter().to_owned(),
            depth,
            trail,
        })
    }

    /// How many transfers made by routing lie before this one, and the rules that made them, oldest first (OBJ-29).
    async fn chain(&self, t: &Transfer) -> Result<(u32, Vec<ObjectId>), TransferError> {
        let (mut depth, mut trail) = (0, Vec::new());
        let (mut rule, mut from) = (t.rule_id, t.route_from);
        while let Some(id) = from
            && depth < ROUTE_DEPTH_MAX
        {
            depth += 1;
            trail.extend(rule);
            let before = self.db.transfers().get(id).await.map_err(|e| db_error(&e))?;
            (rule, from) = before.map_or((None, None), |t| (t.rule_id, t.route_from));
        }
        trail.reverse();
        Ok((depth, trail))
    }
}
