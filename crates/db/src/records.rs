//! What a transfer and a payload are, as stored. Plain values; [`crate::Transfers`] reads and writes them.

use base::{ObjectId, PayloadId, TransferId, UtcMicros};

use crate::state::{Direction, Mode, RouteState, State, TradeState, TransferType, full_state};

/// A transfer as stored.
///
/// `dir_name` and `file_name` are texts: whoever has octets that are no UTF-8 (or hold NUL) escapes them first.
/// Empty texts mean "none".
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Transfer {
    /// Its number, the local identifier (TRF-2).
    pub id: TransferId,
    /// What it is about.
    pub kind: TransferType,
    /// Who opens the connection.
    pub mode: Mode,
    /// Which way the file goes.
    pub direction: Direction,
    /// As `SFTP`.
    pub protocol: String,
    /// Name of the local site.
    pub local: String,
    /// Name of the remote site, static or dynamic (`$S_login`).
    pub site: String,
    /// Name of the gate whose folder holds the file; together with `dir_name` and `file_name` the key of a listing.
    pub gate: String,
    /// Login name of the session that brought it or will fetch it.
    pub login: String,
    /// Application.
    pub appli: String,
    /// Folder in the virtual tree.
    pub dir_name: String,
    /// Name in that folder, or the name at the partner.
    pub file_name: String,
    /// Stored state.
    pub state: State,
    /// What routing made of it.
    pub route_state: RouteState,
    /// What EDI processing made of it.
    pub trade_state: TradeState,
    /// 0 high, 1 medium, 2 low.
    pub priority: i64,
    /// Whether the file is an entry of its folder: being uploaded, uploaded, or waiting to be fetched. At most one
    /// whole and one unfinished entry of a name is listed.
    pub listed: bool,
    /// When the record was made.
    pub created_at: UtcMicros,
    /// Not to be begun before.
    pub not_before: Option<UtcMicros>,
    /// To be cancelled after (TRF-5).
    pub not_after: Option<UtcMicros>,
    /// When it may be tried (again).
    pub next_try_at: UtcMicros,
    /// When it reached an end state.
    pub ended_at: Option<UtcMicros>,
    /// Tries that failed.
    pub retries: i64,
    /// Octets of the file, once known.
    pub size: Option<i64>,
    /// Octets moved and safe.
    pub done_octets: i64,
    /// Its stored content.
    pub payload: Option<PayloadId>,
    /// The transfer that this one forwards.
    pub route_from: Option<TransferId>,
    /// The rule that made it.
    pub rule_id: Option<ObjectId>,
    /// Counts repeated deliveries of one file to one site on purpose (route again = next number).
    pub dest_gen: i64,
    /// Parent of a diffusion.
    pub master: Option<TransferId>,
    /// The transfer that this one repeats.
    pub dup_from: Option<TransferId>,
    /// The transfer that this one answers.
    pub reply_to: Option<TransferId>,
    /// Message-ID or the like.
    pub message_id: Option<String>,
    /// Last end reason (section 12.1).
    pub reason: i64,
    /// Protocol's code for it.
    pub diag: i64,
    /// The cause in words, safe to show.
    pub err: String,
    /// Why it was routed or refused, as JSON.
    pub why_json: String,
    /// Protocol's own fields, as JSON.
    pub extra_json: String,
    /// Node that works on it.
    pub node: Option<String>,
    /// Rises with each change; also the number of its last step.
    pub revision: i64,
}

impl Transfer {
    /// The state that people and rules see.
    #[must_use]
    pub const fn full_state(&self) -> &'static str {
        full_state(self.state, self.route_state, self.trade_state)
    }
}

/// A transfer to be recorded. [`NewTransfer::incoming`] and [`NewTransfer::outgoing`] fill what is usual.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewTransfer {
    /// From [`crate::Transfers::next_id`].
    pub id: TransferId,
    /// What it is about.
    pub kind: TransferType,
    /// Who opens the connection.
    pub mode: Mode,
    /// Which way.
    pub direction: Direction,
    /// As `SFTP`.
    pub protocol: String,
    /// Local site.
    pub local: String,
    /// Remote site.
    pub site: String,
    /// Gate, see [`Transfer::gate`].
    pub gate: String,
    /// Login name.
    pub login: String,
    /// Application.
    pub appli: String,
    /// Folder.
    pub dir_name: String,
    /// Name.
    pub file_name: String,
    /// A beginning state or SERVICING.
    pub state: State,
    /// First route state.
    pub route_state: RouteState,
    /// First trade state.
    pub trade_state: TradeState,
    /// 0 high, 1 medium, 2 low.
    pub priority: i64,
    /// See [`Transfer::listed`].
    pub listed: bool,
    /// Now.
    pub created_at: UtcMicros,
    /// Not before; also the first `next_try_at`.
    pub not_before: Option<UtcMicros>,
    /// Not after.
    pub not_after: Option<UtcMicros>,
    /// Octets, if known.
    pub size: Option<i64>,
    /// Content, if it is there already: its count of references rises with the insert.
    pub payload: Option<PayloadId>,
    /// Forwarded transfer.
    pub route_from: Option<TransferId>,
    /// Rule.
    pub rule_id: Option<ObjectId>,
    /// See [`Transfer::dest_gen`].
    pub dest_gen: i64,
    /// Parent.
    pub master: Option<TransferId>,
    /// Repeated transfer.
    pub dup_from: Option<TransferId>,
    /// Answered transfer.
    pub reply_to: Option<TransferId>,
    /// Message-ID.
    pub message_id: Option<String>,
    /// Why, as JSON.
    pub why_json: String,
    /// Protocol's own fields, as JSON.
    pub extra_json: String,
    /// Node that works on it (an incoming one).
    pub node: Option<String>,
}

