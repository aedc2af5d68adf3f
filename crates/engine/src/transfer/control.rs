//! What an operator may do to a transfer in which state (transfers.md 2.2, TRF-3). The table is pure; the engine applies
//! it, and a transfer that is running right now is first asked to stop.

use std::time::Duration;

use base::{TransferId, UtcMicros};
use db::{Actor, DbError, Direction, State, Transfer, TransferChange};

use crate::engine::Engine;
use crate::error::{Cause, TransferError};
use crate::events::Event;
use crate::fetch::is_fetch;
use crate::sync::lock;
use crate::transfer::{Extra, db_error};

/// How long a control action waits for a running transfer to stop.
const STOP_WAIT: Duration = Duration::from_secs(20);
/// Time between two looks whether another node has stopped one.
const ASKED_PAUSE: Duration = Duration::from_millis(100);

/// What to do to a transfer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Control {
    /// Pause it: it waits until restarted.
    Suspend,
    /// Let it go on, or begin now.
    Restart,
    /// End it for good; the file is kept until it is purged.
    Cancel,
}

impl Control {
    /// The letter of `pelctl control_trans -a`.
    #[must_use]
    pub const fn letter(self) -> &'static str {
        match self {
            Self::Suspend => "S",
            Self::Restart => "R",
            Self::Cancel => "C",
        }
    }

    /// Reads the letter or the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "s" | "suspend" | "pause" => Some(Self::Suspend),
            "r" | "restart" | "resume" => Some(Self::Restart),
            "c" | "cancel" => Some(Self::Cancel),
            _ => None,
        }
    }
}

/// Where a transfer is relative to its dates.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Window {
    /// Before its earliest date.
    Early,
    /// May run.
    Open,
    /// After its latest date.
    Over,
}

impl Window {
    /// Of `transfer` at `now`.
    #[must_use]
    pub fn of(transfer: &Transfer, now: UtcMicros) -> Self {
        match (transfer.not_before, transfer.not_after) {
            (_, Some(until)) if now >= until => Self::Over,
            (Some(from), _) if now < from => Self::Early,
            _ => Self::Open,
        }
    }
}

/// What a control action makes of a state; none if it is not possible there.
#[must_use]
pub fn controlled(action: Control, state: State, direction: Direction, begun: bool, window: Window) -> Option<State> {
    use State as S;
    let waiting = if begun { S::ToRestart } else { S::ToBegin };
    match (action, state) {
        (Control::Suspend, S::ToBegin | S::ToRestart | S::Delayed | S::Processing | S::Servicing) => Some(S::Suspended),
        (Control::Restart, S::Frozen | S::Delayed | S::Suspended) if window == Window::Over => Some(S::Cancelled),
        // The partner has to send again: we can't.
        (Control::Restart, S::Suspended) if direction == Direction::In => Some(S::Interrupted),
        (Control::Restart, S::Frozen) if window == Window::Early => Some(S::Delayed),
        (Control::Restart, S::Frozen | S::Delayed) => Some(S::ToBegin),
        (Control::Restart, S::Suspended) => Some(waiting),
        (Control::Restart, S::Interrupted) if direction == Direction::Out => Some(S::ToRestart),
        // Waits for its next try: now.
        (Control::Restart, S::ToRestart) => Some(S::ToRestart),
        (
            Control::Cancel,
            S::Frozen
            | S::Delayed
            | S::ToBegin
            | S::ToRestart
            | S::Created
            | S::ToSign
            | S::Processing
            | S::Servicing
            | S::Suspended
            | S::Interrupted
            | S::EndedToAck,
        ) => Some(S::Cancelled),
        _ => None,
    }
}

