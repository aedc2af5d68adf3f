//! The whole story of a transfer, for people: what it is, what happened, why, and what to do next.

use base::{Shown, TransferId};
use db::{DbError, Direction, HookRun, Mode, RouteState, State, Step, Transfer, TransferFilter};
use serde::Serialize;

use crate::engine::Engine;
use crate::error::{Cause, TransferError};
use crate::fetch::is_fetch;
use crate::queue::SiteStatus;
use crate::route::{Why, WhyReason};
use crate::transfer::{Extra, db_error};
use crate::vfd::{is_temporary, octets_of};

/// Fetched files that the story of their request tells.
const FETCHED_TOLD: u32 = 10;

/// The story of a transfer. Names from partners are shown escaped.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Story {
    /// Its number.
    pub transfer: TransferId,
    /// One sentence: what it is.
    pub what: String,
    /// The state that people see.
    pub state: String,
    /// What routing made of it; empty if it is not routed.
    pub route_state: String,
    /// What happened, oldest first.
    pub steps: Vec<StoryStep>,
    /// What decided that it was made, as `DECISION_RULE TO_B`; empty if a partner or a person made it.
    pub rule: String,
    /// Every object that mattered for its routing.
    pub reasons: Vec<WhyReason>,
    /// The transfer that it forwards.
    pub route_from: Option<TransferId>,
    /// The transfers that forward it.
    pub route_to: Vec<TransferId>,
    /// The files that it fetched last, newest first.
    pub fetched: Vec<TransferId>,
    /// The last cause of failure, in words; empty if there is none.
    pub cause: String,
    /// End reason, as documented.
    pub reason: i64,
    /// When it will be tried next, RFC 3339 in UTC.
    pub next_try: Option<String>,
    /// What hooks were told of it, a line each.
    pub hooks: Vec<String>,
    /// What happens next, or what to do.
    pub next_step: String,
    /// Commands for that.
    pub commands: Vec<String>,
}

/// One change of its state.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct StoryStep {
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// To which state.
    pub state: String,
    /// Words.
    pub note: String,
}

impl Story {
    /// As lines for a terminal.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.what.clone(), format!("state: {}", self.state)];
        if !self.route_state.is_empty() {
            lines.push(format!("route state: {}", self.route_state));
        }
        for step in &self.steps {
            let note = if step.note.is_empty() { String::new() } else { format!(": {}", step.note) };
            lines.push(format!("  {}  {}{note}", step.at, step.state));
        }
        if !self.rule.is_empty() {
            lines.push(format!("made by {}", self.rule));
        }
        for r in &self.reasons {
            lines.push(format!("  {} {}: {}", if r.matched { "+" } else { "-" }, r.object, r.text));
        }
        lines.extend(self.route_from.map(|id| format!("forwards transfer {id}")));
        if !self.route_to.is_empty() {
            let ids: Vec<String> = self.route_to.iter().map(ToString::to_string).collect();
            lines.push(format!("forwarded by transfer {}", ids.join(", ")));
        }
        if !self.fetched.is_empty() {
            let ids: Vec<String> = self.fetched.iter().map(ToString::to_string).collect();
            lines.push(format!("fetched as transfer {}", ids.join(", ")));
        }
        if !self.cause.is_empty() {
            lines.push(format!("cause: {} (reason {})", self.cause, self.reason));
        }
        lines.extend(self.hooks.iter().cloned());
        lines.extend(self.next_try.as_ref().map(|at| format!("next try: {at}")));
        lines.push(format!("next: {}", self.next_step));
        lines.extend(self.commands.iter().map(|command| format!("  {command}")));
        lines
    }
}

impl Engine {
    /// Tells the story of a transfer.
    ///
    /// # Errors
    /// [`crate::Cause::NotFound`], or if the database fails.
    pub async fn why(&self, id: TransferId) -> Result<Story, TransferError> {
        let t = self.db.transfers().get(id).await.map_err(|e| db_error(&e))?;
        let t = t.ok_or_else(|| db_error(&DbError::NoTransfer(id)))?;
        let steps = self.db.transfers().steps(id).await.map_err(|e| db_error(&e))?;
        let route_to = self.db.transfers().routed_to(id).await.map_err(|e| db_error(&e))?;
        let why = Why::of(&t);
        let waits = t.mode == Mode::Initiator && matches!(t.state, State::ToBegin | State::ToRestart | State::Delayed);
        let site = waits.then(|| self.site_status(&t.site));
        Ok(Story {
            transfer: id,
            what: what(&t),
            state: t.full_state().to_owned(),
            route_state: t.route_state.word().to_owned(),
            steps: steps.into_iter().map(told).collect(),
            rule: why.rule,
            reasons: why.reasons,
            route_from: t.route_from,
            route_to,
            fetched: self.fetched_by(&t).await?,
            cause: t.err.clone(),
            reason: t.reason,
            next_try: next_try(&t, site.as_ref()).then(|| t.next_try_at.to_string()),
            hooks: self.db.hooks().of(id).await.map_err(|e| db_error(&e))?.iter().map(hook_line).collect(),
            next_step: self.next_step(&t, site.as_ref()),
            commands: self.commands(&t, site.as_ref()),
        })
    }