impl NewTransfer {
    /// A file that a partner is sending to us: responder, in, SERVICING, listed.
    #[must_use]
    pub fn incoming(id: TransferId, protocol: &str, now: UtcMicros) -> Self {
        Self {
            mode: Mode::Responder,
            direction: Direction::In,
            state: State::Servicing,
            listed: true,
            ..Self::outgoing(id, protocol, now)
        }
    }

    /// A file that we shall send: initiator, out, TO BEGIN.
    #[must_use]
    pub fn outgoing(id: TransferId, protocol: &str, now: UtcMicros) -> Self {
        Self {
            id,
            kind: TransferType::Trans,
            mode: Mode::Initiator,
            direction: Direction::Out,
            protocol: protocol.to_owned(),
            local: String::new(),
            site: String::new(),
            gate: String::new(),
            login: String::new(),
            appli: String::new(),
            dir_name: String::new(),
            file_name: String::new(),
            state: State::ToBegin,
            route_state: RouteState::Empty,
            trade_state: TradeState::Empty,
            priority: 1,
            listed: false,
            created_at: now,
            not_before: None,
            not_after: None,
            size: None,
            payload: None,
            route_from: None,
            rule_id: None,
            dest_gen: 0,
            master: None,
            dup_from: None,
            reply_to: None,
            message_id: None,
            why_json: String::new(),
            extra_json: String::new(),
            node: None,
        }
    }
}

/// What became of a recorded request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Inserted {
    /// It is new.
    New,
    /// Routing made this one before: `route_from`, `rule_id`, `site` and `dest_gen` are the same.
    Already(TransferId),
}

/// A change of a transfer. Fields that are `None` stay as they are.
#[derive(Clone, Debug)]
pub struct TransferChange {
    /// Which.
    pub id: TransferId,
    /// States it must be in; empty: any from which `to` is permitted.
    pub expected: Vec<State>,
    /// Revision it must have; `None`: any.
    pub expected_revision: Option<i64>,
    /// Where it goes; `None`: the state stays, no step is written.
    pub to: Option<State>,
    /// When.
    pub at: UtcMicros,
    /// Words for the step, safe to show.
    pub note: String,
    /// End reason, protocol's code, words.
    pub outcome: Option<Outcome>,
    /// New route state, checked against its table.
    pub route_state: Option<RouteState>,
    /// New trade state.
    pub trade_state: Option<TradeState>,
    /// Next try.
    pub next_try_at: Option<UtcMicros>,
    /// New count of failed tries.
    pub retries: Option<i64>,
    /// Octets of the file.
    pub size: Option<i64>,
    /// Octets moved.
    pub done_octets: Option<i64>,
    /// New folder and name.
    pub renamed: Option<(String, String)>,
    /// In or out of the listing.
    pub listed: Option<bool>,
    /// New priority.
    pub priority: Option<i64>,
    /// Attach a payload (its count of references rises).
    pub payload: Option<PayloadId>,
    /// Why, as JSON.
    pub why_json: Option<String>,
    /// Protocol's own fields, as JSON.
    pub extra_json: Option<String>,
    /// Node that works on it from now on; a change to an end or waiting state clears it.
    pub node: Option<String>,
    /// Only if routing has not handed it on: another node may just have done so.
    pub unrouted: bool,
    /// Node that must be at work on it: if another one took it over, nothing changes. `None`: any.
    pub owner: Option<String>,
}

/// How a try ended.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Outcome {
    /// End reason (section 12.1).
    pub reason: i64,
    /// Protocol's code.
    pub diag: i64,
    /// Words, safe to show.
    pub err: String,
}

impl TransferChange {
    /// To `to`, from any state that permits it.
    #[must_use]
    pub fn to(id: TransferId, to: State, at: UtcMicros) -> Self {
        Self { to: Some(to), ..Self::fields(id, at) }
    }

