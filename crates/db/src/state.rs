//! States of a transfer and what may follow what (transfers.md sections 2 and 2.3). Pure.

use std::fmt;

/// A closed set of values, each with the letter that the database holds and the word that people see.
macro_rules! letters {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $letter:literal, $word:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The code of the database and of `-state`.
            #[must_use]
            pub const fn letter(self) -> &'static str {
                match self { $(Self::$variant => $letter),+ }
            }

            /// The word for people.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Reads the code or the word, in any case.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|s| s.letter().eq_ignore_ascii_case(text) || s.word().eq_ignore_ascii_case(text))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

letters! {
    /// State of a transfer, as stored. Calculated states come from [`full_state`].
    State {
        /// Waits until an operator restarts it (TRF-6).
        Frozen = "F", "frozen";
        /// Its start date is in the future.
        Delayed = "D", "delayed";
        /// Ready to be sent or to be fetched.
        ToBegin = "B", "to begin";
        /// Was interrupted and will go on where it stopped.
        ToRestart = "R", "to restart";
        /// Incoming, before data.
        Created = "T", "created";
        /// Waits for a signature.
        ToSign = "G", "to sign";
        /// Running, we opened the connection.
        Processing = "P", "processing";
        /// Running, the partner opened the connection.
        Servicing = "V", "servicing";
        /// An operator paused it.
        Suspended = "S", "suspended";
        /// The connection was lost.
        Interrupted = "I", "interrupted";
        /// Whole.
        Ended = "E", "ended";
        /// Whole, the partner waits for our acknowledgement or we for his.
        EndedToAck = "W", "ended to ack";
        /// Acknowledged.
        Acknowledged = "A", "acknowledged";
        /// Negative acknowledgement of a user.
        RefusedByUser = "U", "refused by user";
        /// Negative acknowledgement of a gateway.
        RefusedByGateway = "X", "refused by gateway";
        /// Cancelled by a person, a date, a fatal code.
        Cancelled = "C", "cancelled";
        /// An interrupted reception was removed.
        Deleted = "Z", "deleted";
    }
}

letters! {
    /// What routing has made of a received transfer.
    RouteState {
        /// Not looked at, or not to be routed.
        Empty = "E", "";
        /// Whole; routing must decide.
        ToRoute = "T", "to route";
        /// Being routed.
        Processing = "P", "processing";
        /// Handed on.
        Routed = "R", "routed";
        /// Nothing matched.
        NotRouted = "N", "not routed";
        /// Routing was impossible; can be retried (TRF-14).
        Failed = "F", "failed";
        /// The forwarded transfer was acknowledged (TRF-13).
        Acknowledged = "A", "acknowledged";
    }
}

letters! {
    /// What EDI processing has made of it.
    TradeState {
        /// None.
        Empty = "E", "";
        /// To be packed or unpacked.
        ToProcess = "T", "to process";
        /// Being packed or unpacked.
        Processing = "P", "processing";
        /// Done.
        Processed = "D", "processed";
        /// Waits for a receipt.
        Waiting = "W", "waiting receipt";
        /// Positive receipt.
        Acked = "A", "acked";
        /// Negative receipt.
        Nacked = "N", "nacked";
        /// Failed.
        Error = "X", "error";
    }
}

letters! {
    /// Who opens the connection.
    Mode {
        /// We do.
        Initiator = "I", "initiator";
        /// The partner does; with direction out: put at disposal.
        Responder = "R", "responder";
    }
}

letters! {
    /// Which way the file goes.
    Direction {
        /// From us.
        Out = "O", "out";
        /// To us.
        In = "I", "in";
    }
}

letters! {
    /// What the record is about (transfers.md section 1.1).
    TransferType {
        /// A file.
        Trans = "TRANS", "file";
        /// Parent of a diffusion.
        List = "LIST", "list";
        /// A message without a file.
        Msg = "MSG", "message";
        /// A protocol acknowledgement.
        Eerp = "EERP", "acknowledgement";
        /// An EDI receipt.
        Receipt = "RECEIPT", "receipt";
        /// A directory listing kept as a file.
        Dir = "DIR", "directory";
        /// Parent of a multiple put or get.
        Multi = "MULTI", "multiple";
    }
}

impl State {
    /// Whether no connection works on it and it waits for its turn.
    #[must_use]
    pub const fn is_beginning(self) -> bool {
        matches!(self, Self::Frozen | Self::Delayed | Self::ToBegin | Self::ToRestart | Self::Created | Self::ToSign)
    }

    /// Whether the exchange is over.
    #[must_use]
    pub const fn is_end(self) -> bool {
        matches!(
            self,
            Self::Ended
                | Self::EndedToAck
                | Self::Acknowledged
                | Self::RefusedByUser
                | Self::RefusedByGateway
                | Self::Cancelled
                | Self::Deleted
        )
    }