impl Engine {
    /// Pauses, restarts or cancels a transfer; gives the state it then has. One that is running is asked to stop, and
    /// this waits a while for it: if it was faster, it is ended, and says so.
    ///
    /// # Errors
    /// [`Cause::NotFound`]; [`Cause::Invalid`] if the state does not permit it: nothing changes then (TRF-3);
    /// [`Cause::Busy`] if it did not stop in time.
    pub async fn control(&self, id: TransferId, action: Control, actor: &Actor) -> Result<State, TransferError> {
        let (mut t, mut to) = self.controllable(id, action).await?;
        if let Some(node) = self.elsewhere(&t).await?
            && action != Control::Restart
        {
            return self.ask_elsewhere(id, action, &node).await;
        }
        let running = lock(&self.running).get(&id).cloned();
        // A restart has nothing to stop: a try that is ending leaves a record that can be restarted, or is over.
        if let Some(running) = running.filter(|_| action != Control::Restart) {
            running.ask(action);
            let mut end = running.end();
            if tokio::time::timeout(STOP_WAIT, end.wait_for(|over| *over)).await.is_err() {
                let text = format!("transfer {id} was asked to stop and has not yet: look again soon");
                return Err(TransferError::retry(Cause::Busy, text));
            }
            // It ended as asked, or was faster; or its try was over already, and asking it changed nothing.
            match self.controllable(id, action).await {
                Ok((now, next)) if now.state != to => (t, to) = (now, next),
                Ok((now, _)) => return Ok(now.state),
                Err(_) => {
                    let now = self.db.transfers().get(id).await.map_err(|e| db_error(&e))?;
                    return Ok(now.map_or(to, |t| t.state));
                }
            }
        }
        let now = self.clock.now();
        self.cancel_upload(id);
        self.cancel_download(id);
        let state = self.apply_control(&t, to, (action, actor), now).await?;
        self.queue.new_work(&t.site);
        Ok(state)
    }

    /// Name of the other node that is at work on a delivery.
    async fn elsewhere(&self, t: &Transfer) -> Result<Option<String>, TransferError> {
        let theirs = t.node.as_deref().filter(|node| t.state == State::Processing && *node != self.node.id());
        match theirs.filter(|_| self.node.is_shared()) {
            Some(node) => self.db.nodes().name_of(node).await.map_err(|e| db_error(&e)),
            None => Ok(None),
        }
    }

    /// Only the node that is at work on a delivery knows whether it can still be stopped: it is asked, and its record
    /// tells.
    async fn ask_elsewhere(&self, id: TransferId, action: Control, node: &str) -> Result<State, TransferError> {
        let nodes = self.db.nodes();
        nodes.ask(id, action.letter(), self.clock.now()).await.map_err(|e| db_error(&e))?;
        let until = tokio::time::Instant::now() + STOP_WAIT;
        let mut found = None;
        while found.is_none() && tokio::time::Instant::now() < until {
            tokio::time::sleep(ASKED_PAUSE).await;
            let now = self.db.transfers().get(id).await.map_err(|e| db_error(&e))?;
            found = now.map(|t| t.state).filter(|state| *state != State::Processing);
        }
        drop(nodes.answered(id).await.map_err(|e| db_error(&e))?);
        found.ok_or_else(|| {
            let text = format!("node {node} was asked to stop transfer {id} and has not yet: look again soon");
            TransferError::retry(Cause::Busy, text)
        })
    }

    /// A transfer as it is now, and what the action makes of it.
    async fn controllable(&self, id: TransferId, action: Control) -> Result<(Transfer, State), TransferError> {
        let t = self.db.transfers().get(id).await.map_err(|e| db_error(&e))?;
        let t = t.ok_or_else(|| db_error(&DbError::NoTransfer(id)))?;
        // A request to fetch waits and runs as what goes out.
        let direction = if is_fetch(&t) { Direction::Out } else { t.direction };
        let to = controlled(action, t.state, direction, t.retries > 0, Window::of(&t, self.clock.now()));
        to.map(|to| (t.clone(), to)).ok_or_else(|| refused(&t, action))
    }