    /// No change of state.
    #[must_use]
    pub fn fields(id: TransferId, at: UtcMicros) -> Self {
        Self {
            id,
            expected: Vec::new(),
            expected_revision: None,
            to: None,
            at,
            note: String::new(),
            outcome: None,
            route_state: None,
            trade_state: None,
            next_try_at: None,
            retries: None,
            size: None,
            done_octets: None,
            renamed: None,
            listed: None,
            priority: None,
            payload: None,
            why_json: None,
            extra_json: None,
            node: None,
            unrouted: false,
            owner: None,
        }
    }
}

/// A received file is whole: payload, record, step and listing in one transaction.
#[derive(Clone, Debug)]
pub struct CommitReceived {
    /// The transfer, in SERVICING or PROCESSING.
    pub id: TransferId,
    /// Its content.
    pub payload: NewPayload,
    /// ENDED or ENDED TO ACK.
    pub to: State,
    /// Usually `ToRoute`.
    pub route_state: RouteState,
    /// When it may be routed (settle time).
    pub route_after: UtcMicros,
    /// Now.
    pub at: UtcMicros,
    /// Words for the step.
    pub note: String,
    /// See [`TransferChange::owner`].
    pub owner: Option<String>,
}

/// Stored content of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewPayload {
    /// From [`crate::Payloads::next_id`].
    pub id: PayloadId,
    /// Where it is.
    pub body: PayloadBody,
    /// Octets of the clear content.
    pub size: i64,
    /// SHA-256 of the clear content, if it was computed.
    pub sha256: Option<[u8; 32]>,
}

/// Where content is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PayloadBody {
    /// Sealed octets in the database, at most [`crate::INLINE_OCTETS_MAX`].
    Inline(Vec<u8>),
    /// A file of a store.
    File {
        /// Its uuid in hex.
        uuid: String,
        /// Name of the store.
        store: String,
    },
}

/// State of stored content.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PayloadState {
    /// Being written.
    Staging,
    /// Whole, never changes.
    Committed,
    /// Gone.
    Purged,
}

/// Stored content as recorded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Payload {
    /// Its number.
    pub id: PayloadId,
    /// Uuid of its file in hex; none if inline.
    pub file_uuid: Option<String>,
    /// Name of the store; empty if inline.
    pub store: String,
    /// Its state.
    pub state: PayloadState,
    /// Octets of the clear content.
    pub size: i64,
    /// SHA-256 of the clear content.
    pub sha256: Option<[u8; 32]>,
    /// Sealed octets of a small file.
    pub inline_sealed: Option<Vec<u8>>,
    /// Octets that survive a crash while staging.
    pub durable_to: i64,
    /// Sealed state of the running hash at `durable_to`.
    pub hash_state: Option<Vec<u8>>,
    /// Transfers that use it.
    pub refs: i64,
    /// When it may be removed, once nobody uses it.
    pub purge_after: Option<UtcMicros>,
    /// The staging folder that holds it, by its mark.
    pub holder: Option<String>,
}

/// One change of state.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// Revision that it made.
    pub n: i64,
    /// When.
    pub at: UtcMicros,
    /// From; none for the first.
    pub from: Option<State>,
    /// To.
    pub to: State,
    /// Words.
    pub note: String,
}

/// Which transfers to list. Fields that are `None` do not restrict. Each field has an index that serves it: see the
/// contract test of query plans before you add one.
#[derive(Clone, Debug, Default)]
pub struct TransferFilter {
    /// One of these states; empty: all.
    pub states: Vec<State>,
    /// Remote site.
    pub site: Option<String>,
    /// Direction.
    pub direction: Option<Direction>,
    /// Mode.
    pub mode: Option<Mode>,
    /// File name, exact.
    pub file_name: Option<String>,
    /// Forwarding this transfer.
    pub route_from: Option<TransferId>,
    /// Children of this one.
    pub master: Option<TransferId>,
    /// Message-ID.
    pub message_id: Option<String>,
    /// Created at or after.
    pub from: Option<UtcMicros>,
    /// Created before.
    pub until: Option<UtcMicros>,
    /// Newest first: only numbers below this one (the last of the page before).
    pub below: Option<TransferId>,
    /// Only this number and higher ones.
    pub not_below: Option<TransferId>,
}

/// Transfers waiting for their turn.
#[derive(Clone, Debug)]
pub struct DueQuery {
    /// Only this site; `None`: each site that has work, `limit` for each.
    pub site: Option<String>,
    /// Now.
    pub now: UtcMicros,
    /// Most transfers (for each site).
    pub limit: u32,
    /// Who takes them.
    pub node: String,
}

/// An entry of a virtual folder.
#[derive(Clone, Debug)]
pub struct EntryQuery {
    /// Gate.
    pub gate: String,
    /// Folder.
    pub dir_name: String,
    /// Only this name; `None`: all.
    pub file_name: Option<String>,
    /// Names after this one (paging), in octet order.
    pub after: Option<String>,
    /// Most rows.
    pub limit: u32,
}