    /// Whether `to` may follow (TRF-3). A state never follows itself.
    #[must_use]
    pub const fn may_become(self, to: Self) -> bool {
        use State as S;
        match self {
            S::Frozen => matches!(to, S::ToBegin | S::Delayed | S::Cancelled),
            S::Delayed => matches!(to, S::ToBegin | S::Frozen | S::Suspended | S::Cancelled),
            S::ToSign => matches!(to, S::ToBegin | S::Delayed | S::Cancelled),
            S::ToBegin => {
                matches!(to, S::Processing | S::Servicing | S::Suspended | S::Cancelled | S::RefusedByGateway)
            }
            S::ToRestart => {
                matches!(to, S::Processing | S::Servicing | S::Suspended | S::Cancelled | S::RefusedByGateway)
            }
            S::Created => {
                matches!(
                    to,
                    S::Servicing | S::Processing | S::Interrupted | S::Cancelled | S::RefusedByGateway | S::Deleted
                )
            }
            S::Processing => matches!(
                to,
                S::Ended
                    | S::EndedToAck
                    | S::ToRestart
                    | S::Interrupted
                    | S::Suspended
                    | S::Cancelled
                    | S::RefusedByUser
                    | S::RefusedByGateway
            ),
            S::Servicing => matches!(
                to,
                S::Ended
                    | S::EndedToAck
                    | S::ToBegin
                    | S::Interrupted
                    | S::Suspended
                    | S::Cancelled
                    | S::RefusedByUser
                    | S::RefusedByGateway
                    | S::Deleted
            ),
            S::Suspended => {
                matches!(to, S::ToBegin | S::ToRestart | S::Delayed | S::Interrupted | S::Cancelled | S::Deleted)
            }
            S::Interrupted => matches!(to, S::ToRestart | S::Servicing | S::Suspended | S::Cancelled | S::Deleted),
            S::Ended => matches!(to, S::EndedToAck | S::Acknowledged | S::RefusedByUser | S::RefusedByGateway),
            S::EndedToAck => matches!(to, S::Acknowledged | S::RefusedByUser | S::RefusedByGateway | S::Cancelled),
            S::Acknowledged | S::RefusedByUser | S::RefusedByGateway | S::Cancelled | S::Deleted => false,
        }
    }
}

impl RouteState {
    /// Whether `to` may follow (section 2.3; a failed or unmatched one can be tried again, TRF-14).
    #[must_use]
    pub const fn may_become(self, to: Self) -> bool {
        use RouteState as R;
        match self {
            R::Empty => matches!(to, R::ToRoute | R::NotRouted | R::Routed),
            R::ToRoute => matches!(to, R::Processing | R::Routed | R::Failed | R::NotRouted),
            R::Processing => matches!(to, R::ToRoute | R::Routed | R::Failed | R::NotRouted),
            R::Routed => matches!(to, R::Acknowledged),
            R::Failed | R::NotRouted => matches!(to, R::ToRoute),
            R::Acknowledged => false,
        }
    }
}

/// The state that people and rules see: stored, or calculated from the three (section 2).
#[must_use]
pub const fn full_state(state: State, route: RouteState, trade: TradeState) -> &'static str {
    match (state, trade, route) {
        (State::ToBegin, TradeState::ToProcess, _) => "to pack",
        (State::ToBegin, TradeState::Processing, _) => "packing",
        (s, TradeState::ToProcess, _) if s.is_end() => "to unpack",
        (s, TradeState::Processing, _) if s.is_end() => "unpacking",
        (s, TradeState::Waiting, _) if s.is_end() => "waiting receipt",
        (State::Ended, _, RouteState::ToRoute | RouteState::Processing) => "ended routing",
        (State::Cancelled, _, RouteState::ToRoute | RouteState::Processing) => "cancelled routing",
        (s, _, _) => s.word(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // TRF-3: the whole table, so that a change of one cell is seen.
    #[test]
    fn transitions_are_the_documented_ones() {
        let rows = [
            ("F", "DBC"),
            ("D", "FBSC"),
            ("B", "PVSXC"),
            ("R", "PVSXC"),
            ("T", "PVIXCZ"),
            ("G", "DBC"),
            ("P", "RSIEWUXC"),
            ("V", "BSIEWUXCZ"),
            ("S", "DBRICZ"),
            ("I", "RVSCZ"),
            ("E", "WAUX"),
            ("W", "AUXC"),
            ("A", ""),
            ("U", ""),
            ("X", ""),
            ("C", ""),
            ("Z", ""),
        ];
        for (from, allowed) in rows {
            let from = State::parse(from).unwrap();
            let got: String = State::ALL.iter().filter(|to| from.may_become(**to)).map(|to| to.letter()).collect();
            assert_eq!(got, allowed, "after {from}");
        }
    }

    #[test]
    fn nothing_leaves_the_end_but_acknowledgements() {
        for from in State::ALL.iter().filter(|s| s.is_end()) {
            for to in State::ALL.iter().filter(|to| from.may_become(**to)) {
                assert!(to.is_end(), "{from} to {to}");
            }
            assert!(!from.may_become(*from));
        }
    }

    #[test]
    fn letters_and_words_read_back() {
        for s in State::ALL {
            assert_eq!(State::parse(s.letter()), Some(*s));
            assert_eq!(State::parse(s.word()), Some(*s));
        }
        assert_eq!(State::parse("Q"), None);
        assert_eq!(Direction::parse("out"), Some(Direction::Out));
    }

    #[test]
    fn calculated_states() {
        use {RouteState as R, TradeState as D};
        assert_eq!(full_state(State::Ended, R::ToRoute, D::Empty), "ended routing");
        assert_eq!(full_state(State::Ended, R::Routed, D::Empty), "ended");
        assert_eq!(full_state(State::ToBegin, R::Empty, D::ToProcess), "to pack");
        assert_eq!(full_state(State::Cancelled, R::ToRoute, D::Empty), "cancelled routing");
    }
}