    async fn apply_control(
        &self,
        t: &Transfer,
        to: State,
        (action, actor): (Control, &Actor),
        now: UtcMicros,
    ) -> Result<State, TransferError> {
        let over = action == Control::Restart && to == State::Cancelled;
        let mut change =
            if to == t.state { TransferChange::fields(t.id, now) } else { TransferChange::to(t.id, to, now) };
        change.expected = vec![t.state];
        change.note = match over {
            true => "its latest date is over".to_owned(),
            false => format!("{} by {}", control_word(action), base::Shown::from(actor.name.as_str())),
        };
        if action == Control::Restart && to != State::Delayed {
            change.next_try_at = Some(now);
        }
        let extra = Extra::of(t);
        if action == Control::Restart && extra.to_verify {
            // The person has looked: it is not there.
            change.extra_json = Some(Extra { open_end: false, to_verify: false, ..extra }.json());
        }
        if to == State::Cancelled {
            change.listed = Some(false);
        }
        let changed = self.db.transfers().apply(change).await.map_err(|e| db_error(&e))?;
        if let (State::Cancelled, State::Interrupted, Direction::In, Some(part)) = (to, t.state, t.direction, t.payload)
        {
            // Nobody can go on with it: its octets make room at once.
            self.drop_payload(part).await;
        }
        if (to, t.direction) == (State::Cancelled, Direction::In) {
            self.let_go(t.dup_from).await?;
        }
        let text = format!("{} by {}", control_word(action), actor.name);
        match to {
            State::Cancelled => self.events.emit(Event::Cancelled { transfer: t.id, text }),
            State::Suspended => self.events.emit(Event::Suspended { transfer: t.id, text }),
            _ => self.events.emit(Event::Restarted { transfer: t.id, text }),
        }
        Ok(changed.state)
    }
}

const fn control_word(action: Control) -> &'static str {
    match action {
        Control::Suspend => "suspended",
        Control::Restart => "restarted",
        Control::Cancel => "cancelled",
    }
}

fn refused(t: &Transfer, action: Control) -> TransferError {
    let text = format!("transfer {} is {}: it can't be {}", t.id, t.full_state(), control_word(action));
    TransferError::refuse(Cause::Invalid, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TRF-3, TRF-6, section 2.2: every state and action; `.` = refused and nothing changes.
    #[test]
    fn the_whole_table() {
        // states in the order of this string; what suspend, restart (early, open, over), cancel make of them, outgoing
        let states = "FDBRTGPVSIEWAUXCZ";
        let rows = [
            (Control::Suspend, Window::Open, ".SSS..SS........."),
            (Control::Restart, Window::Early, "DB.R....BR......."),
            (Control::Restart, Window::Open, "BB.R....BR......."),
            (Control::Restart, Window::Over, "CC.R....CR......."),
            (Control::Cancel, Window::Open, "CCCCCCCCCC.C....."),
        ];
        for (action, window, expected) in rows {
            let got: String = states
                .chars()
                .map(|c| State::parse(&c.to_string()).unwrap())
                .map(|s| controlled(action, s, Direction::Out, false, window).map_or(".", State::letter))
                .collect();
            assert_eq!(got, expected, "{action:?} {window:?}");
        }
    }

    #[test]
    fn every_result_is_a_permitted_transition() {
        for action in [Control::Suspend, Control::Restart, Control::Cancel] {
            for window in [Window::Early, Window::Open, Window::Over] {
                for begun in [false, true] {
                    for direction in [Direction::In, Direction::Out] {
                        for from in State::ALL {
                            if let Some(to) = controlled(action, *from, direction, begun, window) {
                                assert!(from.may_become(to) || *from == to, "{action:?} {from} to {to}");
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn what_has_begun_restarts_and_uploads_wait_for_their_partner() {
        let s = State::Suspended;
        assert_eq!(controlled(Control::Restart, s, Direction::Out, true, Window::Open), Some(State::ToRestart));
        assert_eq!(controlled(Control::Restart, s, Direction::In, true, Window::Open), Some(State::Interrupted));
        assert_eq!(controlled(Control::Restart, State::Interrupted, Direction::In, true, Window::Open), None);
    }

    #[test]
    fn actions_read_as_documented() {
        assert_eq!(Control::parse("S"), Some(Control::Suspend));
        assert_eq!(Control::parse("resume"), Some(Control::Restart));
        assert_eq!(Control::parse("x"), None);
        assert_eq!(Control::Cancel.letter(), "C");
    }
}
