//! The request to fetch: recorded before anything else, and due as a delivery is.

use std::sync::Arc;

use base::{TransferId, UtcMicros};
use db::{Actor, Direction, Mode, NewTransfer, State, Transfer, TransferType};
use model::RemoteSite;
use serde::{Deserialize, Serialize};

use super::Filter;
use crate::engine::Engine;
use crate::error::{Cause, TransferError};
use crate::events::Event;
use crate::transfer::{Extra, commands_fit, db_error};
use crate::vfd::VPath;

/// What a list is called where the request gives no name.
const LISTING_NAME: &str = "listing.txt";
/// Shortest pause between two looks of a request that stays.
const EVERY_S_MIN: u32 = 5;

/// What becomes of a file at the partner when it is received here.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum After {
    /// It stays; it is not fetched again.
    #[default]
    Keep,
    /// It is deleted.
    Delete,
}

/// A list of a partner's folder, kept as a file (FTP-21).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Listing {
    /// Names, a line each.
    Names,
    /// A line for each in the server's own long form.
    Long,
}

/// What a request to fetch keeps in its record.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct FetchPlan {
    /// Its `file_name` is the name of one file, not a pattern.
    pub one: bool,
    /// Conditions that files must meet, as [`Filter`] reads them.
    pub filter: String,
    /// What becomes of files at the partner.
    pub after: After,
    /// Seconds between two looks; none: one look, and the request is ended.
    pub every_s: Option<u32>,
    /// The folder's list is wanted, as a file called `file_name`, and no file of it.
    pub listing: Option<Listing>,
}

/// Files wanted from a partner.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FetchRequest {
    /// The partner.
    pub site: String,
    /// Folder there; empty for the site's, or the one its login begins in.
    pub dir_name: String,
    /// Name of one file; none: every file that the filter takes.
    pub file_name: Option<String>,
    /// Conditions that files must meet; empty for none.
    pub filter: String,
    /// What becomes of files at the partner.
    pub after: After,
    /// Seconds between two looks; none for one look.
    pub every_s: Option<u32>,
    /// The folder's list is wanted, as a file called `file_name`, and no file of it.
    pub listing: Option<Listing>,
    /// Application of the files; empty for none.
    pub appli: String,
    /// 0 high, 1 medium, 2 low.
    pub priority: i64,
    /// Not to be begun before.
    pub not_before: Option<UtcMicros>,
    /// To be cancelled after.
    pub not_after: Option<UtcMicros>,
    /// Wait until restarted.
    pub frozen: bool,
    /// Failed tries after which it is given up; none: the engine's setting.
    pub retry_count_max: Option<u32>,
    /// Commands for the partner's FTP server, before and behind each file; empty for those of the site.
    pub commands: String,
    /// User's own values.
    pub parameters: [String; 2],
    /// Who asks.
    pub actor: Actor,
}

impl Engine {
    /// Takes a request to fetch. When this returns, it is durable (TRF-1).
    ///
    /// # Errors
    /// [`Cause::NotFound`] for a site or application that is not there; [`Cause::Invalid`] for what makes no sense; those
    /// of the database.
    pub async fn submit_fetch(self: &Arc<Self>, request: FetchRequest) -> Result<TransferId, TransferError> {
        let now = self.clock.now();
        let snapshot = self.snapshot();
        let site = snapshot.site(&request.site).ok_or_else(|| missing("site", &request.site))?;
        check(&request, site, now)?;
        if !request.appli.is_empty() && snapshot.application(&request.appli).is_none() {
            return Err(missing("application", &request.appli));
        }
        let local = site.local_site.clone().or_else(|| snapshot.local_sites().next().map(|l| l.name.clone()));
        let id = self.db.transfers().next_id().await.map_err(|e| db_error(&e))?;
        let new = record(&request, site, local.unwrap_or_default(), (id, now));
        self.db.transfers().insert(new).await.map_err(|e| db_error(&e))?;
        self.queue.new_work(&site.name);
        self.events.emit(Event::Submitted { transfer: id, site: site.name.clone() });
        Ok(id)
    }
}

fn check(request: &FetchRequest, site: &RemoteSite, now: UtcMicros) -> Result<(), TransferError> {
    let name = &site.name;
    if site.folder.is_some() {
        return Err(invalid(format!("site {name} is a folder of this machine: a drop folder takes files from there")));
    }
    if site.template || !site.is_reachable() {
        return Err(invalid(format!("site {name} has no address to call: give one with dest_address")));
    }
    if !site.roles.init_receiver {
        return Err(invalid(format!("site {name} lets us not call and receive: set init_receiver to Y")));
    }
    let is_one = |file: &String| VPath::from_text(file).is_ok_and(|path| path.depth() == 1) && !file.contains('/');
    if !request.file_name.as_ref().is_none_or(is_one) {
        return Err(invalid("file_name is one name, without '/': give the folder as dir_name"));
    }
    commands_fit(&request.commands, site)?;
    Filter::parse(&request.filter).map_err(|e| invalid(e.to_string()))?;
    if request.every_s.is_some_and(|seconds| seconds < EVERY_S_MIN) {
        return Err(invalid(format!("interval is {EVERY_S_MIN} seconds at least")));
    }
    if request.not_after.is_some_and(|end| end <= now || request.not_before.is_some_and(|begin| end <= begin)) {
        return Err(invalid("date_to_end is over before the transfer could begin"));
    }
    Ok(())
}

fn record(request: &FetchRequest, site: &RemoteSite, local: String, (id, now): (TransferId, UtcMicros)) -> NewTransfer {
    let plan = FetchPlan {
        one: request.file_name.is_some(),
        filter: request.filter.clone(),
        after: request.after,
        every_s: request.every_s,
        listing: request.listing,
    };
    let usual_name = if request.listing.is_some() { LISTING_NAME } else { "*" };
    let [param1, param2] = request.parameters.clone();
    let retry_count_max = request.retry_count_max;
    let commands = request.commands.clone();
    let extra = Extra { fetch: Some(plan), commands, retry_count_max, param1, param2, ..Extra::default() };
    NewTransfer {
        kind: TransferType::Multi,
        mode: Mode::Initiator,
        direction: Direction::In,
        state: match request.not_before {
            _ if request.frozen => State::Frozen,
            Some(begin) if begin > now => State::Delayed,
            _ => State::ToBegin,
        },
        local,
        site: site.name.clone(),
        login: request.actor.name.clone(),
        appli: request.appli.clone(),
        dir_name: if request.dir_name.is_empty() { site.dir_name.clone() } else { request.dir_name.clone() },
        file_name: request.file_name.clone().unwrap_or_else(|| usual_name.to_owned()),
        priority: request.priority.clamp(0, 2),
        not_before: request.not_before,
        not_after: request.not_after,
        extra_json: extra.json(),
        ..NewTransfer::outgoing(id, &site.protocol, now)
    }
}

/// Whether a record is a request to fetch: it comes in, and yet waits for its turn as what goes out.
pub(crate) fn is_fetch(t: &Transfer) -> bool {
    t.kind == TransferType::Multi && t.mode == Mode::Initiator && t.direction == Direction::In
}

fn invalid(text: impl Into<String>) -> TransferError {
    TransferError::refuse(Cause::Invalid, text)
}

fn missing(what: &str, name: &str) -> TransferError {
    let text = format!("{what} {} does not exist: create it, or name another", base::Shown::from(name));
    TransferError::refuse(Cause::NotFound, text)
}