    async fn fetched_by(&self, t: &Transfer) -> Result<Vec<TransferId>, TransferError> {
        if !is_fetch(t) {
            return Ok(Vec::new());
        }
        let filter = TransferFilter { master: Some(t.id), ..TransferFilter::default() };
        let children = self.db.transfers().list(filter, FETCHED_TOLD).await.map_err(|e| db_error(&e))?;
        Ok(children.into_iter().map(|t| t.id).collect())
    }

    /// The newest transfer of a site, a login or a file of this name.
    ///
    /// # Errors
    /// [`crate::Cause::NotFound`], or if the database fails.
    pub async fn newest(&self, name: &str) -> Result<TransferId, TransferError> {
        let overview = self.db.overview();
        for site in [name.to_owned(), format!("$S_{name}")] {
            if let Some(id) = overview.newest_of_site(&site).await.map_err(|e| db_error(&e))? {
                return Ok(id);
            }
        }
        let found = overview.newest_of_name(name).await.map_err(|e| db_error(&e))?;
        found.ok_or_else(|| {
            let text = format!("no transfer {0}: give a number, a site, a login or a whole file name", shown(name));
            TransferError::refuse(Cause::NotFound, text)
        })
    }

    /// Commands for the next step; none where there is nothing to do but wait.
    fn commands(&self, t: &Transfer, site: Option<&SiteStatus>) -> Vec<String> {
        let id = t.id;
        let restart = format!("gatehouse pelctl control_trans {id} -action R");
        let cancel = format!("gatehouse pelctl control_trans {id} -action C");
        match (way(t), t.state) {
            (Direction::Out, State::ToBegin | State::ToRestart | State::Delayed) => {
                site.map_or_else(Vec::new, |site| self.site_commands(t, site))
            }
            (_, State::Frozen) | (Direction::Out, State::Suspended) => vec![restart, cancel],
            (Direction::In, State::Ended) => match t.route_state {
                RouteState::NotRouted => {
                    vec![
                        "gatehouse route add NAME -from_site SITE -to SITE".to_owned(),
                        format!("gatehouse route again {id}"),
                    ]
                }
                RouteState::Failed => vec!["gatehouse route list".to_owned(), format!("gatehouse route again {id}")],
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    fn site_commands(&self, t: &Transfer, site: &SiteStatus) -> Vec<String> {
        let name = shown(&t.site);
        let snapshot = self.snapshot();
        let Some(object) = snapshot.site(&t.site) else {
            return vec![format!("gatehouse pelctl control_trans {} -action C", t.id)];
        };
        let mut commands = Vec::new();
        if !object.enabled {
            commands.push(format!("gatehouse peladm update_site -alias {name} -state ENABLED"));
        } else if object.addresses.is_empty() {
            commands.push(format!("gatehouse peladm update_site -alias {name} -dest_address HOST/PORT"));
        } else if !object.is_called() || !object.roles.init_mode {
            commands.push(format!("gatehouse peldsp display_site -alias {name}"));
        } else if !site.active || site.next_in.is_some() {
            commands.push(format!("gatehouse pelctl start_site {name}"));
        }
        commands
    }

    fn next_step(&self, t: &Transfer, site: Option<&SiteStatus>) -> String {
        match (way(t), t.state) {
            (Direction::Out, State::Processing) if is_fetch(t) => "the partner's folder is looked into".to_owned(),
            (Direction::Out, State::Ended) if is_fetch(t) => "over: each file has a transfer of its own".to_owned(),
            (Direction::In, State::Interrupted) if t.mode == Mode::Initiator => {
                format!("{} octets are kept: the next look into the partner's folder goes on there", t.done_octets)
            }
            (Direction::Out, State::ToBegin | State::ToRestart | State::Delayed) => match site {
                Some(site) => self.waiting(t, site),
                None => {
                    format!("waits until the partner of site {} fetches it from {}", shown(&t.site), shown(&t.dir_name))
                }
            },
            (_, State::Frozen) => "frozen: restart it with pelctl control_trans -a R".to_owned(),
            (Direction::Out, State::Suspended) => {
                "suspended: remove the cause, then restart it with pelctl control_trans -a R, or cancel it with -a C"
                    .to_owned()
            }
            (Direction::Out, State::Processing) => "is being sent".to_owned(),
            (Direction::Out, State::Servicing) => "is being taken in, or fetched by the partner".to_owned(),
            (Direction::In, State::Created | State::Servicing | State::Processing) => "is being received".to_owned(),
            (Direction::In, State::Interrupted | State::Suspended) => {
                format!("{} octets are kept: the partner may resume with reput, or send it anew", t.done_octets)
            }
            (Direction::In, State::Ended) => received(t),
            (_, State::Cancelled | State::Deleted) => "over; submit or send it again if it is still wanted".to_owned(),
            _ => "over".to_owned(),
        }
    }

    fn waiting(&self, t: &Transfer, site: &SiteStatus) -> String {
        let name = shown(&t.site);
        let snapshot = self.snapshot();
        let Some(object) = snapshot.site(&t.site) else {
            return format!("site {name} does not exist: create it, or cancel the transfer");
        };
        if !object.enabled {
            return format!("site {name} is disabled: enable it with peladm update_site");
        }
        if !object.is_reachable() {
            return format!("site {name} has no address: set dest_address");
        }
        if !object.is_called() || !object.roles.init_mode {
            return format!("site {name} is not called by us: see init_sender, init_receiver and init_mode");
        }
        if !site.active {
            return format!("site {name} is stopped ({}): start it with pelctl start_site", site.text);
        }
        if let Some(wait) = site.next_in {
            let text = &site.text;
            return format!(
                "site {name} can't be reached ({text}), {} failures in a row: next try in {} s",
                site.failures,
                wait.as_secs()
            );
        }
        if t.next_try_at > self.clock.now() {
            return "waits for its time".to_owned();
        }
        format!("waits for a connection to site {name}: {} of {} are in use", site.connections, object.init_conn_max)
    }
}

fn hook_line(run: &HookRun) -> String {
    let state = match run.state.as_str() {
        "W" => "waits",
        "P" => "runs",
        "E" => "told",
        _ => "given up",
    };
    let exit = if run.exit.is_empty() { String::new() } else { format!(", {}", run.exit) };
    let output = run.output.replace('\n', "\n    ");
    let output = if output.is_empty() { output } else { format!("\n    {output}") };
    format!("hook {} of {}, run {}: {state}, {} tries{exit}{output}", run.hook, run.kind, run.id, run.tries)
}

fn received(t: &Transfer) -> String {
    match t.route_state {
        RouteState::Empty | RouteState::NotRouted if is_temporary(&t.file_name) => {
            "waits for its final name: names that end in .filepart, .part or .tmp are not routed".to_owned()
        }
        _ if Extra::of(t).gone => "removed or replaced by the partner".to_owned(),
        RouteState::Empty => "received".to_owned(),
        RouteState::ToRoute | RouteState::Processing => {
            "rests until its settle time is over, longer if its partner opened it again, then it is routed".to_owned()
        }
        RouteState::NotRouted => {
            "nothing matched: make a rule with gatehouse route add, then route it again".to_owned()
        }
        RouteState::Failed => "routing failed: remove the cause, then route it again".to_owned(),
        RouteState::Routed | RouteState::Acknowledged => "forwarded: see the transfers it became".to_owned(),
    }
}

fn next_try(t: &Transfer, site: Option<&SiteStatus>) -> bool {
    let resting = t.direction == Direction::In && t.route_state == RouteState::ToRoute;
    resting || (site.is_some_and(|s| s.active) && way(t) == Direction::Out)
}

fn what(t: &Transfer) -> String {
    let size = t.size.map_or_else(|| "of unknown size".to_owned(), |s| format!("of {s} octets"));
    let file = shown(&t.file_name);
    if is_fetch(t) {
        let folder = if t.dir_name.is_empty() { String::new() } else { format!(" in {}", shown(&t.dir_name)) };
        let (site, protocol, made) = (shown(&t.site), &t.protocol, t.created_at);
        let list = Extra::of(t).fetch.is_some_and(|plan| plan.listing.is_some());
        let file = if list { format!("the list of the folder as {file}") } else { file };
        return format!("transfer {}: fetches {file}{folder} from {site} over {protocol}, made at {made}", t.id);
    }
    let verb = match (t.direction, t.mode) {
        (Direction::In, Mode::Initiator) => "fetched from",
        (Direction::In, Mode::Responder) => "received from",
        (Direction::Out, Mode::Initiator) => "to be sent to",
        (Direction::Out, Mode::Responder) => "at the disposal of",
    };
    format!(
        "transfer {}: file {file} {size}, {verb} {} over {}, made at {}",
        t.id,
        shown(&t.site),
        t.protocol,
        t.created_at
    )
}

/// A request to fetch waits and runs as what goes out.
fn way(t: &Transfer) -> Direction {
    if is_fetch(t) { Direction::Out } else { t.direction }
}

fn told(step: Step) -> StoryStep {
    StoryStep { at: step.at.to_string(), state: step.to.word().to_owned(), note: step.note }
}

/// A name of a record, shown as its octets.
fn shown(text: &str) -> String {
    Shown(&octets_of(text)).to_string()
}
